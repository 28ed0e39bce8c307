"""From a recipe to a finished model."""

from __future__ import annotations

from pathlib import Path

from audiate.models import Generator
from audiate.training.loop import fit
from audiate.training.options import RunOptions
from audiate.training.recipes import InverseMappingRecipe, Recipe


def run_recipe(
    name: str,
    recipe: Recipe,
    root: Path,
    options: RunOptions,
    *,
    quiet: bool = False,
    generator: Generator | None = None,
) -> Path:
    """Train by a recipe on the data in ``root``, and return the folder of the finished model.

    Args:
        name: Name of the recipe, kept with the model.
        recipe: Settings.
        root: Data folder.
        options: Where and how to train.
        quiet: Show no progress.
        generator: For an `InverseMappingRecipe`, the generator to be inverted, in place of the one
            it names.

    Raises:
        InputError: Data are missing or damaged, or as for `audiate.training.loop.fit`.
        Interrupted: A signal stopped the training, after its state was saved.
        TypeError: A generator was given, but the recipe inverts none.

    """
    if generator is None:
        prepared = recipe.prepare(root)
    elif isinstance(recipe, InverseMappingRecipe):
        prepared = recipe.prepare(root, generator)
    else:
        raise TypeError(f"a {type(recipe).__name__} inverts no generator")
    return fit(name, recipe, prepared, options, quiet=quiet)
