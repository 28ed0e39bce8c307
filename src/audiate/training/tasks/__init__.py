"""One task for each thing we train, and the way from a recipe to a finished model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from audiate.datasets.fsdd import load_fsdd
from audiate.datasets.mnist import load_mnist
from audiate.datasets.pairs import load_pairs
from audiate.datasets.speech_commands import load_speech_commands
from audiate.errors import InputError
from audiate.features import LogMelConfig
from audiate.training.launch import LoopOptions
from audiate.training.loop import fit
from audiate.training.recipes import LatentFlowRecipe, LeNetRecipe, Recipe, VAEGANRecipe, VAERecipe
from audiate.training.task import Shard, Task
from audiate.training.tasks.flow import LatentFlowTask
from audiate.training.tasks.lenet import LeNetTask
from audiate.training.tasks.vae import VAETask
from audiate.training.tasks.vaegan import VAEGANTask


def run_recipe(
    name: str,
    recipe: Recipe,
    root: Path,
    options: LoopOptions,
    *,
    quiet: bool = False,
) -> Path:
    """Train by a recipe on the data in ``root``; the folder of the finished model.

    Raises:
        InputError: Data missing or damaged, or as `audiate.training.loop.fit` says.
        Interrupted: Stopped by a signal, after saving.

    """

    def make_task(device: torch.device, shard: Shard) -> Task:
        if isinstance(recipe, LeNetRecipe):
            return LeNetTask(recipe, load_mnist(root, "train"), device, shard)
        pairs = load_pairs(
            root,
            sample_rate=LogMelConfig().sample_rate,
            seed=recipe.seed,
            held_out_speaker=recipe.held_out_speaker,
            speech_commands=recipe.speech_commands,
        ).train
        match recipe:
            case VAERecipe():
                return VAETask(recipe, pairs, device, shard)
            case VAEGANRecipe():
                return VAEGANTask(recipe, pairs, device, shard)
            case LatentFlowRecipe():
                return LatentFlowTask(recipe, pairs, device, shard)
            case _:
                raise TypeError(f"no task for a {type(recipe).__name__}")

    bf16_pays = not isinstance(recipe, LeNetRecipe)  # six channels do not fill a vector
    return fit(
        name,
        recipe,
        make_task,
        options,
        bf16_pays=bf16_pays,
        data=_described(recipe, root),
        quiet=quiet,
    )


def _described(recipe: Recipe, root: Path) -> str:
    """How many recordings there are, and a hash of their names: copies of a data set differ."""
    if isinstance(recipe, LeNetRecipe):
        return "mnist"
    clips = load_fsdd(root)
    if recipe.speech_commands:
        try:
            clips += load_speech_commands(root, "train")
        except InputError as error:
            raise InputError(f"{error}; or do without it: --no-speech-commands") from error
    names = sorted(f"{clip.label} {clip.path.stem}" for clip in clips)
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return f"{len(names)} recordings {digest[:12]}"
