"""How often `audiate say` finds the digit in a picture, on made-up pictures of MNIST's digits.

    AUDIATE_DATA=data python -m benchmarks.pictures                # 200 test digits for each row
    AUDIATE_DATA=data python -m benchmarks.pictures --split train --seed 1    # to tune by

Printed digits are in the fonts that Matplotlib and Pillow bring along: with ``--split train``, in
the fonts that are installed as Liberation and Noto (Debian's fonts-liberation and fonts-noto-core).

LeNet-5 helps to find the digit, so a second reader judges, too: the vote of the five nearest of
10,000 train images by the vectors of `match-digits`, by which the image is said.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from audiate.data.digits import LabelledImages, load_mnist
from audiate.data.sources import data_root
from audiate.errors import InputError
from audiate.models.dual_encoder import DualEncoder
from audiate.models.hub import DEFAULT_DUAL_ENCODER
from audiate.models.lenet import find_every_digit, read_digits
from audiate.models.pretrained import load
from audiate.utils.reports import make_table, render

Levels = NDArray[np.float64]
Random = np.random.Generator
Table = Iterator[tuple[Image.Image, Tensor]]

_DEBIAN_FONTS = Path("/usr/share/fonts/truetype")
_NOTO = ("Sans", "Serif", "SansMono", "SansDisplay", "SerifDisplay", "Mono")
_MATPLOTLIB_FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    *("DejaVuSansMono-BoldOblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *("DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("STIXGeneralBolIta", "cmr10", "cmb10", "cmss10", "cmtt10"),
)


def ink_of(digit: Tensor, rng: Random) -> Levels:
    """A digit (28, 28) in bytes as ink in [0, 1], 80 to 200 pixels high and wide."""
    side = int(rng.integers(80, 200))
    return np.asarray(Image.fromarray(digit.numpy()).resize((side, side), 3), float) / 255


def page_of(ink: Levels, rng: Random, margin: int = 60) -> Levels:
    """Paper under uneven light with ink on it, in [0, 1], and up to ``margin`` pixels around it."""
    ink = np.pad(ink, rng.integers(0, margin + 1, (2, 2)))
    rows, columns = (np.linspace(0, 1, side) for side in ink.shape)
    light = 1 - rng.uniform(0, 0.2) * rows[:, None] - rng.uniform(0, 0.2) * columns
    return rng.uniform(0.75, 0.97) * light * (1 - rng.uniform(0.5, 0.95) * ink)


def finished(page: Levels, rng: Random) -> Image.Image:
    """A picture of levels, with the noise of a camera."""
    noisy = page + rng.normal(0, rng.uniform(0, 0.03), page.shape)
    return Image.fromarray((noisy.clip(0, 1) * 255).astype(np.uint8))


def plain(digit: Tensor, rng: Random) -> Image.Image:
    return finished(page_of(ink_of(digit, rng), rng), rng)


def light_on_dark(digit: Tensor, rng: Random) -> Image.Image:
    return finished(1 - page_of(ink_of(digit, rng), rng), rng)


def desk(digit: Tensor, rng: Random) -> Image.Image:
    """A note that is turned by up to 8 degrees, on a dark desk."""
    page = page_of(ink_of(digit, rng), rng)
    whole = np.pad(np.stack([page, np.ones_like(page)]), [(0, 0), *rng.integers(30, 90, (2, 2))])
    angle = rng.uniform(-8, 8)
    note, cover = (
        np.asarray(Image.fromarray(each).rotate(angle, Image.Resampling.BILINEAR)) for each in whole
    )
    return finished(note + (1 - cover) * rng.uniform(0.05, 0.35), rng)


def ruled(digit: Tensor, rng: Random, edges: int = 0) -> Image.Image:
    """A dark line along one or two edges, or more, at a distance of up to 3 pixels."""
    page = page_of(ink_of(digit, rng), rng)
    chosen = rng.permutation(4)[: edges or rng.integers(1, 3)]
    for edge in range(4):
        thick, away = int(rng.integers(2, 8)), int(rng.integers(0, 4))
        if edge in chosen:
            page = np.pad(page, ((thick + away, 0), (0, 0)), mode="edge")
            page[away : away + thick] = 0.2
        page = np.rot90(page)
    return finished(page, rng)


def frame(digit: Tensor, rng: Random) -> Image.Image:
    return ruled(digit, rng, 4)


def box(digit: Tensor, rng: Random) -> Image.Image:
    """A printed box around the digit, turned by up to 3 degrees."""
    ink, thick = np.pad(ink_of(digit, rng), 3), int(rng.integers(2, 7))
    lines = np.pad(np.zeros_like(ink), thick, constant_values=rng.uniform(0.6, 1))
    whole = np.pad(np.maximum(np.pad(ink, thick), lines), 12)
    turned = Image.fromarray(whole).rotate(rng.uniform(-3, 3), Image.Resampling.BILINEAR)
    return finished(page_of(np.asarray(turned), rng), rng)


def tight(digit: Tensor, rng: Random) -> Image.Image:
    """Cropped to the ink."""
    ink = ink_of(digit, rng)
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return finished(page_of(ink, rng, margin=0), rng)


def transparent(digit: Tensor, rng: Random, level: int) -> Image.Image:
    ink = np.pad(ink_of(digit, rng), rng.integers(0, 60, (2, 2)))
    opacity = Image.fromarray((255 * ink).astype(np.uint8))
    return Image.merge("LA", [Image.new("L", opacity.size, level), opacity])


def white_transparent(digit: Tensor, rng: Random) -> Image.Image:
    return transparent(digit, rng, int(rng.integers(235, 256)))


def dark_transparent(digit: Tensor, rng: Random) -> Image.Image:
    return transparent(digit, rng, int(rng.integers(0, 60)))


def array(digit: Tensor, _: Random) -> Image.Image:
    return Image.fromarray(digit.numpy())


def dithered(digit: Tensor, rng: Random) -> Image.Image:
    return plain(digit, rng).convert("1")


def empty(_digit: Tensor, rng: Random) -> Image.Image:
    """A cell of a sudoku without a digit: lines at its edges, specks, and faint print."""
    ink = np.zeros([int(side) for side in rng.integers(40, 200, 2)])
    drawn = Image.fromarray(ink)
    for _speck in range(int(rng.integers(0, 6))):
        row, column = (int(rng.integers(side)) for side in ink.shape)
        radius = rng.uniform(0.3, 0.03 * min(ink.shape))
        ImageDraw.Draw(drawn).circle((column, row), radius, rng.uniform(0.3, 1))
    for _word in range(int(rng.integers(0, 3))):
        row, column = (int(rng.integers(side)) for side in ink.shape)
        ImageDraw.Draw(drawn).text((column, row), "print"[: rng.integers(1, 6)], 0.1)
    page = page_of(np.asarray(drawn), rng, margin=0)
    for _edge in range(4):
        thick = int(rng.integers(0, 8)) * int(rng.integers(0, 2))
        page = np.rot90(np.pad(page, ((thick, 0), (0, 0)), constant_values=0.2))
    return finished(page, rng)


def two(digits: Tensor, rng: Random) -> Image.Image:
    """Two digits side by side, as in 10 and 12."""
    inks = [ink_of(each, rng) for each in digits]
    inks = [np.asarray(Image.fromarray(each).resize((120, 120))) for each in inks]
    trimmed = [each[:, (each > 0.2).any(0)] for each in inks]
    gap = np.zeros((120, int(rng.integers(6, 40))))
    return finished(page_of(np.hstack([trimmed[0], gap, trimmed[1]]), rng), rng)


def fonts_of(split: str) -> list[str | None]:
    """Font files of a split; None is Pillow's own font."""
    if split == "train":
        places = ("liberation/Liberation*", *(f"noto/Noto{name}-*" for name in _NOTO))
        found = (path for place in places for path in _DEBIAN_FONTS.glob(f"{place}.ttf"))
        return [*sorted(map(str, found))]
    own = Path(get_data_path()) / "fonts" / "ttf"
    return [None, *(str(own / f"{name}.ttf") for name in _MATPLOTLIB_FONTS)]


def printed(text: str, font: str | None, rng: Random) -> Image.Image:
    """Text as ink on paper, 24 to 159 pixels to the em."""
    size = int(rng.integers(24, 160))
    type_ = ImageFont.load_default(size) if font is None else ImageFont.truetype(font, size)
    left, top, right, bottom = (round(each) for each in type_.getbbox(text))
    ink = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(ink).text((1 - left, 1 - top), text, 255, type_)
    return finished(page_of(np.pad(np.asarray(ink, float) / 255, 4), rng), rng)


def printed_row(split: str, count: int, seed: int, lengths: tuple[int, int]) -> Table:
    """Printed numbers, each with its digits, in all fonts in turn."""
    fonts = fonts_of(split)
    for number in range(count if fonts else 0):
        rng = np.random.default_rng([seed, 99, *lengths, number])
        digits = rng.integers(0, 10, int(rng.integers(*lengths, endpoint=True)))
        text = "".join(map(str, digits))
        yield printed(text, fonts[number % len(fonts)], rng), torch.from_numpy(digits)


ROWS: dict[str, tuple[Callable[[Tensor, Random], Image.Image], float]] = {
    "ink on paper": (plain, 99),
    "light on dark": (light_on_dark, 99),
    "a note on a dark desk": (desk, 95),
    "a line at one or two edges": (ruled, 95),
    "a frame at the border": (frame, 95),
    "a printed box": (box, 95),
    "cropped to the ink": (tight, 98),
    "white ink on transparent ground": (white_transparent, 99),
    "dark ink on transparent ground": (dark_transparent, 99),
    "as in MNIST": (array, 99),
    "dithered to one bit": (dithered, 97),
}
REFUSED: dict[str, tuple[Callable[[Tensor, Random], Image.Image], float]] = {
    "empty cells": (empty, 95),
    "two digits": (two, 95),
}


def pictures_of(row: str, digits: LabelledImages, count: int, seed: int) -> Table:
    """Pictures of a row, each with its digits: one, or the two that are side by side."""
    make = (ROWS | REFUSED)[row][0]
    width = 2 if make is two else 1
    for number in range(count):
        rng = np.random.default_rng([seed, [*ROWS, *REFUSED].index(row), number])
        chosen = torch.from_numpy(rng.choice(len(digits.images), width))
        images = digits.images[chosen]
        yield make(images if width > 1 else images[0], rng), digits.labels[chosen]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--split", choices=["train", "test"], default="test")
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    split: Literal["train", "test"] = settings.split
    digits, train = load_mnist(data_root(None), split), load_mnist(data_root(None), "train")
    known = train.images[-10_000:].float() / 255
    if split == "train":
        digits = LabelledImages(train.images[:-10_000], train.labels[:-10_000])
    matcher = load(DEFAULT_DUAL_ENCODER, DualEncoder)
    vectors = torch.cat([matcher.embed_images(part) for part in torch.split(known, 500)])

    def nearest(images: Tensor) -> Tensor:
        near = (matcher.embed_images(images) @ vectors.T).topk(5).indices
        return train.labels[near - 10_000].mode(1).values

    table = make_table(
        f"{settings.count} pictures of MNIST {split} digits for each row, in %",
        *("picture", "target", "LeNet-5", "nearest images", "refused"),
    )
    for row, (_, target) in (ROWS | REFUSED).items():
        pictures = pictures_of(row, digits, settings.count, settings.seed)
        table.add_row(*row_of(row, target, pictures, settings.count, nearest))
    for row, lengths in (("printed digits", (1, 1)), ("printed numbers", (2, 3))):
        pictures = printed_row(split, settings.count, settings.seed, lengths)
        table.add_row(*row_of(row, 95, pictures, settings.count, nearest))
    print(render(table))


def row_of(
    row: str, target: float, pictures: Table, count: int, nearest: Callable[[Tensor], Tensor]
) -> list[str]:
    """The cells of a row: read by LeNet-5 and by the nearest images, and refused without --all."""
    right, alike, refused = 0, 0, 0
    for picture, labels in pictures:
        try:
            seen = find_every_digit(picture).images
        except InputError:
            refused += 1
            continue
        refused += len(seen) > 1
        right += read_digits(seen)[0] == tuple(labels.tolist())
        alike += tuple(nearest(seen).tolist()) == tuple(labels.tolist())
    shown = [f"{100 * each / count:.1f}" for each in (right, alike, refused)]
    wanted = f"{target:g}"
    if row in REFUSED:
        wanted += " refused"
    if row == "empty cells":
        shown[:2] = "", ""
    return [row, wanted, *shown]


if __name__ == "__main__":
    main()
