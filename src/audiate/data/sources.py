"""Published data sets: their files and licences, and how much of each is on this machine.

All data sets lie below one data folder (`data_root`), laid out as their publishers lay them out.
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
from typing import Literal, get_args

from audiate.errors import InputError
from audiate.utils.filesystem import cache_folder

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The digits as the folders of Speech Commands are named, in their order."""

DIGIT_SETS = ("speech_commands", "fsdd")
"""The data sets of spoken digits."""

Speaker = Literal["jackson", "nicolas", "theo", "yweweler"]

SPEAKERS: tuple[Speaker, ...] = get_args(Speaker)
"""The four speakers of FSDD who had been recorded when the paper was written."""


@dataclass(frozen=True)
class Remote:
    """One file to download.

    Attributes:
        urls: Its addresses; the mirrors are tried in this order.
        filename: Its name on disk.
        sha256: Checksum of the file, or of its content where ``unpacked`` is set.
        size: Published size in bytes, for progress only; mirrors may pack differently.
        unpacked: The file is a gzip and ``sha256`` is that of what it holds, because the same
            content is packed in different gzips around the world.

    """

    urls: tuple[str, ...]
    filename: str
    sha256: str
    size: int
    unpacked: bool = False


@dataclass(frozen=True)
class Source:
    """A published data set: its files, its licence, and the content of a whole copy.

    Attributes:
        name: Its name on the command line.
        title: A description in a few words.
        licence: Licence of the data.
        homepage: Page of its publishers.
        folder: Its place below the data folder, with forward slashes.
        remotes: The files to download.
        required: Pattern of the paths below ``folder`` (with forward slashes) that make a whole
            copy. Other files may lie beside them.
        count: How many paths of a whole copy match ``required``; one file in two formats counts
            once.
        noun: The word for those files, in the plural.
        members: Set if the remotes are tar archives: the pattern of the members to install, whose
            group ``path`` is the path below ``folder``. It must not be able to match "..".
            Without it, the remotes themselves are installed.
        lists: Files below ``folder`` that a whole copy holds besides. Where there are any, a part
            of the data set is usable too: the first of them and at least one path that matches
            ``required``. Without them, only a whole copy is.

    """

    name: str
    title: str
    licence: str
    homepage: str
    folder: str
    remotes: tuple[Remote, ...]
    required: str
    count: int
    noun: str
    members: str | None = None
    lists: tuple[str, ...] = ()


_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
)
_MNIST_FILES = """
train-images-idx3 9912422 ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
train-labels-idx1   28881 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
t10k-images-idx3  1648877 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
t10k-labels-idx1     4542 ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
"""  # name, size in bytes, SHA-256 of the content


def _mnist(row: str) -> Remote:
    name, size, sha256 = row.split()
    name += "-ubyte.gz"
    urls = tuple(f"{mirror}/{name}" for mirror in _MNIST_MIRRORS)
    return Remote(urls, name, sha256, int(size), unpacked=True)


_CLIP = rf"({'|'.join(DIGIT_WORDS)})/[0-9a-f]+_nohash_[0-9]+"  # of Speech Commands

_SOURCES = (
    Source(
        "fsdd",
        title="Free Spoken Digit Dataset: spoken digits, 8 kHz",
        licence="CC BY-SA 4.0",
        homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
        folder="fsdd/recordings",
        remotes=(
            Remote(
                ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",),
                "free-spoken-digit-dataset-1.0.9.tar.gz",
                "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
                11_975_353,
            ),
        ),
        # The four speakers of the paper; the release has two more, which may be there as well.
        required=rf"[0-9]_({'|'.join(SPEAKERS)})_[1-4]?[0-9]\.wav",
        count=2000,
        noun="recordings",
        members=r"[^/]+/recordings/(?P<path>[0-9]_[a-z]+_[0-9]+\.wav)",
    ),
    Source(
        "mnist",
        title="MNIST: images of handwritten digits, 28 x 28",
        licence="CC BY-SA 3.0",
        homepage="http://yann.lecun.com/exdb/mnist/",
        folder="mnist",
        remotes=tuple(map(_mnist, _MNIST_FILES.strip().splitlines())),
        required=r"(train|t10k)-(images-idx3|labels-idx1)-ubyte\.gz",
        count=4,
        noun="files",
    ),
    Source(
        "speech_commands",
        title="Speech Commands v0.02: the ten digits by many speakers, 16 kHz",
        licence="CC BY 4.0",
        homepage="https://arxiv.org/abs/1804.03209",
        folder="speech_commands",
        remotes=(
            Remote(
                (
                    "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
                    "https://storage.googleapis.com/download.tensorflow.org/data/"
                    "speech_commands_v0.02.tar.gz",
                ),
                "speech_commands_v0.02.tar.gz",
                "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
                2_428_923_189,
            ),
        ),
        # Published as wav; a smaller copy in flac, or of fewer words or clips, is as good.
        required=rf"{_CLIP}\.(wav|flac)",
        count=38_908,
        noun="recordings",
        members=rf"(\./)?(?P<path>{_CLIP}\.wav|(validation|testing)_list\.txt)",
        lists=("validation_list.txt", "testing_list.txt"),
    ),
)
SOURCES = {source.name: source for source in _SOURCES}
"""The data sets by name."""


def find_source(name: str) -> Source:
    """Find a data set in `SOURCES` by its name.

    Raises:
        InputError: There is no such data set.

    """
    if name not in SOURCES:
        raise InputError(f"{name}: no data set of this name; choose among {', '.join(SOURCES)}")
    return SOURCES[name]


class State(StrEnum):
    """The state of a data set on this machine."""

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
    """Choose the data folder, and return it with the setting that names it.

    It is the first of these that is set: ``data_dir`` ("--data-dir"), the environment
    ("AUDIATE_DATA"), the user's cache folder ("default cache").
    """
    if data_dir is not None:
        return Path(data_dir).expanduser(), "--data-dir"
    if named := os.environ.get("AUDIATE_DATA"):
        return Path(named).expanduser(), "AUDIATE_DATA"
    return cache_folder() / "data", "default cache"


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
    """Check how much of a data set is below the data folder ``root``, and whether it is sound.

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
    """Whether an installed file is there, and whole as far as `inspect` can check."""
    return path.exists() and _problem(source, path) is None


def _problem(source: Source, path: Path) -> str | None:
    """The problem of an installed file in a few words; None if it is sound."""
    if path.suffix == ".flac":  # has no published checksum: `load_audio` checks it when it is read
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
    """The difference of a file from the published one in a few words; None if there is none."""
    try:
        with gzip.open(path) if remote.unpacked else path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except EOFError:
        return "is cut short"
    except (gzip.BadGzipFile, zlib.error):
        return "is not a sound gzip file"
    return None if digest == remote.sha256 else "does not match the published checksum"
