"""Gradient-based inversion by L-BFGS, and multi-start L-BFGS with successive halving."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.inversion.inverter import BATCH, Inversion, Targets, check_target, joined, probe_prior
from audiate.inversion.lbfgs import Box, Minimum, minimise
from audiate.inversion.objectives import Objective, plain_objective
from audiate.models.generator import Generator, generate

Engine = Literal["batched", "scipy"]

# Mixed into the seed of starts: clips generated with the same seed would begin at their goal.
_STARTS = 0x1A7E57


class GradientInverter:
    """Minimise the objective by L-BFGS (Keyes et al. 2020, section 4.2).

    It begins at random latents, or at given ones.

    The engine ``batched`` works on many clips at once, each with its own history, line search and
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
        freeze: int = 0,
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
            freeze: Number of entries of z, from the first, that keep their values at the start.
            restarts: Number of starts for each clip, of which the best is kept. All clips have the
                same starts.
            max_iterations: Limit of iterations from each start.
            tolerance: A search ends when a step lowers its loss by less than this share, or when
                its gradient is smaller than this.
            batch_size: Number of starts in a batch.
            seed: Seed of the starts and of stochastic clipping.

        Raises:
            InputError: No gradients flow through the generator, or a value is out of range.

        """
        check_differentiable(generator)
        if engine not in ("batched", "scipy"):
            raise InputError(f"engine {engine!r}: give batched or scipy")
        if box not in ("none", "projected", "clipped"):
            raise InputError(f"box {box!r}: give none, projected or clipped")
        check_range("freeze", freeze, 0, generator.latent_dim)
        check_range("restarts", restarts, 1, 10_000)
        check_range("max_iterations", max_iterations, 0, 10**9)
        check_range("tolerance", tolerance, 0, 1)
        check_range("batch_size", batch_size, 1, 10**6)
        self.generator = generator
        self.objective = objective or plain_objective()
        self.engine, self.freeze, self.restarts = engine, freeze, restarts
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
        found = self.minima(target, starts, self.max_iterations, deadline)
        best = found.loss.view(-1, self.restarts).argmin(1)
        rows = torch.arange(len(target), device=target.device) * self.restarts + best
        points = torch.split(found.point[rows], self.batch_size)
        output = torch.cat([generate(self.generator, part) for part in points])
        evals = found.num_evals.view(-1, self.restarts).sum(1)
        return Inversion(found.point[rows], output, found.loss[rows], evals)

    def minima(
        self, target: Tensor, starts: Tensor, max_iterations: int, deadline: float = float("inf")
    ) -> Minimum:
        """Descend from several starts of each clip.

        Args:
            target: Waveforms (batch, channels, num_samples).
            starts: Latents (batch, count, latent_dim).
            max_iterations: Limit of iterations from each start, in place of the inverter's own.
            deadline: As for a call.

        Returns:
            The minima, (batch * count, ...) each: first those of the first clip.

        """
        search: Callable[..., Minimum] = partial(minimise, deadline=deadline)
        if self.engine == "scipy":
            from audiate.inversion.lbfgs_scipy import minimise_by_scipy  # SciPy is slow to import

            search = minimise_by_scipy
        owner = torch.arange(len(target), device=target.device).repeat_interleave(starts.shape[1])
        parts = []
        begins = torch.split(starts.flatten(0, 1), self.batch_size)
        for rows, begin in zip(torch.split(owner, self.batch_size), begins, strict=True):
            first, last = int(rows[0]), int(rows[-1])
            targets = Targets(self.objective, target[first : last + 1])
            parts.append(
                search(
                    partial(self._losses, targets, rows - first, begin),
                    begin,
                    max_iterations=max_iterations,
                    tolerance=self.tolerance,
                    box=self.box,
                    bounds=self.bounds,
                    seed=self.seed,
                )
            )
        return joined(parts)

    def _losses(
        self, targets: Targets, owner: Tensor, begin: Tensor, z: Tensor, problems: Tensor
    ) -> Tensor:
        """Losses (n,) of latents (n, latent_dim) of some problems, as `minimise` needs them."""
        if self.freeze:
            z = torch.cat([begin[problems, : self.freeze], z[:, self.freeze :]], 1)
        return targets.losses(self.generator(z), owner[problems])


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


# The share of starts that take part in a round, and the iterations of each of them.
_ROUNDS = ((1.0, 15), (0.375, 40))


@dataclass(eq=False)
class HalvingInverter:
    """Minimise the objective by L-BFGS from several starts, with successive halving.

    The algorithm is that of Jamieson and Talwalkar 2016, in three rounds. Of 8 starts, all have 15
    iterations, the 3 with the lowest losses have 40 more, and the best one has the rest. A loss has
    many minima, and after a few iterations the second nearest latent of a search often is far
    ahead of the nearest.

    Attributes:
        starts: Gives latents (batch, count, latent_dim) for waveforms.
        refine: Improves them. Each start has at most as many iterations as its limit allows.

    """

    starts: Callable[[Tensor], Tensor]
    refine: GradientInverter

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` has no effect."""
        check_target(self.refine.generator, target, init)
        points = self.starts(target)
        clips, count, _ = points.shape
        left = self.refine.max_iterations
        evals = torch.zeros(clips, dtype=torch.int64, device=target.device)
        for share, most in (*_ROUNDS, (0.0, left)):
            kept = max(1, round(share * count))
            iterations = min(most, left) if kept > 1 else left
            found = self.refine.minima(target, points[:, :kept], iterations)
            loss, order = found.loss.view(clips, kept).sort(1)
            evals += found.num_evals.view(clips, kept).sum(1)
            points = found.point.view(clips, kept, -1).gather(
                1, order.unsqueeze(2).expand(-1, -1, found.point.shape[1])
            )
            left -= iterations
            if not left:
                break
        latent = points[:, 0]
        parts = torch.split(latent, self.refine.batch_size)
        output = torch.cat([generate(self.refine.generator, part) for part in parts])
        return Inversion(latent, output, loss[:, 0], evals)
