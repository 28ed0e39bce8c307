"""The random latents that a search looks through, and the file in which they are kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiate.errors import Interrupted
from audiate.models.fingerprint import digest
from audiate.models.generator import Generator, device_of, generate
from audiate.utils.filesystem import replacing, uninterrupted
from audiate.utils.progress import note, tracked

_VERSION = 2  # of the way in which a pool is made and kept; files of other versions are not read
_SEED = 0x9E37  # no usual one: clips generated with the same seed would be in the pool
_SAMPLED = 50  # latents that are made sound at once
_SECONDS_BETWEEN_COPIES = 30.0
_SILENT_SHARE = 0.1  # share of silent sounds from which on it is worth a note


class Heard(NamedTuple):
    """What is heard of sounds, by which they are compared.

    Attributes:
        levels: (batch, 4096), mel levels in [0, 1] by `audiate.audio.spectrograms.MelSpectrogram`.
        features: (batch, features) of the classifier, of length 1; None without one.
        words: (batch, classes), logarithms of the classifier's probabilities; None without one.

    """

    levels: Tensor
    features: Tensor | None
    words: Tensor | None


@dataclass(frozen=True)
class Pool:
    """Random latents of a generator, with what is heard of them.

    Attributes:
        latents: (size, latent_dim), drawn from the prior.
        heard: What is heard of their sounds, (size, ...) each.

    """

    latents: Tensor
    heard: Heard

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def silent(self) -> int:
        """Number of latents whose sound is silent: the peak of every other one has level 1."""
        return int((self.heard.levels.amax(1) == 0).sum())


def open_pool(
    generator: Generator, hear: Callable[[Tensor], Heard], size: int, key: object
) -> Pool:
    """Read a pool from the cache folder, or sample it and keep it there.

    A part of it is kept twice a minute, and when it is interrupted; the next call goes on from
    there.

    Args:
        generator: The generator whose latents are sampled.
        hear: It tells what is heard of waveforms (batch, channels, samples).
        size: Number of latents.
        key: It tells this generator and this hearing from others; its ``repr`` counts.

    Raises:
        Interrupted: Ctrl-C was pressed; the part that was sampled is kept.

    """
    path = pool_folder() / f"{digest((_VERSION, key, size))}.safetensors"
    whole = _read(path)
    if whole is None or len(whole["latents"]) != size:
        whole = _sample(generator, hear, size, path)
    device = device_of(generator)
    stored = {name: values.to(device).float() for name, values in whole.items()}
    heard = Heard(stored["levels"] / 255, stored.get("features"), stored.get("words"))
    pool = Pool(stored["latents"], heard)
    if pool.silent >= _SILENT_SHARE * size:
        note(
            f"{pool.silent:,} of {size:,} random latents give a silent sound, so a search finds "
            f"little; check the generator's weights and the range of its prior"
        )
    return pool


def pool_folder() -> Path:
    """The folder in the user's cache in which pools are kept; any of its files may be deleted."""
    return user_cache_path("audiate") / "pools"


@torch.no_grad()
def _sample(
    generator: Generator, hear: Callable[[Tensor], Heard], size: int, path: Path
) -> dict[str, Tensor]:
    """Sample a pool, from where an earlier call was interrupted, and keep it."""
    partial = path.with_suffix(".part.safetensors")
    begun = _read(partial)
    found = [] if begun is None else [begun]
    done = sum(len(each["latents"]) for each in found)
    source = torch.Generator().manual_seed(_SEED)
    parts = torch.split(generator.sample_latent(size, generator=source)[done:], _SAMPLED)
    saved, sizes = time.monotonic(), [len(part) for part in parts]
    what = "sampling latents, once for this generator and classifier"
    try:
        for part in tracked(parts, what, weights=sizes, done=done):
            found.append(_compact(part, hear(generate(generator, part))))
            if time.monotonic() - saved > _SECONDS_BETWEEN_COPIES:
                _keep(_joined(found), partial)
                saved = time.monotonic()
    except KeyboardInterrupt as stop:
        with uninterrupted():
            if not found or _keep(_joined(found), partial) is not None:
                raise
        done = sum(len(each["latents"]) for each in found)
        raise Interrupted(f"stopped after {done:,} of {size:,} sampled latents") from stop
    whole = _joined(found)
    failed = _keep(whole, path)
    if failed is None:
        partial.unlink(missing_ok=True)
        megabytes = path.stat().st_size / 1e6
        note(f"{path}: keeps the sampled latents ({megabytes:.1f} MB); it may be deleted")
    else:
        note(
            f"{path.parent}: cannot be written ({failed}), so latents are sampled again in every "
            f"run; make it writable, or name another cache folder with XDG_CACHE_HOME"
        )
    return whole


def _compact(latents: Tensor, heard: Heard) -> dict[str, Tensor]:
    """A part of a pool as it is kept: levels are bytes, so that the file is small."""
    rows = {"latents": latents.float(), "levels": (heard.levels * 255).round().to(torch.uint8)}
    if heard.features is not None and heard.words is not None:
        rows |= {"features": heard.features.half(), "words": heard.words.half()}
    return {name: values.cpu().contiguous() for name, values in rows.items()}


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _read(path: Path) -> dict[str, Tensor] | None:
    """A pool, or a part of one, as it was kept; None where there is none, or it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            recorded = (file.metadata() or {}).get("sha256")
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        note(f"{path}: cannot be read ({error}), so its latents are sampled anew")
        return None
    if recorded != _sha256(stored):
        note(f"{path}: is damaged, so its latents are sampled anew")
        return None
    return stored


def _keep(pool: dict[str, Tensor], path: Path) -> str | None:
    """Write a pool, or a part of one; returns the reason where that fails."""
    try:
        with replacing(path) as partial:
            save_file(pool, partial, {"sha256": _sha256(pool)})
    except (OSError, SafetensorError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    """A digest of names, types, shapes and numbers."""
    found = hashlib.sha256()
    for name, values in sorted(tensors.items()):
        found.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        found.update(values.contiguous().numpy().tobytes())
    return found.hexdigest()
