"""Small residual networks that make a vector of a spectrogram or an image."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WIDTH = 32  # channels of a network's first layer
_MIDDLE = 5  # layers of a sound network's trunk before its middle


class SoundNetwork(nn.Module):
    """A small residual network (He et al. 2016) that keeps three moments of the word apart."""

    middle_channels = 2 * _WIDTH
    moments_dim = 6 * 4 * _WIDTH

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, _WIDTH, 5, stride=2, padding=2, bias=False),  # 48 → 24
            nn.BatchNorm2d(_WIDTH),
            nn.ReLU(),
            Residual(_WIDTH, 2 * _WIDTH, stride=2),  # 24 → 12
            Residual(2 * _WIDTH, 2 * _WIDTH),
            Residual(2 * _WIDTH, 4 * _WIDTH, stride=2),  # 12 → 6
            Residual(4 * _WIDTH, 4 * _WIDTH),
        )
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(self.moments_dim, outputs))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Vectors (batch, outputs) of spectrograms (batch, 48, 48) in [0, 1]."""
        vector: Tensor = self.head(self.moments(spectrogram))
        return vector

    def moments(self, spectrogram: Tensor) -> Tensor:
        """Means and maxima (batch, moments_dim) of the features of each third of the word."""
        return self.features(spectrogram)[1]

    def features(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the network's middle (batch, middle_channels, 12, 12), and `moments`."""
        middle = self.trunk[:_MIDDLE](standardise(spectrogram))
        return middle, moments_of(self.trunk[_MIDDLE:](middle))


def moments_of(features: Tensor) -> Tensor:
    """Means and maxima (batch, 6 * channels) of each third of features (batch, channels, n, n)."""
    moments = [F.adaptive_avg_pool2d(features, (1, 3)), F.adaptive_max_pool2d(features, (1, 3))]
    return torch.cat(moments, 1).flatten(1)


class ImageNetwork(nn.Module):
    """A small residual network (He et al. 2016) that keeps four places of the image apart."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        width = _WIDTH // 2
        self.trunk = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=2, padding=2, bias=False),  # 28 → 14
            nn.BatchNorm2d(width),
            nn.ReLU(),
            Residual(width, 2 * width, stride=2),  # 14 → 7
            Residual(2 * width, 4 * width, stride=2),  # 7 → 4
        )
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(4 * 4 * width, outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Vectors (batch, outputs) of images (batch, 28, 28) in [0, 1], white on black."""
        pixels = 2 * images.unsqueeze(1) - 1
        hidden = self.trunk(pixels.contiguous(memory_format=torch.channels_last))
        vector: Tensor = self.head(F.adaptive_avg_pool2d(hidden, 2).flatten(1))
        return vector


def standardise(spectrogram: Tensor) -> Tensor:
    """Spectrograms (batch, 48, 48) as a network's input (batch, 1, 48, 48), channels last.

    Centred and scaled by the mean and deviation of FSDD's spectrograms.
    """
    standardised = (spectrogram.unsqueeze(1) - 0.4) / 0.25
    return standardised.contiguous(memory_format=torch.channels_last)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The shortcut of a residual block: a 1x1 convolution where sizes change, else nothing."""
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = shortcut(inputs, outputs, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, inputs, n, m) to (batch, outputs, n / stride, m / stride)."""
        return F.relu(self.shortcut(hidden) + self.body(hidden))
