"""The Free Spoken Digit Dataset: short wavs at 8 kHz, trimmed, named digit_speaker_index."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from audiate.datasets.clips import Clip
from audiate.datasets.installed import require
from audiate.datasets.sources import SPEAKERS
from audiate.errors import InputError

_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]+)_\d+\.wav")


def load_fsdd(root: Path) -> list[Clip]:
    """List the 2,000 recordings of the paper's four speakers, sorted by file name.

    Raises:
        InputError: Some of them are missing or damaged.

    """
    folder = require("fsdd", root)
    clips = []
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match and match["speaker"] in SPEAKERS:
            clips.append(Clip(path, int(match["digit"]), match["speaker"]))
    return clips


def split_at_random(clips: list[Clip], seed: int) -> tuple[list[Clip], list[Clip]]:
    """Split clips as the paper does: nine tenths to train on, one tenth to test on, at random."""
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(seed)).tolist()
    tests = set(order[: len(clips) // 10])
    return (
        [clip for i, clip in enumerate(clips) if i not in tests],
        [clip for i, clip in enumerate(clips) if i in tests],
    )


def split_by_speaker(clips: list[Clip], speaker: str) -> tuple[list[Clip], list[Clip]]:
    """Split clips into those of all other speakers, to train on, and those of ``speaker``.

    Raises:
        InputError: There is no speaker of that name.

    """
    names = sorted({clip.speaker for clip in clips})
    if speaker not in names:
        raise InputError(f"{speaker}: no such speaker; there are {', '.join(names)}")
    return (
        [clip for clip in clips if clip.speaker != speaker],
        [clip for clip in clips if clip.speaker == speaker],
    )
