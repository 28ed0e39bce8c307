"""A score that tells spoken digits from other sounds."""

from math import inf

import torch
from torch import Tensor, nn

from audiate.models.residual import Residual, SoundNetwork, moments_of

_CHANNELS = SoundNetwork.middle_channels
_HIDDEN = 64


class DigitScore(nn.Module):
    """Log-odds (batch,) that sounds are spoken digits; below 0, they are refused.

    It is trained on features that a frozen `SoundNetwork` finds of digits and of other sounds
    (outlier exposure, Hendrycks et al. 2019), and its offset is chosen on clips of other speakers.
    Those of the network's end tell which digit it is, those of its middle how it sounds: played
    backwards, or broken off.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            Residual(_CHANNELS, _CHANNELS, 2), Residual(_CHANNELS, _CHANNELS)
        )
        self.head = nn.Sequential(
            nn.Linear(6 * _CHANNELS + SoundNetwork.moments_dim, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, 1),
            nn.Flatten(0),
        )

    def forward(self, middle: Tensor, moments: Tensor) -> Tensor:
        """Scores (batch,) of a network's features (batch, 64, 12, 12) and (batch, moments_dim)."""
        own = moments_of(self.trunk(middle))
        scores: Tensor = self.head(torch.cat([own, moments], 1))
        return scores


def no_digit(score: float) -> str:
    """Say that a clip has a score below 0, or, at minus infinity, that it holds no word at all."""
    if score == -inf:
        return "no spoken digit, as it holds no word"
    return f"probably no spoken digit (score {score:.1f} is below 0)"
