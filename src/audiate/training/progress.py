"""What the user sees while it trains: a bar with the time left, or plain lines in a log file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

_SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """A progress bar on a terminal; elsewhere a line now and then. Silent where ``quiet``."""

    def __init__(self, title: str, total: int, *, done: int = 0, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, soft_wrap=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bars.add_task(title, total=total, completed=done, note="")
        self._title, self._total, self._first = title, total, done
        self._begun = self._printed = time.monotonic()
        self._warm = False

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
        if not self._warm:  # the first step sets up much, and would make the estimate too long
            self._warm, self._begun, self._first = True, time.monotonic(), done
        self._bars.update(self._task, completed=done)

    def note(self, done: int, values: Mapping[str, float]) -> None:
        """Show the latest values."""
        text = " ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._bars.update(self._task, note=text)
        now = time.monotonic()
        if not self._bars.disable or now - self._printed < _SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        pace = (now - self._begun) / max(done - self._first, 1)
        left = pace * (self._total - done)
        self.console.print(
            f"{self._title} {done}/{self._total} {text} ({pace * 1e3:.0f} ms a step, "
            f"{left / 60:.1f} min left)",
            highlight=False,
        )

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False)
