"""SciPy's L-BFGS-B, one problem at a time, as Keyes et al. 2020 use it."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds as BoxBounds
from scipy.optimize import OptimizeResult, minimize
from torch import Tensor

from audiate.inversion.lbfgs import Bounds, Box, LossFunction, Minimum

_CONVERGED, _STOPPED = 0, 99  # `OptimizeResult.status`: tolerance met; ended by the callback


def minimise_by_scipy(
    objective: LossFunction,
    start: Tensor,
    *,
    max_iterations: int,
    tolerance: float,
    box: Box,
    bounds: Bounds,
    seed: int = 0,
) -> Minimum:
    """Minimise a batch of independent functions one after the other.

    Arguments and result are those of `audiate.inversion.lbfgs.minimise`.
    """
    found = [_Search(objective, each, row, box, bounds) for row, each in enumerate(start)]
    converged = [each.run(max_iterations, tolerance, seed) for each in found]
    return Minimum(
        torch.stack([each.best for each in found]),
        torch.tensor([each.least for each in found], device=start.device),
        torch.tensor([each.evals for each in found], device=start.device),
        torch.tensor(converged, device=start.device),
    )


class _Search:
    """The search from one start.

    Attributes:
        best: The best point (dim,) within the box that was met.
        least: Its loss.
        evals: Number of evaluations.

    """

    def __init__(
        self, objective: LossFunction, start: Tensor, row: int, box: Box, bounds: Bounds
    ) -> None:
        self.objective, self.start, self.box = objective, start, box
        self.row = torch.tensor([row], device=start.device)
        self.low, self.high = (edge.double().cpu().numpy() for edge in bounds)
        self.best, self.least, self.evals = start, float("inf"), 0

    def evaluate(self, point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Loss and gradient (dim,) at a point (dim,)."""
        z = torch.from_numpy(point).to(self.start).unsqueeze(0).requires_grad_(True)
        loss = self.objective(z, self.row)
        (slope,) = torch.autograd.grad(loss.sum(), z)
        self.evals += 1
        within = self.box == "none" or not self.outside(point).any()
        if within and loss.item() < self.least:
            self.best, self.least = z.detach()[0], loss.item()
        return loss.item(), slope[0].double().cpu().numpy()

    def outside(self, point: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Find the entries of a point outside the box."""
        return (point < self.low) | (point > self.high)

    def stop_outside(self, intermediate_result: OptimizeResult) -> None:
        """End a run of SciPy's when an accepted point has left the box."""
        if self.outside(intermediate_result.x).any():
            raise StopIteration

    def run(self, max_iterations: int, tolerance: float, seed: int) -> bool:
        """Run SciPy's search, anew after each clipping; return whether it converged in the box."""
        random = np.random.default_rng(seed)
        point = self.start.double().cpu().numpy()
        left, ended, converged = max_iterations, False, False
        while left > 0 and not ended:
            limits = {"maxiter": left, "maxfun": 25 * left, "ftol": tolerance, "gtol": tolerance}
            result = minimize(
                self.evaluate,
                point,
                jac=True,
                method="L-BFGS-B",
                bounds=BoxBounds(self.low, self.high) if self.box == "projected" else None,
                callback=self.stop_outside if self.box == "clipped" else None,
                options=limits,
            )
            left -= max(result.nit, 1)
            outside = self.outside(result.x)
            clipped = self.box == "clipped" and bool(outside.any())
            ended = result.status != _STOPPED and not clipped
            converged = ended and result.status == _CONVERGED
            point = np.where(outside, random.uniform(self.low, self.high), result.x)
        if not self.evals:
            self.evaluate(point)
        return converged
