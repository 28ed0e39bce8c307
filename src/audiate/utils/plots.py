"""Picture files: strips of images, spectrograms, waveforms, and sheets of them, by Pillow."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from audiate.utils.filesystem import writing

# Dark to bright through violet and orange: lightness rises evenly, so it also reads in grey.
_HEAT = np.array(
    [(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)],
    dtype=np.float32,
)
_MARGIN = 42  # to the left of the first spectrogram, for its frequencies
_BACKGROUND = (24, 24, 28)
_INK = (230, 230, 230)
_HEAT_MIDDLE = (252, 165, 10)
# Run lengths alone: spectrograms become as small as by Pillow's default, in a quarter of the time.
_COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def side_by_side(images: Tensor) -> Tensor:
    """Images (count, height, width), or (count, 3, height, width), as one picture."""
    return torch.cat(list(images), -1)


def grid(images: Tensor, columns: int) -> Tensor:
    """Images, as `side_by_side` takes them, row by row; the last row is filled up with black."""
    missing = -len(images) % columns
    padded = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
    return torch.cat([side_by_side(row) for row in torch.split(padded, columns)], -2)


def save_image(picture: Tensor | Image.Image, path: Path, *, scale: int = 1) -> None:
    """Write a picture as a PNG, enlarged without smoothing.

    A tensor (height, width) in [0, 1] becomes 8-bit grey, and one (3, height, width) colour.

    Raises:
        InputError: The file cannot be written.

    """
    image = Image.fromarray(to_bytes(picture)) if isinstance(picture, Tensor) else picture
    with writing(path) as partial:
        _enlarge(image, scale).save(partial, format="PNG", **_COMPRESSION)


class Axes(NamedTuple):
    """The axes of a spectrogram with equally spaced bands from 0 Hz on.

    Attributes:
        seconds: Its length, in seconds.
        hertz: Its highest frequency, in Hz.

    """

    seconds: float
    hertz: float


def tiles(
    spectrograms: Tensor, titles: Sequence[str], axes: Axes, *, columns: int = 8
) -> Image.Image:
    """Spectrograms (count, bands, frames) in [0, 1], low bands below, each with its title."""
    bands, frames = spectrograms.shape[1:]
    gap, text, font = 6, 18, ImageFont.load_default(12)
    columns = min(columns, len(spectrograms))
    rows = -(-len(spectrograms) // columns)
    wide = max(frames, round(max(map(font.getlength, titles)))) + gap
    high = text + bands + gap
    sheet, canvas = _sheet(_MARGIN + columns * wide, gap + rows * high + text)
    for index, (spectrogram, title) in enumerate(zip(spectrograms, titles, strict=True)):
        row, column = divmod(index, columns)
        left, top = _MARGIN + column * wide, gap + row * high
        canvas.text((left, top), title, fill=_INK, font=font)
        sheet.paste(Image.fromarray(heat_map(spectrogram)), (left, top + text))
        box = (left, top + text, left + frames, top + text + bands)
        last = index + columns >= len(spectrograms)  # of its column
        _draw_axes(canvas, box, axes, frequencies=column == 0, times=last)
    return sheet


def save_side_by_side(
    waveforms: Tensor, levels: Tensor, titles: Sequence[str], sample_rate: int, path: Path
) -> None:
    """Write waveforms and their spectrograms as a PNG file, one beside the other.

    Args:
        waveforms: (count, samples) in [-1, 1].
        levels: Levels (count, bins, frames) in [0, 1], up to half of the sample rate.
        titles: A title for each.
        sample_rate: In Hz.
        path: The file.

    Raises:
        InputError: The file cannot be written.

    """
    wide, high, gap, text = 384, 96, 8, 18
    font = ImageFont.load_default(12)
    top, bottom = text + high + gap, text + high + gap + 2 * 129
    sheet, canvas = _sheet(_MARGIN + len(waveforms) * (wide + gap), bottom + text)
    axes = Axes(waveforms.shape[1] / sample_rate, sample_rate / 2)
    waveforms = waveforms.detach().cpu()
    for column, title in enumerate(titles):
        left = _MARGIN + column * (wide + gap)
        canvas.text((left, 1), title, fill=_INK, font=font)
        _trace(canvas, waveforms[column], (left, text), (wide, high))
        heat = Image.fromarray(heat_map(levels[column])).resize((wide, 2 * 129))
        sheet.paste(heat, (left, top))
        _draw_axes(canvas, (left, top, left + wide, bottom), axes, frequencies=column == 0)
    save_image(sheet, path)


def ticks(end: float, most: int = 4) -> list[float]:
    """Round numbers from 0 up to ``end``, equally far apart, at most as many steps.

    >>> ticks(8000), ticks(1.024)
    ([0, 2000, 4000, 6000, 8000], [0.0, 0.5, 1.0])
    """
    unit = 10 ** floor(log10(end / most))
    step = next(size * unit for size in (1, 2, 5, 10) if size * unit * most >= end * (1 - 1e-9))
    return [number * step for number in range(int(end / step * (1 + 1e-9)) + 1)]


def _draw_axes(
    canvas: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    axes: Axes,
    *,
    frequencies: bool = True,
    times: bool = True,
) -> None:
    """Write frequencies in kHz to the left of a spectrogram, and seconds below it."""
    left, top, right, bottom = box
    font = ImageFont.load_default(10)
    if frequencies:
        for hertz in ticks(axes.hertz):
            y = bottom - (bottom - top) * hertz / axes.hertz
            text = f"{hertz / 1000:g}" + (" kHz" if hertz == ticks(axes.hertz)[-1] else "")
            canvas.line((left - 3, y, left - 1, y), fill=_INK)
            canvas.text((left - 5, y), text, fill=_INK, font=font, anchor="rm")
    if times:
        for seconds in ticks(axes.seconds, max((right - left) // 40, 1)):
            x = left + (right - left) * seconds / axes.seconds
            canvas.line((x, bottom, x, bottom + 2), fill=_INK)
            anchor = "lt" if not seconds else "rt" if x > right - 10 else "mt"
            canvas.text((x, bottom + 4), f"{seconds:g} s", fill=_INK, font=font, anchor=anchor)


def _trace(
    canvas: ImageDraw.ImageDraw, waveform: Tensor, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    """Draw a line from the least to the greatest sample of each column of pixels."""
    (left, top), (wide, high) = corner, size
    samples = waveform.clamp(-1, 1).numpy()
    # As `torch.tensor_split` has them: the first columns have one sample more.
    least, more = divmod(len(samples), wide)
    sizes = np.full(wide, least)
    sizes[:more] += 1
    shown = sizes > 0
    begins = (np.cumsum(sizes) - sizes)[shown]
    highest = top + (1 - np.maximum.reduceat(samples, begins)) / 2 * (high - 1)
    lowest = top + (1 - np.minimum.reduceat(samples, begins)) / 2 * (high - 1)
    for column, ends in enumerate(zip(highest.tolist(), lowest.tolist(), strict=True)):
        canvas.line((left + column, ends[0], left + column, ends[1]), fill=_HEAT_MIDDLE)


Panel = NDArray[np.uint8]
"""A part of a row, `CELL` pixels high: (CELL, width) in grey, or (CELL, width, 3)."""

CELL = 84
"""Height of a panel, in pixels."""


@dataclass(frozen=True)
class PanelRow:
    """A row of panels with a title above it."""

    title: str
    panels: Sequence[Panel]


def sound_panel(
    spectrogram: Tensor,
    *,
    wide: int = 1,
    hertz: tuple[float, float] | None = None,
    seconds: float | None = None,
) -> Panel:
    """A spectrogram (bands, frames) in [0, 1] as a panel, ``wide`` times as wide as it is high.

    Its lowest and highest frequency, in Hz, and its length are written in its corners.
    """
    panel = Image.fromarray(heat_map(spectrogram)).resize((wide * CELL, CELL))
    canvas, font = ImageDraw.Draw(panel), ImageFont.load_default(10)
    if hertz is not None:
        canvas.text((2, 1), f"{hertz[1] / 1000:g} kHz", fill=_INK, font=font)
        canvas.text((2, CELL - 2), f"{hertz[0]:g} Hz", fill=_INK, font=font, anchor="ls")
    if seconds is not None:
        corner = (panel.width - 2, CELL - 2)
        canvas.text(corner, f"{seconds:.2f} s", fill=_INK, font=font, anchor="rs")
    return np.asarray(panel)


def image_panel(images: Tensor) -> Panel:
    """Images (count, [3,] height, width) in [0, 1] side by side, as one panel."""
    strip = Image.fromarray(to_bytes(side_by_side(images)))
    return np.asarray(_enlarge(strip, CELL // strip.height))


def save_panels(rows: Sequence[PanelRow], path: Path) -> None:
    """Write rows of panels, one below the other.

    Raises:
        InputError: The file cannot be written.

    """
    gap, text = 12, 22
    font = ImageFont.load_default(15)
    high = text + CELL + gap
    widths = [sum(panel.shape[1] + gap for panel in row.panels) for row in rows]
    sheet, canvas = _sheet(gap + max(widths), gap + len(rows) * high)
    for index, row in enumerate(rows):
        left, top = gap, gap + index * high
        canvas.text((left, top), row.title, fill=_INK, font=font)
        for panel in row.panels:
            sheet.paste(Image.fromarray(panel), (left, top + text))
            left += panel.shape[1] + gap
    save_image(sheet, path)


def heat_map(spectrogram: Tensor) -> NDArray[np.uint8]:
    """Colours (mels, frames, 3) of a spectrogram (mels, frames) in [0, 1], low bands below."""
    levels = spectrogram.detach().cpu().clamp(0, 1).flip(0).numpy()
    stops = np.linspace(0, 1, len(_HEAT))
    channels = [np.interp(levels, stops, _HEAT[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def to_bytes(picture: Tensor) -> NDArray[np.uint8]:
    """Bytes (height, width) of grey levels in [0, 1], or (height, width, 3) of (3, ...)."""
    levels = picture.detach().cpu().float().clamp(0, 1)
    if levels.dim() == 3:
        levels = levels.permute(1, 2, 0)
    return np.asarray((levels * 255).round().to(torch.uint8))


def _enlarge(image: Image.Image, scale: int) -> Image.Image:
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def _sheet(wide: int, high: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (wide, high), _BACKGROUND)
    return sheet, ImageDraw.Draw(sheet)
