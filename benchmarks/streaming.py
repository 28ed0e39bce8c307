"""How late `CodecStream` gives speech back, how near to the recording, and how fast.

``python -m benchmarks.streaming`` takes the ten clips that come with the package, one after the
other, with as much sound to either side of a block as given, beside the codec of the whole sound.
"""

from __future__ import annotations

import time

import torch

import audiate
from audiate.cli.demo import CLIPS_FOLDER
from audiate.metrics.reconstruction import mel_distance
from audiate.models.codec_stream import CodecStream
from audiate.models.speech_flow import load_codec
from audiate.utils.reports import make_table, render

CONTEXTS = (0.064, 0.128, 0.32, 1.6)  # seconds
BLOCK = 512  # samples


def main() -> None:
    torch.set_num_threads(1)
    codec = load_codec("speech-digits")
    rate = codec.config.sample_rate
    clips = [audiate.load_audio(clip, rate)[0] for clip in sorted(CLIPS_FOLDER.glob("*.flac"))]
    sound = torch.cat(clips)
    sound = sound[: len(sound) // BLOCK * BLOCK]
    columns = ("late (ms)", "mel distance (dB)", "share of real time, one core")
    table = make_table(
        f"{len(sound) / rate:.1f} s of speech in blocks of 32 ms", "context", *columns
    )
    with torch.inference_mode():
        began = time.perf_counter()
        whole = codec(sound.view(1, 1, -1))[:, 0]
        seconds = time.perf_counter() - began
    far = mel_distance(whole, sound[None], rate).item()
    table.add_row("all, at once", "-", f"{far:.2f}", f"{seconds * rate / len(sound):.2f}")
    for context in CONTEXTS:
        stream = CodecStream(codec, context)
        began = time.perf_counter()
        given = torch.cat([stream(block) for block in torch.split(sound, BLOCK)])
        seconds = time.perf_counter() - began
        late = torch.cat([given, stream.finish()])[None, stream.delay :]
        far = mel_distance(late, sound[None], rate).item()
        share = seconds * rate / len(sound)
        delay = 1000 * (stream.delay + BLOCK) / rate
        table.add_row(f"{context * 1000:.0f} ms", f"{delay:.0f}", f"{far:.2f}", f"{share:.2f}")
    print(render(table))


if __name__ == "__main__":
    main()
