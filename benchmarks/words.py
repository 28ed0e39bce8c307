"""480 recordings on the way to a table: train a generator with codes, hear its codes, measure it.

    AUDIATE_DATA=data python -m benchmarks.words
    AUDIATE_DATA=data python -m benchmarks.words --recipe ciwgan --steps 2000

The recordings are 48 takes of each spoken digit by four speakers, copied to a flat folder. Every
command is run as a user runs it, in a process of its own, and its whole time is counted. The last
two commands are for comparison, and are not counted: the codes as `digits-resnet18` hears them,
which no recording of the folder was needed for, and the scores of any generator.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from audiate.data.sources import data_root
from audiate.utils.reports import make_table, render

TAKES = range(20, 32)  # of each digit by each speaker: 12 x 4 x 10 = 480
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LIMIT = 60  # minutes
PATTERN = "{word}_{voice}_*"


def copy_recordings(folder: Path) -> int:
    """Copy recordings of FSDD to files such as seven_theo_20.wav, and return their number."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted((data_root(None) / "fsdd" / "recordings").glob("*.wav"))
    count = 0
    for path in found:
        digit, speaker, take = path.stem.split("_")
        if int(take) in TAKES:
            shutil.copyfile(path, folder / f"{DIGITS[int(digit)]}_{speaker}_{take}.wav")
            count += 1
    return count


def timed(words: list[str]) -> float:
    """Run a command of audiate, show what it prints, and return its seconds.

    A command that could not use some of the files, such as a silent one, ends with status 2.
    """
    print(f"\n$ audiate {' '.join(words)}", flush=True)
    began = time.monotonic()
    status = subprocess.run([sys.executable, "-m", "audiate", *words], check=False).returncode
    if status not in (0, 2):
        sys.exit(f"words: `audiate {' '.join(words)}` failed")
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", default="ciwgan-spectrogram")
    parser.add_argument("--out", type=Path, default=Path("out/benchmark-words"))
    settings, more = parser.parse_known_args()
    words, run, made = (str(settings.out / name) for name in ("words", "run", "made"))
    count = copy_recordings(Path(words))
    table = make_table(f"{count} recordings, audiate {settings.recipe}", "command", "minutes")
    train = ["train", settings.recipe, "--data", words, "--codes", "10", "--label-from", PATTERN]
    total = 0.0
    for name, command in {
        "data look": ["data", "look", words, "--label-from", PATTERN],
        "train": [*train, "--out", run, *more],
        "codes": [
            *("codes", run, "--data", words, "--label-from", PATTERN),
            *("--count", "500", "--out", str(settings.out / "codes")),
        ],
        "generate": ["generate", run, "--count", "200", "--out", made],
        "measure": [
            *("measure", made, "--against", words, "--same-peak"),
            *("--out", str(settings.out / "measures.csv")),
        ],
    }.items():
        seconds = timed(command)
        total += seconds
        table.add_row(name, f"{seconds / 60:.1f}")
    table.add_row("all", f"{total / 60:.1f} (limit {LIMIT})")
    timed(
        [
            *("codes", run, "--listener", "digits-resnet18", "--count", "500"),
            "--out",
            str(settings.out / "codes-digits"),
        ]
    )
    timed(["evaluate", run])
    print(render(table))


if __name__ == "__main__":
    main()
