"""Bulk work on Ray Data: workers, nodes and drivers that are killed lose nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from conftest import write_tone

ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "audiate[ray]"')
import pyarrow.parquet as pq  # noqa: E402

from audiate.bulk import EncodeJob, engines, run_bulk  # noqa: E402
from audiate.bulk.jobs import OpenJob  # noqa: E402
from audiate.errors import InputError  # noqa: E402

pytestmark = pytest.mark.xdist_group("ray")

CLIPS = 160


@dataclass(frozen=True)
class SlowJob(EncodeJob):
    """An encoder that takes a tenth of a second for each clip, in chunks of 16."""

    def open(self, device: str) -> OpenJob:
        work = super().open(device)
        compute = work.compute

        def slowly(items: Sequence[Any]) -> Any:
            time.sleep(0.1 * len(items))
            return compute(items)

        return replace(work, compute=slowly, batch_size=1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number in range(CLIPS - 2):
        write_tone(folder / f"{number:03}.wav", hertz=200 + 5 * number, seconds=0.1, rate=16_000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("no sound")
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes on this machine, and this process connected to them."""
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    # Workers import this module.
    patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    patch.setenv("RAY_worker_niceness", "0")  # a busy machine must not starve them
    sizes = {"num_cpus": 1, "object_store_memory": 10**8, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=sizes)
    cluster.second = cluster.add_node(num_cpus=1, object_store_memory=10**8)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        patch.undo()


def processes() -> Iterator[tuple[int, int, str]]:
    """Number, parent and title of each process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            title = (folder / "cmdline").read_text(errors="replace")
        except OSError:
            continue
        yield int(folder.name), int(status.split("PPid:")[1].split()[0]), title


def kill_a_model() -> None:
    """Kill a worker that holds a model, of this process's cluster."""
    raylets = {number for number, parent, _ in processes() if parent == os.getpid()}
    for number, parent, title in processes():
        if parent in raylets and "_Model" in title:
            os.kill(number, signal.SIGKILL)
            return


def after_parts(out: Path, actions: Sequence[tuple[int, Callable[[], object]]]) -> Thread:
    """Do things in a thread, each when so many parts are there."""

    def watch() -> None:
        for parts, action in actions:
            while len(list((out / "rows").glob("*.parquet"))) < parts:
                time.sleep(0.05)
            action()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    return thread


def check_rows(out: Path, clips: Path) -> None:
    rows = pq.read_table(out / "rows").to_pylist()
    assert sorted(row["source"] for row in rows) == sorted(map(str, clips.iterdir()))
    bad = {Path(row["source"]).name for row in rows if row["error"]}
    assert bad == {"empty.wav", "text.wav"}


def test_nothing_is_lost_and_nothing_is_twice(
    cluster: Any, clips: Path, small_models: Path, tmp_path: Path
) -> None:
    """The driver is killed; then a worker is killed and a node is removed; all ends well."""
    encoder, out = str(small_models / "encoder"), tmp_path / "out"
    code = (
        "import sys; from test_bulk_ray import SlowJob; from audiate.bulk import run_bulk\n"
        "run_bulk(SlowJob(sys.argv[1]), [sys.argv[2]], sys.argv[3], address=sys.argv[4], workers=1)"
    )
    driver = subprocess.Popen([sys.executable, "-c", code, encoder, clips, out, cluster.address])
    killed = after_parts(out, [(2, driver.kill)])
    driver.wait(timeout=240)
    killed.join(timeout=1)
    before = len(list((out / "rows").glob("*.parquet")))
    assert 2 <= before < CLIPS // 16
    watcher = after_parts(
        out,
        [(before + 1, kill_a_model), (before + 3, lambda: cluster.remove_node(cluster.second))],
    )
    report = run_bulk(SlowJob(encoder), [str(clips)], str(out), engine="ray", workers=2)
    watcher.join(timeout=1)
    assert not watcher.is_alive()
    assert report.totals.clips == CLIPS
    assert os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"  # for a Ray that starts here
    check_rows(out, clips)
    local = run_bulk(EncodeJob(encoder), [str(clips)], str(tmp_path / "local"), device="cpu")
    assert local.totals.clips == CLIPS
    here, there = (
        {row["id"]: row["latent"] for row in pq.read_table(folder / "rows").to_pylist()}
        for folder in (tmp_path / "local", out)
    )
    assert here.keys() == there.keys()
    for identity, latent in here.items():
        assert latent == (pytest.approx(there[identity], rel=2e-3, abs=1e-4) if latent else None)


def test_workers_that_do_not_start_are_told(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engines._check_starts()
    monkeypatch.setattr(engines, "_STARTS", 0)
    with pytest.raises(InputError, match="no worker of Ray starts within 0 s"):
        engines._check_starts()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_nobody_answers_is_told_at_once(address: str) -> None:
    begun = time.monotonic()
    with pytest.raises(InputError, match="no Ray cluster answers"):
        engines._start(address)
    assert time.monotonic() - begun < 15
