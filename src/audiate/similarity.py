"""Measures of how similar clips are to their targets, pair by pair."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.errors import InputError
from audiate.fourier import full_precision, hann_window, power_spectrum
from audiate.spectra import decibels

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


def log_spectral_distance(output: Tensor, target: Tensor) -> Tensor:
    """Root mean square, over bins, of the difference of levels in dB, averaged over frames.

    Gray and Markel 1976, equation 2. Frames have 512 samples and are 128 apart, under a Hann
    window. Power more than 100 dB below that of a sine of full scale counts as that.

    Args:
        output: Waveforms (batch, samples).
        target: Waveforms (batch, samples).

    Returns:
        Distances (batch,), in dB; 0 for equal waveforms.

    """
    pairs = zip(_levels(output), _levels(target), strict=True)
    each = [(first - second).square().mean(1).sqrt() for first, second in pairs]
    return torch.cat(each, 1).mean(1)


def _levels(waveforms: Tensor) -> Iterator[Tensor]:
    """Levels in dB (batch, bins, frames) of centred frames, `_FRAMES` at a time in all clips."""
    n_fft, hop_length = 512, 128
    window = hann_window(n_fft).to(waveforms.device)
    padded = F.pad(waveforms, (n_fft // 2, n_fft // 2))
    frames, block = waveforms.shape[1] // hop_length + 1, max(_FRAMES // len(waveforms), 1)
    for begin in range(0, frames, block):
        last = min(begin + block, frames) - 1
        part = padded[:, begin * hop_length : last * hop_length + n_fft]
        power = power_spectrum(part, window, hop_length, centred=False)
        # The peak of a sine of full scale is a quarter of the frame's length under this window.
        yield decibels(power / (n_fft // 4) ** 2, 1e-10)
