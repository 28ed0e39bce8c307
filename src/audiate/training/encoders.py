"""Training an encoder for a generator that is at hand in Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from audiate.datasets.installed import data_root
from audiate.models import Generator, InverseMapping
from audiate.models.generator import as_generator
from audiate.models.inverse import digest, fingerprint
from audiate.training.options import RunOptions
from audiate.training.recipes import InverseMappingRecipe
from audiate.training.train import run_recipe

NAME = "inverse-mapping"


def train_encoder(
    generator: str | Path | Generator,
    out: str | Path,
    *,
    resume: bool = False,
    data_dir: str | Path | None = None,
    quiet: bool = False,
    **settings: Any,
) -> InverseMapping:
    """Train an encoder for any generator, as ``audiate train inverse-mapping`` does for ours.

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
        **settings: Settings of `audiate.training.recipes.InverseMappingRecipe`. For instance,
            ``data=("drums",)`` names a folder of real sounds, and ``perceptual_weight=0`` does
            without the classifier of spoken digits.

    Returns:
        The trained encoder.

    Raises:
        InputError: As for `audiate.training.train.run_recipe`.
        TypeError: There is no setting of that name.

    """
    generator = as_generator(generator)
    # The fingerprint keeps a run from being resumed with another generator.
    name = f"{type(generator).__name__}-{digest(fingerprint(generator))}"
    recipe = replace(InverseMappingRecipe(generator=name), **settings)
    root = data_root(None if data_dir is None else Path(data_dir))
    options = RunOptions(Path(out), resume=resume)
    folder = run_recipe(NAME, recipe, root, options, quiet=quiet, generator=generator)
    return InverseMapping.from_pretrained(folder)
