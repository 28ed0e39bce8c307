"""Recovery without training: the nearest of some thousand random latents, by what is heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiate.errors import check_range
from audiate.files import replacing
from audiate.inversion.common import (
    BATCH,
    Inversion,
    check_target,
    evaluate_latents,
    joined,
)
from audiate.inversion.objectives import Objective, plain_objective
from audiate.models import DigitClassifier, Generator
from audiate.models.generator import device_of, generate
from audiate.models.inverse import Fingerprint, digest, fingerprint
from audiate.progress import tracked
from audiate.scores import classifier_input
from audiate.spectra import MelSpectrogram

POOL_SIZE = 3_000
"""Default number of latents that are sampled."""

# Weights of the distances, beside 1 for the cosine distance of the classifier's features. With more
# weight on levels, words are lost; with less, their time and their voice are.
_LEVEL_WEIGHT, _WORD_WEIGHT = 2.0, 0.1
_VERSION = 1  # of the way in which a pool is made; pools of other versions are not read
_SEED = 0x9E37  # no usual one: clips generated with the same seed would be in the pool
_SAMPLED = 50  # latents that are made sound at once


@dataclass(frozen=True)
class Pool:
    """Random latents of a generator, with what is heard of them.

    Attributes:
        latents: (size, latent_dim), drawn from the prior.
        levels: (size, 4096), mel levels in [0, 1] by `MelSpectrogram`.
        features: (size, features) of the classifier, of length 1; None without one.
        words: (size, classes), logarithms of the classifier's probabilities; None without one.

    """

    latents: Tensor
    levels: Tensor
    features: Tensor | None
    words: Tensor | None

    def __len__(self) -> int:
        return len(self.latents)


class SearchInverter:
    """Takes that latent of a pool whose sound is nearest to the clip.

    It needs no encoder, no gradients and no training, so it is what any generator has at once. The
    pool is sampled once for each generator, and kept in the user's cache folder.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective | None = None,
        *,
        classifier: DigitClassifier | None = None,
        size: int = POOL_SIZE,
        batch_size: int = BATCH,
        known: Fingerprint | None = None,
    ) -> None:
        """Read the pool, or sample it, which takes as long as ``size`` clips take to generate.

        Args:
            generator: Any generator.
            objective: Measures the loss, and nothing else; by default `plain_objective`.
            classifier: A classifier of spoken digits, on the generator's device, in whose features
                sounds are compared beside their mel levels. Sounds other than speech do without.
            size: Number of latents in the pool.
            batch_size: Number of clips that are worked at together.
            known: The generator's fingerprint, where it is known already.

        Raises:
            InputError: A value is out of range.

        """
        check_range("size", size, 1, 10**6)
        check_range("batch_size", batch_size, 1, 10**6)
        self.generator, self.classifier = generator, classifier
        self.objective = objective or plain_objective()
        self.batch_size = batch_size
        mel = MelSpectrogram(generator.sample_rate, generator.num_samples)
        self._mel = mel.to(device_of(generator))
        own = fingerprint(generator) if known is None else known
        self.pool = self._open_pool(size, own)

    @torch.no_grad()
    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` has no effect."""
        check_target(self.generator, target, init)
        return joined(
            [
                evaluate_latents(self.generator, self.objective, part, self.nearest(part))
                for part in torch.split(target, self.batch_size)
            ]
        )

    @torch.no_grad()
    def nearest(self, target: Tensor) -> Tensor:
        """Latents (batch, latent_dim) of the pool for waveforms (batch, channels, num_samples)."""
        pool, (levels, features, words) = self.pool, self._heard(target)
        distance = torch.cdist(levels, pool.levels, p=1) / levels.shape[1]
        if features is not None and words is not None:
            assert pool.features is not None
            assert pool.words is not None
            distance = _LEVEL_WEIGHT * distance + 1 - features @ pool.features.T
            distance -= _WORD_WEIGHT * words.exp() @ pool.words.T
        return pool.latents[distance.argmin(1)]

    def _heard(self, waveforms: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Levels, features and words of waveforms (batch, channels, samples), as in `Pool`."""
        levels = self._mel(waveforms.mean(1)).flatten(1)
        if self.classifier is None:
            return levels, None, None
        clips = classifier_input(waveforms, self.generator.sample_rate, self.classifier)
        features = self.classifier.embed(clips.to(self.classifier.device))
        words = self.classifier.classify(features).log_softmax(1)
        return levels, F.normalize(features, dim=1), words

    def _open_pool(self, size: int, own: Fingerprint) -> Pool:
        """Read the pool from the cache folder, or sample it and keep it there."""
        rounded = [f"{power:.3g}" for power in own]
        heard_by = None
        if self.classifier is not None:
            heard_by = digest(self.classifier.network.head.weight.tolist())
        path = pool_folder() / f"{digest((_VERSION, rounded, heard_by, size))}.safetensors"
        device = device_of(self.generator)
        stored = _read(path, size, self.generator.latent_dim, hears=heard_by is not None)
        if stored is None:
            stored = self._sample(size)
            _keep(stored, path)
        return Pool(
            stored["latents"].to(device),
            stored["levels"].to(device).float() / 255,
            *(
                stored[name].to(device).float() if name in stored else None
                for name in ("features", "words")
            ),
        )

    @torch.no_grad()
    def _sample(self, size: int) -> dict[str, Tensor]:
        """Sample the pool; levels are bytes, so that the file is small."""
        random = torch.Generator().manual_seed(_SEED)
        latents = self.generator.sample_latent(size, generator=random)
        rows: dict[str, list[Tensor]] = {"levels": [], "features": [], "words": []}
        parts = torch.split(latents, _SAMPLED)
        sizes = [len(part) for part in parts]
        for part in tracked(parts, "sampling latents, once for this generator", weights=sizes):
            levels, *heard = self._heard(generate(self.generator, part))
            rows["levels"].append((levels * 255).round().to(torch.uint8))
            for name, values in zip(("features", "words"), heard, strict=True):
                if values is not None:
                    rows[name].append(values.half())
        found = {name: torch.cat(values).cpu() for name, values in rows.items() if values}
        return {"latents": latents.float().cpu().contiguous(), **found}


def pool_folder() -> Path:
    """The folder in the user's cache in which pools are kept; any of its files may be deleted."""
    return user_cache_path("audiate") / "pools"


def _read(path: Path, size: int, latent_dim: int, *, hears: bool) -> dict[str, Tensor] | None:
    """A stored pool; None where there is none, or it is damaged."""
    try:
        stored = load_file(path)
    except (OSError, SafetensorError):
        return None
    names = {"latents", "levels"} | ({"features", "words"} if hears else set())
    whole = stored.keys() == names and all(len(values) == size for values in stored.values())
    return stored if whole and stored["latents"].shape[1] == latent_dim else None


def _keep(pool: dict[str, Tensor], path: Path) -> None:
    """Write a pool to the cache; where that fails, it is sampled again the next time."""
    try:
        with replacing(path) as partial:
            save_file(pool, partial)
    except (OSError, SafetensorError):
        return
