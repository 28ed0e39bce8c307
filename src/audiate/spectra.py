"""Every Fourier transform of sound, the mel filters, and the one scale of decibels.

All of it is computed in float32 (or float64, after ``.double()``), also within a block of autocast:
in bfloat16 levels would be off by a hundredth and waveforms by more than a tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.configs import SpectrogramKind

P = ParamSpec("P")
R = TypeVar("R")

_FLOOR_DB = 80.0
_BY_PRODUCTS = ContextVar("_BY_PRODUCTS", default=False)


@contextmanager
def matrix_products() -> Iterator[None]:
    """Compute Fourier transforms as products with matrices of sines and cosines.

    Then no tensor is complex, so that networks can be exported to formats without such tensors.
    """
    token = _BY_PRODUCTS.set(True)
    try:
        yield
    finally:
        _BY_PRODUCTS.reset(token)


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function of tensors compute without autocast, in the precision of its arguments."""

    @wraps(function)
    def without_autocast(*args: P.args, **kwargs: P.kwargs) -> R:
        given = (*args, *kwargs.values())
        device = next(each.device for each in given if isinstance(each, Tensor))
        with torch.autocast(device.type, enabled=False):
            return function(*args, **kwargs)

    return without_autocast


def hann_window(length: int) -> Tensor:
    """A periodic Hann window (length,), on the CPU.

    It is made there even where a network is only sketched, on the device ``meta``, because PyTorch
    imports its compiler to make a window there, which takes seconds.
    """
    return torch.hann_window(length, device="cpu")


@full_precision
def short_time_spectrum(
    waveforms: Tensor,
    window: Tensor,
    hop_length: int,
    *,
    n_fft: int | None = None,
    centred: bool = True,
) -> Tensor:
    """The short-time Fourier transform of waveforms.

    Args:
        waveforms: (batch, samples).
        window: (window_length,), which is put in the middle of ``n_fft`` samples.
        hop_length: Number of samples between the beginnings of frames.
        n_fft: Length of the transform, in samples; that of the window by default.
        centred: True: frame t is centred at sample ``t * hop_length``, with zeros around the clip.
            False: frame t begins there, and only whole frames count.

    Returns:
        Complex spectra (batch, n_fft / 2 + 1, frames), in the window's precision, but at least
        in that of float32.

    """
    precision = torch.promote_types(window.dtype, torch.float32)
    if window.is_inference():  # made in inference mode, and now perhaps used with gradients
        window = window.clone()
    return torch.stft(
        waveforms.to(precision),
        n_fft or len(window),
        hop_length,
        len(window),
        window.to(precision),
        center=centred,
        pad_mode="constant",
        return_complex=True,
    )


def power_spectrum(
    waveforms: Tensor,
    window: Tensor,
    hop_length: int,
    *,
    n_fft: int | None = None,
    centred: bool = True,
) -> Tensor:
    """The squared magnitude of `short_time_spectrum`, which takes the same arguments."""
    real, imaginary = spectrum_parts(waveforms, window, hop_length, n_fft=n_fft, centred=centred)
    return real.square() + imaginary.square()


def spectrum_parts(
    waveforms: Tensor,
    window: Tensor,
    hop_length: int,
    *,
    n_fft: int | None = None,
    centred: bool = True,
) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts of `short_time_spectrum`, which takes the same arguments."""
    if not _BY_PRODUCTS.get():
        spectrum = short_time_spectrum(waveforms, window, hop_length, n_fft=n_fft, centred=centred)
        return spectrum.real, spectrum.imag
    length = n_fft or len(window)
    before = (length - len(window)) // 2
    kernels = _waves(length) * F.pad(window, (before, length - len(window) - before))
    edge = length // 2 if centred else 0
    padded = F.pad(waveforms, (edge, edge)).unsqueeze(1)
    real, imaginary = F.conv1d(padded, kernels.unsqueeze(1), stride=hop_length).chunk(2, 1)
    return real, imaginary


def _waves(length: int) -> Tensor:
    """Cosines and negative sines (2 (length // 2 + 1), length) of a Fourier transform.

    They are made anew each time, so that an exported graph makes them, and no file holds them.
    """
    bins, samples = torch.arange(length // 2 + 1).unsqueeze(1), torch.arange(length)
    angles = (bins * samples % length).float() * (2 * torch.pi / length)
    return torch.cat([angles.cos(), -angles.sin()])


def mel_filters(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    *,
    f_min: float,
    f_max: float,
    fill_empty: bool = False,
) -> Tensor:
    """Triangular filters (n_mels, n_fft // 2 + 1) of peak 1, equally spaced on the HTK mel scale.

    mel(f) = 2595 log10(1 + f / 700), O'Shaughnessy 1987.

    Args:
        sample_rate: Sample rate of the sound, in Hz.
        n_fft: Length of the Fourier transform, in samples.
        n_mels: Number of filters.
        f_min: Lower edge of the lowest filter, in Hz.
        f_max: Upper edge of the highest filter, in Hz.
        fill_empty: Whether each filter gets the nearest bin with weight 1. A narrow filter
            between two bins would pass nothing otherwise.

    """
    low, high = (2595 * np.log10(1 + f / 700) for f in (f_min, f_max))
    edges = 700 * (10 ** (torch.linspace(low, high, n_mels + 2) / 2595) - 1)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    below, centre, above = (edges[i : i + n_mels].unsqueeze(1) for i in range(3))
    rising = (bins - below) / (centre - below)
    falling = (above - bins) / (above - centre)
    filters = torch.minimum(rising, falling).clamp_min(0)
    if not fill_empty:
        return filters
    nearest = F.one_hot(filters.argmax(1), filters.shape[1]).to(filters.dtype)
    return torch.maximum(filters, nearest)


def wide_mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """Mel filters (n_mels, n_fft // 2 + 1) from a 400th to half of the sample rate, none empty."""
    return mel_filters(
        sample_rate,
        n_fft,
        n_mels,
        f_min=sample_rate / 400,
        f_max=sample_rate / 2,
        fill_empty=True,
    )


def decibels(power: Tensor, floor: float = 1e-20) -> Tensor:
    """Power as levels in decibels; power below ``floor`` counts as ``floor``."""
    return 10 * power.clamp_min(floor).log10()


def unit_decibels(power: Tensor, floor_db: float) -> Tensor:
    """Power (batch, ...) of clips as levels in [0, 1] relative to each clip's peak.

    A level of 1 is the clip's peak; one of 0 lies ``floor_db`` decibels or more below it. So the
    loudness of a clip does not matter.
    """
    peak = power.flatten(1).amax(1).clamp_min(1e-20).view(-1, *[1] * (power.dim() - 1))
    return (1 + decibels(power / peak) / floor_db).clamp_min(0)


class Spectrogram(nn.Module):
    """The spectrograms that the classifier of spoken digits and the inversion take.

    Frames have 256 samples, are 128 apart, and lie under a periodic Hann window; the end is padded
    with zeros, so that 16,384 samples make 128 frames of 129 bins (Keyes et al. 2020, section 4).
    The kind ``real`` keeps the real part of the complex values, as that paper's programs do. The
    kind ``log`` takes decibels below the clip's peak, -80 to 0 dB as 0 to 1, so that the loudness
    of a clip does not matter.

    It works on batches, on any device, and is differentiable.
    """

    n_fft = 256
    hop_length = 128
    bins = n_fft // 2 + 1

    window: Tensor

    def __init__(self, kind: SpectrogramKind = "log") -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("window", hann_window(self.n_fft), persistent=False)

    @full_precision
    def forward(self, waveforms: Tensor) -> Tensor:
        """Spectrograms (batch, ceil(samples / 128), 129) of waveforms (batch, samples)."""
        frames = -(-waveforms.shape[1] // self.hop_length)
        missing = (frames - 1) * self.hop_length + self.n_fft - waveforms.shape[1]
        padded = F.pad(waveforms, (0, missing))
        parts = spectrum_parts(padded, self.window, self.hop_length, centred=False)
        real, imaginary = (part.transpose(1, 2) for part in parts)
        if self.kind == "real":
            return real
        return unit_decibels(real.square() + imaginary.square(), _FLOOR_DB)


class MelSpectrogram(nn.Module):
    """A small spectrogram of 64 mel bands in 64 frames, whatever a clip's length and sample rate.

    Frames are a 64th of the clip apart and at least four times as long, under a periodic Hann
    window; the clip is surrounded by zeros. Levels are decibels below the clip's peak, -80 to 0 dB
    as 0 to 1.
    """

    size = 64

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate: int, num_samples: int) -> None:
        super().__init__()
        self.hop_length = -(-num_samples // self.size)
        self.n_fft = max(1 << (4 * self.hop_length - 1).bit_length(), 256)
        filters = wide_mel_filters(sample_rate, self.n_fft, self.size)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", hann_window(self.n_fft), persistent=False)

    @full_precision
    def forward(self, waveforms: Tensor) -> Tensor:
        """Levels (batch, 64 frames, 64 bands) of waveforms (batch, num_samples)."""
        padded = F.pad(waveforms, (0, self.size * self.hop_length - waveforms.shape[1]))
        power = power_spectrum(padded, self.window, self.hop_length)[..., : self.size]
        return unit_decibels(self.filters @ power, _FLOOR_DB).transpose(1, 2)


class ShortTimeTransform(nn.Module):
    """The short-time Fourier transform of whole clips, and its inverse.

    Frames have ``n_fft`` samples, are ``hop_length`` apart and centred (the clip is surrounded by
    zeros), and lie under a periodic Hann window. Waveforms (batch, samples) become complex spectra
    (batch, n_fft / 2 + 1, samples / hop_length). The frame beyond the last full hop is left out.
    """

    window: Tensor
    phases: Tensor

    def __init__(self, n_fft: int, hop_length: int, num_samples: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = n_fft, hop_length
        self.num_samples = num_samples
        self.register_buffer("window", hann_window(n_fft), persistent=False)
        bins, frames = torch.arange(n_fft // 2 + 1), torch.arange(num_samples // hop_length)
        # From frame to frame, a tone in the middle of its bin turns by this much.
        turns = bins.unsqueeze(1) * hop_length * frames % n_fft / n_fft
        source = torch.Generator().manual_seed(0)
        turns += torch.rand(len(bins), 1, generator=source, device="cpu").to(turns.device)
        phases = torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)
        self.register_buffer("phases", phases, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Spectra (batch, bins, frames) of waveforms (batch, num_samples)."""
        spectra = short_time_spectrum(waveforms, self.window, self.hop_length)
        return spectra[..., : self.num_samples // self.hop_length]

    def power(self, waveforms: Tensor) -> Tensor:
        """Squared magnitudes (batch, bins, frames) of the spectra of waveforms."""
        power = power_spectrum(waveforms, self.window, self.hop_length)
        return power[..., : self.num_samples // self.hop_length]

    @full_precision
    def inverse(self, spectra: Tensor) -> Tensor:
        """The waveforms (batch, num_samples) whose spectra are nearest in least squares."""
        return torch.istft(
            F.pad(spectra, (0, 1)),
            self.n_fft,
            self.hop_length,
            window=self.window,
            length=self.num_samples,
        )

    @full_precision
    def griffin_lim(
        self,
        magnitudes: Tensor,
        iterations: int,
        momentum: float = 0.99,
        *,
        through_phases: bool = True,
    ) -> Tensor:
        """Waveforms (batch, num_samples) whose spectra have nearly these magnitudes.

        Griffin and Lim 1984; with momentum, Perraudin et al. 2013. It begins with the same phases
        for every clip, a tone in the middle of each bin, so a clip does not depend on others, nor
        on a seed. Differentiable. More iterations bring magnitudes nearer, and make the waveform
        depend on them less smoothly.

        Args:
            magnitudes: (batch, bins, frames), at least 0.
            iterations: Number of times that the phases are brought nearer to those of a sound.
            momentum: Weight of the step before; 0 for the original algorithm.
            through_phases: Whether gradients take into account that phases depend on magnitudes.
                Without, they take less time and memory, and are right for distances that do not
                depend on phases.

        """
        if _BY_PRODUCTS.get():
            return self._griffin_lim_by_products(magnitudes, iterations, momentum)
        with torch.set_grad_enabled(torch.is_grad_enabled() and through_phases):
            phases = self._phases(magnitudes, iterations, momentum)
        return self.inverse(magnitudes * phases)

    def _phases(self, magnitudes: Tensor, iterations: int, momentum: float) -> Tensor:
        phases = self.phases.expand_as(magnitudes)
        before = torch.zeros_like(phases)
        for _ in range(iterations):
            rebuilt = self(self.inverse(magnitudes * phases))
            ahead = rebuilt - before * (momentum / (1 + momentum))
            before = rebuilt
            # Not sgn: its derivative at 0 is infinite, and silence is common.
            size = (ahead.real.square() + ahead.imag.square() + 1e-16).sqrt()
            phases = ahead / size
        return phases

    def _griffin_lim_by_products(
        self, magnitudes: Tensor, iterations: int, momentum: float
    ) -> Tensor:
        """What `griffin_lim` computes, with real and imaginary parts one below the other."""
        first = torch.cat([self.phases.real, self.phases.imag])  # (2 bins, frames)
        phases = first.expand(magnitudes.shape[0], -1, -1)
        both = magnitudes.repeat(1, 2, 1)
        before = torch.zeros_like(both)
        frames = magnitudes.shape[2]
        for _ in range(iterations):
            waveforms = self._inverse_by_products(both * phases)
            parts = spectrum_parts(waveforms, self.window, self.hop_length)
            rebuilt = torch.cat(parts, 1)[..., :frames]
            ahead = rebuilt - before * (momentum / (1 + momentum))
            before = rebuilt
            real, imaginary = ahead.chunk(2, 1)
            size = (real.square() + imaginary.square() + 1e-16).sqrt()
            phases = ahead / size.repeat(1, 2, 1)
        return self._inverse_by_products(both * phases)

    def _inverse_by_products(self, parts: Tensor) -> Tensor:
        """Waveforms (batch, num_samples) of spectra's parts (batch, 2 bins, frames)."""
        weights = torch.full((self.n_fft // 2 - 1, 1), 2 / self.n_fft)  # each stands for two bins
        weights = F.pad(weights, (0, 0, 1, 1), value=1 / self.n_fft)
        kernels = _waves(self.n_fft) * weights.repeat(2, 1) * self.window
        padded = F.pad(parts, (0, 1))
        summed = F.conv_transpose1d(padded, kernels.unsqueeze(1), stride=self.hop_length)
        squares = self.window.square().view(1, 1, -1)
        ones = torch.ones(1, 1, padded.shape[2])
        shares = F.conv_transpose1d(ones, squares, stride=self.hop_length)
        begin = self.n_fft // 2
        inside = slice(begin, begin + self.num_samples)
        return (summed[..., inside] / shares[..., inside]).squeeze(1)
