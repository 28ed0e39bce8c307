"""Where the work is done: in this process, or by the workers of Ray Data."""

from __future__ import annotations

import logging
import os
import pickle  # only what one process of a run tells another
import socket
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from audiate.bulk.dataset import Part, compute, record
from audiate.bulk.reading import Chunk, Long, chunks_of
from audiate.bulk.shards import Shard
from audiate.bulk.store import Store
from audiate.bulk.works import Job, OpenWork
from audiate.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

_INSTALL = 'pip install "audiate[ray]"'
_OBJECT_STORE = 2**29  # bytes, of a Ray that we start: it bounds what is read ahead


@dataclass(frozen=True)
class Task:
    """What all workers of a run must know.

    Attributes:
        job: What is done.
        out: Address of the output.
        long: What happens to long recordings.

    """

    job: Job
    out: str
    long: Long

    def chunks(
        self, work: OpenWork[Any, Any], shard: Shard, ended: Event | None = None
    ) -> Iterator[Chunk]:
        """Read a shard, or until the event is set."""
        return chunks_of(
            *(work.clips, shard),
            size=work.chunk_size,
            long=self.long,
            seconds=work.seconds,
            ended=ended or Event(),
        )


def run_here(
    task: Task, work: OpenWork[Any, Any], shards: Sequence[Shard]
) -> Generator[Part, None, None]:
    """Work in this process; the next chunk is read while the model computes."""
    store, ended = Store(task.out), Event()
    chunks = (chunk for shard in shards for chunk in task.chunks(work, shard, ended))
    with closing(_read_ahead(chunks, ended)) as ready:
        for chunk in ready:
            yield record(store, compute(work, chunk))


def _read_ahead(items: Iterator[T], ended: Event) -> Generator[T, None, None]:
    """The items, of which the next one is made in a thread; the event makes them end early."""
    ready: Queue[tuple[bool, Any]] = Queue(1)

    def put(message: tuple[bool, Any]) -> None:
        while not ended.is_set():
            try:
                return ready.put(message, timeout=0.2)
            except Full:
                continue
        return None

    def make() -> None:
        try:
            for item in items:
                put((True, item))
                if ended.is_set():
                    break
            put((False, None))
        except BaseException as error:  # it is raised where the items are taken
            put((False, error))

    thread = Thread(target=make, name="audiate-reader", daemon=True)
    thread.start()
    try:
        while True:
            try:
                there, item = ready.get(timeout=0.5)  # so that Ctrl-C is heard
            except Empty:
                continue
            if there:
                yield item
            elif item is not None:
                raise item
            else:
                return
    finally:
        ended.set()
        thread.join()  # a thread that computes while Python ends makes it abort


def run_on_ray(
    task: Task,
    shards: Sequence[Shard],
    *,
    address: str | None,
    workers: int | None,
    device: str,
) -> Generator[Part, None, None]:
    """Work by Ray Data: tasks read and decode, actors hold the models and write.

    A worker or a node that is lost does not matter: Ray gives its chunks to others, and a chunk
    that is done twice replaces the same file.

    Args:
        task: What is done.
        shards: What is read.
        address: Address of a cluster; None starts Ray on this machine, unless it runs already.
        workers: Number of models; by default one for each GPU, or else for each core.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: Ray is not installed, the cluster cannot be reached, or nothing can be written.

    """
    if find_spec("ray") is None:
        raise InputError(f"`engine=ray` needs Ray, which is not installed: {_INSTALL}")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # 30 s are few on a busy machine
    import ray

    ours = not ray.is_initialized()
    if ours:
        _start(address)
    try:
        yield from _results(task, shards, workers, device)
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


def _results(
    task: Task, shards: Sequence[Shard], workers: int | None, device: str
) -> Iterator[Part]:
    import pyarrow as pa
    import ray
    from ray.exceptions import RayTaskError

    context = ray.data.DataContext.get_current()
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # which importing it has reset
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # each chunk goes on as soon as it is read
    resources = ray.cluster_resources()
    gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
    cores = max(1, int(resources.get("CPU", 1)))
    count = workers or gpus or cores
    kind = "cuda" if gpus else "cpu"
    parts = (
        ray.data.from_arrow([_packed(shard) for shard in shards])
        .map_batches(
            partial(_read, task=task),
            # Models that find new places when a node is gone must not leave readers without one.
            **{"batch_size": 1, "batch_format": "pyarrow", "num_cpus": 0},
            concurrency=max(count, cores - count),
        )
        .map_batches(
            _Model,
            fn_constructor_kwargs={"task": task, "device": kind},
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=count),
            **{"batch_size": 1, "batch_format": "pyarrow", "num_cpus": 1},
            **({"num_gpus": min(1.0, gpus / count)} if gpus else {}),
        )
    )
    try:
        for batch in parts.iter_batches(batch_size=None, batch_format="pyarrow"):
            assert isinstance(batch, pa.Table)
            yield from _unpacked(batch)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise InputError(str(error.cause)) from error
        raise


def _packed(*values: object) -> pa.Table:
    """Objects as rows of a table, in which Ray moves them from one process to another.

    They are pickled, as Ray pickles all that it moves: only its own processes ever read them.
    """
    import pyarrow as pa

    content = [pickle.dumps(value, protocol=5) for value in values]
    return pa.table({"packed": pa.array(content, pa.large_binary())})


def _unpacked(table: pa.Table) -> Iterator[Any]:
    for value in table["packed"]:
        yield pickle.loads(value.as_py())


@lru_cache(1)
def _open_reader(job: Job) -> OpenWork[Any, Any]:
    """The work of a process that reads: on the CPU, loaded once."""
    torch.set_num_threads(1)
    return job.open("cpu")


def _read(table: pa.Table, task: Task) -> Iterator[pa.Table]:
    for shard in _unpacked(table):
        for chunk in task.chunks(_open_reader(task.job), shard):
            yield _packed(chunk)


class _Model:
    """An actor that holds the models, works at chunks and writes them."""

    def __init__(self, task: Task, device: str) -> None:
        torch.set_num_threads(1)
        self.work, self.store = task.job.open(device), Store(task.out)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Give the parts that were written of chunks."""
        chunks = _unpacked(table)
        return _packed(*(record(self.store, compute(self.work, chunk)) for chunk in chunks))
