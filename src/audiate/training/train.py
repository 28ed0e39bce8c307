"""Train a model by a recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from audiate.data.installed import data_root
from audiate.models.fingerprint import digest, fingerprint
from audiate.models.generator import Generator
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import load
from audiate.training.loop import fit
from audiate.training.options import RunOptions
from audiate.training.recipes import LatentEncoderRecipe, Recipe


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
        generator: For an `LatentEncoderRecipe`, the generator to be inverted, in place of the one
            it names.

    Raises:
        InputError: Data are missing or damaged, or as for `audiate.training.loop.fit`.
        Interrupted: A signal stopped the training, after its state was saved.
        TypeError: A generator was given, but the recipe inverts none.

    """
    if generator is None:
        prepared = recipe.prepare(root)
    elif isinstance(recipe, LatentEncoderRecipe):
        prepared = recipe.prepare(root, generator)
    else:
        raise TypeError(f"a {type(recipe).__name__} inverts no generator")
    return fit(name, recipe, prepared, options, quiet=quiet)


NAME = "latent-encoder"


def train_encoder(
    generator: str | Path | Generator,
    out: str | Path,
    *,
    resume: bool = False,
    data_dir: str | Path | None = None,
    quiet: bool = False,
    **settings: Any,
) -> LatentEncoder:
    """Train an encoder for any generator, as ``audiate train latent-encoder`` does for ours.

    For a generator that only runs forward, the latents of generated clips are learnt, and nothing
    else is compared.

    Args:
        generator: The generator to be inverted, or its name; `audiate.wrap` makes one of a module.
            If it is a module itself, it is put on the device, in eval mode, and its parameters are
            frozen.
        out: The run's folder, as for ``audiate train``.
        resume: Go on with the run in that folder.
        data_dir: Folder of the data sets, if ``data`` names some.
        quiet: Show no progress.
        **settings: Settings of `audiate.training.recipes.LatentEncoderRecipe`. For instance,
            ``data=("drums",)`` names a folder of real sounds, and ``perceptual_weight=0`` does
            without the classifier of spoken digits.

    Returns:
        The trained encoder.

    Raises:
        InputError: As for `audiate.training.train.run_recipe`.
        TypeError: There is no setting of that name.

    """
    generator = load(generator, Generator)
    # The fingerprint keeps a run from being resumed with another generator.
    name = f"{type(generator).__name__}-{digest(fingerprint(generator))}"
    recipe = replace(LatentEncoderRecipe(generator=name), **settings)
    root = data_root(None if data_dir is None else Path(data_dir))
    options = RunOptions(Path(out), resume=resume)
    folder = run_recipe(NAME, recipe, root, options, quiet=quiet, generator=generator)
    return LatentEncoder.from_pretrained(folder)
