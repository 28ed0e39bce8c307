"""Random changes to waveforms and their spectrograms: other voices, rooms, microphones, noise.

`audiate.training.augment` makes similar changes to the aligned words of the drawing models.
"""

from __future__ import annotations

from math import log, pi

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.log_mel import at_times

_SPEED = log(1.18)  # logarithm of the largest change of speed and pitch
_SHIFT = 0.12  # largest shift, as a share of the clip
_TILT_DB = 8.0  # largest gain at either end of the spectrum
_BUMPS_DB = 4.0  # largest of six random gains across the spectrum
_NARROW = 0.4  # share of clips without high frequencies, as half of our speech is telephone-like
_CUTOFF_HZ = (3300.0, 7000.0)
_REVERBERANT = 0.3  # share of clips with reverberation
_DECAY_SECONDS = (0.02, 0.12)
_NOISY = 0.7  # share of clips with noise
_SIGNAL_TO_NOISE_DB = (0.0, 45.0)
_STRETCH = 0.12  # largest stretch, as a share of the frequency axis: other vocal tracts
_MASK = 0.12  # largest share of hidden frames, and of hidden bins
_FLOOR = 0.4  # largest share of the range of levels that is hidden from below


def perturbed(waveforms: Tensor, sample_rate: int) -> Tensor:
    """Change each of the waveforms (batch, samples) at ``sample_rate``, in Hz, at random."""
    moved = _move(waveforms)
    spectrum = torch.fft.rfft(moved, 2 * moved.shape[1])  # twice as long: echoes do not wrap
    hertz = torch.linspace(0, sample_rate / 2, spectrum.shape[1])
    heard = spectrum * _gains(len(moved), hertz) * _room(moved, sample_rate)
    power = heard.abs().square().mean(1, keepdim=True)
    mixed = heard + _noise(heard.shape, power)
    changed: Tensor = torch.fft.irfft(mixed)
    return changed[:, : moved.shape[1]]


def masked(spectrograms: Tensor, *, hide_faint: bool) -> Tensor:
    """Stretch the frequency axis of spectrograms at random, and hide runs of frames and of bins.

    Random numbers are drawn on the CPU, so that they are the same wherever the spectrograms are.

    Args:
        spectrograms: (batch, frames, bins), on any device; levels in [0, 1] if ``hide_faint``.
        hide_faint: Raise at random the floor below which all levels are 0.

    Returns:
        Spectrograms of the same shape, on the same device.

    """
    batch, frames, bins = spectrograms.shape
    device = spectrograms.device
    stretch = 1 + _uniform(batch, _STRETCH)
    where = (torch.arange(bins) * stretch).clamp_max(bins - 1).to(device)
    seen = at_times(spectrograms, where)
    if hide_faint:
        floor = _FLOOR * torch.rand(batch, 1, 1).to(device)
        seen = ((seen - floor) / (1 - floor)).clamp_min(0)
    fill = seen.mean((1, 2), keepdim=True)
    for axis, size in ((1, frames), (2, bins)):
        width = _MASK * size * torch.rand(batch, 1)
        begin = torch.rand(batch, 1) * (size - width)
        index = torch.arange(size)
        hidden = ((index >= begin) & (index < begin + width)).to(device)
        seen = torch.where(hidden.unsqueeze(3 - axis), fill, seen)
    return seen


def shifted(waveforms: Tensor, most: int) -> Tensor:
    """Move each of the waveforms (batch, channels, samples) by up to ``most`` samples at random.

    What moves beyond an end is lost, and zeros fill the other one.
    """
    shifts = torch.randint(-most, most + 1, (len(waveforms), 1, 1))
    samples = waveforms.shape[2]
    source = torch.arange(samples) - shifts
    inside = (source >= 0) & (source < samples)
    moved = waveforms.gather(2, source.clamp(0, samples - 1).expand_as(waveforms))
    return moved * inside


def _uniform(batch: int, limit: float) -> Tensor:
    return (2 * torch.rand(batch, 1) - 1) * limit


def _between(batch: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(batch, 1)


def _move(waveforms: Tensor) -> Tensor:
    """Play waveforms faster or slower about the middle, and earlier or later."""
    batch, samples = waveforms.shape
    speed = _uniform(batch, _SPEED).exp()
    middle = samples / 2 + _uniform(batch, _SHIFT * samples)
    times = middle + (torch.arange(samples) - samples / 2) * speed
    return at_times(waveforms.unsqueeze(1), times).squeeze(1)


def _gains(batch: int, hertz: Tensor) -> Tensor:
    """Gains (batch, bins) of random microphones: a tilt, smooth bumps, for some a cut-off."""
    tilt = _uniform(batch, _TILT_DB) * torch.linspace(-1, 1, len(hertz))
    knots = (2 * torch.rand(batch, 1, 6) - 1) * _BUMPS_DB
    bumps = F.interpolate(knots, size=len(hertz), mode="linear", align_corners=True).squeeze(1)
    passed = hertz < _between(batch, *_CUTOFF_HZ)
    passed |= torch.rand(batch, 1) > _NARROW
    return 10 ** ((tilt + bumps) / 20) * passed


def _room(waveforms: Tensor, sample_rate: int) -> Tensor:
    """Transfer functions (batch, bins) of random rooms: decaying noise after the direct sound."""
    batch, samples = waveforms.shape
    length = int(sample_rate * 4 * _DECAY_SECONDS[1])
    decay = _between(batch, *_DECAY_SECONDS) * sample_rate
    tail = torch.randn(batch, length) * (-torch.arange(length) / decay).exp() / decay.sqrt()
    tail = tail * torch.rand(batch, 1) * (torch.rand(batch, 1) < _REVERBERANT)
    tail[:, 0] += 1
    response: Tensor = torch.fft.rfft(tail, 2 * samples)
    return response


def _noise(shape: torch.Size, power: Tensor) -> Tensor:
    """Spectra of steady noise with a random slope, for most of the batch."""
    batch, bins = shape
    ratio = 10 ** (_between(batch, *_SIGNAL_TO_NOISE_DB) / 10)
    chosen = torch.rand(batch, 1) < _NOISY
    slope = 10 ** (_uniform(batch, 10.0) * torch.linspace(-1, 1, bins) / 20)
    slope = slope / slope.square().mean(1, keepdim=True).sqrt()
    # Of a signal that fills half of the transform's length, noise has twice the power there.
    level = (2 * power / ratio).sqrt() * chosen
    angle = 2 * pi * torch.rand(batch, bins)
    return torch.polar(level * slope * torch.empty(batch, bins).exponential_().sqrt(), angle)
