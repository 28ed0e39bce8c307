"""Read and write latents, and set, sweep or interpolate their entries."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import IO, NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from audiate.errors import InputError
from audiate.utils.filesystem import writing
from audiate.utils.progress import counted

Latents = NDArray[np.float32]

MAX_LATENTS = 100_000
"""More latents than this are not read from one file."""

_MAX_TEXT = 2**29  # bytes of a .csv file
_MAX_NUMBERS = 10**9  # of a file; 8 GB of doubles would not fit in memory


def save_table(latents: Mapping[str, Latents], path: Path) -> None:
    """Write latents of clips to an .npz file with the arrays ``names`` and ``latents``.

    Args:
        latents: (latent_dim,) for each clip; or several, (samples, latent_dim). Where they are not
            as many of each, they follow one another, each with the name of its clip.
        path: The file.

    Raises:
        InputError: The file cannot be written.

    """
    encoded, rows = io.BytesIO(), list(latents.values())
    names = np.array(list(latents))
    if len({len(row) for row in rows}) > 1:
        names = np.repeat(names, [len(row) for row in rows])
        rows = [latent for row in rows for latent in row]
    np.savez(encoded, names=names, latents=np.stack(rows).astype(np.float32))
    with writing(path) as partial:
        partial.write_bytes(encoded.getbuffer())


def read_table(path: Path) -> dict[str, Latents]:
    """Read latents by the names of clips, as `save_table` writes them.

    Returns:
        Nothing where the file is missing or damaged.

    """
    try:
        rows = _read(path).astype(np.float32)
        with np.load(path, allow_pickle=False) as stored:
            names = stored["names"]
        if len(set(names.tolist())) == len(names):
            return dict(zip(names.tolist(), rows, strict=True))
        return {name: rows[names == name] for name in dict.fromkeys(names.tolist())}
    except (OSError, ValueError, KeyError, TypeError, BadZipFile):
        return {}


def read_latents(path: Path, latent_dim: int) -> Latents:
    """Read latents (count, latent_dim) from an .npy, .npz or .csv file.

    Where a table holds several latents of each clip, they follow one another. A .csv file has a
    line of names, and then a row for each latent: its name, and its numbers.

    Raises:
        InputError: It is no such file, or holds too much, latents of another size, or NaN.

    """
    try:
        stored = _read_text(path) if path.suffix.lower() == ".csv" else _read(path)
        with np.errstate(over="ignore"):  # infinite numbers are refused below
            found = np.atleast_2d(stored).astype(np.float32)
        if found.ndim == 3:
            found = found.reshape(-1, found.shape[2])
    except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:
        raise InputError(
            f"{path}: cannot be read as latents ({error}); give an .npy, .npz or .csv file, "
            f"as `audiate invert` and `audiate generate` write them"
        ) from error
    if found.ndim != 2 or found.shape[1] != latent_dim or not len(found):
        raise InputError(
            f"{path}: holds {stored.shape} numbers, and this model's latents are "
            f"(count, {latent_dim}); give `latents` of this model"
        )
    if not np.isfinite(found).all():
        raise InputError(f"{path}: holds NaN or infinite numbers; make it anew")
    return found


def clip_names(path: Path, count: int) -> list[str] | None:
    """The names of the clips in a file that `read_latents` has read ``count`` latents of.

    Returns:
        None where the file holds none, or where they cannot name files below a folder, one each.

    """
    names: list[str] = []
    with suppress(OSError, ValueError, LookupError, TypeError, BadZipFile):
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                names = [row[0] for row in csv.reader(file) if row][1:]
        elif path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as stored:
                names = [str(name) for name in stored["names"]]
    different = len({name.casefold() for name in names}) == count == len(names)
    return names if different and all(map(_is_below, names)) else None


def _is_below(name: str) -> bool:
    """Whether a name with slashes leads to no place above the folder in which it is used."""
    place = PureWindowsPath(name)  # which knows the separators of all systems
    hidden = any(part.startswith(".") for part in place.parts)  # ".." among them
    return name.isprintable() and place.as_posix() == name and not (place.anchor or hidden)


def _read_text(path: Path) -> NDArray[np.generic]:
    """The numbers of a .csv file, without its first line, its first column and codes."""
    if not path.is_file():
        raise ValueError("no such file")
    if path.stat().st_size > _MAX_TEXT:
        raise ValueError(f"{path.stat().st_size:,} bytes; at most {_MAX_TEXT:,}")
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    first = 2 if names[1:2] == ["code"] else 1
    return np.array([[float(cell) for cell in row[first:]] for row in rows if row])


def _read(path: Path) -> NDArray[np.generic]:
    """The array of an .npy file, or the array ``latents`` of an .npz file, checked beforehand."""
    if not path.exists():
        raise ValueError("no such file")
    if not path.is_file():
        raise ValueError("is a folder" if path.is_dir() else "is a pipe or a device")
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            file.seek(0)
            return _read_array(file, path.stat().st_size)
        with ZipFile(file) as members:
            if "latents.npy" not in members.namelist():
                raise ValueError("holds no array of the name latents")
            size = members.getinfo("latents.npy").file_size
            with members.open("latents.npy") as member:
                return _read_array(member, size)


def _read_array(file: IO[bytes], size: int) -> NDArray[np.generic]:
    """Read an array of real numbers, after a check of its header against the size of the file."""
    try:
        version = np.lib.format.read_magic(file)
    except ValueError as error:
        raise ValueError("empty, or no file that NumPy has written") from error
    if version == (1, 0):
        shape, by_column, kind = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, by_column, kind = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    if kind.kind not in "fiu":
        raise ValueError("no array of real numbers")
    count = int(np.prod([int(each) for each in shape], dtype=object))
    if len(shape) == 2 and shape[0] > MAX_LATENTS:
        raise ValueError(f"{shape[0]:,} latents; at most {MAX_LATENTS:,}")
    if count > _MAX_NUMBERS:
        raise ValueError(f"{count:,} numbers")
    if count * kind.itemsize > size:
        raise ValueError(f"truncated: its header promises {count:,} numbers")
    content = file.read(count * kind.itemsize)
    if len(content) < count * kind.itemsize:
        raise ValueError("truncated")
    return np.frombuffer(content, kind).reshape(shape, order="F" if by_column else "C")


_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SET = re.compile(rf"(\d+)=({_NUMBER})")
_SWEEP = re.compile(rf"(\d+)=({_NUMBER}):({_NUMBER}):(\d+)")
_MOST_STEPS = 10_000


class Sweep(NamedTuple):
    """An entry of the latent and the values that it takes in turn.

    Attributes:
        entry: Number of the entry, from 0.
        values: Its values, evenly apart.

    """

    entry: int
    values: tuple[float, ...]


def parse_set(text: str, latent_dim: int) -> tuple[int, float]:
    """Parse an entry of the latent and its value, as in ``3=-2.5``.

    Raises:
        InputError: The text has another form, or there is no such entry.

    """
    match = _SET.fullmatch(text.strip())
    if match is None:
        raise InputError(f"`set` {text}: give an entry of the latent and its value, as in 3=-2.5")
    return _entry("set", text, int(match[1]), latent_dim), float(match[2])


def parse_sweep(text: str, latent_dim: int) -> Sweep:
    """Parse an entry of the latent and its values, as in ``3=-5:5:11``: 11, evenly from -5 to 5.

    Raises:
        InputError: The text has another form, or there is no such entry.

    """
    match = _SWEEP.fullmatch(text.strip())
    if match is not None and not 1 <= int(match[4]) <= _MOST_STEPS:
        raise InputError(f"`sweep` {text}: takes {match[4]} values; give 1 to {_MOST_STEPS:,}")
    if match is None:
        raise InputError(
            f"`sweep` {text}: give an entry of the latent, its first and last value and their "
            f"number, as in 3=-5:5:11"
        )
    entry = _entry("sweep", text, int(match[1]), latent_dim)
    values = np.linspace(float(match[2]), float(match[3]), int(match[4]))
    return Sweep(entry, tuple(values.tolist()))


def check_entries(sets: Sequence[tuple[int, float]], sweeps: Sequence[Sweep]) -> None:
    """Make sure that no entry of the latent is set or swept twice.

    Raises:
        InputError: One is.

    """
    entries = [entry for entry, _ in sets] + [sweep.entry for sweep in sweeps]
    for entry in entries:
        if entries.count(entry) > 1:
            raise InputError(
                f"entry {entry} of latents is given twice by `set` or `sweep`; leave one out"
            )


def titles_of(z: Latents, sweeps: Sequence[Sweep]) -> list[str]:
    """Titles of latents (count, latent_dim): the values of the entries that are swept."""
    return [" ".join(f"z{s.entry}={row[s.entry]:.3g}" for s in sweeps) for row in z]


def swept(z: Latents, sets: Sequence[tuple[int, float]], sweeps: Sequence[Sweep]) -> Latents:
    """Set entries of latents, and repeat them with every combination of the sweeps' values.

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


def walked(stops: Sequence[Latents], count: int, *, spherical: bool = False) -> Latents:
    """Interpolate latents (count, latent_dim) evenly between stops (latent_dim,).

    Args:
        stops: Two or more latents.
        count: Number of latents, the first and the last stop among them.
        spherical: Whether to go around zero, at lengths between those of the stops (Shoemake 1985).
            Straight lines between normal numbers lead through unusually small ones.

    """
    places = np.linspace(0, len(stops) - 1, count)
    first = np.minimum(places.astype(int), len(stops) - 2)
    share, joined = (places - first)[:, None], np.stack(stops).astype(np.float64)
    start, end = joined[first], joined[first + 1]
    if not spherical:
        line: Latents = ((1 - share) * start + share * end).astype(np.float32)
        return line
    lengths = np.linalg.norm([start, end], axis=2, keepdims=True).clip(1e-12)
    start, end = start / lengths[0], end / lengths[1]
    angle = np.arccos((start * end).sum(1, keepdims=True).clip(-1, 1)).clip(1e-6)
    direction = np.sin((1 - share) * angle) * start + np.sin(share * angle) * end
    length = (1 - share) * lengths[0] + share * lengths[1]
    arc: Latents = (length * direction / np.sin(angle)).astype(np.float32)
    return arc


def read_stop(text: str, latent_dim: int) -> Latents:
    """Read a latent (latent_dim,): the first of ``walk.npy``, or row 7 with ``walk.npy:7``.

    Raises:
        InputError: There is no such file or row, or its latents are of another size.

    """
    path, row = Path(text), 0
    if not path.exists() and (match := re.fullmatch(r"(.+):(\d+)", text)):
        path, row = Path(match[1]), int(match[2])
    rows = read_latents(path, latent_dim)
    if row >= len(rows):
        raise InputError(f"{text}: the file holds {counted(len(rows), 'latent')}, from row 0 on")
    stop: Latents = rows[row]
    return stop


def save_csv(
    names: Sequence[str], z: Latents, path: Path, codes: Sequence[str] | None = None
) -> None:
    """Write latents (count, latent_dim) as text: a row for each name, a column for each entry.

    Args:
        names: The clips' names.
        z: The latents.
        path: The file.
        codes: The code of each, which a column gives; or None.

    Raises:
        InputError: The file cannot be written.

    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    code = [] if codes is None else ["code"]
    rows.writerow(["clip", *code, *(f"z{entry}" for entry in range(z.shape[1]))])
    for index, (name, latent) in enumerate(zip(names, z, strict=True)):
        row = [name] if codes is None else [name, codes[index]]
        rows.writerow([*row, *(f"{value:.9g}" for value in latent)])
    with writing(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def _entry(option: str, text: str, entry: int, latent_dim: int) -> int:
    if entry >= latent_dim:
        raise InputError(
            f"`{option}` {text}: this model's latents have the entries 0 to {latent_dim - 1}"
        )
    return entry
