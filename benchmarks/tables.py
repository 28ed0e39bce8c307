"""Every table of the results, one command after the other, each kept as a text file.

    AUDIATE_DATA=data make tables
    AUDIATE_DATA=data python -m benchmarks.tables --out out/tables --only wavegan say

A table that is there already is not made again, so an interrupted run goes on where it stopped. At
the end, ``tables.md`` in the same folder has all of them, each below its command, with its minutes.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

_INVERSION = "evaluate inversion --source real --protocol default"

COMMANDS = {
    "lenet": "evaluate lenet-mnist",
    "vae": "evaluate vae-fsdd",
    "vaegan": "evaluate vaegan-fsdd",
    "flow": "evaluate flow-digits",
    "solvers": "-m benchmarks.solvers",
    "guidance": "-m benchmarks.guidance --pairs",
    "flow-voices": "evaluate flow-digits --protocol voices",
    "classifier": "evaluate digits-resnet18",
    "match": "evaluate match-digits",
    "coverage": "-m benchmarks.coverage",
    "speech": "evaluate speech-digits --count 2000",
    "speech-voices": "evaluate speech-digits --protocol voices",
    "recovery": "-m benchmarks.recovery",
    "wavegan": "evaluate wavegan-digits",
    "specgan": "evaluate specgan-digits",
    "ciwgan": "evaluate ciwgan-digits",
    "say": "evaluate say-digits --count 500",
    "roundtrip": "evaluate roundtrip",
    "codes": "codes ciwgan-digits --count 100",
    "inversion-wavegan": f"{_INVERSION} --generator wavegan-digits --count 96 "
    "--methods unguided search refined --max-iterations 40",
    "inversion-specgan": f"{_INVERSION} --count 48 --max-iterations 60",
    "inversion-synthesised": "evaluate inversion --count 24 --max-iterations 60",
    "edits": "-m benchmarks.edits --count 24 --source real",
}
"""The commands by the name of their table: of ``audiate``, or a benchmark of Python."""


def words_of(command: str, figures: Path) -> list[str]:
    """Return the words of a command, with its figures and files in a folder of its own."""
    words = shlex.split(command)
    if words[0] == "-m":
        return [sys.executable, *words]
    if words[0] == "codes":
        words += ["--out", str(figures)]
    elif words[1] in ("inversion", "roundtrip"):
        words += ["--figure", str(figures / "figure.png")]
    return [sys.executable, "-m", "audiate", *words]


def make_table(name: str, out: Path) -> None:
    """Run the command of a table, and keep what it prints.

    Raises:
        SystemExit: The command failed or was interrupted; what it said stands on standard error.

    """
    command = COMMANDS[name]
    shown = f"{'python' if command.startswith('-m') else 'audiate'} {command}"
    print(f"$ {shown}", flush=True)
    began = time.monotonic()
    words = words_of(command, out / name)
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    except KeyboardInterrupt:
        sys.exit(f"tables: `{shown}` was interrupted; run the same command to go on")
    if done.returncode:
        sys.exit(f"tables: `{shown}` failed; run the same command to go on")
    minutes = (time.monotonic() - began) / 60
    partial = out / f".{name}.part"
    partial.write_text(f"$ {shown}\n\n{done.stdout.rstrip()}\n\n{minutes:.1f} minutes\n", "utf-8")
    partial.replace(out / f"{name}.txt")


def main() -> None:
    """Make the tables that are missing, and put all of them together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("out/tables"))
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    settings = parser.parse_args()
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(
            f"tables: {settings.out} cannot be a folder ({error.strerror}); name another with --out"
        )
    for name in settings.only:
        if not (settings.out / f"{name}.txt").exists():
            make_table(name, settings.out)
    texts = [settings.out / f"{name}.txt" for name in COMMANDS]
    found = [path.read_text("utf-8") for path in texts if path.exists()]
    minutes = sum(float(text.rstrip().rsplit("\n", 1)[1].split()[0]) for text in found)
    blocks = "\n".join(f"```\n{text}```\n" for text in found)
    (settings.out / "tables.md").write_text(
        f"# Tables\n\n{len(found)} commands, {minutes:.0f} minutes.\n\n{blocks}", "utf-8"
    )
    print(
        f"{len(found)} of {len(COMMANDS)} tables, {minutes:.0f} minutes: {settings.out}/tables.md"
    )


if __name__ == "__main__":
    main()
