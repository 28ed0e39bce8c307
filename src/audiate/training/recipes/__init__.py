"""The recipes: what each training does, as plain values, from which the command line is made.

Every module of this folder that has a table ``RECIPES`` of its own is found by itself.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from audiate.plain import from_plain
from audiate.training.recipes.classifier import DigitClassifierRecipe
from audiate.training.recipes.coded import (
    CIWGAN_PAPER,
    FIWGAN_PAPER,
    CiwGANRecipe,
    CiwSpecGANRecipe,
    CodedRecipe,
    FiwGANRecipe,
    FiwSpecGANRecipe,
)
from audiate.training.recipes.common import Entry, Prepared, Recipe
from audiate.training.recipes.drawing import DrawingRecipe
from audiate.training.recipes.flow import LatentFlowRecipe
from audiate.training.recipes.gan import (
    SPECGAN_PAPER,
    WAVEGAN_PAPER,
    AudioGANRecipe,
    SpecGANRecipe,
    WaveGANRecipe,
)
from audiate.training.recipes.inverse import INVERSE_MAPPING_PAPER, InverseMappingRecipe
from audiate.training.recipes.lenet import LeNetRecipe
from audiate.training.recipes.match import MatchRecipe
from audiate.training.recipes.paired import PairedRecipe
from audiate.training.recipes.say import SayRecipe
from audiate.training.recipes.vae import VAE_PAPER, VAERecipe
from audiate.training.recipes.vaegan import VAEGAN_PAPER, VAEGANRecipe

__all__ = [
    "CIWGAN_PAPER",
    "ENTRIES",
    "FIWGAN_PAPER",
    "INVERSE_MAPPING_PAPER",
    "RECIPES",
    "SPECGAN_PAPER",
    "VAEGAN_PAPER",
    "VAE_PAPER",
    "WAVEGAN_PAPER",
    "AudioGANRecipe",
    "CiwGANRecipe",
    "CiwSpecGANRecipe",
    "CodedRecipe",
    "DigitClassifierRecipe",
    "DrawingRecipe",
    "Entry",
    "FiwGANRecipe",
    "FiwSpecGANRecipe",
    "InverseMappingRecipe",
    "LatentFlowRecipe",
    "LeNetRecipe",
    "MatchRecipe",
    "PairedRecipe",
    "Prepared",
    "Recipe",
    "SayRecipe",
    "SpecGANRecipe",
    "VAEGANRecipe",
    "VAERecipe",
    "WaveGANRecipe",
    "recipe_from",
]

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
