"""From the names of a source to shards: files in groups, tar files, row groups of Parquet files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from audiate.bulk.addresses import (
    absolute,
    filesystem_of,
    is_missing,
    is_remote,
    opened,
    place_of,
    reason_of,
    version_of,
)
from audiate.data.folders import REPORT_NAME, begins_report
from audiate.data.sounds import SUFFIXES
from audiate.errors import InputError
from audiate.utils.progress import note

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_PART = re.compile(r"[0-9a-f]{24}\.(parquet|tar)")  # what a part is called, and its files
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
    version: str
    size: int


@dataclass(frozen=True)
class Shard:
    """A unit of reading, which one worker reads from its beginning to its end.

    Attributes:
        kind: Sound files, a tar file, or a row group of a Parquet file.
        files: The files; of a container, the only one.
        row_group: Number of the row group; -1 where the Parquet file cannot be opened, or holds no
            rows.
        count: Number of recordings, where it is known.
        done: Keys of the container's clips that have rows already.

    """

    kind: Literal["files", "tar", "parquet"]
    files: tuple[File, ...]
    row_group: int = 0
    count: int | None = None
    done: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The name by which a container is known again; empty for sound files."""
        if self.kind == "files":
            return ""
        return f"{self.files[0].address}#{self.row_group}"


def find_files(sources: Sequence[str], out: str) -> Iterator[File]:
    """Find all sound files, tar files and Parquet files of a source, each once, lazily.

    Args:
        sources: Each is a folder, a pattern with ``*`` or ``{000..099}``, a list of names in a
            ``.txt`` file, or a file; as a path or a URL.
        out: The folder that is written to. What this command writes there is passed over, and so
            is all of the folder where it lies below a source.

    Raises:
        InputError: There is no such source, it cannot be reached, or nothing is found at all.

    """
    if not sources:
        raise InputError("no source given; name folders, files, patterns or a list")
    seen: set[str] = set()
    is_written = _written_to(place_of(out))
    for source in sources:
        count = 0
        for file in _reached(source, place_of(out)):
            if is_written(file.address):
                continue
            count += 1
            if file.address not in seen:
                seen.add(file.address)
                yield file
        if not count:
            nothing = InputError(
                f"{source}: holds no sound files ({', '.join(SUFFIXES)}), tar or Parquet files; "
                f"name a folder, a pattern, a list (.txt) or files of those"
            )
            if len(sources) == 1:
                raise nothing
            note(str(nothing))
    if not seen:
        raise InputError("no source holds any recording; see the lines above")


def is_part(name: str) -> bool:
    """Whether a file is called as those are that hold the rows, pictures or sounds of a chunk."""
    return _PART.fullmatch(name) is not None


def is_hidden(path: str) -> bool:
    """Whether a file is hidden or lies in a hidden folder, or is what macOS adds to archives."""
    parts = path.split("/")
    return any(part == "__MACOSX" or (part.startswith(".") and part.strip(".")) for part in parts)


def _written_to(out: str) -> Callable[[str], bool]:
    """Gives what tells whether a file is one that is written to the output at a place."""
    folders = {f"{out}/{name}" for name in ("rows", "pictures", "sounds")}
    place = lru_cache(64)(place_of)  # files of one folder follow each other

    def is_written(address: str) -> bool:
        folder, _, name = address.rpartition("/")
        return is_part(name) and place(folder) in folders

    return is_written


def _reached(source: str, out: str) -> Iterator[File]:
    """The files of a source; whatever a server does, one line says so."""
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
        for name in _expanded(source):
            yield _file(name)
        return
    filesystem, path = filesystem_of(source)
    back = (lambda found: _url(source, found)) if is_remote(source) else str
    if any(sign in path for sign in "*?[") and not filesystem.exists(path):
        yield from _matches(filesystem, path, back)
    elif path.endswith(".txt"):
        for name in _names_in(filesystem, path, source):
            yield _file(absolute(name))
    elif _is_folder(filesystem, path, source):
        yield from _below(filesystem, path, out, back)
    else:
        yield _found(filesystem.info(path), source, str)


def _matches(filesystem: Any, pattern: str, back: Callable[[str], str]) -> Iterator[File]:
    """Files of a pattern; hidden ones are left out, unless the pattern asks for them."""
    fixed = re.split(r"[*?[]", pattern)[0].rpartition("/")[0]
    all_of_them = is_hidden(pattern.removeprefix(fixed))
    found = filesystem.glob(pattern, detail=True)
    if not found:
        filesystem.ls(fixed)  # it fails where the server does not answer, which `glob` hides
    for name in sorted(found):
        hidden = is_hidden(name.removeprefix(fixed)) and not all_of_them
        if found[name]["type"] != "directory" and _is_ours(name) and not hidden:
            yield _found(found[name], name, back)


def _below(filesystem: Any, folder: str, out: str, back: Callable[[str], str]) -> Iterator[File]:
    """Files below a folder, in the order of their names; hidden ones and results are left out."""
    closed: list[OSError] = []
    top = True
    for place, folders, files in filesystem.walk(folder, detail=True, on_error=closed.append):
        if not top and REPORT_NAME in files and _holds_results(filesystem, place):
            folders.clear()
            continue
        top = False
        kept = sorted(
            name
            for name in folders
            if not is_hidden(name) and place_of(back(f"{place}/{name}")) != out
        )
        ordered = {name: folders[name] for name in kept}
        folders.clear()
        folders.update(ordered)
        for name in sorted(files):
            if name and not is_hidden(name) and _is_ours(name):
                yield _found(files[name], f"{place.rstrip('/')}/{name}", back)
    for error in closed:  # each is told of when it is read
        yield File(back(str(error.filename or folder)), "", -1)


def _holds_results(filesystem: Any, folder: str) -> bool:
    """Whether a command of ours has written to a folder in which there is a report."""
    try:
        with filesystem.open(f"{folder}/{REPORT_NAME}", "rb") as report:
            return begins_report(report.read(64))
    except (OSError, ValueError):
        return False


def shards_of(
    files: Iterator[File],
    group: int,
    is_done: Callable[[File], bool],
    done_in: Callable[[str, str], frozenset[str] | None],
) -> Iterator[Shard]:
    """Make shards of files.

    Groups are made before the done files are taken out of them, so the same files fall into the
    same groups when a command is run again.

    Args:
        files: The files.
        group: Number of sound files in a shard.
        is_done: Tells whether a sound file has its rows.
        done_in: Gives, for the name and the version of a container, the keys of its clips that have
            rows; None where all have.

    """
    pending: list[File] = []
    for file in files:
        if file.address.lower().endswith(TAR_SUFFIXES):
            containers: Iterator[Shard] = iter([Shard("tar", (file,))])
        elif file.address.lower().endswith(".parquet"):
            containers = _row_groups(file)
        else:
            pending.append(file)
            if len(pending) == group:
                yield from _group(pending, is_done)
                pending = []
            continue
        for shard in containers:
            done = done_in(shard.name, file.version)
            if done is not None:
                yield replace(shard, done=done)
    yield from _group(pending, is_done)


def _group(files: Sequence[File], is_done: Callable[[File], bool]) -> Iterator[Shard]:
    left = tuple(file for file in files if not is_done(file))
    if left:
        yield Shard("files", left, count=len(left))


def _row_groups(file: File) -> Iterator[Shard]:
    import pyarrow.parquet as pq

    try:
        with opened(file.address) as content:
            metadata = pq.read_metadata(content)
    except Exception:  # it is told of when it is read
        metadata = None
    if metadata is None or not metadata.num_rows:
        yield Shard("parquet", (file,), row_group=-1)
        return
    for number in range(metadata.num_row_groups):
        yield Shard("parquet", (file,), number, metadata.row_group(number).num_rows)


def _file(address: str) -> File:
    """A file that is named; one that cannot be had is told of when it is read."""
    filesystem, path = filesystem_of(address)
    try:
        info = filesystem.info(path)
    except Exception:  # servers fail in ways of their own
        return File(address, "", -1)
    return _found(info, address, str)


def _found(info: Mapping[str, Any], name: str, back: Callable[[str], str]) -> File:
    size = info.get("size")
    return File(back(name), version_of(dict(info)), -1 if size is None else int(size))


def _is_ours(name: str) -> bool:
    return name.lower().endswith((*SUFFIXES, *TAR_SUFFIXES, ".parquet"))


def _url(source: str, path: str) -> str:
    """The URL of a path in the file system of ``source``."""
    return path if is_remote(path) else f"{source.partition('://')[0]}://{path.lstrip('/')}"


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
