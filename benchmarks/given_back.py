"""The README's picture of recordings, above what `speech-digits` gives back of each.

``python -m benchmarks.given_back [FILE]`` takes the ten clips that come with the package, in
synthesised voices that were in no training, and writes docs/given-back.png by default.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import audiate
from audiate.audio.spectrograms import levels_of
from audiate.cli.demo import CLIPS_FOLDER
from audiate.data.sources import DIGIT_WORDS
from audiate.models.speech_flow import SpeechFlow
from audiate.utils.plots import PanelRow, save_panels, sound_panel


def main(file: str = "docs/given-back.png") -> None:
    flow = audiate.load("speech-digits")
    assert isinstance(flow, SpeechFlow)
    clips = [next(CLIPS_FOLDER.glob(f"{word}-*.flac")) for word in DIGIT_WORDS]
    recordings = [audiate.load_audio(clip, flow.sample_rate)[0] for clip in clips]
    before = torch.stack([audiate.fit_length(each, flow.num_samples) for each in recordings])
    with torch.inference_mode():
        after = flow(flow.recover(before.unsqueeze(1)))[:, 0]
    titles = "ten recordings", "what comes back of 522 numbers for each"
    rows = [
        PanelRow(title, [sound_panel(each) for each in levels_of(sounds)])
        for title, sounds in zip(titles, (before, after), strict=True)
    ]
    save_panels(rows, Path(file))
    print(f"written to {file}")


if __name__ == "__main__":
    main(*sys.argv[1:])
