"""Evaluation of drawers, with models whose scores are known."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from audiate.data.digits import LabelledRecordings, load_validation_words
from audiate.data.pairs import load_pairs
from audiate.errors import InputError
from audiate.evaluation import diversity, drawings, noise, tradeoff
from audiate.evaluation.drawings import (
    AudioToImageReport,
    DrawingReport,
    evaluate_drawings,
    read_test_pairs,
)
from audiate.evaluation.model import evaluate_model
from audiate.evaluation.noise import VoicesReport
from audiate.evaluation.tradeoff import evaluate_tradeoff
from audiate.evaluation.trained import TrainingPlace, recipe_of
from audiate.metrics.distribution import pixel_spread
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.configs import LatentFlowConfig, LeNetConfig, SpeechModelConfig
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel
from audiate.models.storage import Provenance
from audiate.training.options import RunOptions
from audiate.training.recipes.drawing import (
    DrawingRecipe,
    LatentFlowRecipe,
    VAEGANRecipe,
    VAERecipe,
)
from audiate.utils.reports import check_figure


class Bars(LeNet):
    """Reads the made-up digits: which bar is white."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([images[:, 2 * d + 4 : 2 * d + 6].sum((1, 2)) for d in range(10)], 1)


class Tones(AudioToImageModel):
    """Draws the bar of the loudest mel band: right for half of the made-up digits, by design."""

    latent_dim = 1

    def __init__(self, recipe: DrawingRecipe) -> None:
        super().__init__(SpeechModelConfig())
        self.unused = torch.nn.Parameter(torch.zeros(1))  # a model has parameters on a device
        self.provenance = Provenance("vae", asdict(recipe))

    def mean_images(self, spectrogram: Tensor) -> Tensor:
        tones = torch.tensor([200.0 + 300 * digit for digit in range(10)])
        mel = 2595 * (1 + tones / 700).log10()
        low, high = 2595 * (1 + torch.tensor([60.0, 4000.0]) / 700).log10()
        bands = (mel - low) / (high - low) * 49 - 1
        loudest = spectrogram.mean(2).argmax(1)
        digit = (loudest.unsqueeze(1) - bands).abs().argmin(1)
        images = torch.zeros(len(digit), 28, 28)
        for image, number in zip(images, digit.tolist(), strict=True):
            image[2 * number + 4 : 2 * number + 6] = 1
        return images

    def latents(self, spectrogram: Tensor) -> Tensor:
        return spectrogram.mean(2)

    def images_from(self, spectrogram: Tensor, noise: Tensor) -> Tensor:
        bars = self.mean_images(spectrogram)
        bars[bars[:, 4:14].sum((1, 2)) > 0] = 0  # of 0 to 4 only black is drawn, which reads as 0
        return bars.unsqueeze(1).expand(-1, noise.shape[1], -1, -1)


@pytest.fixture(autouse=True)
def pairs_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings, "load_pairs", read_once)


read_once = cache(load_pairs)


def tones(**settings: Any) -> Tones:
    return Tones(VAERecipe(**{"seed": 3, **settings}))


@pytest.fixture
def report(shared_data: Path) -> DrawingReport:
    model = tones()
    return evaluate_drawings("tones", model, Bars(), read_test_pairs("tones", model, shared_data))


class TestDrawings:
    def test_scores_that_are_known(self, report: DrawingReport) -> None:
        assert report.n == 100
        assert report.mean.accuracy == 1
        assert report.mean.interval == pytest.approx(
            (35 / (35 + 1.959964**2), 1)
        )  # Wilson, 35 clips
        assert report.sampled.per_digit == [1, 0, 0, 0, 0, 1, 1, 1, 1, 1]
        assert report.sampled.accuracy == pytest.approx(0.6)
        low, high = report.sampled.interval
        assert low < 0.6 < high
        assert [row[0] for row in report.sampled.confusion] == [10, 10, 10, 10, 10, 0, 0, 0, 0, 0]
        assert report.test == "split 3"
        assert report.recordings <= 40

    def test_the_test_clips_are_those_its_recipe_left_out(
        self, shared_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def remember(root: Path, **arguments: object) -> object:
            asked.append(arguments)
            return None

        monkeypatch.setattr(drawings, "load_pairs", remember)
        read_test_pairs("x", tones(), shared_data)
        read_test_pairs("x", tones(seed=0, held_out_speaker="theo"), shared_data)
        assert asked == [
            {"sample_rate": 8000, "seed": 3, "held_out_speaker": None},
            {"sample_rate": 8000, "seed": 0, "held_out_speaker": "theo"},
        ]

    def test_json_has_the_promised_keys(self, report: DrawingReport) -> None:
        other = replace(report, mean=replace(report.mean, accuracy=0.5))
        real = report.diversity, report.diversity_per_digit
        values = json.loads(AudioToImageReport("paper", "bars", [report, other], *real).to_json())
        assert values["classifier"] == "bars"
        assert values["lenet_accuracy_mean"] == 0.75
        assert values["lenet_accuracy_mean_interval"] == [0.5, 1]
        assert values["lenet_accuracy_sampled"] == pytest.approx(0.6)
        assert values["lenet_accuracy_sampled_interval"] == pytest.approx([0.6, 0.6])
        assert values["per_digit"]["4"]["mean"] == 1
        assert values["per_digit"]["4"]["sampled"] == 0
        measures = {"frechet_distance", "density", "coverage", "precision", "recall"}
        assert measures < values.keys()
        assert measures < values["real_train"].keys()
        assert measures < values["per_digit"]["0"].keys()
        assert measures < values["per_digit"]["0"]["real_train"].keys()
        assert values["n"] == 100
        assert len(values["runs"]) == 2

    def test_text_shows_each_run_and_the_mean(self, report: DrawingReport) -> None:
        real = report.diversity, report.diversity_per_digit
        text = AudioToImageReport("paper", "bars", [report, report], *real).to_text()
        assert text.count("tones") == 4  # accuracy, diversity
        assert "worst" in text
        assert "60.00" in text


class TestDiversity:
    def test_the_real_images_themselves_are_perfect(self) -> None:
        torch.manual_seed(0)
        images, labels = torch.rand(60, 28, 28), torch.arange(60) % 10
        real = diversity.embed(LeNet().eval(), images, labels)
        found = diversity.measure(real, real)
        assert found.frechet_distance == pytest.approx(0, abs=1e-9)
        assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, 1, 1)
        assert found.pixel_spread == pytest.approx(pixel_spread(images, labels))

    def test_digit_by_digit(self) -> None:
        torch.manual_seed(0)
        classifier = LeNet().eval()
        images, labels = torch.rand(200, 28, 28), torch.arange(200) % 10
        real = diversity.embed(classifier, images, labels)
        drawn = diversity.embed(classifier, images.flip(0), labels.flip(0))
        found = diversity.measure_digits(real, drawn)
        of_sevens = labels == 7
        sevens = diversity.embed(classifier, images[of_sevens], labels[of_sevens])
        assert len(found.per_digit) == 10
        assert found.overall.coverage == 1
        # A Fréchet distance of 0 is one up to rounding.
        same = asdict(diversity.measure(sevens, sevens))
        assert asdict(found.per_digit[7]) == pytest.approx(same, abs=1e-9)

    def test_the_ceiling_is_the_same_each_time(self, shared_data: Path) -> None:
        one, other = (diversity.measure_train_images(LeNet().eval(), shared_data) for _ in range(2))
        assert one.overall.pixel_spread == other.overall.pixel_spread == 0  # bars are all alike


class TestNoise:
    def test_scores_that_are_known(self, shared_data: Path) -> None:
        words = load_validation_words(shared_data, 8000)
        report = noise.evaluate_noise("tones", tones(), Bars(), "words", words)
        assert report.counts == [1] * 10
        assert list(report.mean) == list(report.sampled) == ["clean", "20 dB", "10 dB", "0 dB"]
        assert report.mean["clean"].accuracy == 1
        assert report.sampled["clean"].per_digit == [1, 0, 0, 0, 0, 1, 1, 1, 1, 1]
        assert sum(map(sum, report.sampled["clean"].confusion)) == 4 * 10

    def test_noise_is_added_and_always_the_same(
        self, shared_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard: list[list[Tensor]] = []

        def remember(_: object, recordings: list[Tensor], __: object) -> tuple[Tensor, Tensor]:
            heard.append(recordings)
            return torch.zeros(10, 28, 28), torch.zeros(40, 28, 28)

        monkeypatch.setattr(noise, "_draw", remember)
        words = load_validation_words(shared_data, 8000)
        for _ in range(2):
            noise.evaluate_noise("tones", tones(), Bars(), "words", words)
        clean, loud = heard[0][3], heard[3][3]
        assert torch.equal(clean, words.recordings[3])
        added = loud - clean
        assert (added.square().mean() / clean.square().mean()).item() == pytest.approx(1, rel=0.2)
        assert torch.equal(heard[3][3], heard[7][3])

    def test_a_digit_nobody_said_has_no_score(self, shared_data: Path) -> None:
        recordings, labels, voices = load_validation_words(shared_data, 8000)
        kept = (labels >= 7).nonzero().squeeze(1)
        few = LabelledRecordings([recordings[i] for i in kept.tolist()], labels[kept], voices[kept])
        report = noise.evaluate_noise("tones", tones(), Bars(), "words", few)
        assert report.mean["clean"].per_digit == [None] * 7 + [1, 1, 1]
        assert "-" in VoicesReport("bars", report).to_text()


class TestTradeoff:
    def test_a_point_for_each_model(
        self, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def train(
            _: TrainingPlace, label: str, recipe: VAEGANRecipe, folder: str, kind: object
        ) -> Tones:
            asked.append((recipe.alpha, recipe.beta, folder))
            return tones()

        monkeypatch.setattr(TrainingPlace, "train", train)
        monkeypatch.setattr(AudioToImageModel, "from_pretrained", lambda *_, **__: tones())
        report = evaluate_tradeoff(Bars().eval(), TrainingPlace(shared_data, tmp_path))
        assert [(alpha, beta) for alpha, beta, _ in asked] == [
            (r.alpha, r.beta) for r in tradeoff.SWEEP
        ]
        assert len({folder for *_, folder in asked}) == len(tradeoff.SWEEP)
        points = json.loads(report.to_json())["points"]
        assert [p["alpha"] for p in points[-2:]] == [None, None]
        assert points[0]["lenet_accuracy_sampled"] == pytest.approx(0.6)
        assert report.to_text().count("60.00") == len(points)
        assert [each.shape for each in report.drawings] == len(points) * [(2, 10, 28, 28)]
        assert Bars()(report.drawings[0][1]).argmax(1).tolist() == [0, 0, 0, 0, 0, 5, 6, 7, 8, 9]
        report.save_figure(tmp_path / "made" / "figure.png")
        with Image.open(tmp_path / "made" / "figure.png") as picture:
            assert picture.width > 800
        report.save_figure(tmp_path / "made" / "figure.png")  # ours, so it is replaced
        photo = tmp_path / "photo.png"
        Image.new("L", (4, 4)).save(photo)
        (tmp_path / "notes.png").write_text("no picture at all")
        for others in (photo, tmp_path / "notes.png"):
            before = others.read_bytes()
            with pytest.raises(InputError, match="was not written by this command"):
                check_figure(others)
            assert others.read_bytes() == before
        (tmp_path / "file").touch()
        for write in (report.save_figure, check_figure):
            with pytest.raises(InputError, match=r"cannot be written.*`figure`"):
                write(tmp_path / "file" / "figure.png")


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small drawer that was never trained, with a recipe."""
    model = LatentFlow(LatentFlowConfig(steps=1, guidance=1))
    recipe = LatentFlowRecipe(seed=5, learning_rate=0.3)
    model.provenance = Provenance("latent-flow", json.loads(json.dumps(asdict(recipe))))
    return str(model.save_pretrained(tmp_path_factory.mktemp("models") / "flow"))


def record_trainings(
    monkeypatch: pytest.MonkeyPatch,
) -> list[tuple[str, LatentFlowRecipe, RunOptions]]:
    """Save an untrained model for each training, and return the list of trainings."""
    trained = []

    def run_recipe(name: str, recipe: LatentFlowRecipe, root: Path, options: RunOptions) -> None:
        assert options.out is not None
        trained.append((name, recipe, options))
        model = LatentFlow(LatentFlowConfig(steps=1, guidance=1))
        model.provenance = Provenance(name, json.loads(json.dumps(asdict(recipe))))
        model.save_pretrained(options.out / "model")

    monkeypatch.setattr("audiate.evaluation.trained.run_recipe", run_recipe)
    return trained


class TestByName:
    def test_voices(self, shared_data: Path, flow: str) -> None:
        report = evaluate_model(flow, root=shared_data, protocol="voices")
        assert isinstance(report, VoicesReport)
        values = json.loads(report.to_json())
        assert values["n"] == 10
        assert values["counts"] == [1] * 10
        assert 0 <= values["lenet_accuracy_sampled"] <= 1
        assert "Speech Commands validation clips" in " ".join(report.to_text().split())

    def test_its_recipe_is_trained_without_each_speaker(
        self, shared_data: Path, tmp_path: Path, flow: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained = record_trainings(monkeypatch)
        monkeypatch.setattr(drawings, "SPEAKERS", ("theo",))
        monkeypatch.setattr(noise, "NOISE_DB", ())
        report = evaluate_model(flow, root=shared_data, protocol="speakers", runs=tmp_path / "runs")
        ((name, recipe, options),) = trained
        assert (name, recipe.held_out_speaker, recipe.seed) == ("latent-flow", "theo", 5)
        assert recipe.learning_rate == 0.3
        assert (options.resume, options.device) == (False, "cpu")
        assert options.out == tmp_path / "runs" / "latent-flow-seed5-without-theo"
        assert isinstance(report, AudioToImageReport)
        assert [r.test for r in report.reports] == ["speaker theo"]
        assert [r.test for r in report.noise] == ["speaker theo"]
        assert sum(report.noise[0].counts) == 100

    def test_its_recipe_is_trained_with_other_seeds(
        self,
        report: DrawingReport,
        tmp_path: Path,
        flow: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        trained = record_trainings(monkeypatch)
        found = diversity.DigitDiversities(report.diversity, report.diversity_per_digit)
        monkeypatch.setattr(drawings, "read_test_pairs", lambda *_: None)
        monkeypatch.setattr(drawings, "evaluate_drawings", lambda *_: report)
        monkeypatch.setattr(drawings, "measure_train_images", lambda *_: found)
        for resumed in (False, True):
            trained.clear()
            scored = evaluate_model(flow, root=tmp_path, seeds=3, runs=tmp_path / "runs")
            assert [recipe.seed for _, recipe, _ in trained] == [6, 7]
            assert all(options.resume is resumed for *_, options in trained)
            assert isinstance(scored, AudioToImageReport)
            assert len(scored.reports) == 3

    def test_a_training_that_fails_says_where_it_was(
        self, shared_data: Path, tmp_path: Path, flow: str
    ) -> None:
        (tmp_path / "runs").write_text("in the way")
        with pytest.raises(InputError, match=r"training for this evaluation: .*a folder in `runs`"):
            evaluate_model(flow, root=shared_data, protocol="speakers", runs=tmp_path / "runs")

    def test_settings_that_are_not_for_a_kind_of_model(
        self, small_models: Path, tmp_path: Path
    ) -> None:
        gan, classifier = str(small_models / "gan"), str(small_models / "classifier")
        for name, settings, complaint in (
            ("lenet-mnist", {"protocol": "voices"}, "`protocol` voices is not for a LeNet"),
            ("lenet-mnist", {"seeds": 3}, "`seeds` is not for a LeNet"),
            ("lenet-mnist", {"classifier": "x"}, "`classifier` is not for a LeNet"),
            (classifier, {"protocol": "voices"}, "voices is not for a digit classifier"),
            (classifier, {"count": 9}, "`count` is not for a digit classifier"),
            (gan, {"protocol": "speakers"}, "`protocol` speakers is not for a SpecGAN"),
            ("flow-digits", {"seeds": 2, "protocol": "voices"}, "`seeds`: not with `protocol` v"),
            ("flow-digits", {"seeds": 0}, "`seeds` 0: give 1 to 100"),
            (
                "flow-digits",
                {"classifier": "vae-fsdd"},
                "a VAE reads no drawings; lenet-mnist",
            ),
        ):
            with pytest.raises(InputError, match=complaint):
                evaluate_model(name, root=tmp_path, **settings)

    def test_a_model_without_a_recipe(self) -> None:
        for provenance in (Provenance(), Provenance("lenet"), Provenance("vae", {"depth": 3})):
            model = tones()
            model.provenance = provenance
            with pytest.raises(InputError, match="mine: does not say by which recipe"):
                recipe_of(model, "mine", DrawingRecipe)

    def test_a_model_that_nothing_is_known_of(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audiate.evaluation.model.load", lambda *_, **__: Other(None))
        monkeypatch.setattr(Other, "model_type", "other", raising=False)
        with pytest.raises(InputError, match="there is no evaluation of an other"):
            evaluate_model("other", root=tmp_path)


class Other(PretrainedModel):
    config_class = LeNetConfig
