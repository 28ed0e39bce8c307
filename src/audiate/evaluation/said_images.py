"""Scores of the speech that image-to-audio models make of the MNIST test images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from audiate.data.digits import load_mnist
from audiate.errors import InputError, check_range
from audiate.evaluation.classifying import classify_clips, second_classifier
from audiate.evaluation.generators import judge_scored
from audiate.evaluation.independent import MOST_JUDGED, JudgeTable, number_judged
from audiate.evaluation.sound_scores import (
    SoundScores,
    SoundsToScore,
    score_sounds,
    sound_tables,
    sounds_note,
)
from audiate.metrics.classification import Score, score_of
from audiate.metrics.reconstruction import classifier_input
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.utils.progress import tracked
from audiate.utils.reports import Report, confusion_table, make_table

DEFAULT_COUNT = 1_000
"""Number of MNIST's test images that are said by default."""

_BATCH = 25


@dataclass(frozen=True)
class ImageToAudioReport(Report):
    """Scores of what a model says of the MNIST test images.

    Attributes:
        model: Name of the model.
        classifier: Name of the classifier of spoken digits.
        n: Number of images, each of which is said once.
        score: Score by the classifier of spoken digits.
        second_classifier: Score by LeNet-5 on drawings of the sounds.
        sounds: Scores of what is said, and of real train and validation clips.
        judges: Scores by judges that audiate did not train, or None.

    """

    model: str
    classifier: str
    n: int
    score: Score
    second_classifier: Score
    sounds: Sequence[SoundScores]
    judges: JudgeTable | None

    @property
    def inception_ratio(self) -> float:
        """Inception Score of what is said, over that of real train clips."""
        return self.sounds[0].inception.mean / self.sounds[1].inception.mean

    def values(self) -> Mapping[str, Any]:
        """Return `accuracy`, `second_classifier_accuracy`, `inception_ratio` and more, then all."""
        said = self.sounds[0]
        return {
            "accuracy": self.score.accuracy,
            "second_classifier_accuracy": self.second_classifier.accuracy,
            "inception_score": said.inception.mean,
            "inception_ratio": self.inception_ratio,
            "frechet_distance": said.frechet_distance,
            **vars(self),
        }

    def parts(self) -> Iterator[Table | str]:
        """Return tables of the judges, of accuracy, of the sounds, and of confusion."""
        if self.judges is not None:
            yield from self.judges.parts()
        table = make_table(
            f"{self.model}: accuracy (%) on {self.n:,} MNIST test images that are said",
            *("classifier", "accuracy", "mean of digits"),
            digits=True,
        )
        second = f"drawn by {DEFAULT_AUDIO_TO_IMAGE}, read by LeNet-5"
        for name, score in ((self.classifier, self.score), (second, self.second_classifier)):
            table.add_row(name, score.in_percent(), *score.digits_in_percent())
        yield table
        yield from sound_tables(f"The sounds, by {self.classifier}", self.sounds)
        yield confusion_table([self.score.confusion], "said, by the classifier")
        yield (
            f"Inception Score over that of real train clips: {self.inception_ratio:.3f}. "
            f"{sounds_note(10)}"
        )


@torch.inference_mode()
def evaluate_image_to_audio(
    name: str,
    model: ImageToAudioModel,
    classifier_name: str,
    classifier: DigitClassifier,
    written_classifier: LeNet,
    root: Path,
    *,
    count: int = DEFAULT_COUNT,
    judged: int = MOST_JUDGED,
) -> ImageToAudioReport:
    """Say MNIST's test images, once each, and score the sounds.

    Arguments are those of `audiate.evaluation.generators.evaluate_generator`, but for
    ``written_classifier``, the LeNet-5 that reads drawings of the sounds, and ``count``, the number
    of test images, of 10,000.

    Raises:
        InputError: The data is missing, or a value is out of range.

    """
    check_range("`count`", count, 100, 10_000)
    judged = number_judged(judged)
    if model.config.pictures != "digits":
        raise InputError(f"{name}: says no digits, and is evaluated on digits alone")
    test = load_mnist(root, "test")
    images, labels = test.images[:count].float() / 255, test.labels[:count]
    waveforms, rate = say_each(model, images), model.sample_rate
    digits = classify_clips(classifier, waveforms, rate).argmax(1)
    second = load(DEFAULT_AUDIO_TO_IMAGE, AudioToImageModel, device=model.device)
    second_digits = second_classifier(second, written_classifier, waveforms, rate)
    said = SoundsToScore("said", classifier_input(waveforms, rate, classifier), labels)
    judges = judge_scored(said, classifier, root, judged)
    sounds = score_sounds([said], classifier, root)
    score, other = score_of(digits, labels), score_of(second_digits.clamp_min(0), labels)
    return ImageToAudioReport(name, classifier_name, count, score, other, sounds, judges)


@torch.inference_mode()
def say_each(model: ImageToAudioModel, images: Tensor, seed: int = 0) -> Tensor:
    """Say each image once, in different voices.

    Args:
        model: The model.
        images: (count, 28, 28) in [0, 1].
        seed: Seed of the voices.

    Returns:
        Waveforms (count, channels, samples), on the CPU.

    """
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(images), 1, model.latent_dim, generator=random)
    parts = list(zip(torch.split(images, _BATCH), torch.split(noise, _BATCH), strict=True))
    weights = [len(part) for part, _ in parts]
    said = [model.say_from(*part) for part in tracked(parts, "saying images", weights=weights)]
    return torch.cat([waveforms[:, 0] for _, waveforms in said])
