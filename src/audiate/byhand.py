"""Latents that are set by hand: entries, sweeps over one or two of them, and walks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audiate.errors import InputError
from audiate.files import writing
from audiate.latents import Latents, read_latents

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SET = re.compile(rf"(\d+)=({_NUMBER})")
_SWEEP = re.compile(rf"(\d+)=({_NUMBER}):({_NUMBER}):(\d+)")
_MOST_STEPS = 10_000


@dataclass(frozen=True)
class Sweep:
    """An entry of z and the values that it takes in turn.

    Attributes:
        entry: Number of the entry, from 0.
        values: Its values, evenly apart.

    """

    entry: int
    values: tuple[float, ...]


def parse_set(text: str, latent_dim: int) -> tuple[int, float]:
    """The entry and its value in ``3=-2.5``.

    Raises:
        InputError: It is no such thing, or there is no such entry.

    """
    match = _SET.fullmatch(text.strip())
    if match is None:
        raise InputError(f"`set` {text}: give an entry of z and its value, as in 3=-2.5")
    return _entry("set", text, int(match[1]), latent_dim), float(match[2])


def parse_sweep(text: str, latent_dim: int) -> Sweep:
    """The entry and its values in ``3=-5:5:11``: 11 values, evenly from -5 to 5.

    Raises:
        InputError: It is no such thing, or there is no such entry.

    """
    match = _SWEEP.fullmatch(text.strip())
    if match is not None and not 1 <= int(match[4]) <= _MOST_STEPS:
        raise InputError(f"`sweep` {text}: takes {match[4]} values; give 1 to {_MOST_STEPS:,}")
    if match is None:
        raise InputError(
            f"`sweep` {text}: give an entry of z, its first and last value and their number, as in "
            f"3=-5:5:11"
        )
    entry = _entry("sweep", text, int(match[1]), latent_dim)
    values = np.linspace(float(match[2]), float(match[3]), int(match[4]))
    return Sweep(entry, tuple(values.tolist()))


def check_entries(sets: Sequence[tuple[int, float]], sweeps: Sequence[Sweep]) -> None:
    """Make sure that no entry of z is set or swept twice.

    Raises:
        InputError: One is.

    """
    entries = [entry for entry, _ in sets] + [sweep.entry for sweep in sweeps]
    for entry in entries:
        if entries.count(entry) > 1:
            raise InputError(
                f"entry {entry} of z is given twice by `set` or `sweep`; leave one out"
            )


def titles_of(z: Latents, sweeps: Sequence[Sweep]) -> list[str]:
    """For each of latents (count, latent_dim) the values of the entries that are swept."""
    return [" ".join(f"z{s.entry}={row[s.entry]:.3g}" for s in sweeps) for row in z]


def swept(z: Latents, sets: Sequence[tuple[int, float]], sweeps: Sequence[Sweep]) -> Latents:
    """Latents with entries set by hand, each of them at every combination of the sweeps' values.

    Args:
        z: Latents (count, latent_dim).
        sets: Entries and their values, which the prior does not bound.
        sweeps: Entries that take several values. The last one changes fastest.

    Returns:
        Latents (count * combinations, latent_dim).

    """
    rows = z.copy()
    for entry, value in sets:
        rows[:, entry] = value
    for sweep in sweeps:
        values = np.tile(np.array(sweep.values, dtype=np.float32), len(rows))
        rows = np.repeat(rows, len(sweep.values), axis=0)
        rows[:, sweep.entry] = values
    return rows


def walked(stops: Sequence[Latents], count: int) -> Latents:
    """Latents (count, latent_dim) that lead evenly from stop (latent_dim,) to stop."""
    places = np.linspace(0, len(stops) - 1, count)
    first = np.minimum(places.astype(int), len(stops) - 2)
    share = (places - first)[:, None]
    joined = np.stack(stops)
    found: Latents = ((1 - share) * joined[first] + share * joined[first + 1]).astype(np.float32)
    return found


def read_stop(text: str, latent_dim: int) -> Latents:
    """The latent (latent_dim,) that ``walk.npy`` begins with, or row 7 in ``walk.npy:7``.

    Raises:
        InputError: There is no such file or row, or its latents are of another size.

    """
    path, row = Path(text), 0
    if not path.exists() and (match := re.fullmatch(r"(.+):(\d+)", text)):
        path, row = Path(match[1]), int(match[2])
    rows = read_latents(path, latent_dim)
    if row >= len(rows):
        raise InputError(f"`walk` {text}: the file holds {len(rows)} latents, from row 0 on")
    stop: Latents = rows[row]
    return stop


def save_csv(names: Sequence[str], z: Latents, path: Path) -> None:
    """Write latents (count, latent_dim) as text: a row for each name, a column for each entry.

    Raises:
        InputError: The file cannot be written.

    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["sound", *(f"z{entry}" for entry in range(z.shape[1]))])
    for name, latent in zip(names, z, strict=True):
        rows.writerow([name, *(f"{value:.9g}" for value in latent)])
    with writing(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def _entry(option: str, text: str, entry: int, latent_dim: int) -> int:
    if entry >= latent_dim:
        raise InputError(
            f"`{option}` {text}: this model's latents have the entries 0 to {latent_dim - 1}"
        )
    return entry
