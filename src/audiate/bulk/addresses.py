"""Files and output folders by address: a path, or a URL of a file system that fsspec knows."""

import json
import os
import posixpath
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

from audiate.errors import InputError
from audiate.utils.filesystem import alone, is_locked, writing

_PATIENCE = timedelta(seconds=60)  # with Google's servers, instead of a quarter of an hour
_SAME_SCHEMES = {"gcs": "gs", "s3a": "s3"}
_VERSIONS = ("CRC", "ETag", "etag", "mtime", "LastModified", "last_modified", "updated")

_LOCK_NAME = ".audiate.lock"
_STALE = 120.0  # seconds after which the lock of a store without locks counts for nothing
_HEARTBEAT = 20.0


def is_remote(address: str) -> bool:
    """Whether an address is a URL."""
    return "://" in address


def absolute(address: str | Path) -> str:
    """The absolute address of a file, with forward slashes; links are kept."""
    text = str(address)
    if is_remote(text) and "::" in text:  # a file in an archive, or in a cache of another place
        first, _, rest = text.partition("::")
        return f"{first}::{absolute(rest)}"
    for scheme in ("file://", "local://"):
        text = text.removeprefix(scheme)
    return text if is_remote(text) else Path(os.path.abspath(text)).as_posix()  # noqa: PTH100


def canonical(address: str) -> str:
    """The one spelling that all addresses of a file share: links are followed."""
    scheme, sign, path = absolute(address).rpartition("://")
    if not sign:
        return Path(os.path.realpath(path)).as_posix()
    return f"{_SAME_SCHEMES.get(scheme, scheme)}://{posixpath.normpath(path).lstrip('/')}"


def filesystem_of(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path there.

    Where s3fs or gcsfs is not installed, ``s3://`` and ``gs://`` are read by pyarrow. Keys come
    from where such programs look for them, and the server from ``AWS_ENDPOINT_URL``.

    Raises:
        InputError: There is no such file system, or it cannot be used.

    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.arrow import ArrowFSWrapper

    scheme, _, path = address.rpartition("://")
    if "::" in address and not is_remote(address) and not os.path.lexists(address):
        raise InputError(
            f"{address}: is no address; name one file after the other, or what a zip file holds as "
            f"in zip://*.flac::clips.zip"
        )
    try:
        if address.startswith("zip://"):
            member, _, archive = address.removeprefix("zip://").partition("::")
            filesystem, place = filesystem_of(archive)
            return _zip(archive, version_of(filesystem.info(place))), member
        if scheme == "s3" and find_spec("s3fs") is None:
            return ArrowFSWrapper(_s3()), path
        if scheme in ("gs", "gcs") and find_spec("gcsfs") is None:
            from pyarrow.fs import GcsFileSystem

            return ArrowFSWrapper(GcsFileSystem(retry_time_limit=_PATIENCE)), path
        filesystem, path = url_to_fs(address)
        return filesystem, str(path)
    except (ImportError, ValueError, OSError) as error:
        raise InputError(f"{address}: cannot be opened ({reason_of(error)})") from error


@lru_cache(4)
def _zip(archive: str, _version: str) -> Any:
    """The file system of a zip file, whose table of contents is read once."""
    from fsspec.implementations.zip import ZipFileSystem

    filesystem, path = filesystem_of(archive)
    return ZipFileSystem(filesystem.open(path, "rb"))


def _s3() -> Any:
    from pyarrow.fs import S3FileSystem

    server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not server:
        return S3FileSystem()
    scheme, _, host = server.rpartition("://")
    return S3FileSystem(endpoint_override=host.rstrip("/"), scheme=scheme or "https")


class UnreachableError(Exception):
    """A server cannot be reached for now."""


def is_missing(error: BaseException) -> bool:
    """Whether an error says that there is no such file.

    When a web server does not answer, fsspec reports a missing file, too; that does not count.
    """
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return False
    if type(cause).__module__.startswith("aiohttp"):
        return getattr(cause, "status", None) in (404, 410)
    return not isinstance(cause, TimeoutError)


def is_gone(address: str) -> bool:
    """Whether a file no longer exists; False where that cannot be found out."""
    filesystem, path = filesystem_of(address)
    try:
        filesystem.info(path)
    except Exception as error:  # servers fail in ways of their own
        return is_missing(error) and "\\" not in address  # which `as_unicode` puts into odd names
    return False


def reason_of(error: BaseException) -> str:
    """The reason that an error gives, in one line."""
    missing = isinstance(error, FileNotFoundError) and error.__cause__
    text = " ".join(f"{error.__cause__ if missing else error}".split())
    return (text or type(error).__name__)[:200]


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """Distinguish errors of a server, which may be over by the next time, from those of a file.

    Raises:
        UnreachableError: A server neither gives the file at ``address`` nor says that it has none.

    """
    try:
        yield
    except Exception as error:  # servers fail in ways of their own
        if is_remote(address) and not is_missing(error):
            raise UnreachableError(reason_of(error)) from error
        raise


@contextmanager
def opened(address: str) -> Iterator[Any]:
    """Open a file for reading; errors are those of `reaching`, also while it is read."""
    filesystem, path = filesystem_of(address)
    with reaching(address):
        file = filesystem.open(path, "rb")
    with file:
        yield _RemoteFile(file, address) if is_remote(address) else file


class _RemoteFile:
    """A file on a server."""

    def __init__(self, file: Any, address: str) -> None:
        self._file, self._address = file, address

    def read(self, size: int = -1) -> bytes:
        with reaching(self._address):
            return bytes(self._file.read(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def version_of(info: dict[str, Any]) -> str:
    """The version of a file: its size, and its time or checksum."""
    marks = [str(info[name]) for name in _VERSIONS if info.get(name) is not None]
    return "-".join([str(info.get("size")), *marks[:1]]).replace('"', "")


class Store:
    """A folder of files, on disk or in an object store, that one command at a time writes to.

    A file appears whole or not at all: on disk it is written beside its place, flushed, and
    renamed; an object store does so by itself. All methods raise `InputError` where the folder
    cannot be read or written, or pyarrow is not installed.
    """

    def __init__(self, address: str) -> None:
        if find_spec("pyarrow") is None:
            install = 'pip install "audiate[bulk]"'
            raise InputError(f"bulk work needs pyarrow, which is not installed: {install}")
        self.address = absolute(address)
        self.remote = is_remote(self.address)
        self._filesystem, self._root = filesystem_of(self.address)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _error(self, name: str, problem: str, error: Exception, remedy: str) -> InputError:
        return InputError(f"{self.address}/{name}: {problem} ({reason_of(error)}); {remedy}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file."""
        if not self.remote:
            with writing(Path(self._path(name)), durable=True) as partial:
                partial.write_bytes(content)
            return
        try:
            self._filesystem.pipe_file(self._path(name), content)
        except Exception as error:  # servers fail in ways of their own
            remedy = "name another place with `out`"
            raise self._error(name, "cannot be written", error, remedy) from error

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where it is missing."""
        try:
            content: bytes = self._filesystem.cat_file(self._path(name))
        except Exception as error:
            self._raise_unless_missing(error, name)
            return None
        return content

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted."""
        self._filesystem.invalidate_cache()
        try:
            found = self._filesystem.ls(self._path(folder), detail=False)
        except Exception as error:
            self._raise_unless_missing(error, folder)
            return []
        return sorted(str(path).rsplit("/", 1)[-1] for path in found)

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        try:
            self._filesystem.rm_file(self._path(name))
        except Exception as error:
            if not is_missing(error):
                remedy = "see that files there may be removed"
                raise self._error(name, "cannot be removed", error, remedy) from error

    def _raise_unless_missing(self, error: Exception, name: str) -> None:
        if not is_missing(error):
            remedy = "see that the address is right and may be read"
            raise self._error(name, "cannot be read", error, remedy) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands out for as long as the block lasts.

        The lock of a process that was killed keeps nobody out: on disk it ends with the process,
        in an object store after two minutes.

        Raises:
            InputError: Another command is writing there, or nothing can be written there.

        """
        if self.address.startswith(("http://", "https://")):
            raise InputError(
                f"`out` {self.address}: a web address cannot be written; name a folder, or an "
                f"address that can be written, such as s3://bucket/folder"
            )
        taken = (
            f"`out` {self.address}: another audiate command is writing there; wait for its end, or "
            f"name another folder"
        )
        if not self.remote:
            with alone(Path(self._path(_LOCK_NAME)), taken):
                yield
            return
        if self._holder() is not None:
            raise InputError(
                f"{taken} (the lock of a command that was killed ends after 2 minutes)"
            )
        mine, ended = uuid.uuid4().hex, Event()
        self._hold(mine)
        time.sleep(1)  # whoever came at the same moment has written by now; the last one stays
        if self._holder() != mine:
            raise InputError(taken)

        def beat() -> None:
            while not ended.wait(_HEARTBEAT):
                self._hold(mine)

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.remove(_LOCK_NAME)

    def is_held(self) -> bool:
        """Whether a command is writing there."""
        if self.remote:
            return self._holder() is not None
        return is_locked(Path(self._path(_LOCK_NAME)))

    def _hold(self, mine: str) -> None:
        lock = {"holder": mine, "time": time.time(), "host": socket.gethostname()}
        self.write(_LOCK_NAME, json.dumps(lock).encode())

    def _holder(self) -> str | None:
        try:
            lock = json.loads(self.read(_LOCK_NAME) or b"{}")
            return str(lock["holder"]) if time.time() - lock["time"] < _STALE else None
        except (ValueError, KeyError, TypeError):
            return None
