"""The files around the code: workflows, citation, source distribution, and the notebook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import audiate
from audiate.audio.spectrograms import levels_of

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "examples" / "first_look.ipynb"
if not NOTEBOOK.is_file():
    pytest.skip("examples are in the repository and in source distributions", True)


def test_the_notebook_runs() -> None:
    """As in a notebook, except that nothing is installed or displayed."""
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and not source.startswith("%"):
            exec(compile(source, NOTEBOOK.name, "exec"), names)
    assert len(names["drawn"]) == len(names["clips"]) == 10
    said, again = (levels_of(w[0]).flatten() for w in (names["sound"], names["found"].output))
    assert np.corrcoef(said, again)[0, 1] > 0.8


def test_the_notebook_holds_no_output() -> None:
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs"), "clear the outputs before a commit"


def test_the_citation_names_this_version() -> None:
    assert f"\nversion: {audiate.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_actions_are_pinned() -> None:
    workflows = ROOT / ".github" / "workflows"
    if not workflows.is_dir():
        pytest.skip("workflows are in the repository")
    for path in workflows.glob("*.yml"):
        for used in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v[\d.]+", used), f"{path}: {used}"
