"""Clips and recordings, which all data sets of recorded speech have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from audiate.audio import is_silent, load_audio
from audiate.errors import InputError


@dataclass(frozen=True)
class Clip:
    """One recording.

    Attributes:
        path: Its sound file.
        label: The digit that is spoken, 0 to 9.
        speaker: The name or number of the speaker.

    """

    path: Path
    label: int
    speaker: str


class LabelledRecordings(NamedTuple):
    """Waveforms (samples,), float32 in [-1, 1], and their digits (count,), int64."""

    recordings: list[Tensor]
    labels: Tensor


def read_clips(clips: Sequence[Clip], sample_rate: int) -> LabelledRecordings:
    """Read ``clips`` at ``sample_rate``, in Hz, and leave out silent ones, which hold no word.

    Raises:
        InputError: A clip cannot be read, or all are silent.

    """
    recordings, labels = [], []
    for clip in clips:
        waveform, _ = load_audio(clip.path, sample_rate)
        if not is_silent(waveform):
            recordings.append(waveform)
            labels.append(clip.label)
    if not recordings:
        raise InputError(
            f"{clips[0].path}: silent, as are all clips beside it; fetch a fresh copy of the data"
        )
    return LabelledRecordings(recordings, torch.tensor(labels, dtype=torch.int64))


def digest_of_clips(clips: Iterable[Clip]) -> str:
    """A few words that tell these clips from others, whatever their order and their folder."""
    return digest_of_names(sorted(f"{clip.label} {clip.path.stem}" for clip in clips))


def digest_of_names(names: Sequence[str]) -> str:
    """The number of recordings and a hash of their names, since copies of a data set differ.

    >>> digest_of_names(["7 seven"])
    '1 recordings 8d860eca29f5'
    """
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return f"{len(names)} recordings {digest[:12]}"
