"""Files by their address: a path, or a URL of any file system that fsspec knows."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from audiate.errors import InputError

_INSTALL = 'pip install "audiate[bulk]"'

_PATIENCE = timedelta(seconds=60)  # with Google's servers, instead of a quarter of an hour
_SAME_SCHEMES = {"gcs": "gs", "s3a": "s3"}
_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated")


def need_pyarrow() -> None:
    """Make sure that Parquet files can be written.

    Raises:
        InputError: pyarrow is not installed.

    """
    if find_spec("pyarrow") is None:
        raise InputError(f"bulk work needs pyarrow, which is not installed: {_INSTALL}")


def is_remote(address: str) -> bool:
    """Whether an address is a URL."""
    return "://" in address


def absolute(address: str | Path) -> str:
    """The address by which a file is known from whatever folder it is named."""
    text = str(address)
    for scheme in ("file://", "local://"):
        text = text.removeprefix(scheme)
    return text if is_remote(text) else os.path.abspath(text)  # noqa: PTH100 - keeps links


def place_of(address: str) -> str:
    """The one spelling of all addresses of a file: links are followed, and slashes are counted."""
    scheme, sign, path = absolute(address).rpartition("://")
    if not sign:
        return os.path.realpath(path)
    return f"{_SAME_SCHEMES.get(scheme, scheme)}://{posixpath.normpath(path).lstrip('/')}"


def filesystem_of(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path there.

    Where s3fs or gcsfs is not installed, ``s3://`` and ``gs://`` are read by pyarrow. Keys come
    from where such programs look for them, and the server from ``AWS_ENDPOINT_URL``.

    Raises:
        InputError: There is no such file system, or it cannot be used.

    """
    from fsspec.core import url_to_fs

    scheme, _, path = address.rpartition("://")
    try:
        if scheme == "s3" and find_spec("s3fs") is None:
            return _by_arrow(_s3()), path
        if scheme in ("gs", "gcs") and find_spec("gcsfs") is None:
            from pyarrow.fs import GcsFileSystem

            return _by_arrow(GcsFileSystem(retry_time_limit=_PATIENCE)), path
        filesystem, path = url_to_fs(address)
        return filesystem, str(path)
    except (ImportError, ValueError, OSError) as error:
        raise InputError(f"{address}: cannot be opened ({reason_of(error)})") from error


class UnreachableError(Exception):
    """A server does not give what it may well have, for now."""


def is_missing(error: BaseException) -> bool:
    """Whether an error says that there is no such file.

    Of a web server that does not answer, fsspec says that it has no such file.
    """
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        return False
    if type(cause).__module__.startswith("aiohttp"):
        return getattr(cause, "status", None) in (404, 410)
    return not isinstance(cause, TimeoutError)


def is_gone(address: str) -> bool:
    """Whether there is no such file any more; not where nobody can tell."""
    filesystem, path = filesystem_of(address)
    try:
        filesystem.info(path)
    except Exception as error:  # servers fail in ways of their own
        return is_missing(error) and "\\" not in address  # which `shown` puts into odd names
    return False


def reason_of(error: BaseException) -> str:
    """The reason that an error gives, in one line."""
    missing = isinstance(error, FileNotFoundError) and error.__cause__
    text = " ".join(f"{error.__cause__ if missing else error}".split())
    return (text or type(error).__name__)[:200]


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """Tell errors of a server, which may have gone by the next time, from those of a file.

    Raises:
        UnreachableError: A server gives neither the file at ``address`` nor tells that it has none.

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
        yield _Reached(file, address) if is_remote(address) else file


class _Reached:
    """A file on a server."""

    def __init__(self, file: Any, address: str) -> None:
        self._file, self._address = file, address

    def read(self, size: int = -1) -> bytes:
        with reaching(self._address):
            return bytes(self._file.read(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def version_of(info: dict[str, Any]) -> str:
    """What tells this version of a file from others: its size, and its time or checksum."""
    marks = [str(info[name]) for name in _VERSIONS if info.get(name) is not None]
    return "-".join([str(info.get("size")), *marks[:1]]).replace('"', "")


def shown(address: str) -> str:
    """An address as Unicode, which the name of a local file need not be."""
    return os.fsencode(address).decode("utf-8", "backslashreplace")


def _by_arrow(filesystem: Any) -> Any:
    from fsspec.implementations.arrow import ArrowFSWrapper

    return ArrowFSWrapper(filesystem)


def _s3() -> Any:
    from pyarrow.fs import S3FileSystem

    server = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not server:
        return S3FileSystem()
    scheme, _, host = server.rpartition("://")
    return S3FileSystem(endpoint_override=host.rstrip("/"), scheme=scheme or "https")
