"""Run a job over work units, in this process or on Ray Data."""

import logging
import os
import pickle  # only for messages between the processes of a run
import socket
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from functools import lru_cache, partial
from importlib.util import find_spec
from threading import Event
from typing import Any, TypeVar

import torch

from audiate.bulk.addresses import Store
from audiate.bulk.archives import WorkUnit
from audiate.bulk.jobs import Job, OpenJob
from audiate.bulk.reading import Long, chunks_of
from audiate.bulk.rows import Written, write_chunk
from audiate.errors import InputError

T = TypeVar("T")

_STARTS = 60  # seconds in which a worker is to start
_OBJECT_STORE = 2**29  # bytes, of a Ray that we start: it bounds what is read ahead


def run_here(
    job: OpenJob, store: Store, units: Sequence[WorkUnit], long: Long
) -> Generator[Written, None, None]:
    """Work in this process; the next chunk is read while the model computes."""
    ended = Event()
    chunks = (chunk for unit in units for chunk in chunks_of(job, unit, long, ended))
    with closing(_read_ahead(chunks, ended)) as ready:
        for chunk in ready:
            yield write_chunk(store, job, chunk)


def _read_ahead(items: Generator[T, None, None], ended: Event) -> Generator[T, None, None]:
    """Iterate over items, and make the next one in a thread; the event ends it early."""
    thread = ThreadPoolExecutor(1, "audiate-reader")
    try:
        coming = thread.submit(next, items, None)
        while True:
            while not coming.done():
                wait([coming], timeout=0.5)  # so that Ctrl-C interrupts it
            item = coming.result()
            if item is None:
                return
            coming = thread.submit(next, items, None)
            yield item
    finally:
        ended.set()
        thread.shutdown()  # a thread that computes while Python ends makes it abort
        items.close()


def run_on_ray(
    job: Job,
    out: str,
    units: Sequence[WorkUnit],
    long: Long,
    address: str | None,
    workers: int | None,
    device: str,
) -> Generator[Written, None, None]:
    """Work by Ray Data: tasks read and decode, actors hold the models and write.

    When a worker or a node is lost, Ray gives its chunks to others, and a chunk that is done twice
    replaces the same file.

    Args:
        job: What is done.
        out: Address of the output.
        units: What is read.
        long: Whether long recordings are cut into clips.
        address: Address of a cluster; None starts Ray on this machine, unless it runs already.
        workers: Number of models; by default one for each GPU, or else for each core.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: Ray is not installed, the cluster cannot be reached, or nothing can be written.

    """
    if find_spec("ray") is None:
        install = 'pip install "audiate[ray]"'
        raise InputError(f"`engine=ray` needs Ray, which is not installed: {install}")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # 30 s are few on a busy machine
    if address is None:  # under `uv run`, Ray would pack the working folder for its workers
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    import ray

    ours = not ray.is_initialized()
    if ours:
        _start(address)
    try:
        _check_starts()
        yield from _on_cluster(job, out, units, long, workers, device)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise InputError(str(error.cause)) from error
        raise
    finally:
        if ours:
            ray.shutdown()


def _start(address: str | None) -> None:
    import ray

    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what Ray mends is no news to users
    where: dict[str, Any] = {"address": address}
    if address is None:  # not a cluster that happens to run here
        where = {"address": "local", "include_dashboard": False}
        where["object_store_memory"] = _OBJECT_STORE
    _check_answers(address)
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # a start that takes too long raises no class of its own
        reason = " ".join(f"{error}".split())[:200]
        if address is None:
            raise InputError(f"Ray does not start here ({reason}); use `engine=local`") from error
        raise InputError(f"`address` {address}: no Ray cluster answers ({reason})") from error


def _check_starts() -> None:
    """Make sure that a worker starts, for which Ray would wait for ever."""
    import ray

    try:
        ray.get(ray.remote(num_cpus=0)(lambda: True).remote(), timeout=_STARTS)
    except (ray.exceptions.RayError, TimeoutError) as error:
        reason = " ".join(f"{error}".split())[:200]
        raise InputError(
            f"no worker of Ray starts within {_STARTS} s ({reason}); see its logs in "
            f"/tmp/ray/session_latest/logs, or use `engine=local`"
        ) from error


def _check_answers(address: str | None) -> None:
    """Make sure that a server answers at an address, for which Ray would wait for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # such as auto, which Ray looks up
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"`address` {address}: no Ray cluster answers ({error}); start one with `ray start`"
        ) from error


def _on_cluster(
    job: Job, out: str, units: Sequence[WorkUnit], long: Long, workers: int | None, device: str
) -> Iterator[Written]:
    import ray

    context = ray.data.DataContext.get_current()
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # which importing it has reset
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # each chunk goes on as soon as it is read
    resources = ray.cluster_resources()
    gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
    cores = max(1, int(resources.get("CPU", 1)))
    count = workers or gpus or cores
    kind, readers = "cuda" if gpus else "cpu", max(count, cores - count)
    units = [replace(unit, in_memory=unit.in_memory // readers) for unit in units]
    written = (
        ray.data.from_arrow([_packed(unit) for unit in units])
        .map_batches(
            partial(_read, job=job, long=long),
            # Models that find new places when a node is gone must not leave readers without one.
            **{"batch_size": 1, "batch_format": "pyarrow", "num_cpus": 0},
            concurrency=readers,
        )
        .map_batches(
            _Model,
            fn_constructor_kwargs={"job": job, "out": out, "device": kind},
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=count),
            **{"batch_size": 1, "batch_format": "pyarrow", "num_cpus": 1},
            **({"num_gpus": min(1.0, gpus / count)} if gpus else {}),
        )
    )
    for batch in written.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from _unpacked(batch)


def _packed(*values: object) -> Any:
    """Objects as rows of a table, in which Ray moves them from one process to another.

    They are pickled, as Ray pickles all that it moves: only its own processes ever read them.
    """
    import pyarrow as pa

    content = [pickle.dumps(value, protocol=5) for value in values]
    return pa.table({"packed": pa.array(content, pa.large_binary())})


def _unpacked(table: Any) -> Iterator[Any]:
    for value in table["packed"]:
        yield pickle.loads(value.as_py())


@lru_cache(1)
def _open_reader(job: Job) -> OpenJob:
    """The job of a process that reads: on the CPU, loaded once."""
    torch.set_num_threads(1)
    return job.open("cpu")


def _read(table: Any, job: Job, long: Long) -> Iterator[Any]:
    for unit in _unpacked(table):
        for chunk in chunks_of(_open_reader(job), unit, long, Event()):
            yield _packed(chunk)


class _Model:
    """An actor that holds the models, works at chunks and writes them."""

    def __init__(self, job: Job, out: str, device: str) -> None:
        torch.set_num_threads(1)
        self.job, self.store = job.open(device), Store(out)

    def __call__(self, table: Any) -> Any:
        """Write chunks, and give their counts."""
        return _packed(*(write_chunk(self.store, self.job, chunk) for chunk in _unpacked(table)))
