"""A score that tells spoken digits from other sounds."""

from torch import nn

_HIDDEN = 256


class DigitScore(nn.Sequential):
    """Log-odds (batch,) that features (batch, n) are of a spoken digit; below 0, it is refused.

    It is trained on a frozen model's features of digits and of other sounds (outlier exposure,
    Hendrycks et al. 2019), and its offset is chosen on clips of other speakers.
    """

    def __init__(self, features: int) -> None:
        super().__init__(
            nn.Linear(features, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1), nn.Flatten(0)
        )


def no_digit(score: float) -> str:
    """Say that a clip has a score below 0."""
    return f"probably no spoken digit (score {score:.1f} is below 0)"
