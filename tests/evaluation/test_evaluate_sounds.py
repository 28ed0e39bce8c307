"""Evaluation of generators and of the classifier of spoken digits, with known scores."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from audiate.cli import main
from audiate.data.sources import DIGIT_WORDS
from audiate.errors import InputError
from audiate.evaluation import clips, sound_scores
from audiate.evaluation.clips import disjoint_halves
from audiate.evaluation.digit_classifiers import (
    VALIDATION,
    SpokenClassifierReport,
    evaluate_spoken_classifier,
)
from audiate.evaluation.generators import GeneratorReport, evaluate_generator
from audiate.evaluation.model import evaluate_model
from audiate.evaluation.sound_scores import _to_nearest, choose_parts
from audiate.metrics.distribution import neighbourhoods
from audiate.models.configs import WaveGANConfig
from audiate.models.resnet import DigitClassifier
from audiate.models.storage import Provenance
from audiate.models.wavegan import WaveGAN
from audiate.models.wrap import wrap
from audiate.training.options import RunOptions
from audiate.training.recipes.base import Recipe
from audiate.training.recipes.classifiers import DigitClassifierRecipe

read_once = cache(clips.train_clips)


@pytest.fixture(autouse=True)
def clips_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "train_clips", read_once)


HERTZ = torch.tensor([200.0 + 300 * digit for digit in range(10)])  # of the made-up digits


def pitch(waveforms: Tensor) -> Tensor:
    mono = waveforms.mean(1) if waveforms.dim() == 3 else waveforms
    bins: Tensor = torch.fft.rfft(mono).abs().argmax(1)
    return bins * 16_000 / mono.shape[1]


class Ears(DigitClassifier):
    """Reads the made-up digits: which pitch is loudest. Quite sure of it."""

    def forward(self, waveforms: Tensor) -> Tensor:
        nearest = (pitch(waveforms).unsqueeze(1) - HERTZ).abs().argmin(1)
        return 20 * torch.nn.functional.one_hot(nearest, 10).float()

    def embed(self, waveforms: Tensor) -> Tensor:
        return torch.cat([self(waveforms) / 1e4, pitch(waveforms).unsqueeze(1) / 1000], 1)

    def classify(self, features: Tensor) -> Tensor:
        return 1e4 * features[:, :10]


class Choir(WaveGAN):
    """Sings the digit that z means; but for some of them, it sings another."""

    swap: dict[int, int] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(WaveGANConfig(dim=1, classes=10, names=DIGIT_WORDS))

    def forward(self, z: Tensor) -> Tensor:
        meant = [self.swap.get(label, label) for label in self.labels_of(z).tolist()]
        time = torch.arange(16_384) / 16_000
        return 0.5 * torch.sin(2 * torch.pi * HERTZ[meant].unsqueeze(1) * time).unsqueeze(1)


class TestGenerators:
    def test_a_perfect_one(self, shared_data: Path) -> None:
        report = evaluate_generator(
            "it", Choir(), "ears", Ears(), shared_data, count=500, splits=2, judged=0
        )
        assert report.generated.inception.mean == pytest.approx(10, abs=0.4)
        assert report.generated.agreement == 1
        assert report.generated.confidence == pytest.approx(1)
        assert sum(report.generated.digits) == pytest.approx(1)
        train, validation = report.real
        assert train.agreement == 1
        assert train.n == 215  # the other half of 430
        assert validation.n == 10
        assert train.coverage is not None
        assert train.coverage > 0.8
        assert validation.coverage is None
        assert train.frechet_distance < 0.1
        assert report.generated.frechet_distance < 0.1
        # All are as near as can be, and none is nearer.
        assert train.near_copies == report.generated.near_copies == 0

    def test_a_clip_is_no_copy_of_itself(self) -> None:
        features = torch.tensor([[0.0], [1.0], [4.0]])
        assert _to_nearest(features, features).tolist() == [0, 0, 0]
        assert _to_nearest(features, features, 2).tolist() == [1, 1, 3]

    def test_one_that_mistakes_half_of_the_digits(self, shared_data: Path) -> None:
        choir = Choir()
        choir.swap = dict.fromkeys(range(5), 0)
        report = evaluate_generator(
            "it", choir, "ears", Ears(), shared_data, count=500, splits=5, judged=0
        )
        assert report.generated.agreement == pytest.approx(0.6, abs=0.07)
        assert report.generated.digits[1:5] == [0, 0, 0, 0]
        # Half is 0, and a tenth each of the five others: exp of that entropy.
        assert report.generated.inception.mean == pytest.approx(2 * 5**0.5, abs=0.2)
        values = json.loads(report.to_json())
        assert values["inception_score"] == report.generated.inception.mean
        assert values["least_frequent_digit"] == 0
        assert values["generated"]["inception"]["std"] == values["inception_score_std"]
        text = report.to_text()
        assert "validation" in text
        assert values["conditional"]
        assert text.count("conditional") == 4  # three published ones are unconditional
        assert text.count("unconditional") == 3
        assert "6.03" in text

    def test_any_generator_at_any_rate_and_length(self, shared_data: Path) -> None:
        time = torch.arange(2000) / 8000

        def sing(z: Tensor) -> Tensor:
            return 0.5 * torch.sin(2 * torch.pi * 800 * time).expand(len(z), 2, -1)

        generator = wrap(sing, latent_dim=3, sample_rate=8000)
        report = evaluate_generator(
            "it", generator, "ears", Ears(), shared_data, count=20, splits=2, judged=0
        )
        assert report.generated.digits[2] == 1
        assert report.generated.agreement is None
        assert not report.conditional
        assert report.generated.inception == pytest.approx((1, 0))
        assert report.generated.spread == pytest.approx(0, abs=1e-6)

    def test_refused(self, shared_data: Path) -> None:
        with pytest.raises(InputError, match="`count` 99"):
            evaluate_generator("it", Choir(), "ears", Ears(), shared_data, count=99, splits=10)
        broken = Choir()
        broken.num_samples = 1000
        with pytest.raises(InputError, match=r"gave \(50, 1, 16384\)"):
            evaluate_generator("it", broken, "ears", Ears(), shared_data, count=100)

    def test_by_the_command(
        self, shared_data: Path, small_models: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        flags = [
            "evaluate", str(small_models / "gan"), "--count", "100", "--device", "cpu",
            "--judged", "0", "--data-dir", str(shared_data), "--classifier",
        ]  # fmt: skip
        assert main([*flags, str(small_models / "classifier"), "--json"]) == 0
        values = json.loads(capsys.readouterr().out)
        assert 1 <= values["inception_score"] <= 10
        assert values["classifier"] == str(small_models / "classifier")
        assert [each["n"] for each in values["real"]] == [215, 10]
        train, validation = (each["inception"]["mean"] for each in values["real"])
        assert values["ratio_to_train"] == pytest.approx(values["inception_score"] / train)
        assert values["ratio_to_validation"] == pytest.approx(
            values["inception_score"] / validation
        )
        assert main([*flags, "lenet-mnist"]) == 2
        complaint = "lenet-mnist: a LeNet classifies no spoken digits; digits-resnet18 does"
        assert complaint in capsys.readouterr().err


class TestParts:
    """Train clips of very uneven digits and data sets, as there are."""

    labels = torch.arange(10).repeat_interleave(torch.tensor([90, 80, 24, 22] + [60] * 6))
    sources = (torch.arange(len(labels)) % 3 > 0).long()

    @pytest.mark.parametrize("count", [60, 200, 1000])
    def test_each_clip_is_there_once(self, count: int) -> None:
        parts = choose_parts(self.labels, 2 * self.labels + self.sources, count, seed=0)
        sizes = {len(each) for part in parts for each in part}
        assert sizes == {count // len(parts)}
        assert max(sizes) <= 110
        for reference, others in parts:
            both = torch.cat([reference, others])
            assert len(torch.unique(both)) == len(both)
            for chosen in (reference, others):
                shares = torch.bincount(self.labels[chosen], minlength=10)
                assert shares.max() - shares.min() <= 1

    @pytest.mark.parametrize("count", [60, 200, 1000])
    def test_other_real_clips_have_the_coverage_of_equal_distributions(self, count: int) -> None:
        features = torch.randn(len(self.labels), 8, generator=torch.Generator().manual_seed(0))
        features[:, 0] += 3 * self.labels
        parts = choose_parts(self.labels, 2 * self.labels + self.sources, count, seed=0)
        found = [neighbourhoods(features[one], features[other]).coverage for one, other in parts]
        assert sum(found) / len(found) == pytest.approx(1 - 2**-5, abs=0.025)


def test_the_halves_of_clips_are_disjoint_and_alike() -> None:
    strata = torch.tensor([0] * 7 + [5] * 20 + [2])
    one, other = disjoint_halves(strata, seed=1)
    assert torch.equal(torch.cat([one, other]).sort().values, torch.arange(28))
    assert torch.bincount(strata[one], minlength=6)[5] == 10
    assert not torch.equal(one, disjoint_halves(strata, seed=2)[0])


class TestSpokenClassifier:
    def test_on_the_validation_clips(self, shared_data: Path) -> None:
        report = evaluate_spoken_classifier("ears", Ears(), shared_data)
        assert report.n == report.scores[VALIDATION].count == 10
        assert report.scores[VALIDATION].accuracy == 1
        assert json.loads(report.to_json())["accuracy"] == 1
        assert report.scores[VALIDATION].in_percent() == "100.00 [72.25, 100.00]"  # by Wilson
        assert "Speech" in report.to_text()

    def test_each_speaker_is_heard_by_the_one_trained_without(
        self, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipes: list[Recipe] = []

        recipe, classifier = DigitClassifierRecipe(epochs=3), Ears()
        classifier.provenance = Provenance("digit-classifier", asdict(recipe))

        def run_recipe(name: str, recipe: Recipe, root: Path, options: RunOptions) -> None:
            recipes.append(recipe)

        def loaded(*_: object, **__: object) -> Ears:
            return classifier

        monkeypatch.setattr("audiate.evaluation.trained.run_recipe", run_recipe)
        monkeypatch.setattr("audiate.evaluation.trained.load", loaded)
        monkeypatch.setattr("audiate.evaluation.model.load", loaded)
        report = evaluate_model("ears", root=shared_data, protocol="speakers", runs=tmp_path)
        assert isinstance(report, SpokenClassifierReport)
        assert list(report.scores) == ["jackson", "nicolas", "theo", "yweweler"]
        assert {score.count for score in report.scores.values()} == {100}
        assert recipes == [replace(recipe, held_out_speaker=who) for who in report.scores]  # type: ignore[arg-type]
        assert "mean" in report.to_text()

    def test_one_that_was_never_trained(self, shared_data: Path, small_models: Path) -> None:
        with pytest.raises(InputError, match="classifier: does not say by which recipe"):
            evaluate_model(str(small_models / "classifier"), root=shared_data, protocol="speakers")


def test_the_batch_does_not_matter(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def report(batch: int) -> GeneratorReport:
        monkeypatch.setattr(sound_scores, "_BATCH", batch)
        return evaluate_generator(
            "it", Choir(), "ears", Ears(), shared_data, count=60, splits=2, judged=0
        )

    one, other = report(60), report(7)
    assert one.generated.digits == other.generated.digits
    assert one.generated.spread == pytest.approx(other.generated.spread)
