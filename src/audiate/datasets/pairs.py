"""Spoken digit → image: recordings and MNIST aligned as if somebody had spoken while writing.

Labels are used here to align the data sets, and in `audiate.evaluation` to score, but nowhere else:
a training sees `Pairs`, which have none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio import load_audio
from audiate.datasets.clips import Clip, LabelledRecordings, digest_of_clips, read_clips
from audiate.datasets.fsdd import load_fsdd, split_at_random, split_by_speaker
from audiate.datasets.mnist import LabelledImages, load_mnist
from audiate.datasets.speech_commands import load_speech_commands
from audiate.errors import InputError


@dataclass(frozen=True)
class Pairs:
    """Images, and for each the recording that is heard with it.

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
    """Train and test pairs.

    Attributes:
        train: The pairs to train on.
        test: The pairs to test on.
        test_labels: Digits of the test images, for the final score.
        test_clips: The recordings of the test pairs.

    """

    train: Pairs
    test: Pairs
    test_labels: Tensor
    test_clips: list[Clip]


@dataclass(frozen=True)
class ListedPairs:
    """Recordings that were found but not yet read, to be paired with MNIST's images.

    Attributes:
        root: The data folder.
        clips: All recordings of FSDD.
        words: Train recordings of Speech Commands; empty if they are not used.

    """

    root: Path
    clips: list[Clip]
    words: list[Clip]

    @property
    def digest(self) -> str:
        """A few words that tell these recordings from others."""
        return digest_of_clips([*self.clips, *self.words])

    def read(
        self, *, sample_rate: int, seed: int = 0, held_out_speaker: str | None = None
    ) -> PairedDigits:
        """Pair every MNIST image with a recording of the same digit, drawn with replacement.

        60,000 train images get train recordings, 10,000 test images get test recordings; the
        recordings are those of FSDD, split 90/10 at random, or by speaker. Żelaszczyk 2020, "We
        apply the following procedure to combine MNIST with FSDD".

        With Speech Commands, about half of the train images of each digit that it has get one of
        its train recordings instead, so that neither data set drowns the other. The test pairs stay
        the same.

        Args:
            sample_rate: Bring recordings to this rate, in Hz.
            seed: Determines the split and the pairing.
            held_out_speaker: Test on this speaker of FSDD alone, train on the others.

        Raises:
            InputError: Data are missing or damaged, or there is no such speaker.

        """
        if held_out_speaker is None:
            train_clips, test_clips = split_at_random(self.clips, seed)
        else:
            train_clips, test_clips = split_by_speaker(self.clips, held_out_speaker)
        generator = torch.Generator().manual_seed(seed)
        train_images, test_images = load_mnist(self.root, "train"), load_mnist(self.root, "test")
        train = _align(train_images, train_clips, sample_rate, generator)
        test = _align(test_images, test_clips, sample_rate, generator)
        if self.words:  # drawn last, so that the test pairs are the same with and without them
            words = read_clips(self.words, sample_rate)
            train = _mix(train, train_images.labels, words, generator)
        return PairedDigits(train, test, test_images.labels, test_clips)


def list_pairs(root: Path, *, speech_commands: bool = False) -> ListedPairs:
    """Find the recordings to be paired with MNIST's images.

    Args:
        root: Data folder, as from `audiate.datasets.installed.data_root`.
        speech_commands: Train on the recordings of Speech Commands as well as on FSDD's.

    Raises:
        InputError: Recordings are missing or damaged.

    """
    clips, words = load_fsdd(root), []
    if speech_commands:
        try:
            words = load_speech_commands(root, "train")
        except InputError as error:
            raise InputError(f"{error}; or do without it: `speech_commands=False`") from error
    return ListedPairs(root, clips, words)


def load_pairs(
    root: Path,
    *,
    sample_rate: int,
    seed: int = 0,
    held_out_speaker: str | None = None,
    speech_commands: bool = False,
) -> PairedDigits:
    """Find and read pairs; see `list_pairs` and `ListedPairs.read`."""
    listed = list_pairs(root, speech_commands=speech_commands)
    return listed.read(sample_rate=sample_rate, seed=seed, held_out_speaker=held_out_speaker)


def _align(
    images: LabelledImages, clips: list[Clip], sample_rate: int, generator: torch.Generator
) -> Pairs:
    recordings = [load_audio(clip.path, sample_rate)[0] for clip in clips]
    heard = draw_same_label(images.labels, torch.tensor([c.label for c in clips]), generator)
    return Pairs(images.images, recordings, heard, sample_rate)


def _mix(
    pairs: Pairs, labels: Tensor, words: LabelledRecordings, generator: torch.Generator
) -> Pairs:
    """Pair each image whose digit is among ``words`` with one of them, at even odds."""
    toss = torch.rand(len(labels), generator=generator) < 0.5
    changed = toss & torch.isin(labels, words.labels)
    heard = pairs.heard.clone()
    heard[changed] = draw_same_label(labels[changed], words.labels, generator)
    heard[changed] += len(pairs.recordings)  # where the words begin
    return replace(pairs, recordings=[*pairs.recordings, *words.recordings], heard=heard)


def draw_same_label(labels: Tensor, choices: Tensor, generator: torch.Generator) -> Tensor:
    """Draw for each of ``labels`` the index of one of ``choices`` that is equal to it.

    Indices are drawn uniformly, with replacement. Labels and choices are (count,), int64, each of
    their own length.

    Raises:
        InputError: No choice is equal to one of the labels.

    """
    drawn = torch.empty_like(labels)
    for label in torch.unique(labels):
        pool = (choices == label).nonzero().squeeze(1)
        if len(pool) == 0:
            raise InputError(
                f"no recording of the digit {int(label)} on this side of the split; "
                f"try another `seed`"
            )
        wanted = labels == label
        pick = torch.randint(len(pool), (int(wanted.sum()),), generator=generator)
        drawn[wanted] = pool[pick]
    return drawn
