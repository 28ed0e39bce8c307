"""Training an encoder for a generator that is at hand in Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from audiate.datasets.installed import data_root
from audiate.hub import load_as
from audiate.models import AudioGAN, Generator, InverseMapping
from audiate.models.generator import check_generator
from audiate.models.inverse import digest, fingerprint
from audiate.training.launch import LoopOptions
from audiate.training.recipes import InverseMappingRecipe
from audiate.training.tasks import run_recipe

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

    A generator that only runs forward is learnt from the latents of synthesised clips alone.

    Args:
        generator: Whose latents, or its name; `audiate.wrap` makes one of a module. If it is a
            module itself, it is put on the device, in eval mode, and its parameters are frozen.
        out: The run's folder, as of ``audiate train``.
        resume: Go on with the run in that folder.
        data_dir: Folder of the data sets, where ``data`` names some.
        quiet: Without a progress bar.
        **settings: Of `audiate.training.recipes.InverseMappingRecipe`: ``data="drums"`` is a folder
            of real sounds, ``perceptual_weight=0`` does without the judge of spoken digits.

    Raises:
        InputError: As of `audiate.training.tasks.run_recipe`.
        TypeError: There is no setting of that name.

    """
    if isinstance(generator, (str, Path)):
        generator = load_as(generator, AudioGAN, "generates no sound")  # type: ignore[type-abstract]
    check_generator(generator)
    # So that a run is not resumed with another generator.
    name = f"{type(generator).__name__}-{digest(fingerprint(generator))}"
    recipe = replace(InverseMappingRecipe(generator=name), **settings)
    root = data_root(None if data_dir is None else Path(data_dir))
    options = LoopOptions(Path(out), resume=resume)
    folder = run_recipe(NAME, recipe, root, options, quiet=quiet, generator=generator)
    return InverseMapping.from_pretrained(folder)
