"""Diversity of drawings, in comparison with the MNIST test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from audiate.data.digits import load_mnist
from audiate.metrics.classification import mean_of
from audiate.metrics.distribution import frechet_distance, neighbourhoods, pixel_spread
from audiate.models.lenet import LeNet
from audiate.utils.batching import in_batches
from audiate.utils.progress import tracked


@dataclass(frozen=True)
class Diversity:
    """Comparison of images with the MNIST test images, in the features of LeNet-5.

    The features are the outputs of its last convolution.

    Attributes:
        frechet_distance: Fréchet distance of the Gaussians fitted to both sets; 0 is best.
        precision: Share of the images that are near a real one (Kynkäänniemi et al. 2019).
        recall: Share of the real images that are near one of the images (the same source).
        density: Number of real neighbourhoods that an image lies in, relative to its expectation
            (Naeem et al. 2020); about 1 for real images.
        coverage: Share of the real images with an image in their neighbourhood (the same source).
        pixel_spread: Standard deviation of a pixel within a digit, in grey levels from 0 to 1.

    """

    frechet_distance: float
    precision: float
    recall: float
    density: float
    coverage: float
    pixel_spread: float


class DigitDiversities(NamedTuple):
    """Diversity of all images, and of the images of each digit from 0 to 9."""

    overall: Diversity
    per_digit: list[Diversity]


class EmbeddedImages(NamedTuple):
    """Images with their digits and features.

    Attributes:
        images: (count, 28, 28) in [0, 1].
        labels: Digits (count,), int64.
        features: Features of LeNet-5, (count, 120).

    """

    images: Tensor
    labels: Tensor
    features: Tensor

    def of_digit(self, digit: int) -> EmbeddedImages:
        """Return the images of one digit."""
        own = self.labels == digit
        return EmbeddedImages(*(part[own] for part in self))


def embed(classifier: LeNet, images: Tensor, labels: Tensor) -> EmbeddedImages:
    """Compute the features of images (count, 28, 28) in [0, 1] of digits ``labels`` (count,)."""
    features = in_batches(classifier.embed, images, 500, "embedding images", classifier.device)
    return EmbeddedImages(images, labels, features)


def measure(real: EmbeddedImages, drawn: EmbeddedImages) -> Diversity:
    """Compare drawings with real images."""
    return Diversity(
        frechet_distance(real.features, drawn.features),
        *neighbourhoods(real.features, drawn.features),
        pixel_spread(drawn.images, drawn.labels),
    )


def measure_digits(
    real: EmbeddedImages, drawn: EmbeddedImages, same_counts: EmbeddedImages | None = None
) -> DigitDiversities:
    """Compare drawings with real images, all together and digit by digit.

    Args:
        real: The real images.
        drawn: The drawings.
        same_counts: Drawings for the comparison digit by digit, as many of each digit as there are
            real ones. By default, these are ``drawn``.

    """
    by_digit = same_counts or drawn
    pairs = [(real, drawn), *((real.of_digit(d), by_digit.of_digit(d)) for d in range(10))]
    costs = [len(one.labels) * len(other.labels) for one, other in pairs]
    found = [measure(*pair) for pair in tracked(pairs, "comparing with real images", weights=costs)]
    return DigitDiversities(found[0], found[1:])


def mean_diversity(diversities: Sequence[Diversity]) -> Diversity:
    """Return the mean of each measure."""
    columns = zip(*(astuple(each) for each in diversities), strict=True)
    return Diversity(*(mean_of(values) for values in columns))


def measure_train_images(classifier: LeNet, root: Path) -> DigitDiversities:
    """Measure MNIST train images as if they were drawings, as a bound for what can be expected.

    As many train images are chosen at random as there are test images.

    Args:
        classifier: The classifier whose features are compared.
        root: Data folder.

    Raises:
        InputError: The data is missing or damaged.

    """
    train, test = load_mnist(root, "train"), load_mnist(root, "test")
    order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(test.labels, minlength=10).tolist()
    of_digits = [order[train.labels[order] == digit][:count] for digit, count in enumerate(counts)]
    some, same_counts = (
        embed(classifier, train.images[rows].float() / 255, train.labels[rows])
        for rows in (order[: len(test.labels)], torch.cat(of_digits))
    )
    real = embed(classifier, test.images.float() / 255, test.labels)
    return measure_digits(real, some, same_counts)
