"""Accuracy and diversity of the images that audio-to-image models draw for the test pairs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from rich.table import Table
from torch import Tensor

from audiate.data.pairs import PairedDigits, load_pairs
from audiate.data.sources import SPEAKERS
from audiate.evaluation.classifying import read_digits
from audiate.evaluation.diversity import (
    Diversity,
    embed,
    mean_diversity,
    measure_digits,
    measure_train_images,
)
from audiate.evaluation.noise import NoiseReport, evaluate_speaker
from audiate.evaluation.trained import TrainingPlace, recipe_of
from audiate.metrics.classification import Score, in_percent, mean_interval, mean_of, score_of
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.lenet import LeNet
from audiate.training.recipes.drawing import DrawingRecipe
from audiate.utils.batching import in_batches
from audiate.utils.progress import working
from audiate.utils.reports import Report, confusion_table, make_table

_BATCH = 500


@dataclass(frozen=True)
class DrawingReport:
    """Scores of the images that one model draws for the test pairs.

    Attributes:
        model: Name of the model.
        test: Name of the split that the test recordings come from.
        mean: Accuracy of LeNet-5 on the one best image of each recording.
        sampled: Accuracy of LeNet-5 on sampled images.
        diversity: Comparison of the sampled images with the MNIST test images.
        diversity_per_digit: The same comparison for each digit from 0 to 9.
        n: Number of test pairs. An image is drawn for each.
        recordings: Number of distinct recordings in the test pairs.

    """

    model: str
    test: str
    mean: Score
    sampled: Score
    diversity: Diversity
    diversity_per_digit: list[Diversity]
    n: int
    recordings: int


@dataclass(frozen=True)
class AudioToImageReport(Report):
    """Scores of one model, or of several trainings of its recipe, and their mean.

    Attributes:
        protocol: ``paper`` or ``speakers``.
        classifier: Name of the LeNet-5 that reads the drawings.
        reports: One report for each model.
        real_train: The same measures of as many MNIST train images, the best that can be expected.
        real_train_per_digit: The same measures of the train images of each digit from 0 to 9.
        noise: Accuracy with noise, for each model that was trained without a speaker.

    """

    protocol: Literal["paper", "speakers"]
    classifier: str
    reports: Sequence[DrawingReport]
    real_train: Diversity
    real_train_per_digit: Sequence[Diversity]
    noise: Sequence[NoiseReport] = ()

    def values(self) -> Mapping[str, Any]:
        """Return means over the models, such as `lenet_accuracy_mean`, then all reports."""
        return {
            "protocol": self.protocol,
            "classifier": self.classifier,
            "lenet_accuracy_mean": mean_of([r.mean.accuracy for r in self.reports]),
            "lenet_accuracy_mean_interval": mean_interval([r.mean for r in self.reports]),
            "lenet_accuracy_sampled": mean_of([r.sampled.accuracy for r in self.reports]),
            "lenet_accuracy_sampled_interval": mean_interval([r.sampled for r in self.reports]),
            **vars(mean_diversity([r.diversity for r in self.reports])),
            "real_train": self.real_train,
            "per_digit": {str(digit): self._digit_values(digit) for digit in range(10)},
            "n": self.reports[0].n,
            "runs": self.reports,
            "noise": self.noise,
        }

    def _digit_values(self, digit: int) -> dict[str, object]:
        return {
            "mean": mean_of([r.mean.per_digit[digit] for r in self.reports]),
            "sampled": mean_of([r.sampled.per_digit[digit] for r in self.reports]),
            **vars(mean_diversity([r.diversity_per_digit[digit] for r in self.reports])),
            "real_train": self.real_train_per_digit[digit],
        }

    def parts(self) -> Iterator[Table | str]:
        """Return tables of accuracy, diversity, noise and confusion."""
        yield self._accuracy_table()
        yield self._diversity_table()
        yield from (report.table() for report in self.noise)
        yield confusion_table([r.sampled.confusion for r in self.reports], "sampled images")
        yield (
            f"An image is drawn for each of {self.reports[0].n:,} test pairs. Brackets hold the "
            f"95 % bootstrap interval over recordings, of a mean over models that over models, or "
            f"speakers. Distances and neighbours are measured in "
            f"the features of LeNet-5, against the test images. A single digit has few images, "
            f"which makes its Fréchet distance larger."
        )

    def _accuracy_table(self) -> Table:
        table = make_table(
            f"LeNet-5 accuracy (%), protocol {self.protocol}, classifier {self.classifier}",
            *("model", "test recordings", "best image", "sampled images"),
        )
        for report in self.reports:
            recordings = f"{report.recordings} ({report.test})"
            best, sampled = report.mean.in_percent(), report.sampled.in_percent()
            table.add_row(report.model, recordings, best, sampled)
        if len(self.reports) > 1:
            worst = min(self.reports, key=lambda report: report.sampled.accuracy)
            for label, pick in (("mean", self.reports), ("worst", [worst])):
                columns = ([r.mean for r in pick], [r.sampled for r in pick])
                means = [mean_of([score.accuracy for score in column]) for column in columns]
                intervals = map(mean_interval, columns)
                table.add_row(label, "", *map(in_percent, means, intervals))
        return table

    def _diversity_table(self) -> Table:
        measures = (field.name.replace("_", " ") for field in fields(Diversity))
        table = make_table("Sampled images against the MNIST test images", "", *measures)
        rows = [(report.model, report.diversity) for report in self.reports]
        if len(self.reports) > 1:
            rows.append(("mean", mean_diversity([report.diversity for report in self.reports])))
        else:
            rows += _digit_rows(self.reports[0].diversity_per_digit)
        rows.append(("real train images", self.real_train))
        if len(self.reports) == 1:
            rows += _digit_rows(self.real_train_per_digit)
        for name, diversity in rows:
            table.add_row(name, *(f"{value:.3f}" for value in astuple(diversity)))
        return table


def _digit_rows(diversities: Sequence[Diversity]) -> list[tuple[str, Diversity]]:
    return [(f"  only {digit}", diversity) for digit, diversity in enumerate(diversities)]


def evaluate_audio_to_image(
    name: str,
    model: AudioToImageModel,
    classifier_name: str,
    classifier: LeNet,
    place: TrainingPlace,
    *,
    protocol: Literal["paper", "speakers"] = "paper",
    seeds: int = 1,
) -> AudioToImageReport:
    """Score an audio-to-image model, or trainings of its recipe, on the test pairs.

    Args:
        name: Name of the model, for the report.
        model: The model that draws.
        classifier_name: Name of the classifier, for the report.
        classifier: The LeNet-5 that reads the drawings.
        place: The data folder, and where further models are trained.
        protocol: ``paper`` scores the model on the split that it was trained with. ``speakers``
            trains its recipe without each speaker in turn, and tests on that speaker, with noise as
            well.
        seeds: With ``paper``, the number of trainings in all. Their seeds follow one another.

    Raises:
        InputError: The data is missing, or the recipe is not known.
        Interrupted: A training was stopped by a signal, after its state was saved.

    """
    recipe = recipe_of(model, name, DrawingRecipe)
    speakers = SPEAKERS if protocol == "speakers" else ()
    others = [replace(recipe, held_out_speaker=who) for who in speakers]
    if not speakers:
        others = [replace(recipe, seed=recipe.seed + offset) for offset in range(1, seeds)]
    models = [] if speakers else [(name, model)]
    models += [place.train_variant(model, each, AudioToImageModel) for each in others]
    noise = [
        evaluate_speaker(label, each, classifier, speaker, place.root)
        for label, each in models
        if (speaker := recipe_of(each, label, DrawingRecipe).held_out_speaker)
    ]
    reports = [
        evaluate_drawings(label, each, classifier, read_test_pairs(label, each, place.root))
        for label, each in models
    ]
    real = measure_train_images(classifier, place.root)
    return AudioToImageReport(protocol, classifier_name, reports, *real, noise)


HeldOutPairs = tuple[PairedDigits, DrawingRecipe]
"""Pairs whose recordings a training left out, and the recipe of the training."""


def read_test_pairs(name: str, model: AudioToImageModel, root: Path) -> HeldOutPairs:
    """Read the pairs whose recordings a model's training left out.

    Args:
        name: Name of the model, for messages.
        model: The model, which names its recipe.
        root: Data folder.

    Raises:
        InputError: The data is missing, or the recipe is not known.

    """
    recipe = recipe_of(model, name, DrawingRecipe)
    rate, speaker = model.features.config.sample_rate, recipe.held_out_speaker
    with working("reading the test pairs"):
        pairs = load_pairs(root, sample_rate=rate, seed=recipe.seed, held_out_speaker=speaker)
    return pairs, recipe


@torch.inference_mode()
def evaluate_drawings(
    name: str, model: AudioToImageModel, classifier: LeNet, test: HeldOutPairs
) -> DrawingReport:
    """Draw an image for each test pair, classify it, and compare the images with MNIST.

    Args:
        name: Name of the model, for the report.
        model: The model that draws.
        classifier: The LeNet-5 that reads the drawings.
        test: The test pairs.

    """
    pairs, recipe = test
    recording, labels = pairs.test.heard, pairs.test_labels
    spectrograms = model.features.many(pairs.test.recordings)
    # The best image is the same for all pairs of a recording.
    best = read_digits(classifier, model.mean_images(spectrograms))[recording]
    generator = torch.Generator().manual_seed(recipe.seed)

    def draw(index: Tensor) -> Tensor:
        return model.sample_images(spectrograms[index], 1, generator=generator)[:, 0]

    images = in_batches(draw, recording, _BATCH, "drawing the test pairs")
    real = embed(classifier, pairs.test.images.float() / 255, labels)
    found = measure_digits(real, embed(classifier, images, labels))
    speaker = recipe.held_out_speaker
    return DrawingReport(
        model=name,
        test=f"speaker {speaker}" if speaker else f"split {recipe.seed}",
        mean=score_of(best, labels, recording),
        sampled=score_of(read_digits(classifier, images), labels, recording),
        diversity=found.overall,
        diversity_per_digit=found.per_digit,
        n=len(recording),
        recordings=len(torch.unique(recording)),
    )


@torch.inference_mode()
def draw_examples(model: AudioToImageModel, test: HeldOutPairs, count: int) -> Tensor:
    """Draw one test recording of each digit from 0 to 9: images (count, 10, 28, 28)."""
    pairs, recipe = test
    firsts = [int((pairs.test_labels == digit).nonzero()[0]) for digit in range(10)]
    recordings = [pairs.test.recordings[index] for index in pairs.test.heard[firsts].tolist()]
    generator = torch.Generator().manual_seed(recipe.seed)
    spectrograms = model.features.many(recordings)
    return model.sample_images(spectrograms, count, generator=generator).transpose(0, 1).cpu()
