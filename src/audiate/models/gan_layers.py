"""Layers that the networks of WaveGAN and SpecGAN have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.models.configs import AudioGANConfig

SOFT = 20.0
"""The `label_sharpness` of trainings, with which the choice of a label has gradients."""

CLEAR = 1000.0
"""The `label_sharpness` of trained models, with which two labels are hardly ever mixed.

Of random latents, one in five has its two largest label entries within 0.05 of each other, and a
soft choice makes a mixture of two words of them.
"""

Layer = Callable[[int, int, int], nn.Module]
"""Makes a layer of its numbers of input and output channels, and its option."""

_PLACES = 16  # times, or times and bands, between the fully connected layers and the convolutions
_SHUFFLED = 4  # number of layers, from the first, whose outputs are shuffled


class Projection(nn.Linear):
    """The generator's first layer, which takes z and, with classes, a choice among them.

    The choice is a softmax of the first entries of z times a factor: 20 in training mode, and
    `config.label_sharpness` otherwise.
    """

    def __init__(self, config: AudioGANConfig, outputs: int) -> None:
        super().__init__(config.latent_dim + config.classes, outputs)
        self._classes, self._sharpness = config.classes, config.label_sharpness

    def forward(self, input: Tensor) -> Tensor:
        """Outputs (batch, outputs) of latents (batch, latent_dim)."""
        if self._classes:
            sharpness = SOFT if self.training else self._sharpness
            choice = (sharpness * input[:, : self._classes].float()).softmax(1)
            input = torch.cat([input, choice.to(input.dtype)], 1)
        return super().forward(input)


class Score(nn.Linear):
    """The discriminator's last layer: one score, plus one for each class, of which one counts.

    This is the projection discriminator of Miyato and Koyama 2018.
    """

    def __init__(self, inputs: int, config: AudioGANConfig) -> None:
        classes = config.code.count if config.code.judged else config.classes
        super().__init__(inputs, 1 + classes)
        self._classes = classes

    def forward(self, input: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (batch,) of hidden values (batch, inputs), given ``labels`` (batch,), int64."""
        scores = super().forward(input)
        if not self._classes:
            return scores[:, 0]
        if labels is None:
            raise ValueError("this discriminator needs the labels")
        return scores[:, 0] + scores.gather(1, 1 + labels.unsqueeze(1)).squeeze(1)


@dataclass(frozen=True)
class Architecture:
    """The convolutions of a GAN's networks.

    Attributes:
        config: Configuration of the model.
        widths: Number of channels of each of the discriminator's layers; the generator has them in
            reverse.
        upsample: Makes a layer of the generator.
        downsample: Makes a layer of the discriminator.
        options: The option of each layer, in the order of either network: its stride or kernel.
        norm: Batch norm of the right number of dimensions.
        places: Sizes of the input of the generator's first convolution, 16 values together.
        shuffle: Largest shift by phase shuffle, in samples.

    """

    config: AudioGANConfig
    widths: Sequence[int]
    upsample: Layer
    downsample: Layer
    options: Sequence[int]
    norm: type[nn.Module]
    places: tuple[int, ...]
    shuffle: int = 0


class GANGenerator(nn.Module):
    """Transposed convolutions from z (batch, latent_dim) to sounds or spectrograms in [-1, 1]."""

    def __init__(self, own: Architecture) -> None:
        super().__init__()
        widths = own.widths[::-1]
        self.project = Projection(own.config, _PLACES * widths[0])
        self.upsample = nn.ModuleList(
            own.upsample(*sizes, option)
            for sizes, option in zip(
                pairwise([*widths, own.config.channels]), own.options, strict=True
            )
        )
        self.norms = nn.ModuleList(
            own.norm(width) if own.config.batch_norm else nn.Identity() for width in widths
        )
        self._places = own.places

    def forward(self, z: Tensor) -> Tensor:
        """Outputs (batch, channels, ...) of latents (batch, latent_dim)."""
        # Channels come last in memory: the published order, and the fastest. Not `len(z)`, which
        # would be a constant in an exported graph.
        hidden = self.project(z).view(z.shape[0], *self._places, -1).movedim(-1, 1)
        for norm, layer in zip(self.norms, self.upsample, strict=True):
            hidden = layer(norm(hidden).relu())
        outputs: Tensor = hidden.tanh()
        return outputs


class GANEncoder(nn.Module):
    """The strided convolutions of a discriminator, and of the published Q-network."""

    def __init__(self, own: Architecture) -> None:
        super().__init__()
        self.downsample = nn.ModuleList(
            own.downsample(*sizes, option)
            for sizes, option in zip(
                pairwise([own.config.channels, *own.widths]), own.options, strict=True
            )
        )
        self._shuffle = own.shuffle
        self.outputs = _PLACES * own.widths[-1]

    def hidden(self, inputs: Tensor) -> Tensor:
        """Hidden values (batch, outputs) of sounds (batch, channels, ...) or spectrograms."""
        hidden = inputs
        if hidden.dim() == 4:
            hidden = hidden.contiguous(memory_format=torch.channels_last)
        for number, layer in enumerate(self.downsample):
            hidden = F.leaky_relu(layer(hidden), 0.2)
            if number < _SHUFFLED and self.training:
                hidden = phase_shuffle(hidden, self._shuffle)
        # The published code flattens with channels last.
        return hidden.movedim(1, -1).flatten(1)


class Discriminator(GANEncoder):
    """Maps sounds or spectrograms to scores (batch,), higher for real ones."""

    def __init__(self, own: Architecture) -> None:
        super().__init__(own)
        self.score = Score(self.outputs, own.config)

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores of inputs as ``labels`` (batch,); in training mode, with phase shuffle."""
        score: Tensor = self.score(self.hidden(inputs), labels)
        return score


class CodeEncoder(GANEncoder):
    """The Q-network of Beguš 2021: the discriminator's architecture, whose outputs are a code."""

    def __init__(self, own: Architecture) -> None:
        super().__init__(own)
        self.head = nn.Linear(self.outputs, own.config.code.size)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (batch, code size) of sounds or spectrograms."""
        logits: Tensor = self.head(self.hidden(inputs))
        return logits


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
