"""How many functions hand a clip on, as `benchmarks/depth.py` counts them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DEPTH = Path(__file__).parent.parent / "benchmarks" / "depth.py"


@pytest.mark.parametrize(("call", "most"), [("of_drawing", 12), ("of_inversion", 18)])
def test_a_clip_passes_few_functions(tmp_path: Path, call: str, most: int) -> None:
    names = runpy.run_path(str(DEPTH))[call](tmp_path / "out")
    assert len(names) <= most, names
