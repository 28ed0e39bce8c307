"""What is still to be done: the rows that are there, against the files that the source holds."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from audiate.bulk.addresses import is_gone, shown
from audiate.bulk.dataset import ROWS, parts_of, rewrite
from audiate.bulk.reading import key_of
from audiate.bulk.shards import File, Shard, find_files, is_part, shards_of
from audiate.bulk.store import Store

_UNFINISHED = re.compile(r"\.(.+)\.\d+\.part")
_COLUMNS = ("source", "begin", "cut_into", "version", "error")


@dataclass
class Index:
    """The rows of an output, by what they were made of.

    Attributes:
        rows: For the digest of a clip's key, the number of its part and a digest of the version.
        parts: Names of parts by their number.
        cut: For the digests of a file that was cut and of its version, the keys of its clips, and
            their number.
        places: For the digest of such a file, the numbers of its parts, each with the digest of the
            version that is there.
        containers: Keys of the clips of each container.
        totals: Number of clips of each container that was read to its end.
        versions: Version of each container.
        failed: For each file with a failure, the numbers of the parts and the keys of the clips.
        clips: Number of rows.

    """

    rows: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    cut: dict[tuple[bytes, bytes], tuple[set[str], int]] = field(default_factory=dict)
    places: dict[bytes, set[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(set))
    containers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    totals: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    failed: dict[str, set[tuple[int, str]]] = field(default_factory=lambda: defaultdict(set))
    clips: int = 0

    def whole(self, file: File) -> bool:
        """Whether a sound file, in this version, has its rows."""
        source, version = _short(shown(file.address)), _short(file.version)
        if source in self.places:
            keys, number = self.cut.get((source, version), ((), 1))
            return len(keys) >= number and not self.stale(file)
        found = self.rows.get(source)
        return found is not None and found[1] == version

    def stale(self, file: File) -> list[str]:
        """Names of the parts that hold rows of a sound file in another version."""
        source, version = _short(shown(file.address)), _short(file.version)
        found = self.places.get(source) or {self.rows[source]} if source in self.rows else ()
        return [self.parts[part] for part, other in found if other != version]

    def begun(self, files: Sequence[File]) -> frozenset[str]:
        """Keys of the clips that have rows, of files that were cut in part."""
        found = (
            self.cut.get((_short(shown(file.address)), _short(file.version))) for file in files
        )
        return frozenset(key for each in found if each for key in each[0])

    def done_in(self, container: str, version: str) -> frozenset[str] | None:
        """Keys of a container's clips that have rows; None where all have."""
        if self.versions.get(container, version) != version:
            return frozenset()
        done = self.containers.get(container, set())
        return None if self.totals.get(container) == len(done) else frozenset(done)


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).digest()


def read_index(store: Store, *, retry_failed: bool) -> Index:
    """Read what is there, and mend it.

    What a killed command left half done is removed, and so are a second row of the same clip, and
    rows of files that were not there or could not be reached, which are looked for again.

    Args:
        store: The output, which nobody else writes to.
        retry_failed: Whether rows that hold an error are removed.

    """
    for name in store.names(ROWS):
        if _is_unfinished(name):
            store.remove(f"{ROWS}/{name}")
    index = Index()
    wrong: dict[str, set[str]] = {}
    for part, table, noted in parts_of(store, _COLUMNS):
        bad = _take_in(index, part, table, noted, retry_failed)
        if bad:
            wrong[part] = bad
    for part, keys in wrong.items():
        rewrite(store, part, _without(keys, frozenset()))
    _remove_orphans(store, index)
    return index


def _take_in(
    index: Index, part: str, table: Any, noted: Mapping[str, Any], retry_failed: bool
) -> set[str]:
    """Take a part into the index; returns the keys of rows that are to be removed.

    A clip that was cut out of a file counts for the file, too.
    """
    number, container = len(index.parts), str(noted.get("container") or "")
    index.parts.append(part)
    bad: set[str] = set()
    if container:
        index.versions[container] = str(noted["version"])
        if noted.get("total") is not None:
            index.totals[container] = int(noted["total"])
    columns = (table[name].to_pylist() for name in _COLUMNS)
    for source, begin, cut_into, version, error in zip(*columns, strict=True):
        key = key_of(source, begin)
        digest = _short(key)
        if (error is not None and (retry_failed or not version)) or digest in index.rows:
            bad.add(key)
        else:
            index.rows[digest] = index.rows[_short(source)] = (number, _short(version))
            index.clips += 1
            if error is not None:
                file = shown(_file_of(container)) if container else source
                index.failed[file].add((number, key))
            if cut_into is not None:
                place = _short(source), _short(version)
                index.cut.setdefault(place, (set(), cut_into))[0].add(key)
                index.places[place[0]].add((number, place[1]))
            if container:
                index.containers[container].add(key)
    return bad


def _is_unfinished(name: str) -> bool:
    """Whether a file is what a killed command has left of a part."""
    match = _UNFINISHED.fullmatch(name)
    return match is not None and is_part(match[1])


def _remove_orphans(store: Store, index: Index) -> None:
    """Remove pictures and sounds whose rows were never written; what is not ours stays."""
    known = {f"{part}.tar" for part in index.parts}
    for folder in ("pictures", "sounds"):
        for name in store.names(folder):
            if _is_unfinished(name) or (is_part(name) and name not in known):
                store.remove(f"{folder}/{name}")


def plan(store: Store, sources: Sequence[str], index: Index, group: int) -> list[Shard]:
    """The shards that are still to be read.

    Rows of files that have changed since are removed first, and failures of files that are gone.
    """
    stale: dict[str, set[str]] = defaultdict(set)
    elsewhere = index.failed

    def is_done(file: File) -> bool:
        elsewhere.pop(shown(file.address), None)
        if index.whole(file):
            return True
        for part in index.stale(file):
            stale[part].add(shown(file.address))
        return False

    def done_in(container: str, version: str) -> frozenset[str] | None:
        elsewhere.pop(shown(_file_of(container)), None)
        return index.done_in(container, version)

    found = shards_of(find_files(sources, store.address), group, is_done, done_in)
    shards = [
        replace(shard, done=index.begun(shard.files)) if shard.kind == "files" else shard
        for shard in found
    ]
    _remove_changed(store, index, shards)
    for part, names in stale.items():
        index.clips -= rewrite(store, part, _without(frozenset(), names))
    gone: dict[str, set[str]] = defaultdict(set)
    for file, places in elsewhere.items():
        if is_gone(file):
            for number, key in places:
                gone[index.parts[number]].add(key)
    for part, keys in gone.items():
        index.clips -= rewrite(store, part, _without(keys, frozenset()))
    return shards


def _remove_changed(store: Store, index: Index, shards: Sequence[Shard]) -> None:
    """Remove the rows of containers that have changed since."""
    # A file that was changed may have fewer row groups than before, so all of them are looked at.
    versions = {_file_of(shard.name): shard.files[0].version for shard in shards if shard.name}
    changed = {
        container
        for container, version in index.versions.items()
        if versions.get(_file_of(container), version) != version
    }
    for part, rows, noted in parts_of(store, ()) if changed else ():
        if noted.get("container") in changed:
            store.remove(f"{ROWS}/{part}.parquet")
            index.clips -= len(rows)


def _file_of(container: str) -> str:
    """The address of the file that a container lies in."""
    return container.rpartition("#")[0]


def _without(keys: Set[str], sources: Set[str]) -> Callable[[str, str], bool]:
    return lambda key, source: key not in keys and source not in sources


def known_counts(shards: Sequence[Shard]) -> tuple[int, int]:
    """Number of clips that are still to be read, and of shards whose clips nobody has counted."""
    known = sum(shard.count - len(shard.done) for shard in shards if shard.count is not None)
    return known, sum(shard.count is None for shard in shards)
