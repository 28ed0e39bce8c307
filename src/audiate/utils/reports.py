"""Reports of evaluations as text, JSON and figures."""

from __future__ import annotations

import csv
import html
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from audiate.errors import InputError
from audiate.utils.filesystem import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOFTWARE = "audiate"


class Report(ABC):
    """The result of an evaluation. A subclass is a dataclass of scores."""

    def __init_subclass__(cls) -> None:
        """Keep the `repr` of one line, in place of which a dataclass would make a long one."""
        super().__init_subclass__()
        cls.__repr__ = Report.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """Return the class and those of its values that are single numbers or words."""
        single = (
            f"{k}={v!r}" for k, v in self.values().items() if isinstance(v, str | int | float)
        )
        return f"{type(self).__name__}({', '.join(single)})"

    def values(self) -> Mapping[str, Any]:
        """Return the values of the JSON object; by default all fields."""
        return vars(self)

    @abstractmethod
    def parts(self) -> Iterable[Table | str]:
        """Return the tables and paragraphs of the text."""

    def to_json(self) -> str:
        """Return all values as one indented JSON object."""
        return json.dumps(_plain(self.values()), indent=2)

    def to_text(self) -> str:
        """Return the tables as plain text, 116 characters wide."""
        return render(*self.parts())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.to_text())}</pre>"


class FigureReport(Report):
    """A report that has a figure as well."""

    @abstractmethod
    def figure(self) -> Figure:
        """Draw the figure."""

    def save_figure(self, path: Path) -> None:
        """Write the figure as a PNG file.

        Raises:
            InputError: The file cannot be written.

        """
        with writing(path, argument="figure") as partial:
            self.figure().savefig(partial, format="png", metadata={"Software": _SOFTWARE})


def _plain(value: Any) -> Any:
    """Return dataclasses, named tuples and arrays as values that JSON knows."""
    if is_dataclass(value):
        value = vars(value)
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def number(value: float | None, spec: str) -> str:
    """Return a number in a format such as ``.3f``, or a dash for None."""
    return "-" if value is None else format(value, spec)


def percent(share: float | None, spec: str = ".1f") -> str:
    """Return a share in percent, without the sign, or a dash for None."""
    return "-" if share is None else format(100 * share, spec)


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as the text of a CSV file."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def make_table(title: str, *columns: str, digits: bool = False) -> Table:
    """Return an empty table. Its columns are aligned to the left and break long cells.

    Args:
        title: The title.
        columns: Names of the columns.
        digits: Whether a column, aligned to the right, follows for each digit from 0 to 9.

    """
    table = Table(title=title)
    for column in columns:
        table.add_column(column, overflow="fold")
    for digit in range(10 if digits else 0):
        table.add_column(str(digit), justify="right")
    return table


def confusion_table(counts: Sequence[Sequence[Sequence[int]]], items: str) -> Table:
    """Return a table of counts (10, 10), and of the share of each row that is on the diagonal.

    Args:
        counts: Counts that are added up. Rows are the digits that were meant, columns the digits
            that were read.
        items: The name of the items that were counted, for the title.

    """
    table = make_table(f"Rows: digit meant; columns: digit read ({items})", "", digits=True)
    table.add_column("%", justify="right")
    for digit, row in enumerate(torch.tensor(counts).sum(0)):
        total = int(row.sum())
        share = f"{100 * row[digit].item() / total:.1f}" if total else "-"
        table.add_row(str(digit), *(str(n) if n else "·" for n in row.tolist()), share)
    return table


def render(*parts: Table | str) -> str:
    """Return tables and paragraphs as plain text, 116 characters wide."""
    console = Console(file=StringIO(), width=116, highlight=False)
    with console.capture() as text:  # in a notebook, the console would display its file
        for part in parts:
            console.print(part, markup=not isinstance(part, str))
    return text.get().rstrip()


def check_figure(path: Path, argument: str = "figure") -> None:
    """Make sure that a figure can be written, before an evaluation that may take an hour.

    Args:
        path: The file.
        argument: The argument by which the caller chooses its place.

    Raises:
        InputError: The file cannot be written, or is there and was not written by
            `FigureReport.save_figure`.

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
        raise InputError(f"{path}: {problem}; name another with `{argument}`")


def _is_our_figure(path: Path) -> bool:
    """Whether a file is a PNG with the mark that `save_figure` leaves in it."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.info.get("Software") == _SOFTWARE
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
