"""Accuracy of classifiers, with confidence intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

_LEVEL = 0.95  # coverage of intervals


def accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Share of equal entries, in [0, 1]; both (count,)."""
    return (predictions == labels).double().mean().item()


def confusion_matrix(predictions: Tensor, labels: Tensor, classes: int = 10) -> Tensor:
    """Counts (classes, classes), int64: rows are labels, columns are predictions."""
    cells = labels * classes + predictions
    return torch.bincount(cells, minlength=classes * classes).view(classes, classes)


def wilson_interval(right: float, count: int) -> tuple[float, float]:
    """Bounds of the probability of which ``right`` of ``count`` are a sample (Wilson 1927).

    It has a width where all are right, or none.
    """
    z = NormalDist().inv_cdf((1 + _LEVEL) / 2)
    share, scale = right / count, 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / scale
    half = z / scale * (share * (1 - share) / count + z**2 / (4 * count**2)) ** 0.5
    return max(middle - half, 0.0), min(middle + half, 1.0)


def bootstrap_interval(
    correct: Tensor, groups: Tensor, *, labels: Tensor | None = None, draws: int = 2000
) -> tuple[float, float]:
    """95 % percentile bootstrap of the mean of ``correct``, resampling whole groups.

    Items of one group share their cause (images drawn from one recording, words of one speaker):
    resampling items as if they were independent would make the interval too narrow. Efron &
    Tibshirani 1993, section 8. Of few groups, the interval is too narrow as well; of one, it has no
    width. Samples of what is right alone, or wrong alone, show no doubt, so there the interval is
    Wilson's for as many items as there are groups.

    Args:
        correct: (count,), truth values, or any numbers.
        groups: (count,), int64: the group of each item.
        labels: (count,), int64: the mean is that over labels of the mean of each label's items. A
            label without an item in a bootstrap sample is left out of that sample's mean.
        draws: Number of bootstrap samples.

    Returns:
        The lower and the upper bound.

    """
    _, index = torch.unique(groups, return_inverse=True)
    count = int(index.max()) + 1
    if correct.dtype == torch.bool and bool((correct == correct[0]).all()):
        return wilson_interval(count * int(correct[0]), count)
    generator = torch.Generator().manual_seed(0)
    picks = torch.randint(count, (draws, count), generator=generator)
    if labels is None:
        sums = torch.zeros(count, dtype=torch.double).index_add_(0, index, correct.double())
        sizes = torch.bincount(index, minlength=count).double()
        means = sums[picks].sum(1) / sizes[picks].sum(1)
    else:
        found, column = torch.unique(labels, return_inverse=True)
        cells, shape = index * len(found) + column, (count, len(found))
        sizes = torch.bincount(cells, minlength=count * len(found)).double().view(shape)
        sums = torch.zeros(count * len(found), dtype=torch.double)
        sums = sums.index_add_(0, cells, correct.double()).view(shape)
        times = torch.zeros(draws, count, dtype=torch.double)
        times.scatter_add_(1, picks, torch.ones_like(picks, dtype=torch.double))
        means = (times @ sums / (times @ sizes)).nanmean(1)
    tail = (1 - _LEVEL) / 2
    low, high = means.quantile(torch.tensor([tail, 1 - tail], dtype=torch.double)).tolist()
    return low, high


@dataclass(frozen=True)
class Score:
    """Accuracy of a classifier's readings.

    Attributes:
        accuracy: Share of the items that are read as the digit that was meant, in [0, 1].
        interval: 95 % bootstrap interval of the accuracy. Groups are resampled, not items: see
            `score_of`.
        mean_over_digits: Mean of ``per_digit``.
        mean_over_digits_interval: Its 95 % bootstrap interval, likewise.
        per_digit: Accuracy for each digit from 0 to 9, or None for a digit that does not occur.
        confusion: Counts (10, 10). Rows are the digits that were meant, columns the digits that
            were read.

    """

    accuracy: float
    interval: tuple[float, float]
    mean_over_digits: float
    mean_over_digits_interval: tuple[float, float]
    per_digit: list[float | None]
    confusion: list[list[int]]

    @property
    def count(self) -> int:
        """Number of items."""
        return sum(map(sum, self.confusion))

    def in_percent(self) -> str:
        """Return the accuracy and its interval in percent."""
        return in_percent(self.accuracy, self.interval)

    def digits_in_percent(self) -> list[str]:
        """Return the mean over digits and its interval, then each digit's accuracy, in percent."""
        digits = ["-" if share is None else f"{100 * share:.0f}" for share in self.per_digit]
        return [in_percent(self.mean_over_digits, self.mean_over_digits_interval), *digits]


def in_percent(share: float, interval: tuple[float, float], places: int = 2) -> str:
    """Return a share and its interval in percent, such as ``97.30 [95.10, 99.00]``."""
    value, low, high = (f"{100 * each:.{places}f}" for each in (share, *interval))
    return f"{value} [{low}, {high}]"


def score_of(predictions: Tensor, labels: Tensor, groups: Tensor | None = None) -> Score:
    """Score the digits that were read.

    Args:
        predictions: Digits that were read, (count,), int64.
        labels: Digits that were meant, (count,), int64.
        groups: The recording or the speaker behind each item, (count,), int64. The intervals
            resample these. By default, or where there is a single one, each item is one of its
            own.

    """
    if groups is None or len(torch.unique(groups)) == 1:
        groups = torch.arange(len(labels))
    confusion, correct = confusion_matrix(predictions, labels), predictions == labels
    per_digit = [
        row[digit].item() / total if (total := int(row.sum())) else None
        for digit, row in enumerate(confusion)
    ]
    return Score(
        accuracy=accuracy(predictions, labels),
        interval=bootstrap_interval(correct, groups),
        mean_over_digits=mean_of(per_digit),
        mean_over_digits_interval=bootstrap_interval(correct, groups, labels=labels),
        per_digit=per_digit,
        confusion=confusion.tolist(),
    )


def mean_interval(scores: Sequence[Score]) -> tuple[float, float]:
    """The interval of the mean accuracy of several scores, over these; of one, its own."""
    if len(scores) == 1:
        return scores[0].interval
    accuracies = torch.tensor([score.accuracy for score in scores])
    return bootstrap_interval(accuracies, torch.arange(len(scores)))


def mean_of(values: Sequence[float | None]) -> float:
    """Return the mean of the values that are not None."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known)
