"""Random changes to images of one thing on black: another hand, pen, place, camera."""

from __future__ import annotations

from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

_ANGLE = 15 / 180 * pi
_SHEAR = 0.2
_STRETCH = 0.15  # largest change of width and of height
_SHIFT = 0.11  # largest shift, as a share of half the image: 1.5 of 28 pixels
_THICKER, _THINNER = 0.25, 0.15  # shares of images whose strokes change their width
_CONTRAST = (0.6, 1.6)  # exponents of the grey levels
_NOISE = 0.08  # largest deviation of noise


def changed_images(images: Tensor) -> Tensor:
    """Change each of the images (batch, height, width) in [0, 1], white on black, at random."""
    batch = len(images)
    seen = F.grid_sample(
        images.unsqueeze(1),
        F.affine_grid(_placements(batch), [batch, 1, *images.shape[1:]], align_corners=False),
        align_corners=False,
    )
    draw = torch.rand(batch, 1, 1, 1)
    thick = F.max_pool2d(F.pad(seen, (0, 1, 0, 1)), 2, 1)
    thin = -F.max_pool2d(-F.pad(seen, (0, 1, 0, 1)), 2, 1)
    seen = torch.where(draw < _THICKER, thick, seen)
    seen = torch.where(draw > 1 - _THINNER, torch.lerp(seen, thin, 0.7), seen)
    low, high = _CONTRAST
    seen = seen.clamp(0, 1) ** (low * (high / low) ** torch.rand(batch, 1, 1, 1))
    noise = torch.randn_like(seen) * _NOISE * torch.rand(batch, 1, 1, 1)
    return (seen + noise).clamp(0, 1).squeeze(1)


def _placements(batch: int) -> Tensor:
    """Random affine maps (batch, 2, 3): rotated, sheared, stretched and shifted a little."""
    angle, shear = _uniform(batch) * _ANGLE, _uniform(batch) * _SHEAR
    wide, high = 1 + _uniform(batch) * _STRETCH, 1 + _uniform(batch) * _STRETCH
    cos, sin = angle.cos(), angle.sin()
    rows = (
        torch.stack([wide * cos, wide * (shear * cos - sin), _uniform(batch) * _SHIFT], 1),
        torch.stack([high * sin, high * (shear * sin + cos), _uniform(batch) * _SHIFT], 1),
    )
    return torch.stack(rows, 1)


def _uniform(batch: int) -> Tensor:
    return 2 * torch.rand(batch) - 1
