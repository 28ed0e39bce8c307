"""Descents from several starts of each clip, of which fewer and fewer go on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from audiate.inversion.common import Inversion, check_target, generate_all
from audiate.inversion.gradient import GradientInverter

# The share of starts that take part in a round, and the iterations of each of them.
_ROUNDS = ((1.0, 15), (0.375, 40))


class HalvingInverter:
    """L-BFGS from several starts, of which those with the lowest losses go on.

    This is successive halving (Jamieson and Talwalkar 2016), in three rounds: of 8 starts, all have
    15 iterations, the best 3 have 40 more, and the best one has the rest. A loss has many minima,
    and after a few iterations the second nearest latent of a pool often is far ahead of the
    nearest.
    """

    def __init__(self, starts: Callable[[Tensor], Tensor], refine: GradientInverter) -> None:
        """Set up the inverter.

        Args:
            starts: Gives latents (batch, count, latent_dim) for waveforms.
            refine: Improves them. Each start has as many iterations as its limit allows at most.

        """
        self.starts, self.refine = starts, refine

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
        output = generate_all(self.refine.generator, latent, self.refine.batch_size)
        return Inversion(latent, output, loss[:, 0], evals)
