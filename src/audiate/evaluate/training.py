"""Models that an evaluation needs and that do not exist yet."""

from __future__ import annotations

from pathlib import Path

from audiate.errors import InputError
from audiate.hub import load
from audiate.models import Drawer, PretrainedModel
from audiate.training.launch import LoopOptions
from audiate.training.recipes import DrawingRecipe, Recipe
from audiate.training.tasks import run_recipe


def trained(label: str, recipe: Recipe, root: Path, folder: Path) -> PretrainedModel:
    """The model that a recipe gives: trained now, unless that was done before."""
    try:
        run_recipe(label, recipe, root, LoopOptions(folder, resume=folder.exists()))
    except InputError as error:
        raise InputError(f"training for this evaluation: {error}; here --out is --runs") from error
    return load(folder)


def trained_drawer(
    label: str, recipe: DrawingRecipe, root: Path, folder: Path
) -> tuple[str, Drawer]:
    """The model that draws which a recipe gives, after its folder."""
    model = trained(label, recipe, root, folder)
    assert isinstance(model, Drawer)
    return str(folder), model
