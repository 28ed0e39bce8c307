"""The search among random latents: what it finds, and how its pool is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import small_specgan, write_tone
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

import audiate
from audiate.audio.spectrograms import MelSpectrogram
from audiate.cli import main
from audiate.errors import InputError, Interrupted
from audiate.inversion.build import Initialization, choose_initialization, inverter
from audiate.inversion.candidates import candidates_folder
from audiate.inversion.encoder import EncoderInverter
from audiate.inversion.hybrid import BestInverter, HybridInverter
from audiate.inversion.objectives import level_objective
from audiate.inversion.search import SearchInverter
from audiate.inversion.settings import InversionSettings, Method, Start
from audiate.models.generator import Generator
from audiate.models.resnet import DigitClassifier
from audiate.models.wrap import WrappedGenerator, wrap


class Tones(nn.Module):
    """A tone whose pitch and fading are the latent; it counts the clips that it makes.

    Ctrl-C is pressed where more than ``stops_at`` are to be made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.stops_at: int | None = None
        self.register_buffer("time", torch.arange(4096) / 16_000)

    def forward(self, z: Tensor) -> Tensor:
        if self.stops_at is not None and self.made + len(z) > self.stops_at:
            raise KeyboardInterrupt
        self.made += len(z)
        hertz = 800 * torch.exp(z[:, :1])
        fading = torch.exp(-self.get_buffer("time") * 20 * torch.exp(z[:, 1:]))
        return 0.9 * fading * torch.sin(2 * torch.pi * hertz * self.get_buffer("time"))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def module() -> Tones:
    return Tones()


@pytest.fixture
def generator(module: Tones) -> WrappedGenerator:
    return wrap(module, latent_dim=2, sample_rate=16_000)


@pytest.fixture(scope="module")
def classifier() -> DigitClassifier:
    torch.manual_seed(0)
    return DigitClassifier().eval()


def read_error(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def drawn(generator: WrappedGenerator, count: int, seed: int) -> tuple[Tensor, Tensor]:
    z = generator.sample_latent(count, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return z, generator(z)


class TestNearest:
    def test_what_is_in_the_pool_is_found_again(
        self, generator: WrappedGenerator, classifier: DigitClassifier
    ) -> None:
        for guide in (None, classifier):
            search = SearchInverter(generator, classifier=guide, size=100)
            with torch.no_grad():
                target = generator(search.candidates.latents[:20])
            found = search(target)
            assert torch.equal(found.latent, search.candidates.latents[:20])
            torch.testing.assert_close(found.output, target)
            assert found.num_evals.tolist() == [1] * 20

    def test_by_levels_it_is_the_nearest_of_all(self, generator: WrappedGenerator) -> None:
        """Compared with distances that NumPy computes, one after the other."""
        search = SearchInverter(generator, size=60, batch_size=3)
        pool = search.candidates.latents
        with torch.no_grad():
            sounds = generator(pool)
        _, target = drawn(generator, 10, seed=7)
        mel = MelSpectrogram(16_000, 4096)
        own, other = mel(sounds.mean(1)).numpy(), mel(target.mean(1)).numpy()

        def distances_of(each: NDArray[np.float32]) -> NDArray[np.float32]:
            rise = np.maximum(np.diff(each.mean(1), prepend=0), 0)
            weight = np.where(each.max(1) > 0.25, 1, 0.03) + 4 * rise
            return np.average(np.abs(own - each).mean(2), axis=1, weights=weight)

        nearest = [int(distances_of(each).argmin()) for each in other]
        assert torch.equal(search.nearest(target)[:, 0], pool[nearest])
        three = search.nearest(target, 3)
        for each, found in zip(other, three, strict=True):
            distances = distances_of(each)
            rows = [int((pool == latent).all(1).nonzero()) for latent in found]
            # Levels are kept in steps of a 255th, so near ties may change places.
            np.testing.assert_allclose(distances[rows], np.sort(distances)[:3], atol=1 / 255)
            assert len(set(rows)) == 3
        assert search.nearest(target, 100).shape == (10, 60, 2)  # there are no more

    def test_drums_are_compared_where_they_sound(self) -> None:
        """Most of a drum is silence, by which a kick is nearer than a bell with a faint hiss."""
        time = torch.arange(16_384) / 16_000
        hiss = 1e-3 * torch.randn(16_384, generator=torch.Generator().manual_seed(0))

        def drum(z: Tensor) -> Tensor:
            bell = torch.sin(2 * torch.pi * 2000 * time) * torch.exp(-40 * time) + hiss
            kick = torch.sin(2 * torch.pi * 100 * time) * torch.exp(-40 * time)
            return torch.where(z[:, :1] > 0, bell, kick)

        search = SearchInverter(wrap(drum, latent_dim=1, sample_rate=16_000), size=8)
        short = torch.sin(2 * torch.pi * 2000 * time) * torch.exp(-40 * time)
        assert search.nearest(short[None, None])[0, 0] > 0

    def test_more_latents_are_nearer(self, generator: WrappedGenerator) -> None:
        z, target = drawn(generator, 30, seed=7)
        errors = [
            (SearchInverter(generator, size=size)(target).latent - z).abs().mean().item()
            for size in (20, 1000)
        ]
        assert errors[1] < 0.35 * errors[0]

    def test_loudness_and_channels_make_no_difference(self) -> None:
        stereo = small_specgan(channels=2)
        with torch.no_grad():
            target = stereo(stereo.sample_latent(6, generator=torch.Generator().manual_seed(3)))
        search = SearchInverter(stereo, size=40)
        assert torch.equal(search.nearest(target), search.nearest(0.25 * target))


class TestPool:
    def test_it_is_sampled_once(
        self, module: Tones, generator: WrappedGenerator, classifier: DigitClassifier
    ) -> None:
        first = SearchInverter(generator, size=50, classifier=classifier).candidates
        made = module.made
        again = SearchInverter(generator, size=50, classifier=classifier).candidates
        assert module.made <= made + 4  # the fingerprint's
        assert len(again) == 50
        assert torch.equal(again.latents, first.latents)
        for own, other in zip(again.descriptors, first.descriptors, strict=True):
            assert own is not None
            assert other is not None
            assert torch.equal(own, other)
        # Another size, another classifier, another generator: other pools.
        SearchInverter(generator, size=51, classifier=classifier)
        SearchInverter(generator, size=50)
        SearchInverter(small_specgan(), size=50)
        assert len(list(candidates_folder().iterdir())) == 4

    def test_a_damaged_one_is_sampled_anew(
        self, module: Tones, generator: WrappedGenerator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        SearchInverter(generator, size=50)
        (file,) = candidates_folder().iterdir()
        whole = file.read_bytes()
        flipped = whole[:-7] + bytes([whole[-7] ^ 1]) + whole[-6:]
        stored = load_file(file)
        nothing = {name: torch.full_like(values, 0) for name, values in stored.items()}
        with safe_open(file, "pt") as opened:
            recorded = opened.metadata()
        capsys.readouterr()
        for damage in (b"", whole[:-100], b"no pool at all", flipped, save(nothing, recorded)):
            file.write_bytes(damage)
            before = module.made
            SearchInverter(generator, size=50)
            assert module.made >= before + 50
            assert file.read_bytes() == whole
            assert re.search(r"(damaged|cannot be read .*), so its latents", read_error(capsys))

    def test_a_folder_that_cannot_be_written_stops_nothing_and_is_named(
        self, generator: WrappedGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "cache").write_text("a file in the way")
        assert len(SearchInverter(generator, size=50).candidates) == 50
        told = read_error(capsys)
        assert f"{candidates_folder()}: cannot be written (" in told
        assert told.count("sampled again in every run") == 1

    def test_where_it_is_kept_is_told(
        self, generator: WrappedGenerator, capsys: pytest.CaptureFixture[str]
    ) -> None:
        SearchInverter(generator, size=50)
        (file,) = candidates_folder().iterdir()
        assert f"{file}: keeps the sampled latents (0.2 MB)" in read_error(capsys)
        SearchInverter(generator, size=50)
        assert read_error(capsys) == ""

    @pytest.mark.parametrize("stopped_at", [0, 70])
    def test_an_interruption_keeps_the_part_that_was_sampled(
        self, module: Tones, generator: WrappedGenerator, stopped_at: int
    ) -> None:
        whole = SearchInverter(generator, size=170).candidates
        (file,) = candidates_folder().iterdir()
        kept = file.read_bytes()
        file.unlink()
        module.stops_at = module.made + 4 + stopped_at
        with pytest.raises(Interrupted if stopped_at else KeyboardInterrupt) as stop:
            SearchInverter(generator, size=170)
        if stopped_at:
            assert str(stop.value) == "stopped after 50 of 170 sampled latents"
        module.stops_at, before = None, module.made
        again = SearchInverter(generator, size=170).candidates
        assert module.made == before + 4 + (120 if stopped_at else 170)
        assert torch.equal(again.descriptors.levels, whole.descriptors.levels)
        assert [each.name for each in candidates_folder().iterdir()] == [file.name]
        assert file.read_bytes() == kept

    def test_a_silent_generator(self, capsys: pytest.CaptureFixture[str]) -> None:
        quiet = wrap(lambda z: torch.zeros(len(z), 4096), latent_dim=2, sample_rate=16_000)
        half = wrap(
            lambda z: (z[:, :1] < 0) * torch.ones(1, 4096), latent_dim=2, sample_rate=16_000
        )
        for generator in (quiet, half):
            for _ in range(2):  # sampled, and read
                pool = SearchInverter(generator, size=50).candidates
                silent = int((generator(pool.latents).abs().amax((1, 2)) == 0).sum())
                assert f"{silent} of 50 random latents give a silent sound" in read_error(capsys)

    def test_bad_sizes(self, generator: WrappedGenerator) -> None:
        with pytest.raises(InputError, match="size 0"):
            SearchInverter(generator, size=0)


def chosen_by(generator: Generator, method: Method, start: Start) -> Initialization:
    return choose_initialization(generator, InversionSettings(method, start))


class TestStarts:
    def test_the_better_of_both(self, generator: WrappedGenerator) -> None:
        z, target = drawn(generator, 8, seed=7)
        right = torch.where((torch.arange(8) < 4).unsqueeze(1), z, -z)
        objective = level_objective(None, 16_000)
        encode = EncoderInverter(generator, lambda part: right[: len(part)], objective)
        search = SearchInverter(generator, objective, size=200)
        found = BestInverter([encode, search])(target)
        assert torch.equal(found.latent[:4], z[:4])
        assert torch.equal(found.latent[4:], search(target).latent[4:])
        assert torch.equal(found.loss, torch.minimum(encode(target).loss, search(target).loss))
        assert found.num_evals.tolist() == [2] * 8

    def test_hybrid_begins_with_a_search_where_there_is_no_encoder(
        self, generator: WrappedGenerator
    ) -> None:
        _, target = drawn(generator, 3, seed=7)
        begun = inverter(generator, "hybrid", max_iterations=0)(target)
        search = inverter(generator, "search")(target)
        assert torch.equal(begun.latent, search.latent)
        found = inverter(generator, "hybrid", max_iterations=20)(target)
        assert (found.loss < begun.loss).all()

    def test_a_search_goes_on_if_asked(self, generator: WrappedGenerator) -> None:
        _, target = drawn(generator, 3, seed=7)
        near, further = (inverter(generator, "search", max_iterations=n) for n in (None, 20))
        assert isinstance(near, SearchInverter)
        assert isinstance(further, HybridInverter)
        assert (further(target).loss < near(target).loss).all()

    def test_evolution_and_budgets_begin_with_it(self, generator: WrappedGenerator) -> None:
        generator.differentiable = False
        _, target = drawn(generator, 2, seed=7)
        objective = level_objective(None, 16_000)
        search = inverter(generator, "search", objective=objective)(target)
        evolved = inverter(generator, "evolution", objective=objective, max_iterations=10)(target)
        assert (evolved.loss <= search.loss).all()
        budget = inverter(generator, objective=objective, budget=0.001)(target)
        assert torch.equal(budget.latent, search.latent)

    def test_who_begins_with_what(self, generator: WrappedGenerator) -> None:
        asked: list[tuple[Method, Start]] = [
            ("search", "auto"),
            ("gradient", "auto"),
            ("hybrid", "auto"),
            ("hybrid", "search"),
            ("evolution", "auto"),
        ]
        chosen = {pair: chosen_by(generator, *pair) for pair in asked}
        assert {key: begin.search for key, begin in chosen.items()} == {
            ("search", "auto"): True,
            ("gradient", "auto"): False,
            ("hybrid", "auto"): True,
            ("hybrid", "search"): True,
            ("evolution", "auto"): True,
        }
        assert all(begin.encoder is None for begin in chosen.values())
        shipped = audiate.load("specgan-digits")
        begin = chosen_by(shipped, "hybrid", "auto")  # type: ignore[arg-type]
        assert begin.encoder is not None
        assert not begin.search
        begin = chosen_by(shipped, "hybrid", "both")  # type: ignore[arg-type]
        assert begin.encoder is not None
        assert begin.search

    def test_what_does_not_go_together(self, generator: WrappedGenerator) -> None:
        wrong: Any = "middle"
        with pytest.raises(InputError, match="`start` 'middle': give one of auto, exact"):
            chosen_by(generator, "hybrid", wrong)
        with pytest.raises(InputError, match="`start`: `method=search` has its own"):
            chosen_by(generator, "search", "both")
        with pytest.raises(
            InputError, match=r"no encoder is shipped .*without: `method=search`, or train"
        ):
            chosen_by(generator, "hybrid", "both")


@pytest.mark.usefixtures("few_latents")
def test_by_the_command(
    small_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = write_tone(tmp_path / "tone.wav", seconds=0.2), tmp_path / "out"
    command = ["invert", str(clip), "--generator", str(small_models / "gan"), "--method", "search"]
    assert main([*command, "--out", str(out)]) == 0
    stored = json.loads((out / "report.json").read_text())
    assert stored["clips"]["tone"]["evaluations"] == 1
    assert stored["settings"]["search"] == "3000 latents"
    assert stored["settings"]["objective"] == "levels"
    assert np.load(out / "tone.npy").shape == (12,)
    assert main([*command, "--out", str(out)]) == 0
    assert "there already" in capsys.readouterr().out
    more = [*command, "--max-iterations", "2", "--out", str(tmp_path / "more")]
    assert main(more) == 0
    descended = json.loads((tmp_path / "more" / "report.json").read_text())["clips"]["tone"]
    assert descended["loss"] <= stored["clips"]["tone"]["loss"]
