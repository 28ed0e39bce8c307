"""One task for each thing we train, and the way from a recipe to a finished model."""

from __future__ import annotations

from pathlib import Path

import torch

from audiate.datasets.mnist import load_mnist
from audiate.datasets.pairs import load_pairs
from audiate.features import LogMelConfig
from audiate.training.launch import LoopOptions
from audiate.training.loop import fit
from audiate.training.recipes import LeNetRecipe, VAERecipe
from audiate.training.task import Shard, Task
from audiate.training.tasks.lenet import LeNetTask
from audiate.training.tasks.vae import VAETask


def run_recipe(
    name: str,
    recipe: LeNetRecipe | VAERecipe,
    root: Path,
    options: LoopOptions,
    *,
    quiet: bool = False,
) -> Path:
    """Train by a recipe on the data in ``root``; the folder of the finished model.

    Raises:
        InputError: Data missing, or as `audiate.training.loop.fit` says.
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
        )
        return VAETask(recipe, pairs.train, device, shard)

    bf16_pays = not isinstance(recipe, LeNetRecipe)  # six channels do not fill a vector
    return fit(name, recipe, make_task, options, bf16_pays=bf16_pays, quiet=quiet)
