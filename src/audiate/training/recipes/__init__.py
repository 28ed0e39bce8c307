"""Recipes: the settings of trainings as plain values, from which the command line is made.

Every module of this folder that has a table ``RECIPES`` of its own is found by itself.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from audiate.training.recipes.base import Entry, Recipe
from audiate.utils.serialization import from_plain

ENTRIES: dict[str, Entry] = {}
"""The table: what is trained by each name."""

for _module in iter_modules(__path__):
    ENTRIES |= getattr(import_module(f"{__name__}.{_module.name}"), "RECIPES", {})

RECIPES: dict[str, Recipe] = {name: entry.recipe for name, entry in ENTRIES.items()}
"""Every recipe with its default settings, by its name."""


def recipe_from(name: str, settings: dict[str, Any]) -> Recipe | None:
    """The recipe called ``name`` with these settings, as a model's provenance keeps them.

    None if there is no such recipe, or the settings are those of another version.
    """
    if name not in RECIPES:
        return None
    try:
        return from_plain(type(RECIPES[name]), settings)
    except TypeError:
        return None
