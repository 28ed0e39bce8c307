"""Learning rates and loss weights as functions of the step, which need no state to be restored."""

from __future__ import annotations

from math import cos, pi


def one_cycle(step: int, steps: int, peak: float, *, warmup: float = 0.2) -> float:
    """A rise from peak / 25 over the first ``warmup`` share of steps, then a fall to zero.

    This is the schedule of Smith & Topin 2018, with half-cosine pieces.
    """
    rise = max(warmup * steps, 1.0)
    if step < rise:
        return peak * (1 / 25 + (1 - 1 / 25) * (1 - cos(pi * step / rise)) / 2)
    return peak * (1 + cos(pi * (step - rise) / max(steps - rise, 1.0))) / 2


def linear_warmup(step: float, warmup_steps: float, final: float) -> float:
    """A linear rise from 0 to ``final`` in ``warmup_steps``; with 0 of these, always ``final``."""
    return final * min(1.0, step / warmup_steps) if warmup_steps > 0 else final
