"""From a shard to chunks of decoded clips: read ahead in threads, hashed, cut, checked."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO, Any, Literal, NamedTuple, TypeVar

from audiate.audio.files import Recording, TooLongError, spans_of
from audiate.bulk.addresses import (
    UnreachableError,
    filesystem_of,
    is_missing,
    is_remote,
    opened,
    reaching,
    reason_of,
    shown,
)
from audiate.bulk.shards import File, Shard, is_hidden
from audiate.data.sounds import SUFFIXES
from audiate.errors import InputError
from audiate.folders.runner import ClipWork

Long = Literal["refuse", "cut"]

THREADS = 4
_IN_MEMORY = 2**24  # bytes of a file; larger ones stay on disk, or are copied there
_LARGEST = {"refuse": 2**30, "cut": 2**34}  # bytes of a file
_BLOCK = 2**20

S = TypeVar("S")
T = TypeVar("T")


class Clip(NamedTuple):
    """A clip that was read, or the reason why it could not be.

    Attributes:
        source: Address of the file, or of the container and the member in it.
        version: Tells this version of the file from others.
        begin: Where the clip begins in its recording, in seconds; None where it is all of it.
        cut_into: Number of clips that the recording was cut into; None where it was not.
        sha256: Hash of the recording; empty where it could not be read.
        duration: In seconds.
        item: What the work has read of it.
        error: The reason why there is no item.

    """

    source: str
    version: str
    begin: float | None
    cut_into: int | None = None
    sha256: str = ""
    duration: float | None = None
    item: Any = None
    error: str | None = None

    @property
    def key(self) -> str:
        """What no two clips share."""
        return key_of(self.source, self.begin)


@dataclass(frozen=True)
class Chunk:
    """Clips that are worked at, written and recorded together.

    Attributes:
        container: Name of the tar file or row group that they come from; empty for sound files.
        version: The container's.
        clips: The clips.
        total: Number of all clips of the container, those of earlier runs included; None before the
            last chunk.

    """

    container: str
    version: str
    clips: list[Clip]
    total: int | None


class _Found(NamedTuple):
    """A recording in a shard: its bytes, or the file that holds it, or an error.

    Without a version, an error is looked at again by the next command: it is that of a server, or
    there was no such file.
    """

    source: str
    version: str
    content: bytes | File | InputError


class _Strict(tarfile.TarInfo):
    """A header in a tar file. Where it is damaged, the file does not seem to end there."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _Strict:
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


class _Fetched(NamedTuple):
    found: _Found
    sha256: str
    recording: Recording | None
    spans: list[tuple[int, int]]
    error: str | None = None
    keep: object = None  # a temporary file, which is removed with this


def key_of(source: str, begin: float | None) -> str:
    """The key of the clip of a source."""
    return source if begin is None else f"{source}@{begin:.3f}"


def chunks_of(
    work: ClipWork[Any, Any],
    shard: Shard,
    *,
    size: int,
    long: Long,
    seconds: float,
    ended: Event,
) -> Generator[Chunk, None, None]:
    """Read a shard.

    Memory is bounded: few recordings are held at a time, and the caller takes a chunk before the
    next one is begun.

    Args:
        work: Reads clips.
        shard: The shard.
        size: Number of clips in a chunk.
        long: Whether long recordings are cut into clips.
        seconds: Length of those clips, in seconds.
        ended: Makes it stop after the recordings that are being read.

    """
    version = shard.files[0].version if shard.name else ""
    clips: list[Clip] = []
    total = 0
    threads = ThreadPoolExecutor(THREADS)
    try:
        fetched = _ahead(threads, lambda found: _fetch(found, long, seconds), _recordings(shard))
        for clip in _ahead(threads, lambda job: _decode(work, *job), _jobs(fetched, shard)):
            if ended.is_set():
                return
            total += 1
            if clip is None:  # it has its row
                continue
            if len(clips) == size:
                yield Chunk(shard.name, version, clips, None)
                clips = []
            clips.append(clip)
    finally:
        threads.shutdown(cancel_futures=True)
    if clips:
        whole = shard.name and not (clips[-1].error and not clips[-1].version)
        yield Chunk(shard.name, version, clips, total if whole else None)


def _ahead(
    threads: ThreadPoolExecutor, function: Callable[[S], T], items: Iterable[S]
) -> Iterator[T]:
    """Results of a function in the order of the items, some of them computed ahead."""
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(threads.submit(function, item))
            if len(waiting) > 4 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _jobs(
    fetched: Iterable[_Fetched], shard: Shard
) -> Iterator[tuple[_Fetched, tuple[int, int] | None] | tuple[None, None]]:
    """The clips of recordings; nothing in the place of one that has its row."""
    for each in fetched:
        spans: list[tuple[int, int] | None] = [*each.spans] or [None]
        for span in spans:
            begin = _begin(each, span)
            if shard.done and key_of(each.found.source, begin) in shard.done:
                yield None, None
            else:
                yield each, span


def _begin(fetched: _Fetched, span: tuple[int, int] | None) -> float | None:
    if span is None or fetched.recording is None:
        return None
    with fetched.recording.open_sound() as file:
        return round(float(span[0] / file.samplerate), 3)


def _fetch(found: _Found, long: Long, seconds: float) -> _Fetched:
    """Get the bytes of a recording, hash them, and find where it is cut."""
    try:
        recording, keep, digest = _content(found, long)
    except InputError as error:
        return _Fetched(found, "", None, [], str(error))
    except UnreachableError as error:
        found = found._replace(version="")
        return _Fetched(found, "", None, [], str(_unreachable(found.source, error)))
    try:
        spans = spans_of(recording, seconds) if long == "cut" else []
    except InputError as error:
        return _Fetched(found, digest, None, [], str(error))
    return _Fetched(found, digest, recording, spans, None, keep)


def _unreachable(name: str, error: UnreachableError) -> InputError:
    return InputError(f"{name}: cannot be reached ({error}); run the same command again")


def _unread(name: str, count: str, error: Exception) -> InputError:
    """The error of a container that cannot be read."""
    if is_missing(error):
        return InputError(f"{name}: no such file; check the name")
    reason = reason_of(error)[:100]
    return InputError(f"{name}: cannot be read after {count} ({reason}); copy it again")


def _content(found: _Found, long: Long) -> tuple[Recording, object, str]:
    """A recording, what keeps its file there, and the SHA-256 of its bytes."""
    content = found.content
    if isinstance(content, InputError):
        raise content
    size = len(content) if isinstance(content, bytes) else content.size
    if size > _LARGEST[long]:
        remedy = "cut it into parts" + (", or give `long=cut`" if long == "refuse" else "")
        raise InputError(
            f"{found.source}: {size / 2**30:.1f} GiB are more than the "
            f"{_LARGEST[long] / 2**30:.0f} GiB that are taken; {remedy}"
        )
    if isinstance(content, bytes):
        return Recording(found.source, content), None, hashlib.sha256(content).hexdigest()
    try:
        return _of_file(found, content)
    except (InputError, UnreachableError):
        raise
    except Exception as error:  # whatever happens to a file, other clips go on
        missing = is_missing(error)
        reason = "no such file" if missing else f"cannot be read ({error}); copy it again"
        raise InputError(f"{found.source}: {reason}") from error


def _of_file(found: _Found, file: File) -> tuple[Recording, object, str]:
    filesystem, path = filesystem_of(file.address)
    if not is_remote(file.address) and Path(path).is_dir():
        next(os.scandir(path), None)  # fails where it cannot be looked into
        raise InputError(f"{found.source}: is a folder; name the files in it")
    if 0 <= file.size <= _IN_MEMORY:
        with reaching(file.address):
            content = filesystem.cat_file(path)
        return Recording(found.source, content), None, hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    with opened(file.address) as content:
        if not is_remote(file.address):
            for block in _blocks(content):
                digest.update(block)
            return Recording(found.source, Path(path)), None, digest.hexdigest()
        copy = tempfile.NamedTemporaryFile(suffix=Path(path).suffix)  # noqa: SIM115 - it is kept
        for block in _blocks(content):
            digest.update(block)
            copy.write(block)
        copy.flush()
        return Recording(found.source, Path(copy.name)), copy, digest.hexdigest()


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _decode(
    work: ClipWork[Any, Any], fetched: _Fetched | None, span: tuple[int, int] | None
) -> Clip | None:
    if fetched is None:
        return None
    found, begin = fetched.found, _begin(fetched, span)
    count = len(fetched.spans) or None
    clip = Clip(found.source, found.version, begin, count, fetched.sha256, error=fetched.error)
    if fetched.recording is None:
        return clip
    name = clip.key
    recording = Recording(name, fetched.recording.content, span)
    try:
        item = work.read(recording)
        with recording.open_sound() as file:
            duration = (span[1] if span else file.frames) / file.samplerate
    except TooLongError as error:
        remedy = "" if span else ", or give `long=cut`, which makes clips of it"
        return clip._replace(error=f"{error}{remedy}")
    except InputError as error:
        return clip._replace(error=str(error))
    except Exception as error:  # whatever a damaged file does to a library, the others go on
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return clip._replace(error=f"{name}: cannot be used ({reason}); convert it to wav or flac")
    return clip._replace(item=item, duration=duration)


def _recordings(shard: Shard) -> Iterator[_Found]:
    if shard.kind == "files":
        for file in shard.files:
            yield _Found(shown(file.address), file.version, file)
    elif shard.kind == "tar":
        yield from _members(shard.files[0])
    else:
        yield from _rows(shard.files[0], shard.row_group)


def _members(file: File) -> Iterator[_Found]:
    """The sound files in a tar file; one that ends too early gives an error after its members.

    Members of one name are numbered, as a tar file may hold several.
    """
    name, count = shown(file.address), 0
    named: Counter[str] = Counter()
    try:
        with (
            opened(file.address) as content,
            tarfile.open(fileobj=content, mode="r|*", tarinfo=_Strict) as tar,
        ):
            for member in tar:
                ours = member.isfile() and member.name.lower().endswith(SUFFIXES)
                if not ours or is_hidden(member.name):
                    continue
                source = f"{name}/{shown(member.name)}"
                named[source] += 1
                if named[source] > 1:
                    source = f"{source}#{named[source]}"
                if member.size > _LARGEST["refuse"]:
                    problem = InputError(f"{source}: is larger than 1 GiB; cut it into parts")
                    yield _Found(source, file.version, problem)
                    continue
                sound = tar.extractfile(member)
                assert sound is not None  # it is a file
                read = sound.read()
                if len(read) < member.size:
                    raise tarfile.ReadError("unexpected end of data")
                count += 1
                yield _Found(source, file.version, read)
        if not named:
            nothing = InputError(
                f"{name}: holds no sound files ({', '.join(SUFFIXES)}); leave it out"
            )
            yield _Found(name, file.version, nothing)
    except UnreachableError as error:
        yield _Found(name, "", _unreachable(name, error))
    except Exception as error:  # libraries beneath have error classes of their own
        yield _Found(name, file.version, _unread(name, f"{count} recordings", error))


def _rows(file: File, row_group: int) -> Iterator[_Found]:
    """The sounds in a row group of a Parquet file."""
    import pyarrow.parquet as pq

    name, number = shown(file.address), 0
    try:
        with opened(file.address) as content:
            parquet = pq.ParquetFile(content)
            if not parquet.metadata.num_rows:
                raise InputError(f"{name}: holds no rows; leave it out")
            if row_group < 0:
                raise UnreachableError("it could not be opened at first")
            column, within = _sound_column(parquet.schema_arrow, name)
            batches = parquet.iter_batches(16, row_groups=[row_group], columns=[column])
            for batch in batches:
                for value in batch.column(0):
                    plain = value.as_py()
                    sound = plain.get("bytes") if within and plain else plain
                    source = f"{name}/{row_group}-{number}"
                    number += 1
                    missing = InputError(f"{source}: holds no sound; leave this row out")
                    yield _Found(source, file.version, sound if sound else missing)
    except InputError as error:
        yield _Found(name, file.version, error)
    except UnreachableError as error:
        yield _Found(name, "", _unreachable(name, error))
    except Exception as error:  # as for tar files
        yield _Found(name, file.version, _unread(name, f"{number} rows", error))


def _sound_column(schema: Any, name: str) -> tuple[str, bool]:
    """The column of sounds, and whether these are in its field ``bytes``."""
    import pyarrow.types as kinds

    for field in schema:
        if kinds.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return field.name, True
    binary = [f.name for f in schema if kinds.is_binary(f.type) or kinds.is_large_binary(f.type)]
    if not binary:
        raise InputError(f"{name}: has no column of binary sounds; name another file")
    usual = [each for each in binary if each in ("audio", "sound", "bytes", "wav", "flac")]
    return (usual or binary)[0], False
