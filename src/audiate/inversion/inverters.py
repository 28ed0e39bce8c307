"""Ways to find the latent of a sound: by an encoder, by gradients, by both, or without either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import torch
from cmaes import CMA
from scipy.optimize import Bounds as BoxBounds
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimise
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.inversion.lbfgs import Bounds, Box, Minimum, minimise
from audiate.inversion.objectives import Objective, SpectrogramTerm
from audiate.models import Generator
from audiate.models.generator import generate

Encoder = Callable[[Tensor], Tensor]
"""From waveforms (batch, channels, num_samples) to latents (batch, latent_dim)."""

Engine = Literal["batched", "scipy"]

_BATCH = 64
_PROBES = 1000
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


class Inverter(Protocol):
    """Finds latents for waveforms; what it finds for one clip does not depend on the others."""

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples) of the generator's kind.

        Args:
            target: The clips.
            init: Latents (batch, latent_dim) to begin with, for those methods that have a start.

        """
        ...


def plain_objective() -> Objective:
    """The paper's: mean absolute difference of spectrograms (Keyes et al. 2020, equation 1)."""
    return Objective({"spectrogram": (1.0, SpectrogramTerm())})


def latent_bounds(generator: Generator) -> Bounds | None:
    """The box of the prior: the lowest and highest of each number; None if it has no sharp edges.

    It is learnt from samples: near the edge of a uniform prior they are as frequent as elsewhere.
    """
    bounds, sharp = _probe(generator)
    return bounds if sharp else None


def _probe(generator: Generator) -> tuple[Bounds, bool]:
    """Extremes of the prior's samples, and whether they are edges."""
    z = generator.sample_latent(_PROBES, generator=torch.Generator().manual_seed(0))
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


class EncoderInverter:
    """One look: latents are what an encoder says (Keyes et al. 2020, section 3.2)."""

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        objective: Objective | None = None,
        *,
        batch_size: int = _BATCH,
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
            parts.append(_inversion(self.generator, self.objective, part, latent))
        return _joined(parts)


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
        batch_size: int = _BATCH,
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
        self.bounds, sharp = _probe(generator)
        self.box: Box = box if sharp else "none"

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
            self.restarts, generator=torch.Generator().manual_seed(self.seed)
        )
        starts = random.repeat(len(target), 1, 1)  # (clips, restarts, latent_dim)
        if init is not None:
            starts[:, 0] = init
        owner = torch.arange(len(target), device=target.device).repeat_interleave(self.restarts)
        found = Minimum.joined(
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
        output = _generated(self.generator, found.point[rows], self.batch_size)
        evals = found.num_evals.view(-1, self.restarts).sum(1)
        return Inversion(found.point[rows], output, found.loss[rows], evals)

    def _search(self, target: Tensor, owner: Tensor, starts: Tensor, deadline: float) -> Minimum:
        """From starts (n, latent_dim), all at once, each for the clip whose row ``owner`` says."""
        first = int(owner[0])
        wanted = _Wanted(self.objective, target[first : int(owner[-1]) + 1])

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


class EvolutionInverter:
    """CMA-ES (Hansen and Ostermeier 2001), for generators that only run forward.

    Each clip has its own search; the generator runs for many at once.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective | None = None,
        *,
        generations: int = 300,
        deviation: float = 0.3,
        batch_size: int = _BATCH,
        seed: int = 0,
    ) -> None:
        """Set it up.

        Args:
            generator: Any.
            objective: What is minimised; by default the paper's.
            generations: Rounds of some twenty evaluations, more of them the larger the latent.
            deviation: Of the first round's latents about the start, in those of the prior.
            batch_size: Clips whose searches go on together, and latents that the generator is
                given at once.
            seed: Of the search.

        Raises:
            InputError: A value is out of range.

        """
        check_range("generations", generations, 0, 10**6)
        check_range("deviation", deviation, 1e-6, 1e3)
        check_range("batch_size", batch_size, 1, 10**6)
        self.generator = generator
        self.objective = objective or plain_objective()
        self.generations, self.batch_size, self.seed = generations, batch_size, seed
        self.bounds = latent_bounds(generator)
        probes = generator.sample_latent(_PROBES, generator=torch.Generator().manual_seed(seed))
        self.deviation = deviation * probes.std().item()

    @torch.no_grad()
    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert, from ``init`` or from the middle of the prior."""
        check_target(self.generator, target, init)
        if init is None:
            middle = torch.zeros(self.generator.latent_dim, device=target.device)
            if self.bounds is not None:
                middle = (self.bounds[0] + self.bounds[1]) / 2
            init = middle.expand(len(target), -1)
        if self.bounds is not None:
            init = init.clamp(*self.bounds)
        parts = torch.split(target, self.batch_size), torch.split(init, self.batch_size)
        return _joined([self._invert(*part) for part in zip(*parts, strict=True)])

    def _invert(self, target: Tensor, init: Tensor) -> Inversion:
        wanted = _Wanted(self.objective, target)
        begun = _inversion(self.generator, self.objective, target, init)
        best, least = begun.latent.clone(), begun.loss.clone()
        searches = [
            CMA(
                mean=start.double().cpu().numpy(),
                sigma=self.deviation,
                bounds=self._box(),
                seed=self.seed,
            )
            for start in init
        ]
        for _ in range(self.generations):
            asked = [[search.ask() for _ in range(search.population_size)] for search in searches]
            points = torch.from_numpy(np.array(asked)).to(init)  # (clips, population, latent_dim)
            losses = self._losses(points, wanted)
            lowest = losses.argmin(1)
            rows = torch.arange(len(target), device=target.device)
            better = losses[rows, lowest] < least
            best[better] = points[rows, lowest][better]
            least = torch.minimum(least, losses[rows, lowest])
            for search, own, found in zip(searches, asked, losses.tolist(), strict=True):
                search.tell(list(zip(own, found, strict=True)))
        evals = self.generations * searches[0].population_size
        output = _generated(self.generator, best, self.batch_size)
        return Inversion(best, output, least, begun.num_evals + evals)

    def _losses(self, points: Tensor, wanted: _Wanted) -> Tensor:
        """Of points (clips, population, latent_dim), (clips, population)."""
        owner = torch.arange(len(points), device=points.device).repeat_interleave(points.shape[1])
        found = [
            wanted.losses(generate(self.generator, z), own)
            for z, own in zip(
                torch.split(points.flatten(0, 1), self.batch_size),
                torch.split(owner, self.batch_size),
                strict=True,
            )
        ]
        return torch.cat(found).view(points.shape[:2])

    def _box(self) -> np.ndarray | None:
        if self.bounds is None:
            return None
        return torch.stack(self.bounds, 1).double().cpu().numpy()


class _Wanted:
    """What an objective compares of some clips, computed once."""

    @torch.no_grad()
    def __init__(self, objective: Objective, target: Tensor) -> None:
        self._objective, self._features = objective, objective.features(target)

    def losses(self, output: Tensor, rows: Tensor) -> Tensor:
        """Of waveforms, each against the clip in its row, (len(rows),)."""
        wanted = {name: [each[rows] for each in found] for name, found in self._features.items()}
        return self._objective.compare(self._objective.features(output), wanted)


def _inversion(
    generator: Generator, objective: Objective, target: Tensor, latent: Tensor
) -> Inversion:
    """Latents as they are, looked at once."""
    output = generate(generator, latent)
    evals = torch.ones(len(latent), dtype=torch.int64, device=latent.device)
    return Inversion(latent, output, objective(output, target), evals)


def _generated(generator: Generator, latent: Tensor, batch_size: int) -> Tensor:
    return torch.cat([generate(generator, part) for part in torch.split(latent, batch_size)])


def _joined(parts: list[Inversion]) -> Inversion:
    return Inversion(
        torch.cat([part.latent for part in parts]),
        torch.cat([part.output for part in parts]),
        torch.cat([part.loss for part in parts]),
        torch.cat([part.num_evals for part in parts]),
    )
