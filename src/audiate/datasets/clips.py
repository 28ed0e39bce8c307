"""What the data sets of recorded speech have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from audiate.audio import is_silent, load_audio
from audiate.errors import InputError


@dataclass(frozen=True)
class Clip:
    """One recording: where it is, what is said (0 to 9), and by whom."""

    path: Path
    label: int
    speaker: str


class LabelledRecordings(NamedTuple):
    """Waveforms (samples,), float32 in [-1, 1], and their digits (count,), int64."""

    recordings: list[Tensor]
    labels: Tensor


def read_clips(clips: Sequence[Clip], sample_rate: int) -> LabelledRecordings:
    """Read ``clips`` at ``sample_rate``, in Hz, without the silent ones: no word is in those.

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
