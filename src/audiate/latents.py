"""Latents on disk: .npy files of numbers, and .npz tables that also hold the names of clips."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from audiate.errors import InputError
from audiate.files import writing

Latents = NDArray[np.float32]

MAX_LATENTS = 100_000
"""More latents than this are not read from one file."""

_MAX_TEXT = 2**29  # bytes of a .csv file
_MAX_NUMBERS = 10**9  # of a file; 8 GB of doubles would not fit in memory


def save_table(latents: Mapping[str, Latents], path: Path) -> None:
    """Write the latents of clips by their names, as arrays ``names``, ``latents``.

    Args:
        latents: (latent_dim,) for each clip; or several, (samples, latent_dim), of each as many.
        path: The file.

    Raises:
        InputError: The file cannot be written.

    """
    encoded = io.BytesIO()
    names = np.array(list(latents))
    np.savez(encoded, names=names, latents=np.stack(list(latents.values())).astype(np.float32))
    with writing(path) as partial:
        partial.write_bytes(encoded.getbuffer())


def read_table(path: Path) -> dict[str, Latents]:
    """Latents by the names of clips, as `save_table` writes them.

    Returns:
        Nothing where the file is missing or damaged.

    """
    try:
        rows = _read(path)
        with np.load(path, allow_pickle=False) as stored:
            return dict(zip(stored["names"].tolist(), rows.astype(np.float32), strict=True))
    except (OSError, ValueError, KeyError, TypeError, BadZipFile):
        return {}


def read_latents(path: Path, latent_dim: int) -> Latents:
    """Latents (count, latent_dim) of a .npy or .csv file, or of the table in an .npz file.

    Where a table holds several latents of each clip, they follow one another. A .csv file has a
    line of names, and then a row for each latent: its name, and its numbers.

    Raises:
        InputError: It is no such file, or holds too much, latents of another size, or NaN.

    """
    try:
        stored = _read_text(path) if path.suffix.lower() == ".csv" else _read(path)
        with np.errstate(over="ignore"):  # what becomes infinite is told below
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


def _read_text(path: Path) -> NDArray[np.generic]:
    """The numbers of a .csv file, without its first line and its first column."""
    if not path.is_file():
        raise ValueError("no such file")
    if path.stat().st_size > _MAX_TEXT:
        raise ValueError(f"{path.stat().st_size:,} bytes; at most {_MAX_TEXT:,}")
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return np.array([[float(cell) for cell in row[1:]] for row in rows if row])


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
    """An array of real numbers, whose header is compared with the size of the file first."""
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    shape, by_column, kind = read_header(file)
    if kind.kind not in "fiu":
        raise ValueError("no array of real numbers")
    count = int(np.prod([int(each) for each in shape], dtype=object))
    if len(shape) == 2 and shape[0] > MAX_LATENTS:
        raise ValueError(f"{shape[0]:,} latents; at most {MAX_LATENTS:,}")
    if count > _MAX_NUMBERS:
        raise ValueError(f"{count:,} numbers")
    if count * kind.itemsize > size:
        raise ValueError(f"truncated: its header tells of {count:,} numbers")
    content = file.read(count * kind.itemsize)
    if len(content) < count * kind.itemsize:
        raise ValueError("truncated")
    return np.frombuffer(content, kind).reshape(shape, order="F" if by_column else "C")
