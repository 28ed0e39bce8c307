"""From sound files to a folder of results: read ahead, worked at in batches, written, recorded."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from audiate.audio import Recording
from audiate.errors import InputError, Interrupted
from audiate.interrupts import uninterrupted
from audiate.latents import Latents, read_table, save_table
from audiate.outputs import LATENTS_NAME, Outputs
from audiate.progress import tracked
from audiate.records import ClipRecord, Files, identity, modified

Item = TypeVar("Item")
R = TypeVar("R")

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
        clips: Pairs of name and path, as `audiate.datasets.sounds.find_clips` gives them.
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
