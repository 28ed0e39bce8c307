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

Objective = Callable[[Tensor, Tensor], Tensor]
"""Losses (n,) of points (n, dim), given the numbers (n,) of the problems they belong to. The loss
of a problem must not depend on others."""

_ARMIJO = 1e-4
_CURVATURE = 0.9
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
    limit: float = 1.0,
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
        limit: Of the box: all numbers from -limit to limit.
        seed: Of stochastic clipping, the same for each problem.
        deadline: When `time.monotonic` shows this, or would before another evaluation has ended,
            all end; the first evaluation is always done.

    Raises:
        InputError: Values out of range, or a loss at the start that is not finite.

    """
    check_range("max_iterations", max_iterations, 0, 10**9)
    check_range("tolerance", tolerance, 0, 1)
    state = _State(start if box == "none" else start.clamp(-limit, limit))
    noise = torch.rand(
        _NOISE, start.shape[1], generator=torch.Generator().manual_seed(seed), dtype=start.dtype
    ).to(start.device)
    best = Minimum(
        state.point.clone(),
        torch.full_like(state.loss, torch.inf),
        torch.zeros_like(state.evals),
        torch.zeros_like(state.evals, dtype=torch.bool),
    )
    state.loss, state.slope = _evaluate(objective, state, state.point)
    if not state.loss.isfinite().all():
        raise InputError("the loss at the start is not finite; check the target and the generator")
    reach = torch.inf if box == "none" else limit
    _remember(best, state, state.point, state.loss, reach)
    ended = state.slope.abs().amax(1) <= tolerance
    best.converged[state.number[ended]] = True
    state.keep((~ended & (state.iterations < max_iterations)).nonzero().squeeze(1))
    _set_out(state, torch.ones_like(state.trials, dtype=torch.bool), box, limit)
    began = time.monotonic()
    lasted = 0.0
    while len(state.number) and began + lasted < deadline:
        trial = state.point + state.step.unsqueeze(1) * state.direction
        if box == "projected":
            trial = trial.clamp(-limit, limit)
        loss, slope = _evaluate(objective, state, trial)
        _remember(best, state, trial, loss, reach)
        accepted, low_enough = _judge(state, trial, loss, slope)
        given_up = state.trials >= _TRIALS
        accepted |= given_up & low_enough
        drop = state.loss - loss
        small = drop.abs() <= tolerance * torch.maximum(state.loss.abs(), loss.abs())
        flat = slope.abs().amax(1) <= tolerance
        _accept(state, accepted, trial, loss, slope)
        if box == "clipped":
            _clip(objective, best, state, accepted, limit, noise)
        converged = accepted & (small | flat)
        best.converged[state.number[converged]] = True
        stopped = converged | (given_up & ~accepted) | (state.iterations >= max_iterations)
        going, renewed = ~stopped, accepted[~stopped]
        state.keep(going.nonzero().squeeze(1))
        _set_out(state, renewed, box, limit)
        now = time.monotonic()
        began, lasted = now, now - began
    return best


def _evaluate(objective: Objective, state: _State, points: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        points = points.detach().requires_grad_(True)
        losses = objective(points, state.number)
        (slopes,) = torch.autograd.grad(losses.sum(), points)
    state.evals += 1
    return losses.detach(), slopes


def _remember(best: Minimum, state: _State, points: Tensor, losses: Tensor, reach: float) -> None:
    """Keep the best point that was met within the box, and count."""
    rows = state.number
    better = (losses < best.loss[rows]) & (points.detach().abs() <= reach).all(1)
    best.point[rows[better]] = points[better].detach()
    best.loss[rows[better]] = losses[better]
    best.num_evals[rows] = state.evals


def _judge(state: _State, trial: Tensor, loss: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Which steps are to be taken; narrows the range of step sizes of the others."""
    move = trial - state.point  # along the direction, but for what the box holds back
    expected = (state.slope * move).sum(1)  # less than 0
    low_enough = loss <= state.loss + _ARMIJO * expected
    held = (move - state.step.unsqueeze(1) * state.direction).abs().amax(1) > 0
    flat_enough = ((slope * move).sum(1) >= _CURVATURE * expected) | held
    accepted = low_enough & flat_enough
    state.trials += 1
    state.high = torch.where(low_enough, state.high, state.step)
    state.low = torch.where(low_enough & ~flat_enough, state.step, state.low)
    halved, doubled = (state.low + state.high) / 2, 2 * state.step
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
    limit: float,
    noise: Tensor,
) -> None:
    """Replace what has left the box by random numbers; forget the curvature there."""
    outside = (state.point.abs() > limit) & accepted.unsqueeze(1)
    rows = outside.any(1)
    if not rows.any():
        return
    random = noise[state.clips % _NOISE]
    state.clips += rows.long()
    state.point = torch.where(outside, limit * (2 * random - 1), state.point)
    loss, slope = _evaluate(objective, state, state.point)
    state.evals -= (~rows).long()
    _remember(best, state, state.point, loss, limit)
    state.loss = torch.where(rows, loss, state.loss)
    state.slope = torch.where(rows.unsqueeze(1), slope, state.slope)
    state.weights[rows] = 0


def _set_out(state: _State, renewed: Tensor, box: Box, limit: float) -> None:
    """Choose the direction and the first step size of those that begin a line search."""
    if not renewed.any():
        return
    free = torch.ones_like(state.point, dtype=torch.bool)
    if box == "projected":
        # What lies at the edge and would leave stays there.
        free = (state.point.abs() < limit) | (state.point * state.slope > 0)
    steepest = -state.slope * free
    direction = _direction(state, steepest, free)
    uphill = (direction * state.slope).sum(1) >= 0
    direction = torch.where(uphill.unsqueeze(1), steepest, direction)
    state.weights[uphill & renewed] = 0
    fresh = (state.weights == 0).all(1)
    first = 1 / direction.norm(dim=1).clamp_min(1e-12)
    step = torch.where(fresh, first.clamp_max(1), torch.ones_like(first))
    state.direction = torch.where(renewed.unsqueeze(1), direction, state.direction)
    state.step = torch.where(renewed, step, state.step)
    state.low = state.low.masked_fill(renewed, 0)
    state.high = state.high.masked_fill(renewed, torch.inf)
    state.trials = state.trials.masked_fill(renewed, 0)


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
