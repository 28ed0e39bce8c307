"""What visitors see of the page: pictures for people in build/screenshots, and checks of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pages import QUIET, browser, in_view, opened, ready, told
from pages import address as address
from pages import dist as dist
from pages import no_errors as no_errors
from PIL import Image
from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).parent.parent / "build" / "screenshots"
WINDOWS = {"desktop": (1280, 800), "phone": (390, 844), "zoomed": (640, 400)}  # to 200 %
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def test_screenshots(address: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with browser(QUIET) as chromium:
        page = ready(opened(chromium, f"{address}#clip=seven-rms", pixels=2))
        page.emulate_media(reduced_motion="reduce")
        told(page, "agree")
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for name, (width, height) in WINDOWS.items():
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(200)  # until it is drawn anew
                page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png")
                assert in_view(page), (name, scheme)
                check_looks(page, scheme)
        page.set_viewport_size({"width": 1280, "height": 800})
        page.click("summary")
        page.wait_for_selector("#pad figure")
        page.locator("#inside").screenshot(path=SCREENSHOTS / "inside-dark.png")
        map_of_words = pixels(page, "#pad")
        assert contrast(map_of_words) > 4.5
        assert (map_of_words > 0.2).mean() > 0.02  # thumbnails, on black


def check_looks(page: Page, scheme: str) -> None:
    """Words can be read, the paper is light or dark, and each drawing shows a stroke of its own."""
    for place in ("#lead", "#word", "#sure", "#speak span", "#redraw", "#clips-title"):
        assert contrast(pixels(page, place)) >= 4.5, (scheme, place)
    corner = pixels(page, "body")[:20, :20].mean()
    assert (corner > 0.8) if scheme == "light" else (corner < 0.05)
    tiles = [pixels(page, f"#drawings li:nth-child({at})") for at in range(1, 9)]
    for tile in tiles:
        paper = np.median(tile)
        inked = abs(tile - paper) > 0.3
        assert 0.03 < inked.mean() < 0.4
        assert not np.array_equal(tile, tiles[0]) or tile is tiles[0]
    ring = pixels(page, "#ring")
    middle = slice(int(0.2 * len(ring)), int(0.8 * len(ring)))  # the button
    ring[middle, middle] = corner
    assert 0.01 < (abs(ring - corner) > 0.1).mean() < 0.3


def pixels(page: Page, place: str) -> NDArray[np.float64]:
    """Luminance (height, width) in [0, 1] of a part of the page, as WCAG 2.2 defines it."""
    picture = Image.open(io.BytesIO(page.locator(place).first.screenshot())).convert("RGB")
    values = np.asarray(picture) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    luminance: NDArray[np.float64] = linear @ [0.2126, 0.7152, 0.0722]
    return luminance


def contrast(luminance: NDArray[np.float64]) -> float:
    """The ratio of the lightest to the darkest of a picture, as WCAG 2.2 defines it, 1 to 21."""
    return float((luminance.max() + 0.05) / (luminance.min() + 0.05))
