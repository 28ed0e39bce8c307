"""Pictures in, and the digit that is found in them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.filters import threshold_otsu

from audiate.data import images
from audiate.data.digits import load_mnist
from audiate.data.folders import PICTURES, find_files
from audiate.data.images import grey_levels, load_image, otsu_threshold, shrink
from audiate.errors import InputError
from audiate.models.hub import WRITTEN_CLASSIFIER
from audiate.models.lenet import LeNet, find_digit, find_every_digit, read_digits
from audiate.models.pretrained import load
from benchmarks.pictures import REFUSED, ROWS, pictures_of, printed_row


def seven(size: int = 120, *, pen: int = 9) -> np.ndarray:
    """A seven in white on black, bytes."""
    picture = np.zeros((size, size), np.uint8)
    left, right, top, bottom = size // 4, 3 * size // 4, size // 5, 4 * size // 5
    picture[top : top + pen, left:right] = 255
    for row in range(top, bottom):
        column = right - pen - (row - top) * (right - left) // (2 * (bottom - top))
        picture[row, column : column + pen] = 255
    return picture


def zero(size: int = 120, *, pen: int = 9) -> np.ndarray:
    """A zero in white on black, bytes."""
    row, column = np.mgrid[:size, :size] / size - 0.5
    away = np.hypot(row, 1.4 * column)
    ring: np.ndarray = 255 * (abs(away - 0.3) < pen / size / 2).astype(np.uint8)
    return ring


def printed(text: str, size: int, ink: str = "black", ground: str = "white") -> Image.Image:
    """Text in Pillow's own font."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox(
        (0, 0), text, font
    )
    mode = "L" if (ink, ground) == ("black", "white") else "RGB"
    page = Image.new(mode, (int(right - left + size), int(bottom - top + size)), ground)
    place = (size / 2 - left, size / 2 - top)
    ImageDraw.Draw(page).multiline_text(place, text, ink, font)
    return page


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two images differ by about a shift by half a pixel at most, as reduction causes."""
    return (one - other).abs().mean().item() < 0.055


class TestFindDigit:
    def test_it_is_as_mnists_are(self) -> None:
        found = find_digit(seven())
        assert (found.shape, found.dtype) == ((28, 28), torch.float32)
        assert 0 <= found.min() <= found.max() == 1
        rows = (found > 0.2).any(1).nonzero()
        assert 19 <= int(rows[-1] - rows[0]) + 1 <= 23  # a box of 20, and the pen
        middle = ndimage.center_of_mass(found.numpy())
        assert middle == pytest.approx((13.5, 13.5), abs=0.6)

    def test_light_on_dark_is_dark_on_light(self) -> None:
        assert alike(find_digit(255 - seven()), find_digit(seven()))

    @settings(deadline=None, max_examples=8)
    @given(
        top=st.integers(0, 200),
        left=st.integers(0, 300),
        dark=st.booleans(),
        contrast=st.floats(0.3, 1),
    )
    def test_place_polarity_and_contrast_do_not_matter(
        self, top: int, left: int, dark: bool, contrast: float
    ) -> None:
        page = np.zeros((320, 420))
        page[top : top + 120, left : left + 120] = seven() / 255
        page = 0.5 + (contrast * (page - 0.5) if not dark else contrast * (0.5 - page))
        assert alike(find_digit(page), find_digit(seven()))

    def test_thin_pens_and_large_pictures(self) -> None:
        thin = find_digit(seven(600, pen=6))
        assert thin.sum() > 0.5 * find_digit(seven(600, pen=50)).sum()
        assert (find_digit(seven(1200, pen=90)) - find_digit(seven(120, pen=9))).abs().mean() < 0.05

    def test_light_that_falls_unevenly(self) -> None:
        rows, columns = np.mgrid[0:120, 0:120] / 120
        light = 0.9 - 0.35 * rows * columns
        noise = np.random.default_rng(0).normal(0, 0.02, (120, 120))
        assert alike(
            find_digit((light * (1 - 0.7 * seven() / 255) + noise).clip(0, 1)), find_digit(seven())
        )

    def test_specks_and_rulings_are_left_out(self) -> None:
        page = np.full((200, 200), 230, np.uint8)
        page[40:160, 40:160] -= (seven() * 0.7).astype(np.uint8)
        clean = find_digit(page)
        page[10:13, 10:13] = 60
        page[190:192, :] = 60
        assert alike(find_digit(page), clean)

    @pytest.mark.parametrize(
        ("picture", "complaint"),
        [
            (np.full((50, 50), 200, np.uint8), "is blank"),
            (np.zeros((28, 28)), "is blank"),
            (np.full((3, 50, 50), 0.5), "give levels"),
            (np.zeros((0, 5)), "give levels"),
            (np.full((9, 9), np.nan), "NaN"),
            (np.arange(81).reshape(9, 9), "give bytes, or floats"),
        ],
    )
    def test_what_is_no_picture_of_a_digit(self, picture: np.ndarray, complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            find_digit(picture)

    def test_several_digits_are_refused(self) -> None:
        with pytest.raises(InputError, match="holds 2 digits; cut it"):
            find_digit(np.hstack([seven(), seven()]))

    @pytest.mark.parametrize("size", [24, 80, 300])
    @pytest.mark.parametrize(
        "text", ["10", "12", "101", "17", "71", "3.5", "-5", "8:30", "12\n34", "1", "7"]
    )
    def test_printed_numbers_are_read_digit_by_digit(self, text: str, size: int) -> None:
        page = printed(text, size)
        digits = [int(each) for each in text if each.isdigit()]
        found = find_every_digit(page)
        assert list(read_digits(found.images)[0]) == digits
        assert found.others == {"3.5": 1, "-5": 1, "8:30": 2}.get(text, 0)
        if len(digits) > 1:
            with pytest.raises(InputError, match=f"holds {len(digits)} digits"):
                find_digit(page)

    def test_digits_at_the_edge_and_digits_that_touch(self) -> None:
        page = np.asarray(printed("723", 80))
        rows, columns = (np.flatnonzero((page < 128).any(axis)) for axis in (1, 0))
        edge = page[rows[0] - 20 : rows[-1] + 20, columns[0] : columns[-1] + 20]
        assert read_digits(find_every_digit(edge).images)[0] == (7, 2, 3)
        three, four = (255 - np.asarray(printed(each, 80), int)[:130] for each in "34")
        first, last = np.flatnonzero(three.any(0))[-1], np.flatnonzero(four.any(0))[0]
        both = np.zeros((len(four), three.shape[1] + four.shape[1]), int)
        both[: len(three), : three.shape[1]] = three
        both[:, first - last - 3 : first - last - 3 + four.shape[1]] += four
        found = find_every_digit((255 - both.clip(0, 255)).astype(np.uint8))
        assert read_digits(found.images)[0] == (3, 4)

    @pytest.mark.parametrize("gone", [10, 15, 20])
    def test_digits_that_the_edge_cuts_are_counted(self, gone: int) -> None:
        page = np.asarray(printed("7 2 3", 80))
        last = np.flatnonzero((page < 128).any(0))[-1]
        found = find_every_digit(page[:, : last + 1 - gone])
        assert read_digits(found.images)[0] == (7, 2)
        assert found.others == 1
        page = np.asarray(printed("72\n48", 80))
        last = np.flatnonzero((page < 128).any(1))[-1]
        found = find_every_digit(page[: last + 1 - gone])
        assert read_digits(found.images)[0] == (7, 2)
        assert found.others == 2

    @pytest.mark.parametrize("lengths", [(1, 1), (2, 3)])
    def test_made_up_pictures_of_print(self, lengths: tuple[int, int]) -> None:
        right = 0
        for page, labels in printed_row("test", 20, 1, lengths):
            with suppress(InputError):
                right += list(read_digits(find_every_digit(page).images)[0]) == labels.tolist()
        assert right >= 18

    def test_digits_on_paper_on_a_dark_desk(self) -> None:
        for text in ("12", "28\n91"):
            page = np.full((400, 400), 30, np.uint8)
            note = np.asarray(printed(text, 70))
            page[100 : 100 + len(note), 80 : 80 + note.shape[1]] = note
            turned = np.asarray(Image.fromarray(page).rotate(5, fillcolor=30))
            found = read_digits(find_every_digit(turned).images)[0]
            assert "".join(map(str, found)) == text.replace("\n", "")

    def test_a_wide_note_in_the_middle_of_a_desk_is_no_zero(self) -> None:
        page, note = Image.new("L", (500, 400), 40), Image.new("L", (260, 160), 235)
        font = ImageFont.load_default(size=70)
        ImageDraw.Draw(note).text((40, 40), "4 7 2", font=font, fill=25)
        page.paste(note.rotate(7, expand=True, fillcolor=40), (100, 90))
        assert read_digits(find_every_digit(page).images)[0] == (4, 7, 2)

    @pytest.mark.parametrize(
        ("ink", "ground"),
        [("red", "white"), ("lime", "white"), ("yellow", "white"), ("#f00", "#008200")],
    )
    def test_ink_of_any_colour(self, ink: str, ground: str, tmp_path: Path) -> None:
        for name in ("four.png", "four.jpg"):
            printed("4", 80, ink, ground).save(tmp_path / name)
            found = find_digit(load_image(tmp_path / name))
            assert read_digits(found[None])[0] == (4,)
            assert alike(found, find_digit(printed("4", 80)))

    @pytest.mark.parametrize("edges", [1, 4])
    def test_a_cell_with_lines_and_specks_alone(self, edges: int) -> None:
        cell = np.full((90, 100), 220, np.uint8)
        cell[:5], cell[30:33, 20:23], cell[70:74, 60:64] = 40, 90, 60
        if edges == 4:
            cell[-4:], cell[:, :3], cell[:, -6:] = 40, 40, 40
        with pytest.raises(InputError, match="no digit stands out"):
            find_digit(cell)

    @pytest.mark.parametrize("row", ROWS)
    def test_made_up_pictures_of_real_digits(self, row: str, real_data: Path) -> None:
        test, reader = load_mnist(real_data, "test"), load(WRITTEN_CLASSIFIER, LeNet)
        found, labels = [], []
        for picture, label in pictures_of(row, test, 6, seed=1):
            found.append(find_digit(picture))
            labels.append(label)
        with torch.inference_mode():
            assert (reader(torch.stack(found)).argmax(1) == torch.cat(labels)).sum() >= 5

    @pytest.mark.parametrize("row", REFUSED)
    def test_made_up_pictures_without_one_digit(self, row: str, real_data: Path) -> None:
        refused = 0
        for picture, _ in pictures_of(row, load_mnist(real_data, "test"), 6, seed=1):
            with suppress(InputError):
                find_digit(picture)
                continue
            refused += 1
        assert refused >= 5


def test_otsu_is_that_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    for levels in (rng.random(5000), np.r_[rng.normal(0.2, 0.05, 4000), rng.normal(0.8, 0.1, 900)]):
        assert otsu_threshold(levels) == pytest.approx(threshold_otsu(levels), abs=1e-6)  # type: ignore[no-untyped-call]


class TestLoadImage:
    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
    def test_any_mode(self, mode: str, tmp_path: Path) -> None:
        path = tmp_path / ("seven.tif" if mode in ("CMYK", "F") else "seven.png")
        grey = Image.fromarray(seven())
        if mode == "I;16":
            picture = Image.fromarray(seven().astype(np.uint16) * 257)
        else:
            picture = grey.convert("RGB").convert(mode) if mode == "CMYK" else grey.convert(mode)
        picture.save(path)
        assert alike(find_digit(load_image(path)), find_digit(seven()))

    @pytest.mark.parametrize("level", [0, 255])
    def test_opacity_is_ink_where_all_has_one_colour(self, level: int, tmp_path: Path) -> None:
        ink = np.full((120, 120, 4), level, np.uint8)  # ink, and nothing around it
        ink[..., 3] = seven()
        Image.fromarray(ink).save(tmp_path / "ink.png")
        levels = load_image(tmp_path / "ink.png")
        assert torch.allclose(levels, 1 - torch.from_numpy(seven()) / 255, atol=0.01)

    def test_what_is_transparent_is_white(self) -> None:
        page = np.zeros((2, 40, 4), np.uint8)
        page[:, 10:30] = [0, 0, 0, 255]
        page[:, 20:30, :3] = 128
        assert grey_levels(page)[0, ::10] == pytest.approx([1, 0, 128 / 255, 1])

    def test_the_camera_says_what_is_up(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by 90 degrees
        turned = Image.fromarray(seven()).transpose(Image.Transpose.ROTATE_90)
        turned.save(tmp_path / "turned.png", exif=exif)
        assert alike(find_digit(load_image(tmp_path / "turned.png")), find_digit(seven()))

    def test_endings_that_pictures_may_have(self, tmp_path: Path) -> None:
        Image.fromarray(seven()).save(tmp_path / "seven.jfif", format="JPEG")
        ((_, found),) = find_files([tmp_path], tmp_path / "out", PICTURES)
        assert alike(find_digit(load_image(found)), find_digit(seven()))

    def test_files_that_are_no_pictures(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "note.png").write_text("no picture")
        (tmp_path / "empty.png").touch()
        Image.fromarray(seven()).save(tmp_path / "whole.png")
        (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:80])
        for name in ("note.png", "empty.png", "half.png"):
            with pytest.raises(InputError, match=f"{name}: cannot be read as a picture"):
                load_image(tmp_path / name)
        with pytest.raises(InputError, match="no such file"):
            load_image(tmp_path / "missing.png")
        with pytest.raises(InputError, match="is a folder"):
            load_image(tmp_path)
        monkeypatch.setattr(images, "MAX_PIXELS", 10_000)
        with pytest.raises(InputError, match=r"whole.png: 14,400 pixels"):
            load_image(tmp_path / "whole.png")
        with pytest.raises(InputError, match="14,400 pixels"):
            grey_levels(seven())
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        with pytest.raises(InputError, match="cannot be read"):
            load_image(tmp_path / "whole.png")


def test_a_whole_picture_keeps_its_proportions() -> None:
    wide = np.zeros((20, 80), np.uint8)
    wide[:, 40:] = 255
    found = shrink(wide)
    assert found.shape == (28, 28)
    middle = found[11:17].mean(0)
    assert (middle[:13] < 0.1).all()
    assert (middle[15:] > 0.9).all()
    assert torch.equal(shrink(np.full((28, 28), 51, np.uint8)), torch.full((28, 28), 0.2))
