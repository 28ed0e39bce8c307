"""A conditional flow: its velocity network, and the solvers that follow it."""

from collections.abc import Callable, Sequence
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.models.configs import Solver

_FREQUENCIES = 32  # of the sines and cosines that stand for a time
_HIDDEN = 384  # width of the velocity network
_BLOCKS = 4


def follow(
    velocity: Callable[[Tensor, Tensor, Tensor], Tensor],
    noise: Tensor,
    condition: Tensor,
    null_condition: Tensor,
    *,
    guidance: float | Tensor,
    steps: int,
    solver: Solver = "euler",
) -> Tensor:
    """Follow a flow from noise, from time 0 to time 1.

    Args:
        velocity: Gives velocities (batch, latent_dim) of latents, times and conditions.
        noise: (batch, latent_dim), standard normal.
        condition: (batch, condition_dim).
        null_condition: (condition_dim,), the condition of an unconditional sample.
        guidance: How far samples are taken away from those without a condition: 1 is not at all
            (classifier-free guidance, Ho and Salimans 2022, who call it 1 + w). A tensor is a
            single number.
        steps: Number of steps of the solver.
        solver: ``euler`` evaluates the velocity once a step, at its begin; ``midpoint`` and
            ``heun`` twice: at its begin, and in its middle or at its end.

    Returns:
        (batch, latent_dim).

    """
    latents = noise
    guided = isinstance(guidance, Tensor) or guidance != 1
    if guided:  # velocities with and without the condition are computed together
        condition = torch.cat([condition, null_condition.expand_as(condition)])

    def guided_velocity(latents: Tensor, time: float) -> Tensor:
        both = torch.cat([latents, latents]) if guided else latents
        times = torch.full((both.shape[0],), time, device=noise.device)
        change = velocity(both, times, condition)
        if guided:
            conditional, unconditional = change.view(2, -1, noise.shape[1])
            change = unconditional + guidance * (conditional - unconditional)
        return change

    for step in range(steps):
        change = guided_velocity(latents, step / steps)
        if solver == "midpoint":
            change = guided_velocity(latents + change / (2 * steps), (step + 0.5) / steps)
        elif solver == "heun":
            end = guided_velocity(latents + change / steps, (step + 1) / steps)
            change = (change + end) / 2
        latents = latents + change / steps
    return latents


class Velocity(nn.Module):
    """A residual network of fully connected layers; time and condition scale, shift and gate."""

    frequencies: Tensor

    def __init__(self, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0, log(1000), _FREQUENCIES, device="cpu"))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.of_time = nn.Linear(2 * _FREQUENCIES, _HIDDEN)
        self.of_condition = nn.Linear(condition_dim, _HIDDEN)
        self.modulation = nn.Linear(_HIDDEN, 3 * _HIDDEN)  # one for all blocks: Chen et al. 2024
        self.first = nn.Linear(latent_dim, _HIDDEN)
        self.blocks = nn.ModuleList(_Block() for _ in range(_BLOCKS))
        self.norm = nn.LayerNorm(_HIDDEN)
        self.last = nn.Linear(_HIDDEN, latent_dim)
        nn.init.zeros_(self.last.weight)  # begin with no motion
        nn.init.zeros_(self.last.bias)

    def forward(self, latents: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        """Velocities (batch, latent_dim) of latents at ``times`` (batch,), given a condition.

        Args:
            latents: (batch, latent_dim).
            times: (batch,), from 0 for noise to 1 for what is sampled.
            condition: (batch, condition_dim).

        """
        angles = times.unsqueeze(1) * self.frequencies
        of_time = self.of_time(torch.cat([angles.sin(), angles.cos()], 1))
        modulation = self.modulation(F.silu(of_time + self.of_condition(condition))).chunk(3, 1)
        hidden = self.first(latents)
        for block in self.blocks:
            hidden = block(hidden, modulation)
        velocity: Tensor = self.last(self.norm(hidden))
        return velocity


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.randn(3, _HIDDEN, device="cpu") * 0.02)
        self.norm = nn.LayerNorm(_HIDDEN, elementwise_affine=False)
        self.wide = nn.Linear(_HIDDEN, 2 * _HIDDEN)
        self.narrow = nn.Linear(2 * _HIDDEN, _HIDDEN)

    def forward(self, hidden: Tensor, modulation: Sequence[Tensor]) -> Tensor:
        scale, shift, gate = (m + o for m, o in zip(modulation, self.offset, strict=True))
        changed = self.norm(hidden) * (1 + scale) + shift
        update: Tensor = gate * self.narrow(F.silu(self.wide(changed)))
        return hidden + update
