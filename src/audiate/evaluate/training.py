"""Models that an evaluation needs and that do not exist yet."""

from __future__ import annotations

from pathlib import Path

from audiate.errors import InputError
from audiate.hub import load
from audiate.models import Drawer
from audiate.training.launch import LoopOptions
from audiate.training.recipes import DrawingRecipe
from audiate.training.tasks import run_recipe


def trained(label: str, recipe: DrawingRecipe, root: Path, folder: Path) -> tuple[str, Drawer]:
    """The model that a recipe gives, and its folder: trained now, unless that was done before."""
    try:
        run_recipe(label, recipe, root, LoopOptions(folder, resume=folder.exists()))
    except InputError as error:
        raise InputError(f"training for this evaluation: {error}; here --out is --runs") from error
    model = load(folder)
    assert isinstance(model, Drawer)
    return str(folder), model
