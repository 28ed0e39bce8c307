"""`audiate data`: download the data sets, and list how much of each is there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from audiate.data.download import Report, Transfer, fetch
from audiate.data.installed import State, data_root, inspect, locate_root
from audiate.data.sources import SOURCES, find_source
from audiate.errors import InputError, with_flags

if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[tuple(SOURCES)]  # so that the command line knows each new entry by itself


@dataclass(frozen=True)
class FetchCommand:
    """Download data sets, and resume downloads that were interrupted."""

    names: tyro.conf.Positional[tuple[Name, ...]]
    """Data sets to download, one or more."""
    data_dir: Path | None = None
    """Folder for all data sets. Default: AUDIATE_DATA, else the user's cache folder."""

    def run(self) -> int:
        """Download, and return the exit status: 0, or 130 after Ctrl-C.

        Raises:
            InputError: No data set is named, or a download failed.

        """
        if not self.names:
            raise InputError(f"no data set named; choose among {', '.join(SOURCES)}")
        sources = [find_source(name) for name in dict.fromkeys(self.names)]
        root = data_root(self.data_dir)
        try:
            for source in sources:
                status = inspect(source, root)
                if status.state is State.WHOLE:
                    print(f"{source.name}: already whole in {status.folder} ({status.detail})")
                    continue
                print(f"{source.name}: {source.title} ({source.licence}, {source.homepage})")
                sys.stdout.flush()  # before the bar, which is drawn on stderr
                with _display() as report:
                    folder = fetch(source.name, root, report)
                print(f"{source.name}: whole in {folder} ({inspect(source, root).detail})")
        except KeyboardInterrupt:
            print("stopped; run the same command again to resume", file=sys.stderr)
            return 130
        return 0


@dataclass(frozen=True)
class ListCommand:
    """List the data sets, and show how much of each is there."""

    data_dir: Path | None = None
    """Folder of all data sets. Default: AUDIATE_DATA, else the user's cache folder."""

    def run(self) -> int:
        """Print the table, and return the exit status, 0.

        Raises:
            InputError: The data folder is a file or cannot be read.

        """
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        root = data_root(self.data_dir)
        console = Console()
        if not console.is_terminal:
            console.width = 1000  # in a pipe or a file, a row must stay one line
        table = Table("name", "what", "licence", "state", "where in it")
        for source in SOURCES.values():
            status = inspect(source, root)
            state = f"{status.state}: {status.detail}"
            cells = (source.name, source.title, source.licence, state, source.folder)
            table.add_row(*map(Text, cells))
        print(f"Data folder: {root} ({locate_root(self.data_dir)[1]})")
        console.print(table)
        return 0


@contextmanager
def _display() -> Iterator[Report]:
    """Yield a function that shows downloads on standard error.

    On a terminal, it shows a bar; elsewhere, it prints a line for each quarter of a file.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return

    tasks: dict[str, TaskID] = {}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:

        def report(step: Transfer) -> None:
            if step.note:
                console.print(step.note, markup=False, highlight=False)
            if step.filename not in tasks:
                # Bytes of an earlier run do not count for the speed, so the bar starts behind them.
                tasks[step.filename] = bars.add_task(step.filename, completed=step.done)
            bars.update(tasks[step.filename], completed=step.done, total=step.total)

        yield report


class _Lines:
    """Prints downloads as plain lines."""

    def __init__(self) -> None:
        self._shown: tuple[str, int] | None = None  # file, quarters of it

    def __call__(self, step: Transfer) -> None:
        from rich.filesize import decimal

        if step.note:
            print(step.note, file=sys.stderr)
        quarter = (step.filename, 4 * step.done // max(step.total, 1))
        if quarter != self._shown:
            self._shown = quarter
            line = f"{step.filename}: {decimal(step.done)} of {decimal(step.total)}"
            print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class LookCommand:
    """Look at a folder of sounds before a training.

    Prints how many sounds there are, how long and how loud they are, their sample rates and labels,
    and what is worth a second look: silent, clipped and broken files, and copies.
    """

    folder: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
    """Folder of sound files, which is searched with its sub-folders."""
    label_from: str | None = None
    """Pattern of the files' names, as in '{word}_*' for candle_speaker1.wav. Default: labels are
    sub-folders."""

    def run(self) -> int:
        """Look, print, and return the exit status, 2 where files cannot be read."""
        from audiate.data.survey import survey

        found = survey(self.folder, self.label_from)
        for line in found.to_text().splitlines():
            print(with_flags(line))
        return 2 if found.broken else 0
