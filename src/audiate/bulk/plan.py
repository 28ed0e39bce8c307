"""Plan the work that is left: compare the rows of an output with the files of the sources."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from audiate.bulk.addresses import Store, is_gone
from audiate.bulk.archives import (
    FOLDERS,
    PROGRESS_NAME,
    ROWS,
    File,
    WorkUnit,
    find_files,
    is_part,
    work_units,
)
from audiate.bulk.reading import key_of
from audiate.bulk.rows import parts_of, remove_rows
from audiate.data.folders import REPORT_NAME
from audiate.utils.filesystem import as_unicode, partial_of

_COLUMNS = ("source", "begin", "cut_into", "version", "error")


@dataclass
class _Group:
    """The rows of a container, or of a file that was cut.

    Attributes:
        version: Digest of its version.
        total: Number of its clips; None where nobody has counted them.
        keys: Keys of the clips that have rows.
        parts: Numbers of the Parquet files that hold them.

    """

    version: bytes
    total: int | None = None
    keys: set[str] = field(default_factory=set)
    parts: set[int] = field(default_factory=set)


class _Index:
    """The rows of an output, by what they were made of.

    Attributes:
        parts: Names of the Parquet files.
        rows: For the digest of a clip's key, the number of its part and a digest of the version.
        groups: Groups by the container or by the file that was cut.
        containers: Names of the containers in each tar or Parquet file.
        failed: For each file with a failure, the numbers of the parts and the keys of the clips.
        stale: Keys, sources and containers of the rows that are to be removed from each part.
        clips: Number of rows.

    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.rows: dict[bytes, tuple[int, bytes]] = {}
        self.groups: dict[str, _Group] = {}
        self.containers: dict[str, list[str]] = defaultdict(list)
        self.failed: dict[str, set[tuple[int, str]]] = defaultdict(set)
        self.stale: dict[int, set[str]] = defaultdict(set)
        self.clips = 0

    def add(self, part: str, table: Any, metadata: Mapping[str, Any], retry_failed: bool) -> None:
        """Add a part.

        A second row of a clip is to be removed, and so are failures of files that were not there or
        could not be reached, which are looked for again, and all failures for ``retry_failed``.
        """
        number, container = len(self.parts), str(metadata.get("container") or "")
        self.parts.append(part)
        self.clips += len(table)
        if container:
            if container not in self.groups:
                self.containers[_file_of(container)].append(container)
            self._group(container, str(metadata["version"]), metadata.get("total"))
        columns = (table[name].to_pylist() for name in _COLUMNS)
        for source, begin, cut_into, version, error in zip(*columns, strict=True):
            key = key_of(source, begin)
            digest, version_digest = _digest(key), _digest(version)
            group = self.groups.get(container)
            if not container and cut_into is not None:
                group = self._group(source, version, cut_into)
            if (
                digest in self.rows
                or (error is not None and (retry_failed or not version))
                or (group is not None and group.version != version_digest)
            ):
                self.stale[number].add(key)
                continue
            self.rows[digest] = number, version_digest
            if error is not None:
                file = as_unicode(_file_of(container)) if container else source
                self.failed[file].add((number, key))
            if group is not None:
                group.keys.add(key)
                group.parts.add(number)

    def _group(self, name: str, version: str, total: int | None) -> _Group:
        group = self.groups.setdefault(name, _Group(_digest(version)))
        group.total = group.total if total is None else int(total)
        return group

    def done(self, name: str, version: str) -> frozenset[str] | None:
        """Keys of the clips of a file or container that have rows; None where all have.

        Rows of another version are to be removed.
        """
        group = self.groups.get(name)
        if group is None:
            row = self.rows.get(_digest(name))
            if row is None:
                return frozenset()
            group = _Group(row[1], 1, {name}, {row[0]})
        if group.version != _digest(version):
            for part in group.parts:
                self.stale[part].add(name)
            return frozenset()
        return None if len(group.keys) == group.total else frozenset(group.keys)

    def seen(self, files: Iterator[File]) -> Iterator[File]:
        """The same files; each is noted as one that is still there.

        A Parquet file that was changed may have fewer row groups than before, so all containers in
        it are looked at.
        """
        for file in files:
            self.failed.pop(as_unicode(file.address), None)
            for container in self.containers.get(file.address, ()):
                self.done(container, file.version)
            yield file


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).digest()


def plan(
    store: Store, sources: Sequence[str], size: int, column: str | None, *, retry_failed: bool
) -> tuple[list[WorkUnit], int]:
    """The work units that are still to be read, and the number of rows that are there.

    Half-written files of a killed command are removed, and so are rows of files that have changed
    since, failures of files that are gone, and what `_Index.add` finds.

    Args:
        store: The output, which nobody else writes to.
        sources: As for `find_files`.
        size: Number of sound files in a work unit.
        column: Column of the sounds in Parquet files, where it is named.
        retry_failed: Whether rows that hold an error are removed.

    Raises:
        InputError: As for `find_files`.

    """
    store.remove(PROGRESS_NAME)  # of a killed command
    for folder in ("", ROWS):
        for name in store.names(folder):
            if _is_unfinished(name):
                store.remove(f"{folder}/{name}")
    index = _Index()
    for part, table, metadata in parts_of(store, _COLUMNS):
        index.add(part, table, metadata, retry_failed)
    _remove_orphans(store, index.parts)
    files = index.seen(find_files(sources, store.address))
    units = [replace(unit, column=column) for unit in work_units(files, size, index.done)]
    for file, places in index.failed.items():
        if is_gone(file):
            for number, key in places:
                index.stale[number].add(key)
    removed = (remove_rows(store, index.parts[part], names) for part, names in index.stale.items())
    return units, index.clips - sum(removed)


def _is_unfinished(name: str) -> bool:
    """Whether a file is what a killed command has left half written."""
    made = partial_of(name)
    return made is not None and (is_part(made) or made in (REPORT_NAME, PROGRESS_NAME))


def _remove_orphans(store: Store, parts: Sequence[str]) -> None:
    """Remove pictures and sounds whose rows were never written; the user's files stay."""
    known = {f"{part}.tar" for part in parts}
    for folder in set(FOLDERS) - {ROWS}:
        for name in store.names(folder):
            if _is_unfinished(name) or (is_part(name) and name not in known):
                store.remove(f"{folder}/{name}")


def _file_of(container: str) -> str:
    """The address of the file that a container lies in."""
    return container.rpartition("#")[0]
