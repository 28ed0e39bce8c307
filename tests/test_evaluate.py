"""The evaluation, with models whose score is known, and with the shipped ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import audiate
from audiate import evaluate as module
from audiate.datasets.pairs import load_pairs
from audiate.errors import InputError
from audiate.evaluate import DrawingReports, JudgeReport, evaluate, evaluate_drawings, recipe_of
from audiate.models import VAE, LeNet, Provenance
from audiate.training.launch import LoopOptions
from audiate.training.recipes import VAERecipe


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

        monkeypatch.setattr(module, "load_pairs", remember)
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
        values = json.loads(DrawingReports("paper", "bars", [report, other]).to_json())
        assert values["lenet_accuracy_mean"] == 0.75
        assert values["lenet_accuracy_sampled"] == pytest.approx(0.6)
        assert values["per_digit"]["4"] == {"mean": 1, "sampled": 0}
        assert values["n"] == 100
        assert len(values["runs"]) == 2

    def test_text_shows_each_run_and_the_mean(self, tiny_data: Path) -> None:
        report = evaluate_drawings("tones", tones(), Bars(), tiny_data)
        text = DrawingReports("paper", "bars", [report, report]).to_text()
        assert text.count("tones") == 2
        assert "worst" in text
        assert "60.00" in text


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

        monkeypatch.setattr(module, "run_recipe", run_recipe)
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
        trained.clear()
        report = evaluate(str(tmp_path / "vae"), root=tiny_data, seeds=3, runs=tmp_path / "runs")
        assert [recipe.seed for _, recipe, _ in trained] == [6, 7]
        assert isinstance(report, DrawingReports)
        assert len(report.reports) == 3

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

    def test_another_judge_must_be_a_lenet(self, real_data: Path) -> None:
        with pytest.raises(InputError, match="is a VAE, not a LeNet"):
            evaluate("vae-fsdd", root=real_data, judge="vae-fsdd")


def test_the_shipped_models_are_there() -> None:
    assert isinstance(audiate.load("vae-fsdd"), VAE)
    assert isinstance(audiate.load("lenet-mnist"), LeNet)
