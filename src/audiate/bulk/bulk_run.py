"""A bulk run: what is there is taken up, the rest is done, and everything is counted."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

from audiate.bulk.addresses import need_pyarrow
from audiate.bulk.dataset import ROWS, Part, check_report, parts_of, read_report, write_report
from audiate.bulk.engines import Task, run_here, run_on_ray
from audiate.bulk.plan import known_counts, plan, read_index
from audiate.bulk.reading import Long, key_of
from audiate.bulk.store import Store
from audiate.bulk.works import Job
from audiate.data.folders import REPORT_NAME
from audiate.errors import InputError, Interrupted, check_range
from audiate.utils.progress import counting

Engine = Literal["auto", "local", "ray"]
"""``local``: this process alone. ``ray``: Ray Data. ``auto``: Ray Data where a cluster or several
workers are asked for."""

PROGRESS_NAME = "progress.json"
_SECONDS_BETWEEN_NOTES = 5.0


@dataclass(frozen=True)
class Totals:
    """Counts of an output.

    Attributes:
        clips: Number of rows.
        failures: Reasons by the key of the clip.
        duration: Length of the usable clips, in seconds.

    """

    clips: int
    failures: Mapping[str, str]
    duration: float

    @property
    def reasons(self) -> Counter[str]:
        """Number of failures by their reason, in which names and numbers are left out."""
        return Counter(_reason(key, error) for key, error in self.failures.items())

    @property
    def _length(self) -> str:
        if self.duration < 3600:
            return f"{self.duration / 60:.1f} minutes"
        return f"{self.duration / 3600:,.1f} hours"

    def summary(self) -> list[str]:
        """Lines about all rows."""
        good = self.clips - len(self.failures)
        lines = [
            f"{good:,} clips, {self._length} of sound; {len(self.failures):,} could not be used"
        ]
        lines += [f"  {count:,} x {reason}" for reason, count in self.reasons.most_common()]
        return lines


@dataclass(frozen=True)
class BulkReport:
    """The result of a bulk run.

    Attributes:
        out: Address of the output.
        new: Number of clips that this call has worked at.
        seconds: Time of this call, in seconds.
        steady_rate: Clips a second since work at the first chunk began; None where there was only
            one chunk.
        totals: Counts of the whole output.

    """

    out: str
    new: int
    seconds: float
    steady_rate: float | None
    totals: Totals

    def summary(self) -> list[str]:
        """Lines about this call and about all rows."""
        first = f"{self.new:,} clips in {self.seconds:,.0f} s"
        if not self.new:
            first = "nothing was left to do"
        elif self.steady_rate is not None:
            first += f", {self.steady_rate:,.1f} a second once started"
        else:
            first += f", {self.new / self.seconds:,.1f} a second with the start"
        return [first, *self.totals.summary(), f"see {self.out}/{ROWS}"]


@dataclass
class _Count:
    """How far a run has got."""

    before: int
    known: int
    uncounted: int
    cut: bool = False
    new: int = 0
    started: float | None = None
    steady_rate: float | None = None
    totals: list[int] = field(default_factory=list)

    def add(self, part: Part) -> None:
        self.new += part.clips
        now = time.monotonic()
        if self.started is None:  # several workers begin at the same time
            self.started = now - part.seconds
        else:
            self.steady_rate = self.new / max(now - self.started, 1e-9)
        if part.total is not None:
            self.totals.append(part.total)

    @property
    def total(self) -> int | None:
        """Number of all clips; an estimate while there are containers that nobody has counted.

        None where nobody can tell: into how many clips a file is cut is known when it is read.
        """
        if self.cut:
            return None
        if not self.uncounted:
            return self.before + self.known
        if not self.totals:
            return None
        mean = sum(self.totals) / len(self.totals)
        return max(self.before + self.new, self.before + self.known + round(self.uncounted * mean))


def run_bulk(
    job: Job,
    sources: Sequence[str],
    out: str,
    *,
    engine: Engine = "auto",
    workers: int | None = None,
    address: str | None = None,
    long: Long = "refuse",
    retry_failed: bool = False,
    device: str = "auto",
) -> BulkReport:
    """Work at all clips of a source, and write a row for each to a data set of Parquet files.

    Rows that are there already stay as they are, so the same call goes on after an interruption of
    any kind. A clip that cannot be used gets a row with the reason.

    Args:
        job: What is done.
        sources: As for `audiate.bulk.shards.find_files`.
        out: Folder or URL of the output. All workers must be able to write there.
        engine: One of `Engine`.
        workers: Number of models that work at once.
        address: Address of a Ray cluster, such as ``auto`` or ``ray://head:10001``.
        long: ``cut``: recordings of at least 1.5 times the model's length are cut into clips.
            ``refuse``: what `draw` and `invert` refuse is refused.
        retry_failed: Work at clips again whose rows hold an error.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: There is no such model or source, the output holds something else, or another
            command writes there.
        Interrupted: Ctrl-C was pressed; what is done is recorded.

    """
    need_pyarrow()
    by_ray = _is_by_ray(engine, workers, address)
    store, begun = Store(out), time.monotonic()
    work = job.open("cpu" if by_ray else device)
    with store.alone():
        settings = {**work.settings, "long": long}
        is_new = check_report(store, job.command, settings)
        index = read_index(store, retry_failed=retry_failed)
        shards = plan(store, sources, index, work.chunk_size)
        if is_new:  # only now, as a source that was mistyped begins nothing
            write_report(store, job.command, settings)
        count = _Count(index.clips, *known_counts(shards), cut=long == "cut")
        task = Task(job, store.address, long)
        parts = (
            run_on_ray(task, shards, address=address, workers=workers, device=device)
            if by_ray
            else run_here(task, work, shards)
        )
        with closing(parts):
            if shards:
                _follow(store, job, parts, count)
        totals = count_rows(store)
    return BulkReport(store.address, count.new, time.monotonic() - begun, count.steady_rate, totals)


def _is_by_ray(engine: Engine, workers: int | None, address: str | None) -> bool:
    """Whether Ray does the work."""
    if workers is not None:
        check_range("`workers`", workers, 1, 10_000)
    several = address is not None or (workers or 1) > 1
    if engine == "local" and several:
        raise InputError("`engine=local` has one worker; leave `workers` and `address` out")
    return engine == "ray" or several


def _follow(store: Store, job: Job, parts: Iterator[Part], count: _Count) -> None:
    """Take the parts as they are written, and show and note how far it is."""
    noted = time.monotonic()
    try:
        _note(store, count)
        with counting(job.command) as update:
            for part in parts:
                count.add(part)
                update(count.before + count.new, count.total, count.steady_rate)
                if time.monotonic() - noted > _SECONDS_BETWEEN_NOTES:
                    noted = time.monotonic()
                    _note(store, count)
    except KeyboardInterrupt as stop:
        raise Interrupted(f"stopped after {count.new:,} clips") from stop
    finally:
        store.remove(PROGRESS_NAME)


def _note(store: Store, count: _Count) -> None:
    state = {
        **{"done": count.before + count.new, "total": count.total},
        **{"rate": count.steady_rate, "time": time.time()},
        **{"host": socket.gethostname(), "process": os.getpid()},
    }
    store.write(PROGRESS_NAME, json.dumps(state).encode())


def count_rows(store: Store) -> Totals:
    """Count the rows of an output."""
    clips, duration = 0, 0.0
    failures: dict[str, str] = {}
    for _, table, _ in parts_of(store, ("source", "begin", "duration", "error")):
        clips += len(table)
        for row in table.to_pylist():
            if row["error"] is None:
                duration += row["duration"]
            else:
                failures[key_of(row["source"], row["begin"])] = row["error"]
    return Totals(clips, failures, duration)


def status(out: str) -> list[str]:
    """Lines about an output, which a command may be writing to.

    Raises:
        InputError: It is no output of ours.

    """
    need_pyarrow()
    store = Store(out)
    report, works = store.read(REPORT_NAME), store.is_held()
    if report is None and works:
        return ["a command is starting there, and looks for what is to be done"]
    command, settings = read_report(store, report)
    described = ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))
    lines = [f"audiate {command} ({described})", *count_rows(store).summary()]
    stored = store.read(PROGRESS_NAME)
    if stored is not None:
        lines.append(_progress(json.loads(stored), works))
    elif works:
        lines.append("a command is starting there, and looks for what is to be done")
    return lines


def _progress(state: Mapping[str, Any], works: bool) -> str:
    """A line about the command that works there, or did until it was killed."""
    process = f"process {state['process']} on {state['host']}"
    if not works:
        return f"{process} was ended before all was done; run the same command to go on"
    ago = max(0.0, time.time() - state["time"])
    total, rate = state["total"], state["rate"]
    line = f"{state['done']:,}"
    if total is not None:
        line += f" of {total:,}"
    line += f" clips {ago:,.0f} s ago"
    if rate:
        line += f", {rate:,.1f} a second"
        if total is not None:
            line += f", {(total - state['done']) / rate / 60:.1f} min left"
    return f"{line}; {process} works there"


def _reason(key: str, error: str) -> str:
    """The reason of an error, in which names and numbers are left out."""
    text = error.replace(key, "").lstrip(": ").split(";")[0]
    return re.sub(r"(?<![\w])\d[\d.,]*", "N", text)[:100]
