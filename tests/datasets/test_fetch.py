"""Downloads, against a server on this machine that misbehaves as it is told to."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from audiate.cli.data import FetchCommand, ListCommand
from audiate.data import download as module
from audiate.data.download import Transfer, fetch
from audiate.data.sources import (
    DIGIT_WORDS,
    SOURCES,
    Remote,
    Source,
    State,
    data_root,
    inspect,
    require,
)
from audiate.errors import InputError
from audiate.utils.filesystem import cache_folder

CUT = "send half of what was asked for, then close"
CORRUPT = "send as many other bytes"
SHIFT = "send another range than asked for"
STALL = "send half of what was asked for, then nothing for a while"
Fault = str | int  # one of those above, or an HTTP status


@dataclass
class Site:
    """A server's files and faults, and what it was asked for."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)  # used up from the front
    ranges: bool = True
    lengths: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range header
    sent: int = 0  # bytes of content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wav(size: int = 100) -> bytes:
    return b"RIFF" + (size - 8).to_bytes(4, "little") + b"WAVE" + os.urandom(size - 12)


def tar_gz(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type = tarfile.SYMTYPE
            info.linkname = target
            tar.addfile(info)
    return packed.getvalue()


RECORDINGS = {f"{digit}_amy_{index}.wav": wav() for digit in range(10) for index in range(2)}
ARCHIVE = tar_gz({f"digits-1.0/recordings/{name}": wav for name, wav in RECORDINGS.items()})
WORDS = {
    **{f"{word}/0a1b2c3d_nohash_{index}.wav": wav() for word in DIGIT_WORDS for index in range(2)},
    "validation_list.txt": b"one/0a1b2c3d_nohash_0.wav\n",
    "testing_list.txt": b"two/0a1b2c3d_nohash_1.wav\n",
}
WORDS_ARCHIVE = tar_gz(
    {
        **{f"./{name}": content for name, content in WORDS.items()},
        "./bed/0a1b2c3d_nohash_0.wav": wav(),
        "./_background_noise_/pink_noise.wav": wav(),
        "./README.md": b"what it is",
    }
)
IMAGES = os.urandom(200_000)
LABELS = os.urandom(100)


def digits_source(*bases: str, archive: bytes = ARCHIVE) -> Source:
    """20 recordings in one tar, laid out as fsdd is."""
    return replace(
        SOURCES["fsdd"],
        name="digits",
        folder="digits/recordings",
        remotes=(
            Remote(
                urls=tuple(f"{base}/digits.tar.gz" for base in bases),
                filename="digits.tar.gz",
                sha256=sha256(archive),
                size=len(archive),
            ),
        ),
        required=r"[0-9]_amy_[01]\.wav",
        count=20,
    )


def pictures_source(*bases: str) -> Source:
    """Two gzips with the checksums of their content, as mnist has."""
    contents = {"images.gz": IMAGES, "labels.gz": LABELS}
    return replace(
        SOURCES["mnist"],
        name="pictures",
        folder="pictures",
        remotes=tuple(
            Remote(
                urls=tuple(f"{base}/{name}" for base in bases),
                filename=name,
                sha256=sha256(content),
                size=len(content),
                unpacked=True,
            )
            for name, content in contents.items()
        ),
        required=r"(images|labels)\.gz",
        count=2,
    )


def words_source(*bases: str) -> Source:
    """20 clips and two lists in one tar, laid out as speech_commands is."""
    (remote,) = SOURCES["speech_commands"].remotes
    return replace(
        SOURCES["speech_commands"],
        name="words",
        folder="words",
        remotes=(
            replace(
                remote,
                urls=tuple(f"{base}/words.tar.gz" for base in bases),
                sha256=sha256(WORDS_ARCHIVE),
                size=len(WORDS_ARCHIVE),
            ),
        ),
        count=20,
    )


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server of small data sets, "digits", "pictures" and "words", added to the registry."""
    monkeypatch.setattr(module, "BACKOFF", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            here.asked.append((self.path, wanted))
            faults = here.faults.get(self.path, [])
            fault = faults.pop(0) if faults else None
            if isinstance(fault, int) or self.path not in here.files:
                self.send_error(fault if isinstance(fault, int) else 404)
                return
            content = here.files[self.path]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and here.ranges else 0
            if fault == SHIFT:
                start //= 2
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            body = content[start:]
            if "gzip" in self.headers["Accept-Encoding"]:
                self.send_header("Content-Encoding", "gzip")
                body = gzip.compress(body)
            if here.lengths:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault == CORRUPT:
                body = bytes(byte ^ 1 for byte in body)
            elif fault in (CUT, STALL):
                body = body[: len(body) // 2]
            self.wfile.write(body)
            here.sent += len(body)
            if fault == STALL:
                self.wfile.flush()
                time.sleep(0.5)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here = Site(f"http://127.0.0.1:{server.server_port}")
        here.files["/digits.tar.gz"] = ARCHIVE
        here.files["/images.gz"] = gzip.compress(IMAGES)
        here.files["/labels.gz"] = gzip.compress(LABELS)
        monkeypatch.setitem(SOURCES, "digits", digits_source(here.address))
        here.files["/words.tar.gz"] = WORDS_ARCHIVE
        monkeypatch.setitem(SOURCES, "pictures", pictures_source(here.address))
        monkeypatch.setitem(SOURCES, "words", words_source(here.address))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield here
        server.shutdown()


def tree(root: Path) -> dict[str, bytes]:
    """Every file below ``root``."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


# What arrives when all goes well


def test_archive_is_installed_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = fetch("digits", tmp_path)
    assert folder == tmp_path / "digits" / "recordings"
    assert tree(tmp_path) == {f"digits/recordings/{name}": c for name, c in RECORDINGS.items()}
    assert [path.name for path in folder.iterdir() if path.name not in RECORDINGS] == []
    assert require("digits", tmp_path) == folder


def test_files_are_installed_as_downloaded(site: Site, tmp_path: Path) -> None:
    steps: list[Transfer] = []
    folder = fetch("pictures", tmp_path, steps.append)
    packed = {name: site.files[f"/{name}"] for name in ("images.gz", "labels.gz")}
    assert tree(folder) == packed
    for name, content in packed.items():
        done = [step.done for step in steps if step.filename == name]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, len(content))
        assert {step.total for step in steps if step.filename == name} == {len(content)}


def test_the_same_content_may_be_packed_in_another_gzip(site: Site, tmp_path: Path) -> None:
    site.files["/labels.gz"] = gzip.compress(LABELS, compresslevel=0, mtime=1)
    fetch("pictures", tmp_path)
    assert inspect(SOURCES["pictures"], tmp_path).state is State.WHOLE


def test_what_is_whole_is_not_downloaded_again(site: Site, tmp_path: Path) -> None:
    fetch("pictures", tmp_path)
    site.asked.clear()
    fetch("pictures", tmp_path)
    assert site.asked == []
    (tmp_path / "pictures" / "labels.gz").unlink()
    fetch("pictures", tmp_path)
    assert site.asked == [("/labels.gz", None)]


def test_archive_replaces_what_is_damaged_and_keeps_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "digits" / "recordings"
    folder.mkdir(parents=True)
    mine = wav(60)
    (folder / "0_amy_0.wav").write_bytes(mine)
    (folder / "0_amy_1.wav").write_bytes(wav()[:50])
    (folder / "notes.txt").write_text("mine")
    fetch("digits", tmp_path)
    expected = {**RECORDINGS, "0_amy_0.wav": mine, "notes.txt": b"mine"}
    assert tree(folder) == expected


def test_a_usable_part_is_completed(site: Site, tmp_path: Path) -> None:
    mine = {
        "one/0a1b2c3d_nohash_0.flac": b"fLaC",
        "two/0a1b2c3d_nohash_0.wav": wav(60),
        "validation_list.txt": b"one/0a1b2c3d_nohash_0.wav",
        "bed/0a1b2c3d_nohash_0.wav": wav(),
    }
    for name, content in mine.items():
        write((tmp_path / "words" / name).parent, {Path(name).name: content})
    assert inspect(SOURCES["words"], tmp_path).state is State.USABLE
    assert fetch("words", tmp_path) == tmp_path / "words"
    assert tree(tmp_path / "words") == {**WORDS, **mine}
    status = inspect(SOURCES["words"], tmp_path)
    # "one" is there as flac and as wav, which makes one recording.
    assert (status.state, status.detail) == (State.WHOLE, "20 of 20 recordings")
    fetch("words", tmp_path)
    assert site.asked == [("/words.tar.gz", None)]


# What goes wrong on the way


def test_cut_connection_is_resumed(site: Site, tmp_path: Path) -> None:
    site.faults["/images.gz"] = [CUT]
    fetch("pictures", tmp_path)
    size, rest = len(site.files["/images.gz"]), len(site.files["/labels.gz"])
    assert site.asked[:2] == [("/images.gz", None), ("/images.gz", f"bytes={size // 2}-")]
    assert site.sent == size + rest
    assert inspect(SOURCES["pictures"], tmp_path).state is State.WHOLE


def test_a_later_run_resumes(site: Site, tmp_path: Path) -> None:
    site.faults["/images.gz"] = [CUT, 404]
    with pytest.raises(InputError, match="answered 404 Not Found"):
        fetch("pictures", tmp_path)
    assert inspect(SOURCES["pictures"], tmp_path).state is State.ABSENT
    site.asked.clear()
    fetch("pictures", tmp_path)
    assert site.asked[0] == ("/images.gz", f"bytes={len(site.files['/images.gz']) // 2}-")
    assert set(tree(tmp_path)) == {"pictures/images.gz", "pictures/labels.gz"}


def test_server_that_ignores_ranges(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.faults["/digits.tar.gz"] = [CUT]
    steps: list[Transfer] = []
    fetch("digits", tmp_path, steps.append)
    assert [wanted for _, wanted in site.asked] == [None, f"bytes={len(ARCHIVE) // 2}-"]
    assert site.sent == len(ARCHIVE) // 2 + len(ARCHIVE)
    assert steps[-1].done == steps[-1].total == len(ARCHIVE)


def test_server_that_sends_another_range(site: Site, tmp_path: Path) -> None:
    site.faults["/digits.tar.gz"] = [CUT, SHIFT]
    steps: list[Transfer] = []
    fetch("digits", tmp_path, steps.append)
    assert site.asked[2] == ("/digits.tar.gz", None)
    assert "sent another range than asked for" in [step.note for step in steps if step.note][1]


def test_server_that_tells_no_length(site: Site, tmp_path: Path) -> None:
    site.lengths = False
    steps: list[Transfer] = []
    fetch("digits", tmp_path, steps.append)
    assert steps[-1] == Transfer("digits.tar.gz", len(ARCHIVE), len(ARCHIVE))


@pytest.mark.parametrize(
    ("kept", "requests"),
    [
        pytest.param(ARCHIVE, 1, id="complete"),
        pytest.param(ARCHIVE + b"more", 2, id="too long"),
        pytest.param(b"other" + ARCHIVE[5:-9], 2, id="wrong bytes"),
    ],
)
def test_part_of_an_earlier_run(site: Site, tmp_path: Path, kept: bytes, requests: int) -> None:
    stage = tmp_path / "digits" / "recordings" / ".fetch"
    stage.mkdir(parents=True)
    (stage / "digits.tar.gz.part").write_bytes(kept)
    fetch("digits", tmp_path)
    assert site.asked[0] == ("/digits.tar.gz", f"bytes={len(kept)}-")
    assert len(site.asked) == requests
    assert inspect(SOURCES["digits"], tmp_path).state is State.WHOLE


def test_corrupt_download_is_tried_from_scratch_once(site: Site, tmp_path: Path) -> None:
    site.faults["/digits.tar.gz"] = [CORRUPT]
    fetch("digits", tmp_path)
    assert site.asked == [("/digits.tar.gz", None)] * 2


@pytest.mark.parametrize(
    ("name", "path", "problem"),
    [
        ("digits", "/digits.tar.gz", "does not match the published checksum"),
        ("pictures", "/images.gz", "is not a sound gzip file"),
    ],
)
def test_nothing_corrupt_is_installed(
    site: Site, tmp_path: Path, name: str, path: str, problem: str
) -> None:
    site.faults[path] = [CORRUPT] * 9
    with pytest.raises(InputError) as caught:
        fetch(name, tmp_path)
    message = str(caught.value)
    assert f"what {site.address}{path} sent {problem};" in message
    assert f"run `audiate data fetch {name} --data-dir {tmp_path}` again" in message
    assert "\n" not in message
    assert len(site.asked) == 2
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("status", "answer", "requests"),
    [(404, "404 Not Found", 1), (403, "403 Forbidden", 1), (503, "503 Service Unavailable", 4)],
)
def test_http_errors(site: Site, tmp_path: Path, status: int, answer: str, requests: int) -> None:
    site.faults["/digits.tar.gz"] = [status] * 9
    with pytest.raises(InputError, match=rf"^digits: .*/digits\.tar\.gz answered {answer}; check"):
        fetch("digits", tmp_path)
    assert len(site.asked) == requests
    assert tree(tmp_path) == {}


def test_server_is_busy_for_a_while(site: Site, tmp_path: Path) -> None:
    site.faults["/digits.tar.gz"] = [503, 429, 500]
    steps: list[Transfer] = []
    fetch("digits", tmp_path, steps.append)
    notes = [step.note for step in steps if step.note]
    assert [note.split()[2] for note in notes] == ["503", "429", "500"]
    assert all("trying again in 0 s" in note for note in notes)


def test_server_that_stalls(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", (1.0, 0.1))
    site.faults["/images.gz"] = [STALL]
    steps: list[Transfer] = []
    fetch("pictures", tmp_path, steps.append)
    assert [step.note for step in steps if step.note] == [
        f"{site.address}/images.gz stopped sending; trying again in 0 s"
    ]
    assert site.asked[1] == ("/images.gz", "bytes=65536-")  # what came after was no whole block


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_no_server(nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "digits", digits_source(nobody))
    steps: list[Transfer] = []
    unreachable = rf"{nobody}/digits.tar.gz cannot be reached; check the network"
    with pytest.raises(InputError, match=unreachable):
        fetch("digits", tmp_path, steps.append)
    assert steps == []
    # Once a download has begun, a network that is gone may well come back.
    stage = tmp_path / "digits" / "recordings" / ".fetch"
    stage.mkdir()
    (stage / "digits.tar.gz.part").write_bytes(ARCHIVE[:9])
    with pytest.raises(InputError, match=unreachable):
        fetch("digits", tmp_path, steps.append)
    assert [step.done for step in steps] == [9, 9, 9]
    assert (stage / "digits.tar.gz.part").read_bytes() == ARCHIVE[:9]


@pytest.mark.parametrize("fault", [None, 404, 503, CORRUPT, CUT])
def test_second_mirror(
    site: Site,
    nobody: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault | None,
) -> None:
    bad = nobody if fault is None else f"{site.address}/bad"
    source = digits_source(bad, site.address)
    monkeypatch.setitem(SOURCES, "digits", source)
    site.files["/bad/digits.tar.gz"] = ARCHIVE
    if fault is not None:
        site.faults["/bad/digits.tar.gz"] = [fault] * 9
    fetch("digits", tmp_path)
    assert site.asked[-1][0] == "/digits.tar.gz"
    assert inspect(source, tmp_path).state is State.WHOLE


def test_archive_cannot_write_elsewhere(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tar_gz(
        {
            **{f"d/recordings/{name}": content for name, content in RECORDINGS.items()},
            "../evil.wav": wav(),
            "d/recordings/../../3_evil_0.wav": wav(),
            "/d/recordings/4_evil_0.wav": wav(),
            "d/recordings/sub/5_evil_0.wav": wav(),
            "d/recordings/evil.sh": b"#!/bin/sh",
        },
        links={"d/recordings/6_evil_0.wav": "/etc/passwd", "d/recordings": "/tmp"},
    )
    site.files["/digits.tar.gz"] = archive
    monkeypatch.setitem(SOURCES, "digits", digits_source(site.address, archive=archive))
    root = tmp_path / "a" / "b"
    fetch("digits", root)
    assert set(tree(tmp_path)) == {f"a/b/digits/recordings/{name}" for name in RECORDINGS}


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"/digits/recordings: cannot be written \(Not a dir"):
        fetch("digits", tmp_path / "file" / "data")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux' always full /dev/full")
def test_full_disk(tmp_path: Path) -> None:
    stage = tmp_path / "digits" / "recordings" / ".fetch"
    stage.mkdir(parents=True)
    (stage / "digits.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); make"):
        fetch("digits", tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows takes no such lock")
def test_two_at_once(tmp_path: Path) -> None:
    def meanwhile(_: Transfer) -> None:
        with pytest.raises(InputError, match="another process is fetching into this folder"):
            fetch("digits", tmp_path)

    fetch("digits", tmp_path, meanwhile)
    assert inspect(SOURCES["digits"], tmp_path).state is State.WHOLE


# What is there


def test_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("AUDIATE_DATA", raising=False)
    assert data_root().parts[-2:] == ("audiate", "data")
    monkeypatch.setenv("AUDIATE_DATA", "")
    assert data_root().parts[-2:] == ("audiate", "data")
    monkeypatch.setenv("AUDIATE_DATA", str(tmp_path / "named"))
    assert data_root() == tmp_path / "named"
    assert data_root(str(tmp_path / "given")) == tmp_path / "given"
    (tmp_path / "named").touch()
    with pytest.raises(InputError, match=r"named: the data folder \(AUDIATE_DATA\) is a file"):
        data_root()
    with pytest.raises(InputError, match=r"\(--data-dir\) cannot be read \(File name too long\)"):
        data_root("x" * 5000)


def test_cache_folder_of_each_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative, and hence ignored")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    for system, folder in {
        "linux": ".cache/audiate",
        "darwin": "Library/Caches/audiate",
        "win32": "AppData/Local/audiate/audiate/Cache",
    }.items():
        monkeypatch.setattr(sys, "platform", system)
        assert cache_folder() == tmp_path / folder
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local/audiate/audiate/Cache"


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_states_of_recordings(tmp_path: Path) -> None:
    folder = tmp_path / "digits" / "recordings"

    def found() -> tuple[str, str]:
        status = inspect(SOURCES["digits"], tmp_path)
        assert status.folder == folder
        return status.state, status.detail

    assert found() == ("absent", "0 of 20 recordings")
    write(folder, {"0_bob_0.wav": b"", "0_amy_2.wav": b"", "00_amy_0.wav": b""})
    assert found() == ("absent", "0 of 20 recordings")
    write(folder, dict(list(RECORDINGS.items())[:10]))
    assert found() == ("incomplete", "10 of 20 recordings")
    write(folder, RECORDINGS)
    assert found() == ("whole", "20 of 20 recordings")
    write(folder, {"3_amy_0.wav": wav()[:99]})
    assert found() == ("damaged", "3_amy_0.wav is cut short: 99 of 100 bytes")
    write(folder, {"2_amy_0.wav": b"<html>not here</html>", "4_amy_0.wav": b""})
    assert found() == ("damaged", "2_amy_0.wav is not a wav file (and 2 more)")


def test_states_of_what_is_usable_in_part(tmp_path: Path) -> None:
    folder = tmp_path / "words"

    def found() -> tuple[str, str]:
        status = inspect(SOURCES["words"], tmp_path)
        if status.state in (State.WHOLE, State.USABLE):
            assert require("words", tmp_path) == folder
        else:
            with pytest.raises(InputError, match=r"words is .*; run `audiate data fetch words"):
                require("words", tmp_path)
        return status.state, status.detail

    assert found() == ("absent", "0 of 20 recordings")
    write(folder / "bed", {"0a_nohash_0.wav": wav()})
    write(folder / "one", {"._0a_nohash_0.wav": b"", "notes.flac": b""})
    assert found() == ("absent", "0 of 20 recordings")
    write(folder / "one", {"0a_nohash_0.flac": b"", "0b_nohash_0.wav": wav()})
    assert found() == (
        "incomplete",
        "2 of 20 recordings, no validation_list.txt, no testing_list.txt",
    )
    write(folder, {"validation_list.txt": b"one/0a_nohash_0.wav"})
    assert found() == ("usable", "2 of 20 recordings, no testing_list.txt")
    write(folder, {"testing_list.txt": b"one/0b_nohash_0.wav"})
    assert found() == ("usable", "2 of 20 recordings")
    write(folder / "two", {f"0a_nohash_{index}.wav": wav() for index in range(18)})
    assert found() == ("whole", "20 of 20 recordings")
    write(folder / "two", {"0a_nohash_0.wav": wav()[:99]})
    assert found() == ("damaged", "two/0a_nohash_0.wav is cut short: 99 of 100 bytes")
    write(folder, {"validation_list.txt": b""})
    assert found()[0] == "damaged"
    for path in folder.rglob("*.*"):
        if path.suffix in (".wav", ".flac"):
            path.unlink()
    write(folder, {"validation_list.txt": b"one/0a_nohash_0.wav"})
    assert found() == ("incomplete", "0 of 20 recordings")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzip.compress(IMAGES)[:-1], "images.gz is cut short"),
        (gzip.compress(IMAGES)[:-100_000], "images.gz is cut short"),
        (b"", "images.gz is empty"),
        (b"<html>not here</html>", "images.gz is not a sound gzip file"),
        (gzip.compress(IMAGES[:-1]), "images.gz does not match the published checksum"),
    ],
)
def test_damaged_file(tmp_path: Path, content: bytes, problem: str) -> None:
    write(tmp_path / "pictures", {"images.gz": content, "labels.gz": gzip.compress(LABELS)})
    status = inspect(SOURCES["pictures"], tmp_path)
    assert (status.state, status.detail) == (State.DAMAGED, problem)
    with pytest.raises(InputError) as caught:
        require("pictures", tmp_path)
    assert str(caught.value) == (
        f"pictures is damaged in {tmp_path / 'pictures'} ({problem}); "
        f"run `audiate data fetch pictures --data-dir {tmp_path}`, "
        "or name another folder with --data-dir or AUDIATE_DATA"
    )
    fetch("pictures", tmp_path)
    assert require("pictures", tmp_path) == tmp_path / "pictures"


def test_require_names_the_plain_command_for_the_folder_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIATE_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"^mnist is absent in .*mnist \(0 of 4 files\); run `aud"):
        require("mnist", data_root())
    with pytest.raises(InputError, match=r"run `audiate data fetch fsdd`, or name another folder"):
        require("fsdd", data_root())
    with pytest.raises(InputError, match="nist: no data set of this name; choose among fsdd, mn"):
        require("nist", data_root())


def test_patterns_match_exactly_what_is_published() -> None:
    speakers = ("jackson", "nicolas", "theo", "yweweler", "george", "lucas")
    names = [f"{d}_{s}_{i}.wav" for d in range(12) for s in speakers for i in range(60)]
    fsdd = SOURCES["fsdd"]
    assert sum(bool(re.fullmatch(fsdd.required, name)) for name in names) == fsdd.count
    words = SOURCES["speech_commands"]
    assert words.members is not None
    path = "three/0a1b2c3d_nohash_12.wav"
    assert re.fullmatch(words.required, path)
    for name in (path, *words.lists):
        match = re.fullmatch(words.members, f"./{name}")
        assert match is not None
        assert match["path"] == name
    for name in ("./_background_noise_/pink_noise.wav", "./bed/0a_nohash_0.wav", "./../one/0.wav"):
        assert re.fullmatch(words.members, name) is None
    mnist = SOURCES["mnist"]
    assert [bool(re.fullmatch(mnist.required, r.filename)) for r in mnist.remotes] == [True] * 4


@pytest.mark.parametrize("name", ["fsdd", "mnist"])
def test_real_data_is_whole(name: str, real_data: Path) -> None:
    source = SOURCES[name]
    status = inspect(source, real_data)
    assert (status.state, status.detail) == (
        State.WHOLE,
        f"{source.count:,} of {source.count:,} {source.noun}",
    )


def test_import_is_light() -> None:
    heavy = "torch", "numpy", "requests", "rich"
    code = f"import sys, audiate.data.download; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")


# The commands


def test_list_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "digits" / "recordings", dict(list(RECORDINGS.items())[:10]))
    write(tmp_path / "pictures", {"images.gz": gzip.compress(IMAGES)[:-9]})
    write(tmp_path / "words" / "one", {"0_nohash_0.flac": b""})
    write(tmp_path / "words", {"validation_list.txt": b"one/0_nohash_0.wav"})
    assert ListCommand(data_dir=tmp_path).run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Data folder: {tmp_path} (--data-dir)"
    rows = {cells[1].strip(): cells for line in lines if len(cells := line.split("│")) > 1}
    assert {name: row[4].strip() for name, row in rows.items()} == {
        "fsdd": "absent: 0 of 2,000 recordings",
        "mnist": "absent: 0 of 4 files",
        "speech_commands": "absent: 0 of 38,908 recordings",
        "digits": "incomplete: 10 of 20 recordings",
        "pictures": "damaged: images.gz is cut short",
        "words": "usable: 1 of 20 recordings, no testing_list.txt",
    }
    assert [cell.strip() for cell in rows["mnist"][2:-1]] == [
        SOURCES["mnist"].title,
        "CC BY-SA 3.0",
        "absent: 0 of 4 files",
        "mnist",
    ]
    monkeypatch.setenv("AUDIATE_DATA", str(tmp_path / "other"))
    assert ListCommand().run() == 0
    assert f"Data folder: {tmp_path / 'other'} (AUDIATE_DATA)\n" in capsys.readouterr().out


def test_fetch_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = FetchCommand(names=("digits", "pictures", "digits"), data_dir=tmp_path)
    assert command.run() == 0
    shown = capsys.readouterr()
    assert shown.out.count("digits: whole in ") == 1
    assert "CC BY-SA 4.0" in shown.out
    assert shown.err.splitlines()[0] == f"digits.tar.gz: 0 bytes of {len(ARCHIVE) / 1000:.1f} kB"
    assert shown.err.splitlines()[-1] == "labels.gz: 123 bytes of 123 bytes"
    assert command.run() == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.splitlines() == [
        f"digits: already whole in {tmp_path}/digits/recordings (20 of 20 recordings)",
        f"pictures: already whole in {tmp_path}/pictures (2 of 2 files)",
    ]


def test_fetch_command_shows_a_bar_in_a_terminal(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    site.faults["/images.gz"] = [503]
    assert FetchCommand(names=("pictures",), data_dir=tmp_path).run() == 0
    error = capsys.readouterr().err
    assert "answered 503 Service Unavailable; trying again" in error
    assert "━━━" in error
    assert "200.1/200.1 kB" in error


def test_fetch_command_interrupted(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    command = FetchCommand(names=("digits",), data_dir=tmp_path)
    site.faults["/digits.tar.gz"] = [CUT]
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupt)  # while it waits to try again
        assert command.run() == 130
    assert "run the same command again to resume" in capsys.readouterr().err
    assert command.run() == 0
    assert site.asked[-1] == ("/digits.tar.gz", f"bytes={len(ARCHIVE) // 2}-")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no data set named; choose among fsdd, mnist"),
        (("mnist", "nist"), "nist: no data set of this name; choose among fsdd, mnist"),
    ],
)
def test_fetch_command_needs_known_names(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        FetchCommand(names=names, data_dir=tmp_path).run()
    assert tree(tmp_path) == {}
