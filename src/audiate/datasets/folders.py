"""Files of one kind in a user's folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from audiate.errors import InputError
from audiate.images import SUFFIXES
from audiate.outputs import is_output_folder
from audiate.records import identity


class FileKind(NamedTuple):
    """A kind of files, known by the endings of their names.

    Attributes:
        noun: The word for what such a file holds.
        suffixes: Endings of the names, in small letters, each with its dot.
        name: The word for one of them among the arguments of a command.

    """

    noun: str
    suffixes: tuple[str, ...]
    name: str


PICTURES = FileKind("picture", SUFFIXES, "picture")
"""Picture files, as a folder is searched for them."""


def files_below(folder: Path, kind: FileKind) -> list[Path]:
    """List the files of a kind below a folder, sorted; hidden ones are left out.

    Raises:
        InputError: It is no folder, or there is no such file in it.

    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; name a folder of {kind.noun} files")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in kind.suffixes
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise InputError(
            f"{folder}: holds no {kind.noun} file ({', '.join(kind.suffixes)}); name a folder of "
            f"{kind.noun}s"
        )
    return found


def find_files(
    given: Sequence[str | Path], out: Path, kind: FileKind, reserved: Sequence[str] = ()
) -> list[tuple[str, Path]]:
    """Find files of a kind, each once, and the name that each would like to have, without a suffix.

    A file keeps its place below the folder that was given. Folders below it that a command of ours
    has written to are passed over, and so is ``out``.

    Args:
        given: Files, and folders of them.
        out: The folder that will be written to.
        kind: The kind of files that folders are searched for.
        reserved: Names of folders in which no file may lie; "-2" is added to such a name.

    Returns:
        Pairs of name and path.

    Raises:
        InputError: Nothing is given, nothing of it exists, or a folder holds no such file.

    """
    if not given:
        raise InputError(f"no {kind.name}s given; name {kind.noun} files, or folders of them")
    if not any(os.path.exists(path) for path in given):  # noqa: PTH110 - as below
        others = f", and so are the {len(given) - 1:,} others" if len(given) > 1 else ""
        raise InputError(f"{given[0]}: no such file or folder{others}; check what you have typed")
    found: dict[str, tuple[str, Path]] = {}
    for path in map(Path, given):
        is_folder = os.path.isdir(path)  # noqa: PTH112 - Path.is_dir fails on names that are too long
        for file in _not_written(path, out, kind) if is_folder else [path]:
            place = file.relative_to(path).parent if is_folder else Path()
            if place.parts and place.parts[0].casefold() in reserved:
                place = Path(f"{place.parts[0]}-2", *place.parts[1:])
            name = (place / (file.stem.strip(".") or kind.name)).as_posix()
            found.setdefault(identity(file), (name, file))
    return list(found.values())


def _not_written(folder: Path, out: Path, kind: FileKind) -> list[Path]:
    """The files below a folder, but for those that a command of ours has written."""
    files = files_below(folder, kind)
    written = {out.resolve()} - {folder.resolve()}
    between = {parent for file in files for parent in file.parents if folder in parent.parents}
    written |= {parent.resolve() for parent in between if is_output_folder(parent)}
    return [file for file in files if written.isdisjoint(file.resolve().parents)]
