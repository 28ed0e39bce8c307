"""ResNet-18 on spectrograms: the judge of spoken digits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audiate.errors import InputError, check_range
from audiate.models.pretrained import PretrainedModel
from audiate.spectra import Spectrogram, SpectrogramKind

BLOCKS = ("stem", *(f"block{number}" for number in range(1, 9)))
"""Where activations can be read, from the input on: the stem, then each residual block."""


@dataclass(frozen=True)
class DigitClassifierConfig:
    """What the judge hears.

    Raises `InputError` where a value is out of range.

    Attributes:
        spectrogram: ``log`` for levels in decibels, ``real`` for the paper's real part.
        sample_rate: In Hz.
        num_samples: Samples of a clip; others are cut or padded by who reads them.

    """

    spectrogram: SpectrogramKind = "log"
    sample_rate: int = 16_000
    num_samples: int = 16_384

    def __post_init__(self) -> None:
        if self.spectrogram not in ("log", "real"):
            raise InputError(f"spectrogram {self.spectrogram!r}: give log or real")
        check_range("sample_rate", self.sample_rate, 100, 10**7)
        check_range("num_samples", self.num_samples, 256, 10**7)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height / stride, width / stride)."""
        inner = self.first_norm(self.first(hidden)).relu()
        joined: Tensor = self.second_norm(self.second(inner)) + self.shortcut(hidden)
        return joined.relu()


class ResNet18(nn.Module):
    """He et al. 2016, table 1, 18 layers, for one input channel and without a last activation.

    (batch, height, width) to (batch, outputs); 11,175,370 parameters with ten outputs. Layers are
    the attributes named in `BLOCKS`, then the global average pool and ``head``.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        widths = (64, 64, 64, 128, 128, 256, 256, 512, 512)
        for number in range(1, 9):
            inputs, own = widths[number - 1 : number + 1]
            setattr(self, f"block{number}", BasicBlock(inputs, own, 1 if inputs == own else 2))
        self.head = nn.Linear(512, outputs)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs

    def activations(self, spectrograms: Tensor) -> dict[str, Tensor]:
        """What each of `BLOCKS` puts out, (batch, channels, height, width), in their order."""
        hidden = spectrograms.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        found = {}
        for name in BLOCKS:
            hidden = getattr(self, name)(hidden)
            found[name] = hidden
        return found

    def embed(self, spectrograms: Tensor) -> Tensor:
        """The last block's mean over time and frequency (batch, 512), at least 0."""
        return self.activations(spectrograms)[BLOCKS[-1]].mean((2, 3))

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Outputs (batch, outputs) of spectrograms (batch, height, width)."""
        outputs: Tensor = self.head(self.embed(spectrograms))
        return outputs


class DigitClassifier(PretrainedModel):
    """Which digit is spoken: ResNet-18 on the 128x129 spectrogram (Keyes et al. 2020, section 4).

    Judge of generated and recovered speech: logits for accuracy and Inception Score, `embed` for
    the Fréchet distance, `activations` for the perceptual loss.
    """

    model_type: ClassVar[str] = "digit-classifier"
    config_class: ClassVar[type] = DigitClassifierConfig

    def __init__(self, config: DigitClassifierConfig | None = None) -> None:
        config = config or DigitClassifierConfig()
        super().__init__(config)
        self.sample_rate = config.sample_rate
        self.num_samples = config.num_samples
        self.spectrogram = Spectrogram(config.spectrogram)
        self.network = ResNet18(10)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits (batch, 10) of waveforms (batch, samples) or (batch, channels, samples)."""
        logits: Tensor = self.network(self._seen(waveforms))
        return logits

    def embed(self, waveforms: Tensor) -> Tensor:
        """Features (batch, 512), at least 0, before the last layer; arguments as of `forward`."""
        return self.network.embed(self._seen(waveforms))

    def classify(self, features: Tensor) -> Tensor:
        """Logits (batch, 10) of what `embed` gave, (batch, 512)."""
        logits: Tensor = self.network.head(features)
        return logits

    def activations(self, waveforms: Tensor, names: Collection[str] = BLOCKS) -> dict[str, Tensor]:
        """Activations (batch, channels, height, width) by the name of the block, in their order.

        Args:
            waveforms: As of `forward`.
            names: Any of `BLOCKS`.

        Raises:
            InputError: There is no block of that name.

        """
        unknown = sorted(set(names) - set(BLOCKS))
        if unknown:
            raise InputError(f"{unknown[0]}: no such block; there are {', '.join(BLOCKS)}")
        found = self.network.activations(self._seen(waveforms))
        return {name: found[name] for name in BLOCKS if name in names}

    def _seen(self, waveforms: Tensor) -> Tensor:
        mono = waveforms.mean(1) if waveforms.dim() == 3 else waveforms
        spectrograms: Tensor = self.spectrogram(mono)
        return spectrograms
