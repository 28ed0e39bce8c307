"""Parts that all recipes share: settings in range, data, a task, and an entry in the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from audiate.data.sources import DIGIT_SETS
from audiate.errors import InputError, check_range

if TYPE_CHECKING:
    import torch

    from audiate.training.task import Shard, Task

ENDLESS = float("inf")


@dataclass(frozen=True)
class Prepared:
    """A training whose data were found, but not yet read.

    Attributes:
        data: A few words that tell its data from other data, kept with the run and the model.
        make_task: Reads the data and builds the task on a device, for one process's share.

    """

    data: str
    make_task: Callable[[torch.device, Shard], Task]


@dataclass(frozen=True)
class Recipe(ABC):
    """The settings of a training, as plain values that determine its result.

    A recipe is a frozen dataclass whose fields are flags of ``audiate train``. The text below a
    field is its help.
    """

    bf16_pays: ClassVar[bool] = True
    """Whether the networks are wide enough for bf16 to be faster where the hardware has it."""

    @abstractmethod
    def prepare(self, root: Path) -> Prepared:
        """Find the data in the data folder ``root``.

        Raises:
            InputError: Data are missing or damaged.

        """

    def next_command(self, out: str) -> list[str]:
        """The words of the command that a user may try on the trained model in ``out``."""
        return ["evaluate", out]


@dataclass(frozen=True)
class Perturbation:
    """Changes to real clips that keep what is said, for data sets that are small."""

    speed_perturbation: tuple[float, ...] = ()
    """Train on every clip at these multiples of its speed, too, as in 0.88 0.94 1.06 1.13. Clips
    are resampled, so their pitch changes with their speed (Ko et al. 2015)."""
    shift: int = 0
    """Largest number of samples by which a clip is moved, earlier or later, each time it is drawn.
    """

    def __post_init__(self) -> None:
        for speed in self.speed_perturbation:
            check_range("`speed_perturbation`", speed, 0.25, 4)
        check_range("`shift`", self.shift, 0, 10**7)

    def check_fits(self, num_samples: int) -> None:
        """Make sure that clips of this length are not moved out of hearing.

        Raises:
            InputError: Clips are moved by more than half of their length.

        """
        if self.shift > num_samples // 2:
            raise InputError(
                f"`shift` {self.shift}: give at most {num_samples // 2}, half of a clip's samples"
            )


@dataclass(frozen=True)
class Entry:
    """A line in the table of recipes.

    Attributes:
        recipe: The recipe with its default settings.
        description: A sentence on what it trains, shown by ``audiate train --help``.

    """

    recipe: Recipe
    description: str


def check_common(batch_size: int, learning_rate: float, seed: int) -> None:
    """Make sure that the settings that all recipes have are in range.

    Raises:
        InputError: One of them is not.

    """
    check_range("`batch_size`", batch_size, 1, 60_000)
    check_range("`learning_rate`", learning_rate, 0, 1)
    check_range("`seed`", seed, 0, 2**63 - 1)


def check_names(setting: str, names: Sequence[str], what: str) -> None:
    """Make sure that a setting is a tuple of one or more names.

    Args:
        setting: The name of the setting.
        names: Its value.
        what: What is to be named, as in "a folder".

    Raises:
        InputError: It is empty, a single string, or has "+" between names, as formerly.

    """
    if isinstance(names, str):
        raise InputError(f"`{setting}` {names}: give a tuple of names, as in ({names!r},)")
    if not names or not all(names):
        raise InputError(f"`{setting}`: is empty; name {what}")
    for name in names:
        if "+" in name and (setting != "data" or set(name.split("+")) <= set(DIGIT_SETS)):
            apart = " ".join(name.split("+"))
            raise InputError(f"`{setting}` {name}: put spaces between names, as in {apart}")
