"""Process files and show the first of them on a sheet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from audiate.errors import InputError, printable
from audiate.folders.record import LATENTS_NAME, FolderRecord
from audiate.folders.runner import BATCH_SIZE, ClipWork, Item, Product
from audiate.utils.filesystem import as_unicode, short_names
from audiate.utils.plots import Panel, PanelRow, save_panels

R = TypeVar("R")

SHEET_NAME = "sheet.png"
SHEET_SAMPLES = 16
"""Limit of the number of outputs that are shown of one file."""
_SHEET_ROWS = 100  # more would make the picture too long to look at


class SheetWork(ClipWork[Item, R]):
    """Read a tensor from each file, and show the first files on a sheet."""

    shared = (LATENTS_NAME, SHEET_NAME)

    def __init__(self) -> None:
        self._shown: dict[str, Sequence[Panel]] = {}

    @abstractmethod
    def panels(self, items: Sequence[Item]) -> list[Sequence[Panel]]:
        """Compute anew what the sheet shows of files that were processed earlier."""

    def keep(self, name: str, product: Product[R]) -> None:
        """Keep the panels of one of the first files for the sheet."""
        if len(self._shown) < _SHEET_ROWS + BATCH_SIZE:
            self._shown[name] = product.panels()

    def finish(self, record: FolderRecord[R], new: Sequence[str]) -> None:
        """Write the sheet of the folder's first files, unless none of them is new."""
        usable = [name for name, clip in record.clips.items() if clip.modified is not None]
        first = {name: Path(record.clips[name].source or "") for name in usable[:_SHEET_ROWS]}
        if first.keys().isdisjoint(new) and (record.folder / SHEET_NAME).exists():
            return
        earlier = {name: first[name] for name in first if name not in self._shown}
        shown = self._shown | self._again(earlier)
        titles = zip(first.items(), short_names(list(first.values())), strict=True)
        rows = [
            PanelRow(_title(source, name, title, self.files_of(name)[0]), shown[name])
            for (name, source), title in titles
            if name in shown
        ]
        save_panels(rows, record.folder / SHEET_NAME)

    def _again(self, sources: Mapping[str, Path]) -> dict[str, Sequence[Panel]]:
        """Compute the panels of an earlier run; a source that is gone since is left out."""
        read = {}
        for name, source in sources.items():
            with suppress(InputError):
                read[name] = self.read(source)
        return dict(zip(read, self.panels(list(read.values())), strict=True)) if read else {}


def _title(source: Path, name: str, title: str, file: str) -> str:
    """The title of a clip, with the name of its first file where that is another one."""
    title = title if Path(name).name == source.stem else f"{title} ({Path(file).name})"
    return printable(as_unicode(title))
