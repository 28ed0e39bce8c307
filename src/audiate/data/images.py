"""Read picture files as grey levels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
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
LONGEST = 320
"""Pixels of the longer side to which a picture is reduced before a digit is looked for."""
SIZE = 28
"""Height and width of MNIST's images."""

_COLOUR = 24  # difference of red, green and blue, of 255
_LEAST_LUMA = 0.4  # of the colours' spread: where lightness has less, colour tells more

Grey = NDArray[np.float32]


def load_image(path: str | Path, *, colour: bool = False) -> Tensor:
    """Read a picture file: png, jpeg, gif, bmp, tiff, webp, pnm.

    Args:
        path: The file.
        colour: Give levels of red, green and blue in place of grey.

    Returns:
        Grey levels (height, width), or levels (height, width, 3), float32 in [0, 1], turned upright
        as the camera says. What is transparent is white. In grey, where all that shows has one
        colour, opacity is black ink, and colours that are about as light differ as far as they do
        along the axis along which they differ most.

    Raises:
        InputError: The file is missing, unreadable, truncated or larger than `MAX_PIXELS`.

    """
    with _opened(Path(path)) as image:
        if image.format == "JPEG":  # decoded at less than its size where that is large
            image.draft("RGB", (4 * LONGEST, 4 * LONGEST))
        return torch.from_numpy(_to_colour(image) if colour else _to_grey(image))


class PictureForm(NamedTuple):
    """Width and height of a picture, in pixels, and whether it is in colour."""

    width: int
    height: int
    colour: bool


def picture_form(path: str | Path) -> PictureForm:
    """The form of a picture file.

    Raises:
        InputError: As for `load_image`.

    """
    with _opened(Path(path)) as image:
        reduced = np.asarray(image.convert("RGB").resize((16, 16)), dtype=int)
        colour = bool(np.ptp(reduced, axis=2).max() > _COLOUR)
        return PictureForm(image.width, image.height, colour)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture file; what fails in the block is an `InputError`, too."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}; name a picture")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            _check_size(f"{path}: ", image.width * image.height)
            yield image
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).split(" '")[0].rstrip(". ")
        raise InputError(
            f"{path}: cannot be read as a picture ({reason}); convert it to png or jpeg"
        ) from error


def shrink(picture: Picture, shape: tuple[int, ...] = (SIZE, SIZE)) -> Tensor:
    """Scale a whole picture to 28x28 or another size, and keep its proportions.

    Args:
        picture: The picture.
        shape: That of an image: (size, size) in grey, (3, size, size) in colour.

    Returns:
        An image of that shape, float32 in [0, 1], with light and dark as in the picture; the
        margins of a picture that is not square have the level of its border.

    Raises:
        InputError: It is no picture, or too large.

    """
    if len(shape) == 3:
        levels = np.atleast_3d(np.asarray(picture))  # of a grey one, all channels are the first
        picks = (min(channel, levels.shape[2] - 1) for channel in range(3))
        return torch.stack([shrink(levels[:, :, pick], shape[1:]) for pick in picks])
    grey, size = grey_levels(picture), shape[0]
    border = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    small = scaled(grey, size, max(grey.shape))
    canvas = np.full((size, size), border, dtype=np.float32)
    top, left = ((size - side) // 2 for side in small.shape)
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
        opacity = np.asarray(clear.getchannel("A"), dtype=np.float32) / np.float32(255)
        shown = np.asarray(clear.convert("L"))[opacity > 0.5]
        if shown.size and np.ptp(shown) < 255 * MIN_CONTRAST <= 255 * np.ptp(opacity):
            return 1 - opacity  # ink of one colour, be it white
        image = _on_white(clear)
    levels: Grey = np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)
    return levels if image.mode in ("1", "L") else _with_colours(levels, image)


def _with_colours(levels: Grey, image: Image.Image) -> Grey:
    """Grey levels; of colours that are about as light, levels along the axis they differ along."""
    colours = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
    few = colours[:: max(colours.shape[0] // LONGEST, 1), :: max(colours.shape[1] // LONGEST, 1)]
    spread, axes = np.linalg.eigh(np.cov(few.reshape(-1, 3), rowvar=False, bias=True))
    if levels.std() >= _LEAST_LUMA * math.sqrt(max(spread[-1], 0) / 3):
        return levels
    axis = axes[:, -1] * (1 if axes[:, -1].sum() >= 0 else -1)
    along = (colours - few.mean((0, 1))) @ axis / math.sqrt(3)  # as grey is along (1, 1, 1)
    found: Grey = (levels.mean() + along).clip(0, 1).astype(np.float32)
    return found


def _to_colour(image: Image.Image) -> NDArray[np.float32]:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return np.stack(3 * [_to_grey(image)], -1)
    image = _on_white(image.convert("RGBA")) if image.has_transparency_data else image
    levels: NDArray[np.float32] = np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
    return levels


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _check_size(what: str, pixels: int) -> None:
    if pixels > MAX_PIXELS:
        raise InputError(f"{what}{pixels:,} pixels, and at most {MAX_PIXELS:,}; make it smaller")


def scaled(levels: Grey, factor: float, divisor: int = 1) -> Grey:
    """Scale levels by ``factor / divisor``, to at least one pixel on each side."""
    high, wide = (max(round(side * factor / divisor), 1) for side in levels.shape)
    image = Image.fromarray(levels.astype(np.float32))
    return np.asarray(image.resize((wide, high), Image.Resampling.HAMMING))
