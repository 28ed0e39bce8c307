"""What codecs give back of sounds without a pitch: levels, onset and attack of drum hits.

    python -m benchmarks.drums HITS speech-digits runs/drum-codec [--sounds FOLDER]

HITS is a folder of short recordings. The names after it are codecs, or flows of sound with a codec.
The recordings themselves and silence stand beside them. An attack lasts from a tenth of the peak to
the peak. ``--sounds`` keeps what each codec gives back.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import audiate
from audiate.audio.files import save_wav
from audiate.data.folders import files_below
from audiate.data.sounds import SOUNDS
from audiate.metrics.reconstruction import mel_distance
from audiate.models.speech_flow import load_codec
from audiate.utils.reports import make_table, render

RATE = 16_000
_LONGEST = 4 * RATE
_QUIET = 512  # samples of silence before each hit, so that an early onset can be heard


def onset_and_peak(waveform: Tensor) -> tuple[int, int]:
    """Samples at which a waveform (samples,) reaches a tenth of its peak, and its peak."""
    level = waveform.abs()
    return int((level >= level.max() / 10).nonzero()[0]), int(level.argmax())


def scores(hit: Tensor, output: Tensor) -> tuple[float, float, float]:
    """Mel distance (dB), error of the onset (ms), and the attack (ms) of an output (samples,)."""
    distance = mel_distance(output[None], hit[None], RATE).item()
    if not output.any():
        return distance, float("nan"), float("nan")
    (onset, peak), (right, _) = onset_and_peak(output), onset_and_peak(hit)
    return distance, 1000 * abs(onset - right) / RATE, 1000 * (peak - onset) / RATE


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hits", type=Path)
    parser.add_argument("codecs", nargs="+")
    parser.add_argument("--sounds", type=Path)
    settings = parser.parse_args()
    files = files_below(settings.hits, SOUNDS)
    hits = []
    for file in files:
        waveform = audiate.load_audio(file, RATE)[0][:_LONGEST]
        waveform = torch.nn.functional.pad(waveform, (_QUIET, _QUIET + -len(waveform) % 2048))
        hits.append(waveform / waveform.abs().max())
    made = {"recordings": hits}
    for name in settings.codecs:
        codec = load_codec(name)
        with torch.inference_mode():
            made[name] = [codec(hit[None, None])[0, 0] for hit in hits]
    made["silence"] = [torch.zeros_like(hit) for hit in hits]
    columns = ("mel distance (dB)", "onset off (ms)", "attack (ms)")
    table = make_table(f"{len(hits)} hits: medians", "", *columns)
    for name, outputs in made.items():
        rows = torch.tensor([scores(*pair) for pair in zip(hits, outputs, strict=True)])
        table.add_row(name, *(f"{value:.1f}" for value in rows.median(0).values.tolist()))
    print(render(table))
    for name in settings.codecs if settings.sounds else ():
        folder = settings.sounds / Path(name).name
        folder.mkdir(parents=True, exist_ok=True)
        for file, output in zip(files, made[name], strict=True):
            save_wav(folder / f"{file.stem}.wav", output, RATE)


if __name__ == "__main__":
    main()
