"""MNIST in its published form: gzipped IDX files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiate.datasets.installed import require
from audiate.errors import InputError

_PREFIX = {"train": "train", "test": "t10k"}


class LabelledImages(NamedTuple):
    """Images (count, 28, 28), uint8, white on black, and their digits (count,), int64."""

    images: Tensor
    labels: Tensor


def load_mnist(root: Path, split: Literal["train", "test"]) -> LabelledImages:
    """Read the 60,000 train or 10,000 test images.

    Raises:
        InputError: The files are missing or damaged.

    """
    folder = require("mnist", root)
    prefix = _PREFIX[split]
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    return LabelledImages(images, labels.long())


def _read_idx(path: Path) -> Tensor:
    """Parse an IDX file of bytes: 0, 0, 8, rank, then each size as big-endian uint32."""
    try:
        content = gzip.decompress(path.read_bytes())
        rank = content[3]
        shape = np.frombuffer(content, ">u4", count=rank, offset=4).astype(int).tolist()
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: damaged ({error}); delete it and run `audiate data fetch mnist`"
        ) from error
    return torch.from_numpy(values.copy())
