"""Bulk work: speed, memory, and what kills do to it.

``python -m benchmarks.bulk speed``, ``decode``, ``memory 100000`` and ``faults`` print one each.
The clips are those of FSDD in ``AUDIATE_DATA``, each perturbed anew, in FLAC.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from threading import Event, Thread

import numpy as np
import soundfile

DAMAGES = 10


def sounds() -> list[tuple[np.ndarray, int]]:
    """Recordings of FSDD."""
    folder = Path(os.environ["AUDIATE_DATA"]) / "fsdd" / "recordings"
    return [soundfile.read(path, dtype="float32") for path in sorted(folder.glob("*.wav"))[::4]]


def perturbed(count: int, seconds: float | None = None) -> Iterator[bytes]:
    """FLAC files, each with noise and a level of its own; of one length, where that is given."""
    random, recordings = np.random.default_rng(0), sounds()
    for number in range(count):
        samples, rate = recordings[number % len(recordings)]
        noise = random.normal(0, 1e-3, len(samples))
        samples = np.clip(samples * random.uniform(0.3, 1.0) + noise, -1, 1)
        if seconds is not None:
            samples = np.resize(samples, round(seconds * rate))
        content = io.BytesIO()
        soundfile.write(content, samples, rate, "PCM_16", format="FLAC")
        yield content.getvalue()


def write_shards(folder: Path, count: int, per_shard: int, seconds: float | None = None) -> None:
    """Write clips as tar shards."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = perturbed(count, seconds)
    for shard in range(-(-count // per_shard)):
        with tarfile.open(folder / f"{shard:05}.tar", "w") as tar:
            for number in range(min(per_shard, count - shard * per_shard)):
                content = next(clips)
                member = tarfile.TarInfo(f"{number:06}.flac")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def damaged(content: bytes, way: int) -> bytes:
    """A FLAC file that is damaged in one of ten ways, of which none leaves a usable clip."""
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    written = io.BytesIO()
    if way == 0:
        return b""
    if way == 1:
        return content[:20]
    if way == 2:
        return b"no sound at all\n" * 40
    if way == 3:
        return bytes(len(content))
    if way == 4:
        return content[::-1]
    if way == 5:
        return content[: len(content) // 2]
    if way == 6:
        soundfile.write(written, np.zeros(len(samples)), rate, format="FLAC")
    elif way == 7:
        soundfile.write(written, np.full(len(samples), np.nan), rate, "FLOAT", format="WAV")
    elif way == 8:
        soundfile.write(written, samples[:80], rate, format="FLAC")
    else:
        soundfile.write(written, np.tile(samples, 900)[: 61 * rate], rate, format="FLAC")
    return written.getvalue()


def command(source: Path, out: Path, *more: str) -> list[str]:
    words = [sys.executable, "-m", "audiate", "bulk", "encode", str(source), "--out", str(out)]
    return [*words, "--device", "cpu", *more]


def one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def steady(words: list[str], prefix: tuple[str, ...] = ()) -> float:
    """Clips a second of a command, once it has started."""
    done = subprocess.run(
        [*prefix, *words], env=one_thread(), capture_output=True, text=True, check=True
    )
    return float(done.stdout.split(" a second once started")[0].split()[-1].replace(",", ""))


def speed(place: Path, count: int = 8192, rounds: int = 3) -> None:
    """Compare one process on one core with two workers on two."""
    write_shards(place / "clips", count, 512)
    alone: list[float] = []
    both: list[float] = []
    ratios: list[float] = []
    for number in range(rounds):
        outs = place / f"one-{number}", place / f"two-{number}"
        alone.append(steady(command(place / "clips", outs[0]), ("taskset", "-c", "0")))
        both.append(steady(command(place / "clips", outs[1], "--workers", "2")))
        ratios.append(both[-1] / alone[-1])
    print(f"encode, {count} clips of FSDD in FLAC shards, clips a second once started")
    print(f"  one process, one core    {median(alone):8.1f}   {[round(x) for x in alone]}")
    print(f"  two workers on Ray       {median(both):8.1f}   {[round(x) for x in both]}")
    print(
        f"  ratio {median(ratios):.2f} (limit 1.8); of two cores lost {1 - median(ratios) / 2:.0%}"
    )


def decode(count: int = 2000) -> None:
    """Processor time of the parts of `encode`, on one core."""
    import torch

    from audiate.audio.files import Recording, load_audio
    from audiate.models.latent_flow import LatentFlow

    torch.set_num_threads(1)
    model = LatentFlow.from_pretrained("flow-digits")
    clips = [Recording("clip", content) for content in perturbed(count, 1.0)]

    def timed(function: Callable[[], object]) -> float:
        function()
        began = time.process_time()
        function()
        return count / (time.process_time() - began)

    heard: list[tuple[torch.Tensor, int]] = []
    spectrograms: list[torch.Tensor] = []

    def read() -> None:
        heard[:] = [load_audio(clip) for clip in clips]

    def hear() -> None:
        spectrograms[:] = [model.preprocess(wave, sample_rate=rate) for wave, rate in heard]

    @torch.inference_mode()
    def encode() -> None:
        for batch in torch.split(torch.stack(spectrograms), 32):
            model.latents(batch)

    print("clips of 1 s a second of processor time, on one core")
    print(f"  reading FLAC      {timed(read):8.0f}")
    print(f"  spectrograms      {timed(hear):8.0f}")
    print(f"  flow-digits       {timed(encode):8.0f}")


def tree_memory(root: int) -> int:
    """Bytes that a process and all below it hold, with what they share counted once (PSS)."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "status").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(text.split("PPid:")[1].split()[0])
    wanted, total = {root}, 0
    for _ in range(8):
        wanted |= {number for number, parent in parents.items() if parent in wanted}
    for number in wanted:
        try:
            text = Path(f"/proc/{number}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(text.split("Pss:")[1].split()[0]) * 1024
    return total


def memory(place: Path, count: int, *more: str) -> None:
    """Print the memory of `encode` while it works at clips of a second."""
    write_shards(place / "clips", count, 1000, 1.0)
    words = command(place / "clips", place / "out", *more)
    process = subprocess.Popen(words, env=one_thread(), stdout=subprocess.PIPE, text=True)
    held: list[tuple[float, int, int]] = []
    began = time.monotonic()
    while process.poll() is None:
        parts = len(list((place / "out" / "rows").glob("*.parquet")))
        held.append((time.monotonic() - began, parts, tree_memory(process.pid)))
        time.sleep(2)
    assert process.stdout is not None
    print(process.stdout.read())
    working = [(parts, size) for _, parts, size in held if parts]
    print(f"memory of all processes, {count} clips of 1 s ({' '.join(more) or 'one process'})")
    for tenth in range(10):
        parts, size = working[len(working) * tenth // 10]
        print(f"  after {parts:5} parts {size / 2**20:8.0f} MiB")
    print(f"  most {max(size for *_, size in held) / 2**20:.0f} MiB")


def write_clips(folder: Path, count: int) -> set[str]:
    """Write clips as files, of which one in a hundred is damaged; returns the names of those."""
    folder.mkdir(parents=True)
    bad = set()
    for number, content in enumerate(perturbed(count)):
        name = f"{number:06}.flac"
        if number % 100 == 7:
            content = damaged(content, number // 100 % DAMAGES)
            bad.add(name)
        (folder / name).write_bytes(content)
    return bad


def parts_in(out: Path) -> int:
    return len(list((out / "rows").glob("*.parquet")))


def kill_when(out: Path, parts: int, kill: Callable[[], object], ended: Event) -> Thread:
    """Kill something in a thread, once so many parts are there."""

    def watch() -> None:
        while parts_in(out) < parts and not ended.is_set():
            time.sleep(0.05)
        if not ended.is_set():
            kill()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    return thread


def kill_a_model(root: int) -> None:
    """Kill a worker that holds a model, below the process ``root``."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text, title = (folder / "status").read_text(), (folder / "cmdline").read_text()
        except (OSError, UnicodeDecodeError):
            continue
        parents[int(folder.name)] = int(text.split("PPid:")[1].split()[0]), title
    for number, (parent, title) in parents.items():
        if "_Model" in title and parents.get(parent, (0, ""))[0] == root:
            os.kill(number, signal.SIGKILL)
            print(f"  killed worker {number}: {title[:40]}", flush=True)
            return


def faults(place: Path, count: int = 10_000) -> None:
    """Kill the driver, a worker and a node, and count the rows."""
    import pyarrow.parquet as pq
    import ray
    from ray.cluster_utils import Cluster

    from audiate.bulk import EncodeJob, run_bulk

    bad, out = write_clips(place / "clips", count), place / "out"
    print(f"{count} clips, {len(bad)} of them damaged in {DAMAGES} ways", flush=True)
    driver = subprocess.Popen(
        command(place / "clips", out, "--workers", "2"), env=one_thread(), stdout=subprocess.DEVNULL
    )
    kill_when(out, 4, driver.kill, Event())
    print(f"  driver ended with {driver.wait()} after {parts_in(out)} parts", flush=True)
    sizes = {"num_cpus": 1, "object_store_memory": 2**28, "include_dashboard": False}
    os.environ["OMP_NUM_THREADS"] = "1"
    cluster = Cluster(initialize_head=True, head_node_args=sizes)
    second = cluster.add_node(num_cpus=1, object_store_memory=2**28)
    ray.init(address=cluster.address, log_to_driver=False)
    ended, before = Event(), parts_in(out)

    def remove() -> None:
        cluster.remove_node(second)
        print(f"  removed a node after {parts_in(out)} parts", flush=True)

    kill_when(out, before + 3, lambda: kill_a_model(os.getpid()), ended)
    kill_when(out, before + 7, remove, ended)
    report = run_bulk(EncodeJob(), [str(place / "clips")], str(out), engine="ray", workers=2)
    ended.set()
    ray.shutdown()
    cluster.shutdown()
    print("\n".join(report.summary()))
    rows = pq.read_table(out / "rows").to_pylist()
    names = [Path(row["source"]).name for row in rows]
    failed = {Path(row["source"]).name for row in rows if row["error"] is not None}
    print(f"  rows {len(rows)}, of different clips {len(set(names))}, of {count}")
    print(
        f"  damaged clips that are named {len(failed & bad)} of {len(bad)}; others {failed - bad}"
    )
    print(f"  good clips with a latent {sum(row['latent'] is not None for row in rows)}")


def main() -> None:
    """Print what was asked for; by default, speed and decoding."""
    asked = sys.argv[1:] or ["speed", "decode"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if "decode" in asked:
            decode()
        if "speed" in asked:
            speed(place)
        if "memory" in asked:
            memory(place, int(asked[1]), *asked[2:])
        if "faults" in asked:
            faults(place, *map(int, asked[1:2]))


if __name__ == "__main__":
    main()
