"""Spectrograms, mel filters and decibels."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.config import SpectrogramKind
from audiate.audio.stft import FourierModule, full_precision

_FLOOR_DB = 80.0


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
    # On the CPU by name, for the reason that `hann_window` gives.
    steps = torch.linspace(low, high, n_mels + 2, device="cpu")
    edges = 700 * (10 ** (steps / 2595) - 1)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, device="cpu")
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


class Spectrogram(FourierModule):
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

    def __init__(self, kind: SpectrogramKind = "log") -> None:
        super().__init__(self.n_fft, self.hop_length)
        self.kind = kind

    @full_precision
    def forward(self, waveforms: Tensor) -> Tensor:
        """Spectrograms (batch, ceil(samples / 128), 129) of waveforms (batch, samples)."""
        frames = -(-waveforms.shape[1] // self.hop_length)
        missing = (frames - 1) * self.hop_length + self.n_fft - waveforms.shape[1]
        padded = F.pad(waveforms, (0, missing))
        real, imaginary = (part.transpose(1, 2) for part in self.parts(padded, centred=False))
        if self.kind == "real":
            return real
        return unit_decibels(real.square() + imaginary.square(), _FLOOR_DB)


class MelSpectrogram(FourierModule):
    """A small spectrogram of 64 mel bands in 64 frames, whatever a clip's length and sample rate.

    Frames are a 64th of the clip apart and at least four times as long, under a periodic Hann
    window; the clip is surrounded by zeros. Levels are decibels below the clip's peak, -80 to 0 dB
    as 0 to 1.
    """

    size = 64

    filters: Tensor

    def __init__(self, sample_rate: int, num_samples: int) -> None:
        hop_length = -(-num_samples // self.size)
        super().__init__(max(1 << (4 * hop_length - 1).bit_length(), 256), hop_length)
        filters = wide_mel_filters(sample_rate, self.n_fft, self.size)
        self.register_buffer("filters", filters, persistent=False)

    @full_precision
    def forward(self, waveforms: Tensor) -> Tensor:
        """Levels (batch, 64 frames, 64 bands) of waveforms (batch, num_samples)."""
        padded = F.pad(waveforms, (0, self.size * self.hop_length - waveforms.shape[1]))
        power = self.parts(padded).power()[..., : self.size]
        return unit_decibels(self.filters @ power, _FLOOR_DB).transpose(1, 2)


def levels_of(waveforms: Tensor) -> Tensor:
    """Levels (..., bins, frames) in [0, 1] of waveforms (..., samples), as pictures show them."""
    levels: Tensor = Spectrogram()(waveforms.detach().cpu())
    return levels.transpose(-1, -2)
