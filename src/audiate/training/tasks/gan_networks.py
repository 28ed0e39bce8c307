"""The networks of audio GANs at the beginning of a training, with their initial weights."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from math import log2, prod
from typing import TypeVar

import torch
from torch import Tensor, nn

from audiate.data.sounds import SoundSet
from audiate.errors import InputError
from audiate.models.configs import WAVEGAN_STRIDES, AudioGANSizes, SpecGANSizes, WaveGANSizes
from audiate.models.gan_layers import CLEAR
from audiate.models.generator import AudioGAN
from audiate.models.specgan import SpecGAN
from audiate.models.wavegan import WaveGAN
from audiate.training.initial import load_init
from audiate.training.recipes.gans import AudioGANRecipe


def build(recipe: AudioGANRecipe, sounds: SoundSet) -> AudioGAN:
    """The networks for these sounds, with their initial weights.

    Raises:
        InputError: There are more labels than a latent has values, or as for `adopt`.

    """
    names = sounds.names if len(sounds.names) > 1 else ()
    if len(names) > recipe.network.latent_dim:
        raise InputError(
            f"`data` {' '.join(recipe.data)}: its {len(names)} labels are more than a latent has "
            f"values; raise `latent_dim`, or leave labels out with `use_labels=False`"
        )
    kind = SpecGAN if isinstance(recipe.network, SpecGANSizes) else WaveGAN
    sizes = sized(recipe.network, *sounds.samples.shape[1:])
    config = kind.config_class(
        **asdict(sizes),
        sample_rate=sounds.sample_rate,
        classes=len(names),
        names=names,
        label_sharpness=CLEAR,
        code=recipe.code,
    )
    model = kind(config)
    if recipe.initialisation == "scaled":
        initialise(model)
    if recipe.init is not None:
        adopt(model, recipe.init)
    return model


S = TypeVar("S", bound=AudioGANSizes)


def sized(sizes: S, channels: int, num_samples: int) -> S:
    """The sizes of networks, of which those that are 0 fit clips of so many channels and samples.

    Raises:
        InputError: The sizes do not fit each other.

    """
    if isinstance(sizes, WaveGANSizes):
        num_samples = next((each for each in WAVEGAN_STRIDES if each >= num_samples), 65_536)
    elif isinstance(sizes, SpecGANSizes):
        num_samples = max(-(-num_samples // sizes.size), 64) * sizes.size
    whole = replace(
        sizes, channels=sizes.channels or channels, num_samples=sizes.num_samples or num_samples
    )
    if isinstance(whole, SpecGANSizes) and not whole.n_fft:
        hop_length = whole.num_samples // whole.size
        whole = replace(whole, n_fft=min(2 ** round(log2(4 * hop_length)), 2**16))
    return whole


def adopt(model: AudioGAN, source: str) -> None:
    """Copy the weights of another model of the same sizes; its labels may differ.

    Weights that belong to labels are copied if both models have as many labels; otherwise they keep
    their initial values, and so does the discriminator if the other model was kept without one.

    Raises:
        InputError: There is no such model, or it has other sizes.

    """
    before = load_init(source, type(model))
    free = {"classes", "names", "sample_rate", "iterations", "discriminator", "label_sharpness"}
    old, new = asdict(before.config), asdict(model.config)
    differing = sorted(name for name in old.keys() - free if old[name] != new[name])
    if differing:
        listed = ", ".join(
            f"`{name}` is {old[name]} there and {new[name]} here" for name in differing
        )
        raise InputError(f"`init` {source}: {listed}; give the same")
    own = model.state_dict()
    kept = {} if before.config.discriminator else own
    weights = {**kept, **before.state_dict()}
    if before.classes != model.classes:
        shared = model.latent_dim
        project = own["generator.project.weight"].clone()
        project[:, :shared] = weights["generator.project.weight"][:, :shared]
        weights["generator.project.weight"] = project
        for name in ("discriminator.score.weight", "discriminator.score.bias"):
            weights[name] = torch.cat([weights[name][:1], own[name][1:]])
    model.load_state_dict(weights)


def initialise(model: AudioGAN) -> None:
    """Draw weights that keep signals at their size from layer to layer (He et al. 2015)."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            inputs = layer.in_channels * prod(layer.kernel_size)
            if layer.transposed:
                inputs //= prod(layer.stride)  # an output of a transposed one depends on a part
            nn.init.normal_(layer.weight, std=(2 / inputs) ** 0.5)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    # The input of the last tanh is to stay where that is not flat.
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
        model: The SpecGAN whose `mean` and `deviation` are set.
        waveforms: Batches of clips (count, channels, num_samples), one in memory at a time.

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
