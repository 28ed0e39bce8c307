"""Ways to find the latent of a sound: by an encoder, by gradients, or by both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.inversion.common import (
    BATCH,
    Inversion,
    Inverter,
    Targets,
    check_target,
    evaluate_latents,
    generate_all,
    joined,
    latent_bounds,
    probe_prior,
)
from audiate.inversion.lbfgs import Box, Minimum, minimise
from audiate.inversion.objectives import Objective, plain_objective
from audiate.models import Generator

Encoder = Callable[[Tensor], Tensor]
"""Maps waveforms (batch, channels, num_samples) to latents (batch, latent_dim)."""

Engine = Literal["batched", "scipy"]

HYBRID_ITERATIONS = 200
"""Largest number of iterations of the hybrid's gradient part (Keyes et al. 2020, section 4.4)."""

# Mixed into the seed of starts: clips generated with the same seed would begin at their goal.
_STARTS = 0x1A7E57


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


class GradientInverter:
    """L-BFGS from random latents, or from given ones (Keyes et al. 2020, section 4.2).

    The engine ``batched`` is ours: many clips at once, each with its own history, line search and
    end. The engine ``scipy`` gives one clip at a time to SciPy's L-BFGS-B, as the paper does.

    Latents are kept in the prior's box, where it has one: ``clipped`` replaces entries that leave
    it by random numbers within (Lipton and Tripathi 2017), ``projected`` by the nearest within.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective | None = None,
        *,
        engine: Engine = "batched",
        box: Box = "clipped",
        hold: int = 0,
        restarts: int = 1,
        max_iterations: int = 50_000,
        tolerance: float = 1e-8,
        batch_size: int = BATCH,
        seed: int = 0,
    ) -> None:
        """Set up the inverter.

        Args:
            generator: A generator that gradients flow through.
            objective: What is minimised; by default `plain_objective`.
            engine: ``batched`` or ``scipy``; see above.
            box: How latents are kept in the prior's box; see above. It has no effect where the
                prior has no sharp edges.
            hold: Number of entries of z, from the first, that stay as they are at the start.
            restarts: Number of starts for each clip, of which the best is kept. All clips have the
                same starts.
            max_iterations: Limit of iterations from each start.
            tolerance: A search ends when a step lowers its loss by less than this share, or when
                its gradient is smaller than this.
            batch_size: Number of starts that are worked at together.
            seed: Seed of the starts and of stochastic clipping.

        Raises:
            InputError: No gradients flow through the generator, or a value is out of range.

        """
        check_differentiable(generator)
        if engine not in ("batched", "scipy"):
            raise InputError(f"engine {engine!r}: give batched or scipy")
        if box not in ("none", "projected", "clipped"):
            raise InputError(f"box {box!r}: give none, projected or clipped")
        check_range("hold", hold, 0, generator.latent_dim)
        check_range("restarts", restarts, 1, 10_000)
        check_range("max_iterations", max_iterations, 0, 10**9)
        check_range("tolerance", tolerance, 0, 1)
        check_range("batch_size", batch_size, 1, 10**6)
        self.generator = generator
        self.objective = objective or plain_objective()
        self.engine, self.hold, self.restarts = engine, hold, restarts
        self.max_iterations, self.tolerance = max_iterations, tolerance
        self.batch_size, self.seed = batch_size, seed
        self.bounds, sharp = probe_prior(generator)
        self.box: Box = box if sharp else "none"

    @torch.inference_mode(mode=False)
    def __call__(
        self, target: Tensor, init: Tensor | None = None, *, deadline: float = float("inf")
    ) -> Inversion:
        """Invert waveforms.

        Args:
            target: Waveforms (batch, channels, num_samples).
            init: Latents (batch, latent_dim) that take the place of each clip's first start.
            deadline: As for `audiate.inversion.lbfgs.minimise`; the engine ``scipy`` ignores it.

        """
        check_target(self.generator, target, init)
        random = self.generator.sample_latent(
            self.restarts, generator=torch.Generator().manual_seed(self.seed ^ _STARTS)
        )
        starts = random.repeat(len(target), 1, 1)  # (clips, restarts, latent_dim)
        if init is not None:
            starts[:, 0] = init
        owner = torch.arange(len(target), device=target.device).repeat_interleave(self.restarts)
        found = joined(
            [
                self._search(target, own, start, deadline)
                for own, start in zip(
                    torch.split(owner, self.batch_size),
                    torch.split(starts.flatten(0, 1), self.batch_size),
                    strict=True,
                )
            ]
        )
        best = found.loss.view(-1, self.restarts).argmin(1)
        rows = torch.arange(len(target), device=target.device) * self.restarts + best
        output = generate_all(self.generator, found.point[rows], self.batch_size)
        evals = found.num_evals.view(-1, self.restarts).sum(1)
        return Inversion(found.point[rows], output, found.loss[rows], evals)

    def _search(self, target: Tensor, owner: Tensor, starts: Tensor, deadline: float) -> Minimum:
        """Search from starts (n, latent_dim), each for the clip in the row that ``owner`` says."""
        first = int(owner[0])
        targets = Targets(self.objective, target[first : int(owner[-1]) + 1])

        def losses(z: Tensor, problems: Tensor) -> Tensor:
            if self.hold:
                z = torch.cat([starts[problems, : self.hold], z[:, self.hold :]], 1)
            return targets.losses(self.generator(z), owner[problems] - first)

        if self.engine == "scipy":
            from audiate.inversion.scipy_engine import minimise_by_scipy  # SciPy is slow to import

            return minimise_by_scipy(
                losses,
                starts,
                max_iterations=self.max_iterations,
                tolerance=self.tolerance,
                box=self.box,
                bounds=self.bounds,
                seed=self.seed,
            )
        return minimise(
            losses,
            starts,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            box=self.box,
            bounds=self.bounds,
            seed=self.seed,
            deadline=deadline,
        )


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
    there, and then from random latents. The latent with the lowest loss is kept, so more time never
    gives a worse one.
    """

    def __init__(
        self,
        first: Inverter,
        generator: Generator,
        objective: Objective,
        seconds: float,
        *,
        seed: int = 0,
        batch_size: int = 64,
    ) -> None:
        """Spend ``seconds`` on each clip, beginning with ``first``, which has this objective."""
        self.first, self.generator, self.objective = first, generator, objective
        self.seconds, self.seed, self.batch_size = seconds, seed, batch_size

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert within ``seconds`` times the number of clips; ``init`` plays no part."""
        began = time.monotonic()
        deadline = began + self.seconds * len(target)
        best = self.first(target, init)
        took = time.monotonic() - began
        round_ = 0
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
            found = descend(target, None if round_ else best.latent, deadline=deadline - took)
            best = _better(best, found)
            round_ += 1
        return best


def check_differentiable(generator: Generator) -> None:
    """Make sure that gradients flow through a generator.

    Raises:
        InputError: It only runs forward.

    """
    if not generator.differentiable:
        raise InputError(
            "this generator only runs forward, so there are no gradients to follow; use "
            "`method=search` without `max_iterations`, `method=evolution`, or `method=encoder`"
        )


def _better(one: Inversion, other: Inversion) -> Inversion:
    """For each clip, the inversion with the lower loss; evaluations are those of both."""
    wins = other.loss < one.loss
    latent = torch.where(wins.unsqueeze(1), other.latent, one.latent)
    output = torch.where(wins.view(-1, 1, 1), other.output, one.output)
    loss = torch.minimum(one.loss, other.loss)
    return Inversion(latent, output, loss, one.num_evals + other.num_evals)
