"""Evaluation of drawers on recordings of voices that they have not heard, clean and with noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from audiate.audio.files import add_noise
from audiate.data.digits import (
    LabelledRecordings,
    load_fsdd,
    load_validation_words,
    read_clips,
    split_by_speaker,
)
from audiate.evaluation.written_digits import read_digits
from audiate.metrics.classification import Score, mean_of, score_of
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.lenet import LeNet
from audiate.utils.progress import tracked, working
from audiate.utils.reports import add_digit_columns, confusion_table, dump, make_table, render

NOISE_DB = (20, 10, 0)
"""Ratios of signal to noise, in dB, that are tested beside clean sound."""

_BATCH = 500
_DRAWINGS = 4  # of each recording


@dataclass(frozen=True)
class NoiseReport:
    """Accuracy of LeNet-5 on drawings of recordings, clean and with noise.

    Attributes:
        model: Name of the drawer.
        test: Name of the recordings.
        counts: Number of recordings of each digit from 0 to 9.
        mean: Score of the one best image of each recording, by condition. A condition is "clean",
            or the ratio of signal to noise, such as "20 dB".
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
            f"{self.model}: LeNet-5 accuracy (%) on {self.test}", "noise", "images", "all"
        )
        table.add_column("mean of digits", justify="right")
        add_digit_columns(table)
        table.add_row("", "clips", f"{sum(self.counts)}", "", *map(str, self.counts))
        for kind, scores in (("best", self.mean), ("sampled", self.sampled)):
            for condition, score in scores.items():
                table.add_row(condition, kind, score.in_percent(), *score.digits_in_percent())
        return table


@dataclass(frozen=True)
class VoicesReport:
    """Accuracy on drawings of the Speech Commands validation clips.

    Attributes:
        classifier: Name of the LeNet-5 that reads the drawings.
        report: The scores.

    """

    classifier: str
    report: NoiseReport

    def to_json(self) -> str:
        """Return `lenet_accuracy_mean` and `lenet_accuracy_sampled` of clean clips, then all."""
        report = self.report
        clean = report.sampled["clean"]
        return dump(
            {
                "protocol": "voices",
                "classifier": self.classifier,
                "lenet_accuracy_mean": report.mean["clean"].accuracy,
                "lenet_accuracy_sampled": clean.accuracy,
                "lenet_accuracy_sampled_mean_over_digits": mean_of(clean.per_digit),
                "n": sum(report.counts),
                **asdict(report),
            }
        )

    def to_text(self) -> str:
        """Return the scores and the confusion table of the clean clips."""
        confusion = torch.tensor(self.report.sampled["clean"].confusion)
        return render(self.report.table(), confusion_table(confusion, "sampled images, clean"))


def evaluate_noise(
    name: str, model: AudioToImageModel, classifier: LeNet, test: str, words: LabelledRecordings
) -> NoiseReport:
    """Draw recordings, clean and with white noise, and read the drawings.

    Args:
        name: Name of the drawer, for the report.
        model: The drawer.
        classifier: The LeNet-5 that reads the drawings.
        test: Name of the recordings, for the report.
        words: The recordings, at the drawer's sample rate, and their digits.

    """
    conditions: dict[str, Sequence[Tensor]] = {"clean": words.recordings}
    for ratio in NOISE_DB:
        generator = torch.Generator().manual_seed(ratio)
        conditions[f"{ratio} dB"] = [
            add_noise(recording, ratio, generator=generator) for recording in words.recordings
        ]
    mean, sampled = {}, {}
    groups = torch.arange(len(words.labels))
    for condition, recordings in conditions.items():
        best, drawn = _draw(model, recordings, condition)
        mean[condition] = score_of(read_digits(classifier, best), words.labels, groups)
        sampled[condition] = score_of(
            read_digits(classifier, drawn),
            words.labels.repeat_interleave(_DRAWINGS),
            groups.repeat_interleave(_DRAWINGS),
        )
    counts = torch.bincount(words.labels, minlength=10).tolist()
    return NoiseReport(name, test, counts, mean, sampled)


@torch.inference_mode()
def _draw(
    model: AudioToImageModel, recordings: Sequence[Tensor], condition: str
) -> tuple[Tensor, Tensor]:
    """Return the best image (count, 28, 28) of each recording, and `_DRAWINGS` samples of each."""
    spectrograms = model.features.many(recordings)
    generator = torch.Generator().manual_seed(0)
    drawn = [
        model.sample_images(part, _DRAWINGS, generator=generator).flatten(0, 1).cpu()
        for part in tracked(
            torch.split(spectrograms, _BATCH // _DRAWINGS), f"drawing recordings, {condition}"
        )
    ]
    best = [model.mean_images(part).cpu() for part in torch.split(spectrograms, _BATCH)]
    return torch.cat(best), torch.cat(drawn)


def evaluate_speaker(
    name: str, model: AudioToImageModel, classifier: LeNet, speaker: str, root: Path
) -> NoiseReport:
    """Draw and read all recordings of a speaker of FSDD whom the model was trained without.

    Raises:
        InputError: The data is missing or damaged.

    """
    _, clips = split_by_speaker(load_fsdd(root), speaker)
    with working(f"reading speaker {speaker}"):
        words = read_clips(clips, model.features.config.sample_rate)
    return evaluate_noise(name, model, classifier, f"speaker {speaker}", words)


def evaluate_voices(
    name: str, model: AudioToImageModel, classifier: LeNet, root: Path
) -> NoiseReport:
    """Draw and read the Speech Commands validation clips.

    Raises:
        InputError: The data is missing or damaged.

    """
    with working("reading validation clips"):
        words = load_validation_words(root, model.features.config.sample_rate)
    return evaluate_noise(name, model, classifier, "Speech Commands validation clips", words)
