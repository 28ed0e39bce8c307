"""Find the written digits in a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy  # whose parts are imported on first use
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiate.data.images import (
    LONGEST,
    MIN_CONTRAST,
    SIZE,
    Grey,
    Picture,
    grey_levels,
    otsu_threshold,
    scaled,
)
from audiate.errors import InputError

_BOX = 20  # pixels of 28 that the digit fills in MNIST's images
_SMOOTHED = 1 / 200  # of the longer side: noise and dithering of that size are smoothed
_STROKE = 0.6  # of the longer side: what is wider than this is background
_STROKE_WIDTH = 2.4  # pixels of 28 that a stroke is at least wide; thinner ones are made wider
_LEAST_PART = 0.05  # of the largest part's area: smaller parts are specks
_LEAST_SIZE = 0.1  # of the ground's shorter side: smaller digits are specks
_LEAST_INK = 0.12  # of all levels: what is fainter is print that shines through
_AT_THE_EDGE = 0.35  # of the way from the edge to the middle: lines keep within it
_BOX_FILLED = 0.88  # of its bounding box: an ellipse fills 0.79
_LONGEST_PART = 0.5  # of the digit's longer side that its longest part takes up; else it is dots
_WIDEST = 2.2  # width over height of a digit
_ROUNDEST = 0.6  # width of a stroke over length of a digit; a dot has 1
_LEAST_GROUND = 0.3  # of the region that is looked in; ink covers less than the rest
_LEAST_SCORE = 5.0  # refuses less than 1 % of MNIST's train digits
_GROUND_SCORE = 8.0  # times the share of a picture that is ground; ink covers less
_NO_DIGIT = "no digit stands out in the picture; give one digit, written large on an even ground"

Mask = NDArray[np.bool_]


def find_digits(picture: Picture, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Find the digits in a picture, and centre each as MNIST does.

    The picture is read as dark on light and as light on dark, as a whole and within its largest
    light or dark region, which may be paper on a desk or the inside of a frame, and as one digit
    and as several side by side. Of these readings the one whose least digit scores best is taken.

    In each, uneven light is removed (white top-hat: Gonzalez and Woods, Digital Image Processing),
    ink is separated from the ground by the threshold of Otsu 1979, and specks, boxes and lines
    along the edge are left out. A digit is scaled to a box of 20x20 pixels, thin strokes are made
    wider, and its centre of mass is put into the middle of 28x28 (LeCun et al. 1998, section
    III A).

    Args:
        picture: Digits of any size, dark on light or light on dark.
        score: Scores (images,) of images (images, 28, 28) as digits: the largest logit of a
            classifier.

    Returns:
        (digits, 28, 28), float32 in [0, 1], white on black, from left to right.

    Raises:
        InputError: Nothing stands out in the picture, or no digit does; or it is none or too large.

    """
    grey = grey_levels(picture)
    if (longest := max(grey.shape)) > LONGEST:
        grey = scaled(grey, LONGEST, longest)
    if np.ptp(grey) < MIN_CONTRAST:
        raise InputError(
            "the picture is blank: nothing stands out; give one digit, dark on light or light on "
            "dark"
        )
    grey = scipy.ndimage.gaussian_filter(grey, _SMOOTHED * max(grey.shape))
    best, found = -np.inf, None
    for levels in (1 - grey, grey):
        for ground in _grounds(levels):
            dark = (levels <= otsu_threshold(levels))[ground]
            for digits in _readings(levels, ground) if dark.mean() > _LEAST_GROUND else ():
                least = float(score(digits).min())
                worth = least + _GROUND_SCORE * dark.sum() / levels.size
                if least > _LEAST_SCORE and worth > best:
                    best, found = worth, digits
    if found is None:
        raise InputError(_NO_DIGIT)
    return found


def _grounds(levels: Grey) -> Iterator[Mask]:
    """Regions (height, width) to look in: all, and the convex hull of the largest dark region."""
    yield np.ones(levels.shape, dtype=np.bool_)
    dark = np.pad(levels <= otsu_threshold(levels), 1, constant_values=True)
    parts, _ = scipy.ndimage.label(dark)
    largest = parts[1:-1, 1:-1] == 1 + np.bincount(parts.ravel())[1:].argmax()
    inner = scipy.ndimage.binary_erosion(largest)
    if not inner.any():
        return
    outline = np.argwhere(largest & ~inner)
    places = np.indices(levels.shape)
    hull = np.ones(levels.shape, dtype=np.bool_)
    for row, column, offset in scipy.spatial.ConvexHull(outline).equations:
        hull &= row * places[0] + column * places[1] + offset <= 0
    inner = scipy.ndimage.binary_erosion(hull, iterations=2)  # its border is a blur
    if not hull.all() and inner.any():
        yield inner


def _readings(levels: Grey, ground: Mask) -> Iterator[Tensor]:
    """Cut light ink on a ground into readings: one digit (1, 28, 28), or several side by side."""
    ink = _ink_of(levels, ground)
    mask = _strokes(ink, ground)
    least = _LEAST_SIZE * min(np.ptp(np.argwhere(ground), 0) + 1)
    columns, count = scipy.ndimage.label(mask.any(0))
    groups = [mask & (columns == number) for number in range(1, count + 1)]
    tall = [int(np.ptp(np.flatnonzero(group.any(1)))) + 1 for group in groups]
    several = [group for group, high in zip(groups, tall, strict=True) if high > max(tall) / 2]
    for masks in ([mask], several) if len(several) > 1 else ([mask],):
        digits = [_digit(ink, each, least) for each in masks]
        whole = [torch.from_numpy(digit) for digit in digits if digit is not None]
        if len(whole) == len(masks):
            yield torch.stack(whole)


def _ink_of(levels: Grey, ground: Mask) -> Grey:
    """Levels (height, width) above those of the ground, at least 0; 0 beyond it."""
    window = max(int(np.ptp(np.argwhere(ground), 0).max() * _STROKE) | 1, 3)
    even = np.median(levels[ground])
    padded = np.pad(np.where(ground, levels, even), window, constant_values=even)
    ink = scipy.ndimage.white_tophat(padded, size=window)[window:-window, window:-window]
    return np.where(ground, ink, np.float32(0))


def _strokes(ink: Grey, ground: Mask) -> Mask:
    """The pixels (height, width) of digits: without specks, boxes, and lines along the edge."""
    mask = ink > max(otsu_threshold(ink[ground]), MIN_CONTRAST / 2)
    parts, count = scipy.ndimage.label(mask, np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    depth = scipy.ndimage.distance_transform_edt(np.pad(ground, 1))[1:-1, 1:-1]
    areas[scipy.ndimage.maximum(depth, parts, numbers) < _AT_THE_EDGE * depth.max()] = 0
    places = scipy.ndimage.find_objects(parts)
    high = np.array([rows.stop - rows.start for rows, _ in places])
    for number in np.flatnonzero(areas >= _LEAST_PART * areas.max(initial=1)):
        within = parts[places[number]]
        own = within == number + 1
        filled = scipy.ndimage.binary_fill_holes(own)
        inside = np.unique(within[filled & ~own & (within > 0)]) - 1
        if high[inside].max(initial=0) > high[number] / 4 or (
            filled.mean() > _BOX_FILLED and own.mean() < filled.mean() / 2
        ):
            areas[number] = 0
    at_edge = scipy.ndimage.minimum(depth, parts, numbers) < 2
    if areas[~at_edge].max(initial=0) > _LEAST_PART * areas.max(initial=0):
        areas[at_edge] = 0  # shadows and rulings, which go on beyond the picture
    found: Mask = np.isin(parts, 1 + np.flatnonzero(areas > _LEAST_PART * areas.max(initial=1)))
    return found


def _digit(ink: Grey, mask: Mask, least: float) -> Grey | None:
    """A digit's ink on (28, 28), or None where it is too small, wide, round or faint for one."""
    if not mask.any():
        return None
    (top, left), (bottom, right) = (edge(np.argwhere(mask), 0) for edge in (np.min, np.max))
    high, wide = int(bottom - top) + 1, int(right - left) + 1
    longest = max(high, wide)
    depth = scipy.ndimage.distance_transform_edt(np.pad(mask, 1))
    parts = scipy.ndimage.find_objects(scipy.ndimage.label(mask, np.ones((3, 3)))[0])
    if (
        longest < least
        or max(side.stop - side.start for part in parts for side in part) < _LONGEST_PART * longest
        or wide > _WIDEST * high
        or 2 * depth.max() > _ROUNDEST * longest
        or ink[mask].mean() < _LEAST_INK
    ):
        return None
    ridge = depth[(depth >= scipy.ndimage.maximum_filter(depth, 3)) & (depth > 0)]
    width = 2 * float(np.median(ridge)) - 1
    wider = max(int((_STROKE_WIDTH * longest / _BOX - width) / 2), 0)
    around = wider + 1
    ink = np.pad(np.where(scipy.ndimage.binary_dilation(mask, iterations=2), ink, 0), around)
    if wider > 0:
        ink = scipy.ndimage.grey_dilation(ink, footprint=_disc(wider))
    small = scaled(
        ink[top : top + high + 2 * around, left : left + wide + 2 * around], _BOX / longest
    )
    small = small / max(float(np.quantile(small[small > 0.1 * small.max()], 0.8)), 1e-6)
    return _centred(small.clip(0, 1))


def _disc(radius: int) -> Mask:
    row, column = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    found: Mask = row**2 + column**2 <= (radius + 0.5) ** 2
    return found


def _centred(levels: Grey) -> Grey:
    """Levels, at most 28 high and wide, on black 28x28, their centre of mass in the middle."""
    levels = levels[:SIZE, :SIZE]
    canvas = np.zeros((SIZE, SIZE), dtype=np.float32)
    high, wide = levels.shape
    row, column = (
        min(max(round((SIZE - 1) / 2 - centre), 0), SIZE - side)
        for centre, side in zip(scipy.ndimage.center_of_mass(levels), levels.shape, strict=True)
    )
    canvas[row : row + high, column : column + wide] = levels
    return canvas
