"""Read picture files as grey levels, and find the digit in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import scipy  # whose parts are imported on first use
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from audiate.errors import InputError

MAX_PIXELS = 2**26
"""Limit of a picture's pixels: 8,192 x 8,192."""

MIN_CONTRAST = 0.08
"""Difference of grey levels, of 1 in all, below which nothing stands out in a picture."""

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jfif",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".pgm",
    ".ppm",
)
"""Endings of the names of picture files."""

Picture = Tensor | NDArray[np.generic] | Image.Image
"""A picture: a `PIL.Image.Image`; or levels (height, width), or (height, width, channels) with 3
channels for colour and 4 with opacity: bytes, or floats in [0, 1]."""

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_SIZE, _BOX = 28, 20  # of MNIST's images, and of the box that the digit fills there
_LONGEST = (
    320  # pixels of the longer side to which a picture is reduced before a digit is looked for
)
_STROKE = 1 / 3  # of the shorter side: what is wider than this is background
_STROKE_WIDTH = 2.4  # pixels of 28 that a stroke is at least wide; thinner ones are made wider
_LEAST_PART = 0.05  # of the largest part's area: smaller parts are specks
_TOO_FULL = 0.6  # share of a picture that a digit does not fill

Grey = NDArray[np.float32]


def load_image(path: str | Path) -> Tensor:
    """Read a picture file: png, jpeg, gif, bmp, tiff, webp, pnm.

    Returns:
        Grey levels (height, width), float32 in [0, 1], turned upright as the camera says; what is
        transparent is white.

    Raises:
        InputError: The file is missing, unreadable, truncated or larger than `MAX_PIXELS`.

    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}; name a picture")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            _check_size(f"{path}: ", image.width * image.height)
            if image.format == "JPEG":  # decoded at less than its size where that is large
                image.draft("L", (4 * _LONGEST, 4 * _LONGEST))
            return torch.from_numpy(_to_grey(image))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).split(" '")[0].rstrip(". ")
        raise InputError(
            f"{path}: cannot be read as a picture ({reason}); convert it to png or jpeg"
        ) from error


def find_digit(picture: Picture) -> Tensor:
    """Find the one digit in a picture, and centre it as MNIST does.

    The picture's border decides whether the ground is light or dark. Uneven light is removed (white
    top-hat: Gonzalez and Woods, Digital Image Processing), the digit is separated from the ground
    by the threshold of Otsu 1979, and specks are left out. The digit is scaled to a box of
    20x20 pixels, thin strokes are made wider, and its centre of mass is put into the middle of
    28x28 (LeCun et al. 1998, section III A).

    Args:
        picture: One digit, dark on light or light on dark, of any size.

    Returns:
        (28, 28), float32 in [0, 1], white on black.

    Raises:
        InputError: Nothing stands out in the picture, or it is none or too large.

    """
    grey = grey_levels(picture)
    if (longest := max(grey.shape)) > _LONGEST:
        grey = _scaled(grey, _LONGEST, longest)
    ink = _ink_of(grey)
    mask = _strokes(ink)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    scale = _BOX / max(bottom - top, right - left)
    wider = _widening(mask, scale)
    around = wider + 1
    ink = np.pad(np.where(scipy.ndimage.binary_dilation(mask, iterations=2), ink, 0), around)
    if wider > 0:
        ink = scipy.ndimage.grey_dilation(ink, footprint=_disc(wider))
    small = _scaled(ink[top : bottom + 2 * around, left : right + 2 * around], scale)
    small = small / max(float(np.quantile(small[small > 0.1 * small.max()], 0.8)), 1e-6)
    return torch.from_numpy(_centred(small.clip(0, 1)))


def see_picture(picture: Picture, kind: Literal["digits", "whole"]) -> Tensor:
    """Bring a picture to the image (28, 28) in [0, 1] that a network takes.

    Args:
        picture: The picture.
        kind: ``digits``: by `find_digit`. ``whole``: by `shrink`.

    Raises:
        InputError: As for these functions.

    """
    return find_digit(picture) if kind == "digits" else shrink(picture)


def shrink(picture: Picture) -> Tensor:
    """Scale a whole picture to 28x28, and keep its proportions.

    Returns:
        (28, 28), float32 in [0, 1], with light and dark as in the picture; the margins of a picture
        that is not square have the level of its border.

    Raises:
        InputError: It is no picture, or too large.

    """
    grey = grey_levels(picture)
    border = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    small = _scaled(grey, _SIZE, max(grey.shape))
    canvas = np.full((_SIZE, _SIZE), border, dtype=np.float32)
    top, left = ((_SIZE - side) // 2 for side in small.shape)
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return torch.from_numpy(canvas.clip(0, 1))


def grey_levels(picture: Picture) -> Grey:
    """Grey levels (height, width) in [0, 1] of a picture.

    Raises:
        InputError: It is no picture, too large, or holds NaN.

    """
    if isinstance(picture, Image.Image):
        _check_size("the picture: ", picture.width * picture.height)
        return _to_grey(picture)
    array = picture.detach().cpu().numpy() if isinstance(picture, Tensor) else np.asarray(picture)
    if array.ndim not in (2, 3) or 0 in array.shape or array.shape[2:] not in ((), (3,), (4,)):
        raise InputError(
            f"picture of shape {array.shape}: give levels (height, width), or (height, width, 3)"
        )
    _check_size("the picture: ", array.shape[0] * array.shape[1])
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / 255
    elif not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"picture of {array.dtype}: give bytes, or floats in [0, 1]")
    levels = array.astype(np.float32)
    if not np.isfinite(levels).all():
        raise InputError("the picture holds NaN or infinite levels; export it again")
    if levels.ndim == 3:
        return _to_grey(Image.fromarray((levels.clip(0, 1) * 255).round().astype(np.uint8)))
    return levels.clip(0, 1)


def otsu_threshold(levels: NDArray[np.floating]) -> float:
    """The threshold that divides levels into two classes that differ most (Otsu 1979).

    Args:
        levels: Any shape; not all the same.

    """
    counts, edges = np.histogram(levels, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
    between = np.where((below > 0) & (above > 0), below * above * apart**2, 0.0)
    return float(centres[int(between.argmax())])


def _to_grey(image: Image.Image) -> Grey:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more: their range is used
        deep = np.asarray(image, dtype=np.float32)
        low, high = float(deep.min()), float(deep.max())
        scaled: Grey = ((deep - low) / max(high - low, 1e-6)).astype(np.float32)
        return scaled
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    levels: Grey = np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)
    return levels


def _check_size(what: str, pixels: int) -> None:
    if pixels > MAX_PIXELS:
        raise InputError(f"{what}{pixels:,} pixels, and at most {MAX_PIXELS:,}; make it smaller")


def _scaled(levels: Grey, factor: float, divisor: int = 1) -> Grey:
    """Scale levels by ``factor / divisor``, to at least one pixel on each side."""
    high, wide = (max(round(side * factor / divisor), 1) for side in levels.shape)
    image = Image.fromarray(levels.astype(np.float32))
    return np.asarray(image.resize((wide, high), Image.Resampling.HAMMING))


def _ink_of(grey: Grey) -> Grey:
    """Levels (height, width) above those of the ground, at least 0, on light and dark ground."""
    contrast = float(grey.max() - grey.min())
    if contrast < MIN_CONTRAST:
        raise InputError(
            "the picture is blank: nothing stands out; give one digit, dark on light or light on "
            "dark"
        )
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if float(np.median(border)) > otsu_threshold(grey):
        grey = 1 - grey
    window = max(int(min(grey.shape) * _STROKE) | 1, 3)
    padded = np.pad(grey, window, mode="edge")
    ink: Grey = scipy.ndimage.white_tophat(padded, size=window)[window:-window, window:-window]
    return ink


def _strokes(ink: Grey) -> NDArray[np.bool_]:
    """The pixels (height, width) of the digit: those above the threshold, without specks."""
    mask = ink > max(otsu_threshold(ink), MIN_CONTRAST / 2)
    parts, count = scipy.ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    if not count or areas.max() < 4 or mask.mean() > _TOO_FULL:
        raise InputError(
            "no digit stands out in the picture; give one digit that is written large, on an even "
            "ground"
        )
    edge = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    whole = np.setdiff1d(np.arange(1, count + 1), edge)
    if len(whole) and areas[whole - 1].max() > _LEAST_PART * areas.max():
        areas[edge[edge > 0] - 1] = 0  # shadows and rulings, which go on beyond the picture
    found: NDArray[np.bool_] = np.isin(
        parts, 1 + np.flatnonzero(areas >= _LEAST_PART * areas.max())
    )
    return found


def _widening(mask: NDArray[np.bool_], scale: float) -> int:
    """Pixels by which strokes are to be made wider on either side before they are scaled."""
    depth = scipy.ndimage.distance_transform_edt(np.pad(mask, 1))
    ridge = depth[(depth >= scipy.ndimage.maximum_filter(depth, 3)) & (depth > 0)]
    width = 2 * float(np.median(ridge)) - 1
    return max(int((_STROKE_WIDTH / scale - width) / 2), 0)


def _disc(radius: int) -> NDArray[np.bool_]:
    row, column = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    found: NDArray[np.bool_] = row**2 + column**2 <= (radius + 0.5) ** 2
    return found


def _centred(levels: Grey) -> Grey:
    """Levels, at most 28 high and wide, on black 28x28, their centre of mass in the middle."""
    levels = levels[:_SIZE, :_SIZE]
    canvas = np.zeros((_SIZE, _SIZE), dtype=np.float32)
    high, wide = levels.shape
    row, column = (
        min(max(round((_SIZE - 1) / 2 - centre), 0), _SIZE - side)
        for centre, side in zip(scipy.ndimage.center_of_mass(levels), levels.shape, strict=True)
    )
    canvas[row : row + high, column : column + wide] = levels
    return canvas
