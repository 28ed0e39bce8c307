"""The worked example of CONTRIBUTING.md: three new files, and a model trains and loads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import audiate

PACKAGE = Path(audiate.__file__).parent
CONTRIBUTING = PACKAGE.parents[1] / "CONTRIBUTING.md"

_BLOCK = re.compile(r"```python\n# (src/audiate/\S+\.py)\n(.*?)```", re.DOTALL)

_SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from conftest import tiny_sources
from audiate.data.sources import SOURCES
SOURCES.update(tiny_sources())
from audiate.cli import main

flags = "--epochs 4 --batch-size 20 --latent-dim 8 --learning-rate 0.01 --device cpu".split()
status = main(["train", "autoencoder", "--data-dir", {data!r}, "--out", "run", *flags])
assert status == 0, status

from pathlib import Path
import torch
import audiate
from audiate.data.digits import load_mnist

model = audiate.load("run")
assert model.config.latent_dim == 8
assert model.provenance.recipe == "autoencoder"
images = load_mnist(Path({data!r}), "test").images.float() / 255
with torch.no_grad():
    error = (model(images) - images).square().mean()
print(audiate.__file__, float(error / images.var()))
"""


def overlay(folder: Path) -> Path:
    """The package again, as links, with folders of its own for the new files."""
    for path in (PACKAGE, *(PACKAGE / part for part in ("models", "training"))):
        (folder / path.relative_to(PACKAGE.parent)).mkdir(parents=True)
    for part in ("training/recipes", "training/tasks"):
        (folder / "audiate" / part).mkdir()
    own = {path.relative_to(folder) for path in folder.rglob("*") if path.is_dir()}
    for where in own:
        for entry in (PACKAGE.parent / where).iterdir():
            if where / entry.name not in own and entry.name != "__pycache__":
                (folder / where / entry.name).symlink_to(entry)
    return folder


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="no CONTRIBUTING.md beside src")
def test_the_worked_example(tiny_data: Path, tmp_path: Path) -> None:
    blocks = dict(_BLOCK.findall(CONTRIBUTING.read_text(encoding="utf-8")))
    assert [Path(name).parent.name for name in blocks] == ["models", "recipes", "tasks"]
    assert sum(len(block.splitlines()) for block in blocks.values()) <= 120
    source = overlay(tmp_path / "src")
    for name, block in blocks.items():
        path = tmp_path / name
        assert not path.exists()  # a new file, not a changed one
        path.write_text(block)
    script = tmp_path / "new.py"
    script.write_text(_SCRIPT.format(tests=str(Path(__file__).parent), data=str(tiny_data)))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, error = done.stdout.splitlines()[-1].split()
    assert Path(where).is_relative_to(source)
    assert float(error) < 0.8, "it learns: the error is less than the images' variance"
