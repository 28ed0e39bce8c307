"""Metrics of reconstructed clips: MSE, SSIM, log-spectral distance, digits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.files import fit_length, resample
from audiate.audio.spectrograms import Spectrogram, decibels, wide_mel_filters
from audiate.audio.stft import full_precision, hann_window, spectrum_parts
from audiate.errors import InputError

_SSIM_ROWS = 512  # rows of SSIM's map at a time, as its windows are a matrix of rows times rows
_FRAMES = 2**15  # frames of short-time spectra at a time: 67 MB for 257 bins


def mean_squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean over channels and samples of (output - target)², (batch,).

    ``output`` and ``target``: waveforms (batch, channels, samples).
    """
    return (output - target).square().flatten(1).mean(1)


@full_precision
def structural_similarity(output: Tensor, target: Tensor, span: float | None = None) -> Tensor:
    """SSIM (batch,) of spectrograms (batch, height, width): at most 1, which equal ones have.

    Wang et al. 2004, with their Gaussian window of 11 x 11 (deviation 1.5), K1 = 0.01, K2 = 0.03,
    over all places where the window fits. It is differentiable.

    Args:
        output: Spectrograms, in float64 or else computed in float32, where the fifth decimal is
            uncertain.
        target: Spectrograms.
        span: The range of values; by default that of each pair by itself, from the least to the
            greatest value of both, as Keyes et al. 2020 have it. A pair of constants has SSIM 1.

    Raises:
        InputError: Shapes differ, or are smaller than the window.

    """
    if output.shape != target.shape or output.dim() != 3 or min(output.shape[1:]) < 11:
        raise InputError(
            f"SSIM of {tuple(output.shape)} and {tuple(target.shape)}: give pairs of one shape "
            f"(batch, height, width), at least 11 x 11"
        )
    pair = torch.stack([output, target])
    pair = pair.to(torch.promote_types(pair.dtype, torch.float32))
    spans = pair.amax((0, 2, 3)) - pair.amin((0, 2, 3))
    if span is not None:
        spans = torch.full_like(spans, span)
    first, second = pair / spans.clamp_min(1e-12).view(-1, 1, 1)
    sums: Tensor = torch.zeros_like(spans)
    for begin in range(0, first.shape[1] - 10, _SSIM_ROWS):
        rows = slice(begin, begin + _SSIM_ROWS + 10)
        sums = sums + _similarity_map(first[:, rows], second[:, rows]).sum((1, 2))
    similarity: Tensor = sums / ((first.shape[1] - 10) * (first.shape[2] - 10))
    return similarity


def _similarity_map(first: Tensor, second: Tensor) -> Tensor:
    """Local similarities (batch, height - 10, width - 10) of images (batch, height, width)."""
    down, across = (_gaussian_window(size).to(first) for size in first.shape[1:])

    def blurred(images: Tensor) -> Tensor:
        return down @ images @ across.T

    means = blurred(first), blurred(second)
    variance = blurred(first.square()) - means[0].square()
    other_variance = blurred(second.square()) - means[1].square()
    covariance = blurred(first * second) - means[0] * means[1]
    small, smaller = 0.01**2, 0.03**2
    luminance = (2 * means[0] * means[1] + small) / (means[0].square() + means[1].square() + small)
    contrast = (2 * covariance + smaller) / (variance + other_variance + smaller)
    return luminance * contrast


def _gaussian_window(size: int) -> Tensor:
    """The matrix (size - 10, size) that slides SSIM's window, of 11 places, over a line.

    Products of matrices are several times as fast as a convolution with one channel.
    """
    offsets = torch.arange(size).unsqueeze(0) - torch.arange(size - 10).unsqueeze(1) - 5
    weights = torch.exp(-offsets.double().square() / (2 * 1.5**2)) * (offsets.abs() <= 5)
    return weights / weights.sum(1, keepdim=True)


def log_spectral_distance(output: Tensor, target: Tensor, *, by_products: bool = False) -> Tensor:
    """Root mean square, over bins, of the difference of levels in dB, averaged over frames.

    Gray and Markel 1976, equation 2. Frames have 512 samples and are 128 apart, under a Hann
    window. Power more than 100 dB below that of a sine of full scale counts as that.

    Args:
        output: Waveforms (batch, samples).
        target: Waveforms (batch, samples).
        by_products: As in `audiate.audio.stft.FourierModule`.

    Returns:
        Distances (batch,), in dB; 0 for equal waveforms.

    """
    pairs = zip(*(_levels(each, by_products) for each in (output, target)), strict=True)
    each = [(first - second).square().mean(1).sqrt() for first, second in pairs]
    return torch.cat(each, 1).mean(1)


@full_precision
def mel_distance(output: Tensor, target: Tensor, sample_rate: int) -> Tensor:
    """Root mean square, over 80 mel bands, of the difference of levels in dB, averaged over frames.

    Unlike `log_spectral_distance`, it does not count it as an error that noise is another noise of
    the same level: of single bins, that alone makes 7.9 dB. Frames have 1,024 samples, are 256
    apart, and lie under a Hann window. Power more than 60 dB below the loudest of the target counts
    as that, and frames in which the target has no more are left out.

    Args:
        output: Waveforms (batch, samples).
        target: Waveforms (batch, samples).
        sample_rate: In Hz.

    Returns:
        Distances (batch,), in dB; 0 for equal waveforms, NaN where the target is silent.

    """
    n_fft, hop_length, bands = 1_024, 256, 80
    window = hann_window(n_fft).to(target.device)
    filters = wide_mel_filters(sample_rate, n_fft, bands).to(target.device)
    power = [
        filters @ spectrum_parts(each, window, hop_length).power() for each in (output, target)
    ]
    floor = 1e-6 * power[1].amax((1, 2), keepdim=True)
    heard = (power[1] > floor).any(1)
    one, other = (decibels(torch.maximum(each, floor)) for each in power)
    distances = (one - other).square().mean(1).sqrt()
    return (distances * heard).sum(1) / heard.sum(1)


def _levels(waveforms: Tensor, by_products: bool) -> Iterator[Tensor]:
    """Levels in dB (batch, bins, frames) of centred frames, `_FRAMES` at a time in all clips."""
    n_fft, hop_length = 512, 128
    window = hann_window(n_fft).to(waveforms.device)
    padded = F.pad(waveforms, (n_fft // 2, n_fft // 2))
    frames, block = waveforms.shape[1] // hop_length + 1, max(_FRAMES // len(waveforms), 1)
    for begin in range(0, frames, block):
        last = min(begin + block, frames) - 1
        part = padded[:, begin * hop_length : last * hop_length + n_fft]
        power = spectrum_parts(
            part, window, hop_length, centred=False, by_products=by_products
        ).power()
        # The peak of a sine of full scale is a quarter of the frame's length under this window.
        yield decibels(power / (n_fft // 4) ** 2, 1e-10)


_FAINT = 1e-3  # of a clip's peak: -60 dB

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
        digit_before: Digit of the original, by the classifier; None without one.
        digit_after: Digit of the reconstruction, by the classifier.

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

    SSIM and log-spectral distance are taken where there is sound: from the first to the last sample
    of either clip that lies within 60 dB of its peak. Silence around a short sound is easily right.

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
    after, before = (
        _digits(classifier, each, sample_rate, known)
        for each, known in zip(mono, logits or (None, None), strict=True)
    )
    rows = []
    for one, other in zip(*mono, strict=True):
        there = _sounding(one, other)
        pair = one[None, there], other[None, there]
        ssim = structural_similarity(*(spectrogram(each).double() for each in pair))
        rows.append((ssim.item(), log_spectral_distance(*pair).item()))
    errors = mean_squared_error(output, target).tolist()
    return [
        ClipScores(error, *row, *digits)
        for error, row, *digits in zip(errors, rows, before, after, strict=True)
    ]


def _sounding(*clips: Tensor) -> slice:
    """Find the part in which one of several clips (samples,) sounds, of `MIN_COMPARED` or more."""
    loud = torch.stack([clip.abs() >= _FAINT * clip.abs().max().clamp_min(1e-9) for clip in clips])
    places = loud.any(0).nonzero().flatten()
    if not len(places):
        return slice(None)
    samples = len(clips[0])
    begin = min(int(places[0]), samples - MIN_COMPARED)
    return slice(begin, max(int(places[-1]) + 1, begin + MIN_COMPARED))


def check_comparable(num_samples: int) -> None:
    """Check that clips of so many samples can be compared, by SSIM and otherwise.

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
    """Classify waveforms (batch, samples): digits, or None without a classifier."""
    if classifier is None:
        return [None] * len(waveforms)
    if logits is None:
        clips = classifier_input(waveforms, sample_rate, classifier)
        # A network may be on a GPU; another classifier takes what it is given.
        logits = classifier(clips.to(getattr(classifier, "device", clips.device)))
    digits: list[int] = logits.argmax(1).tolist()
    return digits
