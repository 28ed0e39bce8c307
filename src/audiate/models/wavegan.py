"""WaveGAN: latents to waveforms by one-dimensional convolutions, and its discriminator."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.models.code_network import WordCodeNetwork
from audiate.models.configs import WAVEGAN_STRIDES, WaveGANConfig
from audiate.models.generator import AudioGAN, Projection, Score
from audiate.models.polyphase import DownConv1d, UpConv1d

_SHUFFLED = 4  # number of layers, from the first, whose outputs are shuffled


class WaveGANGenerator(nn.Module):
    """Maps z (batch, latent_dim) to waveforms (batch, channels, num_samples) in [-1, 1]."""

    def __init__(self, config: WaveGANConfig) -> None:
        super().__init__()
        strides = WAVEGAN_STRIDES[config.num_samples]
        widths = [config.dim << power for power in reversed(range(len(strides)))]
        self.project = Projection(config, 16 * widths[0])
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
        """Waveforms (batch, channels, num_samples) of latents (batch, latent_dim)."""
        # The published code makes (time, channels) of the first layer's outputs.
        hidden: Tensor = self.project(z).view(z.shape[0], 16, -1)
        hidden = hidden.transpose(1, 2)
        for norm, layer in zip(self.norms, self.upsample, strict=True):
            hidden = layer(norm(hidden).relu())
        return hidden.tanh()


class _Trunk(nn.Module):
    """The strided convolutions of the discriminator, and of the published Q-network."""

    def __init__(self, config: WaveGANConfig) -> None:
        super().__init__()
        strides = WAVEGAN_STRIDES[config.num_samples]
        widths = [config.dim << power for power in range(len(strides))]
        self.downsample = nn.ModuleList(
            DownConv1d(inputs, outputs, stride)
            for inputs, outputs, stride in zip(
                [config.channels, *widths[:-1]], widths, strides, strict=True
            )
        )
        self._shuffle = config.phase_shuffle
        self.outputs = 16 * widths[-1]

    def hidden(self, waveforms: Tensor) -> Tensor:
        """Hidden values (batch, outputs) of waveforms; in training mode, with phase shuffle."""
        hidden = waveforms
        for index, layer in enumerate(self.downsample):
            hidden = F.leaky_relu(layer(hidden), 0.2)
            if index < _SHUFFLED and self.training:
                hidden = phase_shuffle(hidden, self._shuffle)
        # The published code flattens (time, channels).
        return hidden.transpose(1, 2).flatten(1)


class WaveGANDiscriminator(_Trunk):
    """Maps waveforms (batch, channels, num_samples) to scores (batch,), higher for real ones."""

    def __init__(self, config: WaveGANConfig) -> None:
        super().__init__(config)
        self.score = Score(self.outputs, config)

    def forward(self, waveforms: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores of waveforms as ``labels`` (batch,); in training mode, with phase shuffle."""
        score: Tensor = self.score(self.hidden(waveforms), labels)
        return score


class WaveGANCodeNetwork(_Trunk):
    """The Q-network of Beguš 2021: the discriminator's architecture, whose outputs are a code."""

    def __init__(self, config: WaveGANConfig) -> None:
        super().__init__(config)
        self.head = nn.Linear(self.outputs, config.code.size)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits (batch, code size) of waveforms (batch, channels, num_samples)."""
        logits: Tensor = self.head(self.hidden(waveforms))
        return logits


def _code_network(config: WaveGANConfig) -> nn.Module | None:
    """The Q-network that a configuration asks for."""
    if config.code.network == "published":
        return WaveGANCodeNetwork(config)
    if config.code.network == "words":
        return WordCodeNetwork(config)
    return None


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
        self.register_module(
            "discriminator", WaveGANDiscriminator(config) if config.discriminator else None
        )
        self.register_module("code_network", _code_network(config))
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def analyse(self, waveforms: Tensor) -> Tensor:
        """The waveforms themselves, which the discriminator takes as they are."""
        return waveforms

    def word_power(self, draft: Tensor) -> Tensor:
        """Mel power (batch, bands, frames) of waveforms (batch, channels, num_samples)."""
        assert isinstance(self.code_network, WordCodeNetwork)
        return self.code_network.power(draft)

    def render(self, draft: Tensor, *, through_phases: bool = True) -> Tensor:  # noqa: ARG002
        """The draft itself, which consists of waveforms already."""
        return draft


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
