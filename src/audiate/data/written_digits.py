"""Find the written digits in a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

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
from audiate.data.written_marks import (
    Mask,
    count_beside,
    grounds,
    in_order,
    ink_of,
    marks_of,
    pieces_of,
    place_of,
    strokes,
)
from audiate.errors import InputError

_BOX = 20  # pixels of 28 that the digit fills in MNIST's images
_SMOOTHED = 1 / 200  # of the longer side: noise and dithering of that size are smoothed
_STROKE_WIDTH = 2.4  # pixels of 28 that a stroke is at least wide; thinner ones are made wider
_LEAST_SIZE = 0.1  # of the ground's shorter side: smaller digits are specks
_LEAST_INK = 0.12  # of all levels: what is fainter is print that shines through
_LONGEST_PART = 0.5  # of the digit's longer side that its longest part takes up; else it is dots
_WIDEST = 2.2  # width over height of a digit
_ROUNDEST = 0.6  # width of a stroke over length of a digit; a dot has 1
_SHEET = 0.88  # of the rectangle around it that a sheet fills; an ellipse fills 0.79
_LEAST_GROUND = 0.3  # of the region that is looked in; ink covers less than the rest
_LEAST_SCORE = 5.0  # refuses less than 1 % of MNIST's train digits
_GROUND_SCORE = 8.0  # times the share of a picture that is ground; ink covers less
_APART_LEAD = 3.0  # of the score, of marks that stand apart over all of it as one digit
_ON = 0.4  # level of a digit's strokes, of 1
_FLAG, _FOOT = 0.45, 0.15  # of a printed one's height that its flag and its foot reach over
_FLAG_TOP = 0.33  # of its height that its top is wide at most; the bar of a seven is wider
_STEM = 0.75  # of its ink that is its stem
_NO_DIGIT = "no digit stands out in the picture; give one digit, written large on an even ground"


class FoundDigits(NamedTuple):
    """The digits in a picture.

    Attributes:
        images: (digits, 28, 28), float32 in [0, 1], white on black, row after row, from left to
            right.
        others: Number of marks beside them that are no whole digits: dots, commas, signs, and
            digits that the picture's edge cuts.

    """

    images: Tensor
    others: int = 0


def find_digits(picture: Picture, score: Callable[[Tensor], Tensor]) -> FoundDigits:
    """Find the digits in a picture, and centre each as MNIST does.

    The picture is read as dark on light and as light on dark, as a whole and within its largest
    light or dark region, which may be paper on a desk or the inside of a frame. Of these readings
    the one whose least digit scores best is taken.

    In each, uneven light is removed (white top-hat: Gonzalez and Woods, Digital Image Processing),
    ink is separated from the ground by the threshold of Otsu 1979, and specks, boxes and lines
    along the edge are left out. Connected strokes, and fragments near them, are a digit; all of
    them together are one where that scores much better, as in a digit of broken strokes. A digit
    is scaled to a box of 20x20 pixels, thin strokes are made wider, and its centre of mass is put
    into the middle of 28x28 (LeCun et al. 1998, section III A). A printed one is reduced to its
    stem, as most ones of MNIST are.

    Args:
        picture: Digits of any size, dark on light or light on dark.
        score: Scores (images,) of images (images, 28, 28) as digits: the largest logit of a
            classifier.

    Raises:
        InputError: Nothing stands out in the picture, or no digit does, or a mark as large as the
            digits is none; or it is no picture or too large.

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
        for ground in grounds(levels):
            dark = (levels <= otsu_threshold(levels))[ground]
            if dark.mean() <= _LEAST_GROUND:
                continue
            readings = [
                (float(score(reading.images).min()), lead, reading)
                for lead, reading in _readings(levels, ground)
            ]
            for least, _, reading in sorted(readings, key=lambda each: each[0] + each[1])[-1:]:
                worth = least + _GROUND_SCORE * dark.sum() / levels.size
                if least > _LEAST_SCORE and worth > best:
                    best, found = worth, reading
    if found is None:
        raise InputError(_NO_DIGIT)
    return found


def _readings(levels: Grey, ground: Mask) -> Iterator[tuple[float, FoundDigits]]:
    """Readings of light ink on a ground, each with its lead in the score over one digit."""
    ink = ink_of(levels, ground)
    mask, dots, cut_off = strokes(ink, ground)
    if not mask.any():
        return
    least = _LEAST_SIZE * min(np.ptp(np.argwhere(ground), 0) + 1)
    marks = marks_of(mask)
    high = [rows.stop - rows.start for rows, _ in map(place_of, marks)]
    tall = [mark for mark, each in zip(marks, high, strict=True) if each > max(high) / 2]
    others = len(marks) - len(tall) + count_beside(dots, tall)
    apart = [piece for mark in tall for piece in pieces_of(mark)]
    several = in_order(tall) if len(marks) > 1 else []
    cut = in_order(apart) if len(apart) > len(tall) else []
    for masks, lead, left_out in (
        ([mask], 0.0, others if len(marks) == 1 else 0),
        (several, _APART_LEAD, others),
        (cut, -_APART_LEAD, others),
    ):
        digits = [_digit(ink, each, least) for each in masks]
        images = [torch.from_numpy(_stem(digit)) for digit in digits if digit is not None]
        if images and len(images) == len(masks):
            yield lead, FoundDigits(torch.stack(images), left_out + cut_off)


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
        or _is_sheet(mask)
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


def _is_sheet(mask: Mask) -> bool:
    """Whether a mark is a sheet that is written on: a rectangle with holes, turned by any angle."""
    filled = scipy.ndimage.binary_fill_holes(mask)
    if filled.sum() == mask.sum():
        return False
    places = np.argwhere(filled)
    corners = places[scipy.spatial.ConvexHull(places).vertices]
    angles = np.radians(np.arange(0, 90, 3))
    high, wide = (
        np.ptp(np.outer(corners[:, 0], one) + np.outer(corners[:, 1], other), 0) + 1
        for one, other in ((np.cos(angles), np.sin(angles)), (-np.sin(angles), np.cos(angles)))
    )
    return bool(filled.sum() > _SHEET * (high * wide).min())


def _stem(digit: Grey) -> Grey:
    """A digit (28, 28); of a straight stem with a flag, as printed ones have, the stem alone."""
    mask = digit > _ON
    rows = np.flatnonzero(mask.any(1))
    if scipy.ndimage.label(~np.pad(mask, 1))[1] > 1:
        return digit
    top, high = rows[0], int(np.ptp(rows)) + 1
    for lean in np.linspace(-0.1, 0.25, 8):
        shifts = np.round((np.arange(SIZE) - rows[-1]) * lean).astype(int)
        upright = _shifted(digit, shifts)
        on = upright[top : top + high] > _ON
        column = int(on.sum(0).argmax())
        left = np.minimum.accumulate(on[:, column::-1], 1).sum(1)
        right = np.minimum.accumulate(on[:, column:], 1).sum(1)
        stem = np.zeros_like(upright)
        here = slice(int(column - np.median(left)), int(column + np.median(right)) + 1)
        stem[:, here] = upright[:, here]
        beside = (upright - stem)[top : top + high]
        middle = beside[int(_FLAG * high) : int((1 - _FOOT) * high)]
        if (
            on[:, column].all()
            and on[: max(high // 10, 1)].any(0).sum() < _FLAG_TOP * high
            and stem.sum() > _STEM * upright.sum()
            and middle.max() < _ON
        ):
            return _centred(_shifted(stem, -shifts))
    return digit


def _shifted(levels: Grey, shifts: NDArray[np.intp]) -> Grey:
    """Levels whose rows are moved to the right by pixels (rows,)."""
    return np.stack([np.roll(row, shift) for row, shift in zip(levels, shifts, strict=True)])


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
