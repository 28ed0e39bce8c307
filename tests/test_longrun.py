"""Many drawings in one process: memory, open files and threads stay as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from audiate.cli.demo import CLIPS_FOLDER

_DRAWINGS = """
import os, pathlib, sys
import audiate

count, clips, out = int(sys.argv[1]), sorted(pathlib.Path(sys.argv[2]).glob("*.flac")), sys.argv[3]

def held():
    status = pathlib.Path("/proc/self/status").read_text()
    megabytes, threads = (
        int(status.split(name)[1].split()[0]) for name in ("VmRSS:", "Threads:")
    )
    return megabytes / 1024, len(os.listdir("/proc/self/fd")), threads

for number in range(count):
    waveform, rate = audiate.load_audio(clips[number % len(clips)])
    audiate.load("flow-digits").draw(waveform, sample_rate=rate, samples=1, seed=number)
    if number % (count // 4) == 0:
        audiate.draw_folder(clips[:2], f"{out}/{number}", samples=1, seed=number)
    if number == count // 2:
        before = held()
print(*(now - then for now, then in zip(held(), before)))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is held")
def test_many_drawings_hold_no_more_than_a_few(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    count = "2000" if request.config.getoption("--runslow") else "40"
    done = subprocess.run(
        [sys.executable, "-c", _DRAWINGS, count, str(CLIPS_FOLDER), str(tmp_path)],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    megabytes, files, threads = map(float, done.stdout.split())
    assert megabytes < 16
    assert files <= 0
    assert threads <= 0
