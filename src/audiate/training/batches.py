"""Which items make up which batch."""

from __future__ import annotations

import torch
from torch import Tensor

from audiate.training.seeds import generator


class EpochOrder:
    """A fresh shuffle of ``count`` items each epoch, cut into full batches.

    Depends on (seed, step) alone. Items left over at an epoch's end wait for the next shuffle.
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
