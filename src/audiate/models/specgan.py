"""SpecGAN: latents to log-spectrograms by two-dimensional convolutions, and back to waveforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.errors import InputError, check_range
from audiate.features import mel_bands
from audiate.models.generator import AudioGAN, AudioGANConfig, Projection, Score
from audiate.spectra import Transform

_RANGE = 3.0  # deviations about the mean that are mapped to [-1, 1]
_UPDATES = 8  # of the power in bins
_FLOOR = 1e-8  # power: -80 dB of a sine of full scale


@dataclass(frozen=True)
class SpecGANConfig(AudioGANConfig):
    """Size of the networks and of the spectrograms they make. The defaults are the paper's.

    Raises `InputError` where a value is out of range, or samples are no multiple of frames.

    Attributes:
        size: Frames of a spectrogram, and bands: 64 or 128.
        bands: ``linear``: all frequencies but the highest; ``mel``: mel bands.
        frame_length: Of the Fourier transform, in samples.
        kernel: Of the convolutions, in frames and in bands: 4 or 5.
        iterations: Of Griffin and Lim's algorithm.

    """

    size: int = 128
    bands: Literal["linear", "mel"] = "linear"
    frame_length: int = 256
    kernel: int = 5
    iterations: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("iterations", self.iterations, 1, 10_000)
        if self.size not in (64, 128):
            raise InputError(f"size {self.size}: give 64 or 128")
        if self.kernel not in (4, 5):
            raise InputError(f"kernel {self.kernel}: give 4 or 5")
        if self.bands not in ("linear", "mel"):
            raise InputError(f"bands {self.bands!r}: give linear or mel")
        check_range("num_samples", self.num_samples, 64 * self.size, 10**7)
        if self.num_samples % self.size:
            raise InputError(f"num_samples {self.num_samples}: give a multiple of {self.size}")
        hop = self.num_samples // self.size
        check_range("frame_length", self.frame_length, 2 * hop, 16 * hop)
        if self.bands == "linear" and self.frame_length != 2 * self.size:
            raise InputError(
                f"frame_length {self.frame_length}: {self.size} linear bands come of "
                f"{2 * self.size} samples"
            )


class SpecGANGenerator(nn.Module):
    """z (batch, latent_dim) to spectrograms (batch, channels, size, size) in [-1, 1]."""

    def __init__(self, config: SpecGANConfig) -> None:
        super().__init__()
        widths = _widths(config)[::-1]
        self.project = Projection(config.latent_dim, 16 * widths[0], config.classes)
        self.upsample = nn.ModuleList(
            UpConv2d(inputs, outputs, config.kernel)
            for inputs, outputs in zip(widths, [*widths[1:], config.channels], strict=True)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width) if config.batch_norm else nn.Identity() for width in widths
        )

    def forward(self, z: Tensor) -> Tensor:
        """Spectrograms of latents: time, then frequency."""
        # Channels come last in memory: the published order, and the fastest.
        hidden = self.project(z).view(len(z), 4, 4, -1).permute(0, 3, 1, 2)
        for norm, layer in zip(self.norms, self.upsample, strict=True):
            hidden = layer(norm(hidden).relu())
        spectrograms: Tensor = hidden.tanh()
        return spectrograms


class SpecGANDiscriminator(nn.Module):
    """Spectrograms (batch, channels, size, size) to a score (batch,), higher for real ones."""

    def __init__(self, config: SpecGANConfig) -> None:
        super().__init__()
        widths = _widths(config)
        self.downsample = nn.ModuleList(
            DownConv2d(inputs, outputs, config.kernel)
            for inputs, outputs in zip([config.channels, *widths[:-1]], widths, strict=True)
        )
        self.score = Score(16 * widths[-1], config.classes)

    def forward(self, spectrograms: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores of spectrograms as sounds of ``labels`` (batch,)."""
        hidden = spectrograms.contiguous(memory_format=torch.channels_last)
        for layer in self.downsample:
            hidden = F.leaky_relu(layer(hidden), 0.2)
        score: Tensor = self.score(hidden.permute(0, 2, 3, 1).flatten(1), labels)
        return score


class SpecGAN(AudioGAN):
    """Donahue et al. 2019, "Adversarial Audio Synthesis", section 3.2, and a lighter variant.

    The networks make log-magnitude spectrograms. Each band is brought to mean 0 and deviation 1
    over the train clips, cut off at three deviations and scaled to [-1, 1]; `mean` and `deviation`
    (bands,), in natural logarithms of power, are kept with the weights. Phases are found by the
    algorithm of Griffin and Lim, so the way from z to the waveform is differentiable.

    The defaults are the paper's: 128 x 128 magnitudes of frames of 256 samples; generator and
    discriminator have 19,065,345 and 17,427,969 parameters, as WaveGAN's have.
    """

    model_type: ClassVar[str] = "specgan"
    config_class: ClassVar[type] = SpecGANConfig
    generator: SpecGANGenerator
    discriminator: SpecGANDiscriminator

    mean: Tensor
    deviation: Tensor
    filters: Tensor
    spread: Tensor

    def __init__(self, config: SpecGANConfig | None = None) -> None:
        config = config or SpecGANConfig()
        super().__init__(config)
        self.iterations = config.iterations
        self.generator = SpecGANGenerator(config)
        self.discriminator = SpecGANDiscriminator(config)
        self.transform = Transform(
            config.frame_length, config.num_samples // config.size, config.num_samples
        )
        self.register_buffer("mean", torch.full((config.size,), -10.0))
        self.register_buffer("deviation", torch.full((config.size,), 3.0))
        filters, spread = _bands(config)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("spread", spread, persistent=False)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs

    def analyse(self, waveforms: Tensor) -> Tensor:
        """Spectrograms (batch, channels, size, size) in [-1, 1]: time, then frequency."""
        levels: Tensor = (self.levels(waveforms) - self.mean) / self.deviation
        return (levels / _RANGE).clamp(-1, 1)

    def levels(self, waveforms: Tensor) -> Tensor:
        """Natural logarithms of power in each band, (batch, channels, size, size)."""
        spectra = self.transform(waveforms.flatten(0, 1))
        power = spectra.real.square() + spectra.imag.square()
        # A sine of full scale has a magnitude of a quarter of the frame's length.
        power = (self.filters @ power) * (4 / self.transform.frame_length) ** 2
        levels: Tensor = power.add(_FLOOR).log().transpose(1, 2)
        return levels.reshape(*waveforms.shape[:2], *levels.shape[1:])

    def synthesise(self, seen: Tensor, *, through_phases: bool = True) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of spectrograms.

        Args:
            seen: As `analyse` gives them.
            through_phases: As of `audiate.spectra.Transform.griffin_lim`.

        """
        levels = seen.float() * _RANGE * self.deviation + self.mean
        power = (levels.flatten(0, 1).transpose(1, 2).exp() - _FLOOR).clamp_min(0)
        power = self._in_bins(power) * (self.transform.frame_length / 4) ** 2
        magnitudes = (power + 1e-20).sqrt()
        waveforms = self.transform.griffin_lim(
            magnitudes, self.iterations, through_phases=through_phases
        )
        waveforms = waveforms.view(*seen.shape[:2], -1)
        # Other phases than the original's may add up to a higher peak.
        return waveforms / waveforms.abs().amax((1, 2), keepdim=True).clamp_min(1)

    def _in_bins(self, power: Tensor) -> Tensor:
        """Power in bins (batch, bins, frames), at least 0, that makes this in bands."""
        found = self.spread @ power
        if self.config.bands == "linear":
            return found
        # Multiplicative updates (Richardson 1972; Lee and Seung 2001, equation 5): what is at least
        # 0 remains so, and nothing is divided by what may be 0.
        total = self.filters.sum(0).clamp_min(1e-6).unsqueeze(1)
        for _ in range(_UPDATES):
            ratio = power / (self.filters @ found + 1e-12)
            found = found * (self.filters.T @ ratio) / total
        return found


class UpConv2d(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 with TensorFlow's "same" padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, 2, (kernel - 2) // 2)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(batch, inputs, n, m) to (batch, outputs, 2 n, 2 m)."""
        grown = super().forward(input, output_size)
        return grown[..., : 2 * input.shape[2], : 2 * input.shape[3]]


class DownConv2d(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's "same" padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        before = (kernel - 2) // 2
        super().__init__(inputs, outputs, kernel, 2, before)
        self._after = kernel - 2 - 2 * before

    def forward(self, input: Tensor) -> Tensor:
        """(batch, inputs, n, m) to (batch, outputs, n / 2, m / 2)."""
        if self._after:
            input = F.pad(input, (0, self._after, 0, self._after))
        return super().forward(input)


def _widths(config: SpecGANConfig) -> list[int]:
    """Channels of the discriminator's layers."""
    return [config.dim << power for power in range(config.size.bit_length() - 3)]


def _bands(config: SpecGANConfig) -> tuple[Tensor, Tensor]:
    """Matrices from power in bins to power in bands, and back."""
    bins = config.frame_length // 2 + 1
    if config.bands == "linear":
        filters = torch.eye(config.size, bins)
        return filters, filters.T.contiguous()
    filters = mel_bands(config.sample_rate, config.frame_length, config.size)
    # Back: a band's power is spread over its bins, and bins between bands get some of both.
    shares = filters / filters.sum(0).clamp_min(1e-6)
    return filters, (shares / filters.sum(1, keepdim=True)).T.contiguous()
