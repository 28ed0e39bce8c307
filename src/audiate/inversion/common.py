"""What all ways to find latents have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from audiate.errors import InputError
from audiate.inversion.lbfgs import Bounds, Minimum
from audiate.inversion.objectives import Objective
from audiate.models import Generator
from audiate.models.generator import generate

BATCH = 64
PROBES = 1000
"""Samples by which a prior is known."""

_NEAR = 0.05  # what is near an edge, in widths of the box


@dataclass(frozen=True)
class Inversion:
    """What was found for each clip of a batch.

    Attributes:
        latent: (batch, latent_dim).
        output: (batch, channels, num_samples), what the generator makes of it.
        loss: (batch,), of the inverter's objective.
        num_evals: (batch,), int64: how often the generator ran for this clip.

    """

    latent: Tensor
    output: Tensor
    loss: Tensor
    num_evals: Tensor


Batch = TypeVar("Batch", Inversion, Minimum)


class Inverter(Protocol):
    """Finds latents for waveforms; what it finds for one clip does not depend on the others."""

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples) of the generator's kind.

        Args:
            target: The clips.
            init: Latents (batch, latent_dim) to begin with, for those methods that have a start.

        """
        ...


def latent_bounds(generator: Generator) -> Bounds | None:
    """The box of the prior: the lowest and highest of each number; None if it has no sharp edges.

    It is learnt from samples: near the edge of a uniform prior they are as frequent as elsewhere.
    """
    bounds, sharp = probe_prior(generator)
    return bounds if sharp else None


def probe_prior(generator: Generator) -> tuple[Bounds, bool]:
    """Extremes of the prior's samples, and whether they are edges."""
    z = generator.sample_latent(PROBES, generator=torch.Generator().manual_seed(0))
    low, high = z.amin(0), z.amax(0)
    width = high - low
    near = torch.stack([z < low + _NEAR * width, z > high - _NEAR * width])
    sharp = near.double().mean((1, 2)).min().item() > _NEAR / 5
    # Numbers of one distribution have one box.
    if (low.max() - low.min() < _NEAR * width.mean()) and (
        high.max() - high.min() < _NEAR * width.mean()
    ):
        low, high = low.min().expand_as(low), high.max().expand_as(high)
    return (low, high), sharp


def check_target(generator: Generator, target: Tensor, init: Tensor | None = None) -> None:
    """Make sure that clips and latents are of the generator's kind.

    Raises:
        InputError: They are not, or a clip is silent.

    """
    wanted = (generator.channels, generator.num_samples)
    if not isinstance(target, Tensor) or not target.is_floating_point():
        given = target.dtype if isinstance(target, Tensor) else type(target).__name__
        raise InputError(f"clips of {given}: give a tensor of floats in [-1, 1]")
    if target.dim() != 3 or tuple(target.shape[1:]) != wanted or not len(target):
        raise InputError(
            f"clips {tuple(target.shape)}: the generator makes (batch, {wanted[0]}, {wanted[1]}); "
            f"cut or pad them with audiate.fit_length"
        )
    if not target.isfinite().all():
        raise InputError("a clip holds NaN or infinite samples; export it again")
    silent = (target.abs().amax((1, 2)) < 1e-4).nonzero().flatten().tolist()
    if silent:
        raise InputError(f"clip {silent[0]} of the batch is silent; there is nothing to recover")
    if init is not None and tuple(init.shape) != (len(target), generator.latent_dim):
        raise InputError(
            f"latents {tuple(init.shape)}: give ({len(target)}, {generator.latent_dim}), one of "
            f"the generator's size for each clip"
        )


class Wanted:
    """What an objective compares of some clips, computed once."""

    @torch.no_grad()
    def __init__(self, objective: Objective, target: Tensor) -> None:
        self._objective, self._features = objective, objective.features(target)

    def losses(self, output: Tensor, rows: Tensor) -> Tensor:
        """Of waveforms, each against the clip in its row, (len(rows),)."""
        wanted = {name: [each[rows] for each in found] for name, found in self._features.items()}
        return self._objective.compare(self._objective.features(output), wanted)


def looked_at(
    generator: Generator, objective: Objective, target: Tensor, latent: Tensor
) -> Inversion:
    """Latents as they are, looked at once."""
    output = generate(generator, latent)
    evals = torch.ones(len(latent), dtype=torch.int64, device=latent.device)
    return Inversion(latent, output, objective(output, target), evals)


def generate_all(generator: Generator, latent: Tensor, batch_size: int) -> Tensor:
    """Waveforms of many latents, so many at once."""
    return torch.cat([generate(generator, part) for part in torch.split(latent, batch_size)])


def joined(parts: Sequence[Batch]) -> Batch:
    """What was found for several batches, one after the other."""
    fields = zip(*(vars(part).values() for part in parts), strict=True)
    return type(parts[0])(*map(torch.cat, fields))
