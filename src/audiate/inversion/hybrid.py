"""Combinations of inverters: one after another, the best of several, and a budget of time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
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


class HybridInverter:
    """Improve the latents of a first inverter by a second one (Keyes et al. 2020, section 4.4)."""

    def __init__(self, first: Inverter, refine: Inverter) -> None:
        """Use ``first`` for the initial latents and ``refine`` to improve them."""
        self.first, self.refine = first, refine

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` goes to the first inverter."""
        begun = self.first(target, init)
        found = self.refine(target, begun.latent)
        return replace(found, num_evals=begun.num_evals + found.num_evals)


class BestInverter:
    """Run several inverters with one objective, and keep the lowest loss of each clip."""

    def __init__(self, inverters: Sequence[Inverter]) -> None:
        """Use ``inverters``, at least one."""
        self.inverters = tuple(inverters)

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` goes to each inverter."""
        return reduce(_better, (invert(target, init) for invert in self.inverters))


class BudgetInverter:
    """Find the best inversion within a number of seconds for each clip.

    A quick inverter gives the first latents. As long as time remains, L-BFGS goes on from there,
    then from the next nearest latents of a search, if there is one, and then from random latents.
    The latent with the lowest loss is kept, so more time never gives a worse one.
    """

    def __init__(
        self,
        first: Inverter,
        generator: Generator,
        objective: Objective,
        seconds: float,
        *,
        search: SearchInverter | None = None,
        seed: int = 0,
        batch_size: int = BATCH,
    ) -> None:
        """Spend ``seconds`` on each clip, beginning with ``first``, which has this objective."""
        self.first, self.generator, self.objective = first, generator, objective
        self.seconds, self.search = seconds, search
        self.seed, self.batch_size = seed, batch_size

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
