"""Scores, as pure functions of tensors."""

from __future__ import annotations

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
        level: Coverage of the interval.
        draws: Bootstrap samples.
        seed: Of the resampling.

    Returns:
        Lower and upper bound.

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
