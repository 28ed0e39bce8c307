"""Process a folder of files in batches, and write the outputs to another folder."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar, Generic, TypeVar

from audiate.audio.files import Recording
from audiate.data.folders import identity
from audiate.data.latents import Latents, read_latents
from audiate.errors import InputError, Interrupted, printable
from audiate.folders.record import (
    LATENTS_NAME,
    ClipRecord,
    FolderRecord,
    is_unchanged,
    modified,
    open_record,
)
from audiate.utils.filesystem import as_unicode, uninterrupted
from audiate.utils.plots import Panel
from audiate.utils.progress import counted, tracked

R = TypeVar("R")
Item = TypeVar("Item")
Notify = Callable[[InputError], None]

BATCH_SIZE = 32
"""Number of files that are processed together."""
_THREADS = 4
_STAGE_NAME = ".audiate.new"


@dataclass(frozen=True)
class Product(Generic[R]):
    """The outputs for one clip.

    Attributes:
        latent: (latent_dim,); or several, (samples, latent_dim), of each clip as many; None where
            no latents are written.
        result: Values for the record; None where there are none.
        writers: Functions that write the clip's files, in the order of `ClipWork.endings`. They are
            called with a path each, in threads.
        panels: Gives what a sheet shows of the clip; by default nothing.

    """

    latent: Latents | None
    result: R | None
    writers: Sequence[Callable[[Path], None]] = ()
    panels: Callable[[], Sequence[Panel]] = tuple


class ClipWork(ABC, Generic[Item, R]):
    """Read clips, and compute outputs for batches of them.

    Attributes:
        read: Reads a clip, in a thread. It raises `InputError` where the clip cannot be used, with
            a message that names the file.
        endings: The files that are written for a clip, as patterns of its name: ``"{}.wav"``.
        shared: Names of the files that are written for all clips together.
        result_type: The frozen dataclass of a clip's result.
        latent_dim: Number of entries of a latent, where an ``.npy`` file among the files of a clip
            holds it.

    """

    read: Callable[[Path | Recording], Item]
    endings: tuple[str, ...]
    shared: ClassVar[tuple[str, ...]] = (LATENTS_NAME,)
    result_type: ClassVar[type[Any]] = NoneType
    latent_dim: int | None = None

    def prepare(self) -> None:
        """Do slow preparations, once there are clips to process; by default nothing."""

    @abstractmethod
    def compute(self, items: Sequence[Item]) -> list[Product[R]]:
        """Compute the outputs for a batch of clips.

        Raises:
            InputError: A clip of them cannot be used.

        """

    def keep(self, name: str, product: Product[R]) -> None:
        """Keep values for `finish` once a clip's files are written; by default nothing."""

    def finish(self, record: FolderRecord[R], new: Sequence[str]) -> None:
        """Write the shared files, after the clips ``new`` are done."""

    def files_of(self, name: str) -> list[str]:
        """The files that are written for the clip of a name."""
        return [ending.format(name) for ending in self.endings]


@dataclass(frozen=True)
class FolderReport(Generic[R]):
    """The records of the clips that a command was given.

    Attributes:
        folder: The folder that was written to.
        clips: Records by the name of the clip.
        new: Names of the clips that were processed; the others were done before, or failed.

    """

    folder: Path
    clips: Mapping[str, ClipRecord[R]]
    new: Sequence[str]

    @property
    def errors(self) -> list[str]:
        """Reasons why clips could not be used, one for each such clip."""
        return [clip.error for clip in self.clips.values() if clip.error is not None]

    @property
    def results(self) -> dict[str, R]:
        """Results by the name of the clip, of clips that could be used and have one."""
        clips = self.clips.items()
        return {name: clip.result for name, clip in clips if clip.result and clip.error is None}

    def counted(self, verb: str, noun: str = "clip") -> str:
        """Count the clips, as in "3 clips drawn (2 were there already), 1 could not be used"."""
        before = len(self.clips) - len(self.errors) - len(self.new)
        there = f" ({before:,} {'was' if before == 1 else 'were'} there already)" if before else ""
        failed = f", {len(self.errors):,} could not be used" if self.errors else ""
        return f"{counted(len(self.new), noun)} {verb}{there}{failed}"

    def shown(self, name: str) -> str:
        """The file of a clip, below the folder that was given, as messages show it."""
        source = Path(self.clips[name].source or name).name
        return printable(as_unicode(Path(name).with_name(source)))

    def __repr__(self) -> str:
        counts = (
            f"{counted(len(self.clips), 'clip')}, {len(self.new)} new, {len(self.errors)} failed"
        )
        return f"{type(self).__name__}({str(self.folder)!r}: {counts})"


def run_folder(
    work: ClipWork[Item, R],
    clips: Sequence[tuple[str, Path]],
    out: Path,
    command: str,
    settings: Mapping[str, str],
    what: str,
    batch_size: int | None = None,
    notify: Notify | None = None,
) -> FolderReport[R]:
    """Process the clips that are not done yet, and record each as soon as its files are written.

    Clips are read ahead in threads, and files are written in threads. A signal that comes while
    files are written is acted on after that.

    Args:
        work: Reads clips and computes outputs.
        clips: Pairs of name and path, as `audiate.data.sounds.find_clips` gives them.
        out: The folder that is written to.
        command: Name of the command, as in ``audiate draw``.
        settings: All settings that the outputs depend on.
        what: The work, for the progress bar.
        batch_size: Number of clips that are processed together; by default `BATCH_SIZE`.
        notify: It is called with the error of each clip that cannot be used.

    Raises:
        InputError: The folder cannot be written, holds results of another command or of other
            settings, or a file of somebody else is in the way.
        Interrupted: Ctrl-C was pressed; what is done is recorded.

    """
    with open_record(out, command, settings, work.result_type) as record:
        sources = record.names_of(clips, work.files_of, work.shared)
        todo = _claim(work, record, sources)
        new: list[str] = []
        killed = record.killed or not record.are_there(record.shared)
        if todo or killed:
            size, names = batch_size or BATCH_SIZE, list(todo)
            batches = [names[at : at + size] for at in range(0, len(names), size)]
            steps = tracked(batches, what, weights=[len(names) for names in batches])
            paths = [[sources[name] for name in names] for names in batches]
            try:
                with closing(_read_ahead(work.read, paths)) as reading:
                    for names, futures in zip(steps, reading, strict=True):
                        found = _process(work, sources, names, futures)
                        with uninterrupted():
                            new += _write(work, record, todo, found, notify)
                _finish(work, record, new, killed)
            except KeyboardInterrupt as stop:
                _finish(work, record, new, killed)
                raise Interrupted(
                    f"stopped after {len(new)} of {counted(len(todo), 'clip')}"
                ) from stop
            finally:
                record.save()
        return FolderReport(out, {name: record.clips[name] for name in sources}, new)


def _claim(
    work: ClipWork[Item, R], record: FolderRecord[R], sources: Mapping[str, Path]
) -> dict[str, int | None]:
    """Claim the files of all clips that are still to be done.

    Returns:
        The time at which each of these clips was changed last, by name.

    """
    todo = {
        name: modified(source)
        for name, source in sources.items()
        if not (record.is_done(name, source) and _find_latent(work, record, name))
    }
    if todo:
        files = {name: work.files_of(name) for name in todo}
        record.check([*chain.from_iterable(files.values()), *work.shared], sources.values())
        work.prepare()
        claimed = {
            name: ClipRecord[R](identity(sources[name]), files=dict.fromkeys(files[name]))
            for name in todo
        }
        record.claim(claimed, work.shared)
    return todo


def _find_latent(work: ClipWork[Item, R], record: FolderRecord[R], name: str) -> bool:
    """Whether the latent of a clip is known, or found in its ``.npy`` file."""
    if LATENTS_NAME not in work.shared or name in record.latents:
        return True
    stored = [file for file in work.files_of(name) if file.endswith(".npy")]
    if work.latent_dim is None or not stored:
        return False
    try:
        record.latents[name] = read_latents(record.folder / stored[0], work.latent_dim)[0]
    except InputError:
        return False
    return True


def _read_ahead(
    read: Callable[[Path], Item], batches: Sequence[Sequence[Path]]
) -> Generator[list[Future[Item]]]:
    """Yield each batch while the next one is being read in threads."""
    threads = ThreadPoolExecutor(_THREADS)
    ahead: list[list[Future[Item]]] = []
    try:
        for paths in batches:
            ahead.append([threads.submit(read, path) for path in paths])
            if len(ahead) > 1:
                yield ahead.pop(0)
        yield from ahead
    finally:
        threads.shutdown(cancel_futures=True)


def _process(
    work: ClipWork[Item, R],
    sources: Mapping[str, Path],
    names: Sequence[str],
    futures: Sequence[Future[Item]],
) -> dict[str, Product[R] | InputError]:
    """Wait for the clips of a batch to be read; return their products, or errors, by name."""
    items: dict[str, Item] = {}
    found: dict[str, Product[R] | InputError] = {}
    for name, future in zip(names, futures, strict=True):
        try:
            items[name] = future.result()
        except InputError as error:
            found[name] = error
    products: list[Product[R] | InputError]
    try:
        products = list(work.compute(list(items.values()))) if items else []
    except InputError:
        products = [_alone(work, item) for item in items.values()]
    for name, product in zip(items, products, strict=True):
        failed = isinstance(product, InputError)
        found[name] = InputError(f"{sources[name]}: {product}") if failed else product
    return found


def _alone(work: ClipWork[Item, R], item: Item) -> Product[R] | InputError:
    """Compute the outputs for one clip of a batch of which another cannot be used."""
    try:
        return work.compute([item])[0]
    except InputError as error:
        return error


def _write(
    work: ClipWork[Item, R],
    record: FolderRecord[R],
    todo: Mapping[str, int | None],
    found: Mapping[str, Product[R] | InputError],
    notify: Notify | None,
) -> list[str]:
    """Write the files of a batch in threads, record its clips, and return the names of new ones."""
    clips: dict[str, ClipRecord[R]] = {}
    latents: dict[str, Latents] = {}
    new: list[str] = []
    with ThreadPoolExecutor(_THREADS) as threads:
        writing = {
            name: [
                threads.submit(writer, record.folder / file)
                for writer, file in zip(product.writers, work.files_of(name), strict=False)
            ]
            for name, product in found.items()
            if isinstance(product, Product)
        }
    made = record.written(file for name in found for file in work.files_of(name))
    for name, product in found.items():
        source = record.clips[name].source
        written = {file: made[file] for file in work.files_of(name) if file in made}
        try:
            if isinstance(product, InputError):
                raise product
            for each in writing[name]:
                each.result()
        except InputError as error:  # what an earlier run has written stays the command's
            clips[name] = ClipRecord(source, None, written, f"{error}")
            if notify is not None:
                notify(error)
        else:
            clips[name] = ClipRecord(source, todo[name], written, None, product.result)
            if product.latent is not None:
                latents[name] = product.latent
            new.append(name)
            work.keep(name, product)
    record.append(clips, latents)
    return new


def _finish(
    work: ClipWork[Item, R], record: FolderRecord[R], new: Sequence[str], killed: bool
) -> None:
    """Write the shared files, and record them; after a command that was killed, in any case."""
    with uninterrupted():
        usable = [name for name, clip in record.clips.items() if clip.error is None]
        if changed := usable if killed else new:
            record.save_latents()
            work.finish(record, changed)
        record.shared = record.written(record.shared)


def check_outputs(out: Path, command: str, files: Sequence[str]) -> None:
    """Make sure that `replacing_outputs` may write to a folder, before work that takes long.

    Raises:
        InputError: The folder holds results of another command, or a file of somebody else is in
            the way.

    """
    record = FolderRecord(out, command, {}, NoneType)
    record.load(same_settings=False)
    record.check(files)


@contextmanager
def replacing_outputs(
    out: Path,
    command: str,
    settings: Mapping[str, str],
    clips: Mapping[str, Sequence[str]],
    shared: Sequence[str],
) -> Iterator[Path]:
    """Yield a folder to write to; at the end, its files take the place of all earlier outputs.

    Whatever interrupts this before the end leaves the earlier files as they were. Files of
    earlier clips that have no successor are removed last of all.

    Args:
        out: The folder that is written to. No other process may write there meanwhile.
        command: Name of the command, as in ``audiate generate``.
        settings: All settings that the outputs depend on; those of earlier outputs may differ.
        clips: The files of each clip.
        shared: The other files.

    Raises:
        InputError: The folder cannot be written, holds results of another command, or a file of
            somebody else is in the way.

    """
    with open_record(out, command, settings, NoneType, same_settings=False) as record:
        kept = [*chain.from_iterable(clips.values()), *shared]
        record.check(kept)
        stage = out / _STAGE_NAME
        _remove(stage)
        try:
            yield stage
            with uninterrupted():
                earlier = record.owned()
                claimed = {
                    name: ClipRecord[None](files=dict.fromkeys(files))
                    for name, files in clips.items()
                }
                record.claim(claimed, shared)
                for file in kept:
                    (out / file).parent.mkdir(parents=True, exist_ok=True)
                    (stage / file).replace(out / file)
                for file in earlier.keys() - set(kept):
                    if is_unchanged(out / file, earlier[file]):
                        (out / file).unlink(missing_ok=True)
                made = record.written(kept)
                record.clips = {
                    name: ClipRecord(files={file: made[file] for file in files})
                    for name, files in clips.items()
                }
                record.shared = {file: made[file] for file in shared}
                record.save()
        finally:
            _remove(stage)


def numbered(count: int) -> list[str]:
    """Names of outputs: 000, 001 and so on."""
    digits = max(len(str(count - 1)), 3)
    return [f"{number:0{digits}}" for number in range(count)]


def name_of(model: object) -> str:
    """A model's name in the record: the one that was given, or that of its class."""
    if model is None:
        return "none"
    return str(model) if isinstance(model, (str, Path)) else type(model).__name__


def _remove(stage: Path) -> None:
    if stage.is_dir() and not stage.is_symlink():
        shutil.rmtree(stage, ignore_errors=True)
