"""Sounds of a generator with their latents: made once, heard once, and kept in the cache folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiate.audio.files import prepare_speech
from audiate.audio.log_mel import LogMel
from audiate.errors import InputError
from audiate.inversion.candidates import pool_folder
from audiate.models.fingerprint import digest
from audiate.models.generator import AudioGAN
from audiate.utils.filesystem import replacing
from audiate.utils.progress import tracked

_VERSION = 1  # of the way in which sounds are made and heard
_SEED = 0x5A7  # no usual one: clips generated with the same seed would be learnt
_BATCH = 50


@dataclass(frozen=True)
class GeneratedSounds:
    """Sounds of a generator, as a front end hears them.

    Attributes:
        latents: (count, latent_dim), drawn from the prior.
        spectrograms: (count, n_mels, frames), uint8.

    """

    latents: Tensor
    spectrograms: Tensor


def generated_sounds(generator: AudioGAN, features: LogMel, count: int) -> GeneratedSounds:
    """Read the sounds of a generator from the cache folder, or make them and keep them there.

    Silent ones are left out, so there may be fewer than ``count``.

    Raises:
        InputError: All sounds are silent.

    """
    name = digest((_VERSION, digest(generator.generator), asdict(features.config), count))
    path = pool_folder() / f"{name}-heard.safetensors"
    stored = _read(path, generator.latent_dim)
    if stored is None:
        stored = _make(generator, features, count)
        _keep(stored, path)
    return stored


@torch.no_grad()
def _make(generator: AudioGAN, features: LogMel, count: int) -> GeneratedSounds:
    random = torch.Generator().manual_seed(_SEED)
    latents = generator.sample_latent(count, generator=random)
    kept, heard = [], []
    parts = torch.split(latents, _BATCH)
    sizes = [len(part) for part in parts]
    what = "generating sounds, once for this generator"
    for part in tracked(parts, what, weights=sizes):
        waveforms = []
        for latent, waveform in zip(part, generator(part), strict=True):
            try:
                rate = features.config.sample_rate
                waveforms.append(prepare_speech(waveform, generator.sample_rate, rate))
            except InputError:  # silent
                continue
            kept.append(latent.cpu())
        if waveforms:
            heard.append((features.many(waveforms) * 255).round().to(torch.uint8).cpu())
    if not kept:
        raise InputError("`generator`: all of its sounds are silent; train it longer")
    return GeneratedSounds(torch.stack(kept), torch.cat(heard))


def _read(path: Path, latent_dim: int) -> GeneratedSounds | None:
    """Sounds that were kept; None where there are none, or they are damaged."""
    try:
        sounds = GeneratedSounds(**load_file(path))
    except (OSError, SafetensorError, TypeError):
        return None
    whole = len(sounds.latents) == len(sounds.spectrograms)
    return sounds if whole and sounds.latents.shape[1:] == (latent_dim,) else None


def _keep(sounds: GeneratedSounds, path: Path) -> None:
    """Write sounds to the cache; where that fails, they are made again the next time."""
    try:
        with replacing(path) as partial:
            save_file(
                {"latents": sounds.latents.contiguous(), "spectrograms": sounds.spectrograms},
                partial,
            )
    except (OSError, SafetensorError):
        return
