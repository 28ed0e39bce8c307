"""The recipes: what each training does, as plain values, from which the command line is made.

Every module of this folder that has a table ``RECIPES`` of its own is found by itself.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from audiate.training.recipes.base import Entry, Prepared, Recipe
from audiate.training.recipes.classifiers import DigitClassifierRecipe, LeNetRecipe
from audiate.training.recipes.coded_gans import (
    CIWGAN_PAPER,
    FIWGAN_PAPER,
    CiwGANRecipe,
    CiwSpecGANRecipe,
    CodedRecipe,
    FiwGANRecipe,
    FiwSpecGANRecipe,
)
from audiate.training.recipes.drawing import (
    VAE_PAPER,
    VAEGAN_PAPER,
    DrawingRecipe,
    LatentFlowRecipe,
    VAEGANRecipe,
    VAERecipe,
)
from audiate.training.recipes.encoders import LATENT_ENCODER_PAPER, LatentEncoderRecipe
from audiate.training.recipes.gans import (
    SPECGAN_PAPER,
    WAVEGAN_PAPER,
    AudioGANRecipe,
    SpecGANRecipe,
    WaveGANRecipe,
)
from audiate.training.recipes.paired import MatchRecipe, PairedRecipe, SayRecipe
from audiate.utils.serialization import from_plain

__all__ = [
    "CIWGAN_PAPER",
    "ENTRIES",
    "FIWGAN_PAPER",
    "LATENT_ENCODER_PAPER",
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
    "LatentEncoderRecipe",
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
