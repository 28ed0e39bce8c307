"""Short-time Fourier transforms of whole clips, and the way back from their magnitudes."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.features import mel_bands

SpectrogramKind = Literal["log", "real"]

_FLOOR_DB = 80.0


class Spectrogram(nn.Module):
    """Waveforms to the spectrograms that the judge of spoken digits and the inversion see.

    Frames of 256 samples, 128 apart, under a periodic Hann window; the end is padded with zeros,
    so that 16,384 samples make 128 frames of 129 bins (Keyes et al. 2020, section 4). Of the
    complex values, ``real`` keeps the real part, as that paper's programs do; ``log`` takes
    decibels below the clip's peak, -80 to 0 dB as 0 to 1, so that level does not matter.

    Batched, on any device, differentiable.
    """

    frame_length = 256
    hop_length = 128
    bins = frame_length // 2 + 1

    window: Tensor

    def __init__(self, kind: SpectrogramKind = "log") -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("window", torch.hann_window(self.frame_length), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Spectrograms (batch, ceil(samples / 128), 129) of waveforms (batch, samples)."""
        frames = -(-waveforms.shape[1] // self.hop_length)
        missing = (frames - 1) * self.hop_length + self.frame_length - waveforms.shape[1]
        padded = F.pad(waveforms.float(), (0, missing))
        in_frames = padded.unfold(1, self.frame_length, self.hop_length)
        spectrum: Tensor = torch.fft.rfft(in_frames * self.window)
        if self.kind == "real":
            return spectrum.real
        power = spectrum.real.square() + spectrum.imag.square()
        return decibels_below_peak(power, _FLOOR_DB)


class MelSpectrogram(nn.Module):
    """Waveforms to 64 mel bands in 64 frames, whatever their length and rate: small and quick.

    Frames are a 64th of the clip apart and at least four times as long, under a periodic Hann
    window; the clip is surrounded by zeros. Levels are in decibels below the clip's peak, -80 to
    0 dB as 0 to 1.
    """

    size = 64

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate: int, num_samples: int) -> None:
        super().__init__()
        self.hop_length = -(-num_samples // self.size)
        self.frame_length = max(1 << (4 * self.hop_length - 1).bit_length(), 256)
        filters = mel_bands(sample_rate, self.frame_length, self.size)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(self.frame_length), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Levels (batch, 64 frames, 64 bands) of waveforms (batch, num_samples)."""
        spectra = torch.stft(
            F.pad(waveforms.float(), (0, self.size * self.hop_length - waveforms.shape[1])),
            self.frame_length,
            self.hop_length,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )[..., : self.size]
        power = self.filters @ (spectra.real.square() + spectra.imag.square())
        return decibels_below_peak(power, _FLOOR_DB).transpose(1, 2)


def decibels_below_peak(power: Tensor, floor_db: float) -> Tensor:
    """Power (batch, ...) of clips as levels in [0, 1]: 1 the clip's peak, 0 ``floor_db`` below."""
    peak = power.flatten(1).amax(1).clamp_min(1e-20).view(-1, *[1] * (power.dim() - 1))
    levels = 10 * (power / peak).clamp_min(1e-20).log10()
    return (1 + levels / floor_db).clamp_min(0)


class Transform(nn.Module):
    """The short-time Fourier transform of whole clips, and its inverse.

    Frames of ``frame_length`` samples, ``hop_length`` apart, centred (the clip is surrounded by
    zeros), under a periodic Hann window: (batch, samples) to (batch, frame_length / 2 + 1,
    samples / hop_length), complex. The frame beyond the last full hop is left out.
    """

    window: Tensor
    phases: Tensor

    def __init__(self, frame_length: int, hop_length: int, num_samples: int) -> None:
        super().__init__()
        self.frame_length, self.hop_length = frame_length, hop_length
        self.num_samples = num_samples
        self.register_buffer("window", torch.hann_window(frame_length), persistent=False)
        bins, frames = torch.arange(frame_length // 2 + 1), torch.arange(num_samples // hop_length)
        # From frame to frame, a tone in the middle of its bin turns by this much.
        turns = bins.unsqueeze(1) * hop_length * frames % frame_length / frame_length
        turns += torch.rand(len(bins), 1, generator=torch.Generator().manual_seed(0))
        phases = torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)
        self.register_buffer("phases", phases, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Spectra (batch, bins, frames) of waveforms (batch, num_samples)."""
        spectra = torch.stft(
            waveforms,
            self.frame_length,
            self.hop_length,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        return spectra[..., : self.num_samples // self.hop_length]

    def inverse(self, spectra: Tensor) -> Tensor:
        """The waveforms (batch, num_samples) whose spectra are nearest in least squares."""
        return torch.istft(
            F.pad(spectra, (0, 1)),
            self.frame_length,
            self.hop_length,
            window=self.window,
            length=self.num_samples,
        )

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
            iterations: How often the phases are brought nearer to those of a sound.
            momentum: 0 for the original algorithm.
            through_phases: Whether gradients know that phases depend on magnitudes. Without, they
                are cheaper and smaller, and right for what is deaf to phases.

        """
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
