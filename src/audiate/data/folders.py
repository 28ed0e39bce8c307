"""Find files in folders, and read labels from their names."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from audiate.data.images import SUFFIXES
from audiate.errors import InputError
from audiate.utils.progress import counted, note

REPORT_NAME = "report.json"


def is_output_folder(folder: Path) -> bool:
    """Whether an audiate command has written to a folder."""
    return command_of(folder) is not None


def command_of(folder: Path) -> str | None:
    """The audiate command that has written to a folder, as its report begins; None without one."""
    report = folder / REPORT_NAME
    try:
        if not report.is_file():
            return None
        with report.open("rb") as file:
            head = file.read(64)
    except (OSError, ValueError):
        return None
    return head.split(b'"')[3].decode("ascii", "replace") if begins_report(head) else None


def begins_report(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an audiate report."""
    return head.lstrip(b"{ \r\n").startswith(b'"command": "')


def identity(source: Path) -> str:
    """The absolute path of a source, as records hold it; links are kept."""
    return os.path.abspath(source)  # noqa: PTH100 - Path.resolve would follow links


class FileKind(NamedTuple):
    """A kind of files, recognised by the endings of their names.

    Attributes:
        noun: Word for the content of such a file.
        suffixes: Endings of the names, in small letters, each with its dot.
        name: Word for one of them in messages about arguments.

    """

    noun: str
    suffixes: tuple[str, ...]
    name: str


_NO_RECORDINGS = ("", ".csv", ".json", ".md", ".npy", ".npz", ".parquet", ".tsv", ".txt")

PICTURES = FileKind("picture", SUFFIXES, "picture")
"""Picture files."""


def files_below(folder: Path, kind: FileKind) -> list[Path]:
    """List the files of a kind below a folder, sorted; hidden ones are left out.

    Raises:
        InputError: It is no folder, or there is no such file in it.

    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; name a folder of {kind.noun} files")
    found = sorted(p for p in _visible_below(folder) if p.suffix.lower() in kind.suffixes)
    if not found:
        raise InputError(
            f"{folder}: holds no {kind.noun} file ({', '.join(kind.suffixes)}); name a folder of "
            f"{kind.noun}s"
        )
    return found


def find_files(
    given: Sequence[str | Path], out: Path, kind: FileKind, reserved: Sequence[str] = ()
) -> list[tuple[str, Path]]:
    """Find files of a kind, each once, with a name for their outputs.

    The name is the path below the folder that was given, without a suffix. Folders below it that an
    audiate command has written to are left out, and so is ``out``.

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
    """The files below a folder, without those that an audiate command has written."""
    files = files_below(folder, kind)
    written = {out.resolve()} - {folder.resolve()}
    between = {parent for file in files for parent in file.parents if folder in parent.parents}
    written |= {parent.resolve() for parent in between if is_output_folder(parent)}
    if others := _passed_over(folder, kind):
        kinds = ", ".join(f"{ending} {count}" for ending, count in others.most_common())
        note(f"{folder}: passed over {counted(others.total(), 'other file')} ({kinds})")
    return [file for file in files if written.isdisjoint(file.resolve().parents)]


def _passed_over(folder: Path, kind: FileKind) -> Counter[str]:
    """Endings of the files below a folder that are no such files, nor text, tables or pictures."""
    known = {*kind.suffixes, *PICTURES.suffixes, *_NO_RECORDINGS}
    endings = (path.suffix.lower() for path in _visible_below(folder))
    return Counter(ending for ending in endings if ending not in known)


def _visible_below(folder: Path) -> Iterator[Path]:
    """The files below a folder, without hidden ones."""
    return (
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def first_of(names: Sequence[str], most: int = 5, separator: str = ", ") -> str:
    """The first of several names, and the number of the other ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return separator.join(names[:most]) + more


_FIELDS = {"{word}": r"(?P<word>.+?)", "{voice}": r"(?P<voice>.+?)", "*": ".*"}


class NamedFile(NamedTuple):
    """The fields that a name of a file holds.

    Attributes:
        word: The label.
        voice: The speaker; None where it is unknown.

    """

    word: str
    voice: str | None


class NamePattern:
    """A pattern of file names, such as ``{word}_{voice}*`` for ``candle_speaker1_03.wav``.

    ``{word}`` stands for the label, ``{voice}`` for the speaker, and ``*`` for anything. The first
    two take as few characters as fit. The name is compared without its suffix.
    """

    def __init__(self, pattern: str) -> None:
        """Parse a pattern.

        Raises:
            InputError: It holds no {word}, or one of the fields twice, or unknown ones.

        """
        self.pattern = pattern
        parts = re.split(r"(\{\w*\}|\*)", pattern)
        fields = [part for part in parts if part.startswith("{")]
        unknown = [part for part in fields if part not in _FIELDS]
        if unknown or "{word}" not in fields or len(fields) != len(set(fields)):
            raise InputError(
                f"`label_from` {pattern}: give a pattern with {{word}} once, as in "
                f"'{{word}}_{{voice}}*'; {{voice}} and * may be left out"
            )
        self._expression = re.compile("".join(_FIELDS.get(p, re.escape(p)) for p in parts))

    def read(self, path: Path) -> NamedFile:
        """The fields in the name of a file.

        Raises:
            InputError: It does not fit the pattern.

        """
        found = self._expression.fullmatch(path.stem)
        if found is None:
            raise InputError(
                f"{path}: its name does not fit `label_from` {self.pattern}; rename it, take it "
                f"away, or give another pattern"
            )
        return NamedFile(found["word"], found.groupdict().get("voice"))
