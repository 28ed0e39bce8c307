"""Signals that end a command: SIGTERM counts as Ctrl-C, and some work is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on SIGTERM, too, for as long as the block lasts."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled_by(interrupt, (signal.SIGTERM,)):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block has ended, and act on them then."""
    held: list[int] = []
    try:
        with _handled_by(lambda number, _frame: held.append(number), _SIGNALS):
            yield
    finally:
        if held:
            signal.raise_signal(held[0])


@contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], object], numbers: tuple[signal.Signals, ...]
) -> Iterator[None]:
    """Let a function handle signals in the block; Python allows that in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
