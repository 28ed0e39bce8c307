"""What the README shows works as shown."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from audiate.cli import main
from audiate.cli.demo import CLIPS_FOLDER

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_lines_of_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(CLIPS_FOLDER / "seven-rms.flac", tmp_path / "seven.wav")
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    images, z = names["images"], names["z"]
    assert getattr(images, "shape", None) == (8, 28, 28)
    assert getattr(z, "shape", None) == (1, 64)


@pytest.mark.parametrize("line", re.findall(r"^audiate .*", README, re.MULTILINE))
def test_the_commands_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = line.split("#")[0].split()[1:]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for flag in (word for word in words if word.startswith("--") and word != "--help"):
        assert flag in shown


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    assert (Path(__file__).parent.parent / target).exists()


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parent.parent / "docs" / "inverting-drums.md"
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(block.replace("steps=40", "steps=15"), names)
    assert getattr(names["both"], "latent", torch.empty(0)).shape == (40, 4)
