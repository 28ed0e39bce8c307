"""Evaluation of what says and matches, with models whose scores are known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from audiate.errors import InputError
from audiate.evaluation import said_images as saying
from audiate.evaluation.matches import MatchReport, evaluate_matches, fit_probe, retrieve
from audiate.evaluation.roundtrip import evaluate_roundtrip
from audiate.folders.match import Scores
from audiate.models.codec import Codec
from audiate.models.configs import CodecConfig, ImageToAudioConfig, LatentFlowConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.resnet import DigitClassifier
from audiate.models.storage import Provenance


class TestRetrieval:
    def test_scores_that_are_known(self) -> None:
        spoken, written = torch.arange(20) % 10, torch.arange(100) % 10
        same = (spoken.unsqueeze(1) == written).float()
        perfect = retrieve(Scores(8 * same - 4, same), spoken, written)
        assert (perfect.sounds, perfect.images) == (20, 100)
        assert (perfect.image_at_1, perfect.image_at_1_by_digit, perfect.image_at_10) == (1, 1, 1)
        assert perfect.sound_at_1 == 1
        assert perfect.sound_at_10 == pytest.approx(0.2)  # there are two of each digit
        assert perfect.correspondence_of_others == 1
        assert perfect.correspondence == pytest.approx(0.95)  # a tenth of the others is alike

    def test_what_is_misheard_counts_once(self) -> None:
        spoken, written = torch.arange(10), torch.arange(100) % 10
        heard = spoken.clone()
        heard[3] = 8
        scores = (heard.unsqueeze(1) == written).float() - 0.5
        scores[3] *= 0.9  # unsure
        found = retrieve(Scores(scores, scores), spoken, written)
        assert found.image_at_1 == pytest.approx(0.9)
        assert found.image_at_10 == pytest.approx(0.9)
        assert 0.9 <= found.sound_at_1 <= 1  # nobody is heard as a three
        assert found.correspondence_of_others < 1

    def test_a_probe_fits_what_is_linear(self) -> None:
        torch.manual_seed(0)
        vectors = torch.randn(300, 5)
        labels = vectors[:, :3].argmax(1)
        probe = fit_probe(vectors, labels)
        assert (probe(vectors) == labels).float().mean() > 0.97


class Bands(DualEncoder):
    """Hears the made-up tones by their loudest band, and sees bars by their place."""

    def __init__(self) -> None:
        super().__init__()
        recipe = {"seed": 0, "speech_commands": False}
        self.provenance = Provenance("match", recipe)

    def embed_sounds(self, spectrograms: Tensor) -> Tensor:
        places = (spectrograms.mean(2).argmax(1) + 2) / 50 * torch.pi
        return torch.stack([places.cos(), places.sin()], 1)

    def embed_images(self, images: Tensor) -> Tensor:
        places = images.sum(2).argmax(1) / 28 * torch.pi
        return torch.stack([places.cos(), places.sin()], 1)


def test_the_report_of_a_matcher(shared_data: Path) -> None:
    report = evaluate_matches("bands", Bands(), shared_data)
    assert isinstance(report, MatchReport)
    values = json.loads(report.to_json())
    assert values["tests"]["test recordings"]["sounds"] == 40
    assert values["tests"]["voices never heard"]["sounds"] == 10
    assert values["linear_probes"]["MNIST test images"] > 0.5
    assert "voices never heard" in " ".join(report.to_text().split())


@pytest.fixture
def sayer() -> ImageToAudioModel:
    """A model that says nothing in particular, by a codec, for a quarter of a second."""
    sizes = CodecConfig(width=8, latent_channels=4)
    config = ImageToAudioConfig(network=sizes, num_samples=4096, width=64, blocks=1, steps=1)
    model = ImageToAudioModel(config).eval()
    model.use(Codec(sizes))
    return model


def quick_flow() -> LatentFlow:
    """A drawer that was never trained, of one step."""
    return LatentFlow(LatentFlowConfig(steps=1)).eval()


class Zero(DigitClassifier):
    """Hears a zero in everything."""

    def classify(self, features: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.zeros(len(features), dtype=torch.int64), 10) * 9.0

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.classify(waveforms)

    def embed(self, waveforms: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool1d(waveforms.abs().unsqueeze(1), 32).squeeze(1)


def test_the_report_of_a_sayer(
    shared_data: Path, sayer: ImageToAudioModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "load", lambda *_, **__: quick_flow())
    reader = LeNet().eval()
    zero = Zero().eval()
    report = saying.evaluate_image_to_audio(
        "mine", sayer, "zero", zero, reader, shared_data, count=100, judged=0
    )
    values = json.loads(report.to_json())
    assert values["accuracy"] == pytest.approx(0.1)  # the digits are even
    assert values["inception_score"] == pytest.approx(1)
    assert values["inception_ratio"] == pytest.approx(1)
    assert values["sounds"][0]["what"] == "said"
    assert values["frechet_distance"] > 0
    text = " ".join(report.to_text().split())
    assert "Inception Score over that of real train clips: 1.000" in text
    with pytest.raises(InputError, match="`count` 99"):
        saying.evaluate_image_to_audio("mine", sayer, "zero", zero, reader, shared_data, count=99)


def test_the_report_of_a_round_trip(
    shared_data: Path, sayer: ImageToAudioModel, tmp_path: Path
) -> None:
    flow = quick_flow()
    report = evaluate_roundtrip(
        ("flow", "mine"),
        flow,
        sayer,
        Zero().eval(),
        LeNet().eval(),
        shared_data,
        count=10,
        judged=0,
    )
    routes = json.loads(report.to_json())["routes"]
    assert list(routes) == ["sound → image → sound", "image → sound → image", "imagined pairs"]
    assert routes["image → sound → image"]["sound"] == pytest.approx(0.1)
    assert routes["imagined pairs"]["image"] == 1  # by definition
    assert routes["imagined pairs"]["both"] == routes["imagined pairs"]["sound"]
    assert "imagined pairs" in report.to_text()
    report.save_figure(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.width > 800
