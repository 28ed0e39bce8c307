"""WaveGAN: latents to waveforms, and the critic that taught it, by one-dimensional convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.errors import InputError, check_range
from audiate.models.generator import AudioGAN

_KERNEL = 25
_SHUFFLED = 4  # layers, from the first
_STRIDES = {16_384: (4, 4, 4, 4, 4), 32_768: (4, 4, 4, 4, 4, 2), 65_536: (4, 4, 4, 4, 4, 4)}


@dataclass(frozen=True)
class WaveGANConfig:
    """Size of the networks and of what they make.

    Raises `InputError` where a value is out of range.

    Attributes:
        dim: Width: channels of the discriminator's first layer. Published: 64.
        latent_dim: Numbers in a latent.
        num_samples: Samples of a clip: 16,384, 32,768 or 65,536.
        channels: 1 for mono, 2 for stereo.
        sample_rate: In Hz; the networks do not know it.
        phase_shuffle: The discriminator's activations are shifted by up to this many samples.

    """

    dim: int = 64
    latent_dim: int = 100
    num_samples: int = 16_384
    channels: int = 1
    sample_rate: int = 16_000
    phase_shuffle: int = 2

    def __post_init__(self) -> None:
        check_range("dim", self.dim, 1, 1024)
        check_range("latent_dim", self.latent_dim, 1, 100_000)
        check_range("channels", self.channels, 1, 2)
        check_range("sample_rate", self.sample_rate, 100, 10**7)
        check_range("phase_shuffle", self.phase_shuffle, 0, 100)
        if self.num_samples not in _STRIDES:
            known = ", ".join(f"{length:,}" for length in _STRIDES)
            raise InputError(f"num_samples {self.num_samples:,}: give one of {known}")


class WaveGANGenerator(nn.Module):
    """z (batch, latent_dim) to waveforms (batch, channels, num_samples) in [-1, 1]."""

    def __init__(self, config: WaveGANConfig) -> None:
        super().__init__()
        strides = _STRIDES[config.num_samples]
        widths = [config.dim << power for power in reversed(range(len(strides)))]
        self.project = nn.Linear(config.latent_dim, 16 * widths[0])
        self.upsample = nn.ModuleList(
            UpConv1d(inputs, outputs, stride)
            for inputs, outputs, stride in zip(
                widths, [*widths[1:], config.channels], strides, strict=True
            )
        )

    def forward(self, z: Tensor) -> Tensor:
        """Waveforms of latents."""
        # The published code makes (time, channels) of the first layer's outputs.
        hidden: Tensor = self.project(z).view(len(z), 16, -1).transpose(1, 2)
        for layer in self.upsample:
            hidden = layer(hidden.relu())
        return hidden.tanh()


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
        self.score = nn.Linear(16 * widths[-1], 1)
        self._shuffle = config.phase_shuffle

    def forward(self, waveforms: Tensor) -> Tensor:
        """Scores of waveforms; in training mode, with random phase shuffle."""
        hidden = waveforms
        for index, layer in enumerate(self.downsample):
            hidden = F.leaky_relu(layer(hidden), 0.2)
            if index < _SHUFFLED and self.training:
                hidden = phase_shuffle(hidden, self._shuffle)
        # The published code flattens (time, channels).
        score: Tensor = self.score(hidden.transpose(1, 2).flatten(1))
        return score.squeeze(1)


class WaveGAN(AudioGAN):
    """Generator and discriminator of Donahue et al. 2019, "Adversarial Audio Synthesis", table 3.

    At `dim` 64 and 16,384 samples they have 19,065,345 and 17,427,969 parameters. Padding is that
    of TensorFlow, "same", so that published weights can be imported; initial weights are drawn as
    there, too (Glorot and Bengio 2010), and biases are 0.
    """

    model_type: ClassVar[str] = "wavegan"
    config_class: ClassVar[type] = WaveGANConfig

    def __init__(self, config: WaveGANConfig | None = None) -> None:
        config = config or WaveGANConfig()
        super().__init__(config)
        self.generator = WaveGANGenerator(config)
        self.discriminator = WaveGANDiscriminator(config)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)

    def forward(self, z: Tensor) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of latents (batch, latent_dim)."""
        waveforms: Tensor = self.generator(z)
        return waveforms


class UpConv1d(nn.ConvTranspose1d):
    """A transposed convolution, kernel 25: (batch, channels, n) gets ``stride`` times as long.

    Each of the ``stride`` phases of the output is a convolution of the input with every
    ``stride``-th weight: together one ordinary convolution with ``stride`` times the channels.
    The numbers are those of a transposed convolution in TensorFlow with "same" padding.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, _KERNEL, stride)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(batch, inputs, n) to (batch, outputs, n * stride)."""
        assert output_size is None
        stride = self.stride[0]
        weight = _by_phase(self.weight, stride).flip(2)  # taps run the other way
        taps = weight.shape[2]
        weight = weight.permute(3, 1, 0, 2).reshape(-1, self.in_channels, taps)
        phases = F.conv1d(input, weight, padding=taps // 2)
        phases = phases.view(len(input), stride, self.out_channels, -1).permute(0, 2, 3, 1)
        assert self.bias is not None
        return phases.flatten(2) + self.bias[:, None]


class DownConv1d(nn.Conv1d):
    """A convolution, kernel 25: (batch, channels, n) gets ``stride`` times as short.

    Computed as a convolution without stride over the ``stride`` phases of the input; the numbers
    are those of TensorFlow with "same" padding.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, _KERNEL, stride)

    def forward(self, input: Tensor) -> Tensor:
        """(batch, inputs, n) to (batch, outputs, n / stride)."""
        stride = self.stride[0]
        weight = _by_phase(self.weight, stride).transpose(2, 3)  # (outputs, inputs, stride, taps)
        taps = weight.shape[3]
        phases = input.reshape(*input.shape[:2], -1, stride).transpose(2, 3)
        return F.conv1d(phases.flatten(1, 2), weight.flatten(1, 2), self.bias, padding=taps // 2)


def _by_phase(weight: Tensor, stride: int) -> Tensor:
    """Kernels (..., 25), filled up with zeros, as (..., taps, stride), an odd number of taps.

    TensorFlow's "same" padding is (25 - stride) // 2 on the left, so that tap 0 of phase 0 lies
    a multiple of ``stride`` before the centre.
    """
    left_padding = (_KERNEL - stride) // 2
    before = -left_padding % stride
    half = (left_padding + before) // stride
    after = (2 * half + 1) * stride - _KERNEL - before
    return F.pad(weight, (before, after)).view(*weight.shape[:-1], -1, stride)


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
