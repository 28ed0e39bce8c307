"""Batched L-BFGS: many independent problems, each with its own line search and end."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from audiate.errors import InputError, check_range

Box = Literal["none", "projected", "clipped"]
"""Ways to keep points in the prior's box. ``none``: not at all. ``projected``: by projection.
``clipped``: by stochastic clipping, which replaces entries that leave the box by random numbers
within (Lipton and Tripathi 2017)."""

Bounds = tuple[Tensor, Tensor]
"""The lowest and the highest value of each entry, (dim,) each."""

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Maps points (n, dim), and the numbers (n,) of the problems they belong to, to losses (n,). The
loss of a problem must not depend on other problems."""

_ARMIJO = 1e-4
_CURVATURE = 0.9
_FAR = 1.0  # how far beyond the box a trial may go, in widths of the box
_HISTORY = 10
_NOISE = 997  # number of sets of random numbers for stochastic clipping, taken in turn
_CHECKS = 2  # steps by which a loss that no longer falls is checked not to be that of a saddle
_CHECK_TRIALS = 10  # number of step sizes that are tried in such a check
_TRIALS = 25  # number of step sizes that are tried before a line search gives up


@dataclass(frozen=True)
class Minimum:
    """The results of a batch of minimisations.

    Attributes:
        point: The best points (batch, dim) that were met.
        loss: Losses (batch,) at these points.
        num_evals: Number of evaluations of loss and gradient, (batch,), int64.
        converged: Whether the tolerance was met, rather than a limit, (batch,), bool. Where a step
            hardly lowers the loss, two more are tried, which follow directions of unknown curvature
            farther. If the loss still falls, the point may be a saddle, and this is False.

    """

    point: Tensor
    loss: Tensor
    num_evals: Tensor
    converged: Tensor


def minimise(
    objective: LossFunction,
    start: Tensor,
    *,
    max_iterations: int,
    tolerance: float = 1e-8,
    box: Box = "none",
    bounds: Bounds | None = None,
    seed: int = 0,
    deadline: float = float("inf"),
) -> Minimum:
    """Minimise a batch of independent functions by L-BFGS (Liu and Nocedal 1989).

    Each problem has its own history of ten steps and its own line search (weak Wolfe conditions by
    bisection, Lewis and Overton 2013, which also suits losses with kinks); a problem that has ended
    leaves the batch. So the result for one depends on the others by rounding alone, as far as the
    objective rounds differently for other batch sizes.

    Args:
        objective: Gives the losses, which have to be differentiable.
        start: Points (batch, dim) to begin at.
        max_iterations: Limit of accepted steps of each problem.
        tolerance: A problem ends when a step lowers its loss by less than this share of it, or
            when all entries of its gradient are smaller than this.
        box: How points are kept in the box.
        bounds: The box. Where it is not to be kept, trials still stay within its width of it, so
            that no function is evaluated at points that mean nothing.
        seed: Seed of stochastic clipping, the same for each problem.
        deadline: Value of `time.monotonic` at which all problems end, or before, where another
            evaluation would last longer. The first evaluation is always done.

    Raises:
        InputError: A value is out of range, a loss at the start is not finite, or there are no
            bounds for a box that is to be kept.

    """
    if bounds is None and box != "none":
        raise InputError(f"box {box}: give its bounds")
    check_range("max_iterations", max_iterations, 0, 10**9)
    check_range("tolerance", tolerance, 0, 1)
    began = time.monotonic()
    search = _Search(objective, start, max_iterations, tolerance, box, bounds, seed)
    state = search.state
    search.begin(*search.evaluate(state.point, state.number))
    lasted = time.monotonic() - began
    while len(state.number) and (now := time.monotonic()) + lasted < deadline:
        trial = search.trial()
        search.advance(trial, *search.evaluate(trial, state.number))
        lasted = time.monotonic() - now
    return search.best


class _State:
    """The state of the problems that have not ended, one row each."""

    def __init__(self, start: Tensor) -> None:
        batch, dim = start.shape
        self.number = torch.arange(batch, device=start.device)
        self.point = start.clone()
        self.loss = start.new_full((batch,), torch.inf)
        self.slope = torch.zeros_like(start)  # the gradient at `point`
        self.direction = torch.zeros_like(start)
        self.step = start.new_ones(batch)
        self.low = start.new_zeros(batch)  # bounds of the step sizes still possible
        self.high = start.new_full((batch,), torch.inf)
        self.most = start.new_full((batch,), torch.inf)  # the largest step size that is tried
        self.trials = torch.zeros(batch, dtype=torch.int64, device=start.device)
        self.iterations = torch.zeros_like(self.trials)
        self.evals = torch.zeros_like(self.trials)
        self.stalled = torch.zeros_like(self.trials)  # steps in a row that hardly lowered the loss
        self.clips = torch.zeros_like(self.trials)  # number of times that a point left the box
        self.moves = start.new_zeros(batch, _HISTORY, dim)  # newest last
        self.turns = start.new_zeros(batch, _HISTORY, dim)  # changes of the gradient
        self.known = torch.zeros(batch, _HISTORY, dtype=torch.bool, device=start.device)

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows."""
        for name, value in vars(self).items():
            setattr(self, name, value[rows])


class _Search:
    """The search for the minima of a batch of problems; arguments are those of `minimise`.

    Attributes:
        state: The problems that have not ended.
        best: The best points of all problems so far.

    """

    def __init__(
        self,
        objective: LossFunction,
        start: Tensor,
        max_iterations: int,
        tolerance: float,
        box: Box,
        bounds: Bounds | None,
        seed: int,
    ) -> None:
        self.objective, self.max_iterations, self.tolerance = objective, max_iterations, tolerance
        self.box, self.bounds = box, bounds
        self.inside = bounds if box != "none" else None  # the bounds that points have to keep
        random = torch.Generator().manual_seed(seed)
        noise = torch.rand(_NOISE, start.shape[1], generator=random, dtype=start.dtype)
        self.noise = noise.to(start.device)
        self.state = state = _State(start if self.inside is None else start.clamp(*self.inside))
        self.best = Minimum(
            state.point.clone(), state.loss.clone(), state.evals.clone(), state.evals > 0
        )

    def evaluate(self, points: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """Losses (n,) and gradients (n, dim) at points (n, dim) of some problems."""
        with torch.enable_grad():
            points = points.detach().requires_grad_(True)
            losses = self.objective(points, number)
            (slopes,) = torch.autograd.grad(losses.sum(), points)
        return losses.detach(), slopes

    def begin(self, loss: Tensor, slope: Tensor) -> None:
        """Set out from the start, with the losses and gradients there."""
        state = self.state
        state.loss, state.slope = loss, slope
        state.evals += 1
        if not state.loss.isfinite().all():
            raise InputError(
                "the loss at the start is not finite; check the target and the generator"
            )
        self._remember(state.point, state.loss)
        ended = state.slope.abs().amax(1) <= self.tolerance
        self.best.converged[state.number[ended]] = True
        state.keep((~ended & (state.iterations < self.max_iterations)).nonzero().squeeze(1))
        self._set_out(torch.ones_like(state.trials, dtype=torch.bool))

    def trial(self) -> Tensor:
        """The points (n, dim) that are tried next."""
        trial = self.state.point + self.state.step.unsqueeze(1) * self.state.direction
        if self.box == "projected" and self.inside is not None:
            trial = trial.clamp(*self.inside)
        return trial

    def advance(self, trial: Tensor, loss: Tensor, slope: Tensor) -> None:
        """Accept trials or not, and drop the problems that end with them."""
        state, tolerance = self.state, self.tolerance
        state.evals += 1
        drop = state.loss - loss
        small = drop.abs() <= tolerance * torch.maximum(state.loss.abs(), loss.abs())
        self._remember(trial, loss, state.stalled == 0)
        accepted, low_enough = _assess(state, trial, loss, slope)
        given_up = state.trials >= torch.where(state.stalled > 0, _CHECK_TRIALS, _TRIALS)
        accepted |= given_up & low_enough
        flat = slope.abs().amax(1) <= tolerance
        _accept(state, accepted, trial, loss, slope)
        ended = given_up & ~accepted
        checked = (accepted & small & (state.stalled >= _CHECKS)) | (ended & (state.stalled > 0))
        converged = (accepted & flat) | checked
        ended |= accepted & ~small & (state.stalled > 0)  # it still falls: this was a saddle
        state.stalled = torch.where(accepted, (state.stalled + 1) * small, state.stalled)
        if self.box == "clipped" and self.inside is not None:
            clipped = self._clip(accepted, self.inside)
            converged &= ~clipped
            state.stalled[clipped] = 0
        self.best.converged[state.number[converged]] = True
        stopped = converged | ended | (state.iterations >= self.max_iterations)
        going, renewed = ~stopped, accepted[~stopped]
        state.keep(going.nonzero().squeeze(1))
        self._set_out(renewed)

    def _remember(self, points: Tensor, losses: Tensor, counted: Tensor | None = None) -> None:
        """Keep the best points (n, dim) that were met within the box, and count the evaluations.

        Where ``counted`` (n,) is False, a point is not kept; by default all are.
        """
        rows, best = self.state.number, self.best
        better = losses < best.loss[rows]
        if counted is not None:
            better &= counted
        if self.inside is not None:
            better &= ~_outside(points, self.inside).any(1)
        best.point[rows[better]] = points[better].detach()
        best.loss[rows[better]] = losses[better]
        best.num_evals[rows] = self.state.evals

    def _clip(self, accepted: Tensor, bounds: Bounds) -> Tensor:
        """Replace entries that have left the box by random numbers; return where, (n,)."""
        state, (low, high) = self.state, bounds
        outside = _outside(state.point, bounds) & accepted.unsqueeze(1)
        clipped = outside.any(1)
        rows = clipped.nonzero().squeeze(1)
        if not len(rows):
            return clipped
        random = low + (high - low) * self.noise[state.clips[rows] % _NOISE]
        points = torch.where(outside[rows], random, state.point[rows])
        state.point[rows] = points
        state.loss[rows], state.slope[rows] = self.evaluate(points, state.number[rows])
        state.clips[rows] += 1
        state.evals[rows] += 1
        state.known[rows] = False  # the curvature was learnt elsewhere
        self._remember(state.point, state.loss)
        return clipped

    def _set_out(self, renewed: Tensor) -> None:
        """Choose the direction and the first step size of problems that begin a line search."""
        if not renewed.any():
            return
        state, bounds = self.state, self.bounds
        free = torch.ones_like(state.point, dtype=torch.bool)
        if self.box == "projected" and bounds is not None:
            # Entries at the edge that would leave the box stay there.
            held = (state.point <= bounds[0]) & (state.slope > 0)
            held |= (state.point >= bounds[1]) & (state.slope < 0)
            free = ~held
        steepest = -state.slope * free
        direction = _direction(state, steepest, free)
        uphill = (direction * state.slope).sum(1) >= 0
        direction = torch.where(uphill.unsqueeze(1), steepest, direction)
        state.known[uphill & renewed] = False
        first = 1 / direction.norm(dim=1).clamp_min(1e-12)
        step = torch.where(state.known.any(1), torch.ones_like(first), first.clamp_max(1))
        if self.box != "projected" and bounds is not None:
            most = _farthest(state.point, direction, bounds)
            state.most = torch.where(renewed, most, state.most)
            step = torch.minimum(step, most)
        state.direction = torch.where(renewed.unsqueeze(1), direction, state.direction)
        state.step = torch.where(renewed, step, state.step)
        state.low = state.low.masked_fill(renewed, 0)
        state.high = state.high.masked_fill(renewed, torch.inf)
        state.trials = state.trials.masked_fill(renewed, 0)


def _outside(points: Tensor, bounds: Bounds) -> Tensor:
    """Find the entries of points (n, dim) outside the box."""
    return (points < bounds[0]) | (points > bounds[1])


def _assess(state: _State, trial: Tensor, loss: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Decide which steps are accepted, and narrow the range of step sizes of the others.

    Returns which are accepted and which lower the loss enough, (n,) each.
    """
    move = trial - state.point  # along the direction, but for what the box holds back
    expected = (state.slope * move).sum(1)  # less than 0
    low_enough = loss <= state.loss + _ARMIJO * expected
    held = (move - state.step.unsqueeze(1) * state.direction).abs().amax(1) > 0
    farthest = state.step >= state.most
    flat_enough = ((slope * move).sum(1) >= _CURVATURE * expected) | held | farthest
    state.trials += 1
    state.high = torch.where(low_enough, state.high, state.step)
    state.low = torch.where(low_enough & ~flat_enough, state.step, state.low)
    halved = (state.low + state.high) / 2
    doubled = torch.minimum(2 * state.step, state.most)
    state.step = torch.where(state.high.isfinite(), halved, doubled)
    return low_enough & flat_enough, low_enough


def _accept(state: _State, accepted: Tensor, trial: Tensor, loss: Tensor, slope: Tensor) -> None:
    """Move to the accepted trials, and add the curvature along the step to the history."""
    move, turn = trial - state.point, slope - state.slope
    # Without curvature along the step there is nothing to add.
    curved = accepted & _is_curved((move * turn).sum(1), turn.square().sum(1))
    for history, newest in (
        (state.moves, move),
        (state.turns, turn),
        (state.known, torch.ones_like(curved)),
    ):
        history[curved] = torch.cat([history[curved][:, 1:], newest[curved].unsqueeze(1)], 1)
    state.point = torch.where(accepted.unsqueeze(1), trial, state.point)
    state.slope = torch.where(accepted.unsqueeze(1), slope, state.slope)
    state.loss = torch.where(accepted, loss, state.loss)
    state.iterations += accepted.long()


def _is_curved(product: Tensor, squares: Tensor) -> Tensor:
    """Test that the products move · turn are positive, beside rounding."""
    return product > 1e-10 * squares.clamp_min(1e-30)


def _farthest(point: Tensor, direction: Tensor, bounds: Bounds) -> Tensor:
    """Step sizes (n,) at which the first entry is `_FAR` widths of the box beyond it."""
    width = _FAR * (bounds[1] - bounds[0])
    room = torch.where(direction > 0, bounds[1] + width - point, point - bounds[0] + width)
    steps = room.clamp_min(0) / direction.abs().clamp_min(1e-30)
    return steps.amin(1).clamp_min(1e-12)


def _direction(state: _State, steepest: Tensor, free: Tensor) -> Tensor:
    """The two-loop recursion (Nocedal and Wright 2006, algorithm 7.4), a row for each problem.

    Only the part of the history that concerns ``free`` entries is used.
    """
    moves, turns = state.moves * free.unsqueeze(1), state.turns * free.unsqueeze(1)
    product = (moves * turns).sum(2)
    usable = state.known & _is_curved(product, turns.square().sum(2))
    weights = torch.where(usable, 1 / product, 0.0)
    direction = steepest
    shares = []
    for index in reversed(range(_HISTORY)):
        share = weights[:, index] * (moves[:, index] * direction).sum(1)
        direction = direction - share.unsqueeze(1) * turns[:, index]
        shares.append(share)
    newest, turn = weights[:, -1], turns[:, -1]
    scale = torch.where(newest > 0, 1 / (newest * turn.square().sum(1)).clamp_min(1e-30), 1.0)
    # At a saddle, the way down is flat and not in the history, whose scale makes it a tiny step.
    direction = direction * scale.masked_fill(state.stalled > 0, 1).unsqueeze(1)
    for index in range(_HISTORY):
        share = weights[:, index] * (turns[:, index] * direction).sum(1)
        direction = direction + (shares[-1 - index] - share).unsqueeze(1) * moves[:, index]
    return direction
