"""Recipes of the classifiers of spoken and of written digits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from audiate.data.sources import DIGIT_SETS, Speaker
from audiate.errors import InputError, check_range
from audiate.models.configs import DigitClassifierConfig
from audiate.training.recipes.base import (
    ENDLESS,
    Entry,
    Prepared,
    Recipe,
    check_common,
    check_names,
)

if TYPE_CHECKING:
    import torch

    from audiate.training.task import Shard, Task
from typing import TYPE_CHECKING, ClassVar


@dataclass(frozen=True)
class DigitClassifierRecipe(Recipe):
    """ResNet-18 on spoken digits: the classifier of generated and recovered speech."""

    epochs: int = 16
    """Number of passes over as many clips as there are."""
    batch_size: int = 64
    """Number of clips in a batch."""
    learning_rate: float = 2e-3
    """Peak of the one-cycle learning rate."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    network: DigitClassifierConfig = field(default_factory=DigitClassifierConfig)
    """Configuration of the network."""
    data: tuple[str, ...] = DIGIT_SETS
    """Names of data sets of spoken digits. A batch holds as many clips of each."""
    held_out_speaker: Speaker | None = None
    """Speaker of FSDD to test on, who is left out of training."""
    seed: int = 0
    """Seed of the initial weights, the order of clips and their augmentation."""

    def __post_init__(self) -> None:
        check_range("`epochs`", self.epochs, 1, ENDLESS)
        check_common(self.batch_size, self.learning_rate, self.seed)
        check_range("`weight_decay`", self.weight_decay, 0, 1)
        check_names("data", self.data, "data sets of spoken digits")
        if self.held_out_speaker is not None and "fsdd" not in self.data:
            raise InputError(
                f"`held_out_speaker` {self.held_out_speaker}: speaks in fsdd, which `data` "
                f"{' '.join(self.data)} does without; add it, or leave the flag out"
            )

    def prepare(self, root: Path) -> Prepared:
        """Train on the data sets of spoken digits that `data` names."""
        from audiate.data.sounds import digit_clips, list_digits

        clips = list_digits(digit_clips(root, self.data, self.held_out_speaker))

        def make_task(device: torch.device, shard: Shard) -> Task:
            from audiate.training.tasks.classifier_tasks import DigitClassifierTask

            sounds = clips.read(
                sample_rate=self.network.sample_rate, num_samples=self.network.num_samples
            )
            return DigitClassifierTask(self, sounds, device, shard)

        return Prepared(clips.digest, make_task)


RECIPES = {
    "digit-classifier": Entry(
        DigitClassifierRecipe(),
        "ResNet-18 on spoken digits: the classifier of generated speech.",
    ),
}


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
        from audiate.data.sources import require

        require("mnist", root)

        def make_task(device: torch.device, shard: Shard) -> Task:
            from audiate.data.digits import load_mnist
            from audiate.training.tasks.classifier_tasks import LeNetTask

            return LeNetTask(self, load_mnist(root, "train"), device, shard)

        return Prepared("mnist", make_task)


RECIPES |= {"lenet": Entry(LeNetRecipe(), "LeNet-5 on MNIST: the classifier of drawings.")}
