"""One task for each thing we train, and the way from a recipe to a finished model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from audiate.datasets.fsdd import load_fsdd
from audiate.datasets.mnist import load_mnist
from audiate.datasets.pairs import load_pairs
from audiate.datasets.sounds import (
    DIGIT_SETS,
    SoundSet,
    digit_clips,
    find_sounds,
    load_digits,
    load_folder,
)
from audiate.datasets.speech_commands import load_speech_commands
from audiate.errors import InputError
from audiate.features import LogMelConfig
from audiate.hub import load_as
from audiate.models import AudioGAN, DigitClassifier, DigitClassifierConfig, Generator
from audiate.training.launch import LoopOptions
from audiate.training.loop import fit
from audiate.training.recipes import (
    AudioGANRecipe,
    DigitClassifierRecipe,
    DrawingRecipe,
    InverseMappingRecipe,
    LatentFlowRecipe,
    LeNetRecipe,
    Recipe,
    VAEGANRecipe,
    VAERecipe,
)
from audiate.training.task import Shard, Task
from audiate.training.tasks.flow import LatentFlowTask
from audiate.training.tasks.gan import AudioGANTask
from audiate.training.tasks.inverse import InverseMappingTask
from audiate.training.tasks.judge import DigitClassifierTask
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
    generator: Generator | None = None,
) -> Path:
    """Train by a recipe on the data in ``root``; the folder of the finished model.

    Args:
        name: Of the recipe.
        recipe: Its settings.
        root: Data folder.
        options: Of the loop.
        quiet: Without a progress bar.
        generator: For `InverseMappingRecipe`: whose latents, in place of the one it names.

    Raises:
        InputError: Data missing or damaged, or as `audiate.training.loop.fit` says.
        Interrupted: Stopped by a signal, after saving.

    """

    def make_task(device: torch.device, shard: Shard) -> Task:
        if isinstance(recipe, LeNetRecipe):
            return LeNetTask(recipe, load_mnist(root, "train"), device, shard)
        if isinstance(recipe, DigitClassifierRecipe):
            config = DigitClassifierConfig()
            sounds = load_digits(
                digit_clips(root, recipe.data, recipe.held_out_speaker),
                sample_rate=config.sample_rate,
                num_samples=config.num_samples,
            )
            return DigitClassifierTask(recipe, sounds, device, shard)
        if isinstance(recipe, AudioGANRecipe):
            sounds = _load_sounds(
                recipe.data,
                root,
                sample_rate=recipe.sample_rate,
                num_samples=recipe.num_samples,
                channels=recipe.channels,
            )
            return AudioGANTask(recipe, sounds, device, shard)
        if isinstance(recipe, InverseMappingRecipe):
            return _inverse_mapping(recipe, generator, root, device, shard)
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


def _inverse_mapping(
    recipe: InverseMappingRecipe,
    generator: Generator | None,
    root: Path,
    device: torch.device,
    shard: Shard,
) -> InverseMappingTask:
    if generator is None:
        generator = load_as(
            recipe.generator,
            AudioGAN,  # type: ignore[type-abstract]
            "generates no sound; give another --generator",
        )
    judge = None
    if recipe.perceptual_weight:
        judge = load_as(recipe.judge, DigitClassifier, "hears no digits; give another --judge")
    sounds = _load_sounds(
        recipe.data,
        root,
        sample_rate=generator.sample_rate,
        num_samples=generator.num_samples,
        channels=generator.channels,
    )
    return InverseMappingTask(recipe, generator, judge, sounds, device, shard)


def _load_sounds(
    data: str, root: Path, *, sample_rate: int | None, num_samples: int, channels: int
) -> SoundSet:
    """A folder of the user's, or spoken digits."""
    if _is_digits(data):
        return load_digits(
            digit_clips(root, data),
            sample_rate=sample_rate or 16_000,
            num_samples=num_samples,
            channels=channels,
        )
    if not Path(data).exists():
        raise InputError(
            f"--data {data}: no such folder, and none of {', '.join(DIGIT_SETS)} either "
            f"(with + between two of them)"
        )
    return load_folder(
        Path(data), num_samples=num_samples, sample_rate=sample_rate, channels=channels
    )


def _is_digits(data: str) -> bool:
    return set(data.split("+")) <= set(DIGIT_SETS)


def _described(recipe: Recipe, root: Path) -> str:
    """How many recordings there are, and a hash of their names: copies of a data set differ."""
    if isinstance(recipe, LeNetRecipe):
        return "mnist"
    if isinstance(recipe, DigitClassifierRecipe):
        parts = digit_clips(root, recipe.data, recipe.held_out_speaker)
        clips = [clip for part in parts for clip in part]
    elif isinstance(recipe, AudioGANRecipe | InverseMappingRecipe):
        if not _is_digits(recipe.data):
            folder = Path(recipe.data)
            if not folder.exists():
                return ""  # whoever loads it says so
            paths = [path.relative_to(folder).as_posix() for path in find_sounds(folder)]
            return _digest(paths)
        clips = [clip for part in digit_clips(root, recipe.data) for clip in part]
    else:
        clips = load_fsdd(root)
    if isinstance(recipe, DrawingRecipe) and recipe.speech_commands:
        try:
            clips += load_speech_commands(root, "train")
        except InputError as error:
            raise InputError(f"{error}; or do without it: --no-speech-commands") from error
    return _digest(sorted(f"{clip.label} {clip.path.stem}" for clip in clips))


def _digest(names: list[str]) -> str:
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    return f"{len(names)} recordings {digest[:12]}"
