"""The recipe of LeNet-5, the classifier of written digits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from audiate.errors import check_range
from audiate.training.recipes.common import ENDLESS, Entry, Prepared, Recipe, check_common

if TYPE_CHECKING:
    import torch

    from audiate.training.task import Shard, Task


@dataclass(frozen=True)
class LeNetRecipe(Recipe):
    """LeNet-5 on the 60,000 MNIST train images, randomly rotated, scaled, sheared and shifted."""

    bf16_pays: ClassVar[bool] = False  # six channels do not fill a vector

    epochs: int = 15
    """Number of passes over the train images."""
    batch_size: int = 256
    """Number of images in a batch."""
    learning_rate: float = 6e-3
    """Peak of the one-cycle learning rate."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    seed: int = 0
    """Seed of the initial weights, the order of images and their augmentation."""

    def __post_init__(self) -> None:
        check_range("`epochs`", self.epochs, 1, ENDLESS)
        check_common(self.batch_size, self.learning_rate, self.seed)
        check_range("`weight_decay`", self.weight_decay, 0, 1)

    def prepare(self, root: Path) -> Prepared:
        """Train on MNIST."""
        from audiate.datasets.installed import require

        require("mnist", root)

        def make_task(device: torch.device, shard: Shard) -> Task:
            from audiate.datasets.mnist import load_mnist
            from audiate.training.tasks.lenet import LeNetTask

            return LeNetTask(self, load_mnist(root, "train"), device, shard)

        return Prepared("mnist", make_task)


RECIPES = {"lenet": Entry(LeNetRecipe(), "LeNet-5 on MNIST: the classifier of drawings.")}
