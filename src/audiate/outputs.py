"""The folder that a command writes to: what it wrote is recorded, what it did not write is kept."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from audiate.errors import InputError
from audiate.files import alone, writing
from audiate.interrupts import uninterrupted
from audiate.records import (
    ClipRecord,
    WrittenFile,
    clip_from_plain,
    clip_to_plain,
    files_from_plain,
    files_to_plain,
    identity,
    is_as_left,
    modified,
)

REPORT_NAME = "report.json"
LATENTS_NAME = "latents.npz"
_LOCK_NAME = ".audiate.lock"
_STAGE_NAME = ".audiate.new"

R = TypeVar("R")
V = TypeVar("V")


class Outputs(Generic[R]):
    """A folder that a command writes to, while this process alone may write there.

    ``report.json`` holds the command, its settings, and for each clip its source and what was
    written for it. A file is ours if it is recorded there and has not been changed since; only such
    files are replaced or removed.

    Attributes:
        folder: The folder.
        clips: Records of all clips in the folder, by the name of the clip.
        shared: States of the files that belong to no single clip.

    """

    def __init__(
        self, folder: Path, command: str, settings: Mapping[str, str], result_type: type[R]
    ) -> None:
        self.folder = folder
        self.clips: dict[str, ClipRecord[R]] = {}
        self.shared: dict[str, WrittenFile | None] = {}
        self._command, self._settings, self._result_type = command, dict(settings), result_type

    @property
    def report(self) -> Path:
        """The file that holds the record."""
        return self.folder / REPORT_NAME

    def take_up(self, *, same_settings: bool) -> None:
        """Read the record of an earlier run, where there is one.

        Args:
            same_settings: Whether that run must have had the same settings, if it has written
                anything.

        Raises:
            InputError: The record is damaged or is none, or the run was one of another command or
                with other settings.

        """
        if not os.path.lexists(self.report):
            return
        try:
            if not self.report.is_file():
                raise ValueError("no file")
            stored = json.loads(self.report.read_text(encoding="utf-8"))
            command, settings = str(stored["command"]), dict(stored["settings"])
            self.shared = files_from_plain(stored["files"])
            if command == self._command:
                self.clips = {
                    name: clip_from_plain(clip, self._result_type)
                    for name, clip in stored["clips"].items()
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = " ".join(f"{error}".split())[:100]
            raise InputError(
                f"{self.report}: is no record of this version of audiate ({reason}); name another "
                f"folder with `out`"
            ) from error
        if command != self._command:
            raise InputError(
                f"{self.folder}: holds the results of `audiate {command}`; name another folder "
                f"with `out`"
            )
        differing = sorted(
            name
            for name in settings.keys() | self._settings.keys()
            if settings.get(name) != self._settings.get(name)
        )
        holds_results = self.shared or any(clip.files for clip in self.clips.values())
        if differing and same_settings and not holds_results:
            self.clips = {}  # nothing but failures, which other settings may not meet
        elif differing and same_settings:
            listed = ", ".join(f"`{name}`" for name in differing)
            raise InputError(
                f"{self.folder}: holds the results of `audiate {command}` with another {listed}; "
                f"name another folder with `out`, or delete that one"
            )

    def save(self) -> None:
        """Write the record, whole or not at all.

        Raises:
            InputError: It cannot be written.

        """
        clips = {name: clip_to_plain(clip) for name, clip in self.clips.items()}
        record = {
            "command": self._command,
            "settings": self._settings,
            "files": files_to_plain(self.shared),
            "clips": clips,
        }
        with writing(self.report, durable=True) as partial:
            partial.write_text(json.dumps(record, indent=1), encoding="utf-8")

    def check(
        self, files: Iterable[str], shared: Iterable[str], sources: Iterable[Path] = ()
    ) -> None:
        """Make sure that files may be written.

        Args:
            files: Their names.
            shared: Names of more files, which belong to no single clip.
            sources: Files that must not be overwritten, whoever has written them.

        Raises:
            InputError: A file is there that this command has not written, or that was changed since
                or is a source.

        """
        precious = {os.path.realpath(path) for path in sources}
        known = self._known()
        for name in (*files, *shared):
            path = self.folder / name
            if os.path.realpath(path) in precious:
                raise InputError(
                    f"`out` {self.folder}: {path} is one of the clips, and would be overwritten; "
                    f"name another folder"
                )
            if os.path.lexists(path) and not (name in known and is_as_left(path, known[name])):
                what = "was changed since" if name in known else "was not written by this command"
                raise InputError(
                    f"`out` {self.folder}: {path} is there already and {what}, so it is not "
                    f"replaced; name another folder"
                )

    def claim(self, clips: Mapping[str, ClipRecord[R]], shared: Iterable[str]) -> None:
        """Record, before anything is written, that these files are going to be ours.

        Raises:
            InputError: The record cannot be written.

        """
        self.clips.update(clips)
        self.shared |= dict.fromkeys(shared)
        self.save()

    def written(self, names: Iterable[str]) -> dict[str, WrittenFile | None]:
        """States of files that have just been written; what is not there is left out."""
        return {
            name: WrittenFile.of(self.folder / name)
            for name in names
            if os.path.isfile(self.folder / name)  # noqa: PTH113 - False for names too long
        }

    def _known(self) -> dict[str, WrittenFile | None]:
        known = dict(self.shared)
        for clip in self.clips.values():
            known |= clip.files
        return known

    def is_done(self, name: str, source: Path) -> bool:
        """Whether this very file was worked at before, and all that was written is still there."""
        clip = self.clips.get(name)
        return (
            clip is not None
            and clip.error is None
            and clip.modified is not None
            and clip.modified == modified(source)
            and all((self.folder / file).exists() for file in clip.files)
        )

    def names_of(
        self,
        clips: Sequence[tuple[str, Path]],
        files_of: Callable[[str], Sequence[str]],
        shared: Sequence[str],
    ) -> dict[str, Path]:
        """Clips by name; a clip has the same name in every run.

        Args:
            clips: Pairs of the name that a clip would like to have and its path. Where a file of
                that name is another clip's, the name is numbered.
            files_of: Gives the names of the files that are written for the clip of a name.
            shared: Names of the files that belong to no single clip.

        """
        known = {clip.source: name for name, clip in self.clips.items()}
        taken = {each.casefold() for name in self.clips for each in files_of(name)}
        taken |= {each.casefold() for each in (*shared, REPORT_NAME)}
        found: dict[str, Path] = {}
        for wish, path in clips:
            name = known.get(identity(path))
            if name is None:
                name, number = wish, 1
                while not taken.isdisjoint(each.casefold() for each in files_of(name)):
                    number += 1
                    name = f"{wish}-{number}"
                taken |= {each.casefold() for each in files_of(name)}
            found[name] = path
        return found

    @contextmanager
    def staged(self, clips: Mapping[str, Sequence[str]], shared: Sequence[str]) -> Iterator[Path]:
        """Yield a folder to write to; at the end, its files take the place of earlier ones.

        Whatever interrupts this before the end leaves the earlier files as they were. Files of
        earlier clips that have no successor are removed last of all.

        Args:
            clips: Names of the files of each clip.
            shared: Names of the other files.

        Raises:
            InputError: As of `check` and `claim`.

        """
        files = [name for each in clips.values() for name in each]
        self.check(files, shared)
        stage = self.folder / _STAGE_NAME
        _remove(stage)
        try:
            yield stage
            with uninterrupted():
                self._replace_all(stage, clips, shared)
        finally:
            _remove(stage)

    def _replace_all(
        self, stage: Path, clips: Mapping[str, Sequence[str]], shared: Sequence[str]
    ) -> None:
        """Move files out of the stage, and remove those of earlier clips that are left over."""
        earlier = self._known()
        self.claim(
            {name: ClipRecord[R](files=dict.fromkeys(clips[name])) for name in clips}, shared
        )
        kept = {name for each in clips.values() for name in each} | set(shared)
        for name in kept:
            (stage / name).replace(self.folder / name)
        for name in earlier.keys() - kept:
            if is_as_left(self.folder / name, earlier[name]):
                (self.folder / name).unlink(missing_ok=True)
        self.clips = {name: ClipRecord[R](files=self.written(each)) for name, each in clips.items()}
        self.shared = self.written(shared)
        self.save()


@contextmanager
def open_outputs(
    folder: Path,
    command: str,
    settings: Mapping[str, str],
    result_type: type[R],
    *,
    same_settings: bool = True,
) -> Iterator[Outputs[R]]:
    """Keep other processes out of a folder, and read what an earlier run has recorded there.

    Args:
        folder: The folder, which is made where it is missing.
        command: Name of the command, as in ``audiate draw``.
        settings: All settings that what is written depends on.
        result_type: A frozen dataclass of plain values, which holds what is found out about a clip;
            ``type(None)`` where there is nothing to hold.
        same_settings: Whether an earlier run must have had the same settings.

    Raises:
        InputError: Another process writes there, or as of `Outputs.take_up`.

    """
    taken = (
        f"`out` {folder}: another audiate command is writing there; wait for its end, or name "
        f"another folder"
    )
    with alone(folder / _LOCK_NAME, taken):
        outputs = Outputs(folder, command, settings, result_type)
        outputs.take_up(same_settings=same_settings)
        yield outputs


def is_output_folder(folder: Path) -> bool:
    """Whether a command of ours has written to this folder."""
    report = folder / REPORT_NAME
    try:
        if not report.is_file():
            return False
        with report.open("rb") as file:
            return begins_report(file.read(64))
    except (OSError, ValueError):
        return False


def begins_report(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a report of ours."""
    return head.lstrip(b"{ \r\n").startswith(b'"command": "')


def _remove(stage: Path) -> None:
    if stage.is_dir() and not stage.is_symlink():
        shutil.rmtree(stage, ignore_errors=True)
