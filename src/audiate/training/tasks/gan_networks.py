"""The networks of audio GANs as a training begins: their sizes and their first weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from audiate.datasets.sounds import SoundSet
from audiate.errors import InputError
from audiate.hub import load
from audiate.models import AudioGAN, SpecGAN, SpecGANConfig, WaveGAN, WaveGANConfig
from audiate.training.recipes import AudioGANRecipe, SpecGANRecipe, WaveGANRecipe


def build(recipe: AudioGANRecipe, sounds: SoundSet) -> AudioGAN:
    """The networks for these sounds, with their initial weights.

    Raises:
        InputError: There are more labels than a latent has numbers, or as `adopt`.

    """
    labelled = recipe.use_labels and len(sounds.names) > 1
    if labelled and len(sounds.names) > recipe.latent_dim:
        raise InputError(
            f"--data {recipe.data}: its {len(sounds.names)} labels are more than a latent has "
            f"numbers; raise --latent-dim, or leave labels out with --no-use-labels"
        )
    sizes: dict[str, Any] = {
        "dim": recipe.dim,
        "latent_dim": recipe.latent_dim,
        "num_samples": recipe.num_samples,
        "channels": recipe.channels,
        "sample_rate": sounds.sample_rate,
        "batch_norm": recipe.batch_norm,
        "classes": len(sounds.names) if labelled else 0,
        "names": sounds.names if labelled else (),
    }
    model: AudioGAN
    match recipe:
        case WaveGANRecipe():
            model = WaveGAN(WaveGANConfig(**sizes, phase_shuffle=recipe.phase_shuffle))
        case SpecGANRecipe():
            model = SpecGAN(
                SpecGANConfig(
                    **sizes,
                    size=recipe.size,
                    bands=recipe.bands,
                    frame_length=recipe.frame_length,
                    kernel=recipe.kernel,
                    iterations=recipe.iterations,
                )
            )
        case _:
            raise TypeError(f"no network for a {type(recipe).__name__}")
    if recipe.initialisation == "scaled":
        initialise(model)
    if recipe.init is not None:
        adopt(model, recipe.init)
    return model


def adopt(model: AudioGAN, source: str) -> None:
    """Take over the weights of another model of the same sizes; its labels may differ.

    What belongs to labels is taken over if both have as many, else it keeps its initial weights.

    Raises:
        InputError: There is no such model, or it has other sizes.

    """
    try:
        before = load(source)
    except InputError as error:
        raise InputError(f"--init {error}") from error
    if not isinstance(before, type(model)):
        raise InputError(
            f"--init {source}: is a {type(before).__name__}, not a {type(model).__name__}"
        )
    free = {"classes", "names", "sample_rate", "iterations"}
    old, new = asdict(before.config), asdict(model.config)
    differing = sorted(name for name in old.keys() - free if old[name] != new[name])
    if differing:
        listed = ", ".join(
            f"--{name.replace('_', '-')} is {old[name]} there and {new[name]} here"
            for name in differing
        )
        raise InputError(f"--init {source}: {listed}; give the same")
    weights = before.state_dict()
    if before.classes != model.classes:
        own, shared = model.state_dict(), model.latent_dim
        project = own["generator.project.weight"].clone()
        project[:, :shared] = weights["generator.project.weight"][:, :shared]
        weights["generator.project.weight"] = project
        for name in ("discriminator.score.weight", "discriminator.score.bias"):
            weights[name] = torch.cat([weights[name][:1], own[name][1:]])
    model.load_state_dict(weights)


def initialise(model: AudioGAN) -> None:
    """Weights that keep signals at their size from layer to layer (He et al. 2015)."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            inputs = layer.in_channels * prod(layer.kernel_size)
            if layer.transposed:
                inputs //= prod(layer.stride)  # an output of a transposed one sees but a part
            nn.init.normal_(layer.weight, std=(2 / inputs) ** 0.5)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    # What goes into the last tanh is to stay where it is not flat.
    *_, last = (
        layer
        for layer in model.generator.modules()
        if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)
    )
    with torch.no_grad():
        last.weight *= 0.2


def set_levels(model: SpecGAN, waveforms: Iterable[Tensor]) -> None:
    """Set the mean and deviation of each band to those of clips.

    Args:
        model: Whose.
        waveforms: Batches of clips (count, channels, num_samples), of which one is in memory.

    """
    count = 0
    total, squares = (torch.zeros(model.config.size, dtype=torch.double) for _ in range(2))
    for part in waveforms:
        levels = model.levels(part).double().flatten(0, 2)
        count += len(levels)
        total += levels.sum(0)
        squares += levels.square().sum(0)
    mean = total / count
    model.mean.copy_(mean)
    model.deviation.copy_((squares / count - mean.square()).clamp_min(1e-6).sqrt())
