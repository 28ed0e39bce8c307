"""The items of each batch."""

from __future__ import annotations

import torch
from torch import Tensor

from audiate.training.seeds import generator


class EpochOrder:
    """Shuffles ``count`` items anew in each epoch, and cuts them into full batches.

    The batches depend on (seed, step) alone. Items that are left over at the end of an epoch are
    not used in it.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.batch_size = min(batch_size, count)
        self.steps_per_epoch = count // self.batch_size
        self._count, self._seed = count, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Tensor:
        """Indices (batch_size,) of step ``step``."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.randperm(self._count, generator=generator(self._seed, epoch))
        return self._order[position * self.batch_size :][: self.batch_size]


class EvenOrder:
    """Draws batches in which every label is equally frequent, however many clips it has.

    Within a label, every source is equally frequent (or a small data set would drown beside a large
    one), and within a source, every item. Items are drawn with replacement. The batches depend on
    (seed, step) alone.
    """

    def __init__(self, labels: Tensor, sources: Tensor, batch_size: int, seed: int) -> None:
        self._batch_size, self._seed = batch_size, seed
        self._by_cell = torch.argsort(labels * (int(sources.max()) + 1) + sources, stable=True)
        cells = torch.stack([labels, sources], 1)
        found, self._counts = torch.unique(cells, dim=0, return_counts=True)
        self._begins = self._counts.cumsum(0) - self._counts
        _, self._cells_of = torch.unique(found[:, 0], return_counts=True)
        self._first_cell = self._cells_of.cumsum(0) - self._cells_of

    def batch(self, step: int) -> Tensor:
        """Indices (batch_size,) of step ``step``."""
        draws = torch.rand(3, self._batch_size, generator=generator(self._seed, step))
        label = (draws[0] * len(self._cells_of)).long()
        cell = self._first_cell[label] + (draws[1] * self._cells_of[label]).long()
        return self._by_cell[self._begins[cell] + (draws[2] * self._counts[cell]).long()]
