"""`audiate train RECIPE`: every setting of the recipe is a flag."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Suppress, subcommand

from audiate.errors import Interrupted
from audiate.training.recipes import (
    VAE_PAPER,
    VAEGAN_PAPER,
    LatentFlowRecipe,
    LeNetRecipe,
    Recipe,
    VAEGANRecipe,
    VAERecipe,
)


@dataclass(frozen=True)
class RunOptions:
    """Where and how to train."""

    out: Path | None = None
    """The run's folder: checkpoint, logs, pictures, and at the end model/. Default: runs/RECIPE."""
    resume: bool = False
    """Go on with the run in that folder after an interruption."""
    data_dir: Path | None = None
    """Folder with the data sets. Default: AUDIATE_DATA, else the cache `audiate data` fills."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute. For several processes, start with torchrun: see docs/training.md."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """auto takes bf16 where it is faster."""
    save_every: float = 60.0
    """Seconds between checkpoints."""


@dataclass(frozen=True)
class TrainLeNet:
    """LeNet-5 on MNIST: the judge of drawings."""

    recipe: OmitArgPrefixes[LeNetRecipe] = field(default_factory=LeNetRecipe)
    run_options: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    name: Suppress[str] = "lenet"

    def run(self) -> int:
        """Train; the exit status."""
        return train(self.name, self.recipe, self.run_options)


@dataclass(frozen=True)
class TrainVAE:
    """The audio-to-image VAE on spoken and written digits, paired."""

    recipe: OmitArgPrefixes[VAERecipe] = field(default_factory=VAERecipe)
    run_options: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    name: Suppress[str] = "vae"

    def run(self) -> int:
        """Train; the exit status."""
        return train(self.name, self.recipe, self.run_options)


@dataclass(frozen=True)
class TrainVAEGAN:
    """The audio-to-image VAE-GAN on spoken and written digits, paired."""

    recipe: OmitArgPrefixes[VAEGANRecipe] = field(default_factory=VAEGANRecipe)
    run_options: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    name: Suppress[str] = "vaegan"

    def run(self) -> int:
        """Train; the exit status."""
        return train(self.name, self.recipe, self.run_options)


@dataclass(frozen=True)
class TrainLatentFlow:
    """The latent flow: images of many hands, drawn at a spoken digit."""

    recipe: OmitArgPrefixes[LatentFlowRecipe] = field(default_factory=LatentFlowRecipe)
    run_options: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    name: Suppress[str] = "latent-flow"

    def run(self) -> int:
        """Train; the exit status."""
        return train(self.name, self.recipe, self.run_options)


Trainings = (
    Annotated[TrainLeNet, subcommand("lenet")]
    | Annotated[TrainVAE, subcommand("vae")]
    | Annotated[
        TrainVAE,
        subcommand(
            "vae-paper",
            default=TrainVAE(VAE_PAPER, name="vae-paper"),
            description="The VAE with the paper's own settings, as far as it states them.",
        ),
    ]
    | Annotated[TrainVAEGAN, subcommand("vaegan")]
    | Annotated[
        TrainVAEGAN,
        subcommand(
            "vaegan-paper",
            default=TrainVAEGAN(VAEGAN_PAPER, name="vaegan-paper"),
            description="The VAE-GAN with the paper's own settings, as far as it states them.",
        ),
    ]
    | Annotated[TrainLatentFlow, subcommand("latent-flow")]
)


def train(name: str, recipe: Recipe, options: RunOptions) -> int:
    """Train by a recipe; the exit status, 130 after Ctrl-C."""
    from audiate.datasets.sources import data_root
    from audiate.training.launch import LoopOptions
    from audiate.training.tasks import run_recipe

    out = options.out or Path("runs") / name
    loop = LoopOptions(out, options.resume, options.device, options.precision, options.save_every)
    try:
        model = run_recipe(name, recipe, data_root(options.data_dir), loop)
    except Interrupted as stopped:
        flags = [argument for argument in sys.argv[1:] if argument != "--resume"]
        again = shlex.join(["audiate", *flags, "--resume"])
        print(f"{stopped}, and saved. To go on: {again}", file=sys.stderr)
        return 130
    print(f"model written to {model}; score it with: audiate evaluate {out}")
    return 0
