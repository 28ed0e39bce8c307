"""Progress of long work, on standard error: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from audiate.errors import with_flags

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 15.0


def note(text: str) -> None:
    """Print a line on standard error that is no error, with flags for arguments in backticks."""
    print(f"audiate: {with_flags(text)}", file=sys.stderr)


def tracked(
    items: Sequence[T], what: str, *, weights: Sequence[int] | None = None, done: int = 0
) -> Iterator[T]:
    """Yield the items one after the other, and show how many of them are done.

    On a terminal, this is a bar with the time that has passed and the time that is left; it
    vanishes at the end. Elsewhere, as in a log file, it is a line every 15 seconds until the
    work is done, so work that takes less time prints nothing.

    Args:
        items: The items that the caller works on.
        what: The work in a few words that begin with a verb, as in "generating clips".
        weights: The share of each item in the work, such as the number of clips in a batch. By
            default, all items weigh the same.
        done: Share of the work that was done before these items.

    """
    from rich.console import Console

    weights = weights or [1] * len(items)
    console = Console(stderr=True)
    total = done + sum(weights)
    show = _bar(console, what, done, total) if console.is_terminal else _lines(what, done, total)
    with show as update:
        for item, weight in zip(items, weights, strict=True):
            yield item
            done += weight
            update(done)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None, float | None], None]]:
    """Show how many clips are done, how many a second, and how long the others will take.

    On a terminal, this is a line that is written anew; elsewhere, a line every 15 seconds.

    Args:
        what: The work, as for `tracked`.

    Yields:
        A function of the number of clips that are done, of the number of all, and of how many are
        done a second; None where a number is not known yet.

    """
    from rich.console import Console

    console = Console(stderr=True)
    printed = time.monotonic()

    def update(done: int, total: int | None, rate: float | None) -> None:
        nonlocal printed
        now = time.monotonic()
        text = (
            f"{what}: {done:,} clips" if total is None else f"{what}: {done:,} of {total:,} clips"
        )
        if rate:
            text += f", {rate:,.1f} a second"
            if total is not None:
                text += f", {(total - done) / rate / 60:.1f} min left"
        if status is not None:
            status.update(text)
        elif now - printed > _SECONDS_BETWEEN_LINES:
            printed = now
            print(text, file=sys.stderr)

    with console.status(what) if console.is_terminal else nullcontext() as status:
        yield update


@contextmanager
def _bar(console: Console, what: str, before: int, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar, and give what tells it how much is done."""
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), *Progress.get_default_columns(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(what, total=total, completed=before)
        yield lambda done: bars.update(bar, completed=done)


@contextmanager
def _lines(what: str, before: int, total: int) -> Iterator[Callable[[int], None]]:
    """Give what prints a line now and then when it is told how much is done."""
    printed = begun = time.monotonic()

    def update(done: int) -> None:
        nonlocal printed
        now = time.monotonic()
        if done < total and now - printed > _SECONDS_BETWEEN_LINES:
            printed = now
            left = (now - begun) / max(done - before, 1) * (total - done)
            print(f"{what}: {done:,} of {total:,}, {left / 60:.1f} min left", file=sys.stderr)

    yield update


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that work is being done, and for how long, while its share cannot be told.

    On a terminal, this is a bar with the time that has passed. Elsewhere, nothing is printed.
    """
    yield from tracked([None], what)
