"""A folder that is written to, on disk or in an object store, by one command at a time."""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from audiate.bulk.addresses import absolute, filesystem_of, is_missing, is_remote, reason_of
from audiate.errors import InputError
from audiate.utils.filesystem import alone, is_locked, writing

_LOCK_NAME = ".audiate.lock"
_STALE = 120.0  # seconds after which the lock of a store without locks counts for nothing
_HEARTBEAT = 20.0


class Store:
    """A folder of files, on disk or in an object store.

    A file appears whole or not at all: on disk it is written beside its place, flushed, and
    renamed; an object store does so by itself.
    """

    def __init__(self, address: str) -> None:
        self.address = absolute(address)
        self.remote = is_remote(self.address)
        self._filesystem, self._root = filesystem_of(self.address)

    def path(self, name: str) -> str:
        """The path of a file in the file system."""
        return f"{self._root.rstrip('/')}/{name}"

    def write(self, name: str, content: bytes) -> None:
        """Write a file.

        Raises:
            InputError: It cannot be written.

        """
        if not self.remote:
            with writing(Path(self.path(name)), durable=True) as partial:
                partial.write_bytes(content)
            return
        try:
            self._filesystem.pipe_file(self.path(name), content)
        except Exception as error:  # servers fail in ways of their own
            raise InputError(
                f"{self.address}/{name}: cannot be written ({reason_of(error)}); name another "
                f"place with `out`"
            ) from error

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where it is missing.

        Raises:
            InputError: It cannot be read.

        """
        try:
            content: bytes = self._filesystem.cat_file(self.path(name))
        except Exception as error:
            self._raise_unless_missing(error, name)
            return None
        return content

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted.

        Raises:
            InputError: It cannot be read.

        """
        self._filesystem.invalidate_cache()
        try:
            found = self._filesystem.ls(self.path(folder) if folder else self._root, detail=False)
        except Exception as error:
            self._raise_unless_missing(error, folder)
            return []
        return sorted(str(path).rsplit("/", 1)[-1] for path in found)

    def remove(self, name: str) -> None:
        """Remove a file; one that is missing is none's loss.

        Raises:
            InputError: It cannot be removed.

        """
        try:
            self._filesystem.rm_file(self.path(name))
        except Exception as error:
            if not is_missing(error):
                raise InputError(
                    f"{self.address}/{name}: cannot be removed ({reason_of(error)}); see that "
                    f"files there may be removed"
                ) from error

    def _raise_unless_missing(self, error: Exception, name: str) -> None:
        if not is_missing(error):
            raise InputError(
                f"{self.address}/{name}: cannot be read ({reason_of(error)}); see that the address "
                f"is right and may be read"
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other drivers out. The lock of a process that died keeps nobody out.

        Raises:
            InputError: Another driver works there, or nothing can be written there.

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
            with alone(Path(self.path(_LOCK_NAME)), taken):
                yield
            return
        mine, ended = uuid.uuid4().hex, Event()
        if self._holder() not in (None, mine):
            raise InputError(
                f"{taken} (the lock of a command that was killed ends after 2 minutes)"
            )
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
        """Whether a command works there."""
        if self.remote:
            return self._holder() is not None
        return is_locked(Path(self.path(_LOCK_NAME)))

    def _hold(self, mine: str) -> None:
        lock = {"holder": mine, "time": time.time(), "host": socket.gethostname()}
        self.write(_LOCK_NAME, json.dumps(lock).encode())

    def _holder(self) -> str | None:
        try:
            lock = json.loads(self.read(_LOCK_NAME) or b"{}")
            return str(lock["holder"]) if time.time() - lock["time"] < _STALE else None
        except (ValueError, KeyError, TypeError):
            return None
