"""Evaluation of the classifier of written digits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiate.data.digits import load_mnist
from audiate.metrics.classification import Score, score_of
from audiate.models.lenet import LeNet
from audiate.utils.progress import tracked
from audiate.utils.reports import confusion_table, dump, render

_BATCH = 500


@dataclass(frozen=True)
class WrittenClassifierReport:
    """Accuracy of LeNet-5 on the MNIST test images.

    Attributes:
        model: Name of the model.
        score: Accuracy on the images.
        n: Number of images.

    """

    model: str
    score: Score
    n: int

    def to_json(self) -> str:
        """Return the keys `accuracy`, `per_digit`, `n` and more."""
        per_digit = {str(digit): value for digit, value in enumerate(self.score.per_digit)}
        return dump(
            {"model": self.model, **asdict(self.score), "per_digit": per_digit, "n": self.n}
        )

    def to_text(self) -> str:
        """Return the accuracy and the confusion table."""
        line = f"{self.model}: accuracy {self.score.in_percent()} % on {self.n:,} test images"
        return render(
            line, confusion_table(torch.tensor(self.score.confusion), "MNIST test images")
        )


def evaluate_written_classifier(name: str, model: LeNet, root: Path) -> WrittenClassifierReport:
    """Score LeNet-5 on the 10,000 MNIST test images.

    Args:
        name: Name of the model, for the report.
        model: The model.
        root: Data folder.

    Raises:
        InputError: The data is missing or damaged.

    """
    images, labels = load_mnist(root, "test")
    read = read_digits(model, images.float() / 255)
    return WrittenClassifierReport(
        name, score_of(read, labels, torch.arange(len(labels))), len(labels)
    )


@torch.inference_mode()
def read_digits(classifier: LeNet, images: Tensor) -> Tensor:
    """Return the digits (count,), on the CPU, that are read in images (count, 28, 28) in [0, 1]."""
    parts = tracked(torch.split(images, _BATCH), "reading images")
    return torch.cat([classifier(part.to(classifier.device)).argmax(1).cpu() for part in parts])


@torch.inference_mode()
def embed_images(classifier: LeNet, images: Tensor) -> Tensor:
    """Return the features (count, 120), on the CPU, of images (count, 28, 28) in [0, 1]."""
    parts = tracked(torch.split(images, _BATCH), "embedding images")
    return torch.cat([classifier.embed(part.to(classifier.device)).cpu() for part in parts])
