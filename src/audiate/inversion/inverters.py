"""Ways to find the latent of a sound: by an encoder, by gradients, or by both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from scipy.optimize import Bounds as BoxBounds
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimise
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.inversion.common import (
    BATCH,
    Inversion,
    Inverter,
    Wanted,
    check_target,
    generate_all,
    joined,
    latent_bounds,
    looked_at,
    probe_prior,
)
from audiate.inversion.lbfgs import Box, Minimum, minimise
from audiate.inversion.objectives import Objective, plain_objective
from audiate.models import Generator

Encoder = Callable[[Tensor], Tensor]
"""From waveforms (batch, channels, num_samples) to latents (batch, latent_dim)."""

Engine = Literal["batched", "scipy"]

_STARTS = 0x1A7E57
"""Mixed into the seed of starts: clips synthesised with that seed would begin at their goal."""


class EncoderInverter:
    """One look: latents are what an encoder says (Keyes et al. 2020, section 3.2)."""

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        objective: Objective | None = None,
        *,
        batch_size: int = BATCH,
    ) -> None:
        """Invert ``generator`` by ``encoder``; ``objective`` only measures the loss."""
        check_range("batch_size", batch_size, 1, 10**6)
        self.generator, self.encoder = generator, encoder
        self.objective = objective or plain_objective()
        self.batch_size = batch_size
        self.bounds = latent_bounds(generator)

    @torch.no_grad()
    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert; ``init`` plays no part."""
        check_target(self.generator, target, init)
        parts = []
        for part in torch.split(target, self.batch_size):
            latent = self.encoder(part)
            if self.bounds is not None:
                latent = latent.clamp(*self.bounds)
            parts.append(looked_at(self.generator, self.objective, part, latent))
        return joined(parts)


class GradientInverter:
    """L-BFGS from random latents, or from given ones (Keyes et al. 2020, section 4.2).

    ``batched`` is ours: many clips at once, each with its own history, line search and end.
    ``scipy`` takes one clip at a time to SciPy's L-BFGS-B, as the paper does.

    Latents are kept in the box of the prior, where it has one: ``clipped`` replaces what leaves it
    by random numbers within (Lipton and Tripathi 2017), ``projected`` by the nearest within.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective | None = None,
        *,
        engine: Engine = "batched",
        box: Box = "clipped",
        restarts: int = 1,
        max_iterations: int = 50_000,
        tolerance: float = 1e-8,
        batch_size: int = BATCH,
        seed: int = 0,
    ) -> None:
        """Set it up.

        Args:
            generator: One that gradients flow through.
            objective: What is minimised; by default the paper's.
            engine: See above.
            box: See above; without an edge of the prior there is none.
            restarts: Starts of each clip, of which the best is kept; they are the same for each.
            max_iterations: Of each start.
            tolerance: A start ends when a step lowers its loss by less than this share, or its
                gradient is smaller.
            batch_size: Starts that are worked at together.
            seed: Of starts and clipping.

        Raises:
            InputError: No gradients flow through the generator, or a value is out of range.

        """
        if not generator.differentiable:
            raise InputError(
                "this generator only runs forward, so there are no gradients to follow; use "
                "--method encoder or --method evolution"
            )
        if engine not in ("batched", "scipy"):
            raise InputError(f"engine {engine!r}: give batched or scipy")
        if box not in ("none", "projected", "clipped"):
            raise InputError(f"box {box!r}: give none, projected or clipped")
        check_range("restarts", restarts, 1, 10_000)
        check_range("max_iterations", max_iterations, 0, 10**9)
        check_range("tolerance", tolerance, 0, 1)
        check_range("batch_size", batch_size, 1, 10**6)
        self.generator = generator
        self.objective = objective or plain_objective()
        self.engine, self.restarts = engine, restarts
        self.max_iterations, self.tolerance = max_iterations, tolerance
        self.batch_size, self.seed = batch_size, seed
        self.bounds, sharp = probe_prior(generator)
        self.box: Box = box if sharp else "none"

    @torch.inference_mode(mode=False)
    def __call__(
        self, target: Tensor, init: Tensor | None = None, *, deadline: float = float("inf")
    ) -> Inversion:
        """Invert; the first start is ``init``, where given.

        Args:
            target: (batch, channels, num_samples).
            init: (batch, latent_dim).
            deadline: As of `audiate.inversion.lbfgs.minimise`; with the engine ``batched`` only.

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
        """From starts (n, latent_dim), all at once, each for the clip whose row ``owner`` says."""
        first = int(owner[0])
        wanted = Wanted(self.objective, target[first : int(owner[-1]) + 1])

        def losses(z: Tensor, problems: Tensor) -> Tensor:
            return wanted.losses(self.generator(z), owner[problems] - first)

        if self.engine == "scipy":
            return self._by_scipy(losses, starts)
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

    def _by_scipy(self, losses: Callable[[Tensor, Tensor], Tensor], starts: Tensor) -> Minimum:
        found = [self._one_by_scipy(losses, start, row) for row, start in enumerate(starts)]
        points, least, evals, converged = zip(*found, strict=True)
        return Minimum(
            torch.stack(points),
            torch.tensor(least, device=starts.device),
            torch.tensor(evals, device=starts.device),
            torch.tensor(converged, device=starts.device),
        )

    def _one_by_scipy(
        self, losses: Callable[[Tensor, Tensor], Tensor], start: Tensor, row: int
    ) -> tuple[Tensor, float, int, bool]:
        """One start: the best point, its loss, evaluations, and whether it converged."""
        problem = torch.tensor([row], device=start.device)
        random = np.random.default_rng(self.seed)
        low, high = (edge.double().cpu().numpy() for edge in self.bounds)
        best, least, evals = start, float("inf"), 0

        def loss_and_slope(point: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal best, least, evals
            z = torch.from_numpy(point).to(start).unsqueeze(0).requires_grad_(True)
            loss = losses(z, problem)
            (slope,) = torch.autograd.grad(loss.sum(), z)
            evals += 1
            inside = self.box == "none" or ((point >= low) & (point <= high)).all()
            if inside and loss.item() < least:
                best, least = z.detach()[0], loss.item()
            return loss.item(), slope[0].double().cpu().numpy()

        def stop_outside(intermediate_result: OptimizeResult) -> None:
            if ((intermediate_result.x < low) | (intermediate_result.x > high)).any():
                raise StopIteration

        point = start.double().cpu().numpy()
        left, converged = self.max_iterations, False
        while left > 0 and not converged:
            result = scipy_minimise(
                loss_and_slope,
                point,
                jac=True,
                method="L-BFGS-B",
                bounds=BoxBounds(low, high) if self.box == "projected" else None,
                callback=stop_outside if self.box == "clipped" else None,
                options={
                    "maxiter": left,
                    "maxfun": 25 * left,
                    "ftol": self.tolerance,
                    "gtol": self.tolerance,
                },
            )
            left -= max(result.nit, 1)
            outside = (result.x < low) | (result.x > high)
            converged = result.status != 99 and not (self.box == "clipped" and outside.any())
            point = np.where(outside, random.uniform(low, high), result.x)
        if not evals:
            loss_and_slope(point)
        return best, least, evals, converged


class HybridInverter:
    """One inverter's latent, then another from there (Keyes et al. 2020, section 4.4)."""

    def __init__(self, encode: Inverter, refine: Inverter) -> None:
        """Begin with ``encode``, go on with ``refine``."""
        self.encode, self.refine = encode, refine

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert; ``init`` goes to the first."""
        begun = self.encode(target, init)
        found = self.refine(target, begun.latent)
        return replace(found, num_evals=begun.num_evals + found.num_evals)
