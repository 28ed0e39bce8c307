"""The output: Parquet parts that are written whole or not at all, and what is noted in them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiate.bulk.reading import Chunk, Clip, key_of
from audiate.bulk.store import Store
from audiate.bulk.works import OpenWork, columns_of
from audiate.data.folders import REPORT_NAME
from audiate.errors import InputError
from audiate.folders.runner import Product, products_of

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = "rows"


@dataclass(frozen=True)
class Part:
    """What was written of a chunk.

    Attributes:
        name: Name of the part.
        clips: Number of rows.
        failures: Reasons by the key of the clip.
        duration: Length of the clips that were usable, in seconds.
        seconds: Time that the model took for them.
        total: Number of all clips of the container, after the last one of its parts.

    """

    name: str
    clips: int
    failures: Mapping[str, str]
    duration: float
    seconds: float
    total: int | None = None


@dataclass(frozen=True)
class Computed:
    """The rows of a chunk as a Parquet file, and the tar file beside it."""

    part: Part
    rows: bytes
    files: bytes | None
    folder: str | None


def compute(work: OpenWork[Any, Any], chunk: Chunk) -> Computed:
    """Work at a chunk, in batches."""
    usable = [clip for clip in chunk.clips if clip.error is None]
    found: dict[str, Product[Any] | InputError] = {}
    seconds: dict[str, float] = {}
    begun = time.monotonic()
    for begin in range(0, len(usable), work.batch_size):
        batch = usable[begin : begin + work.batch_size]
        began = time.monotonic()
        products = products_of(work.clips, [clip.item for clip in batch])
        each = (time.monotonic() - began) / len(batch)
        for clip, product in zip(batch, products, strict=True):
            found[clip.key], seconds[clip.key] = product, each
    rows = [_row(work, clip, found.get(clip.key), seconds.get(clip.key)) for clip in chunk.clips]
    name = _digest(sorted(clip.key for clip in chunk.clips), work.settings)[:24]
    failures = {clip.key: row["error"] for clip, row in zip(chunk.clips, rows, strict=True)}
    part = Part(
        name,
        len(rows),
        {key: reason for key, reason in failures.items() if reason is not None},
        sum(row["duration"] for row in rows if row["error"] is None),
        time.monotonic() - begun,
        chunk.total,
    )
    metadata = {"container": chunk.container, "version": chunk.version, "total": chunk.total}
    table = _table(work, rows, metadata)
    return Computed(part, _parquet(table), _tar(work, rows, found), work.folder)


def record(store: Store, computed: Computed) -> Part:
    """Write a chunk; with its rows it counts as done, so these come last."""
    name = computed.part.name
    if computed.files is not None:
        store.write(f"{computed.folder}/{name}.tar", computed.files)
    store.write(f"{ROWS}/{name}.parquet", computed.rows)
    return computed.part


def _row(
    work: OpenWork[Any, Any],
    clip: Clip,
    found: Product[Any] | InputError | None,
    seconds: float | None,
) -> dict[str, Any]:
    identity = _digest([clip.sha256 or clip.key, clip.begin], work.settings)[:32]
    row: dict[str, Any] = {
        "id": identity,
        "source": clip.source,
        "begin": clip.begin,
        "cut_into": clip.cut_into,
        "duration": clip.duration,
        "sha256": clip.sha256 or None,
        "version": clip.version,
        "error": clip.error,
        "model": work.model,
        "seconds": seconds,
    }
    if isinstance(found, InputError):
        row["error"] = f"{clip.key}: {found}"
    elif found is not None:
        row |= {} if found.result is None else asdict(found.result)
        row |= {"duration": clip.duration}  # that of the recording, whatever the model took
        row |= {"latent": found.latent} if work.has_latent else {}
    return row


def _table(
    work: OpenWork[Any, Any], rows: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]
) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    schema = _schema(work).with_metadata({"audiate": json.dumps(metadata)})
    columns = {name: [row.get(name) for row in rows] for name in schema.names}
    if work.has_latent:
        columns["latent"] = [
            None if latent is None else np.asarray(latent, np.float16)
            for latent in columns["latent"]
        ]
    return pa.table(columns, schema=schema)


def _schema(work: OpenWork[Any, Any]) -> pa.Schema:
    import pyarrow as pa

    kinds = {
        "int": pa.int32(),
        "float": pa.float32(),
        "int | None": pa.int32(),
        "float | None": pa.float32(),
        "tuple[int, ...]": pa.list_(pa.int8()),
        "tuple[float, ...]": pa.list_(pa.float32()),
    }
    columns = {
        **{"id": pa.string(), "source": pa.string(), "begin": pa.float64()},
        "cut_into": pa.int32(),
        **{"duration": pa.float32(), "sha256": pa.string(), "version": pa.string()},
    }
    if work.has_latent:
        columns["latent"] = pa.list_(pa.float16())
    columns |= {name: kinds[kind] for name, kind in columns_of(work.result).items()}
    columns |= {"duration": pa.float32(), "seconds": pa.float32()}
    columns |= {"model": pa.string(), "error": pa.string()}
    return pa.schema(list(columns.items()))


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()


def _tar(
    work: OpenWork[Any, Any],
    rows: Sequence[Mapping[str, Any]],
    found: Mapping[str, Product[Any] | InputError],
) -> bytes | None:
    """The pictures or sounds of a chunk, each by the id of its row; clips of one id share one."""
    if work.folder is None:
        return None
    (ending,) = work.clips.endings
    content, written = io.BytesIO(), set()
    with tempfile.TemporaryDirectory() as place, tarfile.open(fileobj=content, mode="w") as tar:
        for row in rows:
            product = found.get(key_of(row["source"], row["begin"]))
            if not isinstance(product, Product) or row["id"] in written:
                continue
            written.add(row["id"])
            path = Path(place) / ending.format(row["id"])
            product.writers[0](path)
            member = tarfile.TarInfo(path.name)
            member.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)
            path.unlink()
    return content.getvalue()


def _digest(values: Sequence[object], settings: Mapping[str, str]) -> str:
    text = json.dumps([list(values), sorted(settings.items())], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def check_report(store: Store, command: str, settings: Mapping[str, str]) -> bool:
    """Make sure that an output may be begun, or gone on with.

    Returns:
        Whether its report has to be written. One that has no rows yet is begun anew, whatever the
        settings were.

    Raises:
        InputError: The folder holds something else, or was begun with other settings.

    """
    stored, rows = store.read(REPORT_NAME), store.names(ROWS)
    if stored is None:
        if rows:
            raise InputError(
                f"{store.address}: holds a folder `{ROWS}` that this command has not written; name "
                f"another folder with `out`"
            )
        return True
    earlier, known = read_report(store, stored)
    begun = any(name.endswith(".parquet") for name in rows)
    if earlier != f"bulk {command}" and (begun or not earlier.startswith("bulk ")):
        raise InputError(
            f"{store.address}: holds the results of `audiate {earlier}`; name another folder with "
            f"`out`"
        )
    differing = [
        f"`{name}` {known.get(name)} (now {settings.get(name)})"
        for name in sorted(known.keys() | settings.keys())
        if known.get(name) != settings.get(name)
    ]
    if differing and begun:
        raise InputError(
            f"{store.address}: was begun with {', '.join(differing)}; go on with the same "
            f"settings, or name another folder with `out`"
        )
    return bool(differing) or earlier != f"bulk {command}"


def write_report(store: Store, command: str, settings: Mapping[str, str]) -> None:
    """Begin an output."""
    report = {"command": f"bulk {command}", "settings": dict(settings), "files": {}, "clips": {}}
    store.write(REPORT_NAME, json.dumps(report, indent=1).encode())


def read_report(store: Store, stored: bytes | None) -> tuple[str, dict[str, str]]:
    """The command and the settings with which an output was begun.

    Raises:
        InputError: It is no output of ours.

    """
    try:
        report = json.loads(stored or b"")
        return str(report["command"]), dict(report["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{store.address}: holds no {REPORT_NAME} of `audiate bulk`; name another folder"
        ) from error


def parts_of(
    store: Store, columns: Sequence[str]
) -> Iterator[tuple[str, pa.Table, dict[str, Any]]]:
    """All parts of an output: name, some columns, and what is noted of the container."""
    import pyarrow.parquet as pq

    for name in store.names(ROWS):
        if name.startswith(".") or not name.endswith(".parquet"):
            continue
        content = store.read(f"{ROWS}/{name}")
        if content is None:
            continue
        file = pq.ParquetFile(io.BytesIO(content))
        noted = json.loads((file.schema_arrow.metadata or {}).get(b"audiate", b"{}"))
        yield name.removesuffix(".parquet"), file.read(columns=list(columns)), noted


def rewrite(store: Store, part: str, keep: Callable[[str, str], bool]) -> int:
    """Take rows out of a part, and return their number; a part that would be empty is removed.

    Args:
        store: The output.
        part: Name of the part.
        keep: Tells by the key of a clip and by its source whether its row is kept.

    """
    import pyarrow.parquet as pq

    name = f"{ROWS}/{part}.parquet"
    content = store.read(name)
    if content is None:  # it was removed as a whole
        return 0
    table = pq.read_table(io.BytesIO(content))
    columns = table["source"].to_pylist(), table["begin"].to_pylist()
    kept = [
        row
        for row, (source, begin) in enumerate(zip(*columns, strict=True))
        if keep(key_of(source, begin), source)
    ]
    if kept:
        store.write(name, _parquet(table.take(kept)))
    else:
        store.remove(name)
    return len(columns[0]) - len(kept)
