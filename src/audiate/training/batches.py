"""Batches, seeds, schedules, each a function of (seed, step), and the length of a training."""

import hashlib
from math import cos, pi
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from audiate.training.recipes.base import StepRecipe


class EpochOrder:
    """Shuffles ``count`` items anew in each epoch, and cuts them into full batches.

    The batches depend on (seed, step) alone. Items that are left over at the end of a pass are not
    used in it. An epoch is a pass, or ``least_steps`` where that is more.
    """

    def __init__(self, count: int, batch_size: int, seed: int, least_steps: int = 1) -> None:
        self.seed, self.batch_size = seed, min(batch_size, count)
        self._steps_of_pass = count // self.batch_size
        self.steps_per_epoch = max(self._steps_of_pass, least_steps)
        self._count = count
        self._pass, self._order = -1, torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Tensor:
        """Indices (batch_size,) of step ``step``."""
        number, position = divmod(step, self._steps_of_pass)
        if number != self._pass:
            self._pass = number
            self._order = torch.randperm(self._count, generator=generator(self.seed, number))
        return self._order[position * self.batch_size :][: self.batch_size]


class EvenOrder:
    """Draws batches in which every label is equally frequent, however many clips it has.

    Within a label, every source is equally frequent (or a small data set would drown beside a large
    one), and within a source, every item. Items are drawn with replacement. The batches depend on
    (seed, step) alone. An epoch draws about as many items as there are.
    """

    def __init__(self, labels: Tensor, sources: Tensor, batch_size: int, seed: int) -> None:
        self.seed, self.batch_size = seed, batch_size
        self.steps_per_epoch = max(len(labels) // batch_size, 1)
        self._by_cell = torch.argsort(labels * (int(sources.max()) + 1) + sources, stable=True)
        cells = torch.stack([labels, sources], 1)
        found, self._counts = torch.unique(cells, dim=0, return_counts=True)
        self._begins = self._counts.cumsum(0) - self._counts
        _, self._cells_of = torch.unique(found[:, 0], return_counts=True)
        self._first_cell = self._cells_of.cumsum(0) - self._cells_of

    def batch(self, step: int) -> Tensor:
        """Indices (batch_size,) of step ``step``."""
        draws = torch.rand(3, self.batch_size, generator=generator(self.seed, step))
        label = (draws[0] * len(self._cells_of)).long()
        cell = self._first_cell[label] + (draws[1] * self._cells_of[label]).long()
        return self._by_cell[self._begins[cell] + (draws[2] * self._counts[cell]).long()]


class Order(Protocol):
    """The batches of a training, as `EpochOrder` has them."""

    seed: int
    batch_size: int
    steps_per_epoch: int


class Pace(NamedTuple):
    """The first arguments of a `Task`, which say how long it trains and with which seed."""

    seed: int
    steps: int
    steps_per_epoch: int
    batch_size: int


def of_epochs(epochs: int, order: Order) -> Pace:
    """The pace of a `Task` with so many passes over its data.

    Args:
        epochs: Number of passes.
        order: The batches, whose seed is that of everything random.

    """
    each = order.steps_per_epoch
    return Pace(order.seed, epochs * each, each, order.batch_size)


def of_steps(recipe: StepRecipe) -> Pace:
    """The same for a recipe that has a number of steps."""
    every = min(recipe.preview_every, recipe.steps)
    return Pace(recipe.seed, recipe.steps, every, recipe.batch_size)


def mixed_seed(*parts: int) -> int:
    """Mix several integers into one 63-bit seed."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*parts: int) -> torch.Generator:
    """A CPU generator seeded from several integers, for instance (seed, epoch)."""
    return torch.Generator().manual_seed(mixed_seed(*parts))


def one_cycle(step: int, steps: int, peak: float, *, warmup: float = 0.2) -> float:
    """A rise from peak / 25 over the first ``warmup`` share of steps, then a fall to zero.

    This is the schedule of Smith & Topin 2018, with half-cosine pieces.
    """
    rise = max(warmup * steps, 1.0)
    if step < rise:
        return peak * (1 / 25 + (1 - 1 / 25) * (1 - cos(pi * step / rise)) / 2)
    return peak * (1 + cos(pi * (step - rise) / max(steps - rise, 1.0))) / 2


def scheduled(
    schedule: Literal["one-cycle", "constant"],
    step: int,
    steps: int,
    peak: float,
    *,
    warmup: float = 0.2,
) -> float:
    """The learning rate of a step: that of `one_cycle`, or ``peak`` throughout."""
    return one_cycle(step, steps, peak, warmup=warmup) if schedule == "one-cycle" else peak


def linear_warmup(step: float, warmup_steps: float, final: float) -> float:
    """A linear rise from 0 to ``final`` in ``warmup_steps``; with 0 of these, always ``final``."""
    return final * min(1.0, step / warmup_steps) if warmup_steps > 0 else final
