"""The evaluation, with models whose score is known, and with the shipped ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

import audiate
from audiate.datasets.clips import LabelledRecordings
from audiate.datasets.mnist import LabelledImages, load_mnist
from audiate.datasets.pairs import load_pairs
from audiate.datasets.speech_commands import load_validation_words
from audiate.errors import InputError
from audiate.evaluate import (
    DrawingReports,
    JudgeReport,
    VoicesReport,
    drawings,
    evaluate,
    evaluate_drawings,
    recipe_of,
    tradeoff,
    training,
)
from audiate.evaluate.figures import check_figure
from audiate.metrics import pixel_spread
from audiate.models import VAE, VAEGAN, Drawer, LatentFlow, LeNet, Provenance
from audiate.training.launch import LoopOptions
from audiate.training.recipes import VAEGANRecipe, VAERecipe


class Bars(LeNet):
    """Reads the made-up digits: which bar is white."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([images[:, 2 * d + 4 : 2 * d + 6].sum((1, 2)) for d in range(10)], 1)


class Tones(VAE):
    """Draws the bar of the loudest mel band: right for half of the made-up digits, by design."""

    def _bars(self, spectrogram: Tensor) -> Tensor:
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

    def mean_images(self, spectrogram: Tensor) -> Tensor:
        return self._bars(spectrogram)

    def sample_images(
        self, spectrogram: Tensor, samples: int, *, generator: torch.Generator | None = None
    ) -> Tensor:
        bars = self._bars(spectrogram)
        bars[bars[:, 4:14].sum((1, 2)) > 0] = 0  # of 0 to 4 only black is drawn, which reads as 0
        return bars.unsqueeze(1).expand(-1, samples, -1, -1)


def tones() -> Tones:
    model = Tones()
    model.provenance = Provenance("vae", vars(VAERecipe(seed=3)))
    return model


class TestDrawings:
    def test_scores_that_are_known(self, tiny_data: Path) -> None:
        report = evaluate_drawings("tones", tones(), Bars(), tiny_data)
        assert report.n == 100
        assert report.mean.accuracy == 1
        assert report.mean.interval == (1.0, 1.0)
        assert report.sampled.per_digit == [1, 0, 0, 0, 0, 1, 1, 1, 1, 1]
        assert report.sampled.accuracy == pytest.approx(0.6)
        low, high = report.sampled.interval
        assert low < 0.6 < high
        assert [row[0] for row in report.sampled.confusion] == [10, 10, 10, 10, 10, 0, 0, 0, 0, 0]
        assert report.test == "split 3"
        assert report.recordings <= 40

    def test_the_test_clips_are_those_its_recipe_left_out(
        self, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def remember(root: Path, **arguments: object) -> object:
            asked.append(arguments)
            return load_pairs(root, **arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(drawings, "load_pairs", remember)
        model = tones()
        evaluate_drawings("x", model, Bars(), tiny_data)
        model.provenance = Provenance("vae", vars(VAERecipe(held_out_speaker="theo")))
        report = evaluate_drawings("x", model, Bars(), tiny_data)
        assert asked == [
            {"sample_rate": 8000, "seed": 3, "held_out_speaker": None},
            {"sample_rate": 8000, "seed": 0, "held_out_speaker": "theo"},
        ]
        assert report.test == "speaker theo"

    def test_json_has_the_promised_keys(self, tiny_data: Path) -> None:
        report = evaluate_drawings("tones", tones(), Bars(), tiny_data)
        other = replace(report, mean=replace(report.mean, accuracy=0.5))
        real = report.diversity, report.diversity_per_digit
        values = json.loads(DrawingReports("paper", "bars", [report, other], *real).to_json())
        assert values["lenet_accuracy_mean"] == 0.75
        assert values["lenet_accuracy_sampled"] == pytest.approx(0.6)
        assert values["per_digit"]["4"]["mean"] == 1
        assert values["per_digit"]["4"]["sampled"] == 0
        measures = {"frechet_distance", "density", "coverage", "precision", "recall"}
        assert measures < values.keys()
        assert measures < values["real_train"].keys()
        assert measures < values["per_digit"]["0"].keys()
        assert measures < values["per_digit"]["0"]["real_train"].keys()
        assert values["n"] == 100
        assert len(values["runs"]) == 2

    def test_text_shows_each_run_and_the_mean(self, tiny_data: Path) -> None:
        report = evaluate_drawings("tones", tones(), Bars(), tiny_data)
        real = report.diversity, report.diversity_per_digit
        text = DrawingReports("paper", "bars", [report, report], *real).to_text()
        assert text.count("tones") == 4  # accuracy, diversity
        assert "worst" in text
        assert "60.00" in text


class TestDiversity:
    def test_the_real_images_themselves_are_perfect(self) -> None:
        torch.manual_seed(0)
        images = torch.randint(256, (60, 28, 28), dtype=torch.uint8)
        truth = LabelledImages(images, torch.arange(60) % 10)
        found = drawings.diversity(LeNet().eval(), truth, images / 255, truth.labels)
        assert found.frechet_distance == pytest.approx(0, abs=1e-9)
        assert (found.precision, found.recall, found.density, found.coverage) == (1, 1, 1, 1)
        assert found.pixel_spread == pytest.approx(pixel_spread(images / 255, truth.labels))

    def test_one_image_for_everything_covers_nothing(self, real_data: Path) -> None:
        truth = load_mnist(real_data, "test")
        some = LabelledImages(truth.images[:1000], truth.labels[:1000])
        judge = audiate.load("lenet-mnist")
        assert isinstance(judge, LeNet)
        blank = torch.zeros(1000, 28, 28)
        found = drawings.diversity(judge, some, blank, some.labels)
        assert found.recall == 0
        assert found.coverage < 0.01
        assert found.pixel_spread == 0

    def test_the_ceiling_is_the_same_each_time(self, tiny_data: Path) -> None:
        judge = LeNet().eval()
        assert drawings.ceiling(judge, tiny_data) == drawings.ceiling(judge, tiny_data)


class TestHearing:
    def test_scores_that_are_known(self, tiny_data: Path) -> None:
        words = load_validation_words(tiny_data, 8000)
        report = drawings.evaluate_hearing("tones", tones(), Bars(), "words", words)
        assert report.counts == [1] * 10
        assert list(report.mean) == list(report.sampled) == ["clean", "20 dB", "10 dB", "0 dB"]
        assert report.mean["clean"].accuracy == 1
        assert report.sampled["clean"].per_digit == [1, 0, 0, 0, 0, 1, 1, 1, 1, 1]
        assert sum(map(sum, report.sampled["clean"].confusion)) == 4 * 10

    def test_noise_is_added_and_always_the_same(
        self, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard: list[list[Tensor]] = []

        def remember(
            _: object, __: object, recordings: list[Tensor], ___: object
        ) -> tuple[int, int]:
            heard.append(recordings)
            return 0, 0

        monkeypatch.setattr(drawings, "_hear", remember)
        words = load_validation_words(tiny_data, 8000)
        for _ in range(2):
            drawings.evaluate_hearing("tones", tones(), Bars(), "words", words)
        clean, loud = heard[0][3], heard[3][3]
        assert torch.equal(clean, words.recordings[3])
        noise = loud - clean
        assert (noise.square().mean() / clean.square().mean()).item() == pytest.approx(1, rel=0.2)
        assert torch.equal(heard[3][3], heard[7][3])

    def test_a_digit_nobody_said_has_no_score(self, tiny_data: Path) -> None:
        recordings, labels = load_validation_words(tiny_data, 8000)
        kept = (labels >= 7).nonzero().squeeze(1)
        few = LabelledRecordings([recordings[i] for i in kept.tolist()], labels[kept])
        report = drawings.evaluate_hearing("tones", tones(), Bars(), "words", few)
        assert report.mean["clean"].per_digit == [None] * 7 + [1, 1, 1]
        assert "-" in VoicesReport("bars", report).to_text()

    def test_voices_by_the_command(self, tiny_data: Path, tmp_path: Path) -> None:
        VAE().save_pretrained(tmp_path / "vae")
        report = evaluate(str(tmp_path / "vae"), root=tiny_data, protocol="voices")
        assert isinstance(report, VoicesReport)
        values = json.loads(report.to_json())
        assert values["n"] == 10
        assert values["counts"] == [1] * 10
        assert 0 <= values["lenet_accuracy_sampled"] <= 1
        assert "Speech Commands validation clips" in " ".join(report.to_text().split())


class TestTradeoff:
    def test_a_point_for_each_model(
        self, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def trained(_: str, recipe: VAEGANRecipe, __: Path, folder: Path) -> tuple[str, Tones]:
            asked.append((recipe.alpha, recipe.beta, folder))
            return folder.name, tones()

        monkeypatch.setattr(tradeoff, "trained_drawer", trained)
        monkeypatch.setattr(Drawer, "from_pretrained", lambda _: tones())
        report = tradeoff.tradeoff(Bars().eval(), tiny_data, tmp_path)
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
        (tmp_path / "file").touch()
        for write in (report.save_figure, check_figure):
            with pytest.raises(InputError, match="--figure"):
                write(tmp_path / "file" / "figure.png")


class TestContestants:
    def test_speakers_are_left_out_in_turn(
        self, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained = []

        def run_recipe(name: str, recipe: VAERecipe, root: Path, options: LoopOptions) -> None:
            trained.append((name, recipe, options.resume))
            model = VAE()
            model.provenance = Provenance("vae", vars(recipe))
            model.save_pretrained(options.out / "model")

        monkeypatch.setattr(training, "run_recipe", run_recipe)
        model = VAE()
        model.provenance = Provenance("vae", vars(VAERecipe(seed=5, kl_weight=0.3)))
        model.save_pretrained(tmp_path / "vae")
        for resumed in (False, True):
            trained.clear()
            report = evaluate(
                str(tmp_path / "vae"), root=tiny_data, protocol="speakers", runs=tmp_path / "runs"
            )
            assert [recipe.held_out_speaker for _, recipe, _ in trained] == [
                "jackson", "nicolas", "theo", "yweweler",
            ]  # fmt: skip
            assert all((r.seed, r.kl_weight) == (5, 0.3) for _, r, _ in trained)
            assert all(resume is resumed for *_, resume in trained)
            assert isinstance(report, DrawingReports)
            assert next(r.test for r in report.reports) == "speaker jackson"
            assert [r.test for r in report.hearing] == [r.test for r in report.reports]
            assert sum(report.hearing[0].counts) == 100
        trained.clear()
        report = evaluate(str(tmp_path / "vae"), root=tiny_data, seeds=3, runs=tmp_path / "runs")
        assert [recipe.seed for _, recipe, _ in trained] == [6, 7]
        assert isinstance(report, DrawingReports)
        assert len(report.reports) == 3

    def test_a_judge_has_no_protocol(self, tiny_data: Path) -> None:
        for flag, settings in (
            ("--protocol voices", {"protocol": "voices"}),
            ("--seeds", {"seeds": 3}),
            ("--judge", {"judge": "lenet-mnist"}),
        ):
            with pytest.raises(InputError, match=f"lenet-mnist: {flag} is not for a LeNet"):
                evaluate("lenet-mnist", root=tiny_data, **settings)
        with pytest.raises(InputError, match="--protocol voices is not for a DigitClassifier"):
            evaluate("digits-resnet18", root=tiny_data, protocol="voices")
        with pytest.raises(InputError, match="--protocol speakers is not for a SpecGAN"):
            evaluate("specgan-digits", root=tiny_data, protocol="speakers")

    def test_a_model_without_a_recipe(self) -> None:
        for provenance in (Provenance(), Provenance("lenet"), Provenance("vae", {"depth": 3})):
            with pytest.raises(InputError, match="mine: does not say by which recipe"):
                recipe_of(provenance, "mine")


class TestRealData:
    def test_the_judge_reads_mnist(self, real_data: Path) -> None:
        report = evaluate("lenet-mnist", root=real_data)
        assert isinstance(report, JudgeReport)
        assert report.n == 10_000
        assert report.score.accuracy >= 0.99

    def test_the_shipped_vae_draws_what_was_said(self, real_data: Path) -> None:
        report = evaluate("vae-fsdd", root=real_data)
        assert isinstance(report, DrawingReports)
        values = json.loads(report.to_json())
        assert values["n"] == 10_000
        assert values["lenet_accuracy_mean"] >= 0.98
        assert values["lenet_accuracy_sampled"] >= 0.98

    def test_the_shipped_flow_draws_what_was_said_as_many_hands_would(
        self, real_data: Path
    ) -> None:
        report = evaluate("flow-digits", root=real_data)
        assert isinstance(report, DrawingReports)
        values = json.loads(report.to_json())
        assert values["lenet_accuracy_sampled"] >= 0.98
        assert values["coverage"] >= 0.9 * values["real_train"]["coverage"]
        assert values["frechet_distance"] <= 237 / 10  # of vae-fsdd

    def test_the_shipped_flow_hears_voices_it_never_heard(self, real_data: Path) -> None:
        if not (real_data / "speech_commands").is_dir():
            pytest.skip("no speech_commands/ there")
        report = evaluate("flow-digits", root=real_data, protocol="voices")
        assert isinstance(report, VoicesReport)
        assert json.loads(report.to_json())["lenet_accuracy_sampled"] >= 0.93

    def test_the_shipped_vaegan_varies_and_is_mostly_understood(self, real_data: Path) -> None:
        report = evaluate("vaegan-fsdd", root=real_data)
        assert isinstance(report, DrawingReports)
        values = json.loads(report.to_json())
        assert values["lenet_accuracy_sampled"] >= 0.79
        assert values["coverage"] > 0.009  # of vae-fsdd

    def test_another_judge_must_be_a_lenet(self, real_data: Path) -> None:
        with pytest.raises(InputError, match="a VAE reads no drawings; leave out"):
            evaluate("vae-fsdd", root=real_data, judge="vae-fsdd")


def test_the_shipped_models_are_there() -> None:
    assert isinstance(audiate.load("vae-fsdd"), VAE)
    assert isinstance(audiate.load("vaegan-fsdd"), VAEGAN)
    assert isinstance(audiate.load("flow-digits"), LatentFlow)
    assert isinstance(audiate.load("lenet-mnist"), LeNet)
