"""Imports run one way, and the quick things import nothing slow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import audiate

PACKAGE = Path(audiate.__file__).parent

# Each line may import from itself and from the lines above it.
LAYERS = (
    {"errors", "files"},
    {"audio", "features", "losses", "metrics", "pictures", "spectra"},
    {"models", "datasets"},
    {"hub"},
    {"inversion"},
    {"training"},
    {"evaluate"},
    {"cli"},
    {"__init__", "__main__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# A class finds the hub when it is asked for a name; training.recipes are plain values.
ALLOWED = {("models", "hub")}


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("audiate.")}
    return found


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_imports_run_one_way(path: Path) -> None:
    own = part(path)
    upward = {
        other
        for other in imported_parts(path)
        if LEVEL[other] > LEVEL[own] and (own, other) not in ALLOWED
    }
    assert not upward, f"{own} must not import {upward}"


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("statement", ["import audiate", "import audiate.cli"])
def test_no_torch_before_it_is_needed(statement: str) -> None:
    assert not loaded_by(statement) & {"torch", "numpy", "lightning_fabric", "huggingface_hub"}


def test_torch_comes_with_the_first_name_that_needs_it() -> None:
    assert "torch" in loaded_by("import audiate; audiate.LogMel")


def test_public_names_are_all_there() -> None:
    for name in audiate.__all__:
        assert name == "__version__" or getattr(audiate, name).__module__.startswith("audiate.")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = audiate.nonsense
