"""The page in a real browser, and what it computes against Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from pages import (
    CLIPS,
    MICROPHONE,
    QUIET,
    SEEN,
    WAIT,
    WEB,
    browser,
    complaints,
    digits,
    in_view,
    opened,
    ready,
    saved,
    told,
)
from pages import address as address
from pages import dist as dist
from pages import no_errors as no_errors
from PIL import Image
from playwright.sync_api import Page, Route

import audiate
from audiate.audio.files import load_audio, save_wav, to_peak
from audiate.data.latents import read_latents
from audiate.data.sources import DIGIT_WORDS
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import load
from audiate.models.speech_flow import SpeechFlow


@torch.inference_mode()
def check_latents(page: Page, folder: Path) -> None:
    """Compare the page's latents with Python's, of the sound that the page has heard."""
    ready(page, "complete")
    waveform, rate = load_audio(saved(page, "#save-heard", folder))
    assert rate == 16_000
    flow = LatentFlow.from_pretrained("flow-digits")
    condition = flow.latents(flow.preprocess(waveform, sample_rate=rate)[None])
    found = np.load(saved(page, "#save-condition", folder))
    np.testing.assert_allclose(found, condition.numpy(), atol=1e-3)

    page.evaluate("document.querySelector('#say').click()")
    page.wait_for_selector("#scores tr:nth-child(4)", state="attached")
    flow_of_sound = load("speech-digits", SpeechFlow)
    clip = to_peak(audiate.fit_length(waveform[None, None], 16_384))
    latent = read_latents(saved(page, "#save-latent", folder), flow_of_sound.latent_dim)
    # A frame that may be voiced or not is taken either way, by a rounding.
    assert (flow_of_sound.recover(clip) - torch.from_numpy(latent)).abs().median() < 1e-3
    again, _ = load_audio(saved(page, "#save-after", folder))
    generated = flow_of_sound(torch.from_numpy(latent))[0, 0]
    assert (again - generated).abs().mean() < 1e-3
    error, _, similarity, *_ = page.locator("#scores td").all_text_contents()
    assert 0 < float(error) < 1
    assert 0 < float(similarity) < 1


LOUDEST = """
  globalThis.loudest = 0;
  const level = document.querySelector("#level");
  new MutationObserver(() => loudest = Math.max(loudest, level.ariaValueNow))
    .observe(level, { attributes: true });
"""
NO_SOUND = """
  globalThis.AudioContext = class extends AudioContext {
    constructor() { super(); this.suspend(); }
    resume() { return Promise.resolve(); }
  };
"""
NO_WORKLET = "delete BaseAudioContext.prototype.audioWorklet"
DENIED = """
  MediaDevices.prototype.getUserMedia =
    () => Promise.reject(new DOMException("", "NotAllowedError"));
"""


def answered(page: Page) -> str:
    """What the page says of the sound that it hears, which is spoken again where it is refused."""
    for _ in range(6):  # on a busy machine, the browser loses parts of the sound
        page.wait_for_function(
            "() => document.body.dataset.stage === 'idle'"
            " || document.body.classList.contains('refused')"
            " || document.querySelector('#status').textContent.includes('agree')"
        )
        if "agree" in (said := page.locator("#status").inner_text()):
            break
        page.click("#speak")
    return said


def test_the_microphone(address: str, tmp_path: Path) -> None:
    spoken = tmp_path / "microphone.wav"
    noise = 0.2 * torch.randn(14_400, generator=torch.Generator().manual_seed(0))

    def speak(page: Page, clip: Path, before: torch.Tensor, gain: float = 1) -> str:
        waveform, _ = load_audio(clip, 48_000)
        parts = [torch.zeros(12_000), before, gain * waveform, torch.zeros(96_000)]
        save_wav(spoken, torch.cat(parts), 48_000)
        page.click("#speak")
        return answered(page)

    nothing = torch.zeros(0)
    with browser([*MICROPHONE, f"--use-file-for-fake-audio-capture={spoken}%noloop"]) as chromium:
        page = ready(opened(chromium, address), "complete")  # loading takes all cores
        for digit in (0, 4, 6, 9):
            assert f"You said\n{DIGIT_WORDS[digit]}" in speak(page, CLIPS[digit], nothing)
            assert digits(page).count(digit) >= 7
        # A burst of noise, and then quiet, is no word; faint speech is one, and shows.
        assert "seven" in speak(page, CLIPS[7], torch.cat([noise, torch.zeros(38_400)]))
        page.evaluate(LOUDEST)
        assert "three" in speak(page, CLIPS[3], nothing, gain=10 ** (-30 / 20))
        assert page.evaluate("loudest") > 10
        check_latents(page, tmp_path)
        for script, words in (
            (NO_SOUND, "The browser gives no sound"),
            (NO_WORKLET, "This browser cannot record here"),
            (DENIED, "The microphone is blocked"),
        ):
            page = opened(chromium, address, SEEN + ";" + script)
            page.click("#speak")
            told(page, words)


def test_an_early_click_is_kept(address: str, tmp_path: Path) -> None:
    spoken = tmp_path / "microphone.wav"
    waveform, _ = load_audio(CLIPS[7], 48_000)
    save_wav(spoken, torch.cat([waveform, torch.zeros(96_000)]), 48_000)
    with browser([*MICROPHONE, f"--use-file-for-fake-audio-capture={spoken}"]) as chromium:
        page = chromium.new_context().new_page()
        page.set_default_timeout(WAIT)
        waiting: list[Route] = []  # what the page is built from is on its way
        page.route("**/manifest.json", lambda route: waiting.append(route))
        page.goto(address)
        page.click("#speak")
        assert page.evaluate("document.body.dataset.stage") == "busy"
        assert "Opening the microphone" in page.locator("#status").inner_text()
        for each in waiting:
            each.continue_()
        assert "You said\nseven" in answered(page)  # and no clip began by itself


SHIFTS = """
  globalThis.shifts = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) shifts += each.value;
  }).observe({ type: "layout-shift", buffered: true });
"""


def test_the_first_visit(address: str, dist: Path) -> None:
    axe = WEB / "node_modules" / "axe-core" / "axe.min.js"
    with browser(QUIET) as chromium:
        page = opened(chromium, address, SHIFTS + axe.read_text(encoding="utf-8"))
        told(page, "8 of 8 drawings agree")
        for width, height in ((1280, 800), (390, 844), (640, 400)):
            page.set_viewport_size({"width": width, "height": height})
            assert in_view(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            small = page.evaluate(
                "[...document.querySelectorAll('button, a, summary, .file')].filter(each => {"
                "  const { width, height } = each.getBoundingClientRect();"
                "  return width && Math.min(width, height) < 44 }).map(each => each.outerHTML)"
            )
            assert small == []
        page.set_viewport_size({"width": 1280, "height": 800})
        ready(page, "complete")
        assert page.evaluate("shifts") <= 0.05
        page.emulate_media(reduced_motion="reduce")  # nothing is half visible
        assert violations(page) == []
        page.click("summary")
        page.click("#clips button:nth-child(3)")
        told(page, "two")
        page.emulate_media(color_scheme="dark")
        assert violations(page) == []

        page.evaluate("() => navigator.serviceWorker.ready")
        page.context.set_offline(True)
        page.goto(f"{address}#clip=six-awb&seed=3&guidance=2")
        page.reload()
        assert "six" in told(page, "agree")
        assert page.locator("#seed").input_value() == "3"
        page.context.set_offline(False)

        page.goto((dist / "index.html").as_uri())
        assert "python3 -m http.server" in page.locator("#served").inner_text()
        complaints.clear()  # of what files may not load


def violations(page: Page) -> list[str]:
    found = page.evaluate("axe.run()")["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]


def test_the_newest_request_decides(address: str, tmp_path: Path) -> None:
    with browser(QUIET) as chromium:
        page = ready(opened(chromium, address), "complete")
        page.click("summary")
        press = "number => document.querySelector(`#clips button:nth-child(${number})`).click()"
        page.evaluate(press, 1)
        told(page, "zero")
        began = page.evaluate(
            "async () => { let stages = []; for (let at = 1; at <= 10; at++) {"
            "  document.querySelector(`#clips button:nth-child(${at})`).click();"
            "  stages.push(document.body.dataset.stage);"
            "  await new Promise(done => setTimeout(done, 150)) } return stages }"
        )
        assert set(began) == {"busy"}
        told(page, "nine")
        for number, button in enumerate(["#redraw", "#say", "#play-walked", "#speak"] * 7):
            page.evaluate(press, number % 10 + 1)
            page.evaluate("id => document.querySelector(id).click()", button)
        page.evaluate(press, 6)
        assert "five" in told(page, "agree")
        page.wait_for_timeout(1000)
        assert "five" in page.locator("#status").inner_text()
        assert digits(page).count(5) >= 7
        assert saved(page, "#save-heard", tmp_path).name == "five-british.wav"
        picture = np.asarray(Image.open(saved(page, "#save-drawings", tmp_path)))
        assert picture.shape == (112, 896)
        assert 0.05 < (picture > 128).mean() < 0.4
        ends = page.locator("#from option").all_text_contents()
        assert len(set(ends)) == len(ends) <= 10
        check_latents(page, tmp_path)

        page.select_option("#from", label="five-british")
        page.select_option("#to", label="zero-slt")
        page.locator("#place").fill("100")
        page.wait_for_function(_TOLD, arg=["#walked-word", "zero"])
        check_map(page)


def check_map(page: Page) -> None:
    """Each word is somewhere on the map, is heard there, and the own voice lies where it is."""
    pad = page.locator("#pad")
    words = pad.locator("figcaption").all_text_contents()
    assert len(words) == 25
    assert set(words) == set(DIGIT_WORDS)
    across, down = map(float, str(pad.get_attribute("data-voice")).split())
    assert words[5 * int(5 * down) + int(5 * across)] == page.locator("#word").inner_text()

    entries, ends = page.evaluate("history.length"), page.locator("#from option").count()
    page.evaluate(
        "globalThis.plays = 0; const start = AudioBufferSourceNode.prototype.start;"
        "AudioBufferSourceNode.prototype.start = function () { plays++; start.call(this) };"
        "null"
    )
    pad.scroll_into_view_if_needed()
    for word in ("four", "nine"):
        row, column = divmod(words.index(word), 5)
        box = pad.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(
            box["x"] + (column + 0.5) / 5 * box["width"],
            box["y"] + (row + 0.5) / 5 * box["height"],
            steps=8,
        )
        heard = page.evaluate("plays")
        page.mouse.up()
        page.wait_for_function("before => plays === before + 1", arg=heard)  # when let go
        page.wait_for_function(_TOLD, arg=["#mapped-word", f"sounds like {word}"])
    assert page.evaluate("plays") == 2
    assert page.evaluate("history.length") == entries
    assert page.locator("#from option").count() == ends


_TOLD = "([id, words]) => document.querySelector(id).textContent.includes(words)"


def test_what_is_written_is_said(address: str, tmp_path: Path) -> None:
    with browser(QUIET) as chromium:
        page = ready(opened(chromium, address))
        page.click("#mode-write")
        box = page.locator("#sketch").bounding_box()
        assert box is not None
        for at, (x, y) in enumerate(((0.3, 0.2), (0.7, 0.2), (0.45, 0.8))):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
            if at == 0:
                page.mouse.down()
        page.mouse.up()
        assert "You wrote\nseven" in told(page, "eight voices")
        judge = audiate.load("digits-resnet18")
        for voice in (1, 5):
            page.click(f"#drawings li:nth-child({voice}) button")
            waveform, _ = load_audio(saved(page, "#save-heard", tmp_path))
            assert judge(waveform[None]).argmax() == 7


def test_what_goes_wrong_is_told_and_the_page_goes_on(address: str, tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000)
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000)
    soundfile.write(tmp_path / "long.wav", np.tile(noise, 300), 16_000)
    soundfile.write(tmp_path / "short.wav", noise[:100], 16_000)
    soundfile.write(tmp_path / "broken.wav", np.full(16_000, np.nan), 16_000, "FLOAT")
    soundfile.write(tmp_path / "doubles.wav", noise, 16_000, "DOUBLE")
    soundfile.write(tmp_path / "sound.aiff", noise, 16_000)
    time = np.arange(16_000) / 16_000
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (262, 330, 392))
    soundfile.write(tmp_path / "chord.wav", 0.2 * chord * np.sin(np.pi * time) ** 2, 16_000)
    (tmp_path / "text.wav").write_text("seven")
    Image.new("L", (28, 28)).save(tmp_path / "seven.png")
    said = {
        "silence.wav": "silence.wav is silent. Record it again",
        "noise.wav": "No word stands out in noise.wav",
        "long.wav": "long.wav lasts 10 min, over 60 s",
        "short.wav": "short.wav is too short",
        "broken.wav": "broken.wav has samples that are no numbers",
        "doubles.wav": "This browser cannot read doubles.wav. Convert it to",
        "sound.aiff": "This browser cannot read sound.aiff. Convert it to",
        "text.wav": "This browser cannot read text.wav. Convert it to",
        "seven.png": "seven.png is a picture, not a sound",
        "chord.wav": "I did not hear a digit",
    }
    with browser(QUIET) as chromium:
        page = ready(opened(chromium, address))
        for name, words in said.items():
            page.set_input_files("#file", tmp_path / name)
            told(page, words)
        page.set_input_files("#file", CLIPS[8])
        assert "eight" in told(page, "agree")
        assert digits(page).count(8) >= 7
        page = opened(chromium, address, "delete globalThis.WebAssembly")
        told(page, "This browser cannot run the models")
        assert page.locator("#speak").is_disabled()


def test_the_page_is_small(dist: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in dist.rglob("*") if path.is_file()}
    later = ("encoder", "generator", "listener", "map", "sayer", "scores", "voice")
    first = sum(size for name, size in sizes.items() if not name.startswith(later))
    assert first < 9e6
    assert sum(sizes.values()) <= 32e6
    assert not any(name.endswith(".mjs") for name in sizes)
