"""Recipes of the classifiers of spoken and of written digits."""

from dataclasses import dataclass, field

from audiate.data.sources import DIGIT_SETS, Speaker
from audiate.errors import InputError
from audiate.models.configs import DigitClassifierConfig
from audiate.training.recipes.base import Entry, Recipe, check_names


@dataclass(frozen=True)
class ClassifierRecipe(Recipe):
    """Settings that the trainings of both classifiers have in common."""

    epochs: int = 15
    """Number of passes over as many items as there are."""
    batch_size: int = 256
    """Number of items in a batch."""
    learning_rate: float = 6e-3
    """Peak of the one-cycle learning rate."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    seed: int = 0
    """Seed of the initial weights, the order of items and their augmentation."""


@dataclass(frozen=True)
class DigitClassifierRecipe(ClassifierRecipe):
    """ResNet-18 on spoken digits: the classifier of generated and recovered speech."""

    epochs: int = 16
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    network: DigitClassifierConfig = field(default_factory=DigitClassifierConfig)
    """Configuration of the network."""
    data: tuple[str, ...] = DIGIT_SETS
    """Names of data sets of spoken digits. A batch holds as many clips of each."""
    held_out_speaker: Speaker | None = None
    """Speaker of FSDD to test on, who is left out of training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("data", self.data, "data sets of spoken digits")
        if self.held_out_speaker is not None and "fsdd" not in self.data:
            raise InputError(
                f"`held_out_speaker` {self.held_out_speaker}: speaks in fsdd, which `data` "
                f"{' '.join(self.data)} does without; add it, or leave the flag out"
            )


@dataclass(frozen=True)
class LeNetRecipe(ClassifierRecipe):
    """LeNet-5 on the 60,000 MNIST train images, randomly rotated, scaled, sheared and shifted."""


_TASK = "audiate.training.tasks.classifier_tasks"
RECIPES = {
    "digit-classifier": Entry(
        DigitClassifierRecipe(),
        "ResNet-18 on spoken digits: the classifier of generated speech.",
        _TASK,
    ),
    "lenet": Entry(LeNetRecipe(), "LeNet-5 on MNIST: the classifier of drawings.", _TASK),
}
