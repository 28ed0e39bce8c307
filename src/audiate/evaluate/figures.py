"""Figures of reports, as PNG files."""

from __future__ import annotations

import os
from pathlib import Path

from matplotlib.figure import Figure

from audiate.errors import InputError
from audiate.files import replacing


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure.

    Raises:
        InputError: It cannot be written there.

    """
    try:
        with replacing(path) as partial:
            figure.savefig(partial, format="png", metadata={"Software": None})
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); name another with --figure"
        ) from error


def check_figure(path: Path) -> None:
    """See to it, before an hour of work, that the figure can be written afterwards.

    Raises:
        InputError: It cannot.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        problem = "is a folder" if path.is_dir() else None
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
    if problem is None and not os.access(path.parent, os.W_OK):
        problem = "cannot be written (permission denied)"
    if problem:
        raise InputError(f"{path}: {problem}; name another with --figure")
