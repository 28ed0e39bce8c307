"""`audiate data`: download the data sets, and list how much of each is there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import tyro

from audiate.cli.common import DataDir, Group
from audiate.data.download import Transfer, fetch
from audiate.data.sources import SOURCES, State, data_root, find_source, inspect, locate_root
from audiate.errors import InputError, with_flags
from audiate.utils.progress import downloading

if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[tuple(SOURCES)]  # so that the command line knows each new entry by itself


@dataclass(frozen=True)
class FetchCommand:
    """Download data sets, and resume downloads that were interrupted."""

    needs_torch: ClassVar[bool] = False
    names: tyro.conf.Positional[tuple[Name, ...]]
    """Data sets to download, one or more."""
    data_dir: DataDir = None

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
                with downloading() as update:
                    folder = fetch(source.name, root, partial(_show, update))
                print(f"{source.name}: whole in {folder} ({inspect(source, root).detail})")
        except KeyboardInterrupt:
            print("stopped; run the same command again to resume", file=sys.stderr)
            return 130
        return 0


@dataclass(frozen=True)
class ListCommand:
    """List the data sets, and show how much of each is there."""

    needs_torch: ClassVar[bool] = False
    data_dir: DataDir = None

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


@dataclass(frozen=True)
class LookCommand:
    """Describe a folder of sounds before a training.

    Prints how many sounds there are, their durations, levels, sample rates and labels, and lists
    files that need attention: silent, clipped and broken ones, and copies.
    """

    folder: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
    """Folder of sound files, which is searched with its sub-folders."""
    label_from: str | None = None
    """Pattern of the files' names, as in '{word}_*' for candle_speaker1.wav. Default: labels are
    sub-folders."""

    def run(self) -> int:
        """Print the description, and return the exit status, 2 where files cannot be read."""
        from audiate.data.survey import survey

        found = survey(self.folder, self.label_from)
        for line in found.to_text().splitlines():
            print(with_flags(line))
        return 2 if found.broken else 0


def _show(update: Callable[[str, int, int], None], step: Transfer) -> None:
    """Show a step of a download, and its note."""
    if step.note:
        print(step.note, file=sys.stderr)
    update(step.filename, step.done, step.total)


DATA = Group(
    "Download data sets, or look at what is there.",
    {"fetch": FetchCommand, "list": ListCommand, "look": LookCommand},
)
