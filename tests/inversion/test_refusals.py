"""Input that is refused before any latent is sampled, and what the notes at the end blame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_tone

import audiate
from audiate.cli import main
from audiate.data.sounds import find_clips
from audiate.errors import InputError
from audiate.folders.invert import ClipResult, InversionReport
from audiate.folders.record import ClipRecord
from audiate.inversion.build import Initialization, inverter
from audiate.inversion.candidates import candidates_folder
from audiate.inversion.gradient import GradientInverter
from audiate.inversion.objectives import plain_objective
from audiate.inversion.search import SearchInverter
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.wrap import WrappedGenerator, wrap
from audiate.training.recipes import RECIPES
from audiate.training.recipes.base import Perturbation
from audiate.training.tasks.latent_encoder_task import prepare


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def hum(num_samples: int = 4096) -> WrappedGenerator:
    time = torch.arange(num_samples) / 16_000
    return wrap(
        lambda z: 0.9 * torch.sin(2000 * time * torch.exp(z[:, :1])), latent_dim=2,
        sample_rate=16_000,
    )  # fmt: skip


def test_a_mistyped_path_is_found_at_once(
    small_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["invert", "nowhere.wav", "--generator", str(small_models / "gan")]
    assert main([*command, "--method", "search", "--out", str(out)]) == 2
    assert "nowhere.wav: no such file or folder; check" in capsys.readouterr().err
    assert not out.exists()
    assert not candidates_folder().exists()
    with pytest.raises(InputError, match=r"a\.wav: no such .*, and so are the 2 others"):
        find_clips(["a.wav", "b" * 5000, "c"], out)
    there = write_tone(tmp_path / "tone.wav")
    assert len(find_clips(["a.wav", there], out)) == 2  # one by one, as before


class TestForwardOnly:
    @pytest.mark.parametrize(
        ("method", "iterations"), [("hybrid", None), ("gradient", None), ("search", 5)]
    )
    def test_the_remedy_names_the_search(self, method: Any, iterations: int | None) -> None:
        generator = hum()
        generator.differentiable = False
        with pytest.raises(InputError, match="use `method=search` without `max_iterations`, `meth"):
            inverter(generator, method, max_iterations=iterations)
        with pytest.raises(InputError, match="only runs forward"):
            GradientInverter(generator)
        assert not candidates_folder().exists()

    @pytest.mark.usefixtures("few_latents")
    def test_the_remedy_helps(self) -> None:
        generator = hum()
        generator.differentiable = False
        assert isinstance(inverter(generator, "search"), SearchInverter)


class TestSettingsThatDoNothing:
    @pytest.mark.parametrize(
        ("method", "settings", "complaint"),
        [
            ("search", {"restarts": 3}, "`method=search` follows no gradients without `max_it"),
            ("evolution", {"restarts": 3}, "`restarts`: `method=evolution` follows no gradients;"),
            ("encoder", {"restarts": 3}, "`restarts`: `method=encoder` follows no gradients;"),
            ("encoder", {"max_iterations": 3}, "`max_iterations`: `method=encoder` has no itera"),
            ("hybrid", {"restarts": 3, "budget": 1.0}, "`restarts`: a budget goes on for"),
            ("hybrid", {"max_iterations": 3, "budget": 1.0}, "`max_iterations`: a budget goes on"),
            ("gradient", {"budget": 1.0}, "`method`: a budget chooses its own"),
            ("hybrid", {"budget": 0.0}, "`budget` 0.0"),
            ("gradient", {"restarts": 0}, "`restarts` 0"),
            ("gradient", {"encoder": "mine"}, "`encoder`: `method=gradient` uses none"),
            ("hybrid", {"encoder": "mine", "start": "search"}, "`encoder`: `start=search` uses no"),
            ("nonsense", {}, "method 'nonsense': give one of exact, encoder"),
        ],
    )
    def test_they_are_refused(self, method: Any, settings: dict[str, Any], complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            inverter(hum(), method, **settings)
        assert not candidates_folder().exists()


class TestShortClips:
    def test_they_are_refused_before_latents_are_sampled(self, tmp_path: Path) -> None:
        clip = write_tone(tmp_path / "tone.wav")
        with pytest.raises(InputError, match="clips of 64 samples: give at least 1408"):
            inverter(hum(64), "search")
        with pytest.raises(InputError, match="clips of 64 samples: give at least 1408"):
            audiate.invert_folder(clip, tmp_path / "out", generator=hum(64), method="search")
        assert not candidates_folder().exists()
        assert not (tmp_path / "out").exists()

    @pytest.mark.usefixtures("few_latents")
    def test_an_objective_without_structure_takes_them(self) -> None:
        short = hum(300)
        found = inverter(short, "search", objective=plain_objective())(short(torch.zeros(1, 2)))
        assert found.loss.isfinite().all()


def test_an_empty_batch() -> None:
    with pytest.raises(InputError, match="the batch is empty; give at least one clip"):
        inverter(hum(), "gradient")(torch.zeros(0, 1, 4096))


class TestNotes:
    result = ClipResult(
        loss=1.0, silent_loss=1.0, mse=0.1, ssim=0.9, log_spectral_distance=1.0, digit_before=None,
        digit_after=None, evaluations=9, seconds=2.0, duration=0.256,
    )  # fmt: skip

    def notes(
        self, begin: Initialization, result: ClipResult, budget: float | None = None
    ) -> list[str]:
        clips = {"a": ClipRecord("a", None, {}, None, result)}
        return InversionReport(Path(), clips, ["a"], begin).notes(seconds=0.256, budget=budget)

    def test_an_overrun_budget_names_what_ran(self) -> None:
        encoder = LatentEncoder()
        for begin, blamed in (
            (Initialization(None, True), "as the search runs whatever the budget"),
            (Initialization(encoder, False), "as the encoder runs whatever the budget"),
            (
                Initialization(encoder, True),
                "as the encoder and the search run whatever the budget",
            ),
        ):
            (line,) = self.notes(begin, replace(self.result, silent_loss=None), budget=1.0)
            assert line.endswith(blamed)

    @pytest.mark.usefixtures("few_latents")
    def test_the_hint_at_restarts_is_for_methods_that_take_them(self, tmp_path: Path) -> None:
        clip = write_tone(tmp_path / "tone.wav")
        settings: list[tuple[Any, Any, bool]] = [
            ("search", None, False),  # levels, after a search
            ("search", "speech", False),
            ("hybrid", None, False),
            ("hybrid", "plain", True),
            ("gradient", None, True),
            ("gradient", "levels", False),
        ]
        for method, objective, compares in settings:
            out = tmp_path / f"{method}-{objective}"
            report = audiate.invert_folder(
                clip, out, generator=hum(), method=method, objective=objective, max_iterations=1,
                classifier=None,
            )  # fmt: skip
            result = report.results["tone"]
            assert (result.silent_loss is not None) == compares
        (line,) = self.notes(Initialization(None, False), self.result)
        assert "several starts, as in `restarts=10`" in line


@pytest.mark.parametrize("name", ["wavegan", "specgan"])
def test_a_shift_fits_the_clip(name: str) -> None:
    recipe: Any = RECIPES[name]
    recipe = replace(recipe, network=replace(recipe.network, num_samples=16_384))
    replace(recipe, perturbation=Perturbation(shift=8192))
    with pytest.raises(InputError, match="`shift` 8193: give at most 8192, half of a clip's"):
        replace(recipe, perturbation=Perturbation(shift=8193))


def test_a_shift_fits_the_clips_of_the_generator_that_is_inverted(tmp_path: Path) -> None:
    write_tone(tmp_path / "clips" / "tone.wav")
    recipe: Any = replace(
        RECIPES["latent-encoder"],
        data=(str(tmp_path / "clips"),),  # type: ignore[call-arg]
        perturbation=Perturbation(shift=3000),
        perceptual_weight=0,
    )
    with pytest.raises(InputError, match="`shift` 3000: give at most 2048"):
        prepare(recipe, tmp_path, generator=hum())
