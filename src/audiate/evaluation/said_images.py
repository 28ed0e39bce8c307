"""Evaluation of models that say images: what is heard of MNIST's test images, by two opinions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiate.data.digits import load_mnist
from audiate.errors import InputError, check_range
from audiate.evaluation.generators import (
    SoundScores,
    SoundsToScore,
    generate_sounds,
    score_sounds,
    sound_tables,
    sounds_note,
)
from audiate.evaluation.inversion_scores import classify_clips, draw_and_read
from audiate.metrics.classification import Score, score_of
from audiate.metrics.reconstruction import classifier_input
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.utils.progress import tracked
from audiate.utils.reports import add_digit_columns, confusion_table, dump, make_table, render

DEFAULT_COUNT = 1_000
"""Number of MNIST's test images that are said by default."""

_BATCH = 25


@dataclass(frozen=True)
class SayingReport:
    """Scores of what a model says of MNIST's test images.

    Attributes:
        model: Name of the model.
        classifier: Name of the classifier of spoken digits.
        n: Number of images, each of which is said once.
        heard: What the classifier of spoken digits hears.
        second_opinion: What LeNet-5 reads in the drawings of a drawer that hears the sounds.
        sounds: Scores of what is said, of as many sounds of the generator's prior, and of real
            train and validation clips.

    """

    model: str
    classifier: str
    n: int
    heard: Score
    second_opinion: Score
    sounds: Sequence[SoundScores]

    def to_json(self) -> str:
        """Return `accuracy`, `second_opinion_accuracy`, `inception_ratio` and more, then all."""
        said, prior, real = self.sounds[:3]
        return dump(
            {
                "model": self.model,
                "classifier": self.classifier,
                "n": self.n,
                "accuracy": self.heard.accuracy,
                "second_opinion_accuracy": self.second_opinion.accuracy,
                "inception_score": said.inception.mean,
                "inception_ratio": said.inception.mean / real.inception.mean,
                "frechet_distance": said.frechet_distance,
                "frechet_distance_of_the_prior": prior.frechet_distance,
                "heard": asdict(self.heard),
                "second_opinion": asdict(self.second_opinion),
                "sounds": [each.to_plain() for each in self.sounds],
            }
        )

    def to_text(self) -> str:
        """Return tables of accuracy, of the sounds, and of confusion."""
        table = make_table(
            f"{self.model}: what is heard of {self.n:,} MNIST test images (%)",
            *("opinion", "accuracy", "mean of digits"),
        )
        add_digit_columns(table)
        second = f"drawn by {DEFAULT_AUDIO_TO_IMAGE}, read by LeNet-5"
        for name, score in ((self.classifier, self.heard), (second, self.second_opinion)):
            table.add_row(name, score.in_percent(), *score.digits_in_percent())
        said, _, real = self.sounds[:3]
        ratio = said.inception.mean / real.inception.mean
        note = (
            f"Inception Score over that of real train clips: {ratio:.3f}. The prior is that of the "
            f"generator whose latents the model gives."
        )
        return render(
            table,
            *sound_tables(f"What is said, as {self.classifier} hears it", self.sounds),
            confusion_table(torch.tensor(self.heard.confusion), "said, by the classifier"),
            f"{note} {sounds_note(10)}",
        )


@torch.inference_mode()
def evaluate_sayer(
    name: str,
    model: ImageToAudioModel,
    classifier_name: str,
    classifier: DigitClassifier,
    written_classifier: LeNet,
    root: Path,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
) -> SayingReport:
    """Say MNIST's test images, once each, and score what is heard.

    Args:
        name: Name of the model, for the report.
        model: The model.
        classifier_name: Name of the classifier, for the report.
        classifier: The classifier of spoken digits.
        written_classifier: The LeNet-5 that reads the second opinion's drawings.
        root: Data folder.
        count: Number of test images, of 10,000.
        seed: Seed of the voices.

    Raises:
        InputError: The data is missing, or a value is out of range.

    """
    check_range("`count`", count, 100, 10_000)
    if model.config.pictures != "digits":
        raise InputError(f"{name}: says no digits, and is evaluated on digits alone")
    test = load_mnist(root, "test")
    images, labels = test.images[:count].float() / 255, test.labels[:count]
    waveforms = say_each(model, images, seed)
    rate = model.generator.sample_rate
    heard = classify_clips(classifier, waveforms, rate).argmax(1)
    drawer = load(DEFAULT_AUDIO_TO_IMAGE, AudioToImageModel, device=model.device)
    second = draw_and_read(drawer, written_classifier, waveforms, rate)
    each = torch.arange(count)
    sounds = score_sounds(
        [
            SoundsToScore("said", classifier_input(waveforms, rate, classifier), labels),
            generate_sounds("prior", model.generator, classifier, count, seed),
        ],
        classifier,
        root,
        seed=seed,
    )
    return SayingReport(
        model=name,
        classifier=classifier_name,
        n=count,
        heard=score_of(heard, labels, each),
        second_opinion=score_of(second.clamp_min(0), labels, each),
        sounds=sounds,
    )


@torch.inference_mode()
def say_each(model: ImageToAudioModel, images: Tensor, seed: int) -> Tensor:
    """Say each image once, in voices that differ: waveforms (count, channels, samples).

    Args:
        model: The model.
        images: (count, 28, 28) in [0, 1].
        seed: Seed of the voices.

    """
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(images), 1, model.candidates, model.latent_dim, generator=random)
    numbers = torch.split(torch.arange(len(images)), _BATCH)
    sizes = [len(part) for part in numbers]
    said = [
        model.say_from(images[part], noise[part])[1][:, 0]
        for part in tracked(numbers, "saying images", weights=sizes)
    ]
    return torch.cat(said)
