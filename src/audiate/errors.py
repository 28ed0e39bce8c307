"""The one exception that means: the input is wrong, and here is what to do about it."""

from __future__ import annotations


class InputError(ValueError):
    """Something the caller gave cannot be used.

    The message is one line that names the file or argument and the remedy; the command line
    prints it and exits with status 2, without a traceback.
    """
