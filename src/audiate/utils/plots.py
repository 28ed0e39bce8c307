"""Picture files: strips of images, spectrograms, waveforms, and sheets of them, by Pillow."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
_BACKGROUND = (24, 24, 28)
_INK = (230, 230, 230)
_HEAT_MIDDLE = (252, 165, 10)
# Run lengths alone: spectrograms become as small as by Pillow's default, in a quarter of the time.
_COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def side_by_side(images: Tensor) -> Tensor:
    """Images (count, height, width) as one picture (height, count * width)."""
    return images.transpose(0, 1).flatten(1)


def grid(images: Tensor, columns: int) -> Tensor:
    """Images (count, height, width) row by row; the last row is filled up with black."""
    missing = -len(images) % columns
    padded = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
    return torch.cat([side_by_side(row) for row in torch.split(padded, columns)])


def save_image(picture: Tensor | Image.Image, path: Path, *, scale: int = 1) -> None:
    """Write a picture as a PNG, enlarged without smoothing.

    A tensor (height, width) in [0, 1] becomes 8-bit grey.

    Raises:
        InputError: The file cannot be written.

    """
    image = Image.fromarray(_to_bytes(picture)) if isinstance(picture, Tensor) else picture
    with writing(path) as partial:
        _enlarge(image, scale).save(partial, format="PNG", **_COMPRESSION)


def save_tiles(
    spectrograms: Tensor, titles: Sequence[str], path: Path, *, columns: int = 8
) -> None:
    """Write spectrograms (count, bands, frames) in [0, 1], low bands below, each with its title.

    Raises:
        InputError: The file cannot be written.

    """
    bands, frames = spectrograms.shape[1:]
    gap, text, font = 6, 18, ImageFont.load_default(12)
    columns = min(columns, len(spectrograms))
    rows = -(-len(spectrograms) // columns)
    wide, high = frames + gap, text + bands + gap
    sheet, canvas = _sheet(gap + columns * wide, gap + rows * high)
    for index, (spectrogram, title) in enumerate(zip(spectrograms, titles, strict=True)):
        left, top = gap + index % columns * wide, gap + index // columns * high
        canvas.text((left, top), title, fill=_INK, font=font)
        sheet.paste(Image.fromarray(heat_map(spectrogram)), (left, top + text))
    save_image(sheet, path)


def save_side_by_side(waveforms: Tensor, levels: Tensor, titles: Sequence[str], path: Path) -> None:
    """Write waveforms and their spectrograms as a PNG file, one beside the other.

    Args:
        waveforms: (count, samples) in [-1, 1].
        levels: Levels (count, bins, frames) in [0, 1].
        titles: A title for each.
        path: The file.

    Raises:
        InputError: The file cannot be written.

    """
    wide, high, gap, text = 384, 96, 8, 18
    font = ImageFont.load_default(12)
    size = (gap + len(waveforms) * (wide + gap), text + high + gap + 2 * 129 + gap)
    sheet, canvas = _sheet(*size)
    waveforms = waveforms.detach().cpu()
    for column, title in enumerate(titles):
        left = gap + column * (wide + gap)
        canvas.text((left, 1), title, fill=_INK, font=font)
        _trace(canvas, waveforms[column], (left, text), (wide, high))
        heat = Image.fromarray(heat_map(levels[column])).resize((wide, 2 * 129))
        sheet.paste(heat, (left, text + high + gap))
    save_image(sheet, path)


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


def sound_panel(spectrogram: Tensor, *, wide: int = 1) -> Panel:
    """A spectrogram (bands, frames) in [0, 1] as a panel, ``wide`` times as wide as it is high."""
    return np.asarray(Image.fromarray(heat_map(spectrogram)).resize((wide * CELL, CELL)))


def image_panel(images: Tensor) -> Panel:
    """Images (count, 28, 28) in [0, 1] side by side, as one panel."""
    strip = Image.fromarray(_to_bytes(side_by_side(images)))
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


def _to_bytes(picture: Tensor) -> NDArray[np.uint8]:
    levels = picture.detach().cpu().float().clamp(0, 1)
    return np.asarray((levels * 255).round().to(torch.uint8))


def _enlarge(image: Image.Image, scale: int) -> Image.Image:
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def _sheet(wide: int, high: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (wide, high), _BACKGROUND)
    return sheet, ImageDraw.Draw(sheet)
