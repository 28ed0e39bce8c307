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
"""How the box of the prior is kept: not at all; by projection; or by stochastic clipping, which
replaces what leaves the box by random numbers within (Lipton and Tripathi 2017)."""

Bounds = tuple[Tensor, Tensor]
"""The lowest and the highest of each number, (dim,) each."""

Objective = Callable[[Tensor, Tensor], Tensor]
"""Losses (n,) of points (n, dim), given the numbers (n,) of the problems they belong to. The loss
of a problem must not depend on others."""

_ARMIJO = 1e-4
_CURVATURE = 0.9
_FAR = 1.0  # how far beyond the box a trial may go, in widths of the box
_HISTORY = 10
_NOISE = 997  # sets of random numbers for stochastic clipping, taken in turn
_TRIALS = 25  # of step sizes, before a line search gives up


@dataclass(frozen=True)
class Minimum:
    """What a batch of minimisations came to.

    Attributes:
        point: (batch, dim), the best that was met.
        loss: (batch,), there.
        num_evals: (batch,), int64: evaluations of loss and gradient.
        converged: (batch,), whether the tolerance was met, rather than a limit.

    """

    point: Tensor
    loss: Tensor
    num_evals: Tensor
    converged: Tensor


class _State:
    """All that belongs to the problems still at work, one row each."""

    def __init__(self, start: Tensor) -> None:
        batch, dim = start.shape
        self.number = torch.arange(batch, device=start.device)
        self.point = start.clone()
        self.loss = start.new_full((batch,), torch.inf)
        self.slope = torch.zeros_like(start)  # the gradient at `point`
        self.direction = torch.zeros_like(start)
        self.step = start.new_ones(batch)
        self.low = start.new_zeros(batch)  # of the step sizes still possible
        self.high = start.new_full((batch,), torch.inf)
        self.most = start.new_full((batch,), torch.inf)  # the largest step size that is tried
        self.trials = torch.zeros(batch, dtype=torch.int64, device=start.device)
        self.iterations = torch.zeros_like(self.trials)
        self.evals = torch.zeros_like(self.trials)
        self.clips = torch.zeros_like(self.trials)  # how often something had left the box
        self.moves = start.new_zeros(batch, _HISTORY, dim)  # newest last
        self.turns = start.new_zeros(batch, _HISTORY, dim)  # of the gradient
        self.weights = start.new_zeros(batch, _HISTORY)  # 1 / (move · turn), 0 where there is none

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows."""
        for name, value in vars(self).items():
            setattr(self, name, value[rows])


def minimise(
    objective: Objective,
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

    Each has its own history of ten steps and its own line search (weak Wolfe conditions by
    bisection, Lewis and Overton 2013, which also suits losses with kinks); what has ended leaves
    the batch. So the result for one does not depend on the others, but for rounding.

    Args:
        objective: Losses, differentiable.
        start: (batch, dim).
        max_iterations: Accepted steps of each problem at most.
        tolerance: A problem ends when a step lowers its loss by less than this share of it, or its
            gradient is smaller than this everywhere.
        box: How the box is kept.
        bounds: The box. Without one to keep, trials still stay within its width of it, so that
            no function is asked for points that mean nothing.
        seed: Of stochastic clipping, the same for each problem.
        deadline: When `time.monotonic` shows this, or would before another evaluation has ended,
            all end; the first evaluation is always done.

    Raises:
        InputError: Values out of range, a loss at the start that is not finite, or a box to keep
            without bounds.

    """
    if bounds is None and box != "none":
        raise InputError(f"box {box}: give its bounds")
    check_range("max_iterations", max_iterations, 0, 10**9)
    check_range("tolerance", tolerance, 0, 1)
    inside = bounds if box != "none" else None
    state = _State(start if inside is None else start.clamp(*inside))
    noise = torch.rand(
        _NOISE, start.shape[1], generator=torch.Generator().manual_seed(seed), dtype=start.dtype
    ).to(start.device)
    best = Minimum(
        state.point.clone(),
        torch.full_like(state.loss, torch.inf),
        torch.zeros_like(state.evals),
        torch.zeros_like(state.evals, dtype=torch.bool),
    )
    now = time.monotonic()
    state.loss, state.slope = _evaluate(objective, state.point, state.number)
    state.evals += 1
    began, lasted = time.monotonic(), time.monotonic() - now
    if not state.loss.isfinite().all():
        raise InputError("the loss at the start is not finite; check the target and the generator")
    _remember(best, state, state.point, state.loss, inside)
    ended = state.slope.abs().amax(1) <= tolerance
    best.converged[state.number[ended]] = True
    state.keep((~ended & (state.iterations < max_iterations)).nonzero().squeeze(1))
    _set_out(state, torch.ones_like(state.trials, dtype=torch.bool), box, bounds)
    while len(state.number) and began + lasted < deadline:
        trial = state.point + state.step.unsqueeze(1) * state.direction
        if box == "projected" and inside is not None:
            trial = trial.clamp(*inside)
        loss, slope = _evaluate(objective, trial, state.number)
        state.evals += 1
        _remember(best, state, trial, loss, inside)
        accepted, low_enough = _judge(state, trial, loss, slope)
        given_up = state.trials >= _TRIALS
        accepted |= given_up & low_enough
        drop = state.loss - loss
        small = drop.abs() <= tolerance * torch.maximum(state.loss.abs(), loss.abs())
        flat = slope.abs().amax(1) <= tolerance
        _accept(state, accepted, trial, loss, slope)
        converged = accepted & (small | flat)
        if box == "clipped" and inside is not None:
            converged &= ~_clip(objective, best, state, accepted, inside, noise)
        best.converged[state.number[converged]] = True
        stopped = converged | (given_up & ~accepted) | (state.iterations >= max_iterations)
        going, renewed = ~stopped, accepted[~stopped]
        state.keep(going.nonzero().squeeze(1))
        _set_out(state, renewed, box, bounds)
        now = time.monotonic()
        began, lasted = now, now - began
    return best


def _evaluate(objective: Objective, points: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        points = points.detach().requires_grad_(True)
        losses = objective(points, number)
        (slopes,) = torch.autograd.grad(losses.sum(), points)
    return losses.detach(), slopes


def _remember(
    best: Minimum, state: _State, points: Tensor, losses: Tensor, inside: Bounds | None
) -> None:
    """Keep the best point that was met within the box, and count."""
    rows = state.number
    better = losses < best.loss[rows]
    if inside is not None:
        better &= ~_outside(points, inside).any(1)
    best.point[rows[better]] = points[better].detach()
    best.loss[rows[better]] = losses[better]
    best.num_evals[rows] = state.evals


def _outside(points: Tensor, bounds: Bounds) -> Tensor:
    return (points < bounds[0]) | (points > bounds[1])


def _judge(state: _State, trial: Tensor, loss: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Which steps are to be taken; narrows the range of step sizes of the others."""
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
    """Go there, and note what was learnt of the curvature."""
    move, turn = trial - state.point, slope - state.slope
    product = (move * turn).sum(1)
    # Without curvature along the step there is nothing to note.
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


def _clip(
    objective: Objective,
    best: Minimum,
    state: _State,
    accepted: Tensor,
    inside: Bounds,
    noise: Tensor,
) -> Tensor:
    """Replace what has left the box by random numbers; which problems this befell, (batch,)."""
    outside = _outside(state.point, inside) & accepted.unsqueeze(1)
    befallen = outside.any(1)
    rows = befallen.nonzero().squeeze(1)
    if not len(rows):
        return befallen
    low, high = inside
    random = low + (high - low) * noise[state.clips[rows] % _NOISE]
    points = torch.where(outside[rows], random, state.point[rows])
    state.point[rows] = points
    state.loss[rows], state.slope[rows] = _evaluate(objective, points, state.number[rows])
    state.clips[rows] += 1
    state.evals[rows] += 1
    state.weights[rows] = 0  # what was learnt of the curvature was learnt elsewhere
    _remember(best, state, state.point, state.loss, inside)
    return befallen


def _set_out(state: _State, renewed: Tensor, box: Box, bounds: Bounds | None) -> None:
    """Choose the direction and the first step size of those that begin a line search."""
    if not renewed.any():
        return
    free = torch.ones_like(state.point, dtype=torch.bool)
    if box == "projected" and bounds is not None:
        # What lies at the edge and would leave stays there.
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
    """The step size at which the first number is `_FAR` widths of the box beyond it."""
    width = _FAR * (bounds[1] - bounds[0])
    room = torch.where(direction > 0, bounds[1] + width - point, point - bounds[0] + width)
    steps = room.clamp_min(0) / direction.abs().clamp_min(1e-30)
    return steps.amin(1).clamp_min(1e-12)


def _direction(state: _State, steepest: Tensor, free: Tensor) -> Tensor:
    """The two-loop recursion (Nocedal and Wright 2006, algorithm 7.4), a row for each problem.

    Among the ``free`` numbers alone: of what was learnt, the part that concerns them.
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
