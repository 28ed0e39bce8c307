"""What the training loop needs to know of the thing it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from audiate.models import PretrainedModel


@dataclass(frozen=True)
class Shard:
    """Which part of every batch this process takes: items ``rank``, ``rank + world_size``, ..."""

    rank: int = 0
    world_size: int = 1

    def take(self, items: Tensor) -> Tensor:
        """Pick one process's share of a batch's items."""
        return items[self.rank :: self.world_size]


@dataclass(frozen=True)
class Phase:
    """One update of one optimiser.

    Attributes:
        optimizer: Its name in `Task.optimizers`.
        losses: Takes its batch, runs the networks and returns named scalars.
        weights: What each loss counts for in the objective. A loss without a weight is only
            logged; a weight without a loss is an error.
        learning_rate: For this update.

    """

    optimizer: str
    losses: Callable[[], Mapping[str, Tensor]]
    weights: Mapping[str, float]
    learning_rate: float


class Heard(NamedTuple):
    """A waveform (channels, samples) in [-1, 1], and its sample rate in Hz."""

    waveform: Tensor
    sample_rate: int


@dataclass
class Task(ABC):
    """A training: networks, their optimisers, and the phases of each step.

    Everything random in a step must come from torch's global generator, which the loop seeds from
    (seed, step, rank), or from a generator that is itself seeded by the step or epoch. Then a run
    that was killed and resumed is the same as one that was not.

    A GAN lists its generator's phase and its discriminator's, in either order; the loop freezes
    all parameters but those of the phase's own optimiser.
    """

    seed: int
    steps: int
    steps_per_epoch: int
    model: PretrainedModel  # what the run is for, written to RUN/model at its end
    modules: dict[str, nn.Module] = field(default_factory=dict)
    optimizers: dict[str, Optimizer] = field(default_factory=dict)
    shard: Shard = field(default_factory=Shard)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.model.device

    @abstractmethod
    def phases(self, step: int) -> Sequence[Phase]:
        """The updates of step ``step`` (from 0), in order."""

    def end_step(self, step: int) -> None:  # noqa: B027 - most tasks have nothing to do
        """What is to be done after the updates of step ``step``, before it can be saved."""

    def listen(self) -> Heard | None:
        """Sounds of how it goes, at the end of an epoch."""
        return None

    def preview(self) -> Tensor | None:
        """A picture (height, width) in [0, 1] of how it goes, at the end of an epoch."""
        return None

    def diagnose(self, means: Mapping[str, float]) -> str | None:  # noqa: ARG002
        """One line on what has gone wrong, judging by an epoch's mean losses."""
        return None


def objective(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of named losses.

    Raises:
        ValueError: A weight names no loss.

    """
    unknown = weights.keys() - losses.keys()
    if unknown:
        raise ValueError(
            f"weights for unknown losses {sorted(unknown)}; this phase has {sorted(losses)}"
        )
    terms = [weight * losses[name] for name, weight in weights.items()]
    return torch.stack(terms).sum()
