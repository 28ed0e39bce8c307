"""What a visitor of the page waits for, and downloads: ``make page-build``, then this.

Chromium is driven by Playwright, with a shipped clip as its microphone. Sizes are those of files
compressed by gzip, as web servers send them.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import shutil
import tempfile
import threading
import time
from pathlib import Path

import torch
from playwright.sync_api import Page, sync_playwright

from audiate.audio.files import load_audio, save_wav
from audiate.cli.demo import CLIPS_FOLDER

DIST = Path(__file__).parent.parent / "web" / "dist"
ROUNDS = 5
PAUSE = 0.5  # seconds of quiet by which the page knows that a word is over: microphone.ts


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


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
        asked: list[str] = []
        page = chromium.new_page()
        page.on("response", lambda response: asked.append(response.url.rsplit("/", 1)[-1]))
        _measure(page, f"http://127.0.0.1:{server.server_port}/", asked)
        chromium.close()
        server.shutdown()


def _microphone(folder: Path) -> Path:
    waveform, _ = load_audio(sorted(CLIPS_FOLDER.glob("seven*"))[0], 48_000)
    path = folder / "microphone.wav"
    save_wav(path, torch.cat([torch.zeros(24_000), waveform, torch.zeros(96_000)]), 48_000)
    return path


def _measure(page: Page, address: str, asked: list[str]) -> None:
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    print(f"  page load to ready: {time.perf_counter() - began:.1f} s (limit 3)")
    later = ("encoder", "generator", "listener", "scores")
    first = sum(_size(name) for name in set(asked) if not name.startswith(later))
    whole = sum(len(gzip.compress(each.read_bytes(), 6)) for each in DIST.rglob("*.*"))
    page.wait_for_selector("body[data-generator]")
    drawn = PAUSE + _slowest(page, "#speak", "read as", "drawnIn")
    print(f"  speaking ends to eight drawings: {drawn:.2f} s, {PAUSE} of which is quiet (limit 1)")
    print(f"  said again: {_slowest(page, '#say', 'Said again', 'saidIn'):.2f} s (limit 1.5)")
    print(f"  download until the first drawing: {first / 1e6:.1f} MB (limit 12)")
    print(f"  download of all files: {whole / 1e6:.1f} MB (limit 45)")


def _slowest(page: Page, button: str, words: str, measured: str) -> float:
    """Press a button until the page has said some words, again and again; the first is warming up.

    Returns the longest of the times that the page has measured, in seconds.
    """
    times = []
    for _ in range(ROUNDS):
        page.evaluate("() => { document.querySelector('#status').textContent = '' }")
        page.click(button)
        page.wait_for_function(
            "words => document.querySelector('#status').textContent.includes(words)", arg=words
        )
        times.append(float(page.evaluate(f"() => document.body.dataset.{measured}")))
    return max(times[1:])


def _size(name: str) -> int:
    found = list(DIST.rglob(name)) if name else [DIST / "index.html"]
    return sum(len(gzip.compress(path.read_bytes(), 6)) for path in found)


if __name__ == "__main__":
    main()
