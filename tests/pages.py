"""The page as tests open it: built once, served by a plain web server, in Chromium."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import once

from audiate.cli.demo import CLIPS_FOLDER
from audiate.data.sources import DIGIT_WORDS

if shutil.which("chromium") is None or shutil.which("npm") is None:
    pytest.skip("Chromium or npm is not installed: apt install chromium npm", True)

from playwright.sync_api import Browser, Page, sync_playwright

WEB = Path(__file__).parent.parent / "web"
CLIPS = sorted(
    CLIPS_FOLDER.glob("*.flac"), key=lambda clip: DIGIT_WORDS.index(clip.stem.split("-")[0])
)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
MICROPHONE = [*QUIET, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
WAIT = 180_000  # milliseconds; tests must not fail on a machine that is busy otherwise


@pytest.fixture(scope="session")
def dist(page_files: Path, node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built once from what is here."""

    def build() -> None:
        subprocess.run(["npm", "run", "build"], check=True, cwd=WEB)

    assert page_files.is_dir()
    assert node_modules.is_dir()
    once(tmp_path_factory, WEB / ".build.lock", build)
    return WEB / "dist"


@pytest.fixture(scope="session")
def address(dist: Path) -> Iterator[str]:
    """Where a plain web server has the page, in a folder of its own."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, directory=str(dist), **options)

        def translate_path(self, path: str) -> str:
            return super().translate_path(path.removeprefix("/some/folder"))

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/some/folder/"
        server.shutdown()


@contextlib.contextmanager
def browser(arguments: list[str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        found = playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield found
        finally:
            found.close()


SEEN = "localStorage.setItem('visited', 'yes')"  # no clip begins by itself


def opened(browser: Browser, address: str, script: str = SEEN, pixels: int = 1) -> Page:
    """The page in a profile of its own, which fails where its console tells an error.

    A point of the screen has ``pixels`` in height and width.
    """
    window: Any = {"width": 1280, "height": 800}
    page = browser.new_context(viewport=window, device_scale_factor=pixels).new_page()
    page.set_default_timeout(WAIT)
    page.add_init_script(script)
    page.on("console", lambda message: complain(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complain(error.message))
    page.goto(address)
    return page


complaints: list[str] = []


def complain(words: str) -> None:
    complaints.append(words)


@pytest.fixture(autouse=True)
def no_errors() -> Iterator[None]:
    complaints.clear()
    yield
    assert complaints == []


def ready(page: Page, part: str = "ready") -> Page:
    page.wait_for_selector(f"body[data-{part}]")
    return page


def told(page: Page, words: str) -> str:
    """Wait until the stage says something with these words."""
    page.wait_for_function(
        "words => document.querySelector('#status').textContent.includes(words)", arg=words
    )
    return page.locator("#status").inner_text()


def digits(page: Page) -> list[int]:
    found = page.locator("#drawings li").evaluate_all("all => all.map(each => each.dataset.digit)")
    return [int(digit) for digit in found]


def saved(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.evaluate("id => document.querySelector(id).click()", button)
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def in_view(page: Page) -> bool:
    """Whether button, word and drawings are all in the window."""
    found: bool = page.evaluate(
        "['#speak', '#word', '#drawings li:last-child'].every(id => {"
        "  const box = document.querySelector(id).getBoundingClientRect();"
        "  return box.width && box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth"
        "})"
    )
    return found
