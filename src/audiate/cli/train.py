"""`audiate train RECIPE`: every setting of the recipe is a flag."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from tyro.conf import OmitArgPrefixes, Suppress, subcommand

from audiate.errors import Interrupted, check_range
from audiate.training.recipes import (
    RECIPES,
    AudioGANRecipe,
    DigitClassifierRecipe,
    InverseMappingRecipe,
    LatentFlowRecipe,
    LeNetRecipe,
    Recipe,
    SpecGANRecipe,
    VAEGANRecipe,
    VAERecipe,
    WaveGANRecipe,
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

    def __post_init__(self) -> None:
        check_range("--save-every", self.save_every, 0, 10**9)


_R = TypeVar("_R", bound=Recipe)


@dataclass(frozen=True)
class Training(Generic[_R]):
    """One recipe with its settings."""

    recipe: OmitArgPrefixes[_R]
    run_options: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    name: Suppress[str] = ""

    def run(self) -> int:
        """Train; the exit status."""
        return train(self.name, self.recipe, self.run_options)


def _named(name: str, description: str) -> Any:
    """The subcommand of a recipe."""
    return subcommand(name, default=Training(RECIPES[name], name=name), description=description)


_BY_THE_PAPER = "with the paper's own settings, as far as it states them."
_DIGITS = "on spoken and written digits, paired."
_SOUNDS = "on spoken digits or a folder of your own."

Trainings = (
    Annotated[Training[LeNetRecipe], _named("lenet", "LeNet-5 on MNIST: the judge of drawings.")]
    | Annotated[Training[VAERecipe], _named("vae", f"The audio-to-image VAE {_DIGITS}")]
    | Annotated[Training[VAERecipe], _named("vae-paper", f"The VAE {_BY_THE_PAPER}")]
    | Annotated[Training[VAEGANRecipe], _named("vaegan", f"The audio-to-image VAE-GAN {_DIGITS}")]
    | Annotated[Training[VAEGANRecipe], _named("vaegan-paper", f"The VAE-GAN {_BY_THE_PAPER}")]
    | Annotated[
        Training[LatentFlowRecipe],
        _named("latent-flow", "The latent flow: images of many hands, drawn at a spoken digit."),
    ]
    | Annotated[
        Training[DigitClassifierRecipe],
        _named("digit-classifier", "ResNet-18 on spoken digits: the judge of generated speech."),
    ]
    | Annotated[
        Training[WaveGANRecipe], _named("wavegan", f"WaveGAN: latents to waveforms, {_SOUNDS}")
    ]
    | Annotated[
        Training[WaveGANRecipe],
        _named("wavegan-paper", f"WaveGAN {_BY_THE_PAPER}"),
    ]
    | Annotated[
        Training[SpecGANRecipe],
        _named("specgan", f"SpecGAN: latents to spectrograms to waveforms, {_SOUNDS}"),
    ]
    | Annotated[
        Training[SpecGANRecipe],
        _named("specgan-paper", f"SpecGAN {_BY_THE_PAPER}"),
    ]
    | Annotated[
        Training[InverseMappingRecipe],
        _named("inverse-mapping", "An encoder from sound to the latent of a generator."),
    ]
    | Annotated[
        Training[InverseMappingRecipe],
        _named("inverse-mapping-paper", f"Such an encoder {_BY_THE_PAPER}"),
    ]
)


def _next(recipe: Recipe, out: str) -> list[str]:
    """What to do with a trained model: the command's words."""
    if isinstance(recipe, InverseMappingRecipe):
        return ["evaluate", "inversion", "--generator", recipe.generator, "--encoder", out]
    return ["generate" if isinstance(recipe, AudioGANRecipe) else "evaluate", out]


def train(name: str, recipe: Recipe, options: RunOptions) -> int:
    """Train by a recipe; the exit status, 130 after Ctrl-C."""
    from audiate.datasets.installed import data_root
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
    print(f"model written to {model}; next: audiate {shlex.join(_next(recipe, str(out)))}")
    return 0
