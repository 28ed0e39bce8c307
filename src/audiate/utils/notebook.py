"""Display images and sounds in a notebook; neither IPython nor Jupyter is needed."""

from __future__ import annotations

import io
import wave
from base64 import b64encode
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.utils.plots import grid, to_bytes


@dataclass(frozen=True)
class Display:
    """Something that a notebook displays, and otherwise is a line of text."""

    text: str
    html: str

    def __repr__(self) -> str:
        """Return the text, on one line."""
        return self.text

    def _repr_html_(self) -> str:
        """The HTML that a notebook displays."""
        return self.html


def show(images: Tensor, *, columns: int = 8, scale: int = 3, colour: bool = False) -> Display:
    """Display images, or latents, in a notebook.

    >>> import torch
    >>> show(torch.rand(8, 28, 28))
    8 images 28x28
    >>> show(torch.linspace(-1, 1, 200).view(2, 100))
    2 latents of 100

    Args:
        images: (height, width) or (..., height, width) in [0, 1], white on black. Or latents
            (count, latent_dim), some of which are negative: each is a row of grey levels, from
            black for the lowest number to white for the highest; 0 is half way.
        columns: Number of images in a row.
        scale: Factor by which they are enlarged.
        colour: The images are (..., 3, height, width).

    Raises:
        InputError: The tensor has another shape, or an argument is out of range.

    """
    check_range("columns", columns, 1, 1000)
    check_range("scale", scale, 1, 100)
    if not isinstance(images, Tensor):
        raise InputError(f"images of {type(images).__name__}: give a tensor (count, height, width)")
    if colour and images.shape[-3:-2] != (3,):
        raise InputError(f"images {tuple(images.shape)}: in colour, give (count, 3, height, width)")
    if images.dim() < 2 or not images.numel() or (images.dim() > 2 and images.shape[-2] == 1):
        raise InputError(
            f"images {tuple(images.shape)}: give a tensor (count, height, width); audiate.play "
            f"plays sounds"
        )
    each = images.detach().cpu().float().reshape(-1, *images.shape[-3 if colour else -2 :])
    height, width = each.shape[-2:]
    text = f"{len(each)} {'image' if len(each) == 1 else 'images'} {height}x{width}"
    if images.dim() == 2 and each.min() < 0:
        text = f"{height} {'latent' if height == 1 else 'latents'} of {width}"
        each = (each / each.abs().max() + 1) / 2
    each = each.clamp(0, 1)
    picture = grid(each, min(columns, len(each)))
    encoded = io.BytesIO()
    Image.fromarray(to_bytes(picture)).save(encoded, format="PNG")
    style = f"width:{picture.shape[-1] * scale}px;image-rendering:pixelated"
    source = _data("image/png", encoded.getvalue())
    return Display(text, f'<img alt="{text}" style="{style}" src="{source}">')


def play(waveforms: Tensor, sample_rate: int) -> Display:
    """Display players of sounds in a notebook.

    >>> import torch
    >>> play(torch.zeros(2, 1, 8000), 8000)
    2 sounds of 1.00 s

    Args:
        waveforms: (samples,), (channels, samples) or (batch, channels, samples) in [-1, 1].
        sample_rate: In Hz.

    Raises:
        InputError: The tensor has another shape, or the sample rate is out of range.

    """
    check_range("sample_rate", sample_rate, 100, 10**7)
    if not 1 <= waveforms.dim() <= 3 or not waveforms.numel():
        shape = tuple(waveforms.shape)
        raise InputError(f"waveforms {shape}: give a tensor (batch, channels, samples)")
    each = waveforms.detach().cpu().float().clamp(-1, 1)
    each = each.reshape(-1, each.shape[-2] if each.dim() > 1 else 1, each.shape[-1])
    players = [
        f'<audio controls src="{_data("audio/wav", _wav(sound, sample_rate))}"></audio>'
        for sound in each
    ]
    sounds = "sound" if len(each) == 1 else "sounds"
    text = f"{len(each)} {sounds} of {each.shape[-1] / sample_rate:.2f} s"
    return Display(text, "<br>".join(players))


def _wav(sound: Tensor, sample_rate: int) -> bytes:
    """A sound (channels, samples) in [-1, 1] as a 16-bit wav file."""
    encoded = io.BytesIO()
    with wave.open(encoded, "wb") as file:
        file.setnchannels(len(sound))
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((sound.T * 32767).round().short().numpy().astype("<i2").tobytes())
    return encoded.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"
