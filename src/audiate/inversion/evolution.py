"""Inversion by CMA-ES, an evolution strategy that needs no gradients."""

import numpy as np
import torch
from torch import Tensor

from audiate.errors import check_range
from audiate.inversion.inverter import (
    BATCH,
    PROBES,
    Inversion,
    Targets,
    check_target,
    joined,
    latent_bounds,
)
from audiate.inversion.objectives import Objective, plain_objective
from audiate.models.generator import Generator, generate


class EvolutionInverter:
    """Minimise the objective by CMA-ES (Hansen and Ostermeier 2001).

    It suits generators that only run forward. Each clip has its own search, and the generator runs
    for many searches at once.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective | None = None,
        *,
        generations: int = 300,
        deviation: float = 0.3,
        batch_size: int = BATCH,
        seed: int = 0,
    ) -> None:
        """Set up the inverter.

        Args:
            generator: Any generator.
            objective: What is minimised; by default `plain_objective`.
            generations: Number of rounds. A round has some twenty evaluations, more of them the
                larger the latent is.
            deviation: Standard deviation of the first round's latents about the start, as a share
                of the prior's.
            batch_size: Number of clips in a batch, and of latents that the generator is given at
                once.
            seed: Seed of the search.

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
        probes = generator.sample_latent(PROBES, generator=torch.Generator().manual_seed(seed))
        self.deviation = deviation * probes.std().item()

    @torch.no_grad()
    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples).

        Args:
            target: The clips.
            init: Latents (batch, latent_dim) to begin with; by default the middle of the prior.

        """
        check_target(self.generator, target, init)
        if init is None:
            middle = torch.zeros(self.generator.latent_dim, device=target.device)
            if self.bounds is not None:
                middle = (self.bounds[0] + self.bounds[1]) / 2
            init = middle.expand(len(target), -1)
        if self.bounds is not None:
            init = init.clamp(*self.bounds)
        parts = torch.split(target, self.batch_size), torch.split(init, self.batch_size)
        return joined([self._invert(*part) for part in zip(*parts, strict=True)])

    def _invert(self, target: Tensor, init: Tensor) -> Inversion:
        """Invert the clips of one batch together."""
        from cmaes import CMA  # it imports SciPy's statistics, which takes more than a second

        targets = Targets(self.objective, target)
        best, least = init.clone(), self.objective(generate(self.generator, init), target)
        box = None if self.bounds is None else torch.stack(self.bounds, 1).double().cpu().numpy()
        searches = [
            CMA(mean=start, sigma=self.deviation, bounds=box, seed=self.seed)
            for start in init.double().cpu().numpy()
        ]
        rows = torch.arange(len(target), device=target.device)
        for _ in range(self.generations):
            asked = [[search.ask() for _ in range(search.population_size)] for search in searches]
            points = torch.from_numpy(np.array(asked)).to(init)  # (clips, population, latent_dim)
            losses = self._losses(points, targets)
            lowest = losses.argmin(1)
            better = losses[rows, lowest] < least
            best[better] = points[rows, lowest][better]
            least = torch.minimum(least, losses[rows, lowest])
            for search, own, found in zip(searches, asked, losses.tolist(), strict=True):
                search.tell(list(zip(own, found, strict=True)))
        evals = 1 + self.generations * searches[0].population_size
        output = generate(self.generator, best)
        return Inversion(best, output, least, torch.full_like(rows, evals))

    def _losses(self, points: Tensor, targets: Targets) -> Tensor:
        """Losses (clips, population) of points (clips, population, latent_dim)."""
        owner = torch.arange(len(points), device=points.device).repeat_interleave(points.shape[1])
        pieces = torch.split(points.flatten(0, 1), self.batch_size)
        rows = torch.split(owner, self.batch_size)
        pairs = zip(pieces, rows, strict=True)
        found = [targets.losses(generate(self.generator, z), own) for z, own in pairs]
        return torch.cat(found).view(points.shape[:2])
