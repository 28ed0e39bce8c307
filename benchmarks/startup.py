"""Start-up: the first drawing as a whole process, over `import torch` alone.

    python benchmarks/startup.py

Both are timed in turn, five times each, and the medians are compared.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import audiate

TARGET = 1.15
"""Ratio that the first drawing is to stay within."""

REPEATS = 5


def seconds(*arguments: str, folder: str) -> float:
    """Time a process of Python, in seconds."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> int:
    """Time both, and print the ratio; the status is 1 where it is over the target."""
    clip = Path(audiate.__file__).parent / "clips" / "seven-rms.flac"
    drawing, importing = [], []
    with tempfile.TemporaryDirectory() as folder:
        command = ("-m", "audiate", "draw", str(clip), "--out")
        seconds(*command, "warm", folder=folder)  # files come from the disk once
        for number in range(REPEATS):
            importing.append(seconds("-c", "import torch", folder=folder))
            drawing.append(seconds(*command, str(number), folder=folder))
    first, alone = statistics.median(drawing), statistics.median(importing)
    print(f"first drawing {first:.2f} s, import torch {alone:.2f} s: ratio {first / alone:.2f}")
    print(f"target: at most {TARGET}")
    return int(first / alone > TARGET)


if __name__ == "__main__":
    sys.exit(main())
