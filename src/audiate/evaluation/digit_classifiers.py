"""Accuracy of the classifiers of written and of spoken digits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table
from torch import Tensor

from audiate.data.digits import load_mnist
from audiate.data.sources import SPEAKERS
from audiate.evaluation.classifying import read_digits
from audiate.evaluation.clips import read_validation, speaker_clips
from audiate.evaluation.trained import TrainingPlace, recipe_of
from audiate.metrics.classification import Score, in_percent, mean_interval, mean_of, score_of
from audiate.models.lenet import LeNet
from audiate.models.resnet import DigitClassifier
from audiate.training.recipes.classifiers import DigitClassifierRecipe
from audiate.utils.batching import in_batches
from audiate.utils.reports import Report, confusion_table, make_table

VALIDATION = "Speech Commands validation"
"""Name of the test on the Speech Commands validation clips."""


@dataclass(frozen=True)
class WrittenClassifierReport(Report):
    """Accuracy of LeNet-5 on the MNIST test images.

    Attributes:
        model: Name of the model.
        score: Accuracy on the images.
        n: Number of images.

    """

    model: str
    score: Score
    n: int

    def values(self) -> Mapping[str, Any]:
        """Return the keys `accuracy`, `per_digit`, `n` and more."""
        per_digit = {str(digit): value for digit, value in enumerate(self.score.per_digit)}
        return {"model": self.model, **vars(self.score), "per_digit": per_digit, "n": self.n}

    def parts(self) -> Iterator[Table | str]:
        """Return the accuracy and the confusion table."""
        yield f"{self.model}: accuracy {self.score.in_percent()} % on {self.n:,} test images"
        yield confusion_table([self.score.confusion], "MNIST test images")


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
    score = score_of(read_digits(model, images.float() / 255), labels)
    return WrittenClassifierReport(name, score, len(labels))


@dataclass(frozen=True)
class SpokenClassifierReport(Report):
    """Accuracy of the classifier of spoken digits on held-out speakers.

    Attributes:
        model: Name of the model.
        scores: Score in each test. A test is `VALIDATION`, with intervals over speakers, or a
            speaker of FSDD whom a training of the recipe was done without, with intervals over
            that speaker's recordings.

    """

    model: str
    scores: Mapping[str, Score]

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the tests."""
        return mean_of([score.accuracy for score in self.scores.values()])

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the mean, over the speakers where each test is of one."""
        return mean_interval(list(self.scores.values()))

    @property
    def n(self) -> int:
        """Number of clips."""
        return sum(score.count for score in self.scores.values())

    def values(self) -> Mapping[str, Any]:
        """Return the keys `accuracy`, which is the mean over tests, `n`, `tests` and more."""
        scores = self.scores.items()
        return {
            "model": self.model,
            "accuracy": self.accuracy,
            "accuracy_interval": self.accuracy_interval,
            "n": self.n,
            "tests": {test: {"n": score.count, **vars(score)} for test, score in scores},
        }

    def parts(self) -> Iterator[Table | str]:
        """Return the scores and the confusion table."""
        table = make_table(
            f"{self.model}: accuracy (%) on held-out speakers",
            *("test", "clips", "accuracy", "mean of digits"),
            digits=True,
        )
        for test, score in self.scores.items():
            cells = score.in_percent(), *score.digits_in_percent()
            table.add_row(test, str(score.count), *cells)
        if len(self.scores) > 1:
            mean = in_percent(self.accuracy, self.accuracy_interval)
            table.add_row("mean", str(self.n), mean, "")
        yield table
        yield confusion_table([s.confusion for s in self.scores.values()], "spoken digits")


def evaluate_spoken_classifier(
    name: str, model: DigitClassifier, root: Path
) -> SpokenClassifierReport:
    """Score the classifier on the Speech Commands validation clips that are for reports.

    Raises:
        InputError: The data is missing or damaged.

    """
    size = model.sample_rate, model.num_samples
    waveforms, labels, voices = read_validation(root, *size, "reports")
    score = _score(model, waveforms, labels, voices)
    return SpokenClassifierReport(name, {VALIDATION: score})


def evaluate_without_speakers(
    name: str, model: DigitClassifier, place: TrainingPlace
) -> SpokenClassifierReport:
    """Train the classifier's recipe without each speaker of FSDD, and test it on that speaker.

    Args:
        name: Name of the model, for the report.
        model: The classifier, which names its recipe.
        place: The data folder, and where the classifiers are trained.

    Raises:
        InputError: The data is missing, or the recipe is not known.
        Interrupted: A training was stopped by a signal, after its state was saved.

    """
    recipe = recipe_of(model, name, DigitClassifierRecipe)
    scores: dict[str, Score] = {}
    for speaker in SPEAKERS:
        other = replace(recipe, held_out_speaker=speaker)
        _, classifier = place.train_variant(model, other, DigitClassifier)
        size = classifier.sample_rate, classifier.num_samples
        waveforms, labels = speaker_clips(place.root, *size, speaker)
        scores[speaker] = _score(classifier, waveforms, labels)
    return SpokenClassifierReport(name, scores)


def _score(
    model: DigitClassifier, waveforms: Tensor, labels: Tensor, voices: Tensor | None = None
) -> Score:
    logits = in_batches(model, waveforms, 50, "classifying clips", model.device)
    return score_of(logits.argmax(1), labels, voices)
