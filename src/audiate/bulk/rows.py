"""The rows of the output: Parquet files that are written whole or not at all."""

import hashlib
import io
import json
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

from audiate.bulk.addresses import Store
from audiate.bulk.archives import ROWS
from audiate.bulk.jobs import OpenJob, Result
from audiate.bulk.reading import Chunk, Clip, key_of
from audiate.errors import InputError


class Written(NamedTuple):
    """The counts of a chunk that was written.

    Attributes:
        clips: Number of rows.
        seconds: Time that the job took for them.
        total: Number of all clips of the container, after the last one of its chunks.

    """

    clips: int
    seconds: float
    total: int | None = None


def write_chunk(store: Store, job: OpenJob, chunk: Chunk) -> Written:
    """Work at a chunk in batches, and write its rows, after which it counts as done."""
    usable = [clip for clip in chunk.clips if clip.error is None]
    results: dict[str, Result | InputError] = {}
    seconds: dict[str, float] = {}
    begun = time.monotonic()
    for begin in range(0, len(usable), job.batch_size):
        batch = usable[begin : begin + job.batch_size]
        began = time.monotonic()
        found = _results(job, [clip.item for clip in batch])
        each = (time.monotonic() - began) / len(batch)
        for clip, result in zip(batch, found, strict=True):
            results[clip.key], seconds[clip.key] = result, each
    rows = [_row(job, clip, results.get(clip.key), seconds.get(clip.key)) for clip in chunk.clips]
    written = Written(len(rows), time.monotonic() - begun, chunk.total)
    name = _digest(sorted(clip.key for clip in chunk.clips), job.settings)[:24]
    metadata = {"container": chunk.container, "version": chunk.version, "total": chunk.total}
    content = _parquet(_table(job, rows, metadata))
    if job.files is not None:
        files = _tar(rows, results, job.files[1])
        store.write(f"{job.files[0]}/{name}.tar", files)
    store.write(f"{ROWS}/{name}.parquet", content)  # last, as the chunk is done with it
    return written


def _results(job: OpenJob, items: Sequence[Any]) -> list[Result | InputError]:
    """The results of a batch; where a clip of it cannot be used, clips are worked at one by one."""
    try:
        return list(job.compute(items))
    except InputError as error:
        if len(items) == 1:
            return [error]
        return [found for item in items for found in _results(job, [item])]


def _row(
    job: OpenJob, clip: Clip, result: Result | InputError | None, seconds: float | None
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": _digest([clip.sha256 or clip.key, clip.begin], job.settings)[:32],
        "source": clip.source,
        "begin": clip.begin,
        "cut_into": clip.cut_into,
        "sha256": clip.sha256 or None,
        "version": clip.version,
        "error": clip.error,
        "model": job.model,
        "seconds": seconds,
    }
    if isinstance(result, InputError):
        row["error"] = f"{clip.key}: {result}"
    elif result is not None:
        row |= result.columns
    return row | {"duration": clip.duration}  # that of the recording, whatever the model took


def _table(job: OpenJob, rows: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]) -> Any:
    import numpy as np
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "double": pa.float64(),
        "latent": pa.list_(pa.float16()),
        "int": pa.int32(),
        "float": pa.float32(),
        "int | None": pa.int32(),
        "float | None": pa.float32(),
        "tuple[int, ...]": pa.list_(pa.int8()),
        "tuple[float, ...]": pa.list_(pa.float32()),
    }
    names = {
        **{"id": "text", "source": "text", "begin": "double", "cut_into": "int"},
        **{"duration": "float", "sha256": "text", "version": "text"},
        **job.columns,
        **{"seconds": "float", "model": "text", "error": "text"},
    }
    schema = pa.schema([(name, types[kind]) for name, kind in names.items()])
    columns = {name: [row.get(name) for row in rows] for name in names}
    if "latent" in columns:
        columns["latent"] = [
            None if latent is None else np.asarray(latent, np.float16)
            for latent in columns["latent"]
        ]
    return pa.table(columns, schema=schema.with_metadata({"audiate": json.dumps(metadata)}))


def _parquet(table: Any) -> bytes:
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()


def _tar(
    rows: Sequence[Mapping[str, Any]], results: Mapping[str, Result | InputError], ending: str
) -> bytes:
    """The pictures or sounds of a chunk, each by the id of its row; clips of one id share one."""
    content, written = io.BytesIO(), set()
    with tempfile.TemporaryDirectory() as place, tarfile.open(fileobj=content, mode="w") as tar:
        for row in rows:
            result = results.get(key_of(row["source"], row["begin"]))
            if not isinstance(result, Result) or result.write is None or row["id"] in written:
                continue
            written.add(row["id"])
            path = Path(place) / f"{row['id']}{ending}"
            result.write(path)
            member = tarfile.TarInfo(path.name)
            member.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)
            path.unlink()
    return content.getvalue()


def _digest(values: Sequence[object], settings: Mapping[str, str]) -> str:
    text = json.dumps([list(values), sorted(settings.items())], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def parts_of(store: Store, columns: Sequence[str]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """All Parquet files of an output: name, some columns as a table, and metadata of `Chunk`."""
    for name in store.names(ROWS):
        if name.startswith(".") or not name.endswith(".parquet"):
            continue
        content = store.read(f"{ROWS}/{name}")
        if content is None:
            continue
        file = _opened(content)
        metadata = json.loads((file.schema_arrow.metadata or {}).get(b"audiate", b"{}"))
        yield name.removesuffix(".parquet"), file.read(columns=list(columns)), metadata


def _opened(content: bytes) -> Any:
    """A Parquet file, in memory of Arrow's own.

    Arrow's threads may free what they have read when Python has ended already. Memory of Python's
    would then abort it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    memory = pa.allocate_buffer(len(content))
    memoryview(memory).cast("B")[:] = content
    return pq.ParquetFile(pa.BufferReader(memory))


def remove_rows(store: Store, part: str, names: Set[str]) -> int:
    """Remove rows from a Parquet file, or the whole file where none is left.

    Args:
        store: The output.
        part: Name of the file, without its suffix.
        names: Keys, sources and containers of the rows.

    Returns:
        The number of rows that were removed.

    """
    name = f"{ROWS}/{part}.parquet"
    content = store.read(name)
    if content is None:  # it was removed as a whole
        return 0
    table = _opened(content).read()
    container = json.loads((table.schema.metadata or {}).get(b"audiate", b"{}")).get("container")
    columns = table["source"].to_pylist(), table["begin"].to_pylist()
    kept = [
        row
        for row, (source, begin) in enumerate(zip(*columns, strict=True))
        if names.isdisjoint((key_of(source, begin), source, container))
    ]
    if kept:
        store.write(name, _parquet(table.take(kept)))
    else:
        store.remove(name)
    return len(columns[0]) - len(kept)
