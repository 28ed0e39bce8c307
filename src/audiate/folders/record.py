"""The record of a folder that a command writes to: append-only, so that a killed command goes on.

``report.json`` holds the command, its settings, and for each clip its source, its files and its
result. It is written whole when a command begins and when it ends, or is interrupted. In between,
each finished clip adds a line to the journal ``.audiate.jsonl``, together with its latent. A
command that finds a journal was killed before; it takes over all lines that are complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, is_dataclass
from hashlib import blake2b
from pathlib import Path
from types import NoneType
from typing import Any, Generic, TypeVar

import numpy as np

from audiate.data.folders import REPORT_NAME, identity
from audiate.data.latents import Latents, read_table, save_table
from audiate.errors import InputError
from audiate.utils.filesystem import alone, flush, remove_partials, writing
from audiate.utils.serialization import from_plain

R = TypeVar("R")

Files = Mapping[str, str | None]
"""Files by their path below the folder, each with the digest of its content, its size, and the
digest of its first bytes. None: the file is being written, or the command was killed meanwhile;
whatever is there belongs to the command."""

LATENTS_NAME = "latents.npz"
_LOCK_NAME = ".audiate.lock"
_JOURNAL_NAME = ".audiate.jsonl"
_HEAD = 40  # bytes, in which formats of sounds and pictures tell a size


@dataclass(frozen=True)
class ClipRecord(Generic[R]):
    """The record of one clip.

    Attributes:
        source: Absolute path of the source file; None for a sound that was made of no file.
        modified: Time at which the source was changed last, in nanoseconds; None until it is read.
        files: The files that were written for this clip.
        error: The reason why it could not be used; None where there is none.
        result: Values that the command computed for the clip; None where there are none.

    """

    source: str | None = None
    modified: int | None = None
    files: Files = field(default_factory=dict)
    error: str | None = None
    result: R | None = None


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "source": (str, NoneType),
    "modified": (int, NoneType),
    "files": (dict,),
    "error": (str, NoneType),
}


class FolderRecord(Generic[R]):
    """The record of a folder, which this process alone may write to; see `open_record`.

    A file belongs to the command if it is recorded and was not changed since. Only such files are
    replaced or removed.

    Attributes:
        folder: The folder.
        clips: Records of all clips in the folder, by the name of the clip.
        shared: The files that belong to no single clip.
        latents: Latents by the name of the clip.
        killed: Whether an earlier command was killed before its end.

    """

    def __init__(
        self, folder: Path, command: str, settings: Mapping[str, str], result_type: type[R]
    ) -> None:
        self.folder = folder
        self.clips: dict[str, ClipRecord[R]] = {}
        self.shared: dict[str, str | None] = {}
        self.latents: dict[str, Latents] = {}
        self.killed = False
        self._command, self._settings, self._result_type = command, dict(settings), result_type
        self._report, self._journal = folder / REPORT_NAME, folder / _JOURNAL_NAME

    def load(self, *, same_settings: bool) -> None:
        """Read the record of an earlier command, where there is one.

        Args:
            same_settings: Whether that command must have had the same settings, if it has written
                anything.

        Raises:
            InputError: The record is damaged or is none, or is that of another command or of other
                settings.

        """
        if not os.path.lexists(self._report):
            return
        try:
            if not self._report.is_file():
                raise ValueError("no file")
            stored = json.loads(self._report.read_text(encoding="utf-8"))
            command, settings = str(stored["command"]), dict(stored["settings"])
            self.shared = _files_from_json(stored["files"])
            if command == self._command:
                self.clips = {name: self._clip(each) for name, each in stored["clips"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = " ".join(f"{error}".split())[:100]
            raise InputError(
                f"{self._report}: is no record of this version of audiate ({reason}); name another "
                f"folder with `out`"
            ) from error
        if command != self._command:
            raise InputError(
                f"{self.folder}: holds the results of `audiate {command}`; name another folder "
                f"with `out`"
            )
        if LATENTS_NAME in self.shared:
            self.latents = read_table(self.folder / LATENTS_NAME)
        self.killed = self._journal.exists() or None in self.owned().values()
        self._load_journal()
        if same_settings:
            self._check_settings(settings)

    def remove_partials(self) -> None:
        """Remove the command's half-written files, which a process that was killed has left."""
        ours = {self.folder / name for name in (REPORT_NAME, *self.owned())}
        remove_partials({path.parent for path in ours}, ours.__contains__)

    def _load_journal(self) -> None:
        """Take over the lines of a journal, up to the first one that is incomplete."""
        try:
            for line in self._journal.read_text(encoding="utf-8").splitlines(keepends=True):
                stored = json.loads(line if line.endswith("\n") else "")
                name, latent = str(stored["name"]), stored["latent"]
                self.clips[name] = self._clip(stored["clip"])
                if latent is not None:
                    self.latents[name] = np.array(latent, dtype=np.float32)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # clips without a line are done again

    def _check_settings(self, settings: Mapping[str, str]) -> None:
        names = settings.keys() | self._settings.keys()
        differing = sorted(n for n in names if settings.get(n) != self._settings.get(n))
        if differing and not (self.shared or any(clip.files for clip in self.clips.values())):
            self.clips = {}  # nothing but failures, which other settings may not meet
        elif differing:
            listed = ", ".join(f"`{name}`" for name in differing)
            raise InputError(
                f"{self.folder}: holds the results of `audiate {self._command}` with another "
                f"{listed}; name another folder with `out`, or delete that one"
            )

    def _clip(self, stored: Mapping[str, Any]) -> ClipRecord[R]:
        """A clip's record from JSON, where the entries of its result stand beside the others.

        Raises:
            KeyError, TypeError, ValueError: It is no such record.

        """
        own = {name: stored[name] for name in _JSON_TYPES}
        for name, value in own.items():
            if not isinstance(value, _JSON_TYPES[name]):
                raise TypeError(f"{name} cannot be {value!r}")
        own["files"] = _files_from_json(own["files"])
        result = {name: value for name, value in stored.items() if name not in own}
        return ClipRecord(**own, result=from_plain(self._result_type, result) if result else None)

    def save(self) -> None:
        """Write the whole record, which replaces the journal.

        Raises:
            InputError: It cannot be written.

        """
        record = {
            "command": self._command,
            "settings": self._settings,
            "files": self.shared,
            "clips": {name: _clip_to_json(clip) for name, clip in self.clips.items()},
        }
        with writing(self._report, durable=True) as partial:
            partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
        self._journal.unlink(missing_ok=True)

    def append(self, clips: Mapping[str, ClipRecord[R]], latents: Mapping[str, Latents]) -> None:
        """Record clips that are done, or that failed, and add a line for each to the journal.

        Raises:
            InputError: The journal cannot be written.

        """
        self.clips.update(clips)
        self.latents.update(latents)
        lines = []
        for name, clip in clips.items():
            latent = latents[name].tolist() if name in latents else None
            stored = {"name": name, "clip": _clip_to_json(clip), "latent": latent}
            lines.append(json.dumps(stored) + "\n")
        try:
            with self._journal.open("a", encoding="utf-8") as journal:
                journal.writelines(lines)
                journal.flush()
                os.fsync(journal.fileno())
        except OSError as error:
            raise InputError(
                f"{self._journal}: cannot be written ({error.strerror or error}); name another "
                f"with `out`"
            ) from error

    def save_latents(self) -> None:
        """Write all latents, the earlier ones included, in the order of the record.

        Raises:
            InputError: The file cannot be written.

        """
        latents = {name: self.latents[name] for name in self.clips if name in self.latents}
        if latents:
            save_table(latents, self.folder / LATENTS_NAME)

    def check(self, files: Iterable[str], sources: Iterable[Path] = ()) -> None:
        """Make sure that files may be written.

        Args:
            files: Their paths below the folder.
            sources: Files that must not be overwritten, whoever has written them.

        Raises:
            InputError: A file is there that this command has not written, or that was changed since
                or is a source.

        """
        precious = {os.path.realpath(path) for path in sources}
        owned = self.owned()
        for name in files:
            path = self.folder / name
            if os.path.realpath(path) in precious:
                raise InputError(
                    f"`out` {self.folder}: {path} is one of the clips, and would be overwritten; "
                    f"name another folder"
                )
            ours = name in owned and (is_unchanged(path, owned[name]) or is_cut(path, owned[name]))
            if os.path.lexists(path) and not ours:
                what = "was changed since" if name in owned else "was not written by this command"
                raise InputError(
                    f"`out` {self.folder}: {path} is there already and {what}, so it is not "
                    f"replaced; name another folder"
                )

    def claim(self, clips: Mapping[str, ClipRecord[R]], shared: Iterable[str]) -> None:
        """Record, before anything is written, that these files are going to be the command's.

        Raises:
            InputError: The record cannot be written.

        """
        self.clips.update(clips)
        self.shared |= dict.fromkeys(shared)
        self.save()

    def owned(self) -> dict[str, str | None]:
        """All files that the command has written."""
        owned = dict(self.shared)
        for clip in self.clips.values():
            owned |= clip.files
        return owned

    def written(self, names: Iterable[str]) -> dict[str, str | None]:
        """Files that have just been written, with their digests; missing ones are left out.

        They reach the disk before the record that names them does.
        """
        there = [
            name
            for name in names
            if os.path.isfile(self.folder / name)  # noqa: PTH113 - False for names too long
        ]
        flush([self.folder / name for name in there])
        return {name: _digest(self.folder / name) for name in there}

    def is_done(self, name: str, source: Path) -> bool:
        """Whether this very file was processed before, and all that was written is still there."""
        clip = self.clips.get(name)
        return (
            clip is not None
            and clip.error is None
            and clip.modified is not None
            and clip.modified == modified(source)
            and self.are_there(clip.files)
        )

    def are_there(self, files: Files) -> bool:
        """Whether files exist, and none of them was emptied or cut by a crash."""
        paths = {self.folder / name: digest for name, digest in files.items()}
        return all(path.exists() and not is_cut(path, digest) for path, digest in paths.items())

    def names_of(
        self,
        clips: Sequence[tuple[str, Path]],
        files_of: Callable[[str], Sequence[str]],
        shared: Sequence[str],
    ) -> dict[str, Path]:
        """Name clips; a clip has the same name in every run.

        Args:
            clips: Pairs of the name that a clip would like to have and its path. Where a file of
                that name is another clip's, the name is numbered.
            files_of: Gives the files that are written for the clip of a name.
            shared: The files that belong to no single clip.

        Returns:
            Paths by name.

        """
        known = {clip.source: name for name, clip in self.clips.items()}
        taken = {each.casefold() for name in self.clips for each in files_of(name)}
        taken |= {each.casefold() for each in (*shared, REPORT_NAME)}
        found: dict[str, Path] = {}
        for wanted, path in clips:
            name = known.get(identity(path))
            if name is None:
                name, number = wanted, 1
                while not taken.isdisjoint(each.casefold() for each in files_of(name)):
                    number += 1
                    name = f"{wanted}-{number}"
                taken |= {each.casefold() for each in files_of(name)}
            found[name] = path
        return found


@contextmanager
def open_record(
    folder: Path,
    command: str,
    settings: Mapping[str, str],
    result_type: type[R],
    *,
    same_settings: bool = True,
) -> Iterator[FolderRecord[R]]:
    """Keep other processes out of a folder, and read the record of an earlier command there.

    Args:
        folder: The folder, which is made where it is missing.
        command: Name of the command, as in ``audiate draw``.
        settings: All settings that the outputs depend on.
        result_type: A frozen dataclass of plain values, which holds the result of a clip;
            ``type(None)`` where there is none.
        same_settings: Whether an earlier command must have had the same settings.

    Raises:
        InputError: Another process writes there, or as of `FolderRecord.load`.

    """
    taken = (
        f"`out` {folder}: another audiate command is writing there; wait for its end, or name "
        f"another folder"
    )
    with alone(folder / _LOCK_NAME, taken):
        record = FolderRecord(folder, command, settings, result_type)
        record.load(same_settings=same_settings)
        record.remove_partials()
        yield record


def modified(source: Path) -> int | None:
    """Time at which a file was changed last, in nanoseconds; None if it is not there."""
    try:
        return source.stat().st_mtime_ns
    except OSError:
        return None


def is_unchanged(path: Path, digest: str | None) -> bool:
    """Whether a file is as it was recorded; one that was being written may hold anything."""
    try:
        if not path.is_file() or path.is_symlink():
            return False
        return digest is None or _digest(path) == digest
    except OSError:
        return False


def is_cut(path: Path, digest: str | None) -> bool:
    """Whether a file is empty, or a beginning of what was recorded, as a crash may leave it."""
    _, size, head = f"{digest}--".split("-")[:3]
    try:
        if not path.is_file() or path.is_symlink():
            return False
        found = path.stat().st_size
        if not found or found >= int(size or 0):
            return not found
        with path.open("rb") as file:
            return _hash(file.read(_HEAD)) == head
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    content = path.read_bytes()
    return f"{_hash(content)}-{len(content)}-{_hash(content[:_HEAD])}"


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def _clip_to_json(clip: ClipRecord[R]) -> dict[str, Any]:
    result = asdict(clip.result) if is_dataclass(clip.result) else {}  # type: ignore[arg-type]
    own = {name: getattr(clip, name) for name in _JSON_TYPES}
    return {"source": own["source"], "modified": own["modified"], **result, **own}


def _files_from_json(stored: Mapping[str, Any]) -> dict[str, str | None]:
    for name, digest in stored.items():
        if not isinstance(digest, (str, NoneType)):
            raise TypeError(f"{name} cannot be {digest!r}")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError("a file outside the folder")
    return dict(stored)
