"""TextGrids of Praat: intervals in, words and vowels out."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audiate.audio.pitch import require_praat
from audiate.errors import InputError


class Interval(NamedTuple):
    """A part of a clip, in seconds, and its label."""

    begin: float
    end: float
    label: str


def read_intervals(path: Path, tier: str | None = None) -> list[Interval]:
    """Read the intervals of a TextGrid that have a label.

    Args:
        path: The file.
        tier: Name of the tier; None for the first one.

    Raises:
        InputError: It cannot be read, or the tier has no interval with a label.

    """
    praat = require_praat()
    call = praat.praat.call
    try:
        grid = praat.read(str(path))
        table = call(grid, "Down to Table", False, 6, True, False)
        listed, first = call(table, "List", False), call(grid, "Get tier name", 1)
    except praat.PraatError as error:
        raise InputError(f"{path}: cannot be read as a TextGrid; save it anew in Praat") from error
    rows = list(csv.DictReader(listed.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    found = [
        Interval(float(row["tmin"]), float(row["tmax"]), row["text"].strip())
        for row in rows
        if row["tier"] == (first if tier is None else tier) and row["tmin"] != row["tmax"]
    ]
    if not found:
        tiers = ", ".join(sorted({row["tier"] for row in rows})) or "none"
        raise InputError(
            f"{path}: no labelled interval in the tier {tier or first}; tiers with labels: "
            f"{tiers}; name one with `tier`"
        )
    return found


def write_textgrid(path: Path, seconds: float, tiers: Mapping[str, Sequence[Interval]]) -> None:
    """Write a TextGrid.

    Args:
        path: The file.
        seconds: Length of the clip.
        tiers: Intervals by the tier's name, which do not overlap and are in order.

    """
    praat = require_praat()
    call = praat.praat.call
    grid = praat.TextGrid(0.0, seconds, list(tiers), [])
    for number, intervals in enumerate(tiers.values(), 1):
        for begin, end, label in intervals:
            for time in (begin, end):
                low = call(grid, "Get low interval at time", number, time)
                high = call(grid, "Get high interval at time", number, time)
                if low == high:  # there is no boundary yet
                    call(grid, "Insert boundary", number, time)
            middle = call(grid, "Get interval at time", number, (begin + end) / 2)
            call(grid, "Set interval text", number, middle, label)
    call(grid, "Save as text file", str(path))
