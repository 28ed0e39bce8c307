"""The page in a real browser, and what it computes against Python."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from conftest import once

import audiate
from audiate.audio.files import load_audio, save_wav, to_peak
from audiate.cli.demo import CLIPS_FOLDER
from audiate.data.latents import read_latents
from audiate.data.sources import DIGIT_WORDS
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import load
from audiate.models.speech_flow import SpeechFlow

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
def dist(page_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, built once from what is here."""

    def build() -> None:
        installed = WEB / "node_modules" / ".package-lock.json"
        lock = WEB / "package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], check=True, cwd=WEB)
        subprocess.run(["npm", "run", "build"], check=True, cwd=WEB)

    assert page_files.is_dir()
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
    condition = flow.latents(flow.preprocess(waveform, sample_rate=rate)[None])
    found = np.load(saved(page, "#save-condition", folder))
    np.testing.assert_allclose(found, condition.numpy(), atol=1e-3)

    page.click("#say")
    told(page, "Said again")
    flow_of_sound = load("speech-digits", SpeechFlow)
    clip = to_peak(audiate.fit_length(waveform[None, None], 16_384))
    latent = read_latents(saved(page, "#save-latent", folder), flow_of_sound.latent_dim)
    # A frame that may be voiced or not is taken either way, by a rounding.
    assert (flow_of_sound.recover(clip) - torch.from_numpy(latent)).abs().median() < 1e-3
    again, _ = load_audio(saved(page, "#save-after", folder))
    generated = flow_of_sound(torch.from_numpy(latent))[0, 0]
    assert (again - generated).abs().mean() < 1e-3
    page.wait_for_selector("#scores tr:nth-child(4)")
    error, _, similarity, *_ = page.locator("#scores td").all_inner_texts()
    assert 0 < float(error) < 1
    assert 0 < float(similarity) < 1


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
        assert "8 drawings with guidance 1.5 and seed 0" in told(page, "read as 3")
        shutil.copy(CLIPS[2], tmp_path / ".two")
        page.set_input_files("#file", tmp_path / ".two")
        told(page, "read as 2")
        assert page.locator("#heard-name").inner_text() == ".two"
        page.focus("#clips button:nth-child(6)")
        page.keyboard.press("Enter")
        told(page, "read as 5")
        page.evaluate("for (const _ of [1, 2]) document.querySelector('#more').click()")
        assert "of them read as 5" in told(page, "24 drawings")
        assert len(digits(page)) == 24
        page.locator("#seed").fill("7")
        assert "of them read as 5" in told(page, "8 drawings with guidance 1.5 and seed 7")
        assert len(digits(page)) == 8
        assert saved(page, "#save-drawings", tmp_path).read_bytes()[:4] == b"\x89PNG"
        check_latents(page, tmp_path)
        assert all(url.startswith((address, "blob:", "data:")) for url in asked)
        assert page.context.cookies() == []


_COUNT_PLAYED = """
  globalThis.played = 0;
  const { start } = AudioBufferSourceNode.prototype;
  AudioBufferSourceNode.prototype.start = function () { globalThis.played++; start.call(this); };
"""


def test_walk_and_map_are_heard_and_read(address: str) -> None:
    def heard(page: Page, button: str, place: str) -> str:
        """Press a button that plays a place; returns what is told of the place."""
        before = page.evaluate("played")
        page.click(button)
        page.wait_for_function("before => played > before", arg=before)
        page.wait_for_function("id => document.querySelector(id).textContent", arg=place)
        return page.locator(place).inner_text()

    with browser(QUIET) as chromium:
        page = ready(opened(chromium, address, _COUNT_PLAYED))
        for number, digit in ((8, 7), (3, 2)):
            page.click(f"#clips button:nth-child({number})")
            told(page, f"read as {digit}")
        assert heard(page, "#play-walked", "#walked-word") == "sounds like seven"
        page.locator("#place").fill("100")
        page.wait_for_function(_TOLD, arg=["#walked-word", "two"])
        page.select_option("#to", label="seven-rms")
        page.wait_for_function(_TOLD, arg=["#walked-word", "seven"])

        assert heard(page, "#play-mapped", "#mapped-word")
        page.locator("#across").fill("60")
        page.wait_for_function(_TOLD, arg=["#mapped-word", "sounds like"])
        box = page.locator("#pad").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
        assert abs(int(page.locator("#across").input_value()) + 50) < 2
        assert abs(int(page.locator("#up").input_value()) - 50) < 2


_TOLD = "([id, words]) => document.querySelector(id).textContent.includes(words)"

_KEEP_STATUS = """
  globalThis.told = [];
  new MutationObserver(() => told.push(document.querySelector('#status').textContent))
    .observe(document.querySelector('#status'), { childList: true });
"""


_OPEN_TEXT = """
  const opened = new DataTransfer();
  opened.items.add(new File(['seven'], 'text.wav'));
  document.querySelector('#file').files = opened.files;
  document.querySelector('#file').dispatchEvent(new Event('change'));
"""


def test_the_newest_request_decides(address: str, tmp_path: Path) -> None:
    with browser(QUIET) as chromium:
        page = ready(opened(chromium, address))
        page.evaluate(_KEEP_STATUS)
        click = "[...document.querySelectorAll('#clips button')].slice({}).forEach(b => b.click())"
        page.evaluate(click.format("0, 4"))
        told(page, "read as 3")
        page.evaluate("document.querySelector('#status').textContent = ''")
        page.evaluate(click.format("3, 4"))
        page.wait_for_function("() => document.querySelectorAll('#from option').length === 2")
        first, second = page.locator("#from option").all_inner_texts()
        assert second == f"{first}-2"  # those that were superseded are not offered
        told(page, "read as 3")
        assert saved(page, "#save-heard", tmp_path).name == f"{second}.wav"

        page.wait_for_selector("body[data-complete]")
        page.evaluate("for (const id of ['more', 'say']) document.getElementById(id).click()")
        page.evaluate(click.format("4, 5"))
        told(page, "read as 4")
        page.evaluate(_OPEN_TEXT + click.format("5, 6"))  # the file fails after the next request
        told(page, "read as 5")
        page.wait_for_timeout(1000)
        statuses = [each for each in page.evaluate("told") if each and "being read" not in each]
        # One may be told twice, but none after a newer one.
        told_of = [each for each, _ in groupby(status[-10:] for status in statuses)]
        assert told_of == [f"read as {digit}." for digit in (3, 4, 5)]


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
                page.wait_for_selector("#scores tr:nth-child(4)")
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
    soundfile.write(tmp_path / "broken.wav", np.full(16_000, np.nan), 16_000, "FLOAT")
    soundfile.write(tmp_path / "doubles.wav", noise, 16_000, "DOUBLE")
    (tmp_path / "text.wav").write_text("seven")
    (tmp_path / "empty.wav").touch()
    said = {
        "silence": "silence.wav is silent; record it again",
        "noise": "No word stands out in noise.wav",
        "long": "long.wav lasts 10 min, over 60 s",
        "short": "short.wav is too short",
        "broken": "broken.wav has samples that are no numbers",
        "doubles": "doubles.wav cannot be read as sound; convert it to flac, mp3, ogg, or a wav",
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
