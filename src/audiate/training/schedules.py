"""Learning rates and loss weights as functions of the step: no state, nothing to restore."""

from __future__ import annotations

from math import cos, pi


def one_cycle(step: int, steps: int, peak: float, *, warmup: float = 0.2) -> float:
    """Half-cosine rise from peak/25 over the first ``warmup`` share of steps, then fall to zero.

    Smith & Topin 2018, with cosine pieces.
    """
    rise = max(warmup * steps, 1.0)
    if step < rise:
        return peak * (1 / 25 + (1 - 1 / 25) * (1 - cos(pi * step / rise)) / 2)
    return peak * (1 + cos(pi * (step - rise) / max(steps - rise, 1.0))) / 2


def linear_warmup(step: float, warmup_steps: float, final: float) -> float:
    """Rise linearly from 0 to ``final`` in ``warmup_steps``; with none, ``final`` at once."""
    return final * min(1.0, step / warmup_steps) if warmup_steps > 0 else final
