"""Run a job over all clips of a source, go on after an interruption, and count the rows."""

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

from audiate.bulk.addresses import Store
from audiate.bulk.archives import PROGRESS_NAME, ROWS
from audiate.bulk.engines import run_here, run_on_ray
from audiate.bulk.jobs import Job
from audiate.bulk.plan import plan
from audiate.bulk.reading import Long, key_of
from audiate.bulk.rows import Written, parts_of
from audiate.data.folders import REPORT_NAME
from audiate.errors import InputError, Interrupted, check_range
from audiate.utils.progress import counted, counting

Engine = Literal["auto", "local", "ray"]
"""``local``: this process alone. ``ray``: Ray Data. ``auto``: Ray Data where a cluster or several
workers are asked for."""

_SECONDS_BETWEEN_NOTES = 5.0
_STARTING = "a command is starting there, and looks for what is to be done"


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

    def summary(self) -> list[str]:
        """Lines about all rows; reasons are counted without the names and numbers in them."""
        length = f"{self.duration / 3600:,.1f} hours"
        if self.duration < 3600:
            length = f"{self.duration / 60:.1f} minutes"
        good, bad = self.clips - len(self.failures), len(self.failures)
        reasons = Counter(_reason(key, error) for key, error in self.failures.items())
        return [
            f"{counted(good, 'clip')}, {length} of sound; {bad:,} could not be used",
            *(f"  {count:,} x {reason}" for reason, count in reasons.most_common()),
        ]


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
        first = f"{counted(self.new, 'clip')} in {self.seconds:,.0f} s"
        if not self.new:
            first = "nothing was left to do"
        elif self.steady_rate is not None:
            first += f", {self.steady_rate:,.1f} a second once started"
        else:
            first += f", {self.new / self.seconds:,.1f} a second with the start"
        return [first, *self.totals.summary(), f"see {self.out}/{ROWS}"]


@dataclass
class _Count:
    """The progress of a run.

    Attributes:
        before: Number of rows that were there.
        known: Number of clips that are to be read, without those of uncounted work units.
        uncounted: Number of work units with an unknown number of clips.
        cut: Whether recordings are cut, into a number of clips that is known when they are read.

    """

    before: int
    known: int
    uncounted: int
    cut: bool = False
    new: int = 0
    started: float | None = None
    steady_rate: float | None = None
    totals: list[int] = field(default_factory=list)

    def add(self, written: Written) -> None:
        self.new += written.clips
        now = time.monotonic()
        if self.started is None:  # several workers begin at the same time
            self.started = now - written.seconds
        else:
            self.steady_rate = self.new / max(now - self.started, 1e-9)
        if written.total is not None:
            self.totals.append(written.total)

    @property
    def total(self) -> int | None:
        """Number of all clips; an estimate while there are uncounted work units, or None."""
        if self.cut or (self.uncounted and not self.totals):
            return None
        if not self.uncounted:
            return self.before + self.known
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
    column: str | None = None,
    retry_failed: bool = False,
    device: str = "auto",
) -> BulkReport:
    """Run a job over all clips of a source, and write a row for each to Parquet files.

    Rows that are there already stay as they are, so the same call goes on after an interruption of
    any kind. A clip that cannot be used gets a row with the reason.

    Args:
        job: What is done.
        sources: As for `audiate.bulk.archives.find_files`.
        out: Folder or URL of the output. All workers must be able to write there.
        engine: One of `Engine`.
        workers: Number of models that work at once.
        address: Address of a Ray cluster, such as ``auto`` or ``ray://head:10001``.
        long: ``cut``: recordings of at least 1.5 times the model's length are cut into clips.
            ``refuse``: what `draw` and `invert` refuse is refused.
        column: Column of the sounds in Parquet files; None finds it by its name, or its content.
        retry_failed: Work at clips again whose rows hold an error.
        device: auto, cpu, cuda or mps.

    Raises:
        InputError: There is no such model or source, the output holds something else, or another
            command writes there.
        Interrupted: Ctrl-C was pressed; what is done is recorded.

    """
    by_ray = _is_by_ray(engine, workers, address)
    store, begun = Store(out), time.monotonic()
    opened = job.open("cpu" if by_ray else device)
    with store.alone():
        settings = {**opened.settings, "long": long, **({"column": column} if column else {})}
        is_new = _check_report(store, job.command, settings)
        units, before = plan(store, sources, opened.chunk_size, column, retry_failed=retry_failed)
        if is_new:  # only now, as a source that was mistyped begins nothing
            command = f"bulk {job.command}"
            report = {"command": command, "settings": settings, "files": {}, "clips": {}}
            store.write(REPORT_NAME, json.dumps(report, indent=1).encode())
        known = [unit.count - len(unit.done) for unit in units if unit.count is not None]
        count = _Count(before, sum(known), len(units) - len(known), long == "cut")
        chunks = (
            run_on_ray(job, store.address, units, long, address, workers, device)
            if by_ray
            else run_here(opened, store, units, long)
        )
        with closing(chunks):
            if units:
                _follow(store, job, chunks, count)
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


def _follow(store: Store, job: Job, chunks: Iterator[Written], count: _Count) -> None:
    """Do the work chunk by chunk; show the progress, and note it in the output."""
    noted = time.monotonic()
    try:
        _note(store, count)
        with counting(job.command) as update:
            for written in chunks:
                count.add(written)
                update(count.before + count.new, count.total, count.steady_rate)
                if time.monotonic() - noted > _SECONDS_BETWEEN_NOTES:
                    noted = time.monotonic()
                    _note(store, count)
    except KeyboardInterrupt as stop:
        raise Interrupted(f"stopped after {counted(count.new, 'clip')}") from stop
    finally:
        store.remove(PROGRESS_NAME)


def _note(store: Store, count: _Count) -> None:
    state = {
        **{"done": count.before + count.new, "total": count.total},
        "is_estimate": count.cut or count.uncounted > 0,
        **{"rate": count.steady_rate, "time": time.time()},
        **{"host": socket.gethostname(), "process": os.getpid()},
    }
    store.write(PROGRESS_NAME, json.dumps(state).encode())


def _check_report(store: Store, command: str, settings: Mapping[str, str]) -> bool:
    """Make sure that an output may be begun, or gone on with.

    Returns:
        Whether its report has to be written. An output that has no rows yet is begun anew, whatever
        the settings were.

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
    earlier, known = _read_report(store, stored)
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


def _read_report(store: Store, stored: bytes | None) -> tuple[str, dict[str, str]]:
    """The command and the settings with which an output was begun."""
    try:
        report = json.loads(stored or b"")
        return str(report["command"]), dict(report["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{store.address}: holds no {REPORT_NAME} of `audiate bulk`; name another folder"
        ) from error


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
    """Lines about the progress of an output, which a command may be writing to.

    Raises:
        InputError: It is no output of `audiate bulk`.

    """
    store = Store(out)
    report, works = store.read(REPORT_NAME), store.is_held()
    if report is None and works:
        return [_STARTING]
    command, settings = _read_report(store, report)
    described = ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))
    totals = count_rows(store)
    lines = [f"audiate {command} ({described})", *totals.summary()]
    state = json.loads(store.read(PROGRESS_NAME) or b"{}")
    if works or (state and (state.get("is_estimate", True) or totals.clips < state["total"])):
        lines.append(_progress(state, works))
    return lines


def _progress(state: Mapping[str, Any], works: bool) -> str:
    """A line about the command that works there, or did until it was killed."""
    if not state:
        return _STARTING
    process = f"process {state['process']} on {state['host']}"
    if not works:
        return f"{process} was ended before all was done; run the same command to go on"
    ago = max(0.0, time.time() - state["time"])
    total, rate = state["total"], state["rate"]
    line = f"{state['done']:,}" + ("" if total is None else f" of {total:,}")
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
