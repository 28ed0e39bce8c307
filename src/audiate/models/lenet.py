"""LeNet-5, the classifier of drawn digits."""

from functools import cache
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.data.images import Picture, shrink
from audiate.data.written_digits import FoundDigits, find_digits
from audiate.errors import InputError
from audiate.models.configs import LeNetConfig
from audiate.models.hub import WRITTEN_CLASSIFIER
from audiate.models.pretrained import PretrainedModel, load
from audiate.utils.progress import counted


class LeNet(PretrainedModel):
    """LeNet-5 with ReLU and max pooling: 61,706 parameters.

    Source: Żelaszczyk 2020, table "LeNet5". The table swaps kernel size and stride; the standard
    reading (5x5 kernels, stride 1; 6, 16 and 120 channels) is the one that ends in a flat 120.
    """

    model_type: ClassVar[str] = "lenet"
    config_class: ClassVar[type] = LeNetConfig
    pipeline_tag: ClassVar[str] = "image-classification"
    refusal: ClassVar[str] = f"reads no drawings; {WRITTEN_CLASSIFIER} does"

    def __init__(self, config: LeNetConfig | None = None) -> None:
        super().__init__(config)
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 120, 5),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words."""
        return "image 28x28 → 10 digits"

    def embed(self, images: Tensor) -> Tensor:
        """Features (batch, 120), at least 0, of images (batch, 28, 28) in [0, 1], white on black.

        The output of the last convolution, after its ReLU.
        """
        padded = F.pad(images.unsqueeze(1), (2, 2, 2, 2))
        features: Tensor = self.features(padded)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, 10) of images (batch, 28, 28) in [0, 1], white on black."""
        logits: Tensor = self.classifier(self.embed(images))
        return logits


def find_digit(picture: Picture) -> Tensor:
    """Find the one digit in a picture, by `find_digits` and the largest logit of LeNet-5.

    Returns:
        (28, 28), float32 in [0, 1], white on black.

    Raises:
        InputError: As `find_digits`, or the picture holds several digits.

    """
    return only_digit(find_every_digit(picture)).images[0]


def only_digit(found: FoundDigits) -> FoundDigits:
    """Make sure that one digit was found, and return it.

    Raises:
        InputError: There are several.

    """
    if len(found.images) > 1:
        marks = f" and {counted(found.others, 'other mark')}" if found.others else ""
        raise InputError(
            f"the picture holds {len(found.images)} digits{marks}; cut it into pictures of one "
            "each, or say them all by `audiate say --all`"
        )
    return found


def find_every_digit(picture: Picture) -> FoundDigits:
    """Find all digits in a picture, by `find_digits` and the largest logit of LeNet-5.

    Raises:
        InputError: As `find_digits`.

    """
    return find_digits(picture, _score)


@torch.inference_mode()
def read_digits(images: Tensor) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The digits that the shipped LeNet-5 reads in images (images, 28, 28), and probabilities."""
    chances, digits = _reader()(images).softmax(1).max(1)
    return tuple(digits.tolist()), tuple(round(chance, 4) for chance in chances.tolist())


def see_picture(picture: Picture, kind: Literal["digits", "whole"]) -> Tensor:
    """Bring a picture to the image (28, 28) in [0, 1] that a network takes.

    Args:
        picture: The picture.
        kind: ``digits``: by `find_digit`. ``whole``: by `audiate.data.images.shrink`.

    Raises:
        InputError: As for these functions.

    """
    return find_digit(picture) if kind == "digits" else shrink(picture)


@torch.inference_mode()
def _score(images: Tensor) -> Tensor:
    logits: Tensor = _reader()(images)
    return logits.amax(1)


@cache
def _reader() -> LeNet:
    return load(WRITTEN_CLASSIFIER, LeNet)
