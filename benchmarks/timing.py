"""How we time: side by side, in turns, medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


def in_turns(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each contestant, which take turns so that all meet the same noise."""
    for run in contestants.values():
        run()  # warm up
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
    return {name: median(values) for name, values in seconds.items()}
