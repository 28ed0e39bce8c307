"""Accuracy of audio-to-image models on new speakers, clean and with noise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from audiate.audio.files import add_noise
from audiate.data.digits import (
    LabelledRecordings,
    ValidationPart,
    load_fsdd,
    load_validation_words,
    read_clips,
    split_by_speaker,
)
from audiate.evaluation.classifying import read_digits
from audiate.metrics.classification import Score, score_of
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.lenet import LeNet
from audiate.utils.batching import in_batches
from audiate.utils.progress import working
from audiate.utils.reports import Report, confusion_table, make_table

NOISE_DB = (20, 10, 0)
"""Ratios of signal to noise, in dB, that are tested beside clean sound."""

_BATCH = 500
_DRAWINGS = 4  # of each recording


@dataclass(frozen=True)
class NoiseReport:
    """Accuracy of LeNet-5 on drawings of recordings, clean and with noise.

    Attributes:
        model: Name of the model that draws.
        test: Name of the recordings.
        counts: Number of recordings of each digit from 0 to 9.
        mean: Score of the one best image of each recording, by condition. A condition is "clean",
            or the ratio of signal to noise, such as "20 dB". Intervals are over speakers, or over
            recordings where all are of one speaker.
        sampled: Score of sampled images, by condition.

    """

    model: str
    test: str
    counts: list[int]
    mean: Mapping[str, Score]
    sampled: Mapping[str, Score]

    def table(self) -> Table:
        """Return a row for each condition: the accuracy on all recordings and on each digit."""
        table = make_table(
            f"{self.model}: LeNet-5 accuracy (%) on {self.test}",
            *("noise", "images", "all", "mean of digits"),
            digits=True,
        )
        table.add_row("", "clips", f"{sum(self.counts)}", "", *map(str, self.counts))
        for kind, scores in (("best", self.mean), ("sampled", self.sampled)):
            for condition, score in scores.items():
                table.add_row(condition, kind, score.in_percent(), *score.digits_in_percent())
        return table


@dataclass(frozen=True)
class VoicesReport(Report):
    """Accuracy on drawings of the Speech Commands validation clips.

    Attributes:
        classifier: Name of the LeNet-5 that reads the drawings.
        report: The scores.

    """

    classifier: str
    report: NoiseReport

    def values(self) -> Mapping[str, Any]:
        """Return `lenet_accuracy_mean` and `lenet_accuracy_sampled` of clean clips, then all."""
        clean = self.report.sampled["clean"]
        return {
            "protocol": "voices",
            "classifier": self.classifier,
            "lenet_accuracy_mean": self.report.mean["clean"].accuracy,
            "lenet_accuracy_sampled": clean.accuracy,
            "lenet_accuracy_sampled_mean_over_digits": clean.mean_over_digits,
            "n": sum(self.report.counts),
            **vars(self.report),
        }

    def parts(self) -> Iterator[Table | str]:
        """Return the scores and the confusion table of the clean clips."""
        yield self.report.table()
        yield confusion_table([self.report.sampled["clean"].confusion], "sampled images, clean")


def evaluate_noise(
    name: str, model: AudioToImageModel, classifier: LeNet, test: str, words: LabelledRecordings
) -> NoiseReport:
    """Draw recordings, clean and with white noise, and classify the drawings.

    Args:
        name: Name of the model, for the report.
        model: The model that draws.
        classifier: The LeNet-5 that reads the drawings.
        test: Name of the recordings, for the report.
        words: The recordings, at the model's sample rate, and their digits.

    """
    conditions: dict[str, Sequence[Tensor]] = {"clean": words.recordings}
    for ratio in NOISE_DB:
        generator = torch.Generator().manual_seed(ratio)
        conditions[f"{ratio} dB"] = [
            add_noise(recording, ratio, generator=generator) for recording in words.recordings
        ]
    mean, sampled = {}, {}
    labels = words.labels.repeat_interleave(_DRAWINGS)
    one_speaker = len(torch.unique(words.voices)) == 1
    groups = torch.arange(len(words.labels)) if one_speaker else words.voices
    for condition, recordings in conditions.items():
        best, drawn = _draw(model, recordings, condition)
        mean[condition] = score_of(read_digits(classifier, best), words.labels, groups)
        sampled[condition] = score_of(
            read_digits(classifier, drawn), labels, groups.repeat_interleave(_DRAWINGS)
        )
    counts = torch.bincount(words.labels, minlength=10).tolist()
    return NoiseReport(name, test, counts, mean, sampled)


@torch.inference_mode()
def _draw(
    model: AudioToImageModel, recordings: Sequence[Tensor], condition: str
) -> tuple[Tensor, Tensor]:
    """Draw the best image (count, 28, 28) of each recording, and `_DRAWINGS` samples of each."""
    spectrograms = model.features.many(recordings)
    generator = torch.Generator().manual_seed(0)

    def sampled(part: Tensor) -> Tensor:
        return model.sample_images(part, _DRAWINGS, generator=generator).flatten(0, 1)

    what = f"drawing recordings, {condition}"
    drawn = in_batches(sampled, spectrograms, _BATCH // _DRAWINGS, what, model.device)
    return in_batches(model.mean_images, spectrograms, _BATCH, what, model.device), drawn


def evaluate_speaker(
    name: str, model: AudioToImageModel, classifier: LeNet, speaker: str, root: Path
) -> NoiseReport:
    """Score drawings of all recordings of a speaker of FSDD whom the model was trained without.

    Raises:
        InputError: The data is missing or damaged.

    """
    _, clips = split_by_speaker(load_fsdd(root), speaker)
    with working(f"reading speaker {speaker}"):
        words = read_clips(clips, model.features.config.sample_rate)
    return evaluate_noise(name, model, classifier, f"speaker {speaker}", words)


def evaluate_voices(
    name: str,
    model: AudioToImageModel,
    classifier: LeNet,
    root: Path,
    part: ValidationPart = "reports",
) -> NoiseReport:
    """Score drawings of the Speech Commands validation clips, of those for reports by default.

    Raises:
        InputError: The data is missing or damaged.

    """
    with working("reading validation clips"):
        words = load_validation_words(root, model.features.config.sample_rate, part)
    return evaluate_noise(name, model, classifier, "Speech Commands validation clips", words)
