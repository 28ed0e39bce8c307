"""What a visitor of the page waits for, and downloads: ``make page-build``, then this.

Chromium is driven by Playwright, with a shipped clip as its microphone. A second visitor has a line
of 1.6 Mbit/s and a processor that is six times slower. Sizes are those of files as served.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page, sync_playwright

from audiate.audio.files import load_audio, save_wav
from audiate.cli.demo import CLIPS_FOLDER

DIST = Path(__file__).parent.parent / "web" / "dist"
LATER = ("encoder", "generator", "listener", "map", "sayer", "scores", "voice")
ROUNDS = 5
PAUSE = 0.5  # seconds of quiet by which the page knows that a word is over: microphone.ts
SLOW_LINE = {"offline": False, "latency": 150, "downloadThroughput": 200_000}
SEEN = "localStorage.setItem('visited', 'yes')"  # no clip begins by itself
WAIT = 600_000  # milliseconds


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        with contextlib.suppress(ConnectionError):  # the visitor left
            super().copyfile(source, outputfile)


def main() -> None:
    """Print all times and sizes, with their limits."""
    handler = functools.partial(_Quiet, directory=str(DIST))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        spoken = _microphone(Path(folder))
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={spoken}%noloop",
            ],
        )
        address = f"http://127.0.0.1:{server.server_port}/"
        for measure in (_usual, _slow):
            page = chromium.new_context().new_page()
            page.set_default_timeout(WAIT)
            measure(page, address)
            page.context.close()
        chromium.close()
        server.shutdown()
    sizes = {each.name: each.stat().st_size for each in DIST.rglob("*.*")}
    first = sum(size for name, size in sizes.items() if not name.startswith(LATER))
    print(f"  download until the first drawing: {first / 1e6:.1f} MB (limit 9)")
    print(f"  download of all files: {sum(sizes.values()) / 1e6:.1f} MB (limit 32)")


def _microphone(folder: Path) -> Path:
    waveform, _ = load_audio(sorted(CLIPS_FOLDER.glob("seven*"))[0], 48_000)
    path = folder / "microphone.wav"
    save_wav(path, torch.cat([torch.zeros(24_000), waveform, torch.zeros(96_000)]), 48_000)
    return path


def _usual(page: Page, address: str) -> None:
    page.add_init_script(SEEN)
    print(f"  first visit to ready: {_opened(page, address, 'ready'):.1f} s (limit 3)")
    page.wait_for_selector("body[data-complete]")
    page.evaluate("() => navigator.serviceWorker.ready")
    print(f"  second visit to ready: {_opened(page, address, 'ready'):.1f} s (limit 1)")
    page.wait_for_selector("body[data-complete]")
    drawn = PAUSE + _slowest(page, "#speak", "drawnIn")
    print(f"  speaking ends to eight drawings: {drawn:.2f} s, {PAUSE} of which is quiet (limit 1)")
    print(f"  said again: {_slowest(page, '#say', 'saidIn'):.2f} s (limit 1.5)")
    print(f"  ten clips in 1.5 s to the last: {_hurried(page):.2f} s after it (limit 1.5)")


def _slow(page: Page, address: str) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.emulateNetworkConditions", {**SLOW_LINE, "uploadThroughput": 100_000})
    session.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("#lead")
    print(
        f"  slow line and processor, stage visible: {time.perf_counter() - began:.1f} s (limit 1)"
    )
    page.wait_for_function("() => document.body.dataset.drawnIn")
    print(f"  slow line and processor, first drawing: {time.perf_counter() - began:.1f} s")


def _opened(page: Page, address: str, part: str) -> float:
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(f"body[data-{part}]")
    return time.perf_counter() - began


def _slowest(page: Page, button: str, measured: str) -> float:
    """Press a button again and again until the page has measured; the first is warming up.

    Returns the longest of the times that the page has measured, in seconds.
    """
    times = []
    for _ in range(ROUNDS):
        page.evaluate("name => { delete document.body.dataset[name] }", measured)
        page.evaluate("id => document.querySelector(id).click()", button)
        page.wait_for_function("name => document.body.dataset[name]", arg=measured)
        times.append(float(page.evaluate("name => document.body.dataset[name]", measured)))
    return max(times[1:])


def _hurried(page: Page) -> float:
    page.evaluate(
        "async () => { for (let at = 1; at <= 10; at++) {"
        "  document.querySelector(`#clips button:nth-child(${at})`).click();"
        "  await new Promise(done => setTimeout(done, 150)) } }"
    )
    began = time.perf_counter()
    page.wait_for_function("() => document.querySelector('#word').textContent === 'nine'")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
