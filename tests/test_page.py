"""The page in a real browser, and what it computes against Python."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from filelock import FileLock

import audiate
from audiate.audio import load_audio, save_wav, to_peak
from audiate.cli.demo import CLIPS_FOLDER
from audiate.datasets.sources import DIGIT_WORDS
from audiate.latents import read_latents
from audiate.models import InverseMapping, LatentFlow

if shutil.which("chromium") is None or shutil.which("npm") is None:
    pytest.skip("Chromium or npm is not installed: apt install chromium npm", True)

from playwright.sync_api import Browser, Page, sync_playwright

WEB = Path(__file__).parent.parent / "web"
CLIPS = sorted(
    CLIPS_FOLDER.glob("*.flac"), key=lambda clip: DIGIT_WORDS.index(clip.stem.split("-")[0])
)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
MICROPHONE = [*QUIET, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
DENIED = [*QUIET, "--use-fake-device-for-media-stream", "--deny-permission-prompts"]
WAIT = 90_000  # milliseconds; tests must not fail on a machine that is busy otherwise


@pytest.fixture(scope="session")
def dist(page_files: Path) -> Path:
    """The page, built from what is here."""
    with FileLock(WEB / ".build.lock", timeout=600):
        npm = ["npm", "--prefix", str(WEB)]
        if not (WEB / "node_modules" / "onnxruntime-web").is_dir():
            subprocess.run([*npm, "ci", "--no-audit", "--no-fund"], check=True, cwd=WEB)
        whole = [WEB / name for name in ("index.html", "vite.config.ts", "package-lock.json")]
        parts = (*whole, *(WEB / "src").iterdir(), *page_files.glob("*.onnx"))
        newest = max(path.stat().st_mtime for path in parts)
        built = WEB / "dist" / "index.html"
        if not built.exists() or built.stat().st_mtime < newest:
            subprocess.run([*npm, "run", "build"], check=True, cwd=WEB)
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


def opened(browser: Browser, address: str, script: str | None = None) -> Page:
    page = browser.new_context(viewport={"width": 1000, "height": 900}).new_page()
    page.set_default_timeout(WAIT)
    if script is not None:
        page.add_init_script(script)
    page.goto(address)
    return page


def ready(page: Page) -> Page:
    page.wait_for_selector("body[data-ready]")
    return page


def told(page: Page, words: str) -> str:
    """Wait until the page says something with these words."""
    page.wait_for_function(
        "words => document.querySelector('#status').textContent.includes(words)", arg=words
    )
    return page.locator("#status").inner_text()


def digits(page: Page) -> list[int]:
    found = page.locator("#drawings li").evaluate_all("all => all.map(each => each.dataset.digit)")
    return [int(digit) for digit in found]


def saved(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.click(button)
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


@torch.inference_mode()
def check_latents(page: Page, folder: Path) -> None:
    """Compare the page's latents with Python's, of the sound that the page has heard."""
    page.wait_for_selector("body[data-complete]")
    waveform, rate = load_audio(saved(page, "#save-heard", folder))
    assert rate == 16_000
    flow = LatentFlow.from_pretrained("flow-digits")
    condition = flow.latents(flow.hear(waveform, sample_rate=rate)[None])
    found = np.load(saved(page, "#save-condition", folder))
    np.testing.assert_allclose(found, condition.numpy(), atol=1e-3)

    page.click("#say")
    told(page, "Said again")
    encoder = InverseMapping.from_pretrained("specgan-digits-encoder")
    clip = to_peak(audiate.fit_length(waveform[None, None], 16_384))
    latent = read_latents(saved(page, "#save-latent", folder), 100)
    np.testing.assert_allclose(latent, encoder(clip).clamp(-1, 1).numpy(), atol=1e-3)
    again, _ = load_audio(saved(page, "#save-after", folder))
    generated = audiate.load("specgan-digits")(torch.from_numpy(latent))[0, 0]
    assert (again - generated).abs().mean() < 1e-3
    cells = page.locator("#scores td").all_inner_texts()
    assert len(cells) == 5
    assert 0 < float(cells[1]) < 1


def test_ten_digits_are_spoken_and_drawn(address: str, tmp_path: Path) -> None:
    spoken = tmp_path / "microphone.wav"
    right = 0
    with browser([*MICROPHONE, f"--use-file-for-fake-audio-capture={spoken}%noloop"]) as chromium:
        page = ready(opened(chromium, address))
        for digit, clip in enumerate(CLIPS):
            waveform, _ = load_audio(clip, 48_000)
            around = torch.zeros(24_000), torch.zeros(96_000)
            save_wav(spoken, torch.cat([around[0], waveform, around[1]]), 48_000)
            page.evaluate("document.querySelector('#status').textContent = ''")
            page.click("#speak")
            told(page, "read as")
            found = digits(page)
            assert len(found) == 8
            right += found.count(digit) >= 7
        assert right == 10
        check_latents(page, tmp_path)


def test_files_clips_and_sliders(address: str, tmp_path: Path) -> None:
    with browser(QUIET) as chromium:
        page = opened(chromium, address)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        ready(page)
        page.set_input_files("#file", CLIPS[3])
        told(page, "read as 3")
        page.focus("#clips button:nth-child(6)")
        page.keyboard.press("Enter")
        told(page, "read as 5")
        page.click("#more")
        assert "16 drawings" in told(page, "most of them read as 5")
        page.locator("#seed").fill("7")
        assert "8 drawings" in told(page, "and seed 7, most of them read as 5")
        assert len(digits(page)) == 8
        assert saved(page, "#save-drawings", tmp_path).read_bytes()[:4] == b"\x89PNG"
        check_latents(page, tmp_path)
        page.click("#play-walked")
        page.locator("#place").fill("50")
        page.click("#play-mapped")
        page.wait_for_function(_MAPPED, arg="nothing to hear here")  # in the middle of the prior
        page.locator("#across").fill("60")
        page.wait_for_function(_MAPPED, arg="sounds like")
        assert all(url.startswith((address, "blob:", "data:")) for url in asked)
        assert page.context.cookies() == []


_MAPPED = "words => document.querySelector('#mapped-digit').textContent.includes(words)"


def test_the_newest_request_decides(address: str) -> None:
    with browser(QUIET) as chromium:
        page = ready(opened(chromium, address))
        page.evaluate(
            "[...document.querySelectorAll('#clips button')].slice(0, 4).forEach(b => b.click())"
        )
        told(page, "read as 3")
        assert digits(page).count(3) >= 7
        page.click("#clips button:nth-child(4)")
        ends = page.locator("#from option")
        page.wait_for_function("() => document.querySelectorAll('#from option').length === 2")
        first, second = ends.all_inner_texts()
        assert second == f"{first}-2"  # those that were superseded are not offered
        told(page, "read as 3")


def test_nobody_is_shut_out(address: str) -> None:
    axe = WEB / "node_modules" / "axe-core" / "axe.min.js"
    with browser(QUIET) as chromium:
        page = ready(opened(chromium, address, axe.read_text(encoding="utf-8")))
        for width in (1000, 360):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if width == 1000:
                assert violations(page) == []
                page.click("#clips button:nth-child(2)")
                told(page, "read as 1")
                page.click("#clips button:nth-child(3)")
                told(page, "read as 2")
                page.wait_for_selector("body[data-complete]")
                page.click("#say")
                page.wait_for_selector("#scores td:nth-child(5)")
            assert violations(page) == []
        page.emulate_media(color_scheme="dark")
        assert violations(page) == []


def violations(page: Page) -> list[str]:
    found = page.evaluate("axe.run()")["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]


def test_what_goes_wrong_is_told_and_the_page_goes_on(address: str, tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000)
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    soundfile.write(tmp_path / "long.wav", np.tile(noise, 300), 16_000)
    soundfile.write(tmp_path / "short.wav", noise[:100], 16_000)
    (tmp_path / "text.wav").write_text("seven")
    (tmp_path / "empty.wav").touch()
    said = {
        "silence": "silence.wav is silent; record it again",
        "noise": "No word stands out in noise.wav",
        "long": "long.wav lasts 10 min, over 60 s",
        "short": "short.wav is too short",
        "text": "text.wav cannot be read as sound",
        "empty": "empty.wav cannot be read as sound",
    }
    with browser(DENIED) as chromium:
        page = ready(opened(chromium, address))
        for name, words in said.items():
            page.set_input_files("#file", tmp_path / f"{name}.wav")
            told(page, words)
        page.click("#speak")
        told(page, "The microphone was denied")
        page.click("#clips button:nth-child(9)")
        told(page, "read as 8")
        assert digits(page).count(8) >= 7


def test_without_webassembly_it_says_so(address: str) -> None:
    with browser(QUIET) as chromium:
        page = opened(chromium, address, "delete globalThis.WebAssembly")
        told(page, "This browser runs no WebAssembly")
        assert page.locator("#speak").is_disabled()


def test_the_page_is_small(dist: Path) -> None:
    sizes = {
        path.name: len(gzip.compress(path.read_bytes(), 6))
        for path in dist.rglob("*")
        if path.is_file()
    }
    later = ("encoder", "generator", "listener", "scores")
    first = sum(
        size
        for name, size in sizes.items()
        if not name.startswith(later) and not name.endswith(".wav")
    )
    assert first < 12e6
    assert sum(sizes.values()) < 45e6
