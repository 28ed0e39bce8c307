"""WaveGAN: latents to waveforms, and the critic that taught it, by one-dimensional convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.errors import InputError, check_range
from audiate.models.generator import AudioGAN, AudioGANConfig, Projection, Score
from audiate.models.phases import DownConv1d, UpConv1d

_AT_A_TIME = 16
_SHUFFLED = 4  # layers, from the first
_STRIDES = {16_384: (4, 4, 4, 4, 4), 32_768: (4, 4, 4, 4, 4, 2), 65_536: (4, 4, 4, 4, 4, 4)}


@dataclass(frozen=True)
class WaveGANConfig(AudioGANConfig):
    """Size of the networks and of what they make: 16,384, 32,768 or 65,536 samples.

    Raises `InputError` where a value is out of range.

    Attributes:
        phase_shuffle: The discriminator's activations are shifted by up to this many samples.

    """

    phase_shuffle: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("phase_shuffle", self.phase_shuffle, 0, 60)
        if self.num_samples not in _STRIDES:
            known = ", ".join(f"{length:,}" for length in _STRIDES)
            raise InputError(f"num_samples {self.num_samples:,}: give one of {known}")


class WaveGANGenerator(nn.Module):
    """z (batch, latent_dim) to waveforms (batch, channels, num_samples) in [-1, 1]."""

    def __init__(self, config: WaveGANConfig) -> None:
        super().__init__()
        strides = _STRIDES[config.num_samples]
        widths = [config.dim << power for power in reversed(range(len(strides)))]
        self.project = Projection(config.latent_dim, 16 * widths[0], config.classes)
        self.upsample = nn.ModuleList(
            UpConv1d(inputs, outputs, stride)
            for inputs, outputs, stride in zip(
                widths, [*widths[1:], config.channels], strides, strict=True
            )
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(width) if config.batch_norm else nn.Identity() for width in widths
        )

    def forward(self, z: Tensor) -> Tensor:
        """Waveforms of latents."""
        # The published code makes (time, channels) of the first layer's outputs.
        hidden: Tensor = self.project(z).view(len(z), 16, -1)
        if z.device.type == "cpu" and not (self.training or torch.is_grad_enabled()):
            # A few clips at a time: what one layer gives the next then stays in the cache.
            return torch.cat([self._generate(part) for part in torch.split(hidden, _AT_A_TIME)])
        hidden = hidden.transpose(1, 2)
        for norm, layer in zip(self.norms, self.upsample, strict=True):
            hidden = layer(norm(hidden).relu())
        return hidden.tanh()

    def _generate(self, hidden: Tensor) -> Tensor:
        """The same, faster, with channels last throughout and without gradients."""
        for norm, layer in zip(self.norms, self.upsample, strict=True):
            assert isinstance(layer, UpConv1d)
            normed = norm(hidden.flatten(0, 1)).view(hidden.shape)
            hidden = layer.generate(normed.relu_())
        return hidden.transpose(1, 2).tanh()


class WaveGANDiscriminator(nn.Module):
    """Waveforms (batch, channels, num_samples) to a score (batch,), higher for real ones."""

    def __init__(self, config: WaveGANConfig) -> None:
        super().__init__()
        strides = _STRIDES[config.num_samples]
        widths = [config.dim << power for power in range(len(strides))]
        self.downsample = nn.ModuleList(
            DownConv1d(inputs, outputs, stride)
            for inputs, outputs, stride in zip(
                [config.channels, *widths[:-1]], widths, strides, strict=True
            )
        )
        self.score = Score(16 * widths[-1], config.classes)
        self._shuffle = config.phase_shuffle

    def forward(self, waveforms: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores of waveforms as ``labels`` (batch,); in training mode, with phase shuffle."""
        hidden = waveforms
        for index, layer in enumerate(self.downsample):
            hidden = F.leaky_relu(layer(hidden), 0.2)
            if index < _SHUFFLED and self.training:
                hidden = phase_shuffle(hidden, self._shuffle)
        # The published code flattens (time, channels).
        score: Tensor = self.score(hidden.transpose(1, 2).flatten(1), labels)
        return score


class WaveGAN(AudioGAN):
    """Generator and discriminator of Donahue et al. 2019, "Adversarial Audio Synthesis", table 3.

    At `dim` 64 and 16,384 samples they have 19,065,345 and 17,427,969 parameters. Padding is that
    of TensorFlow, "same", so that published weights can be imported; initial weights are drawn as
    there, too (Glorot and Bengio 2010), and biases are 0.
    """

    model_type: ClassVar[str] = "wavegan"
    config_class: ClassVar[type] = WaveGANConfig
    generator: WaveGANGenerator
    discriminator: WaveGANDiscriminator

    def __init__(self, config: WaveGANConfig | None = None) -> None:
        config = config or WaveGANConfig()
        super().__init__(config)
        self.generator = WaveGANGenerator(config)
        self.discriminator = WaveGANDiscriminator(config)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def analyse(self, waveforms: Tensor) -> Tensor:
        """The waveforms themselves."""
        return waveforms

    def synthesise(self, seen: Tensor) -> Tensor:
        """The waveforms themselves."""
        return seen


def phase_shuffle(hidden: Tensor, most: int) -> Tensor:
    """Shift activations (batch, channels, n) by -most to most samples, reflected at the end.

    One shift for the whole batch, drawn from torch's generator, as published.
    """
    if most == 0:
        return hidden
    shift = int(torch.randint(-most, most + 1, ()))
    length = hidden.shape[2]
    padded = F.pad(hidden, (max(shift, 0), max(-shift, 0)), mode="reflect")
    return padded.narrow(2, max(-shift, 0), length)
