"""Candidates of a search: random latents with descriptors of their sounds, cached in a file."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiate.errors import Interrupted
from audiate.models.fingerprint import digest
from audiate.models.generator import Generator, device_of, generate
from audiate.utils.filesystem import cache_folder, replacing, uninterrupted
from audiate.utils.progress import note, tracked

_VERSION = 2  # of sampling and format; files of other versions are not read
_SEED = 0x9E37  # no usual one: clips generated with the same seed would be candidates
_SAMPLED = 50  # latents that are made sound at once
_SECONDS_BETWEEN_COPIES = 30.0
_SILENT_SHARE = 0.1  # share of silent sounds from which on it is worth a note


class Descriptors(NamedTuple):
    """Descriptors of sounds, by which a search compares them.

    Attributes:
        levels: (batch, 4096), mel levels in [0, 1] by `audiate.audio.spectrograms.MelSpectrogram`.
        features: (batch, features) of the classifier, of length 1; None without one.
        words: (batch, classes), logarithms of the classifier's probabilities; None without one.

    """

    levels: Tensor
    features: Tensor | None
    words: Tensor | None


@dataclass(frozen=True)
class Candidates:
    """Random latents of a generator, with descriptors of their sounds.

    Attributes:
        latents: (size, latent_dim), drawn from the prior.
        descriptors: (size, ...) each.

    """

    latents: Tensor
    descriptors: Descriptors

    def __len__(self) -> int:
        return len(self.latents)


def open_candidates(
    generator: Generator, describe: Callable[[Tensor], Descriptors], size: int, key: object
) -> Candidates:
    """Read the candidates from the cache folder, or sample them and keep them there.

    A part is kept twice a minute, and when the sampling is interrupted; the next call goes on from
    there.

    Args:
        generator: The generator whose latents are sampled.
        describe: Gives the descriptors of waveforms (batch, channels, samples).
        size: Number of latents.
        key: Identifies the generator and the descriptors, by its ``repr``.

    Raises:
        Interrupted: Ctrl-C was pressed; the part that was sampled is kept.

    """
    path = candidates_folder() / f"{digest((_VERSION, key, size))}.safetensors"
    whole = _read(path)
    if whole is None or len(whole["latents"]) != size:
        whole = _sample(generator, describe, size, path)
    device = device_of(generator)
    stored = {name: values.to(device).float() for name, values in whole.items()}
    levels = stored["levels"] / 255
    silent = int((levels.amax(1) == 0).sum())  # the peak of every other sound has level 1
    if silent >= _SILENT_SHARE * size:
        note(
            f"{silent:,} of {size:,} random latents give a silent sound, so a search finds "
            f"little; check the generator's weights and the range of its prior"
        )
    descriptors = Descriptors(levels, stored.get("features"), stored.get("words"))
    return Candidates(stored["latents"], descriptors)


def candidates_folder() -> Path:
    """The folder in the user's cache for candidates; any of its files may be deleted."""
    return cache_folder() / "pools"


@torch.no_grad()
def _sample(
    generator: Generator, describe: Callable[[Tensor], Descriptors], size: int, path: Path
) -> dict[str, Tensor]:
    """Sample candidates, from where an earlier call was interrupted, and keep them."""
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
            found.append(_compact(part, describe(generate(generator, part))))
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


def _compact(latents: Tensor, found: Descriptors) -> dict[str, Tensor]:
    """A part of the candidates as it is kept: levels are bytes, so that the file is small."""
    rows = {"latents": latents.float(), "levels": (found.levels * 255).round().to(torch.uint8)}
    if found.features is not None and found.words is not None:
        rows |= {"features": found.features.half(), "words": found.words.half()}
    return {name: values.cpu().contiguous() for name, values in rows.items()}


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _read(path: Path) -> dict[str, Tensor] | None:
    """Read candidates, or a part of them; None where there are none, or the file is damaged."""
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


def _keep(tensors: dict[str, Tensor], path: Path) -> str | None:
    """Write candidates, or a part of them; return the reason where that fails."""
    try:
        with replacing(path) as partial:
            save_file(tensors, partial, {"sha256": _sha256(tensors)})
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
