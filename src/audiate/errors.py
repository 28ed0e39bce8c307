"""What ends a command early without being a defect: bad input, and the user's wish."""

from __future__ import annotations


class InputError(Exception):
    """Something the caller gave cannot be used.

    The message is one line that names the file or argument and the remedy; the command line
    prints it and exits with status 2, without a traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.replace("\n", "\\n"))  # file names may hold line breaks


class Interrupted(Exception):  # noqa: N818 - not an error
    """A training was stopped by a signal, after its state was saved."""


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Make sure that the setting ``name`` is within bounds, both included.

    Raises:
        InputError: It is not (NaN never is).

    """
    if not low <= value <= high:
        limits = f"at least {low:g}" if high == float("inf") else f"{low} to {high}"
        raise InputError(f"{name} {value}: give {limits}")
