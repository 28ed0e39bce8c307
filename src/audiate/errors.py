"""Exceptions for bad input and for interrupted work, and how messages show arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

_ARGUMENT = re.compile(r"`([a-z][a-z0-9_]*)(?:=([\w.-]+))?`")


class InputError(Exception):
    """Something the caller gave cannot be used.

    The message is one line that names the file or argument and the remedy. An argument stands in
    backticks, as Python spells it: `` `max_iterations` ``. The command line shows it as a flag,
    ``--max-iterations``, and exits with status 2, without a traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class Interrupted(Exception):  # noqa: N818 - not an error
    """Work was stopped by a signal, after its state was saved."""


@contextmanager
def about(argument: str) -> Iterator[None]:
    """Put the argument that names a thing before an `InputError` about the thing."""
    try:
        yield
    except InputError as error:
        raise InputError(f"`{argument}` {error}") from error


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Make sure that the setting ``name`` is within bounds, both included.

    Raises:
        InputError: It is not (NaN never is), or it is no number.

    """
    try:
        inside = bool(low <= value <= high)
    except (TypeError, ValueError, RuntimeError) as error:  # text, a list, a tensor of several
        raise InputError(f"{name} {value!r}: give a number") from error
    if not inside:
        limits = f"at least {low:g}" if high == float("inf") else f"{low} to {high}"
        raise InputError(f"{name} {value}: give {limits}")


def check_whole(name: str, value: float, low: int, high: int) -> int:
    """A setting as a whole number: an int, or what is equal to one, as of numpy or 2.0.

    Raises:
        InputError: It is no whole number, or out of bounds.

    """
    check_range(name, value, low, high)
    if int(value) != value or isinstance(value, bool):
        raise InputError(f"{name} {value!r}: give a whole number")
    return int(value)


def with_flags(text: str) -> str:
    """A message as the command line shows it: flags take the place of arguments in backticks."""
    return _ARGUMENT.sub(_flag, printable(text))


def printable(text: str) -> str:
    """A text on one line, in which escapes stand for what is no Unicode and for what controls."""
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    """A character, or its escape where it would break the line or control the terminal."""
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is no Unicode, as `as_unicode`
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", errors="replace").decode()


def _flag(match: re.Match[str]) -> str:
    """A flag for an argument in backticks, with its value where one stands there."""
    name, value = match[1].replace("_", "-"), match[2]
    if value == "False":
        return f"--no-{name}"
    return f"--{name}" if value in (None, "True") else f"--{name} {value}"
