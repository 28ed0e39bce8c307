"""A conditional flow: its velocity network, and the solvers that follow it."""

from collections.abc import Callable, Mapping, Sequence
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.models.configs import Solver

_FREQUENCIES = 32  # of the sines and cosines that stand for a time
_HEAD = 64  # channels of an attention head


def follow(
    velocity: Callable[[Tensor, Tensor, Tensor], Tensor],
    noise: Tensor,
    condition: Tensor,
    null_condition: Tensor,
    *,
    guidance: float | Tensor,
    steps: int,
    solver: Solver = "euler",
    backwards: bool = False,
) -> Tensor:
    """Follow a flow from noise, from time 0 to time 1, or backwards to noise.

    Args:
        velocity: Gives velocities (batch, latent_dim) of latents, times and conditions.
        noise: (batch, latent_dim), standard normal; where ``backwards``, what the noise became.
        condition: (batch, condition_dim).
        null_condition: (condition_dim,), the condition of an unconditional sample.
        guidance: How far samples are taken away from those without a condition: 1 is not at all
            (classifier-free guidance, Ho and Salimans 2022, who call it 1 + w). A tensor is a
            single number.
        steps: Number of steps of the solver.
        solver: ``euler`` evaluates the velocity once a step, at its begin; ``midpoint`` and
            ``heun`` twice: at its begin, and in its middle or at its end. ``rk4`` evaluates it four
            times (Kutta 1901).
        backwards: From time 1 to time 0.

    Returns:
        (batch, latent_dim).

    """
    guided = isinstance(guidance, Tensor) or guidance != 1
    if guided:  # velocities with and without the condition are computed together
        condition = torch.cat([condition, null_condition.expand_as(condition)])

    def slope(latents: Tensor, time: Tensor) -> Tensor:
        both = torch.cat([latents, latents]) if guided else latents
        change = velocity(both, time.expand(both.shape[0]), condition)
        if guided:
            conditional, unconditional = change.view(2, -1, noise.shape[1])
            change = unconditional + guidance * (conditional - unconditional)
        return change

    whole = sum(weight for _, weight in _STAGES[solver])

    def stage(state: _State, row: Tensor) -> _State:
        latents, last, total = state
        time, ahead, weight, size, goes_on = row.unbind()
        last = slope(latents + ahead * last, time)
        total = total + weight * last
        return latents + size * (total / whole), last, goes_on * total

    kind = torch.promote_types(noise.dtype, torch.float32)
    rows = torch.tensor(_rows(solver, steps, backwards), dtype=kind, device=noise.device)
    state = noise, torch.zeros_like(noise), torch.zeros_like(noise)
    if torch.compiler.is_compiling():
        return _repeated(stage, state, rows)
    for row in rows:
        state = stage(state, row)
    return state[0]


_State = tuple[Tensor, Tensor, Tensor]
"""Latents at the begin of a step, the slope of the stage before, and the weighted sum of slopes."""

_STAGES: Mapping[Solver, Sequence[tuple[float, int]]] = {
    "euler": [(0, 1)],
    "midpoint": [(0, 0), (1 / 2, 1)],
    "heun": [(0, 1), (1, 1)],
    "rk4": [(0, 1), (1 / 2, 2), (1 / 2, 2), (1, 1)],
}
"""Stages of a step of each solver, in which the velocity is evaluated once.

The first number is the part of the step for which the slope of the stage before is followed, from
the step's begin; the second one is the weight of the slope that is found there.
"""


def _rows(solver: Solver, steps: int, backwards: bool) -> list[list[float]]:
    """For each stage: its time, how far the last slope is followed, and the weight of its own.

    Then the size of the step, and 0; or, where a stage of the same step is still to come, 0 and 1.
    """
    size, rows = (-1 if backwards else 1) / steps, []
    for step in range(steps):
        for at, (part, weight) in enumerate(_STAGES[solver], 1):
            ends = at == len(_STAGES[solver])
            time = step * size + backwards + size * part
            rows.append([time, size * part, weight, size * ends, not ends])
    return rows


def _repeated(stage: Callable[[_State, Tensor], _State], state: _State, rows: Tensor) -> Tensor:
    """Do a stage for each of ``rows``, such that an exported graph holds a single stage."""
    from torch._higher_order_ops.scan import scan  # with torch.compile, which else is not needed

    def body(state: _State, row: Tensor) -> tuple[_State, Tensor]:
        return stage(state, row), row.clone()

    # They lie in memory as the stage returns them.
    begin = tuple(each.clone(memory_format=torch.contiguous_format) for each in state)
    found: Tensor = scan(body, begin, rows)[0][0]
    return found


class Velocity(nn.Module):
    """A residual network whose layers are scaled, shifted and gated by time and condition.

    A latent is cut into tokens, which attend to one another (Peebles and Xie 2023); with a single
    token, it is a network of fully connected layers.

    Args:
        latent_dim: Number of entries of a latent, a multiple of ``tokens``.
        condition_dim: Number of entries of a condition.
        tokens: Number of tokens, one after the other in a latent.
        width: Number of hidden channels, a multiple of 64 where there are several tokens.
        blocks: Number of residual blocks.
        dropout: Share of each block's output that is left out in training.

    """

    frequencies: Tensor

    def __init__(
        self,
        latent_dim: int,
        condition_dim: int,
        *,
        tokens: int = 1,
        width: int = 384,
        blocks: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0, log(1000), _FREQUENCIES, device="cpu"))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.tokens = tokens
        self.of_time = nn.Linear(2 * _FREQUENCIES, width)
        self.of_condition = nn.Linear(condition_dim, width)
        parts = 3 if tokens == 1 else 6
        self.modulation = nn.Linear(width, parts * width)  # one for all blocks: Chen et al. 2024
        self.first = nn.Linear(latent_dim // tokens, width)
        if tokens > 1:
            self.positions = nn.Parameter(torch.randn(tokens, width, device="cpu") * 0.02)
        kind = _Block if tokens == 1 else _AttendingBlock
        self.blocks = nn.ModuleList(kind(width, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, latent_dim // tokens)
        nn.init.zeros_(self.last.weight)  # begin with no motion
        nn.init.zeros_(self.last.bias)

    def forward(self, latents: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        """Velocity (batch, latent_dim) of latents at ``times`` (batch,), given a condition.

        Args:
            latents: (batch, latent_dim).
            times: (batch,), from 0 for noise to 1 for what is sampled.
            condition: (batch, condition_dim).

        """
        angles = times.unsqueeze(1) * self.frequencies
        of_time = self.of_time(torch.cat([angles.sin(), angles.cos()], 1))
        modulation = self.modulation(F.silu(of_time + self.of_condition(condition)))
        if self.tokens == 1:
            hidden = self.first(latents)
        else:
            hidden = self.first(latents.view(latents.shape[0], self.tokens, -1)) + self.positions
            modulation = modulation.unsqueeze(1)
        for block in self.blocks:
            hidden = block(hidden, modulation)
        velocity: Tensor = self.last(self.norm(hidden))
        return velocity if self.tokens == 1 else velocity.flatten(1)


class _Block(nn.Module):
    """Two fully connected layers."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.randn(3, width, device="cpu") * 0.02)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.wide = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)
        self.dropout = dropout

    def forward(self, hidden: Tensor, modulation: Tensor) -> Tensor:
        """Map (..., width) to the same shape; ``modulation``: (..., 3 * width)."""
        scale, shift, gate = _modulators(modulation, self.offset)
        changed = self.norm(hidden) * (1 + scale) + shift
        update = self.narrow(F.silu(self.wide(changed)))
        return hidden + gate * F.dropout(update, self.dropout, self.training)


class _AttendingBlock(nn.Module):
    """Attention between tokens, then two fully connected layers."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.attention_offset = nn.Parameter(torch.randn(3, width, device="cpu") * 0.02)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attended = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.dropout = dropout
        self.layers = _Block(width, dropout)

    def forward(self, hidden: Tensor, modulation: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape; ``modulation``: (batch, 1, 6 * width)."""
        of_attention, of_layers = modulation.chunk(2, -1)
        scale, shift, gate = _modulators(of_attention, self.attention_offset)
        changed = self.attended(self.norm(hidden) * (1 + scale) + shift)
        heads = changed.view(*changed.shape[:2], 3, -1, _HEAD).permute(2, 0, 3, 1, 4)
        update = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        hidden = hidden + gate * F.dropout(self.joined(update), self.dropout, self.training)
        after: Tensor = self.layers(hidden, of_layers)
        return after


def _modulators(modulation: Tensor, offset: Tensor) -> list[Tensor]:
    """Scale, shift and gate, (..., width) each, of a block with an offset (3, width) of its own."""
    return [part + offset[at] for at, part in enumerate(modulation.chunk(3, -1))]
