"""Recordings of spoken digits, at the sample rate and length of a model."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from audiate.audio.files import fit_length
from audiate.data.digits import ValidationPart, load_fsdd, load_validation_words, split_by_speaker
from audiate.data.sounds import SoundSet, digit_clips, list_digits
from audiate.data.sources import DIGIT_SETS
from audiate.training.batches import EvenOrder
from audiate.utils.progress import working


def train_clips(root: Path, sample_rate: int, num_samples: int) -> SoundSet:
    """Read the clips of all `audiate.data.sources.DIGIT_SETS` that models are trained on.

    Args:
        root: Data folder.
        sample_rate: Sample rate of the clips, in Hz.
        num_samples: Length of the clips, in samples.

    Raises:
        InputError: The data is missing or damaged.

    """
    clips = list_digits(digit_clips(root, DIGIT_SETS))
    with working("reading train clips"):
        return clips.read(sample_rate=sample_rate, num_samples=num_samples)


def speaker_clips(
    root: Path, sample_rate: int, num_samples: int, speaker: str
) -> tuple[Tensor, Tensor]:
    """Read the waveforms (count, num_samples) and the digits of a speaker of FSDD."""
    _, clips = split_by_speaker(load_fsdd(root), speaker)
    sounds = list_digits([clips]).read(sample_rate=sample_rate, num_samples=num_samples)
    return sounds.waveforms(torch.arange(len(sounds.labels))).mean(1), sounds.labels


class ValidationClips(NamedTuple):
    """Clips of held-out speakers.

    Attributes:
        waveforms: (count, num_samples), in [-1, 1].
        labels: Their digits (count,), int64.
        voices: Numbers of their speakers (count,), int64.

    """

    waveforms: Tensor
    labels: Tensor
    voices: Tensor


def read_validation(
    root: Path, sample_rate: int, num_samples: int, part: ValidationPart = "all"
) -> ValidationClips:
    """Read the Speech Commands validation clips, of held-out speakers.

    Args:
        root: Data folder.
        sample_rate: Sample rate of the clips, in Hz.
        num_samples: Length of the clips, in samples.
        part: Which of them, as for `audiate.data.digits.load_validation_words`.

    Raises:
        InputError: The data is missing or damaged.

    """
    with working("reading validation clips"):
        words = load_validation_words(root, sample_rate, part)
    clips = [fit_length(recording, num_samples) for recording in words.recordings]
    return ValidationClips(torch.stack(clips), words.labels, words.voices)


class RealClips:
    """Real clips that ``count`` sounds are scored beside, and the choices among them.

    Attributes:
        waveforms: Train clips (n, num_samples).
        labels, strata, voices: Their digits, their strata of digit and data set, and their
            speakers, (n,) each.
        half, other_half: Numbers of the clips of two halves, each with half of every stratum.
        first, drawn: Numbers (count,) of two draws, with replacement, even by digit and data set.
        validation: Validation clips, of other speakers.
        again: Numbers (count,) of a draw of these, with replacement, even by digit.

    """

    def __init__(self, root: Path, sample_rate: int, num_samples: int, count: int) -> None:
        sounds = train_clips(root, sample_rate, num_samples)
        self.waveforms = sounds.waveforms(torch.arange(len(sounds.labels))).mean(1)
        self.labels, self.voices = sounds.labels, sounds.voices
        self.strata = sounds.labels * len(DIGIT_SETS) + sounds.sources
        self.half, self.other_half = disjoint_halves(self.strata, seed=0)
        order = EvenOrder(sounds.labels, sounds.sources, count, seed=0)
        self.first, self.drawn = order.batch(0), order.batch(1)
        self.validation = read_validation(root, sample_rate, num_samples)
        spoken = self.validation.labels
        self.again = EvenOrder(spoken, torch.zeros_like(spoken), count, seed=0).batch(0)


def disjoint_halves(strata: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Divide clips (count,) at random into two halves, each with half of every stratum's clips.

    Returns:
        Indices of the clips of each half; of two strata's odd clips, one goes to either half.

    """
    order = torch.randperm(len(strata), generator=torch.Generator().manual_seed(seed))
    order = order[strata[order].argsort(stable=True)]
    return order[::2], order[1::2]


def choose_evenly(labels: Tensor, count: int, seed: int) -> Tensor:
    """Choose clips at random, without replacement, as many of each label as possible.

    Args:
        labels: Labels (n,), int64, of all clips.
        count: Number of clips to choose. All are chosen where there are fewer.
        seed: Seed of the choice.

    Returns:
        Indices of the clips (at most count,), in random order.

    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    one_hot = torch.nn.functional.one_hot(labels[order])
    turn = one_hot.cumsum(0).gather(1, labels[order].unsqueeze(1)).squeeze(1)
    rows = order[turn.argsort(stable=True)[:count]]
    return rows[torch.randperm(len(rows), generator=generator)]  # rare labels come first otherwise
