"""The data sets on this machine: their folder, and whether a copy is whole.

Everything lies below one data folder (`data_root`), laid out as the publishers lay it out. Loaders
call `require`, the command line calls `inspect`.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shlex
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath

from platformdirs import user_cache_path

from audiate.data.sources import Remote, Source, find_source
from audiate.errors import InputError


class State(StrEnum):
    """The part of a data set that is there."""

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"
    USABLE = "usable"  # a part of a data set of which a part will do
    WHOLE = "whole"


@dataclass(frozen=True)
class Status:
    """The finding of `inspect`: the state, a short line such as "4 of 4 files", and the folder."""

    state: State
    detail: str
    folder: Path


def locate_root(data_dir: Path | str | None = None) -> tuple[Path, str]:
    """Choose the data folder, and say what named it: the first of these that is set.

    ``data_dir`` ("--data-dir"), the environment ("AUDIATE_DATA"), the user's cache folder
    ("default cache").
    """
    if data_dir is not None:
        return Path(data_dir).expanduser(), "--data-dir"
    if named := os.environ.get("AUDIATE_DATA"):
        return Path(named).expanduser(), "AUDIATE_DATA"
    return user_cache_path("audiate") / "data", "default cache"


def data_root(data_dir: Path | str | None = None) -> Path:
    """Return the data folder that `locate_root` chooses; it need not exist yet.

    Raises:
        InputError: A file is there, or a folder above it is closed to this user.

    """
    root, reason = locate_root(data_dir)
    try:
        problem = "is a file" if root.is_file() else None
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    if problem:
        raise InputError(
            f"{root}: the data folder ({reason}) {problem}; "
            "name another folder with `data_dir` or AUDIATE_DATA"
        )
    return root


def inspect(source: Source, root: Path) -> Status:
    """Tell how much of ``source`` is below the data folder ``root``, and whether it is sound.

    A downloaded file is hashed in full (MNIST: about 0.3 s); of a wav only the header is compared
    with the file's size, and a flac is only counted. A damaged file weighs more than a missing one.
    """
    folder = root / source.folder
    try:
        present = _present(source, folder)
        lists = [name for name in source.lists if (folder / name).is_file()]
    except OSError as error:
        return Status(State.DAMAGED, f"cannot be read: {error.strerror}", folder)
    problems = [
        f"{path} {problem}"
        for path in (*present, *lists)
        if (problem := _problem(source, folder / path))
    ]
    if problems:
        more = f" (and {len(problems) - 1:,} more)" if len(problems) > 1 else ""
        return Status(State.DAMAGED, problems[0] + more, folder)
    count = len({PurePath(path).with_suffix("") for path in present})
    detail = f"{count:,} of {source.count:,} {source.noun}"
    if not present and not lists:
        return Status(State.ABSENT, detail, folder)
    detail += "".join(f", no {name}" for name in source.lists if name not in lists)
    if count >= source.count and len(lists) == len(source.lists):
        return Status(State.WHOLE, detail, folder)
    usable = present and source.lists and source.lists[0] in lists
    return Status(State.USABLE if usable else State.INCOMPLETE, detail, folder)


def require(name: str, root: Path) -> Path:
    """Return the folder of the data set ``name`` below ``root``, whole or a part that will do.

    This is `inspect` in full and has no quicker mode: a file cut short is found here, by name,
    and not inside a decoder.

    Raises:
        InputError: No such data set, or its copy is absent, incomplete or damaged.

    """
    source = find_source(name)
    status = inspect(source, root)
    if status.state in (State.WHOLE, State.USABLE):
        return status.folder
    raise InputError(
        f"{name} is {status.state} in {status.folder} ({status.detail}); "
        f"run `{fetch_command(name, root)}`, or name another folder with --data-dir or AUDIATE_DATA"
    )


def fetch_command(name: str, root: Path) -> str:
    """Spell the command that fetches ``name`` into ``root``."""
    command = f"audiate data fetch {name}"
    if root != locate_root()[0]:
        command += f" --data-dir {shlex.quote(str(root))}"
    return command


def _present(source: Source, folder: Path) -> list[str]:
    """List the required files that are there, as sorted paths below ``folder``."""
    unreadable: list[OSError] = []
    required = re.compile(source.required)
    found = []
    for parent, _, names in os.walk(folder, onerror=unreadable.append, followlinks=True):
        below = PurePath(parent).relative_to(folder).as_posix()  # once a folder: this is slow
        paths = names if below == "." else [f"{below}/{name}" for name in names]
        found += [path for path in paths if required.fullmatch(path)]
    found.sort()
    for error in unreadable:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise error
    return found


def is_sound(source: Source, path: Path) -> bool:
    """Tell whether an installed file is there, and whole as far as can be told."""
    return path.exists() and _problem(source, path) is None


def _problem(source: Source, path: Path) -> str | None:
    """Say in a few words what is wrong with an installed file; None if it is sound."""
    if path.suffix == ".flac":  # nobody published it: it tells when it is read, in `load_audio`
        return None
    try:
        if path.stat().st_size == 0 or (path.suffix == ".txt" and not path.read_bytes().strip()):
            return "is empty"
        if source.members is None:
            remote = next(r for r in source.remotes if r.filename == path.name)
            return checksum_problem(path, remote)
        if path.suffix == ".wav":
            return _wav_problem(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def _wav_problem(path: Path) -> str | None:
    with path.open("rb") as file:
        header = file.read(12)
        size = os.fstat(file.fileno()).st_size
    if len(header) < 12 or header[:4] != b"RIFF" or header[8:] != b"WAVE":
        return "is not a wav file"
    promised = 8 + int.from_bytes(header[4:8], "little")
    return f"is cut short: {size:,} of {promised:,} bytes" if promised > size else None


def checksum_problem(path: Path, remote: Remote) -> str | None:
    """Say in a few words why a file is not what was published; None if it is."""
    try:
        with gzip.open(path) if remote.unpacked else path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except EOFError:
        return "is cut short"
    except (gzip.BadGzipFile, zlib.error):
        return "is not a sound gzip file"
    return None if digest == remote.sha256 else "does not match the published checksum"
