"""The protocol of reports, and the tools by which they become text, JSON and figures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from audiate.errors import InputError
from audiate.utils.filesystem import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOFTWARE = "audiate"


class Report(Protocol):
    """The result of an evaluation."""

    def to_text(self) -> str:
        """Return tables for people, as plain text."""
        ...

    def to_json(self) -> str:
        """Return all values as one JSON object."""
        ...


class FigureReport(Report, Protocol):
    """A report that can be drawn as well."""

    def save_figure(self, path: Path) -> None:
        """Write the figure as a PNG file.

        Raises:
            InputError: The file cannot be written.

        """
        ...


def make_table(title: str, *columns: str) -> Table:
    """Return an empty table. Its columns are aligned to the left and break long cells."""
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_digit_columns(table: Table) -> None:
    """Add a column, aligned to the right, for each digit from 0 to 9."""
    for digit in range(10):
        table.add_column(str(digit), justify="right")


def confusion_table(confusion: Tensor, items: str) -> Table:
    """Return a table of counts (10, 10), and of the share of each row that is on the diagonal.

    Args:
        confusion: Rows are the digits that were meant, columns the digits that were read.
        items: The name of the items that were counted, for the title.

    """
    table = Table(title=f"Rows: digit meant; columns: digit read ({items})")
    table.add_column("")
    add_digit_columns(table)
    table.add_column("%", justify="right")
    for digit, row in enumerate(confusion):
        total = int(row.sum())
        share = f"{100 * row[digit].item() / total:.1f}" if total else "-"
        table.add_row(str(digit), *(str(n) if n else "·" for n in row.tolist()), share)
    return table


def render(*parts: Table | str) -> str:
    """Return tables and paragraphs as plain text, 116 characters wide."""
    console = Console(file=StringIO(), width=116, highlight=False)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue().rstrip()


def dump(values: Mapping[str, Any]) -> str:
    """Return values as indented JSON."""
    return json.dumps(values, indent=2)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file.

    Raises:
        InputError: The file cannot be written.

    """
    with writing(path, argument="figure") as partial:
        figure.savefig(partial, format="png", metadata={"Software": _SOFTWARE})


def check_figure(path: Path) -> None:
    """Make sure, before an evaluation that may take an hour, that its figure can be written.

    Raises:
        InputError: The file cannot be written, or is there and was not written by `save_figure`.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        problem = "is a folder" if path.is_dir() else None
        if problem is None and os.path.lexists(path) and not _is_our_figure(path):
            problem = "is there already and was not written by this command, so it is not replaced"
    except OSError as error:
        problem = f"cannot be written ({error.strerror or error})"
    if problem is None and not os.access(path.parent, os.W_OK):
        problem = "cannot be written (permission denied)"
    if problem:
        raise InputError(f"{path}: {problem}; name another with `figure`")


def _is_our_figure(path: Path) -> bool:
    """Whether a file is a PNG with the mark that `save_figure` leaves in it."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.info.get("Software") == _SOFTWARE
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
