"""List the files of a source, and divide them into work units that one worker reads each."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from audiate.bulk.addresses import (
    absolute,
    canonical,
    filesystem_of,
    is_missing,
    is_remote,
    opened,
    reason_of,
    version_of,
)
from audiate.data.folders import REPORT_NAME, begins_report
from audiate.data.sounds import SUFFIXES
from audiate.errors import InputError
from audiate.utils.filesystem import as_unicode
from audiate.utils.progress import note

ROWS = "rows"
"""Folder of the output with the Parquet files."""
PROGRESS_NAME = "progress.json"
"""File of the output in which a command notes its progress; it is removed at the end."""
FOLDERS = (ROWS, "pictures", "sounds")
"""Folders of the output."""

_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_SUFFIXES = (*SUFFIXES, *_TAR_SUFFIXES, ".parquet")
_PART = re.compile(r"[0-9a-f]{24}\.(parquet|tar)")  # the files of a chunk in the output
IN_MEMORY = 2**22
"""Bytes of a recording in memory: the 34 that a reader holds are less than 256 MiB."""
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_NAMES = 1_000_000  # of a pattern in braces


class File(NamedTuple):
    """A file that was found.

    Attributes:
        address: Absolute path, or URL.
        version: Tells this version of it from others; empty where that is not known.
        size: In bytes; -1 where that is not known.

    """

    address: str
    version: str = ""
    size: int = -1


@dataclass(frozen=True)
class WorkUnit:
    """A unit of work, which one worker reads from its beginning to its end.

    Attributes:
        kind: Sound files, a tar file, or a row group of a Parquet file.
        files: The files. A tar or Parquet file is the only one.
        row_group: Number of the row group; -1 where the Parquet file cannot be opened, or holds no
            rows.
        count: Number of recordings, where it is known.
        done: Keys of the clips that have rows already.
        column: Column of the sounds in a Parquet file; None finds it.
        in_memory: Bytes of a recording from which on it is kept on disk.

    """

    kind: Literal["files", "tar", "parquet"]
    files: tuple[File, ...]
    row_group: int = 0
    count: int | None = None
    done: frozenset[str] = frozenset()
    column: str | None = None
    in_memory: int = IN_MEMORY

    @property
    def container(self) -> str:
        """The name of the tar file or row group in the rows; empty for sound files."""
        return "" if self.kind == "files" else f"{self.files[0].address}#{self.row_group}"


def find_files(sources: Sequence[str], out: str) -> Iterator[File]:
    """Find all sound files, tar files and Parquet files of a source, each once, lazily.

    Args:
        sources: Each is a folder, a pattern with ``*`` or ``{000..099}``, a list of names in a
            ``.txt`` file, or a file; as a path or a URL.
        out: The output folder. What bulk work writes there is left out, and so is the whole folder
            where it lies below a source.

    Raises:
        InputError: There is no such source, it cannot be reached, or nothing is found at all.

    """
    if not sources:
        raise InputError("no source given; name folders, files, patterns or a list")
    out, seen = canonical(out), set[str]()
    written = {f"{out}/{name}" for name in FOLDERS}
    canonical_folder = lru_cache(64)(canonical)  # files of one folder follow each other
    for source in sources:
        count = 0
        for file in _files_or_error(source, out):
            folder, _, name = file.address.rpartition("/")
            if is_part(name) and canonical_folder(folder) in written:
                continue
            count += 1
            if file.address not in seen:
                seen.add(file.address)
                yield file
        if not count:
            deeper = ""
            if "*" in source and "**/" not in source:
                deeper = f"; in folders below, too: {source.replace('*', '**/*', 1)}"
            nothing = InputError(
                f"{source}: holds no sound files ({', '.join(SUFFIXES)}), tar or Parquet files; "
                f"name a folder, a pattern, a list (.txt) or files of those{deeper}"
            )
            if len(sources) == 1:
                raise nothing
            note(str(nothing))
    if not seen:
        raise InputError("no source holds any recording; see the lines above")


def is_part(name: str) -> bool:
    """Whether a file is named as bulk work names files of rows, pictures or sounds."""
    return _PART.fullmatch(name) is not None


def is_hidden(path: str) -> bool:
    """Whether a file is hidden or lies in a hidden folder, or is what macOS adds to archives."""
    parts = path.split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part.strip(".")) for part in parts)


def _files_or_error(source: str, out: str) -> Iterator[File]:
    address = absolute(source)
    try:
        yield from _files_of(address, out)
    except InputError:
        raise
    except Exception as error:  # servers fail in ways of their own
        if is_missing(error):
            raise InputError(f"{source}: no such file or folder; check the name") from error
        what = "cannot be reached" if is_remote(address) else "cannot be read"
        raise InputError(
            f"{source}: {what} ({reason_of(error)}); check the address, and run the same command "
            f"again"
        ) from error


def _files_of(source: str, out: str) -> Iterator[File]:
    if _BRACES.search(source):
        yield from map(named_file, _expanded(source))
        return
    if source.startswith("tar://"):
        raise InputError(f"{source}: name the tar file itself, whose sound files are all read")
    filesystem, path = filesystem_of(source)
    if any(sign in path for sign in "*?[") and not filesystem.exists(path):
        yield from _matches(filesystem, path, source)
    elif path.endswith(".txt"):
        note(f"{source}: is taken as a list, with the name of a file on each line")
        yield from (named_file(absolute(name)) for name in _names_in(filesystem, path, source))
    elif _is_folder(filesystem, path, source):
        yield from _below(filesystem, path, source, out)
    elif source.lower().endswith(".zip") and not source.startswith("zip://"):
        yield from _files_of(f"zip://::{source}", out)
    else:
        yield _file(filesystem.info(path), source)


def _matches(filesystem: Any, pattern: str, source: str) -> Iterator[File]:
    """Files of a pattern; hidden ones are left out, unless the pattern asks for them."""
    fixed = re.split(r"[*?[]", pattern)[0].rpartition("/")[0]
    all_of_them = is_hidden(pattern.removeprefix(fixed))
    found = filesystem.glob(pattern, detail=True)
    if not found:
        filesystem.ls(fixed)  # it fails where the server does not answer, which `glob` hides
    for name in sorted(found):
        hidden = is_hidden(name.removeprefix(fixed)) and not all_of_them
        if found[name]["type"] != "directory" and _is_ours(name) and not hidden:
            yield _file(found[name], _address(source, name))


def _below(filesystem: Any, folder: str, source: str, out: str) -> Iterator[File]:
    """Files below a folder, in the order of their names; hidden ones and results are left out."""
    closed: list[OSError] = []
    walk = filesystem.walk(folder, detail=True, on_error=closed.append)
    for number, (place, folders, files) in enumerate(walk):
        if number and REPORT_NAME in files and _holds_results(filesystem, place):
            folders.clear()
            continue
        kept = {
            name: folders[name]
            for name in sorted(folders)
            if not is_hidden(name) and canonical(_address(source, f"{place}/{name}")) != out
        }
        folders.clear()
        folders.update(kept)
        for name in sorted(files):
            if name and not is_hidden(name) and _is_ours(name):
                yield _file(files[name], _address(source, f"{place.rstrip('/')}/{name}"))
    for error in closed:  # the reader gives the reason for each
        yield File(_address(source, str(error.filename or folder)))


def _holds_results(filesystem: Any, folder: str) -> bool:
    """Whether the report in a folder is that of an audiate command."""
    try:
        with filesystem.open(f"{folder}/{REPORT_NAME}", "rb") as report:
            return begins_report(report.read(64))
    except (OSError, ValueError):
        return False


def work_units(
    files: Iterator[File], size: int, done: Callable[[str, str], frozenset[str] | None]
) -> Iterator[WorkUnit]:
    """Divide files into work units, without those that have all their rows.

    Groups are made before the done files are taken out of them, so the same files fall into the
    same groups when a command is run again.

    Args:
        files: The files.
        size: Number of sound files in a work unit.
        done: Gives, for the name and the version of a sound file or container, the keys of its
            clips that have rows; None where all have.

    """
    pending: list[File] = []
    for file in files:
        if file.address.lower().endswith((*_TAR_SUFFIXES, ".parquet")):
            for unit in _containers(file):
                keys = done(unit.container, file.version)
                if keys is not None:
                    yield replace(unit, done=keys)
            continue
        pending.append(file)
        if len(pending) == size:
            yield from _group(pending, done)
            pending = []
    yield from _group(pending, done)


def _group(
    files: list[File], done: Callable[[str, str], frozenset[str] | None]
) -> Iterator[WorkUnit]:
    found = {file: done(as_unicode(file.address), file.version) for file in files}
    left = {file: keys for file, keys in found.items() if keys is not None}
    if left:
        yield WorkUnit("files", tuple(left), 0, len(left), frozenset().union(*left.values()))


def _containers(file: File) -> Iterator[WorkUnit]:
    """A tar file, or the row groups of a Parquet file."""
    if not file.address.lower().endswith(".parquet"):
        yield WorkUnit("tar", (file,))
        return
    import pyarrow.parquet as pq

    try:
        with opened(file.address) as content:
            metadata = pq.read_metadata(content)
    except Exception:  # the reader gives the reason
        metadata = None
    if metadata is None or not metadata.num_rows:
        yield WorkUnit("parquet", (file,), row_group=-1)
        return
    for number in range(metadata.num_row_groups):
        yield WorkUnit("parquet", (file,), number, metadata.row_group(number).num_rows)


def named_file(address: str) -> File:
    """A file that is named; where it is missing, the reader gives the reason."""
    filesystem, path = filesystem_of(address)
    try:
        return _file(filesystem.info(path), address)
    except Exception:  # servers fail in ways of their own
        return File(address)


def _file(info: Mapping[str, Any], address: str) -> File:
    size = info.get("size")
    return File(address, version_of(dict(info)), -1 if size is None else int(size))


def _is_ours(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES)


def _address(source: str, path: str) -> str:
    """The address of a path in the file system of ``source``."""
    if not is_remote(source) or is_remote(path):
        return path
    scheme, _, place = source.partition("://")
    _, sign, archive = place.partition("::")  # in which the file lies
    return f"{scheme}://{path.lstrip('/')}{sign}{archive}"


def _expanded(pattern: str) -> Iterator[str]:
    """The names that a pattern such as ``{000..099}`` stands for."""
    match = _BRACES.search(pattern)
    if match is None:
        yield pattern
        return
    first, last = int(match[1]), int(match[2])
    if not 0 <= last - first < _MOST_NAMES:
        raise InputError(f"{pattern}: give numbers in braces from low to high, as in {{000..099}}")
    for number in range(first, last + 1):
        name = f"{pattern[: match.start()]}{number:0{len(match[1])}}{pattern[match.end() :]}"
        yield from _expanded(name)


def _names_in(filesystem: Any, path: str, source: str) -> Iterator[str]:
    """The names in a list, each as its line has it, but for spaces around it and comments."""
    with filesystem.open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            name = line.removeprefix(b"\xef\xbb\xbf").strip().decode("utf-8", "surrogateescape")
            if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
                raise InputError(
                    f"{source}: line {number} stands in quotes, which a list does not have; leave "
                    f"them out"
                )
            if name and not name.startswith("#"):
                yield name


def _is_folder(filesystem: Any, path: str, source: str) -> bool:
    """Whether an address is that of a folder; errors are those of the file system."""
    if not is_remote(source):
        return bool(filesystem.isdir(path))
    if filesystem.info(path)["type"] == "directory":
        return True
    # A web server lists what is in a folder, whose address looks like that of a file.
    return not _is_ours(path) and bool(filesystem.isdir(path))
