"""Find the written digits in a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
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
from audiate.errors import InputError

_BOX = 20  # pixels of 28 that the digit fills in MNIST's images
_SMOOTHED = 1 / 200  # of the longer side: noise and dithering of that size are smoothed
_STROKE = 0.6  # of the longer side: what is wider than this is background
_STROKE_WIDTH = 2.4  # pixels of 28 that a stroke is at least wide; thinner ones are made wider
_LEAST_PART = 0.05  # of the largest part's area: smaller parts are specks
_LEAST_DOT = 0.015  # of the largest part's area: smaller ones are no dots, but specks
_LEAST_SIZE = 0.1  # of the ground's shorter side: smaller digits are specks
_LEAST_INK = 0.12  # of all levels: what is fainter is print that shines through
_AT_THE_EDGE = 0.35  # of the way from the edge to the middle: lines keep within it
_LINE = 0.85  # of the ground's height that a digit at its edge takes at most; a line takes more
_TOUCHING = 0.5  # of its length that a digit touches the edge over; lines touch it over more
_WIDE = 1.3  # of the height of another digit that a digit is wide at most
_SPARSE = 0.2  # of its bounding box: the lines of a box fill less, the strokes of a digit more
_BOX_FILLED = 0.88  # of its bounding box: an ellipse fills 0.79
_LONGEST_PART = 0.5  # of the digit's longer side that its longest part takes up; else it is dots
_WIDEST = 2.2  # width over height of a digit
_ROUNDEST = 0.6  # width of a stroke over length of a digit; a dot has 1
_SHEET = 0.88  # of the rectangle around it that a sheet fills; an ellipse fills 0.79
_LEAST_GROUND = 0.3  # of the region that is looked in; ink covers less than the rest
_LEAST_SCORE = 5.0  # refuses less than 1 % of MNIST's train digits
_GROUND_SCORE = 8.0  # times the share of a picture that is ground; ink covers less
_APART_LEAD = 3.0  # of the score, of marks that stand apart over all of it as one digit
_ABOVE, _ABOVE_FRAGMENT = 0.5, 0.3  # of the narrower part's width that is above or below the other
_NEAR, _NEAR_FRAGMENT = 0.1, 0.25  # of the tallest part: parts of a digit are nearer than that
_USUAL_WIDTH = 0.65  # over its height, of a digit among several that touch
_ON = 0.4  # level of a digit's strokes, of 1
_FLAG, _FOOT = 0.45, 0.15  # of a printed one's height that its flag and its foot reach over
_FLAG_TOP = 0.33  # of its height that its top is wide at most; the bar of a seven is wider
_STEM = 0.75  # of its ink that is its stem
_NO_DIGIT = "no digit stands out in the picture; give one digit, written large on an even ground"

Mask = NDArray[np.bool_]
Parts = NDArray[np.int32]


class FoundDigits(NamedTuple):
    """The digits in a picture.

    Attributes:
        images: (digits, 28, 28), float32 in [0, 1], white on black, row after row, from left to
            right.
        others: Number of small marks beside them that are no digits: dots, commas, signs.

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
        for ground in _grounds(levels):
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


def _readings(levels: Grey, ground: Mask) -> Iterator[tuple[float, FoundDigits]]:
    """Readings of light ink on a ground, each with its lead in the score over one digit."""
    ink = _ink_of(levels, ground)
    mask, dots = _strokes(ink, ground)
    if not mask.any():
        return
    least = _LEAST_SIZE * min(np.ptp(np.argwhere(ground), 0) + 1)
    marks = _marks(mask)
    high = [rows.stop - rows.start for rows, _ in map(_place, marks)]
    tall = [mark for mark, each in zip(marks, high, strict=True) if each > max(high) / 2]
    others = len(marks) - len(tall) + _count_beside(dots, tall)
    apart = [piece for mark in tall for piece in _cut(mark)]
    several = _in_order(tall) if len(marks) > 1 else []
    cut = _in_order(apart) if len(apart) > len(tall) else []
    for masks, lead, left_out in (
        ([mask], 0.0, others if len(marks) == 1 else 0),
        (several, _APART_LEAD, others),
        (cut, -_APART_LEAD, others),
    ):
        digits = [_digit(ink, each, least) for each in masks]
        images = [torch.from_numpy(_stem(digit)) for digit in digits if digit is not None]
        if images and len(images) == len(masks):
            yield lead, FoundDigits(torch.stack(images), left_out)


def _cut(mark: Mask) -> list[Mask]:
    """A mark that is too wide for a digit, cut where its columns hold least ink."""
    rows, columns = _place(mark)
    high, wide = rows.stop - rows.start, columns.stop - columns.start
    count = round(wide / (_USUAL_WIDTH * high)) if wide > high else 1
    cuts = []
    for number in range(1, count):
        middle = columns.start + number * wide / count
        near = np.arange(int(middle - high / 8), int(middle + high / 8) + 1)
        cuts.append(int(near[mark[:, near].sum(0).argmin()]))
    piece_of = np.searchsorted(cuts, np.arange(mark.shape[1]), side="right")
    pieces = (mark & (piece_of == piece) for piece in range(count))
    return [piece for piece in pieces if piece.any()]


def _marks(mask: Mask) -> list[Mask]:
    """Divide strokes into marks: connected ones, each with the fragments above or below it."""
    parts, count = scipy.ndimage.label(mask, np.ones((3, 3)))
    places = scipy.ndimage.find_objects(parts)
    high, wide = (
        np.array([side.stop - side.start for side in sides]) for sides in zip(*places, strict=True)
    )
    mark_of = np.arange(count)
    for one, other in combinations(range(count), 2):
        (rows, columns), (other_rows, other_columns) = places[one], places[other]
        apart = max(rows.start, other_rows.start) - min(rows.stop, other_rows.stop)
        shared = min(columns.stop, other_columns.stop) - max(columns.start, other_columns.start)
        shared /= min(wide[one], wide[other])
        fragment = min(high[one], high[other]) < max(high) / 2
        near = _NEAR_FRAGMENT if fragment else _NEAR
        if shared > (_ABOVE_FRAGMENT if fragment else _ABOVE) and apart < near * max(high):
            mark_of[mark_of == mark_of[other]] = mark_of[one]
    return [np.isin(parts, 1 + np.flatnonzero(mark_of == mark)) for mark in np.unique(mark_of)]


def _place(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of a mark's box."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _in_order(marks: Sequence[Mask]) -> list[Mask]:
    """Marks row after row, from left to right."""
    places = [_place(mark) for mark in marks]
    middle = np.array([(rows.start + rows.stop) / 2 for rows, _ in places])
    half = np.median([rows.stop - rows.start for rows, _ in places]) / 2
    down = np.argsort(middle, kind="stable")
    row = np.zeros(len(marks), dtype=int)
    row[down[1:]] = np.cumsum(np.diff(middle[down]) > half)
    order = sorted(range(len(marks)), key=lambda number: (row[number], places[number][1].start))
    return [marks[number] for number in order]


def _ink_of(levels: Grey, ground: Mask) -> Grey:
    """Levels (height, width) above those of the ground, at least 0; 0 beyond it."""
    window = max(int(np.ptp(np.argwhere(ground), 0).max() * _STROKE) | 1, 3)
    even = np.median(levels[ground])
    padded = np.pad(np.where(ground, levels, even), window, constant_values=even)
    ink = scipy.ndimage.white_tophat(padded, size=window)[window:-window, window:-window]
    return np.where(ground, ink, np.float32(0))


def _strokes(ink: Grey, ground: Mask) -> tuple[Mask, Mask]:
    """The pixels (height, width) of digits, and of dots: without boxes and lines along the edge."""
    mask = ink > max(otsu_threshold(ink[ground]), MIN_CONTRAST / 2)
    parts, count = scipy.ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return mask, mask
    numbers = np.arange(1, count + 1)
    areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    depth = scipy.ndimage.distance_transform_edt(np.pad(ground, 1))[1:-1, 1:-1]
    along = scipy.ndimage.maximum(depth, parts, numbers) < _AT_THE_EDGE * depth.max()
    places = scipy.ndimage.find_objects(parts)
    high = np.array([rows.stop - rows.start for rows, _ in places])
    for number in np.flatnonzero(areas >= _LEAST_PART * areas.max()):
        within = parts[places[number]]
        own = within == number + 1
        filled = scipy.ndimage.binary_fill_holes(own)
        inside = np.unique(within[filled & ~own & (within > 0)]) - 1
        if own.mean() < _SPARSE:  # the lines of a box may be broken
            inside = np.flatnonzero([_encloses(places[number], place) for place in places])
        if high[inside].max(initial=0) > high[number] / 4 or (
            filled.mean() > _BOX_FILLED and own.mean() < filled.mean() / 2
        ):
            areas[number] = 0
    at_edge = scipy.ndimage.minimum(depth, parts, numbers) < 2
    inner = np.where(along | at_edge, 0, areas)
    drop = along
    if inner.max() > _LEAST_PART * np.where(along, 0, areas).max():
        drop = along | at_edge  # shadows and rulings, which go on beyond the picture
    if inner.any():
        touching = np.where(depth < 2, parts, 0)
        side = int(np.ptp(np.flatnonzero(ground.any(1)))) + 1
        drop &= ~_beside(places, touching, int(inner.argmax()), side)
    size = areas.copy()
    areas[drop] = 0
    large = areas > _LEAST_PART * areas.max(initial=1)
    dots = ~large & ~at_edge & (high < high[areas.argmax()] / 2)
    dots &= size > _LEAST_DOT * areas.max(initial=1)
    found, small = (np.isin(parts, 1 + np.flatnonzero(each)) for each in (large, dots))
    return found, small


def _count_beside(dots: Mask, marks: Sequence[Mask]) -> int:
    """Count dots that stand beside marks, in their rows."""
    rows, columns = np.any(marks, (0, 2)), np.any(marks, (0, 1))
    places = scipy.ndimage.find_objects(scipy.ndimage.label(dots, np.ones((3, 3)))[0])
    return sum(bool(rows[high].any() and not columns[wide].any()) for high, wide in places)


def _encloses(outer: tuple[slice, slice], inner: tuple[slice, slice]) -> bool:
    """Whether a box lies within another on all sides."""
    return all(
        one.start < other.start and other.stop < one.stop
        for one, other in zip(outer, inner, strict=True)
    )


def _beside(places: Sequence[tuple[slice, slice]], edge: Parts, digit: int, side: int) -> Mask:
    """Which parts (parts,) may be digits beside a digit.

    Args:
        places: Rows and columns of each part.
        edge: Numbers from 1 of the parts at the ground's edge (height, width), which a line touches
            over much of its length.
        digit: The digit's number from 0.
        side: Height of the ground.

    """
    found = np.zeros(len(places), dtype=np.bool_)
    rows = places[digit][0]
    tall = rows.stop - rows.start
    for number, (own, columns) in enumerate(places):
        high, wide = own.stop - own.start, columns.stop - columns.start
        shared = min(own.stop, rows.stop) - max(own.start, rows.start)
        at_edge = edge[own, columns] == number + 1
        found[number] = (
            tall / 2 < high < min(tall * 2, _LINE * side)
            and wide < _WIDE * tall
            and shared > tall / 2
            and at_edge.any(1).sum() < _TOUCHING * high
            and at_edge.any(0).sum() < _TOUCHING * max(high, wide)
        )
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
