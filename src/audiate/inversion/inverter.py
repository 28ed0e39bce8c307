"""Types, checks and evaluation that all inverters share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from audiate.audio.files import SILENCE
from audiate.errors import InputError
from audiate.inversion.lbfgs import Bounds, Minimum
from audiate.inversion.objectives import Objective
from audiate.models.generator import Generator, check_clips, device_of
from audiate.utils.progress import counted

BATCH = 64
"""Default number of clips, or of starts, in a batch."""

PROBES = 1000
"""Number of latents from which the shape of a prior is learnt."""

_NEAR = 0.05  # width of the zone that counts as near an edge, as a share of the box's width


@dataclass(frozen=True)
class Inversion:
    """The latents of a batch of clips.

    Attributes:
        latent: Latents (batch, latent_dim).
        output: Waveforms (batch, channels, num_samples) that the generator makes of them.
        loss: Values (batch,) of the inverter's objective, by clip.
        num_evals: Number of times that the generator ran for each clip, (batch,), int64.

    """

    latent: Tensor
    output: Tensor
    loss: Tensor
    num_evals: Tensor

    def __repr__(self) -> str:
        """The number of clips, the size of a latent, and the mean loss, on one line."""
        clips, dim = self.latent.shape
        loss = self.loss.double().mean().item()
        return f"Inversion of {counted(clips, 'clip')}: latent {dim}, mean loss {loss:.4g}"


Batch = TypeVar("Batch", Inversion, Minimum)


class Inverter(Protocol):
    """Finds latents for waveforms.

    The result for a clip depends on the others of its batch by rounding alone, which a search by
    gradients may carry to another minimum.
    """

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples) of the generator's kind.

        Args:
            target: The clips.
            init: Latents (batch, latent_dim) to begin with, for methods that have a start.

        """
        ...


def latent_bounds(generator: Generator) -> Bounds | None:
    """The prior's box: the lowest and highest value of each entry; None without sharp edges."""
    bounds, sharp = probe_prior(generator)
    return bounds if sharp else None


def probe_prior(generator: Generator) -> tuple[Bounds, bool]:
    """Return the extremes of the prior's samples, and whether they are sharp edges.

    Samples of a prior with sharp edges are as frequent near an edge as elsewhere.
    """
    z = generator.sample_latent(PROBES, generator=torch.Generator().manual_seed(0))
    low, high = z.amin(0), z.amax(0)
    width = high - low
    near = torch.stack([z < low + _NEAR * width, z > high - _NEAR * width])
    sharp = near.double().mean((1, 2)).min().item() > _NEAR / 5
    # Entries of one distribution have one box.
    if all(edge.max() - edge.min() < _NEAR * width.mean() for edge in (low, high)):
        low, high = low.min().expand_as(low), high.max().expand_as(high)
    return (low, high), sharp


def check_target(generator: Generator, target: Tensor, init: Tensor | None = None) -> None:
    """Check that clips and latents suit a generator and are on its device.

    Raises:
        InputError: They are not, or a clip is silent.

    """
    device = device_of(generator)
    for name, tensor in (("clips", target), ("latents", init)):
        if isinstance(tensor, Tensor) and tensor.device != device:
            raise InputError(
                f"{name} on the device {tensor.device}, the generator on {device}: bring both to "
                f"one, as with {name}.to({str(device)!r})"
            )
    check_clips(target, generator)
    if init is not None and tuple(init.shape) != (len(target), generator.latent_dim):
        raise InputError(
            f"latents {tuple(init.shape)}: give ({len(target)}, {generator.latent_dim}), one of "
            f"the generator's size for each clip"
        )
    silent = (target.abs().amax((1, 2)) < SILENCE).nonzero().flatten().tolist()
    if silent:
        raise InputError(f"clip {silent[0]} of the batch is silent; there is nothing to recover")


class Targets:
    """Targets of an objective, whose features are computed once."""

    @torch.no_grad()
    def __init__(self, objective: Objective, target: Tensor) -> None:
        self._objective, self._features = objective, objective.features(target)

    def losses(self, output: Tensor, rows: Tensor) -> Tensor:
        """Losses (len(rows),) of waveforms, each against the target in its row."""
        targets = {name: [each[rows] for each in found] for name, found in self._features.items()}
        return self._objective.compare(self._objective.features(output), targets)


def evaluated_once(latent: Tensor, output: Tensor, loss: Tensor) -> Inversion:
    """The inversion by latents of which the generator has made the output in one run."""
    evals = torch.ones(len(latent), dtype=torch.int64, device=latent.device)
    return Inversion(latent, output, loss, evals)


def joined(parts: Sequence[Batch]) -> Batch:
    """Concatenate the results of several batches."""
    fields = zip(*(vars(part).values() for part in parts), strict=True)
    return type(parts[0])(*map(torch.cat, fields))
