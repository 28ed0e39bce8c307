"""Combinations of inverters: one after another, the best of several, and a budget of time."""

import time
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from audiate.inversion.gradient import GradientInverter
from audiate.inversion.inverter import BATCH, Inversion, Inverter
from audiate.inversion.objectives import Objective
from audiate.inversion.search import SearchInverter
from audiate.models.generator import Generator

HYBRID_ITERATIONS = 200
"""Largest number of iterations of the hybrid's gradient part (Keyes et al. 2020, section 4.4)."""

_OTHERS = 15  # latents of a search after the nearest, with which a budget goes on


@dataclass(eq=False)
class HybridInverter:
    """Improve the latents of a first inverter by a second one (Keyes et al. 2020, section 4.4).

    Attributes:
        first: Gives the initial latents.
        refine: Improves them.

    """

    first: Inverter
    refine: Inverter

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` goes to the first inverter."""
        begun = self.first(target, init)
        found = self.refine(target, begun.latent)
        return replace(found, num_evals=begun.num_evals + found.num_evals)


@dataclass(eq=False)
class BestInverter:
    """Run several inverters with one objective, and keep the lowest loss of each clip.

    Attributes:
        inverters: At least one.

    """

    inverters: Sequence[Inverter]

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` goes to each inverter."""
        return reduce(_better, (invert(target, init) for invert in self.inverters))


@dataclass(eq=False)
class BudgetInverter:
    """Find the best inversion within a number of seconds for each clip.

    A quick inverter gives the first latents. As long as time remains, L-BFGS goes on from there,
    then from the next nearest latents of a search, if there is one, and then from random latents.
    The latent with the lowest loss is kept, so more time never gives a worse one.

    Attributes:
        first: The quick inverter, which has the same objective.
        generator: A generator.
        objective: What is minimised.
        seconds: Time for each clip, in seconds.
        search: A search of the generator's latents, if there is one.
        seed: Seed of random starts.
        batch_size: Number of clips in a batch.

    """

    first: Inverter
    generator: Generator
    objective: Objective
    seconds: float
    _: KW_ONLY
    search: SearchInverter | None = None
    seed: int = 0
    batch_size: int = BATCH

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert within ``seconds`` times the number of clips; ``init`` goes to ``first``."""
        began = time.monotonic()
        deadline = began + self.seconds * len(target)
        best = self.first(target, init)
        took = time.monotonic() - began
        round_, others = 0, target.new_zeros(len(target), 0, self.generator.latent_dim)
        # The least that a descent does lasts about three times as long as encoding.
        while self.generator.differentiable and time.monotonic() + 3 * took < deadline:
            descend = GradientInverter(
                self.generator,
                self.objective,
                max_iterations=HYBRID_ITERATIONS,
                box="projected",
                seed=self.seed + round_,
                batch_size=self.batch_size,
            )
            if round_ == 1 and self.search is not None:
                others = self.search.nearest(target, 1 + _OTHERS)[:, 1:]
            start: Tensor | None = best.latent
            if round_:
                start = others[:, round_ - 1] if round_ <= others.shape[1] else None
            best = _better(best, descend(target, start, deadline=deadline - took))
            round_ += 1
        return best


def _better(one: Inversion, other: Inversion) -> Inversion:
    """For each clip, the inversion with the lower loss; evaluations are those of both."""
    wins = other.loss < one.loss
    latent = torch.where(wins.unsqueeze(1), other.latent, one.latent)
    output = torch.where(wins.view(-1, 1, 1), other.output, one.output)
    loss = torch.minimum(one.loss, other.loss)
    return Inversion(latent, output, loss, one.num_evals + other.num_evals)
