"""Progress on standard error: a bar on a terminal or in a notebook, elsewhere a line now and then.

A notebook shows bars where ipywidgets is installed, as on Colab, and elsewhere a line that changes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self, TypeVar

from audiate.errors import with_flags

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, TaskID

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 15.0
_SETTING_UP = 3  # steps that are slower than the others: memory and kernels are set up in them


def note(text: str) -> None:
    """Print a line on standard error that is no error, with flags for arguments in backticks."""
    print(f"audiate: {with_flags(text)}", file=sys.stderr)


def counted(count: int, noun: str) -> str:
    """A number of things, as in "1 clip" and "1,000 clips"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def tracked(
    items: Sequence[T], what: str, *, weights: Sequence[int] | None = None, done: int = 0
) -> Iterator[T]:
    """Yield the items one after the other, and show how many of them are done.

    The bar shows the time that has passed and the time that is left, and vanishes at the end.
    Where there is no bar, work that takes less than 15 seconds prints nothing, and the time that is
    left does not count the first item, which may have to wait for models or processes to start.

    Args:
        items: The items that the caller works on.
        what: The work in a few words that begin with a verb, as in "generating clips".
        weights: The share of each item in the work, such as the number of clips in a batch. By
            default, all items weigh the same.
        done: Share of the work that was done before these items.

    """
    weights = weights or [1] * len(items)
    total, first = done + sum(weights), done + weights[0] if weights else done
    begun = time.monotonic()
    columns: Sequence[ProgressColumn] = ()
    if _may_show_bars():
        from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), *Progress.get_default_columns(), TimeElapsedColumn())
    with _Display(*columns, transient=True) as display:
        bar = display.bars.add_task(what, total=total, completed=done) if columns else None
        for item, weight in zip(items, weights, strict=True):
            yield item
            done += weight
            if bar is not None:
                display.bars.update(bar, completed=done)
            now, left = time.monotonic(), ""
            if done == first:
                begun = now
            else:
                left = f", {(now - begun) / (done - first) * (total - done) / 60:.1f} min left"
            if done < total:
                display.line(f"{what}: {done:,} of {total:,}{left}")


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that work is being done, and for how long, while its share cannot be known.

    Where there is no bar, nothing is printed.
    """
    yield from tracked([None], what)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None, float | None], None]]:
    """Show how many clips are done, how many a second, and how long the others will take.

    Args:
        what: The work, as for `tracked`.

    Yields:
        A function of the number of clips that are done, of the number of all, and of how many are
        done a second; None where a number is not known yet.

    """
    from rich.progress import SpinnerColumn, TextColumn

    def update(done: int, total: int | None, rate: float | None) -> None:
        text = f"{what}: {done:,}{'' if total is None else f' of {total:,}'} clips"
        if rate:
            text += f", {rate:,.1f} a second"
            if total is not None:
                text += f", {(total - done) / rate / 60:.1f} min left"
        display.bars.update(bar, description=text)
        display.line(text)

    with _Display(SpinnerColumn(), TextColumn("{task.description}"), transient=True) as display:
        bar = display.bars.add_task(what, total=None)
        yield update


@contextmanager
def downloading() -> Iterator[Callable[[str, int, int], None]]:
    """Show downloads: a bar for each file, or a line for each quarter of a file.

    Yields:
        A function of a file's name, of the bytes of it that are there, and of all its bytes.

    """
    from rich.filesize import decimal
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    tasks: dict[str, TaskID] = {}
    quarters: dict[str, int] = {}

    def update(filename: str, done: int, total: int) -> None:
        if filename not in tasks:
            # Bytes of an earlier run do not count for the speed, so the bar starts behind them.
            tasks[filename] = display.bars.add_task(filename, completed=done)
        display.bars.update(tasks[filename], completed=done, total=total)
        quarter = 4 * done // max(total, 1)
        if not display.live and quarters.get(filename) != quarter:
            quarters[filename] = quarter
            print(f"{filename}: {decimal(done)} of {decimal(total)}", file=sys.stderr, flush=True)

    name = TextColumn("{task.description}", markup=False)
    speed = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with _Display(name, BarColumn(), *speed) as display:
        yield update


def _may_show_bars() -> bool:
    """Whether there may be a terminal or a notebook, for which rich is worth its import."""
    forced = "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ
    return forced or "IPython" in sys.modules or sys.stderr.isatty()


class _Display:
    """Bars of rich on a terminal or in a notebook; elsewhere, at most a line every 15 seconds.

    Args:
        columns: The columns of a bar; none where there can be no bar.
        quiet: Show nothing at all.
        transient: Let the bars vanish at the end.

    """

    def __init__(
        self, *columns: ProgressColumn, quiet: bool = False, transient: bool = False
    ) -> None:
        self.live, self._quiet, self._printed = False, quiet, time.monotonic()
        self._in_notebook = False
        if not columns:
            return
        from rich.console import Console
        from rich.progress import Progress

        self.console = Console(stderr=True, quiet=quiet, soft_wrap=True)
        self._in_notebook = self.console.is_jupyter
        bars = self._in_notebook and find_spec("ipywidgets") is not None
        self.live = not quiet and (self.console.is_terminal or bars)
        self.bars = Progress(
            *columns, console=self.console, transient=transient, disable=not self.live
        )

    def __enter__(self) -> Self:
        if self.live:
            self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.bars.stop()

    def line(self, text: str) -> None:
        """Print a line where there is no bar and none was printed within 15 seconds.

        In a notebook, it takes the place of the last one, each second.
        """
        now, every = time.monotonic(), _SECONDS_BETWEEN_LINES / (15 if self._in_notebook else 1)
        if not (self.live or self._quiet) and now - self._printed > every:
            self._printed = now
            # Spaces hide the rest of a longer line before it.
            end = " " * max(100 - len(text), 1) + "\r" if self._in_notebook else "\n"
            print(text, end=end, file=sys.stderr)


class TrainingProgress(_Display):
    """The progress of a training: steps, the time of a step, the time left, and the losses.

    Args:
        title: The name of the training.
        total: Number of its steps.
        done: Number of steps that are done already.
        quiet: Show nothing at all.

    """

    def __init__(self, title: str, total: int, *, done: int = 0, quiet: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

        fields = (TextColumn("{task.fields[pace]}"), TextColumn("{task.fields[losses]}"))
        steps = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        super().__init__(TextColumn("{task.description}"), *steps, *fields, quiet=quiet)
        self._bar = self.bars.add_task(title, total=total, completed=done, losses="", pace="")
        self._title, self._total = title, total
        self._pace = Pace(total, done)

    def advance(self, done: int) -> None:
        """Show that ``done`` steps are done."""
        self._pace.advance(done)
        self.bars.update(self._bar, completed=done, pace=str(self._pace))

    def note(self, done: int, values: Mapping[str, float]) -> None:
        """Show the losses after ``done`` steps."""
        losses = " ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.bars.update(self._bar, losses=losses)
        pace = f" ({self._pace})" if str(self._pace) else ""
        self.line(f"{self._title} {done}/{self._total} {losses}{pace}")

    def say(self, line: str) -> None:
        """Print a line above the bar; rich's markup is understood."""
        self.console.print(line, highlight=False)


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
        """Count ``done`` steps as done."""
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
