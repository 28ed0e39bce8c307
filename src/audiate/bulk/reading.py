"""Read a work unit: its recordings are fetched, hashed, cut and decoded ahead, in threads."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import posixpath
import tarfile
import tempfile
import weakref
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Event, Lock
from typing import Any, Literal, NamedTuple, TypeVar

from audiate.audio.files import Recording, TooLongError, spans_of
from audiate.bulk.addresses import (
    UnreachableError,
    filesystem_of,
    is_missing,
    is_remote,
    opened,
    reaching,
    reason_of,
)
from audiate.bulk.archives import File, WorkUnit, is_hidden, named_file
from audiate.bulk.jobs import OpenJob
from audiate.data.sounds import SUFFIXES
from audiate.errors import InputError
from audiate.utils.filesystem import as_unicode

Long = Literal["refuse", "cut"]

THREADS = 4
AHEAD = 4 * THREADS
"""Clips that are read ahead, and as many that are decoded ahead."""
_USUAL_COLUMNS = ("audio", "sound", "bytes", "wav", "flac")
_LARGEST = {"refuse": 2**30, "cut": 2**34}  # bytes of a file
_BLOCK = 2**20
_HEADER = 2**20  # bytes of a header in a tar file, with the long names and maps that belong to it
_ROW_GROUP = 2**28  # bytes of a column in a row group, from which it may not be packed too well
_PACKED = 20  # times that no sound can be packed
_UNPACKERS: Mapping[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZ": bz2.open,
    b"\xfd7": lzma.open,
}
_one_large = Lock()

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

    Memory is bounded: few recordings are held at a time, of which large ones are files on disk,
    and the caller takes a chunk before the next one is begun.

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
        fetched = _ahead(threads, lambda clip: _fetch(clip, long, job.seconds, unit), _read(unit))
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
    threads: ThreadPoolExecutor, function: Callable[[Clip | None], T], items: Iterable[Clip | None]
) -> Iterator[T]:
    """Results of a function in the order of the clips; nothing is read ahead of a large one."""
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(threads.submit(function, item))
            while len(waiting) > (0 if item and _is_large(item) else AHEAD):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _is_large(clip: Clip) -> bool:
    """Whether a clip is all of a recording that is kept on disk."""
    content = clip.item.content if isinstance(clip.item, Recording) else clip.item
    return isinstance(content, Path) and clip.begin is None


def _fetch(clip: Clip | None, long: Long, seconds: float, unit: WorkUnit) -> list[Clip]:
    """Get the bytes of a recording, hash them, and cut it."""
    assert clip is not None
    if clip.error:
        return [clip]
    try:
        clip = _with_recording(clip, long, unit.in_memory)
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


def _with_recording(clip: Clip, long: Long, in_memory: int) -> Clip:
    """A clip with its recording as its item, and the SHA-256 of its bytes."""
    content = clip.item
    if isinstance(content, Path):
        return clip._replace(item=Recording(clip.source, content))
    size = content.size if isinstance(content, File) else len(content)
    if size > _LARGEST[long]:
        remedy = "cut it into parts" + (", or give `long=cut`" if long == "refuse" else "")
        raise InputError(
            f"{clip.source}: {size / 2**30:.1f} GiB are more than the "
            f"{_LARGEST[long] / 2**30:.0f} GiB that are taken; {remedy}"
        )
    if isinstance(content, File):
        clip = clip._replace(**_content_of(content, in_memory))
    else:
        clip = clip._replace(sha256=hashlib.sha256(content).hexdigest())
    return clip._replace(item=Recording(clip.source, clip.item))


def _content_of(file: File, in_memory: int) -> dict[str, Any]:
    """The bytes of a file as item, or of a large one a file on disk; and the SHA-256."""
    filesystem, path = filesystem_of(file.address)
    remote = is_remote(file.address)
    if not remote and Path(path).is_dir():
        next(os.scandir(path), None)  # fails where it cannot be looked into
        raise InputError(f"{as_unicode(file.address)}: is a folder; name the files in it")
    if 0 <= file.size <= in_memory:
        with reaching(file.address):
            content: bytes = filesystem.cat_file(path)
        return {"item": content, "sha256": hashlib.sha256(content).hexdigest()}
    with opened(file.address) as source:
        if remote:
            return _copied(source, Path(path).suffix)
        return {"item": Path(path), "sha256": hashlib.file_digest(source, "sha256").hexdigest()}


def _copied(source: Any, suffix: str) -> dict[str, Any]:
    """A temporary file as item, which holds all that ``source`` gives; and the SHA-256."""
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(suffix=suffix, delete=False) as copy:
        weakref.finalize(copy, Path(copy.name).unlink, missing_ok=True)
        while block := source.read(_BLOCK):
            digest.update(block)
            copy.write(block)
    return {"item": Path(copy.name), "sha256": digest.hexdigest(), "copy": copy}


def _decode(clip: Clip, read: Callable[[Recording], Any]) -> Clip:
    """A clip with what the job reads of it as its item, in place of its recording."""
    if clip.error:
        return clip
    whole, clip = clip, clip._replace(item=None, copy=None)  # which keeps the copy till the end
    recording = Recording(clip.key, whole.item.content, whole.item.span)
    try:
        with _one_large if _is_large(whole) else nullcontext():
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


def _read(unit: WorkUnit) -> Iterator[Clip]:
    """The recordings of a work unit, each as one clip whose bytes or file are its item."""
    if unit.kind == "files":
        for file in unit.files:
            yield Clip(as_unicode(file.address), file.version, file)
    elif unit.kind == "tar":
        yield from _members(unit.files[0], unit.in_memory)
    else:
        yield from _rows(unit)


class _Reader:
    """A stream of which some bytes were read already, or of which no more than some may be read."""

    def __init__(self, stream: Any, *, head: bytes = b"", most: float = float("inf")) -> None:
        self._stream, self._head, self._left = stream, head, most

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError(f"a header of more than {_HEADER / 2**20:.0f} MiB")
        head, self._head = self._head[:size], self._head[size:]
        return head + bytes(self._stream.read(size - len(head)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _StrictTarInfo(tarfile.TarInfo):
    """A header in a tar file, of limited size; a damaged one is an error, not the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictTarInfo:
        stream = tarfile_.fileobj
        tarfile_.fileobj = _Reader(stream, most=_HEADER)
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error
        finally:
            tarfile_.fileobj = stream


def _unpacked(content: Any) -> Any:
    """A tar file, or several that follow one another, without compression."""
    head = content.read(2)
    stream = _Reader(content, head=head)
    return _UNPACKERS[head](stream) if head in _UNPACKERS else stream


def _members(file: File, in_memory: int) -> Iterator[Clip]:
    """The sound files in a tar file; one that ends too early gives an error after its members.

    Members of one name are numbered, as a tar file may hold several.
    """
    name, count = as_unicode(file.address), 0
    named: Counter[str] = Counter()
    try:
        with (
            opened(file.address) as content,
            tarfile.open(
                fileobj=_unpacked(content), mode="r|", tarinfo=_StrictTarInfo, ignore_zeros=True
            ) as tar,
        ):
            for member in tar:
                tar.members.clear()  # type: ignore[attr-defined]  # they would grow with the file
                ours = member.name.lower().endswith(SUFFIXES) and not member.isdir()
                if not ours or is_hidden(member.name):
                    continue
                source = f"{name}/{as_unicode(member.name)}"
                named[source] += 1
                if named[source] > 1:
                    source = f"{source}#{named[source]}"
                if problem := _problem_of(member):
                    yield Clip(source, file.version, error=f"{source}: {problem}")
                    continue
                sound = tar.extractfile(member)
                assert sound is not None  # it is a file
                clip = Clip(source, file.version)
                if member.size > in_memory:
                    clip = clip._replace(**_copied(sound, Path(member.name).suffix))
                    size = clip.item.stat().st_size
                else:
                    clip = clip._replace(item=sound.read())
                    size = len(clip.item)
                if size < member.size:
                    raise tarfile.ReadError("unexpected end of data")
                count += 1
                yield clip
        if not named:
            problem = f"{name}: holds no sound files ({', '.join(SUFFIXES)}); leave it out"
            yield Clip(name, file.version, error=problem)
    except Exception as error:  # libraries beneath have error classes of their own
        yield _failed(Clip(name, file.version), error, f"{count} recordings")


def _problem_of(member: tarfile.TarInfo) -> str | None:
    """Why a sound file in a tar file cannot be read; None where it can."""
    if member.issym() or member.islnk():
        target = as_unicode(member.linkname)
        return (
            f"is a link to {target}, and a tar file is read once, from its beginning to its end; "
            f"pack it with `tar --dereference --hard-dereference`"
        )
    if not member.isfile():
        return "is a pipe or a device; leave it out"
    return "is larger than 1 GiB; cut it into parts" if member.size > _LARGEST["refuse"] else None


def _rows(unit: WorkUnit) -> Iterator[Clip]:
    """The sounds in a row group of a Parquet file."""
    import pyarrow.parquet as pq

    file, row_group = unit.files[0], unit.row_group
    name, number = as_unicode(file.address), 0
    try:
        with opened(file.address) as content:
            parquet = pq.ParquetFile(content)
            if not parquet.metadata.num_rows:
                raise InputError(f"{name}: holds no rows; leave it out")
            if row_group < 0:
                raise UnreachableError("it could not be opened at first")
            column = _sound_column(parquet, name, unit.column)
            size = _unpacked_size(parquet, row_group, column)
            rows = 16 if size < unit.in_memory else 1  # all of them may be one entry of it
            for batch in parquet.iter_batches(rows, row_groups=[row_group], columns=[column]):
                for value in batch.column(0):
                    clip = Clip(f"{name}/{row_group}-{number}", file.version)
                    number += 1
                    yield _row(clip, value.as_py(), file, unit.in_memory)
    except Exception as error:  # as for tar files
        yield _failed(Clip(name, file.version), error, f"{number} rows")


def _row(clip: Clip, value: Any, file: File, in_memory: int) -> Clip:
    """A clip with the sound of a row: bytes, or a file whose path stands there."""
    sound, path = (
        (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, "")
    )
    if sound and len(sound) > in_memory:
        return clip._replace(**_copied(io.BytesIO(sound), Path(path or "").suffix))
    if sound:
        return clip._replace(item=sound)
    if path and not is_remote(path):
        return clip._replace(item=named_file(posixpath.join(posixpath.dirname(file.address), path)))
    return clip._replace(error=f"{clip.source}: holds no sound; leave this row out")


def _sound_column(parquet: Any, name: str, wanted: str | None) -> str:
    """The column of sounds: the one that is wanted, or has a usual name, or holds sound."""
    schema = parquet.schema_arrow
    structures: list[str] = [field.name for field in schema if _is_file(field.type)]
    columns: list[str] = structures + [each.name for each in schema if _is_binary(each.type)]
    if wanted is not None:
        columns = [each for each in columns if each == wanted]
    if not columns:
        types = ", ".join(f"{each.name}: {each.type}" for each in schema)[:300]
        which = "no column" if wanted is None else f"no column {wanted}"
        raise InputError(f"{name}: has {which} of binary sounds ({types}); name another file")
    usual = [each for each in columns if each in _USUAL_COLUMNS]
    if usual or len(columns) == 1:
        return [*usual, *columns][0]
    return next((each for each in columns if _holds_sound(parquet, each)), columns[0])


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as kinds

    return any(
        getattr(kinds, f"is_{each}")(kind) for each in ("binary", "large_binary", "binary_view")
    )


def _is_file(kind: Any) -> bool:
    """Whether a type is a structure of bytes, or of a path, as `datasets` stores sounds."""
    import pyarrow.types as kinds

    if not kinds.is_struct(kind):
        return False
    inner = {field.name: field.type for field in kind}
    if "bytes" in inner and not kinds.is_null(inner["bytes"]):
        return _is_binary(inner["bytes"])
    return "path" in inner and (
        kinds.is_string(inner["path"]) or kinds.is_large_string(inner["path"])
    )


def _holds_sound(parquet: Any, column: str) -> bool:
    """Whether the first row of a column is a sound file."""
    _unpacked_size(parquet, 0, column)
    value = next(parquet.iter_batches(1, row_groups=[0], columns=[column])).column(0)[0].as_py()
    content = value.get("bytes") if isinstance(value, dict) else value
    try:
        with Recording("", content or b"").open_sound():
            return True
    except InputError:
        return False


def _unpacked_size(parquet: Any, row_group: int, column: str) -> int:
    """The bytes of a column in a row group.

    Raises:
        InputError: They are many, and packed as well as no sound can be.

    """
    group = parquet.metadata.row_group(row_group)
    parts = [group.column(number) for number in range(group.num_columns)]
    parts = [part for part in parts if part.path_in_schema.split(".")[0] == column]
    size, packed = (
        sum(getattr(part, f"total_{kind}_size") for part in parts)
        for kind in ("uncompressed", "compressed")
    )
    if size > _ROW_GROUP and size > _PACKED * packed:
        raise InputError(
            f"row group {row_group} holds {size / 2**20:,.0f} MiB in {packed:,} bytes, as no sound "
            f"can be packed; leave it out"
        )
    return int(size)
