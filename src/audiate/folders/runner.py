"""Process a folder of files: batches, records, resumption, and outputs that replace nothing."""

from __future__ import annotations

import json
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor

from audiate.audio.files import Recording
from audiate.data.folders import REPORT_NAME, identity
from audiate.data.latents import Latents, read_table, save_table
from audiate.errors import InputError, Interrupted
from audiate.utils.filesystem import alone, uninterrupted, writing
from audiate.utils.plots import Panel, PanelRow, save_panels
from audiate.utils.progress import tracked
from audiate.utils.serialization import from_plain

R = TypeVar("R")


V = TypeVar("V")


Item = TypeVar("Item")


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


LATENTS_NAME = "latents.npz"


Notify = Callable[[InputError], None]


_SAVING_SHARE = 20  # records are saved so seldom that it takes at most a twentieth of the time


_THREADS = 4


@dataclass(frozen=True)
class Product(Generic[R]):
    """The product of a batch's work for one clip.

    Attributes:
        latent: (latent_dim,); or several, (samples, latent_dim), of each clip as many.
        result: What was found out about the clip.
        write: Writes the clip's files; it is called with their paths, in a thread.

    """

    latent: Latents
    result: R
    write: Callable[[Sequence[Path]], None]


class ClipWork(ABC, Generic[Item, R]):
    """The work of a command at clips."""

    endings: tuple[str, ...]
    """The files that are written for a clip, as patterns of its name: ``"{}.wav"``."""
    folders: ClassVar[tuple[str, ...]] = ()
    """Folders of the outputs in which no clip of its own may lie."""
    shared: ClassVar[tuple[str, ...]] = (LATENTS_NAME,)
    """The files that belong to no single clip."""

    @abstractmethod
    def read(self, path: Path | Recording) -> Item:
        """Read a clip, in a thread.

        Raises:
            InputError: It cannot be used; the message names the file.

        """

    @abstractmethod
    def compute(self, items: Sequence[Item]) -> list[Product[R]]:
        """Work at a batch of clips.

        Raises:
            InputError: A clip of them cannot be used.

        """

    def stored_latent(self, paths: Sequence[Path]) -> Latents | None:
        """The latent of a clip whose files are at these paths, if one of them holds it."""
        del paths
        return None

    def finish(self, outputs: Outputs[R], new: Sequence[str]) -> None:
        """Write what belongs to no single clip, after the clips ``new`` are done."""


def products_of(work: ClipWork[Item, R], items: Sequence[Item]) -> list[Product[R] | InputError]:
    """Work at a batch of clips; where one of them cannot be used, at each by itself.

    Returns:
        For each clip its product, or the reason why there is none.

    """
    try:
        return list(work.compute(items))
    except InputError as error:
        if len(items) == 1:
            return [error]
        return [found for item in items for found in products_of(work, [item])]


@dataclass(frozen=True)
class FolderReport(Generic[R]):
    """The records of the clips that a command was given.

    Attributes:
        folder: The folder that was written to.
        clips: Records by the name of the clip.
        new: Names of the clips that were worked at; the other ones were done before, or failed.

    """

    folder: Path
    clips: Mapping[str, ClipRecord[R]]
    new: Sequence[str]

    @property
    def errors(self) -> list[str]:
        """Reasons why clips could not be used, one for each such clip."""
        return [clip.error for clip in self.clips.values() if clip.error is not None]

    def counted(self, verb: str) -> str:
        """Count the clips, as in "3 clips drawn (2 were there already)"."""
        before = len(self.clips) - len(self.errors) - len(self.new)
        clips = "clip" if len(self.new) == 1 else "clips"
        return f"{len(self.new)} {clips} {verb}" + (
            f" ({before} were there already)" if before else ""
        )


def work_through(
    work: ClipWork[Item, R],
    outputs: Outputs[R],
    clips: Sequence[tuple[str, Path]],
    *,
    batch_size: int,
    what: str,
    notify: Notify | None = None,
) -> FolderReport[R]:
    """Work at the clips that are not done yet, and record each as soon as its files are written.

    Clips are read ahead in threads, and files are written in threads. A signal that comes while
    files are written is acted on after that.

    Args:
        work: What is done.
        outputs: The folder, opened.
        clips: Pairs of name and path, as `audiate.data.sounds.find_clips` gives them.
        batch_size: Number of clips that are worked at together.
        what: What is done, for the progress bar.
        notify: Is called with the error of each clip that cannot be used.

    Raises:
        InputError: The folder cannot be written, or a file of somebody else is in the way.
        Interrupted: Ctrl-C; what is done is recorded.

    """
    sources = outputs.names_of(clips, lambda name: _files(work, name), work.shared)
    run = _Run(work, outputs, sources, notify or (lambda _: None))
    todo = run.begin()
    if not todo:
        return FolderReport(outputs.folder, {name: outputs.clips[name] for name in sources}, ())
    batches = [todo[begin : begin + batch_size] for begin in range(0, len(todo), batch_size)]
    try:
        with _ReadAhead(
            work.read, [[sources[name] for name in names] for names in batches]
        ) as read:
            sizes = [len(names) for names in batches]
            for names, items in zip(tracked(batches, what, weights=sizes), read, strict=True):
                run.batch(names, items)
        with uninterrupted():
            run.end()
    except KeyboardInterrupt as stop:
        with uninterrupted():
            run.end()
        raise Interrupted(f"stopped after {len(run.new)} of {len(todo)} clips") from stop
    finally:
        outputs.save()
    return FolderReport(outputs.folder, {name: outputs.clips[name] for name in sources}, run.new)


class _Run(Generic[Item, R]):
    """The clips of one call, and how far it has got with them."""

    def __init__(
        self,
        work: ClipWork[Item, R],
        outputs: Outputs[R],
        sources: Mapping[str, Path],
        notify: Notify,
    ) -> None:
        self.work, self.outputs, self.sources, self.notify = work, outputs, sources, notify
        self.latents: dict[str, Latents] = {}
        self.new: list[str] = []
        self._saved, self._saving = time.monotonic(), 0.0

    def begin(self) -> list[str]:
        """Claim the files of all clips that are still to be done, and return their names."""
        if LATENTS_NAME in self.outputs.shared:
            self.latents = read_table(self.outputs.folder / LATENTS_NAME)
        todo = [name for name in self.sources if not self._is_done(name)]
        if not todo:
            return []
        files = {name: _files(self.work, name) for name in todo}
        self.outputs.check(
            [file for each in files.values() for file in each],
            self.work.shared,
            self.sources.values(),
        )
        claimed = {
            name: ClipRecord[R](identity(self.sources[name]), files=dict.fromkeys(files[name]))
            for name in todo
        }
        self.outputs.claim(claimed, self.work.shared)
        return todo

    def _is_done(self, name: str) -> bool:
        if not self.outputs.is_done(name, self.sources[name]):
            return False
        if name not in self.latents:
            paths = [self.outputs.folder / file for file in _files(self.work, name)]
            latent = self.work.stored_latent(paths)
            if latent is None:
                return False
            self.latents[name] = latent
        return True

    def batch(self, names: Sequence[str], read: Sequence[Future[Item]]) -> None:
        """Work at clips whose samples are being read."""
        usable: dict[str, tuple[Item, int | None]] = {}
        for name, future in zip(names, read, strict=True):
            try:
                usable[name] = future.result(), modified(self.sources[name])
            except InputError as error:
                self._fail(name, error)
        self._compute(usable)
        self.save_now_and_then()

    def _compute(self, items: Mapping[str, tuple[Item, int | None]]) -> None:
        if not items:
            return
        products: dict[str, Product[R]] = {}
        found = products_of(self.work, [item for item, _ in items.values()])
        for name, product in zip(items, found, strict=True):
            if isinstance(product, InputError):
                self._fail(name, InputError(f"{self.sources[name]}: {product}"))
            else:
                products[name] = product
        with uninterrupted(), ThreadPoolExecutor(_THREADS) as threads:
            written = [
                threads.submit(self._write, name, product) for name, product in products.items()
            ]
            for (name, product), future in zip(products.items(), written, strict=True):
                try:
                    files = future.result()
                except InputError as error:
                    self._fail(name, error)
                    continue
                source, time_ = identity(self.sources[name]), items[name][1]
                self.outputs.clips[name] = ClipRecord(source, time_, files, None, product.result)
                self.latents[name] = product.latent
                self.new.append(name)

    def _write(self, name: str, product: Product[R]) -> Files:
        files = _files(self.work, name)
        product.write([self.outputs.folder / file for file in files])
        return self.outputs.written(files)

    def _fail(self, name: str, error: InputError) -> None:
        """Record why a clip cannot be used; what an earlier run has written for it stays ours."""
        left = self.outputs.written(_files(self.work, name))
        record = ClipRecord[R](identity(self.sources[name]), None, left, f"{error}")
        self.outputs.clips[name] = record
        self.notify(error)

    def save_now_and_then(self) -> None:
        """Save latents and record, unless that would take much of the time."""
        began = time.monotonic()
        if began - self._saved < _SAVING_SHARE * self._saving:
            return
        with uninterrupted():
            self._save_latents()
            self.outputs.save()
        self._saved = time.monotonic()
        self._saving = self._saved - began

    def end(self) -> None:
        """Write what belongs to no single clip, and record it."""
        if self.new:
            self._save_latents()
            self.work.finish(self.outputs, self.new)
        self.outputs.shared = self.outputs.written(self.outputs.shared)

    def _save_latents(self) -> None:
        """Write all latents, the earlier ones included, in the order of the record."""
        latents = {name: self.latents[name] for name in self.outputs.clips if name in self.latents}
        if latents:
            save_table(latents, self.outputs.folder / LATENTS_NAME)


def _files(work: ClipWork[Item, R], name: str) -> list[str]:
    return [ending.format(name) for ending in work.endings]


class _ReadAhead(Generic[Item]):
    """Reads the files of the next batch in threads while the caller works at one."""

    def __init__(self, read: Callable[[Path], Item], batches: Iterable[Sequence[Path]]) -> None:
        self._threads = ThreadPoolExecutor(_THREADS)
        self._read, self._batches = read, batches

    def __enter__(self) -> Iterator[list[Future[Item]]]:
        return self._futures()

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _futures(self) -> Iterator[list[Future[Item]]]:
        ahead: list[Future[Item]] | None = None
        for paths in self._batches:
            submitted = [self._threads.submit(self._read, path) for path in paths]
            if ahead is not None:
                yield ahead
            ahead = submitted
        if ahead is not None:
            yield ahead


_LOCK_NAME = ".audiate.lock"


_STAGE_NAME = ".audiate.new"


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


def _remove(stage: Path) -> None:
    if stage.is_dir() and not stage.is_symlink():
        shutil.rmtree(stage, ignore_errors=True)


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


SHEET_NAME = "sheet.png"


BATCH_SIZE = 32
"""Number of files that are worked at together."""


SHEET_SAMPLES = 16
"""Limit of what is shown of one file."""


_SHEET_ROWS = 100  # more would be no picture any more


class SheetWork(ClipWork[Tensor, None]):
    """Works at files, of each of which a tensor is read, and shows the first of them on a sheet."""

    shared = (LATENTS_NAME, SHEET_NAME)

    def __init__(self) -> None:
        self._shown: dict[Path, Sequence[Panel]] = {}

    @abstractmethod
    def panels(self, items: Sequence[Tensor]) -> list[Sequence[Panel]]:
        """What the sheet shows of files, made anew from what was read of them."""

    def show(self, path: Path, panels: Sequence[Panel]) -> None:
        """Keep the panels of a file, whose first output has this path, for the sheet."""
        if len(self._shown) < _SHEET_ROWS + BATCH_SIZE:  # a batch is not written in order
            self._shown[path] = panels

    def finish(self, outputs: Outputs[None], new: Sequence[str]) -> None:
        """Write the sheet of the folder's first files, unless none of them is new."""
        usable = [name for name, clip in outputs.clips.items() if clip.modified is not None]
        first = {
            name: outputs.folder / self.endings[0].format(name) for name in usable[:_SHEET_ROWS]
        }
        if first.keys().isdisjoint(new) and (outputs.folder / SHEET_NAME).exists():
            return
        sources = {name: Path(outputs.clips[name].source or "") for name in first}
        earlier = {first[name]: sources[name] for name in first if first[name] not in self._shown}
        shown = self._shown | self._again(earlier)
        rows = [
            PanelRow(_title(sources[name], name, path), shown[path])
            for name, path in first.items()
            if path in shown
        ]
        save_panels(rows, outputs.folder / SHEET_NAME)

    def _again(self, sources: Mapping[Path, Path]) -> dict[Path, Sequence[Panel]]:
        """Panels of an earlier run, made anew; a source that is gone since is left out."""
        read = {}
        for path, source in sources.items():
            with suppress(InputError):
                read[path] = self.read(source)
        if not read:
            return {}
        return dict(zip(read, self.panels(list(read.values())), strict=True))


def _title(source: Path, name: str, written: Path) -> str:
    title = source.name if source.stem == name else f"{source.name} ({written.name})"
    return title.encode(errors="replace").decode()  # a name need not be Unicode
