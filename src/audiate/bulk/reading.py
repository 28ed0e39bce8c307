"""Read a work unit: its recordings are fetched, hashed, cut and decoded ahead, in threads."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import weakref
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, Literal, NamedTuple, TypeVar

from audiate.audio.files import Recording, TooLongError, spans_of
from audiate.bulk.addresses import (
    UnreachableError,
    as_unicode,
    filesystem_of,
    is_missing,
    is_remote,
    opened,
    reaching,
    reason_of,
)
from audiate.bulk.archives import File, WorkUnit, is_hidden
from audiate.bulk.jobs import OpenJob
from audiate.data.sounds import SUFFIXES
from audiate.errors import InputError

Long = Literal["refuse", "cut"]

THREADS = 4
_IN_MEMORY = 2**24  # bytes of a file; larger ones stay on disk, or are copied there
_LARGEST = {"refuse": 2**30, "cut": 2**34}  # bytes of a file
_BLOCK = 2**20

S = TypeVar("S")
T = TypeVar("T")


class Clip(NamedTuple):
    """A clip, or the reason for which it cannot be used.

    Attributes:
        source: Address of the file, or of the container and the member in it.
        version: Tells this version of the file from others. Where it is empty, an error is that of
            a server or of a missing file, which the next command looks for again.
        item: What is known of its sound: at first the bytes or the file, then the recording, and
            at last what the job has read of it.
        error: The reason why it cannot be used.
        begin: Where the clip begins in its recording, in seconds; None where it is all of it.
        cut_into: Number of clips that the recording was cut into; None where it was not.
        sha256: Hash of the recording; empty where it could not be read.
        duration: In seconds.
        copy: A temporary file, which is removed with this object.

    """

    source: str
    version: str
    item: Any = None
    error: str | None = None
    begin: float | None = None
    cut_into: int | None = None
    sha256: str = ""
    duration: float | None = None
    copy: object = None

    @property
    def key(self) -> str:
        """The name of the clip, which no other clip has."""
        return key_of(self.source, self.begin)


class Chunk(NamedTuple):
    """Clips whose rows are written together.

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


def key_of(source: str, begin: float | None) -> str:
    """The key of a clip: its source, and where it begins in seconds if the source was cut."""
    return source if begin is None else f"{source}@{begin:.3f}"


def chunks_of(
    job: OpenJob, unit: WorkUnit, long: Long, ended: Event
) -> Generator[Chunk, None, None]:
    """Read a work unit.

    Memory is bounded: few recordings are held at a time, and the caller takes a chunk before the
    next one is begun.

    Args:
        job: Reads the clips, and knows their length and the number of them in a chunk.
        unit: The work unit.
        long: Whether long recordings are cut into clips.
        ended: Makes it stop after the recordings that are being read.

    """
    version = unit.files[0].version if unit.container else ""
    clips: list[Clip] = []
    total = 0
    threads = ThreadPoolExecutor(THREADS)
    try:
        fetched = _ahead(threads, lambda clip: _fetch(clip, long, job.seconds), _recordings(unit))
        cut = (None if clip.key in unit.done else clip for each in fetched for clip in each)
        for clip in _ahead(threads, lambda clip: clip and _decode(clip, job.read), cut):
            if ended.is_set():
                return
            total += 1
            if clip is None:  # it has its row
                continue
            if len(clips) == job.chunk_size:
                yield Chunk(unit.container, version, clips, None)
                clips = []
            clips.append(clip)
    finally:
        threads.shutdown(cancel_futures=True)
    if clips:
        whole = unit.container and not (clips[-1].error and not clips[-1].version)
        yield Chunk(unit.container, version, clips, total if whole else None)


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


def _fetch(clip: Clip, long: Long, seconds: float) -> list[Clip]:
    """Get the bytes of a recording, hash them, and cut it."""
    if clip.error:
        return [clip]
    try:
        clip = _with_recording(clip, long)
        spans = spans_of(clip.item, seconds) if long == "cut" else []
        if not spans:
            return [clip]
        with clip.item.open_sound() as file:
            rate = file.samplerate
    except Exception as error:  # whatever happens to a file, other clips go on
        return [_failed(clip, error)]
    return [
        clip._replace(
            item=Recording(clip.source, clip.item.content, span),
            begin=round(float(span[0] / rate), 3),
            cut_into=len(spans),
        )
        for span in spans
    ]


def _failed(clip: Clip, error: Exception, count: str = "") -> Clip:
    """A clip with an error as its reason; ``count`` says how much of a container was read."""
    if isinstance(error, UnreachableError):
        clip = Clip(clip.source, "")
        problem = f"cannot be reached ({error}); run the same command again"
    elif isinstance(error, InputError):
        return clip._replace(item=None, copy=None, error=str(error))
    elif is_missing(error):
        problem = "no such file" + ("; check the name" if count else "")
    else:
        after = f" after {count}" if count else ""
        problem = f"cannot be read{after} ({reason_of(error)[:100]}); copy it again"
    return clip._replace(item=None, copy=None, error=f"{clip.source}: {problem}")


def _with_recording(clip: Clip, long: Long) -> Clip:
    """A clip with its recording as its item, and the SHA-256 of its bytes."""
    content, copy = clip.item, None
    size = content.size if isinstance(content, File) else len(content)
    if size > _LARGEST[long]:
        remedy = "cut it into parts" + (", or give `long=cut`" if long == "refuse" else "")
        raise InputError(
            f"{clip.source}: {size / 2**30:.1f} GiB are more than the "
            f"{_LARGEST[long] / 2**30:.0f} GiB that are taken; {remedy}"
        )
    if isinstance(content, File):
        content, digest, copy = _content_of(content)
    else:
        digest = hashlib.sha256(content).hexdigest()
    return clip._replace(item=Recording(clip.source, content), sha256=digest, copy=copy)


def _content_of(file: File) -> tuple[bytes | Path, str, object]:
    """The bytes of a file or, of a large one, a file on disk; the SHA-256; and its copy."""
    filesystem, path = filesystem_of(file.address)
    remote = is_remote(file.address)
    if not remote and Path(path).is_dir():
        next(os.scandir(path), None)  # fails where it cannot be looked into
        raise InputError(f"{as_unicode(file.address)}: is a folder; name the files in it")
    if 0 <= file.size <= _IN_MEMORY:
        with reaching(file.address):
            content: bytes = filesystem.cat_file(path)
        return content, hashlib.sha256(content).hexdigest(), None
    with opened(file.address) as source:
        if not remote:
            return Path(path), hashlib.file_digest(source, "sha256").hexdigest(), None
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(suffix=Path(path).suffix, delete=False) as copy:
            weakref.finalize(copy, Path(copy.name).unlink, missing_ok=True)
            while block := source.read(_BLOCK):
                digest.update(block)
                copy.write(block)
        return Path(copy.name), digest.hexdigest(), copy


def _decode(clip: Clip, read: Callable[[Recording], Any]) -> Clip:
    """A clip with what the job reads of it as its item, in place of its recording."""
    if clip.error:
        return clip
    recording = Recording(clip.key, clip.item.content, clip.item.span)
    clip = clip._replace(item=None, copy=None)
    try:
        item = read(recording)
        with recording.open_sound() as file:
            frames = recording.span[1] if recording.span else file.frames
            return clip._replace(item=item, duration=frames / file.samplerate)
    except TooLongError as error:
        remedy = "" if recording.span else ", or give `long=cut`, which makes clips of it"
        return clip._replace(error=f"{error}{remedy}")
    except InputError as error:
        return clip._replace(error=str(error))
    except Exception as error:  # whatever a damaged file does to a library, the others go on
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        problem = f"{recording}: cannot be used ({reason}); convert it to wav or flac"
        return clip._replace(error=problem)


def _recordings(unit: WorkUnit) -> Iterator[Clip]:
    """The recordings of a work unit, each as one clip whose bytes or file are its item."""
    if unit.kind == "files":
        for file in unit.files:
            yield Clip(as_unicode(file.address), file.version, file)
    elif unit.kind == "tar":
        yield from _members(unit.files[0])
    else:
        yield from _rows(unit.files[0], unit.row_group)


class _StrictTarInfo(tarfile.TarInfo):
    """A header in a tar file; a damaged one is an error, not the end of the file."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictTarInfo:
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error


def _members(file: File) -> Iterator[Clip]:
    """The sound files in a tar file; one that ends too early gives an error after its members.

    Members of one name are numbered, as a tar file may hold several.
    """
    name, count = as_unicode(file.address), 0
    named: Counter[str] = Counter()
    try:
        with (
            opened(file.address) as content,
            tarfile.open(fileobj=content, mode="r|*", tarinfo=_StrictTarInfo) as tar,
        ):
            for member in tar:
                ours = member.isfile() and member.name.lower().endswith(SUFFIXES)
                if not ours or is_hidden(member.name):
                    continue
                source = f"{name}/{as_unicode(member.name)}"
                named[source] += 1
                if named[source] > 1:
                    source = f"{source}#{named[source]}"
                if member.size > _LARGEST["refuse"]:
                    problem = f"{source}: is larger than 1 GiB; cut it into parts"
                    yield Clip(source, file.version, error=problem)
                    continue
                sound = tar.extractfile(member)
                assert sound is not None  # it is a file
                read = sound.read()
                if len(read) < member.size:
                    raise tarfile.ReadError("unexpected end of data")
                count += 1
                yield Clip(source, file.version, read)
        if not named:
            problem = f"{name}: holds no sound files ({', '.join(SUFFIXES)}); leave it out"
            yield Clip(name, file.version, error=problem)
    except Exception as error:  # libraries beneath have error classes of their own
        yield _failed(Clip(name, file.version), error, f"{count} recordings")


def _rows(file: File, row_group: int) -> Iterator[Clip]:
    """The sounds in a row group of a Parquet file."""
    import pyarrow.parquet as pq

    name, number = as_unicode(file.address), 0
    try:
        with opened(file.address) as content:
            parquet = pq.ParquetFile(content)
            if not parquet.metadata.num_rows:
                raise InputError(f"{name}: holds no rows; leave it out")
            if row_group < 0:
                raise UnreachableError("it could not be opened at first")
            column, within = _sound_column(parquet.schema_arrow, name)
            for batch in parquet.iter_batches(16, row_groups=[row_group], columns=[column]):
                for value in batch.column(0).to_pylist():
                    sound = value.get("bytes") if within and value else value
                    source = f"{name}/{row_group}-{number}"
                    number += 1
                    missing = f"{source}: holds no sound; leave this row out"
                    yield Clip(source, file.version, sound, None if sound else missing)
    except Exception as error:  # as for tar files
        yield _failed(Clip(name, file.version), error, f"{number} rows")


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
