"""The work of commands whose results are shown on a sheet, a row for each file that was given."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from audiate.errors import InputError
from audiate.outputs import LATENTS_NAME, Outputs
from audiate.pictures import Panel, PanelRow, save_panels
from audiate.pipeline import ClipWork

SHEET_NAME = "sheet.png"
BATCH_SIZE = 32
"""Number of files that are worked at together."""
SHEET_SAMPLES = 16
"""Limit of what is shown of one file."""

_SHEET_ROWS = 100  # more would be no picture any more


class SheetWork(ClipWork[Tensor, None]):
    """Works at files, of each of which a tensor is read, and shows the first of them on a sheet."""

    shared = (LATENTS_NAME, SHEET_NAME)

    def __init__(self) -> None:
        self._shown: dict[Path, Sequence[Panel]] = {}

    @abstractmethod
    def panels(self, items: Sequence[Tensor]) -> list[Sequence[Panel]]:
        """What the sheet shows of files, made anew from what was read of them."""

    def show(self, path: Path, panels: Sequence[Panel]) -> None:
        """Keep the panels of a file, whose first output has this path, for the sheet."""
        if len(self._shown) < _SHEET_ROWS + BATCH_SIZE:  # a batch is not written in order
            self._shown[path] = panels

    def finish(self, outputs: Outputs[None], new: Sequence[str]) -> None:
        """Write the sheet of the folder's first files, unless none of them is new."""
        usable = [name for name, clip in outputs.clips.items() if clip.modified is not None]
        first = {
            name: outputs.folder / self.endings[0].format(name) for name in usable[:_SHEET_ROWS]
        }
        if first.keys().isdisjoint(new) and (outputs.folder / SHEET_NAME).exists():
            return
        sources = {name: Path(outputs.clips[name].source or "") for name in first}
        earlier = {first[name]: sources[name] for name in first if first[name] not in self._shown}
        shown = self._shown | self._again(earlier)
        rows = [
            PanelRow(_title(sources[name], name, path), shown[path])
            for name, path in first.items()
            if path in shown
        ]
        save_panels(rows, outputs.folder / SHEET_NAME)

    def _again(self, sources: Mapping[Path, Path]) -> dict[Path, Sequence[Panel]]:
        """Panels of an earlier run, made anew; a source that is gone since is left out."""
        read = {}
        for path, source in sources.items():
            with suppress(InputError):
                read[path] = self.read(source)
        if not read:
            return {}
        return dict(zip(read, self.panels(list(read.values())), strict=True))


def _title(source: Path, name: str, written: Path) -> str:
    title = source.name if source.stem == name else f"{source.name} ({written.name})"
    return title.encode(errors="replace").decode()  # a name need not be Unicode
