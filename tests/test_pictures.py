"""Pictures, read back with Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from audiate.errors import InputError
from audiate.utils.plots import (
    Axes,
    PanelRow,
    grid,
    heat_map,
    image_panel,
    save_image,
    save_panels,
    side_by_side,
    sound_panel,
    ticks,
    tiles,
)


def test_colour_stays_in_files_and_panels(tmp_path: Path) -> None:
    images = torch.rand(3, 3, 28, 28)
    save_image(grid(images, 2), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        written = torch.from_numpy(np.asarray(picture) / np.float32(255)).permute(2, 0, 1)
    assert written.shape == (3, 56, 56)
    torch.testing.assert_close(written[:, 28:, :28], images[2], atol=1 / 255, rtol=0)
    assert not written[:, 28:, 28:].any()
    assert image_panel(images).shape == (84, 3 * 84, 3)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (8000, [0, 2000, 4000, 6000, 8000]),
        (22_050, [0, 10_000, 20_000]),
        (1.024, [0, 0.5, 1]),
        (0.3, [0, 0.1, 0.2, 0.3]),
        (1e-3, [0, 5e-4, 1e-3]),
    ],
)
def test_ticks_are_round_numbers(end: float, expected: list[float]) -> None:
    assert ticks(end) == pytest.approx(expected)


def test_spectrograms_have_axes_and_captions() -> None:
    titles, axes = ["sound 000, code 5", "sound 001", "sound 002"], Axes(1.024, 8000)
    sheet = np.asarray(tiles(torch.zeros(3, 129, 128), titles, axes, columns=2).convert("L"))
    floor = sheet[24 : 24 + 129, 42 : 42 + 128]
    assert floor.max() == floor.min()  # nothing is written on the sound
    assert sheet[24 : 24 + 129, :41].max() > 200  # frequencies
    assert sheet[-18:, 42 : 42 + 128].max() > 200  # seconds below the last of each column
    assert sheet[24 + 130 : 24 + 145, 190:].max() > 200
    panel = sound_panel(torch.zeros(129, 128), hertz=(0, 8000), seconds=1.0)
    assert (panel[:20, :40].max(), panel[20:60].max(), panel[-15:, 50:].max()) > (200, 10, 200)


def test_side_by_side_keeps_each_image() -> None:
    images = torch.rand(3, 28, 28)
    strip = side_by_side(images)
    assert strip.shape == (28, 84)
    assert torch.equal(strip[:, 28:56], images[1])


def test_grid_fills_the_last_row_with_black() -> None:
    picture = grid(torch.ones(5, 4, 4), columns=3)
    assert picture.shape == (8, 12)
    assert picture[4:, 8:].sum() == 0
    assert picture.sum() == 5 * 16


@pytest.mark.parametrize("scale", [1, 3])
def test_saved_pixels_are_the_tensors(tmp_path: Path, scale: int) -> None:
    picture = torch.rand(28, 56)
    save_image(picture, tmp_path / "deep" / "x.png", scale=scale)
    image = Image.open(tmp_path / "deep" / "x.png")
    assert image.mode == "L"
    assert image.size == (56 * scale, 28 * scale)
    pixels = np.asarray(image)[::scale, ::scale] / 255
    np.testing.assert_allclose(pixels, picture.numpy(), atol=0.5 / 255 + 1e-6)


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"x\.png: cannot be written"):
        save_image(torch.zeros(2, 2), tmp_path / "file" / "x.png")


def test_heat_map_has_low_bands_below_and_grows_lighter() -> None:
    ramp = torch.linspace(0, 1, 48).unsqueeze(1).expand(48, 10)
    light = heat_map(ramp).astype(float).mean(2)
    assert (np.diff(light[::-1, 0]) >= 0).all()
    assert light[0, 0] > light[-1, 0] + 100


def test_sheet_has_a_row_for_each_clip(tmp_path: Path) -> None:
    panels = [sound_panel(torch.rand(48, 48), wide=2), image_panel(torch.ones(4, 28, 28))]
    rows = [PanelRow(f"{n}.wav", panels) for n in range(3)]
    save_panels(rows[:1], tmp_path / "one.png")
    save_panels(rows, tmp_path / "three.png")
    one, three = (Image.open(tmp_path / f"{name}.png") for name in ("one", "three"))
    assert three.width == one.width
    assert three.height > 2 * one.height
    white = (np.asarray(three).min(2) == 255).sum()
    assert white >= 3 * 4 * 84 * 84
