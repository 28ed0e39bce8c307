"""Models that an evaluation trains because they do not exist yet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from audiate.errors import InputError
from audiate.models.pretrained import PretrainedModel, load
from audiate.training.loop import run_recipe
from audiate.training.options import RunOptions
from audiate.training.recipes import recipe_from
from audiate.training.recipes.base import Recipe
from audiate.training.recipes.classifiers import DigitClassifierRecipe
from audiate.training.recipes.drawing import DrawingRecipe
from audiate.training.recipes.paired import PairedRecipe

Device = Literal["auto", "cpu", "cuda", "mps"]

M = TypeVar("M", bound=PretrainedModel)
R = TypeVar("R")


@dataclass(frozen=True)
class TrainingPlace:
    """A folder in which the models of an evaluation are trained and kept.

    Attributes:
        root: Data folder.
        runs: Folder for the runs. A finished run is reused, and an interrupted one is resumed.
        device: Device for the training, and for the model that is loaded afterwards.

    """

    root: Path
    runs: Path
    device: Device = "cpu"

    def train(self, label: str, recipe: Recipe, folder: str, kind: type[M]) -> M:
        """Load the model of a recipe, and train it first where there is none.

        Args:
            label: Name of the recipe.
            recipe: Settings of the training.
            folder: Name of the run's folder in `runs`.
            kind: Class of the model.

        Raises:
            InputError: The training failed.
            Interrupted: The training was stopped by a signal, after its state was saved.

        """
        out = self.runs / folder
        try:
            options = RunOptions(out, resume=out.exists(), device=self.device)
            run_recipe(label, recipe, self.root, options)
            return load(out, kind, device=self.device)
        except InputError as error:
            raise InputError(
                f"training for this evaluation: {error}; here `out` is a folder in `runs`"
            ) from error

    def train_variant(
        self, model: PretrainedModel, recipe: DrawingRecipe | DigitClassifierRecipe, kind: type[M]
    ) -> tuple[str, M]:
        """Train a variant of a model's recipe, as `train` does.

        Args:
            model: The model, whose provenance names the recipe.
            recipe: The recipe with another seed, or another speaker left out.
            kind: Class of the model.

        Returns:
            The folder of the run, and the model.

        """
        label = model.provenance.recipe
        who = f"-without-{recipe.held_out_speaker}" if recipe.held_out_speaker else ""
        folder = f"{label}-seed{recipe.seed}{who}"
        return str(self.runs / folder), self.train(label, recipe, folder, kind)


def recipe_of(model: PretrainedModel, name: str, kind: type[R]) -> R:
    """Find the recipe that a model was trained by.

    Args:
        model: The model, whose provenance names the recipe.
        name: Name of the model, for the message.
        kind: Class of the recipe.

    Raises:
        InputError: The model does not name its recipe, or this version does not know the recipe, or
            it was trained on pairs of the user's own.

    """
    recipe = recipe_from(model.provenance.recipe, model.provenance.settings)
    if not isinstance(recipe, kind):
        raise InputError(
            f"{name}: does not say by which recipe it was trained, so its test recordings are not "
            f"known; evaluate a model that `audiate train` made"
        )
    if isinstance(recipe, PairedRecipe) and recipe.pairs:
        raise InputError(
            f"{name}: was trained on pairs of your own, and is evaluated on digits alone; try it "
            f"on pairs that you kept out of its training"
        )
    return recipe
