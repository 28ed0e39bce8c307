"""Sounds of a source and a filter: pulses and noise that pass time-varying filters.

Fant 1960 describes speech this way. Frames of a track lie in the middle of their hop: frame t of a
track with ``hop_length`` samples a frame is centred at sample ``(t + 0.5) * hop_length``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.stft import full_precision, hann_window

_NEAR = 1e-4  # sine below which a pulse's formula is replaced by its limit


@torch.no_grad()
def pulse_train(f0: Tensor, sample_rate: int) -> Tensor:
    """Pulses at a fundamental frequency, of all harmonics below half of the sample rate.

    Each pulse is the Dirichlet kernel of the phase that F0 sums to, so nothing is aliased. The mean
    power is 1, whatever F0 is.

    Args:
        f0: (batch, samples), in Hz, above 0.
        sample_rate: In Hz.

    Returns:
        (batch, samples).

    """
    cycles = (f0.double() / sample_rate).cumsum(1).remainder(1)
    harmonics = ((0.5 * sample_rate / f0.double()).ceil() - 1).clamp_min(1)
    half = (torch.pi * cycles).sin()
    whole = (2 * harmonics + 1) * torch.pi * cycles
    near = half.abs() < _NEAR
    kernel = torch.where(near, 2 * harmonics + 1, whole.sin() / torch.where(near, 1.0, half))
    # The sum of K cosines is half of the kernel less one, and has a power of K / 2.
    return ((kernel - 1) / (2 * harmonics).sqrt()).to(f0.dtype)


@full_precision
def minimum_phase(log_magnitude: Tensor) -> Tensor:
    """Give magnitudes the phases of a causal filter, with the most energy at its begin.

    The cepstrum is folded onto positive times (Oppenheim and Schafer 1975).

    Args:
        log_magnitude: Natural logarithms (..., bins) for all bins of a transform of even length.

    Returns:
        Complex spectra (..., bins) of these magnitudes.

    """
    half = log_magnitude.shape[-1] - 1
    cepstrum = torch.fft.irfft(log_magnitude)
    folded = torch.cat(
        [cepstrum[..., :1], 2 * cepstrum[..., 1:half], cepstrum[..., half : half + 1]], -1
    )
    spectrum: Tensor = torch.fft.rfft(folded, 2 * half)
    return spectrum.exp()


@full_precision
def filtered(source: Tensor, spectra: Tensor, hop_length: int) -> Tensor:
    """Pass sounds through filters that change from frame to frame, and overlap the frames.

    Args:
        source: (batch, frames * hop_length).
        spectra: (batch, frames, bins), the filters of centred frames; their transform has
            ``n = 2 * (bins - 1)`` samples, a multiple of twice ``hop_length``.
        hop_length: In samples.

    Returns:
        Sounds (batch, frames * hop_length).

    """
    length = 2 * (spectra.shape[-1] - 1)
    window = hann_window(length).to(source.device, source.dtype).sqrt()
    edge = (length - hop_length) // 2
    frames = F.pad(source, (edge, edge)).unfold(1, length, hop_length) * window
    changed = torch.fft.irfft(torch.fft.rfft(frames) * spectra, length) * window
    return overlapped(changed, hop_length) / overlapped(
        window.square().expand(1, *changed.shape[1:]), hop_length
    )


def overlapped(frames: Tensor, hop_length: int) -> Tensor:
    """Add centred frames (batch, frames, n) at their places: (batch, frames * hop_length)."""
    _, count, length = frames.shape
    edge = (length - hop_length) // 2
    size = (1, (count - 1) * hop_length + length)
    summed = F.fold(frames.transpose(1, 2), size, (1, length), stride=(1, hop_length))
    return summed[:, 0, 0, edge : edge + count * hop_length]
