"""Find the ink of digits in a picture: the ground that it is on, strokes, and marks of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import scipy  # whose parts are imported on first use
from numpy.typing import NDArray

from audiate.data.images import MIN_CONTRAST, Grey, otsu_threshold

_STROKE = 0.6  # of the longer side: what is wider than this is background
_LEAST_PART = 0.05  # of the largest part's area: smaller parts are specks
_LEAST_DOT = 0.015  # of the largest part's area: smaller ones are no dots, but specks
_AT_THE_EDGE = 0.35  # of the way from the edge to the middle: lines keep within it
_LINE = 0.85  # of the ground's height that a digit at its edge takes at most; a line takes more
_TOUCHING = 0.5  # of its length that a digit touches the edge over; lines touch it over more
_WIDE = 1.3  # of the height of another digit that a digit is wide at most
_SPARSE = 0.2  # of its bounding box: the lines of a box fill less, the strokes of a digit more
_BOX_FILLED = 0.88  # of its bounding box: an ellipse fills 0.79
_ABOVE, _ABOVE_FRAGMENT = 0.5, 0.3  # of the narrower part's width that is above or below the other
_NEAR, _NEAR_FRAGMENT = 0.1, 0.25  # of the tallest part: parts of a digit are nearer than that
_USUAL_WIDTH = 0.65  # over its height, of a digit among several that touch

Mask = NDArray[np.bool_]
Parts = NDArray[np.int32]


def grounds(levels: Grey) -> Iterator[Mask]:
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


def pieces_of(mark: Mask) -> list[Mask]:
    """A mark that is too wide for a digit, cut where its columns hold least ink."""
    rows, columns = place_of(mark)
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


def marks_of(mask: Mask) -> list[Mask]:
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


def place_of(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of a mark's box."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def in_order(marks: Sequence[Mask]) -> list[Mask]:
    """Marks row after row, from left to right."""
    places = [place_of(mark) for mark in marks]
    middle = np.array([(rows.start + rows.stop) / 2 for rows, _ in places])
    half = np.median([rows.stop - rows.start for rows, _ in places]) / 2
    down = np.argsort(middle, kind="stable")
    row = np.zeros(len(marks), dtype=int)
    row[down[1:]] = np.cumsum(np.diff(middle[down]) > half)
    order = sorted(range(len(marks)), key=lambda number: (row[number], places[number][1].start))
    return [marks[number] for number in order]


def ink_of(levels: Grey, ground: Mask) -> Grey:
    """Levels (height, width) above those of the ground, at least 0; 0 beyond it."""
    window = max(int(np.ptp(np.argwhere(ground), 0).max() * _STROKE) | 1, 3)
    even = np.median(levels[ground])
    padded = np.pad(np.where(ground, levels, even), window, constant_values=even)
    ink = scipy.ndimage.white_tophat(padded, size=window)[window:-window, window:-window]
    return np.where(ground, ink, np.float32(0))


def strokes(ink: Grey, ground: Mask) -> tuple[Mask, Mask, int]:
    """The pixels (height, width) of digits, and of dots: without boxes and lines along the edge.

    The number beside them is that of the parts that the edge cuts and that are as large as digits.
    """
    mask = ink > max(otsu_threshold(ink[ground]), MIN_CONTRAST / 2)
    parts, count = scipy.ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return mask, mask, 0
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
    side = int(np.ptp(np.flatnonzero(ground.any(1)))) + 1
    if inner.any():
        touching = np.where(depth < 2, parts, 0)
        drop &= ~_beside(places, touching, int(inner.argmax()), side)
    size = areas.copy()
    areas[drop] = 0
    tall = high[areas.argmax()]
    long = np.maximum(high, [columns.stop - columns.start for _, columns in places])
    cut = drop & at_edge & (size > _LEAST_PART * areas.max(initial=1))
    cut &= long < min(_WIDE * tall, _LINE * side)
    large = areas > _LEAST_PART * areas.max(initial=1)
    dots = ~large & ~at_edge & (high < tall / 2)
    dots &= size > _LEAST_DOT * areas.max(initial=1)
    found, small, cut_off = (
        np.isin(parts, 1 + np.flatnonzero(each)) for each in (large, dots, cut)
    )
    return found, small, _count_cut(cut_off, tall)


def _count_cut(cut: Mask, tall: int) -> int:
    """Count what the edge has left of digits, whose fragments are less than half a height apart."""
    joined = scipy.ndimage.binary_dilation(cut, np.ones((tall // 2 + 1, 1)))
    parts = scipy.ndimage.find_objects(scipy.ndimage.label(joined)[0])
    places = [place_of(cut[part]) for part in parts]
    return sum(max(side.stop - side.start for side in place) > tall / 2 for place in places)


def count_beside(dots: Mask, marks: Sequence[Mask]) -> int:
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
