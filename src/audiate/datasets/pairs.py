"""Spoken digit → image: FSDD and MNIST aligned as if somebody had spoken while writing.

Labels are used here to align the two data sets, and in `audiate.evaluate` to score; nowhere else.
What a training sees, `Pairs`, has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio import load_audio
from audiate.datasets.fsdd import Clip, load_fsdd, split_at_random, split_by_speaker
from audiate.datasets.mnist import LabelledImages, load_mnist
from audiate.errors import InputError


@dataclass(frozen=True)
class Pairs:
    """Images, each with the recording that was heard with it.

    Attributes:
        images: (count, 28, 28), uint8.
        recordings: Waveforms (samples,) at `sample_rate`.
        heard: (count,), index into `recordings` for each image.
        sample_rate: In Hz.

    """

    images: Tensor
    recordings: list[Tensor]
    heard: Tensor
    sample_rate: int


@dataclass(frozen=True)
class PairedDigits:
    """Train and test pairs; the labels of the test images are for the final score."""

    train: Pairs
    test: Pairs
    test_labels: Tensor
    test_clips: list[Clip]


def load_pairs(
    root: Path, *, sample_rate: int, seed: int = 0, held_out_speaker: str | None = None
) -> PairedDigits:
    """Pair every MNIST image with a recording of the same digit, drawn with replacement.

    60,000 train images get train recordings, 10,000 test images get test recordings; the
    recordings are split 90/10 at random, or by speaker. Żelaszczyk 2020, "We apply the following
    procedure to combine MNIST with FSDD".

    Args:
        root: Data folder, as from `audiate.datasets.sources.data_root`.
        sample_rate: Bring recordings to this rate, in Hz.
        seed: Determines the split and the pairing.
        held_out_speaker: Test on this speaker alone, train on the others.

    Raises:
        InputError: Data missing or damaged, or no such speaker.

    """
    clips = load_fsdd(root)
    if held_out_speaker is None:
        train_clips, test_clips = split_at_random(clips, seed)
    else:
        train_clips, test_clips = split_by_speaker(clips, held_out_speaker)
    generator = torch.Generator().manual_seed(seed)
    test = load_mnist(root, "test")
    return PairedDigits(
        train=_align(load_mnist(root, "train"), train_clips, sample_rate, generator),
        test=_align(test, test_clips, sample_rate, generator),
        test_labels=test.labels,
        test_clips=test_clips,
    )


def _align(
    images: LabelledImages, clips: list[Clip], sample_rate: int, generator: torch.Generator
) -> Pairs:
    recordings = [load_audio(clip.path, sample_rate)[0] for clip in clips]
    heard = draw_same_label(images.labels, torch.tensor([c.label for c in clips]), generator)
    return Pairs(images.images, recordings, heard, sample_rate)


def draw_same_label(labels: Tensor, choices: Tensor, generator: torch.Generator) -> Tensor:
    """For each of ``labels``, the index of a random one of ``choices`` that is equal to it.

    Drawn with replacement, uniformly. Both (count,) of their own length, int64.

    Raises:
        InputError: There is none.

    """
    drawn = torch.empty_like(labels)
    for label in torch.unique(labels):
        pool = (choices == label).nonzero().squeeze(1)
        if len(pool) == 0:
            raise InputError(
                f"no recording of the digit {int(label)} on this side of the split; "
                f"try another --seed"
            )
        wanted = labels == label
        pick = torch.randint(len(pool), (int(wanted.sum()),), generator=generator)
        drawn[wanted] = pool[pick]
    return drawn
