"""Random changes to waveforms, to the mel power of words, and to images, that keep what is shown.

Changed sounds imitate other voices, rooms and microphones, and changed images other hands, pens and
cameras. Random numbers are drawn on the CPU, so that they are the same on every device.
"""

from math import log, pi

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.log_mel import LogMel, at_times
from audiate.audio.spectrograms import unit_decibels

_NOISE_SLOPE_DB = 10.0  # largest level of noise at either end of the spectrum
_NOISY = 0.7  # share of clips with noise, where words are to be found in it
_FLOOR = 0.4  # largest share of the range of levels that is hidden from below

# Waveforms
_SPEED = log(1.18)  # logarithm of the largest change of speed and pitch
_SHIFT = 0.12  # largest shift, as a share of the clip
_MICROPHONE_DB = (8.0, 4.0)  # largest gain at either end of the spectrum, and of its bumps
_NARROW = 0.4  # share of clips without high frequencies, as half of our speech is telephone-like
_CUTOFF_HZ = (3300.0, 7000.0)
_REVERBERANT = 0.3  # share of clips with reverberation
_DECAY_SECONDS = (0.02, 0.12)
_SIGNAL_TO_NOISE_DB = (0.0, 45.0)

# Their spectrograms
_STRETCH = 0.12  # largest stretch, as a share of the frequency axis: other vocal tracts
_MASK = 0.12  # largest share of hidden frames, and of hidden bins

# Mel power of words
_ENDS = 0.12  # largest shift of a word's begin and end, as a share of half its length
_WARP = 0.10  # largest shift of a word's middle, as a share of half its length
_WORD_DB = (6.0, 3.0)  # as _MICROPHONE_DB
_NOISE_DB = (15.0, 60.0)  # level of noise below the loudest point, in half of the clips
_MEL_STRETCH = 0.08  # largest stretch, as a share of half the mel axis: other vocal tracts
_WIDE_STRETCH = 0.25  # the same where words are to be found in noise
_STEADY_NOISE_DB = (0.0, 40.0)  # signal over noise where words are to be found in it
_HIDDEN = 10  # largest number of hidden bands, and of hidden frames

# Images
_THICKER, _THINNER = 0.25, 0.15  # shares of images whose strokes change their width
_CONTRAST = (0.6, 1.6)  # exponents of the grey levels
_GRAIN = 0.08  # largest deviation of noise


def perturbed(waveforms: Tensor, sample_rate: int) -> Tensor:
    """Change each of the waveforms (batch, samples) at ``sample_rate``, in Hz, at random."""
    batch, samples = waveforms.shape
    speed = _uniform(batch, _SPEED).exp()
    middle = samples / 2 + _uniform(batch, _SHIFT * samples)
    times = middle + (torch.arange(samples) - samples / 2) * speed
    moved = at_times(waveforms.unsqueeze(1), times).squeeze(1)
    spectrum = torch.fft.rfft(moved, 2 * samples)  # twice as long: echoes do not wrap
    hertz = torch.linspace(0, sample_rate / 2, spectrum.shape[1])
    spectrum = spectrum * _microphones(batch, hertz) * _rooms(batch, samples, sample_rate)
    power = spectrum.abs().square().mean(1, keepdim=True)
    changed: Tensor = torch.fft.irfft(spectrum + _spectra_of_noise(spectrum.shape, power))
    return changed[:, :samples]


def shifted(waveforms: Tensor, most: int) -> Tensor:
    """Move each of the waveforms (batch, channels, samples) by up to ``most`` samples at random.

    What moves beyond an end is lost, and zeros fill the other one. With 0, no number is drawn.
    """
    if not most:
        return waveforms
    shifts = torch.randint(-most, most + 1, (len(waveforms), 1, 1))
    samples = waveforms.shape[2]
    source = torch.arange(samples) - shifts
    inside = (source >= 0) & (source < samples)
    moved = waveforms.gather(2, source.clamp(0, samples - 1).expand_as(waveforms))
    return moved * inside


def masked(spectrograms: Tensor, *, hide_faint: bool) -> Tensor:
    """Stretch the frequency axis of spectrograms at random, and hide runs of frames and of bins.

    Args:
        spectrograms: (batch, frames, bins), on any device; levels in [0, 1] if ``hide_faint``.
        hide_faint: Raise at random the floor below which all levels are 0.

    Returns:
        Spectrograms of the same shape, on the same device.

    """
    batch, _, bins = spectrograms.shape
    stretch = 1 + _uniform(batch, _STRETCH)
    where = (torch.arange(bins) * stretch).clamp_max(bins - 1).to(spectrograms.device)
    seen = at_times(spectrograms, where)
    if hide_faint:
        seen = _without_faint(seen)
    return _mask(seen, _MASK * seen.shape[1], _MASK * seen.shape[2])


def augmented(features: LogMel, power: Tensor, words: Tensor) -> Tensor:
    """Spectrograms (batch, n_mels, frames) in [0, 1] of words that are changed at random.

    Args:
        features: The front end.
        power: (batch, n_mels, count) from `LogMel.mel_power`.
        words: (batch, 2) from `LogMel.find_words`.

    """
    seen = _at_random_positions(features, power, words)
    batch, bands, _ = seen.shape
    level = -_between(batch, *_NOISE_DB).unsqueeze(2)
    slope = _tilt(batch, bands, _NOISE_SLOPE_DB).unsqueeze(2)
    bursts = torch.randn_like(seen).square() + torch.rand_like(seen)
    chosen = torch.rand(batch, 1, 1) < 0.5
    seen = (seen + bursts * 10 ** ((level + slope) / 10) * chosen) * _equaliser(seen)
    levels = unit_decibels(seen, features.config.floor_db)
    return _mask(_stretch_mel(levels, _MEL_STRETCH, _MEL_STRETCH), _HIDDEN, _HIDDEN)


def augmented_in_noise(features: LogMel, power: Tensor) -> Tensor:
    """Spectrograms (batch, n_mels, frames) in [0, 1] of words that are changed, in random noise.

    This is harder than `augmented`: steady noise reaches the level of the speech, and the word must
    first be found in it; voices are further apart; and a floor hides faint sounds.

    Args:
        features: The front end.
        power: (batch, n_mels, count) from `LogMel.mel_power`.

    """
    noisy = power + _steady_noise(features, power)
    seen = _at_random_positions(features, noisy, features.find_words(noisy))
    levels = unit_decibels(seen * _equaliser(seen), features.config.floor_db)
    stretched = _stretch_mel(_without_faint(levels), _WIDE_STRETCH, _WIDE_STRETCH / 2)
    return _mask(stretched, _HIDDEN, _HIDDEN)


def changed_images(images: Tensor) -> Tensor:
    """Change each of the images (batch, height, width) in [0, 1], white on black, at random.

    They are rotated (±15°), stretched (±15 %), sheared (±0.2) and shifted (±1.5 of 28 pixels), and
    strokes, contrast and noise change.
    """
    batch = len(images)
    seen = _placed(images, 15 / 180 * pi, 0.2, 0.15, 0.11, stretched_axis=2)
    draw = torch.rand(batch, 1, 1, 1)
    thick = F.max_pool2d(F.pad(seen, (0, 1, 0, 1)), 2, 1)
    thin = -F.max_pool2d(-F.pad(seen, (0, 1, 0, 1)), 2, 1)
    seen = torch.where(draw < _THICKER, thick, seen)
    seen = torch.where(draw > 1 - _THINNER, torch.lerp(seen, thin, 0.7), seen)
    low, high = _CONTRAST
    seen = seen.clamp(0, 1) ** (low * (high / low) ** torch.rand(batch, 1, 1, 1))
    noise = torch.randn_like(seen) * _GRAIN * torch.rand(batch, 1, 1, 1)
    return (seen + noise).clamp(0, 1).squeeze(1)


def distorted(images: Tensor) -> Tensor:
    """Rotate (±12°), scale (±12 %), shear (±0.15) and shift (±1.7 pixels) each image at random.

    Args:
        images: (batch, 28, 28) in [0, 1].

    Returns:
        Images of the same shape and range.

    """
    return _placed(images, 12 * pi / 180, 0.15, 0.12, 0.12, stretched_axis=1).squeeze(1)


def _uniform(batch: int, limit: float) -> Tensor:
    return (2 * torch.rand(batch, 1) - 1) * limit


def _between(batch: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(batch, 1)


def _tilt(batch: int, bins: int, limit_db: float) -> Tensor:
    """Random gains (batch, bins) in dB that rise or fall along the spectrum."""
    return _uniform(batch, limit_db) * torch.linspace(-1, 1, bins)


def _gains(batch: int, bins: int, tilt_db: float, bumps_db: float) -> Tensor:
    """Random gains (batch, bins) in dB: a tilt, and six smooth bumps."""
    tilt = _tilt(batch, bins, tilt_db)
    knots = (2 * torch.rand(batch, 1, 6) - 1) * bumps_db
    return tilt + F.interpolate(knots, size=bins, mode="linear", align_corners=True).squeeze(1)


def _microphones(batch: int, hertz: Tensor) -> Tensor:
    """Gains (batch, bins) of random microphones, some of which have a cut-off."""
    gains = _gains(batch, len(hertz), *_MICROPHONE_DB)
    passed = hertz < _between(batch, *_CUTOFF_HZ)
    passed |= torch.rand(batch, 1) > _NARROW
    return 10 ** (gains / 20) * passed


def _rooms(batch: int, samples: int, sample_rate: int) -> Tensor:
    """Transfer functions (batch, bins) of random rooms: decaying noise after the direct sound."""
    length = int(sample_rate * 4 * _DECAY_SECONDS[1])
    decay = _between(batch, *_DECAY_SECONDS) * sample_rate
    tail = torch.randn(batch, length) * (-torch.arange(length) / decay).exp() / decay.sqrt()
    tail = tail * torch.rand(batch, 1) * (torch.rand(batch, 1) < _REVERBERANT)
    tail[:, 0] += 1
    response: Tensor = torch.fft.rfft(tail, 2 * samples)
    return response


def _spectra_of_noise(shape: torch.Size, power: Tensor) -> Tensor:
    """Spectra of steady noise with a random slope, for most of the batch."""
    batch, bins = shape
    ratio = 10 ** (_between(batch, *_SIGNAL_TO_NOISE_DB) / 10)
    chosen = torch.rand(batch, 1) < _NOISY
    slope = 10 ** (_tilt(batch, bins, _NOISE_SLOPE_DB) / 20)
    slope /= slope.square().mean(1, keepdim=True).sqrt()
    # Of a signal that fills half of the transform's length, noise has twice the power there.
    level = (2 * power / ratio).sqrt() * chosen
    angle = 2 * pi * torch.rand(batch, bins)
    return torch.polar(level * slope * torch.empty(batch, bins).exponential_().sqrt(), angle)


def _steady_noise(features: LogMel, power: Tensor) -> Tensor:
    """Gaussian noise of a random spectral slope under the clip, for most of the batch."""
    batch, bands, _ = power.shape
    inside = (power.sum(1, keepdim=True) > 0).to(power.dtype)
    signal = power.sum(1).sum(1) / inside.sum((1, 2)).clamp_min(1)
    ratio = 10 ** (_between(batch, *_STEADY_NOISE_DB).squeeze(1) / 10)
    chosen = torch.rand(batch) < _NOISY
    slope = _tilt(batch, bands, _NOISE_SLOPE_DB).unsqueeze(2)
    # White noise has as much power in a band as its filter is wide.
    colour = 10 ** (slope / 10) * features.filters.sum(1).view(1, -1, 1)
    colour = colour / colour.sum(1, keepdim=True)
    # The power of a Gaussian signal in a narrow band is exponentially distributed.
    flicker = torch.empty_like(power).exponential_()
    return flicker * colour * inside * (signal / ratio * chosen).view(-1, 1, 1)


def _at_random_positions(features: LogMel, power: Tensor, words: Tensor) -> Tensor:
    """The power (batch, n_mels, frames) of words at random, uneven times; its peak is 1."""
    batch = len(power)
    steps = torch.linspace(0, 1, features.config.frames)
    begin, end = -1 + _uniform(batch, _ENDS), 1 + _uniform(batch, _ENDS)
    at = begin + (end - begin) * steps
    bent = _uniform(batch, _WARP) * torch.cos(at * pi / 2)
    positions = at + bent + _uniform(batch, _WARP / 2) * torch.sin(at * pi)
    seen = at_times(power, features.word_times(words, positions))
    return seen / seen.amax((1, 2), keepdim=True).clamp_min(1e-12)


def _equaliser(power: Tensor) -> Tensor:
    """Random gains (batch, n_mels, 1) of power."""
    batch, bands, _ = power.shape
    return (10 ** (_gains(batch, bands, *_WORD_DB) / 10)).unsqueeze(2)


def _stretch_mel(spectrogram: Tensor, stretch: float, shift: float) -> Tensor:
    """Scale and shift the mel axis at random; beyond its ends, the edge is repeated."""
    batch, bands, _ = spectrogram.shape
    rows = torch.linspace(-1, 1, bands) * (1 + _uniform(batch, stretch))
    index = ((rows + _uniform(batch, shift) + 1) / 2 * (bands - 1)).clamp(0, bands - 1)
    return at_times(spectrogram.transpose(1, 2), index).transpose(1, 2)


def _without_faint(levels: Tensor) -> Tensor:
    """Levels in [0, 1] above a random floor for each clip, stretched to [0, 1] again."""
    floor = _FLOOR * torch.rand(len(levels), 1, 1).to(levels.device)
    return ((levels - floor) / (1 - floor)).clamp_min(0)


def _mask(spectrograms: Tensor, *most: float) -> Tensor:
    """Hide a run of rows and a run of columns behind the clip's mean (Park et al. 2019).

    Args:
        spectrograms: (batch, rows, columns).
        most: Largest number of hidden rows, and of hidden columns.

    """
    fill = spectrograms.mean((1, 2), keepdim=True)
    for axis, widest in enumerate(most, 1):
        size = spectrograms.shape[axis]
        width = torch.rand(len(spectrograms), 1) * widest
        begin = torch.rand(len(spectrograms), 1) * (size - width)
        index = torch.arange(size)
        hidden = ((index >= begin) & (index < begin + width)).to(spectrograms.device)
        spectrograms = torch.where(hidden.unsqueeze(3 - axis), fill, spectrograms)
    return spectrograms


def _placed(
    images: Tensor, angle: float, shear: float, stretch: float, shift: float, *, stretched_axis: int
) -> Tensor:
    """Images (batch, 1, height, width) that are rotated, sheared, stretched and shifted at random.

    Args:
        images: (batch, height, width).
        angle: Largest angle, in radians.
        shear: Largest shear.
        stretch: Largest change of width and of height.
        shift: Largest shift, as a share of half the image.
        stretched_axis: 1 to stretch before the rotation, 2 to stretch after it.

    """
    batch = len(images)
    turn, slant = _uniform(batch, angle), _uniform(batch, shear)
    scale = torch.cat([1 + _uniform(batch, stretch), 1 + _uniform(batch, stretch)], 1)
    cos, sin = turn.cos(), turn.sin()
    rows = [torch.cat([cos, slant * cos - sin], 1), torch.cat([sin, slant * sin + cos], 1)]
    matrix = torch.stack(rows, 1) * scale.unsqueeze(stretched_axis)
    shifts = torch.stack([_uniform(batch, shift), _uniform(batch, shift)], 1)
    where = F.affine_grid(
        torch.cat([matrix, shifts], 2), [batch, 1, *images.shape[1:]], align_corners=False
    )
    return F.grid_sample(images.unsqueeze(1), where, align_corners=False)
