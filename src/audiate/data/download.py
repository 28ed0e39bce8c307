"""Download data sets, with mirrors, checksums, progress and resumption."""

from __future__ import annotations

import re
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from audiate.data.sources import (
    Remote,
    Source,
    State,
    checksum_problem,
    fetch_command,
    find_source,
    inspect,
    is_sound,
    require,
)
from audiate.errors import InputError
from audiate.utils.filesystem import alone

TIMEOUT = (10.0, 30.0)  # seconds to connect, and seconds without a single byte
BACKOFF = (0.5, 1.0, 2.0)  # seconds before each new try after a cut connection
_BLOCK = 1 << 16  # bytes read at a time: at most this much is lost when a connection is cut
_STAGE = ".fetch"  # inside the data set's folder, hence on its file system: os.replace is atomic


@dataclass(frozen=True)
class Transfer:
    """The progress of a download.

    Attributes:
        filename: The file being downloaded.
        done: Bytes of it on disk; falls back to 0 when a download must start again.
        total: Bytes in all, as the server says or, where it does not, as published.
        note: A line for the user, such as the reason of a new try; mostly empty.

    """

    filename: str
    done: int
    total: int
    note: str = ""


Report = Callable[[Transfer], None]


def fetch(name: str, root: Path, progress: Report = lambda _: None) -> Path:
    """Download the missing files of a data set, and return its folder.

    A download that was cut, now or in an earlier run, goes on where it stopped. Nothing is
    installed before its checksum is verified, and no file that is sound is replaced.

    Args:
        name: Key of `SOURCES`.
        root: The data folder; created if need be.
        progress: Called with each step of each download.

    Raises:
        InputError: No such data set; it cannot be downloaded or arrives corrupt from everywhere;
            the folder cannot be written; another process is fetching it at this moment.

    """
    source = find_source(name)
    folder = root / source.folder
    if inspect(source, root).state is State.WHOLE:
        return folder
    stage = folder / _STAGE
    try:
        stage.mkdir(parents=True, exist_ok=True)
        with _staging(stage):
            for remote in source.remotes:
                target = folder / remote.filename
                if source.members is not None:
                    _unpack(source, _download(remote, stage, progress), folder)
                elif not is_sound(source, target):
                    _download(remote, stage, progress).replace(target)
    except _TransferError as error:
        raise InputError(
            f"{name}: {error}; check the network connection "
            f"and run `{fetch_command(name, root)}` again"
        ) from error
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be written ({error.strerror or error}); "
            "make it writable, with room to spare, "
            "or name another folder with `data_dir` or AUDIATE_DATA"
        ) from error
    return require(name, root)


@contextmanager
def _staging(stage: Path) -> Iterator[None]:
    """Keep a second process out of ``stage``, and tidy it up unless a part is kept there."""
    taken = (
        f"{stage.parent}: another process is fetching into this folder; "
        "wait for it to end, then run this again"
    )
    try:
        with alone(stage / "lock", taken):
            yield
    finally:
        with suppress(OSError):  # a part is kept there, or another process is in there
            stage.rmdir()


class _TransferError(Exception):
    """A download failed; ``transient`` if trying the same address again may help."""

    def __init__(self, reason: str, *, transient: bool) -> None:
        super().__init__(reason)
        self.transient = transient


def _download(remote: Remote, stage: Path, report: Report) -> Path:
    """Download ``remote`` into ``stage`` and return the file, its checksum verified.

    Each mirror may send one corrupt file before the next is tried, since an earlier part may have
    been at fault.
    """
    part = stage / f"{remote.filename}.part"
    failures: list[str] = []
    for url in remote.urls:
        for _ in range(2):
            try:
                _transfer(url, remote, part, report)
            except _TransferError as error:
                failures.append(str(error))
                break
            problem = checksum_problem(part, remote)
            if problem is None:
                return part
            part.unlink()
            failures.append(f"what {url} sent {problem}")
            report(Transfer(remote.filename, 0, remote.size, note=failures[-1]))
    # A mirror that fails twice in one way is named once.
    raise _TransferError(
        f"cannot download {remote.filename}: {'; '.join(dict.fromkeys(failures))}", transient=False
    )


def _transfer(url: str, remote: Remote, part: Path, report: Report) -> None:
    """Receive ``url`` into ``part`` to its end, through a few cut connections."""
    for wait in BACKOFF:
        try:
            return _receive(url, remote, part, report)
        except _TransferError as error:
            if not error.transient:
                raise
            note = f"{error}; trying again in {wait:g} s"
            report(Transfer(remote.filename, _size(part), remote.size, note))
            time.sleep(wait)
    return _receive(url, remote, part, report)


def _receive(url: str, remote: Remote, part: Path, report: Report) -> None:
    """Request the bytes that ``part`` lacks from ``url`` once."""
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    done = _size(part)
    headers = {"Accept-Encoding": "identity"}  # ranges and checksums are of the file's own bytes
    if done:
        headers["Range"] = f"bytes={done}-"
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        # Without a connection, wait for one only where a download has begun.
        raise _TransferError(f"{url} {_reason(error)}", transient=done > 0) from error
    with response:
        status = response.status_code
        if status == 416 and done:
            return  # no byte is left to send; the checksum shows whether the part is right
        if status not in (200, 206):
            raise _TransferError(
                f"{url} answered {status} {response.reason}",
                transient=status == 429 or status >= 500,
            )
        if status == 200:
            done = 0  # the server ignores ranges
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            part.unlink(missing_ok=True)
            raise _TransferError(f"{url} sent another range than asked for", transient=True)
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else remote.size
        with part.open("ab" if done else "wb") as file:
            report(Transfer(remote.filename, done, total))
            try:
                for block in response.raw.stream(_BLOCK, decode_content=False):
                    file.write(block)
                    done += len(block)
                    report(Transfer(remote.filename, done, total))
            except ReadTimeoutError as error:
                raise _TransferError(f"{url} stopped sending", transient=True) from error
            except HTTPError as error:
                raise _TransferError(f"{url} cut the connection", transient=True) from error
        if length and done < total:  # urllib3 1.x does not raise
            raise _TransferError(f"{url} cut the connection", transient=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: Exception) -> str:
    from requests import ConnectionError, Timeout, exceptions

    for kind, reason in (
        (Timeout, "timed out"),
        (exceptions.SSLError, "has no certificate that this machine trusts"),
        (exceptions.ProxyError, "cannot be reached: the proxy does not answer"),
        (ConnectionError, "cannot be reached"),
    ):
        if isinstance(error, kind):
            return reason
    return f"failed ({error})"


def _unpack(source: Source, archive: Path, folder: Path) -> None:
    """Install the members of a verified archive that ``folder`` lacks or has damaged."""
    assert source.members is not None
    unfinished = archive.with_name("unfinished")
    with tarfile.open(archive) as tar:
        for member in tar:
            match = re.fullmatch(source.members, member.name)
            if match is None or not member.isreg():  # a link could point anywhere
                continue
            target = folder / match["path"]
            if is_sound(source, target):
                continue
            content = tar.extractfile(member)
            assert content is not None  # None stands for what is not a regular file
            with content, unfinished.open("wb") as file:
                shutil.copyfileobj(content, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.replace(target)
    archive.unlink()
