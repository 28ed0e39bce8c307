"""Scores of reconstructed clips against their originals, clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from audiate.audio import fit_length, resample
from audiate.errors import InputError
from audiate.similarity import log_spectral_distance, mean_squared_error, structural_similarity
from audiate.spectra import Spectrogram

MIN_COMPARED = 11 * Spectrogram.hop_length
"""Least number of samples of a clip that is scored: SSIM's window takes 11 frames."""

MAX_COMPARED = 2**24
"""Limit of the samples of a clip that is scored: 17 minutes at 16,000 Hz."""


class Classifier(Protocol):
    """A classifier of spoken words.

    Attributes:
        sample_rate: Sample rate of its clips, in Hz.
        num_samples: Number of samples of a clip.

    """

    sample_rate: int
    num_samples: int

    def __call__(self, waveforms: Tensor, /) -> Tensor:
        """Logits (batch, classes) of waveforms (batch, num_samples)."""
        ...


@dataclass(frozen=True)
class ClipScores:
    """The scores of a reconstruction against its original.

    Attributes:
        mse: Mean squared difference of samples.
        ssim: Structural similarity of the real parts of spectrograms, at most 1 (Keyes et al.
            2020, tables 1 and 2).
        log_spectral_distance: Log-spectral distance, in dB.
        digit_before: Digit that the classifier recognises in the original; None without one.
        digit_after: Digit that it recognises in the reconstruction.

    """

    mse: float
    ssim: float
    log_spectral_distance: float
    digit_before: int | None
    digit_after: int | None


@torch.inference_mode()
def score_clips(
    output: Tensor,
    target: Tensor,
    sample_rate: int,
    classifier: Classifier | None,
    *,
    logits: tuple[Tensor, Tensor] | None = None,
) -> list[ClipScores]:
    """Score reconstructions against their originals.

    Args:
        output: Reconstructions (batch, channels, samples).
        target: Originals (batch, channels, samples).
        sample_rate: Sample rate of both, in Hz.
        classifier: Classifier of spoken digits that both are given to, on the CPU; or None.
        logits: The classifier's logits (batch, classes) of output and target, where they are known
            already, so that it need not run again.

    Returns:
        The scores of each clip.

    Raises:
        InputError: Shapes differ, or clips are too short or too long to be compared.

    """
    if output.shape != target.shape:
        raise InputError(
            f"output {tuple(output.shape)}, target {tuple(target.shape)}: give one shape"
        )
    check_comparable(output.shape[-1])
    output, target = output.cpu().float(), target.cpu().float()
    spectrogram = Spectrogram("real")
    mono = output.mean(1), target.mean(1)
    known = logits or (None, None)
    columns = (
        mean_squared_error(output, target).tolist(),
        structural_similarity(*(spectrogram(each).double() for each in mono)).tolist(),
        log_spectral_distance(*mono).tolist(),
        _digits(classifier, mono[1], sample_rate, known[1]),
        _digits(classifier, mono[0], sample_rate, known[0]),
    )
    return [ClipScores(*row) for row in zip(*columns, strict=True)]


def check_comparable(num_samples: int) -> None:
    """Make sure that clips of so many samples can be compared, by SSIM and otherwise.

    Raises:
        InputError: They are too short or too long.

    """
    if num_samples < MIN_COMPARED:
        raise InputError(f"clips of {num_samples} samples: give at least {MIN_COMPARED}")
    if num_samples > MAX_COMPARED:
        raise InputError(
            f"clips of {num_samples:,} samples: at most {MAX_COMPARED:,} are compared; cut "
            f"out the part you mean"
        )


def classifier_input(waveforms: Tensor, sample_rate: int, classifier: Classifier) -> Tensor:
    """Bring waveforms to the form that a classifier takes.

    Args:
        waveforms: (batch, samples), or (batch, channels, samples), whose channels are averaged.
        sample_rate: Sample rate of the waveforms, in Hz.
        classifier: Classifier whose sample rate and length they are brought to.

    Returns:
        Waveforms (batch, classifier.num_samples), on the CPU.

    """
    mono = waveforms.mean(1) if waveforms.dim() == 3 else waveforms
    each = [resample(waveform, sample_rate, classifier.sample_rate) for waveform in mono.cpu()]
    return torch.stack([fit_length(waveform, classifier.num_samples) for waveform in each])


def _digits(
    classifier: Classifier | None, waveforms: Tensor, sample_rate: int, logits: Tensor | None
) -> Sequence[int | None]:
    """Digits that the classifier recognises in waveforms (batch, samples)."""
    if classifier is None:
        return [None] * len(waveforms)
    if logits is None:
        clips = classifier_input(waveforms, sample_rate, classifier)
        # A network may be on a GPU; another classifier takes what it is given.
        logits = classifier(clips.to(getattr(classifier, "device", clips.device)))
    digits: list[int] = logits.argmax(1).tolist()
    return digits
