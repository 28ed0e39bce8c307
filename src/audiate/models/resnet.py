"""ResNet-18 on spectrograms: the classifier of spoken digits."""

from collections.abc import Collection
from typing import ClassVar

import torch
from torch import Tensor, nn

from audiate.audio.spectrograms import Spectrogram
from audiate.errors import InputError
from audiate.models.configs import DigitClassifierConfig
from audiate.models.hub import SPOKEN_CLASSIFIER
from audiate.models.pretrained import PretrainedModel
from audiate.models.residual import shortcut

BLOCKS = ("stem", *(f"block{number}" for number in range(1, 9)))
"""Names of the parts whose activations can be read, from the input on: stem and residual blocks."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = shortcut(inputs, outputs, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, inputs, n, m) to (batch, outputs, n / stride, m / stride)."""
        inner = self.first_norm(self.first(hidden)).relu()
        joined: Tensor = self.second_norm(self.second(inner)) + self.shortcut(hidden)
        return joined.relu()


class ResNet18(nn.Module):
    """He et al. 2016, table 1, 18 layers, for one input channel and without a last activation.

    It maps (batch, height, width) to (batch, outputs), and has 11,175,370 parameters with ten
    outputs. Its layers are the attributes named in `BLOCKS`, the global average pool, and ``head``.
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
            # On the meta device there are no numbers, and PyTorch would import its compiler.
            if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs

    def activations(self, spectrograms: Tensor) -> dict[str, Tensor]:
        """Activations (batch, channels, height, width) of each of `BLOCKS`, by its name."""
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
    """Classifier of spoken digits: ResNet-18 on spectrograms (Keyes et al. 2020, section 4).

    Logits give accuracy and the Inception Score, `embed` the features of the Fréchet distance, and
    `activations` those of the perceptual loss.
    """

    model_type: ClassVar[str] = "digit-classifier"
    config_class: ClassVar[type] = DigitClassifierConfig
    pipeline_tag: ClassVar[str] = "audio-classification"
    refusal: ClassVar[str] = f"classifies no spoken digits; {SPOKEN_CLASSIFIER} does"

    def __init__(self, config: DigitClassifierConfig | None = None) -> None:
        config = config or DigitClassifierConfig()
        super().__init__(config)
        self.sample_rate = config.sample_rate
        self.num_samples = config.num_samples
        self.spectrogram = Spectrogram(config.spectrogram)
        self.network = ResNet18(10)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits (batch, 10) of waveforms (batch, samples) or (batch, channels, samples)."""
        logits: Tensor = self.network(self._spectrograms(waveforms))
        return logits

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words."""
        return f"{self.num_samples:,} samples at {self.sample_rate:,} Hz → 10 digits"

    def embed(self, waveforms: Tensor) -> Tensor:
        """Features (batch, 512), at least 0, before the last layer; waveforms as for `forward`."""
        return self.network.embed(self._spectrograms(waveforms))

    def classify(self, features: Tensor) -> Tensor:
        """Logits (batch, 10) of features (batch, 512), as `embed` gives them."""
        logits: Tensor = self.network.head(features)
        return logits

    def activations(self, waveforms: Tensor, names: Collection[str] = BLOCKS) -> dict[str, Tensor]:
        """Activations (batch, channels, height, width) by the name of the block, in their order.

        Args:
            waveforms: As for `forward`.
            names: Names of blocks, out of `BLOCKS`.

        Raises:
            InputError: There is no block of that name.

        """
        unknown = sorted(set(names) - set(BLOCKS))
        if unknown:
            raise InputError(f"{unknown[0]}: no such block; there are {', '.join(BLOCKS)}")
        found = self.network.activations(self._spectrograms(waveforms))
        return {name: found[name] for name in BLOCKS if name in names}

    def _spectrograms(self, waveforms: Tensor) -> Tensor:
        mono = waveforms.mean(1) if waveforms.dim() == 3 else waveforms
        spectrograms: Tensor = self.spectrogram(mono)
        return spectrograms
