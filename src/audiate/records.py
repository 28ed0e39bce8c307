"""The record that a command keeps of the files it writes, and its form in JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, TypeVar

from audiate.plain import from_plain

R = TypeVar("R")


@dataclass(frozen=True)
class WrittenFile:
    """The state in which a command left a file.

    Attributes:
        size: Size in bytes.
        digest: BLAKE2 hash of 8 bytes, in hexadecimal.

    """

    size: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> WrittenFile:
        """The state of a file on disk; errors are those of the system."""
        content = path.read_bytes()
        return cls(len(content), blake2b(content, digest_size=8).hexdigest())


Files = Mapping[str, WrittenFile | None]
"""States of files by their path below the folder. None: the file is being written, or the command
was killed meanwhile; whatever is there belongs to the command."""


@dataclass(frozen=True)
class ClipRecord(Generic[R]):
    """The record of one clip.

    Attributes:
        source: Absolute path of the sound file; None for a sound that was made of no file.
        modified: Time at which the source was changed last, in nanoseconds; None until it is read.
        files: The files that were written for this clip.
        error: The reason why it could not be used; None where there is none.
        result: What the command found out about the clip; None before it has.

    """

    source: str | None = None
    modified: int | None = None
    files: Files = field(default_factory=dict)
    error: str | None = None
    result: R | None = None


def clip_to_plain(clip: ClipRecord[R]) -> dict[str, Any]:
    """A clip's record as JSON has it: the result's entries stand beside the others."""
    result = asdict(clip.result) if is_dataclass(clip.result) else {}  # type: ignore[arg-type]
    return {
        "source": clip.source,
        "modified": clip.modified,
        **result,
        "files": files_to_plain(clip.files),
        "error": clip.error,
    }


def clip_from_plain(stored: dict[str, Any], result_type: type[R]) -> ClipRecord[R]:
    """The inverse of `clip_to_plain`.

    Raises:
        TypeError, ValueError: It is no such record, or names a file outside the folder.

    """
    own = {each.name for each in fields(ClipRecord)}
    result = {name: value for name, value in stored.items() if name not in own}
    source = from_plain(_Source, {name: stored[name] for name in ("source", "modified", "error")})
    return ClipRecord(
        source.source,
        source.modified,
        files_from_plain(stored["files"]),
        source.error,
        from_plain(result_type, result) if result else None,
    )


@dataclass(frozen=True)
class _Source:
    """The entries of a `ClipRecord` that are plain values."""

    source: str | None
    modified: int | None
    error: str | None


def files_to_plain(files: Files) -> dict[str, dict[str, Any] | None]:
    """States of files as JSON has them."""
    return {name: None if state is None else asdict(state) for name, state in files.items()}


def files_from_plain(stored: Mapping[str, dict[str, Any] | None]) -> dict[str, WrittenFile | None]:
    """The inverse of `files_to_plain`.

    Raises:
        TypeError, ValueError: They are no such states, or name a file outside the folder.

    """
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in stored):
        raise ValueError("a file outside the folder")
    return {
        name: None if state is None else from_plain(WrittenFile, state)
        for name, state in stored.items()
    }


def identity(source: Path) -> str:
    """The absolute path by which a source is known again, from whatever folder it is named."""
    return os.path.abspath(source)  # noqa: PTH100 - Path.resolve would follow links


def modified(source: Path) -> int | None:
    """Time at which a file was changed last, in nanoseconds; None if it is not there."""
    try:
        return source.stat().st_mtime_ns
    except OSError:
        return None


def is_as_left(path: Path, state: WrittenFile | None) -> bool:
    """Whether a file is still as it was recorded; one that was being written may be anything."""
    try:
        if not path.is_file() or path.is_symlink():
            return False
        return state is None or (
            path.stat().st_size == state.size and WrittenFile.of(path) == state
        )
    except OSError:
        return False
