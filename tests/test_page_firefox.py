"""The page in Firefox: that it draws, and that what it saves is what it drew."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pages import WAIT
from pages import address as address
from pages import dist as dist
from PIL import Image

from audiate.models.lenet import LeNet
from audiate.models.pretrained import load

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
if FIREFOX is None:
    pytest.skip("Firefox is not installed: apt install firefox-esr", True)

Command = Callable[[str, dict[str, Any]], Any]


@contextlib.contextmanager
def firefox(folder: Path, **preferences: Any) -> Iterator[Command]:
    """Start Firefox with preferences, and give what sends it commands (by Marionette)."""
    profile = folder / "profile"
    profile.mkdir()
    lines = {"marionette.port": 0, **preferences}  # any port that is free
    lines_of = [
        f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in lines.items()
    ]
    (profile / "user.js").write_text("\n".join(lines_of))
    start = [str(FIREFOX), "--headless", "--marionette", "--profile", str(profile)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    process = subprocess.Popen(start, env=environment, stderr=subprocess.DEVNULL)
    try:
        port = profile / "MarionetteActivePort"
        wait(lambda: port.exists() and port.read_text())
        with socket.create_connection(("127.0.0.1", int(port.read_text())), WAIT / 1000) as line:
            yield speaker(line)
    finally:
        process.terminate()
        process.wait(30)


def speaker(line: socket.socket) -> Command:
    """Send commands through a line, and return their answers."""
    numbers = itertools.count()
    answers = line.makefile("rb")

    def receive() -> Any:
        size = b"".join(iter(lambda: answers.read(1), b":"))
        return json.loads(answers.read(int(size)))

    def send(name: str, values: dict[str, Any]) -> Any:
        message = json.dumps([0, next(numbers), name, values]).encode()
        line.sendall(b"%d:%b" % (len(message), message))
        _, _, error, found = receive()
        assert error is None, error
        return found

    receive()  # it greets
    send("WebDriver:NewSession", {})
    return send


def wait(ready: Callable[[], object]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + WAIT / 1000
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.1)


@torch.inference_mode()
def test_drawings_are_saved_as_they_are(address: str, tmp_path: Path) -> None:
    """Browsers that resist fingerprinting give stripes for the pixels of a canvas."""
    downloads = {"browser.download.folderList": 2, "browser.download.dir": str(tmp_path)}
    private = {"privacy.resistFingerprinting": True}
    with firefox(tmp_path, **downloads, **private) as command:

        def run(script: str) -> Any:
            return command("WebDriver:ExecuteScript", {"script": script, "args": []})["value"]

        command("WebDriver:Navigate", {"url": f"{address}#clip=seven-rms"})
        wait(lambda: "agree" in run("return document.querySelector('#status').textContent"))
        assert run("return document.querySelector('#word').textContent") == "seven"
        run("document.querySelector('#save-drawings').click()")
        path = tmp_path / "seven-rms.png"
        wait(lambda: path.exists() and path.stat().st_size > 0)
        picture = torch.from_numpy(np.asarray(Image.open(path)).copy())
        images = picture[2::4, 2::4].reshape(28, 8, 28).transpose(0, 1).float() / 255
        read = load("lenet-mnist", LeNet)(images).argmax(1)
        assert (read == 7).sum() >= 7
