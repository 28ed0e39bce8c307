"""Ways to find the latent of a sound: by an encoder, by gradients, or by both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor

from audiate.errors import check_range
from audiate.inversion.gradient import GradientInverter
from audiate.inversion.inverter import (
    BATCH,
    Inversion,
    Inverter,
    check_target,
    evaluate_latents,
    joined,
    latent_bounds,
)
from audiate.inversion.objectives import Objective, plain_objective
from audiate.inversion.search import SearchInverter
from audiate.models.generator import Generator

_OTHERS = 15  # latents of a search after the nearest, with which a budget goes on

Encoder = Callable[[Tensor], Tensor]
"""Maps waveforms (batch, channels, num_samples) to latents (batch, latent_dim)."""

HYBRID_ITERATIONS = 200
"""Largest number of iterations of the hybrid's gradient part (Keyes et al. 2020, section 4.4)."""


class EncoderInverter:
    """Takes the latents that an encoder gives (Keyes et al. 2020, section 3.2)."""

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        objective: Objective | None = None,
        *,
        batch_size: int = BATCH,
    ) -> None:
        """Set up the inverter.

        Args:
            generator: Any generator.
            encoder: Maps its sound to its latents.
            objective: Measures the loss, and nothing else; by default `plain_objective`.
            batch_size: Number of clips that are worked at together.

        Raises:
            InputError: ``batch_size`` is out of range.

        """
        check_range("batch_size", batch_size, 1, 10**6)
        self.generator, self.encoder = generator, encoder
        self.objective = objective or plain_objective()
        self.batch_size = batch_size
        self.bounds = latent_bounds(generator)

    @torch.no_grad()
    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` has no effect."""
        check_target(self.generator, target, init)
        parts = []
        for part in torch.split(target, self.batch_size):
            latent = self.encoder(part)
            if self.bounds is not None:
                latent = latent.clamp(*self.bounds)
            parts.append(evaluate_latents(self.generator, self.objective, part, latent))
        return joined(parts)


class HybridInverter:
    """Begins a second inverter where a first one ended (Keyes et al. 2020, section 4.4)."""

    def __init__(self, encode: Inverter, refine: Inverter) -> None:
        """Use ``encode`` for the first latents and ``refine`` to improve them."""
        self.encode, self.refine = encode, refine

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` goes to the first inverter."""
        begun = self.encode(target, init)
        found = self.refine(target, begun.latent)
        return replace(found, num_evals=begun.num_evals + found.num_evals)


class BestInverter:
    """Runs several inverters with one objective, and keeps for each clip the lowest loss."""

    def __init__(self, inverters: Sequence[Inverter]) -> None:
        """Use ``inverters``, at least one."""
        self.inverters = tuple(inverters)

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` goes to each inverter."""
        return reduce(_better, (invert(target, init) for invert in self.inverters))


class BudgetInverter:
    """Finds the best inversion that fits in so many seconds a clip.

    It begins with the latents of a quick inverter. As long as time remains, L-BFGS goes on from
    there, then from the next nearest latents of a search, if there is one, and then from random
    latents. The latent with the lowest loss is kept, so more time never gives a worse one.
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
        batch_size: int = 64,
    ) -> None:
        """Spend ``seconds`` on each clip, beginning with ``first``, which has this objective."""
        self.first, self.generator, self.objective = first, generator, objective
        self.seconds, self.search = seconds, search
        self.seed, self.batch_size = seed, batch_size

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert within ``seconds`` times the number of clips; ``init`` plays no part."""
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
            found = descend(target, start, deadline=deadline - took)
            best = _better(best, found)
            round_ += 1
        return best


def _better(one: Inversion, other: Inversion) -> Inversion:
    """For each clip, the inversion with the lower loss; evaluations are those of both."""
    wins = other.loss < one.loss
    latent = torch.where(wins.unsqueeze(1), other.latent, one.latent)
    output = torch.where(wins.view(-1, 1, 1), other.output, one.output)
    loss = torch.minimum(one.loss, other.loss)
    return Inversion(latent, output, loss, one.num_evals + other.num_evals)
