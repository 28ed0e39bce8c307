"""The program works without each of the rooms that add to it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import write_tone

import audiate

PACKAGE = Path(audiate.__file__).parent

ROOMS = {
    "phonetics": ("edit", "codes", "measure", "activations"),
    "bulk": ("bulk",),
    "export": ("export",),
}
"""Rooms that nothing else needs, and the files of their commands in ``cli``."""


@pytest.fixture(params=ROOMS)
def without(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder for ``PYTHONPATH`` with a copy of the package that lacks a room."""
    room: str = request.param
    others = shutil.ignore_patterns("__pycache__")
    copy = Path(shutil.copytree(PACKAGE, tmp_path / "lib" / "audiate", ignore=others))
    shutil.rmtree(copy / room)
    for command in ROOMS[room]:
        (copy / "cli" / f"{command}.py").unlink()
    return copy.parent


_PAPERS = """
from audiate.cli import main
for words in ["draw"], ["invert"]:
    assert main([*words, "clips", "--out", words[0], "--device", "cpu"]) == 0, words
"""


def run(lib: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(lib)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_rooms_and_commands_are_there() -> None:
    for room, commands in ROOMS.items():
        assert importlib.util.find_spec(f"audiate.{room}"), room
        for command in commands:
            assert importlib.util.find_spec(f"audiate.cli.{command}"), command


def test_both_papers_work_without_a_room(without: Path, tmp_path: Path) -> None:
    write_tone(tmp_path / "clips" / "tone.wav", hertz=300)
    for words in (("-m", "audiate", "--help"), ("-c", _PAPERS)):
        found = run(without, tmp_path, *words)
        assert found.returncode == 0, found.stderr
    for out in ("draw", "invert"):
        assert (tmp_path / out / "tone.png").is_file()
