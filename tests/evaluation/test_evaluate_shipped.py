"""The shipped models, evaluated with the real data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

import audiate
from audiate.data.digits import Clip, LabelledImages, load_mnist
from audiate.data.pairs import PairedDigits, load_pairs
from audiate.data.sounds import digit_clips
from audiate.evaluation import clips, diversity, drawings, noise
from audiate.evaluation.clips import ValidationClips, read_validation
from audiate.evaluation.digit_classifiers import (
    VALIDATION,
    SpokenClassifierReport,
    WrittenClassifierReport,
)
from audiate.evaluation.drawings import AudioToImageReport
from audiate.evaluation.generators import GeneratorReport
from audiate.evaluation.model import evaluate_model
from audiate.evaluation.noise import VoicesReport
from audiate.models.dual_encoder import DualEncoder
from audiate.models.hub import WRITTEN_CLASSIFIER
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel, load
from audiate.models.resnet import DigitClassifier
from audiate.models.specgan import SpecGAN
from audiate.models.vae import VAE
from audiate.models.vaegan import VAEGAN
from audiate.models.wavegan import WaveGAN

TESTED = 1_000
"""Number of test images, of 10,000, that drawers are tested on."""


@pytest.fixture(scope="module", autouse=True)
def data_read_once() -> Iterator[None]:
    """Read the pairs, and measure the real train images, once for all models."""
    measured = cache(
        lambda root: diversity.measure_train_images(load(WRITTEN_CLASSIFIER, LeNet), root)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawings, "load_pairs", cache(fewer_pairs))
        patch.setattr(diversity, "load_mnist", fewer_images)
        patch.setattr(drawings, "measure_train_images", lambda _, root: measured(root))
        patch.setattr(clips, "digit_clips", fewer_clips)
        patch.setattr(clips, "read_validation", fewer_held_out)
        yield


def fewer_pairs(*args: Any, **settings: Any) -> PairedDigits:
    """All train pairs, and the first of the test pairs, which are in random order."""
    pairs = load_pairs(*args, **settings)
    images, heard = pairs.test.images[:TESTED], pairs.test.heard[:TESTED]
    return replace(
        pairs,
        test=replace(pairs.test, images=images, heard=heard),
        test_labels=pairs.test_labels[:TESTED],
        test_clips=pairs.test_clips,
    )


def fewer_images(root: Path, split: Literal["train", "test"]) -> LabelledImages:
    """All train images, and as many of the test images as of the test pairs."""
    found = load_mnist(root, split)
    count = TESTED if split == "test" else None
    return LabelledImages(found.images[:count], found.labels[:count])


def fewer_clips(*args: Any) -> list[list[Clip]]:
    """Every ninth of the train clips, which are in the order of their words and voices."""
    return [each[::9] for each in digit_clips(*args)]


def fewer_held_out(root: Path, sample_rate: int, num_samples: int) -> ValidationClips:
    """Every third of the validation clips that sounds are scored beside."""
    return ValidationClips(*(each[::3] for each in read_validation(root, sample_rate, num_samples)))


@pytest.fixture
def words(real_data: Path) -> Path:
    if not (real_data / "speech_commands").is_dir():
        pytest.skip("no speech_commands/ there")
    return real_data


class TestAudioToImageModels:
    def test_the_vae_draws_what_was_said(self, real_data: Path) -> None:
        values = evaluate_drawer("vae-fsdd", real_data)
        assert values["n"] == TESTED
        assert values["lenet_accuracy_mean"] >= 0.98
        assert values["lenet_accuracy_sampled"] >= 0.98

    def test_the_flow_draws_what_was_said_as_many_hands_would(self, real_data: Path) -> None:
        values = evaluate_drawer("flow-digits", real_data)
        assert values["lenet_accuracy_sampled"] >= 0.98
        assert values["coverage"] >= 0.9 * values["real_train"]["coverage"]
        assert values["frechet_distance"] <= 237 / 10  # of vae-fsdd

    def test_the_vaegan_varies_and_is_mostly_understood(self, real_data: Path) -> None:
        values = evaluate_drawer("vaegan-fsdd", real_data)
        assert values["lenet_accuracy_sampled"] >= 0.79
        assert values["coverage"] > 0.009  # of vae-fsdd

    def test_the_flow_hears_voices_it_never_heard(
        self, words: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(noise, "NOISE_DB", (10,))
        report = evaluate_model("flow-digits", root=words, protocol="voices")
        assert isinstance(report, VoicesReport)
        assert json.loads(report.to_json())["lenet_accuracy_sampled"] >= 0.93

    def test_one_image_for_everything_covers_nothing(self, real_data: Path) -> None:
        truth = load_mnist(real_data, "test")
        classifier, labels = load(WRITTEN_CLASSIFIER, LeNet), truth.labels[:1000]
        real = diversity.embed(classifier, truth.images[:1000].float() / 255, labels)
        blank = diversity.embed(classifier, torch.zeros(1000, 28, 28), labels)
        found = diversity.measure(real, blank)
        assert found.recall == 0
        assert found.coverage < 0.01
        assert found.pixel_spread == 0


def evaluate_drawer(name: str, root: Path) -> dict[str, Any]:
    report = evaluate_model(name, root=root)
    assert isinstance(report, AudioToImageReport)
    values: dict[str, Any] = json.loads(report.to_json())
    return values


def test_the_written_classifier_reads_mnist(real_data: Path) -> None:
    report = evaluate_model("lenet-mnist", root=real_data)
    assert isinstance(report, WrittenClassifierReport)
    assert report.n == 10_000
    assert report.score.accuracy >= 0.99


def test_the_spoken_classifier_hears_digits(words: Path) -> None:
    report = evaluate_model("digits-resnet18", root=words)
    assert isinstance(report, SpokenClassifierReport)
    assert report.scores[VALIDATION].accuracy >= 0.96


def test_the_generator_speaks_digits(words: Path) -> None:
    report = evaluate_model("specgan-digits", root=words, count=200, judged=0)
    assert isinstance(report, GeneratorReport)
    assert report.generated.inception.mean >= 4.5  # of 20 a split, which is biased downwards
    assert min(report.generated.digits) >= 0.02
    assert report.real[0].inception.mean > 7


def test_the_shipped_models_are_there() -> None:
    shipped: dict[str, type[PretrainedModel]] = {
        "vae-fsdd": VAE,
        "vaegan-fsdd": VAEGAN,
        "flow-digits": LatentFlow,
        "lenet-mnist": LeNet,
        "digits-resnet18": DigitClassifier,
        "specgan-digits": SpecGAN,
        "wavegan-digits": WaveGAN,
        "specgan-digits-encoder": LatentEncoder,
        "ciwgan-digits": SpecGAN,
        "match-digits": DualEncoder,
        "say-digits": ImageToAudioModel,
    }
    for name, kind in shipped.items():
        assert isinstance(audiate.load(name), kind)
