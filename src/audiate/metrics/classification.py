"""Accuracy of classifiers, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Share of equal entries, in [0, 1]; both (count,)."""
    return (predictions == labels).double().mean().item()


def confusion_matrix(predictions: Tensor, labels: Tensor, classes: int = 10) -> Tensor:
    """Counts (classes, classes), int64: rows are labels, columns are predictions."""
    cells = labels * classes + predictions
    return torch.bincount(cells, minlength=classes * classes).view(classes, classes)


def bootstrap_interval(
    correct: Tensor, groups: Tensor, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap of the mean of ``correct``, resampling whole groups.

    Items of one group share their cause (images drawn from one recording): resampling items as if
    they were independent would make the interval too narrow. Efron & Tibshirani 1993, section 8.

    Args:
        correct: (count,), any numbers.
        groups: (count,), int64: the group of each item.
        level: Coverage of the interval, in (0, 1).
        draws: Number of bootstrap samples.
        seed: Seed of the resampling.

    Returns:
        The lower and the upper bound.

    """
    _, index = torch.unique(groups, return_inverse=True)
    count = int(index.max()) + 1
    sums = torch.zeros(count, dtype=torch.double).index_add_(0, index, correct.double())
    sizes = torch.bincount(index, minlength=count).double()
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randint(count, (draws, count), generator=generator)
    means = sums[picks].sum(1) / sizes[picks].sum(1)
    tail = (1 - level) / 2
    low, high = means.quantile(torch.tensor([tail, 1 - tail], dtype=torch.double)).tolist()
    return low, high


@dataclass(frozen=True)
class Score:
    """Accuracy of a classifier's readings.

    Attributes:
        accuracy: Share of the items that are read as the digit that was meant, in [0, 1].
        interval: 95 % bootstrap interval of the accuracy. Recordings are resampled, not images.
        per_digit: Accuracy for each digit from 0 to 9, or None for a digit that does not occur.
        confusion: Counts (10, 10). Rows are the digits that were meant, columns the digits that
            were read.

    """

    accuracy: float
    interval: tuple[float, float]
    per_digit: list[float | None]
    confusion: list[list[int]]

    def in_percent(self) -> str:
        """Return the accuracy and its interval in percent."""
        low, high = self.interval
        return f"{100 * self.accuracy:.2f} [{100 * low:.2f}, {100 * high:.2f}]"

    def digits_in_percent(self) -> list[str]:
        """Return the mean over digits, then the accuracy for each digit, in percent."""
        digits = ["-" if share is None else f"{100 * share:.0f}" for share in self.per_digit]
        return [f"{100 * mean_of(self.per_digit):.2f}", *digits]


def score_of(predictions: Tensor, labels: Tensor, groups: Tensor | None = None) -> Score:
    """Score the digits that were read.

    Args:
        predictions: Digits that were read, (count,), int64.
        labels: Digits that were meant, (count,), int64.
        groups: The recording behind each item, (count,), int64. The interval resamples these. By
            default, each item is one of its own.

    """
    groups = torch.arange(len(labels)) if groups is None else groups
    confusion = confusion_matrix(predictions, labels)
    return Score(
        accuracy=accuracy(predictions, labels),
        interval=bootstrap_interval(predictions == labels, groups),
        per_digit=[
            row[digit].item() / total if (total := int(row.sum())) else None
            for digit, row in enumerate(confusion)
        ],
        confusion=confusion.tolist(),
    )


def mean_of(values: Sequence[float | None]) -> float:
    """Return the mean of the values that are not None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known)
