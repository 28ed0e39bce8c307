"""The progress of a training: a bar with the time left, or plain lines in a log file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

_SECONDS_BETWEEN_LINES = 15.0
_SETTING_UP = 3  # steps that are slower than the others: memory and kernels are set up in them


class Pace:
    """The time that a step takes, and the time left.

    The first steps of a process are left out, since they take many times as long as the others.

    Args:
        total: Number of steps of the training.
        done: Number of steps that are done already.
        clock: Gives the time in seconds.

    """

    def __init__(self, total: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._done, self._clock = total, done, clock
        self._counted_from = done + _SETTING_UP
        self._begun = self._now = clock()

    def advance(self, done: int) -> None:
        """Say that ``done`` steps are done."""
        self._done, self._now = done, self._clock()
        if done <= self._counted_from:
            self._begun = self._now

    @property
    def seconds(self) -> float | None:
        """Seconds that a step takes; None as long as that is not known."""
        counted = self._done - self._counted_from
        return (self._now - self._begun) / counted if counted > 0 else None

    def __str__(self) -> str:
        """The time of a step and the time left, in a few words; empty as long as it is unknown."""
        if self.seconds is None:
            return ""
        left = self.seconds * (self._total - self._done)
        return f"{self.seconds * 1e3:.0f} ms a step, {left / 60:.1f} min left"


class Progress:
    """A progress bar on a terminal; elsewhere a line every 15 seconds; nothing if ``quiet``."""

    def __init__(self, title: str, total: int, *, done: int = 0, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, soft_wrap=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[pace]}"),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bars.add_task(title, total=total, completed=done, note="", pace="")
        self._title, self._total = title, total
        self._pace = Pace(total, done)
        self._printed = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def advance(self, done: int) -> None:
        """Say that ``done`` steps are done."""
        self._pace.advance(done)
        self._bars.update(self._task, completed=done, pace=str(self._pace))

    def note(self, done: int, values: Mapping[str, float]) -> None:
        """Show the latest losses."""
        text = " ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._bars.update(self._task, note=text)
        now = time.monotonic()
        if not self._bars.disable or now - self._printed < _SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        pace = f" ({self._pace})" if str(self._pace) else ""
        self.console.print(f"{self._title} {done}/{self._total} {text}{pace}", highlight=False)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False)
