"""Sounds of a source and a filter: pulses and noise that pass time-varying filters.

Fant 1960 describes speech this way. Frames of a track lie in the middle of their hop: frame t of a
track with ``hop_length`` samples a frame is centred at sample ``(t + 0.5) * hop_length``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.stft import Parts, full_precision, hann_window, inverse_transform, transform

_NEAR = 1e-4  # sine below which a pulse's formula is replaced by its limit


@torch.no_grad()
def pulse_train(f0: Tensor, sample_rate: int, phase: Tensor | None = None) -> Tensor:
    """Pulses at a fundamental frequency, of all harmonics below half of the sample rate.

    Each pulse is the Dirichlet kernel of the phase that F0 sums to, so nothing is aliased. The mean
    power is 1, whatever F0 is.

    Args:
        f0: (batch, samples), in Hz, above 0.
        sample_rate: In Hz.
        phase: Cycles (batch,) before the first sample; 0 by default.

    Returns:
        (batch, samples).

    """
    cycles = (f0.double() / sample_rate).cumsum(1)
    cycles = (cycles if phase is None else cycles + phase.unsqueeze(1)).remainder(1)
    harmonics = ((0.5 * sample_rate / f0.double()).ceil() - 1).clamp_min(1)
    half = (torch.pi * cycles).sin()
    whole = (2 * harmonics + 1) * torch.pi * cycles
    near = half.abs() < _NEAR
    kernel = torch.where(near, 2 * harmonics + 1, whole.sin() / torch.where(near, 1.0, half))
    # The sum of K cosines is half of the kernel less one, and has a power of K / 2.
    return ((kernel - 1) / (2 * harmonics).sqrt()).to(f0.dtype)


@full_precision
def minimum_phase(log_magnitude: Tensor, *, by_products: bool = False) -> Parts:
    """Give magnitudes the phases of a causal filter, with the most energy at its begin.

    The cepstrum is folded onto positive times (Oppenheim and Schafer 1975).

    Args:
        log_magnitude: Natural logarithms (..., bins) for all bins of a transform of even length.
        by_products: As in `FourierModule`.

    Returns:
        Spectra (..., bins) of these magnitudes.

    """
    half = log_magnitude.shape[-1] - 1
    even = Parts(log_magnitude, torch.zeros_like(log_magnitude))
    cepstrum = inverse_transform(even, by_products=by_products)
    inner = F.pad(2 * cepstrum[..., 1:half], (1, 1))
    ends = F.pad(cepstrum[..., :1], (0, half)) + F.pad(cepstrum[..., half : half + 1], (half, 0))
    folded = F.pad(inner + ends, (0, half - 1))
    logarithm, angle = transform(folded, by_products=by_products)
    size = logarithm.exp()
    return Parts(size * angle.cos(), size * angle.sin())


@full_precision
def filtered(
    source: Tensor, filters: Parts, hop_length: int, *, by_products: bool = False
) -> Tensor:
    """Pass sounds through filters that change from frame to frame, and overlap the frames.

    Args:
        source: (batch, frames * hop_length).
        filters: Spectra (batch, frames, bins) of the filters of centred frames; their transform has
            ``n = 2 * (bins - 1)`` samples, a multiple of twice ``hop_length``.
        hop_length: In samples.
        by_products: As in `FourierModule`.

    Returns:
        Sounds (batch, frames * hop_length).

    """
    length = 2 * (filters.real.shape[-1] - 1)
    window = hann_window(length).to(source.device, source.dtype).sqrt()
    edge = (length - hop_length) // 2
    frames = F.pad(source, (edge, edge)).unfold(1, length, hop_length) * window
    real, imaginary = transform(frames, by_products=by_products)
    passed = Parts(
        real * filters.real - imaginary * filters.imaginary,
        real * filters.imaginary + imaginary * filters.real,
    )
    changed = inverse_transform(passed, by_products=by_products) * window
    return overlapped(changed, hop_length) / overlapped(
        window.square().expand(1, *changed.shape[1:]), hop_length
    )


def overlapped(frames: Tensor, hop_length: int) -> Tensor:
    """Add centred frames (batch, frames, n) at their places: (batch, frames * hop_length).

    ``n`` is a multiple of ``hop_length``.
    """
    batch, count, length = frames.shape
    pieces = frames.view(batch, count, length // hop_length, hop_length).unbind(2)
    last = len(pieces) - 1
    summed = sum(F.pad(piece, (0, 0, at, last - at)) for at, piece in enumerate(pieces))
    assert isinstance(summed, Tensor)
    edge = (length - hop_length) // 2
    return summed.flatten(1)[:, edge : edge + count * hop_length]
