"""Atomic writes, locks and signals."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from audiate.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_PARTIAL = re.compile(r"\.(.+)\.\d+\.part")


_LIKE_AN_ESCAPE = re.compile(r"\\(?=x(?:5c|[89a-f][0-9a-f]))")


def as_unicode(name: str | Path) -> str:
    r"""A name as Unicode, which the name of a file need not be.

    A byte that is no Unicode becomes ``\xff``. Two names never become the same: where a name holds
    these four characters, their backslash becomes ``\x5c``.
    """
    escaped = _LIKE_AN_ESCAPE.sub(r"\\x5c", os.fspath(name))
    return os.fsencode(escaped).decode("utf-8", "backslashreplace")


def short_names(paths: Sequence[Path]) -> list[str]:
    """The names of files, after as many folders as tell those of one name apart."""
    found = [path.name for path in paths]
    for depth in range(2, 1 + max((len(path.parts) for path in paths), default=0)):
        count = Counter(found)
        longer = [Path(*path.parts[-depth:]).as_posix() for path in paths]
        found = [new if count[old] > 1 else old for old, new in zip(found, longer, strict=True)]
    return found


def partial_of(name: str) -> str | None:
    """The name of the file that a half-written one was to become; None for any other file."""
    match = _PARTIAL.fullmatch(name)
    return match and match[1]


def remove_partials(folders: Iterable[Path], is_ours: Callable[[Path], bool]) -> None:
    """Remove the half-written files that killed commands have left in folders.

    Args:
        folders: The folders, which this process alone writes to.
        is_ours: Whether the file that a half-written one was to become is the command's.

    """
    for folder in folders:
        for path in folder.glob(".*.part"):
            name = partial_of(path.name)
            if name and is_ours(folder / name):
                path.unlink(missing_ok=True)


def flush(paths: Iterable[Path]) -> None:
    """Wait until files are on the disk, so that a power failure leaves them whole."""

    def one(path: Path) -> None:
        with path.open("r+b") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())

    with ThreadPoolExecutor(4) as threads:  # which a disk serves together
        list(threads.map(one, paths))


@contextmanager
def writing(
    path: Path, *, durable: bool = False, argument: str | None = "out", system_errors: bool = False
) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes the place of ``path``.

    The folder is made where it is missing. On failure the old file stays and the temporary one is
    removed.

    Args:
        path: The file to be written or replaced.
        durable: Wait until the content is on the disk, so that a power failure cannot leave an
            empty file. Leave it out for the many small files of one command.
        argument: The argument with which the caller names another place; None where there is none.
        system_errors: Whether errors of the system are raised as they are.

    Raises:
        InputError: The file cannot be written.

    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")  # as `partial_of` knows it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.touch()
            usual_permissions = partial.stat().st_mode
            yield partial
            partial.chmod(usual_permissions)  # some writers make their files private
            if durable:
                flush([partial])
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        if system_errors:
            raise
        remedy = "name another place" if argument is None else f"name another with `{argument}`"
        if error.errno == errno.ENAMETOOLONG:
            remedy = "give the clip, or the file, a shorter name"
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); {remedy}"
        ) from error


def replacing(path: Path) -> AbstractContextManager[Path]:
    """Write a file durably, as `writing` does; errors are those of the system."""
    return writing(path, durable=True, system_errors=True)


@contextmanager
def alone(lock_file: Path, taken: str) -> Iterator[None]:
    """Keep other processes out of a folder for as long as the block lasts.

    Args:
        lock_file: The file that is locked. It is made, and removed at the end.
        taken: The message of the error where another process holds the lock.

    Raises:
        InputError: Another process holds the lock, or the file cannot be written.

    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file)
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(taken) from error
    except OSError as error:
        raise InputError(
            f"{lock_file.parent}: cannot be written ({_reason(error)}); name another folder with "
            f"`out`"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows lets nobody remove it now
            lock_file.unlink()
        lock.release()


def _reason(error: OSError) -> str:
    """The reason of an error, also where a file has the name of a folder that is to be made."""
    exists = isinstance(error, (FileExistsError, NotADirectoryError))
    return "a file has this name" if exists else error.strerror or f"{error}"


def is_locked(lock_file: Path) -> bool:
    """Whether a process holds a lock of `alone`; one that was killed holds none."""
    from filelock import FileLock, Timeout

    if not lock_file.exists():
        return False
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # who may not write there cannot know, and sees what was noted
        return True
    lock.release()
    return False


def replace_text(path: Path, text: str) -> None:
    """Write a small UTF-8 file, whole or not at all; errors are those of the system."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def save_array(array: NDArray[np.float32], path: Path) -> None:
    """Write numbers as a .npy file, whole or not at all.

    Raises:
        InputError: The file cannot be written.

    """
    import numpy as np

    with writing(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def cache_folder() -> Path:
    """The user's folder for what audiate keeps on this machine, such as data sets.

    ``XDG_CACHE_HOME/audiate`` where that is set; by default ``~/.cache/audiate``, on macOS
    ``~/Library/Caches/audiate``, and on Windows a folder in ``%LOCALAPPDATA%``.
    """
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local, "audiate", "audiate", "Cache")
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else usual) / "audiate"


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on SIGINT and SIGTERM for as long as the block lasts."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled_by(interrupt, _SIGNALS):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block has ended, and act on them then."""
    held: list[int] = []
    try:
        with _handled_by(lambda number, _frame: held.append(number), _SIGNALS):
            yield
    finally:
        if held:
            signal.raise_signal(held[0])


@contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], object], numbers: tuple[signal.Signals, ...]
) -> Iterator[None]:
    """Let a function handle signals in the block; Python allows that in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
