"""The interface between the training loop and what it trains."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer

from audiate.errors import InputError
from audiate.models.pretrained import PretrainedModel


@dataclass(frozen=True)
class Shard:
    """The part of every batch that a process takes: items ``rank``, ``rank + world_size``, ...

    Attributes:
        rank: Number of this process.
        world_size: Number of processes.

    """

    rank: int = 0
    world_size: int = 1

    def take(self, items: Tensor) -> Tensor:
        """Pick this process's part of a batch's items."""
        return items[self.rank :: self.world_size]

    def share(self, count: int) -> float:
        """The number of items in this process's part of a batch, divided by ``count``, all items.

        >>> [Shard(rank, 2).share(5) for rank in range(2)]
        [0.6, 0.4]
        """
        return len(range(self.rank, count, self.world_size)) / count


@dataclass(frozen=True)
class Stage:
    """One update of one optimiser.

    Attributes:
        optimizer: Name of the optimiser in `Task.optimizers`.
        losses: Takes this process's part of a batch, runs the networks and returns named scalars.
            Each is to be a mean over clips, since processes are averaged by their number of clips.
        weights: Weight of each loss in the objective. A loss without a weight is only logged; a
            weight without a loss is an error.
        learning_rate: Learning rate of this update.

    """

    optimizer: str
    losses: Callable[[], Mapping[str, Tensor]]
    weights: Mapping[str, float]
    learning_rate: float


class NotYet(str):
    """An alarm about something that is usual early on: it counts in the second half alone."""

    __slots__ = ()


class Sound(NamedTuple):
    """A waveform (channels, samples) in [-1, 1], and its sample rate in Hz."""

    waveform: Tensor
    sample_rate: int


@dataclass
class Task(ABC):
    """A training: networks, their optimisers, and the stages of each step.

    Everything random in a step must come from torch's global generator, which the loop seeds from
    (seed, step, rank), or from a generator that is itself seeded by the step or epoch. Then a run
    that was killed and resumed gives the same bits as one that was not.

    A step's stages are updated in the order in which they are listed. The loop freezes all
    parameters but those of the stage's own optimiser. A task whose later stages use what an earlier
    one has computed, as a GAN's discriminator uses its generator's output, depends on that order
    and checks it.

    Attributes:
        seed: Seed of everything random.
        steps: Number of steps of the training.
        steps_per_epoch: Number of steps between previews, alarms and copies of the last good model.
        batch_size: Number of items of a whole batch, of which each process takes a part.
        model: The model that is trained, written to RUN/model at the end.
        modules: All modules whose state belongs to the run's checkpoint, by name.
        optimizers: The optimisers, by name.
        shard: The part of every batch that this process takes.

    Raises:
        InputError: There are more processes than items in a batch.

    """

    seed: int
    steps: int
    steps_per_epoch: int
    batch_size: int
    model: PretrainedModel
    modules: dict[str, nn.Module] = field(default_factory=dict)
    optimizers: dict[str, Optimizer] = field(default_factory=dict)
    shard: Shard = field(default_factory=Shard)

    draws_whole_batches: ClassVar[bool] = False
    """True if every process draws the random numbers of the whole batch and takes its part. Then
    all processes are given the same seed, and together they compute what a single one would."""

    def __post_init__(self) -> None:
        if self.batch_size < self.shard.world_size:
            raise InputError(
                f"`batch_size` {self.batch_size}: too few for {self.shard.world_size} processes"
            )

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return self.model.device

    def begin_step(self, step: int) -> None:  # noqa: B027 - most tasks have nothing to do
        """Prepare step ``step`` (from 0); all modules have just been put into training mode."""

    @abstractmethod
    def stages(self, step: int) -> Sequence[Stage]:
        """The updates of step ``step`` (from 0), in order."""

    def end_step(self, step: int) -> None:  # noqa: B027 - most tasks have nothing to do
        """Finish step ``step`` after its updates, before its state can be saved."""

    def end_epoch(self) -> None:  # noqa: B027 - most tasks have nothing to do
        """Prepare the model to be looked at, copied and saved; every process does this alike."""

    def preview_sound(self) -> Sound | None:
        """Sounds that show the progress at the end of an epoch, if there are any."""
        return None

    def preview(self) -> Tensor | Image.Image | None:
        """A picture that shows the progress at the end of an epoch, as `save_image` takes it."""
        return None

    def diagnose(self, means: Mapping[str, float]) -> str | None:  # noqa: ARG002
        """One line on what has gone wrong, judging by an epoch's mean losses; None if nothing.

        It is a `NotYet` where a training that goes well may be so early on.
        """
        return None


@dataclass(frozen=True)
class Prepared:
    """A training whose data were found, but not yet read.

    Attributes:
        data: A name or fingerprint of its data, kept with the run and the model.
        make_task: Reads the data and builds the task on a device, for one process's share.

    """

    data: str
    make_task: Callable[[torch.device, Shard], Task]


@torch.no_grad()
def renew_average(average: nn.Module, live: nn.Module, step: int, halflife: float) -> None:
    """Renew a moving average of weights, which is short at first, to forget the initial weights.

    Args:
        average: The network that holds the average.
        live: The network that is trained.
        step: Number of the step, from 0.
        halflife: Number of steps in which half of the average is renewed, later on.

    """
    halflife = min(halflife, 0.1 * step)
    keep = 0.5 ** (1 / halflife) if halflife else 0.0
    averages: list[Tensor] = list(average.parameters())
    weights: list[Tensor] = list(live.parameters())
    torch._foreach_lerp_(averages, weights, 1 - keep)


def weighted_sum(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of named losses.

    Raises:
        ValueError: A weight names no loss.

    """
    unknown = weights.keys() - losses.keys()
    if unknown:
        raise ValueError(
            f"weights for unknown losses {sorted(unknown)}; this stage has {sorted(losses)}"
        )
    terms = [weight * losses[name] for name, weight in weights.items()]
    return torch.stack(terms).sum()
