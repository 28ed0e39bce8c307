"""Random changes to spoken words, made on their mel power, which is cheap enough for every batch.

A change keeps the word, and imitates another voice, room or microphone.
"""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.log_mel import LogMel, at_times
from audiate.audio.spectrograms import unit_decibels

_ENDS = 0.12  # largest shift of a word's begin and end, as a share of half its length
_WARP = 0.10  # largest shift of a word's middle, as a share of half its length
_TILT_DB = 6.0  # largest gain at either end of the spectrum
_BUMPS_DB = 3.0  # largest of six random gains across the spectrum
_NOISE_DB = (15.0, 60.0)  # level of noise below the loudest point, in half of the clips
_MEL_STRETCH = 0.08  # largest stretch, as a share of half the mel axis: other vocal tracts
_MASK = 10  # largest number of hidden bands, and of hidden frames

# Where words are to be found in noise:
_NOISY = 0.7  # share of clips with noise
_SIGNAL_TO_NOISE_DB = (0.0, 40.0)
_WIDE_STRETCH = 0.25  # largest stretch, as a share of half the mel axis
_FLOOR = 0.4  # largest share of the range of levels that is hidden from below


def augmented(features: LogMel, power: Tensor, words: Tensor) -> Tensor:
    """Spectrograms (batch, n_mels, frames) in [0, 1] of words that are changed at random.

    Args:
        features: The front end.
        power: (batch, n_mels, count) from `LogMel.mel_power`.
        words: (batch, 2) from `LogMel.find_words`.

    """
    seen = at_times(power, features.word_times(words, _random_positions(features, len(power))))
    seen = seen / seen.amax((1, 2), keepdim=True).clamp_min(1e-12)
    seen = (seen + _noise(seen)) * _equaliser(seen)
    return _mask(
        _stretch_mel(unit_decibels(seen, features.config.floor_db), _MEL_STRETCH, _MEL_STRETCH)
    )


def augmented_in_noise(features: LogMel, power: Tensor) -> Tensor:
    """Spectrograms (batch, n_mels, frames) in [0, 1] of words that are changed, in random noise.

    This is harder than `augmented`: steady noise reaches the level of the speech, and the word must
    first be found in it; voices are further apart; and a floor hides faint sounds.

    Args:
        features: The front end.
        power: (batch, n_mels, count) from `LogMel.mel_power`.

    """
    noisy = power + _steady_noise(features, power)
    words = features.find_words(noisy)
    seen = at_times(noisy, features.word_times(words, _random_positions(features, len(power))))
    seen = seen / seen.amax((1, 2), keepdim=True).clamp_min(1e-12) * _equaliser(seen)
    heard = unit_decibels(seen, features.config.floor_db)
    floor = _FLOOR * torch.rand(len(power), 1, 1)
    above = ((heard - floor) / (1 - floor)).clamp_min(0)
    return _mask(_stretch_mel(above, _WIDE_STRETCH, _WIDE_STRETCH / 2))


def _steady_noise(features: LogMel, power: Tensor) -> Tensor:
    """Gaussian noise of a random spectral slope under the clip, for most of the batch."""
    batch, bands, _ = power.shape
    inside = (power.sum(1, keepdim=True) > 0).to(power.dtype)
    signal = power.sum(1).sum(1) / inside.sum((1, 2)).clamp_min(1)
    low, high = _SIGNAL_TO_NOISE_DB
    ratio = 10 ** ((low + (high - low) * torch.rand(batch)) / 10)
    chosen = torch.rand(batch) < _NOISY
    slope = _uniform(batch, 10.0).unsqueeze(2) * torch.linspace(-1, 1, bands).view(1, -1, 1)
    # White noise has as much power in a band as its filter is wide.
    colour = 10 ** (slope / 10) * features.filters.sum(1).view(1, -1, 1)
    colour = colour / colour.sum(1, keepdim=True)
    # The power of a Gaussian signal in a narrow band is exponentially distributed.
    flicker = torch.empty_like(power).exponential_()
    return flicker * colour * inside * (signal / ratio * chosen).view(-1, 1, 1)


def _uniform(batch: int, limit: float) -> Tensor:
    return (2 * torch.rand(batch, 1) - 1) * limit


def _random_positions(features: LogMel, batch: int) -> Tensor:
    """Random positions (batch, frames) in each word, unevenly from about -1 to 1."""
    steps = torch.linspace(0, 1, features.config.frames)
    begin, end = -1 + _uniform(batch, _ENDS), 1 + _uniform(batch, _ENDS)
    at = begin + (end - begin) * steps
    return (
        at
        + _uniform(batch, _WARP) * torch.cos(at * pi / 2)
        + _uniform(batch, _WARP / 2) * torch.sin(at * pi)
    )


def _noise(power: Tensor) -> Tensor:
    """Bursty noise with a random spectral slope, for half of the batch."""
    batch, bands, _ = power.shape
    low, high = _NOISE_DB
    level = -(low + (high - low) * torch.rand(batch, 1, 1))
    slope = _uniform(batch, 10.0).unsqueeze(2) * torch.linspace(-1, 1, bands).view(1, -1, 1)
    bursts = torch.randn_like(power).square() + torch.rand_like(power)
    chosen = torch.rand(batch, 1, 1) < 0.5
    return bursts * 10 ** ((level + slope) / 10) * chosen


def _equaliser(power: Tensor) -> Tensor:
    """Random gains (batch, n_mels, 1): a tilt, and smooth bumps."""
    batch, bands, _ = power.shape
    tilt = _uniform(batch, _TILT_DB) * torch.linspace(-1, 1, bands)
    knots = (2 * torch.rand(batch, 1, 6) - 1) * _BUMPS_DB
    bumps = F.interpolate(knots, size=bands, mode="linear", align_corners=True).squeeze(1)
    return (10 ** ((tilt + bumps) / 10)).unsqueeze(2)


def _stretch_mel(spectrogram: Tensor, stretch: float, shift: float) -> Tensor:
    """Scale and shift the mel axis at random; beyond its ends, the edge is repeated."""
    batch, bands, _ = spectrogram.shape
    rows = torch.linspace(-1, 1, bands) * (1 + _uniform(batch, stretch))
    index = ((rows + _uniform(batch, shift) + 1) / 2 * (bands - 1)).clamp(0, bands - 1)
    return at_times(spectrogram.transpose(1, 2), index).transpose(1, 2)


def _mask(spectrogram: Tensor) -> Tensor:
    """Hide a run of bands and a run of frames behind the clip's mean (Park et al. 2019)."""
    fill = spectrogram.mean((1, 2), keepdim=True)
    for axis in (1, 2):
        size = spectrogram.shape[axis]
        width = torch.rand(len(spectrogram), 1) * _MASK
        begin = torch.rand(len(spectrogram), 1) * (size - width)
        index = torch.arange(size)
        hidden = (index >= begin) & (index < begin + width)
        spectrogram = torch.where(hidden.unsqueeze(3 - axis), fill, spectrogram)
    return spectrogram
