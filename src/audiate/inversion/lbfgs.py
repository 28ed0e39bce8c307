"""L-BFGS for a batch of independent problems: each has its own history, line search and end."""

from __future__ import annotations

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
_TRIALS = 25  # number of step sizes that are tried before a line search gives up


@dataclass(frozen=True)
class Minimum:
    """The results of a batch of minimisations.

    Attributes:
        point: The best points (batch, dim) that were met.
        loss: Losses (batch,) at these points.
        num_evals: Number of evaluations of loss and gradient, (batch,), int64.
        converged: Whether the tolerance was met, rather than a limit, (batch,), bool.

    """

    point: Tensor
    loss: Tensor
    num_evals: Tensor
    converged: Tensor


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
        self.clips = torch.zeros_like(self.trials)  # number of times that a point left the box
        self.moves = start.new_zeros(batch, _HISTORY, dim)  # newest last
        self.turns = start.new_zeros(batch, _HISTORY, dim)  # changes of the gradient
        self.weights = start.new_zeros(batch, _HISTORY)  # 1 / (move · turn), 0 where there is none

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows."""
        for name, value in vars(self).items():
            setattr(self, name, value[rows])


@dataclass(frozen=True)
class _Settings:
    """The arguments of `minimise` that every step needs.

    Attributes:
        inside: The bounds that points have to keep; None without a box to keep.
        noise: Random numbers (`_NOISE`, dim) in [0, 1] for stochastic clipping.

    """

    objective: LossFunction
    max_iterations: int
    tolerance: float
    box: Box
    bounds: Bounds | None
    inside: Bounds | None
    noise: Tensor


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
    leaves the batch. So the result for one does not depend on the others, but for rounding.

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
    inside = bounds if box != "none" else None
    noise = torch.rand(
        _NOISE, start.shape[1], generator=torch.Generator().manual_seed(seed), dtype=start.dtype
    ).to(start.device)
    settings = _Settings(objective, max_iterations, tolerance, box, bounds, inside, noise)
    now = time.monotonic()
    state, best = _begin(settings, start)
    began, lasted = time.monotonic(), time.monotonic() - now
    while len(state.number) and began + lasted < deadline:
        _advance(settings, state, best)
        now = time.monotonic()
        began, lasted = now, now - began
    return best


def _begin(settings: _Settings, start: Tensor) -> tuple[_State, Minimum]:
    """Evaluate the starts; return the problems that have not ended there, and the best points."""
    inside = settings.inside
    state = _State(start if inside is None else start.clamp(*inside))
    best = Minimum(
        state.point.clone(),
        torch.full_like(state.loss, torch.inf),
        torch.zeros_like(state.evals),
        torch.zeros_like(state.evals, dtype=torch.bool),
    )
    state.loss, state.slope = _evaluate(settings.objective, state.point, state.number)
    state.evals += 1
    if not state.loss.isfinite().all():
        raise InputError("the loss at the start is not finite; check the target and the generator")
    _remember(best, state, state.point, state.loss, inside)
    ended = state.slope.abs().amax(1) <= settings.tolerance
    best.converged[state.number[ended]] = True
    state.keep((~ended & (state.iterations < settings.max_iterations)).nonzero().squeeze(1))
    _set_out(state, torch.ones_like(state.trials, dtype=torch.bool), settings.box, settings.bounds)
    return state, best


def _advance(settings: _Settings, state: _State, best: Minimum) -> None:
    """Try one step size of each problem, and drop the problems that end with it."""
    inside, tolerance = settings.inside, settings.tolerance
    trial = state.point + state.step.unsqueeze(1) * state.direction
    if settings.box == "projected" and inside is not None:
        trial = trial.clamp(*inside)
    loss, slope = _evaluate(settings.objective, trial, state.number)
    state.evals += 1
    _remember(best, state, trial, loss, inside)
    accepted, low_enough = _assess(state, trial, loss, slope)
    given_up = state.trials >= _TRIALS
    accepted |= given_up & low_enough
    drop = state.loss - loss
    small = drop.abs() <= tolerance * torch.maximum(state.loss.abs(), loss.abs())
    flat = slope.abs().amax(1) <= tolerance
    _accept(state, accepted, trial, loss, slope)
    converged = accepted & (small | flat)
    if settings.box == "clipped":
        converged &= ~_clip(settings, best, state, accepted)
    best.converged[state.number[converged]] = True
    stopped = converged | (given_up & ~accepted) | (state.iterations >= settings.max_iterations)
    going, renewed = ~stopped, accepted[~stopped]
    state.keep(going.nonzero().squeeze(1))
    _set_out(state, renewed, settings.box, settings.bounds)


def _evaluate(objective: LossFunction, points: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Losses (n,) and gradients (n, dim) at points (n, dim)."""
    with torch.enable_grad():
        points = points.detach().requires_grad_(True)
        losses = objective(points, number)
        (slopes,) = torch.autograd.grad(losses.sum(), points)
    return losses.detach(), slopes


def _remember(
    best: Minimum, state: _State, points: Tensor, losses: Tensor, inside: Bounds | None
) -> None:
    """Keep the best points that were met within the box, and count the evaluations."""
    rows = state.number
    better = losses < best.loss[rows]
    if inside is not None:
        better &= ~_outside(points, inside).any(1)
    best.point[rows[better]] = points[better].detach()
    best.loss[rows[better]] = losses[better]
    best.num_evals[rows] = state.evals


def _outside(points: Tensor, bounds: Bounds) -> Tensor:
    """Which entries of points (n, dim) lie outside the box."""
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
    accepted = low_enough & flat_enough
    state.trials += 1
    state.high = torch.where(low_enough, state.high, state.step)
    state.low = torch.where(low_enough & ~flat_enough, state.step, state.low)
    halved = (state.low + state.high) / 2
    doubled = torch.minimum(2 * state.step, state.most)
    state.step = torch.where(state.high.isfinite(), halved, doubled)
    return accepted, low_enough


def _accept(state: _State, accepted: Tensor, trial: Tensor, loss: Tensor, slope: Tensor) -> None:
    """Move to the accepted trials, and add the curvature along the step to the history."""
    move, turn = trial - state.point, slope - state.slope
    product = (move * turn).sum(1)
    # Without curvature along the step there is nothing to add.
    curved = accepted & (product > 1e-10 * turn.square().sum(1).clamp_min(1e-30))
    for history, newest in (
        (state.moves, move),
        (state.turns, turn),
        (state.weights, 1 / product),
    ):
        history[curved] = torch.cat([history[curved][:, 1:], newest[curved].unsqueeze(1)], 1)
    state.point = torch.where(accepted.unsqueeze(1), trial, state.point)
    state.slope = torch.where(accepted.unsqueeze(1), slope, state.slope)
    state.loss = torch.where(accepted, loss, state.loss)
    state.iterations += accepted.long()


def _clip(settings: _Settings, best: Minimum, state: _State, accepted: Tensor) -> Tensor:
    """Replace entries that have left the box by random numbers; return in which problems, (n,)."""
    assert settings.inside is not None
    low, high = settings.inside
    outside = _outside(state.point, settings.inside) & accepted.unsqueeze(1)
    clipped = outside.any(1)
    rows = clipped.nonzero().squeeze(1)
    if not len(rows):
        return clipped
    random = low + (high - low) * settings.noise[state.clips[rows] % _NOISE]
    points = torch.where(outside[rows], random, state.point[rows])
    state.point[rows] = points
    found = _evaluate(settings.objective, points, state.number[rows])
    state.loss[rows], state.slope[rows] = found
    state.clips[rows] += 1
    state.evals[rows] += 1
    state.weights[rows] = 0  # the curvature was learnt elsewhere
    _remember(best, state, state.point, state.loss, settings.inside)
    return clipped


def _set_out(state: _State, renewed: Tensor, box: Box, bounds: Bounds | None) -> None:
    """Choose the direction and the first step size of problems that begin a line search."""
    if not renewed.any():
        return
    free = torch.ones_like(state.point, dtype=torch.bool)
    if box == "projected" and bounds is not None:
        # Entries at the edge that would leave the box stay there.
        held = (state.point <= bounds[0]) & (state.slope > 0)
        held |= (state.point >= bounds[1]) & (state.slope < 0)
        free = ~held
    steepest = -state.slope * free
    direction = _direction(state, steepest, free)
    uphill = (direction * state.slope).sum(1) >= 0
    direction = torch.where(uphill.unsqueeze(1), steepest, direction)
    state.weights[uphill & renewed] = 0
    fresh = (state.weights == 0).all(1)
    first = 1 / direction.norm(dim=1).clamp_min(1e-12)
    step = torch.where(fresh, first.clamp_max(1), torch.ones_like(first))
    if box != "projected" and bounds is not None:
        most = _farthest(state.point, direction, bounds)
        state.most = torch.where(renewed, most, state.most)
        step = torch.minimum(step, most)
    state.direction = torch.where(renewed.unsqueeze(1), direction, state.direction)
    state.step = torch.where(renewed, step, state.step)
    state.low = state.low.masked_fill(renewed, 0)
    state.high = state.high.masked_fill(renewed, torch.inf)
    state.trials = state.trials.masked_fill(renewed, 0)


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
    usable = (state.weights > 0) & (product > 1e-10 * turns.square().sum(2).clamp_min(1e-30))
    weights = torch.where(usable, 1 / product, 0.0)
    direction = steepest
    shares = []
    for index in reversed(range(_HISTORY)):
        share = weights[:, index] * (moves[:, index] * direction).sum(1)
        direction = direction - share.unsqueeze(1) * turns[:, index]
        shares.append(share)
    newest, turn = weights[:, -1], turns[:, -1]
    scale = torch.where(newest > 0, 1 / (newest * turn.square().sum(1)).clamp_min(1e-30), 1.0)
    direction = direction * scale.unsqueeze(1)
    for index in range(_HISTORY):
        share = weights[:, index] * (turns[:, index] * direction).sum(1)
        direction = direction + (shares[-1 - index] - share).unsqueeze(1) * moves[:, index]
    return direction
