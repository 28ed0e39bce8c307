"""Training audio GANs, and the classifier that hears them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from conftest import make_tiny_data, tiny_sources, tones, trained, write_tone
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import audiate as package
from audiate.audio.files import load_audio
from audiate.cli import main
from audiate.data.sounds import SoundSet, list_folder
from audiate.data.sources import DIGIT_WORDS, SOURCES
from audiate.errors import InputError, Interrupted
from audiate.models.configs import (
    WAVEGAN_STRIDES,
    SpecGANConfig,
    SpecGANSizes,
    WaveGANConfig,
    WaveGANSizes,
)
from audiate.models.gan_layers import CLEAR
from audiate.models.generator import AudioGAN
from audiate.models.specgan import SpecGAN
from audiate.models.wavegan import WaveGAN
from audiate.training.augment import masked, perturbed, shifted
from audiate.training.loop import run_recipe, train_step
from audiate.training.losses import gradient_penalty, r1_penalty
from audiate.training.options import RunOptions
from audiate.training.recipes import RECIPES
from audiate.training.recipes.base import Perturbation
from audiate.training.recipes.classifiers import DigitClassifierRecipe
from audiate.training.recipes.gans import (
    MEL_SIZES,
    SPECGAN_PAPER,
    WAVEGAN_PAPER,
    AudioGANRecipe,
    SpecGANRecipe,
    WaveGANRecipe,
)
from audiate.training.task import NotYet, Shard
from audiate.training.tasks.classifier_tasks import DigitClassifierTask
from audiate.training.tasks.gan_networks import adopt, initialise, sized
from audiate.training.tasks.gan_task import AudioGANTask, fitted

CPU = torch.device("cpu")
SIZES = replace(SpecGANRecipe().network, dim=2, num_samples=4096, n_fft=256, iterations=2)
SMALL = SpecGANRecipe(steps=3, batch_size=8, network=SIZES)
SMALL_WAVE = WaveGANRecipe(steps=3, batch_size=4, network=WaveGANSizes(dim=1, batch_norm=True))
HEALTHY = {"told_apart": 0.7}


def task_of(recipe: AudioGANRecipe, sounds: SoundSet | None = None) -> AudioGANTask:
    sounds = sounds or tones(recipe.network.num_samples)
    return AudioGANTask(recipe, sounds, CPU, Shard())


def wide(recipe: AudioGANRecipe) -> AudioGANRecipe:
    return replace(recipe, network=replace(recipe.network, dim=8))


def told_apart(losses: list[dict[str, Tensor]]) -> float:
    """Its mean over the last ten steps."""
    values = [each["told_apart"] for each in losses if "told_apart" in each]
    return torch.stack(values[-10:]).mean().item()


class TestPenalties:
    def test_of_a_linear_discriminator(self) -> None:
        weight = torch.tensor([[3.0, 4.0]])
        points = torch.rand(5, 2, requires_grad=True)
        scores = (points @ weight.T).squeeze(1)
        torch.testing.assert_close(r1_penalty(scores, points), torch.full((5,), 25.0))
        scores = (points @ weight.T).squeeze(1)
        torch.testing.assert_close(gradient_penalty(scores, points), torch.full((5,), 16.0))

    def test_each_item_by_itself_and_differentiable(self) -> None:
        points = torch.tensor([[1.0], [2.0]], requires_grad=True)
        scale = torch.tensor(3.0, requires_grad=True)
        penalty = r1_penalty((scale * points.square()).squeeze(1), points)  # (2 s x)²
        torch.testing.assert_close(penalty, torch.tensor([36.0, 144.0]))
        penalty.sum().backward()  # type: ignore[no-untyped-call]
        assert scale.grad is not None
        assert scale.grad.item() == pytest.approx(8 * 3 * (1 + 4))

    def test_a_flat_discriminator_has_a_penalty_with_a_gradient(self) -> None:
        points = torch.rand(2, 3, requires_grad=True)
        weight = torch.zeros(3, requires_grad=True)
        penalty = gradient_penalty(points @ weight, points)
        torch.testing.assert_close(penalty, torch.ones(2), atol=1e-5, rtol=0)
        penalty.sum().backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        assert weight.grad.isfinite().all()


class TestRecipes:
    def test_the_papers(self) -> None:
        # Donahue et al. 2019, table 6
        for recipe in (WAVEGAN_PAPER, SPECGAN_PAPER):
            assert (recipe.loss, recipe.penalty, recipe.critic_updates) == ("wgan-gp", 10, 5)
            assert (recipe.learning_rate, recipe.adam_beta1, recipe.adam_beta2) == (1e-4, 0.5, 0.9)
            assert (recipe.batch_size, recipe.network.dim, recipe.network.latent_dim) == (
                64,
                64,
                100,
            )
            assert not recipe.use_labels
            assert not recipe.network.batch_norm
            assert recipe.average_halflife == 0
        assert SPECGAN_PAPER.network.size == 128

    @pytest.mark.parametrize("name", ["wavegan-paper", "specgan-paper"])
    def test_their_networks_have_the_papers_size(self, name: str) -> None:
        recipe = RECIPES[name]
        assert isinstance(recipe, AudioGANRecipe)
        model = task_of(replace(recipe, steps=1, batch_size=2)).model
        assert sum(p.numel() for p in model.generator.parameters()) == 19_065_345
        assert sum(p.numel() for p in model.discriminator.parameters()) == 17_427_969

    def test_wavegan_lengths_are_those_of_its_networks(self) -> None:
        for length in WAVEGAN_STRIDES:
            assert WaveGANConfig(dim=1, num_samples=length).num_samples == length
        with pytest.raises(InputError):
            WaveGANConfig(num_samples=2 * max(WAVEGAN_STRIDES))

    def test_stages(self) -> None:
        paper = task_of(replace(SMALL, loss="wgan-gp", penalty=10.0, critic_updates=5))
        names = [stage.optimizer for stage in paper.stages(0)]
        assert names == ["generator"] + ["discriminator"] * 5
        lazy = task_of(replace(SMALL, penalty=2.0, penalty_every=4))
        weights = [lazy.stages(step)[1].weights.get("penalty") for step in range(5)]
        assert weights == [8.0, None, None, None, 8.0]

    @pytest.mark.parametrize(
        "recipe",
        [
            SMALL,
            SMALL_WAVE,
            replace(SMALL, loss="wgan-gp", critic_updates=2, penalty_every=1),
            replace(SMALL_WAVE, loss="wgan-gp", network=WaveGANSizes(dim=1), average_halflife=0.0),
            replace(SMALL, use_labels=False, initialisation="published", normalise=False),
        ],
    )
    def test_every_variant_trains(self, recipe: AudioGANRecipe) -> None:
        task = task_of(recipe)
        before = {k: v.clone() for k, v in task.model.state_dict().items()}
        losses = trained(task)
        assert all(value.isfinite() for each in losses for value in each.values())
        after = task.model.state_dict()
        for name, _ in task.model.named_parameters():
            if "score" not in name and "bias" not in name:
                assert not torch.equal(before[name], after[name]), name
        assert task.model(task.model.sample_latent(2)).isfinite().all()

    def test_labels_come_from_the_data(self) -> None:
        labelled = task_of(SMALL).model
        assert (labelled.classes, labelled.config.label_sharpness) == (2, CLEAR)
        assert task_of(replace(SMALL, use_labels=False)).model.classes == 0
        alike = replace(tones(), names=("",), labels=torch.zeros(20, dtype=torch.int64))
        assert task_of(SMALL, alike).model.classes == 0


class TestLearning:
    def test_a_specgan_learns_which_band_a_label_is_in(self) -> None:
        recipe = replace(wide(SMALL), steps=120, batch_size=16, learning_rate=1e-3)
        task = task_of(recipe)
        trained(task)
        labels = torch.arange(16) % 2
        with torch.no_grad():
            z = task.model.sample_latent(16, labels=labels)
            heard = task.model.generator(z)[:, 0].mean(1)  # over time: (batch, bands)
        real = task.model.analyse(tones().waveforms(torch.arange(2)))[:, 0].mean(1)
        distances = torch.cdist(heard, real)
        assert (distances.argmin(1) == labels).float().mean() >= 0.9

    @pytest.mark.parametrize(
        "model",
        [
            WaveGAN(WaveGANConfig(dim=8)),
            SpecGAN(SpecGANConfig(dim=8, size=64, n_fft=1024, bands="mel", kernel=4)),
        ],
        ids=["wavegan", "specgan"],
    )
    def test_initial_signals_keep_their_size(self, model: AudioGAN) -> None:
        torch.manual_seed(0)
        initialise(model)
        stds: dict[str, float] = {}

        def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
            return lambda _, __, output: stds.update({name: output.std().item()})

        for name, layer in model.named_modules():
            if "sample." in name:
                layer.register_forward_hook(note(name))
        drawn = model.generator.train()(model.sample_latent(32))
        model.discriminator(3 * drawn, None)
        last = max(name for name in stds if name.startswith("generator"))
        assert len(stds) >= 8
        assert all(0.3 < std < 3 for name, std in stds.items() if name != last), stds
        assert 0.05 < stds[last] < 0.6


class TestAverage:
    def test_it_follows_the_generator(self) -> None:
        task = task_of(replace(SMALL, steps=1, average_halflife=10.0))
        live = task.modules["generator"]
        start = [p.clone() for p in task.model.generator.parameters()]
        with torch.no_grad():
            for parameter in live.parameters():
                parameter.add_(1)
        task.end_step(1000)
        for before, now in zip(start, task.model.generator.parameters(), strict=True):
            torch.testing.assert_close(now, before + 1 - 0.5**0.1)
        # At the beginning it forgets faster.
        task.end_step(0)
        for own, now in zip(live.parameters(), task.model.generator.parameters(), strict=True):
            torch.testing.assert_close(now, own)

    def test_its_statistics_are_measured_on_its_own_weights(self) -> None:
        """What a layer's norm has learnt of its inputs is what comes in, and not what came live."""
        task = task_of(replace(SMALL_WAVE, steps=30, average_halflife=100.0, learning_rate=1e-2))
        trained(task)
        task.end_epoch()
        generator, seen = task.model.generator.eval(), []
        norm = next(each for each in generator.modules() if isinstance(each, nn.BatchNorm1d))
        norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        random = torch.Generator().manual_seed(9)
        with torch.no_grad():
            generator(task.model.sample_latent(4000, generator=random))
        variance, mean = torch.var_mean(seen[0], (0, 2))
        assert norm.running_mean is not None
        assert norm.running_var is not None
        torch.testing.assert_close(norm.running_mean, mean, atol=0.15, rtol=0)
        torch.testing.assert_close(norm.running_var, variance, rtol=0.25, atol=0)
        before = norm.running_var.clone()
        task.end_epoch()
        assert torch.equal(norm.running_var, before)  # as a resumed run needs it
        assert not generator.training

    def test_it_is_what_is_saved(self, finished: Path) -> None:
        state = load_file(finished / "checkpoint.safetensors")
        saved = package.load(finished).state_dict()
        name = "generator.project.weight"
        assert torch.equal(saved[name], state[f"module/model/{name}"])
        assert not torch.equal(saved[name], state["module/generator/project.weight"])

    def test_without_one_the_generator_itself_is_saved(
        self, tiny_data: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "run"
        train(tiny_data, folder, replace(SMALL, average_halflife=0.0))
        names = load_file(folder / "checkpoint.safetensors").keys()
        assert not any(name.startswith("module/generator") for name in names)


def train(
    root: Path, out: Path, recipe: AudioGANRecipe = SMALL, *, resume: bool = False
) -> AudioGAN:
    options = RunOptions(out, resume, "cpu", "float32")
    model = package.load(run_recipe("specgan", recipe, root, options, quiet=True))
    assert isinstance(model, AudioGAN)
    return model


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of SMALL that came to its end."""
    root = make_tiny_data(tmp_path_factory.mktemp("data"))
    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for name, source in tiny_sources().items():
            patch.setitem(SOURCES, name, source)
        train(root, folder)
    return folder


class TestAlarms:
    def test_a_sound_training_gives_none(self) -> None:
        task = task_of(SMALL_WAVE)
        task.model.forward = lambda z: task._waveforms(torch.arange(len(z)) % 20)  # type: ignore[method-assign]
        assert task.diagnose(HEALTHY) is None

    @pytest.mark.parametrize("recipe", [SMALL, SMALL_WAVE])
    def test_silence(self, recipe: AudioGANRecipe) -> None:
        task = task_of(recipe)
        with torch.no_grad():
            for generator in (task.model.generator, task._generator):
                for parameter in generator.parameters():
                    parameter.zero_()
            if isinstance(task.model, SpecGAN):
                task.model.mean.fill_(-40)
        assert "silence" not in (task.diagnose(HEALTHY) or "")  # at first, it is to be expected
        task.end_step(task.steps - 1)
        alarm = task.diagnose(HEALTHY)
        assert alarm is not None
        assert alarm.startswith("silence: the samples' level is")

    def test_clipping(self) -> None:
        task = task_of(SMALL_WAVE)
        with torch.no_grad():
            list(task.model.generator.parameters())[-1].fill_(0)
            for name, parameter in task.model.generator.named_parameters():
                if name == "upsample.4.weight":
                    parameter.mul_(1e6)
        alarm = task.diagnose(HEALTHY)
        assert alarm is not None
        assert alarm.startswith("clipping: ")

    def test_one_repeated_word(self) -> None:
        task = task_of(SMALL_WAVE)
        same = 0.1 * torch.randn(1, 1, 16_384)
        task.model.forward = lambda z: same.expand(len(z), -1, -1)  # type: ignore[method-assign]
        alarm = task.diagnose(HEALTHY)
        assert alarm is not None
        assert alarm.startswith("mode collapse: clips differ 0.00 times as much as real ones")

    @pytest.mark.parametrize(
        ("recipe", "how"),
        [
            (
                replace(SMALL, steps=50, learning_rate=2e-3, penalty=0.0),
                "it tells 100.0 % of clips apart",
            ),
            (
                replace(SMALL, steps=80, learning_rate=1e-3, loss="wgan-gp", penalty=10.0),
                "it puts real and drawn clips",
            ),
        ],
        ids=["r1", "wgan-gp"],
    )
    def test_a_discriminator_that_has_won(self, recipe: AudioGANRecipe, how: str) -> None:
        # Against a generator that does not learn it wins in earnest.
        task = task_of(replace(wide(recipe), batch_size=16, penalty_every=1))
        stages = task.stages
        drawn, meant = task._draw()
        fixed = drawn.detach(), meant
        task.stages = lambda step: stages(step)[1:]  # type: ignore[method-assign]
        task.begin_step = lambda step: setattr(task, "_drawn", fixed)  # type: ignore[method-assign]
        alarm = task.diagnose({"told_apart": told_apart(trained(task))})
        assert alarm is not None
        assert alarm.startswith(f"the discriminator has won: {how}")

    def test_a_critic_has_not_won_against_a_generator_that_learns(self) -> None:
        recipe = replace(SMALL, steps=80, learning_rate=1e-3, loss="wgan-gp", penalty=10.0)
        task = task_of(replace(wide(recipe), batch_size=16, penalty_every=1))
        alarm = task.diagnose({"told_apart": told_apart(trained(task))})
        assert "won" not in (alarm or "")

    def test_it_is_logged_and_the_last_good_model_is_kept(
        self, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = NotYet("it is dull. Wait")  # no alarm in the first half
        alarms = iter([None, late, "it is broken", late, None])
        monkeypatch.setattr(AudioGANTask, "diagnose", lambda *_: next(alarms))
        folder = tmp_path / "run"
        train(tiny_data, folder, replace(SMALL, steps=4, preview_every=1))
        log = [json.loads(line) for line in (folder / "log.jsonl").open()]
        assert [line["step"] for line in log if "alarm" in line] == [3, 4]
        good, last = package.load(folder / "last-good"), package.load(folder)
        assert not torch.equal(next(good.parameters()), next(last.parameters()))
        again = train(
            tiny_data, tmp_path / "again", replace(SMALL, steps=1, init=str(folder / "last-good"))
        )
        difference = next(again.parameters()) - next(good.parameters())
        assert 0 < difference.abs().max() < 3 * SMALL.learning_rate


class TestRuns:
    def test_pictures_and_sounds_are_kept(self, tiny_data: Path, tmp_path: Path) -> None:
        train(tiny_data, tmp_path / "run", replace(SMALL, preview_every=2))
        names = sorted(path.name for path in (tmp_path / "run" / "previews").iterdir())
        assert names == ["0000002.png", "0000002.wav", "0000003.png", "0000003.wav"]
        with Image.open(tmp_path / "run" / "previews" / "0000002.png") as picture:
            assert np.asarray(picture.convert("L"))[:, :40].max() > 200  # frequencies in kHz
        heard = load_audio(tmp_path / "run" / "previews" / "0000002.wav", channels=1)[0]
        assert heard.shape == (1, 16 * 4096)

    def test_interrupted_and_resumed_is_the_same_bit_for_bit(
        self,
        finished: Path,
        tiny_data: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        stop = AudioGANTask.end_step

        def interrupted(task: AudioGANTask, step: int) -> None:
            stop(task, step)
            if step == 1:
                os.kill(os.getpid(), signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(AudioGANTask, "end_step", interrupted)
            with pytest.raises(Interrupted):
                train(tiny_data, tmp_path / "parts")
        train(tiny_data, tmp_path / "parts", resume=True)
        whole, parts = (
            load_file(folder / "checkpoint.safetensors")
            for folder in (finished, tmp_path / "parts")
        )
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[name], parts[name]) for name in whole)

    def test_a_folder_of_drums_by_the_command(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for number in range(6):
            write_tone(
                tmp_path / "drums" / ("kick", "snare")[number % 2] / f"{number}.wav",
                hertz=100 * (1 + number),
                seconds=0.3,
            )
        flags = "--steps 2 --dim 2 --batch-size 4 --num-samples 4096 --n-fft 256"
        assert main(["train", "specgan", "--data", "drums", *flags.split(), "--out", "run"]) == 0
        assert "model written to run/model; next: audiate generate run" in capsys.readouterr().out
        assert main(["generate", "run", "--count", "2", "--label", "1", "--out", "sounds"]) == 0
        model = package.load(tmp_path / "run")
        assert isinstance(model, SpecGAN)
        assert (model.sample_rate, model.classes) == (8000, 2)
        assert load_audio(tmp_path / "sounds" / "001.wav", channels=1)[0].shape == (1, 4096)
        again = ["train", "specgan", *flags.split(), "--out", "run", "--resume"]
        assert main(again) == 2  # nothing is asked for but the data of the run
        told = capsys.readouterr().err
        assert "run: was begun with other settings; to go on with it, give --data drums, or" in told
        assert main([*again, "--data", "drums", "--steps", "3"]) == 0

    @pytest.mark.parametrize(
        ("recipe", "init", "sizes"),
        [
            ("specgan", None, (66_176, 2, 4096)),
            ("wavegan", None, (65_536, 2, None)),
            ("specgan", "specgan-digits", (16_384, 1, 1024)),
        ],
    )
    def test_sizes_suit_the_files_of_a_folder(
        self,
        recipe: str,
        init: str | None,
        sizes: tuple[int, int, int | None],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for number in range(3):
            noise = 0.1 * np.random.default_rng(number).standard_normal((66_150, 1 + number // 2))
            soundfile.write(tmp_path / f"{number}.wav", noise, 44_100)
        default = RECIPES[recipe]
        assert isinstance(default, AudioGANRecipe)
        settings = replace(default, data=(str(tmp_path),), init=init)
        network = fitted(settings, list_folder(tmp_path))
        assert (network.num_samples, network.channels, getattr(network, "n_fft", None)) == sizes
        told = capsys.readouterr().err
        assert init or f"({sizes[0]:,} samples) in stereo at 44,100 Hz, as suits its files" in told
        assert fitted(replace(settings, network=network), list_folder(tmp_path)) == network

    def test_sizes_of_spoken_digits(self) -> None:
        for network in (WaveGANSizes(num_samples=0, channels=0), MEL_SIZES):
            found = sized(network, 1, 16_384)
            assert (found.num_samples, found.channels) == (16_384, 1)
        assert sized(MEL_SIZES, 1, 16_384).n_fft == 1024

    def test_labels_keep_their_names(self, finished: Path) -> None:
        model = package.load(finished)
        assert isinstance(model, SpecGAN)
        assert model.names == DIGIT_WORDS

    def test_an_init_of_another_size(self, tiny_data: Path, tmp_path: Path) -> None:
        model = task_of(SMALL).model
        assert isinstance(model, SpecGAN)
        SpecGAN(replace(model.config, dim=3, kernel=5)).save_pretrained(tmp_path / "other")
        complaint = (
            r"`init` .*other: `dim` is 3 there and 2 here, `kernel` is 5 there and 4 here; give"
        )
        with pytest.raises(InputError, match=complaint):
            adopt(model, str(tmp_path / "other"))
        with pytest.raises(InputError, match="`init` vae-fsdd: is a VAE, not a SpecGAN; name"):
            adopt(model, "vae-fsdd")
        with pytest.raises(InputError, match="`init` nothing: no such model"):
            adopt(model, "nothing")

    @pytest.mark.parametrize("kind", [SMALL, SMALL_WAVE])
    def test_an_init_with_other_labels_keeps_all_but_the_labels(
        self, kind: AudioGANRecipe, tmp_path: Path
    ) -> None:
        before = task_of(replace(kind, seed=1)).model  # two labels
        before.save_pretrained(tmp_path / "before")
        other = replace(
            tones(kind.network.num_samples), names=("low", "high", "none"), sample_rate=8000
        )
        after = task_of(replace(kind, init=str(tmp_path / "before")), other).model
        assert (after.classes, after.sample_rate) == (3, 8000)
        old, new = before.state_dict(), after.state_dict()
        for name, tensor in old.items():
            if name == "generator.project.weight":
                torch.testing.assert_close(new[name][:, :100], tensor[:, :100])
            elif name.startswith("discriminator.score"):
                torch.testing.assert_close(new[name][:1], tensor[:1])
            else:
                torch.testing.assert_close(new[name], tensor, msg=name)

    @pytest.mark.parametrize("kind", [SMALL, SMALL_WAVE])
    def test_an_init_that_was_kept_without_its_discriminator(
        self, kind: AudioGANRecipe, tmp_path: Path
    ) -> None:
        whole = task_of(replace(kind, seed=1)).model
        alone = type(whole)(replace(whole.config, discriminator=False))
        alone.load_state_dict(
            {k: v for k, v in whole.state_dict().items() if not k.startswith("discriminator.")}
        )
        assert alone.num_parameters() < whole.num_parameters()
        alone.save_pretrained(tmp_path / "alone")
        z = whole.sample_latent(2)
        loaded = package.load(tmp_path / "alone")
        with torch.no_grad():
            torch.testing.assert_close(loaded(z), whole.eval()(z))
        begun, fresh = (
            task_of(replace(kind, init=init)).model.state_dict()
            for init in (str(tmp_path / "alone"), None)
        )
        for name, tensor in begun.items():
            expected = fresh if name.startswith("discriminator.") else whole.state_dict()
            torch.testing.assert_close(tensor, expected[name], msg=name)

    def test_a_batch_that_processes_share_unevenly(self) -> None:
        for loss in ("r1", "wgan-gp"):
            recipe = replace(SMALL, loss=loss, batch_size=5, critic_updates=2)
            trained(AudioGANTask(recipe, tones(), CPU, Shard(1, 2)))
        with pytest.raises(InputError, match="`batch_size` 1: too few for 2 processes"):
            AudioGANTask(replace(SMALL, batch_size=1), tones(), CPU, Shard(1, 2))

    @pytest.mark.parametrize(
        ("settings", "complaint"),
        [
            ({"sample_rate": 0}, "`sample_rate` 0"),
            ({"data": ()}, "`data`: is empty"),
            ({"data": ("",)}, "`data`: is empty"),
            ({"data": "fsdd"}, r"`data` fsdd: give a tuple of names, as in \('fsdd',\)"),
            (
                {"data": ("speech_commands+fsdd",)},
                r"`data` speech_commands\+fsdd: put spaces between names, as in speech_comm",
            ),
        ],
    )
    def test_settings_out_of_range(self, settings: dict[str, Any], complaint: str) -> None:
        for recipe in (SMALL, SMALL_WAVE):
            with pytest.raises(InputError, match=complaint):
                replace(recipe, **settings)
        with pytest.raises(InputError, match="`held_out_speaker` theo: speaks in fsdd, which"):
            DigitClassifierRecipe(data=("speech_commands",), held_out_speaker="theo")

    @pytest.mark.parametrize(
        ("settings", "complaint"),
        [
            ({"channels": 3}, "`channels` 3"),
            ({"num_samples": 5}, "`num_samples` 5"),
            ({"latent_dim": 0}, "`latent_dim` 0"),
        ],
    )
    def test_sizes_out_of_range(self, settings: dict[str, Any], complaint: str) -> None:
        for sizes in (SpecGANSizes, WaveGANSizes):
            with pytest.raises(InputError, match=complaint):
                sizes(**settings)
        with pytest.raises(InputError, match="`num_samples` 5,000: WaveGAN makes one of 16,384"):
            WaveGANSizes(num_samples=5000)

    def test_a_specgan_that_does_not_fit_itself_is_refused_before_data_are_read(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["train", "specgan", "--data", "nowhere", "--num-samples"]
        assert main([*command, "16384", "--n-fft", "4097"]) == 2
        assert capsys.readouterr().err == "audiate: error: --n-fft 4097: give 512 to 4096\n"
        assert main([*command, "66176", "--n-fft", "1024"]) == 2
        told = "--n-fft 1024: frames are 1034 samples apart, as 64 of them share 66,176 samples"
        assert told in capsys.readouterr().err
        assert main(["train", "specgan", "--data", "speech_commands+fsdd"]) == 2
        assert "put spaces between names, as in speech_commands fsdd" in capsys.readouterr().err

    def test_data_that_is_nowhere(self, tiny_data: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="`data` fdss: no such folder, and none of speech_co"):
            train(tiny_data, tmp_path / "run", replace(SMALL, data=("fdss",)))


class TestPerturbation:
    def test_it_changes_clips_but_not_which_word_it_is(self) -> None:
        waveforms = tones(16_384).waveforms(torch.arange(20)).squeeze(1)
        torch.manual_seed(0)
        once, twice = (perturbed(waveforms, 16_000) for _ in range(2))
        assert once.shape == waveforms.shape
        assert once.isfinite().all()
        for one, other in ((once, waveforms), (once, twice)):
            assert ((one - other).norm(dim=1) > 0.1 * waveforms.norm(dim=1)).all()
        # A low tone stays low, a high one high.
        strongest = torch.fft.rfft(once).abs().argmax(1) * 16_000 / 16_384
        assert ((strongest > 1500) == (torch.arange(20) % 2).bool()).float().mean() > 0.8

    def test_a_shift_moves_each_clip_by_its_own_way(self) -> None:
        torch.manual_seed(0)
        clips = torch.zeros(500, 2, 100)
        clips[:, 0, 50] = 1
        clips[:, 1, 51] = 0.5
        moved = shifted(clips, 10)
        where = moved[:, 0].argmax(1)
        assert set(where.tolist()) == set(range(40, 61))
        assert (moved[:, 1].argmax(1) == where + 1).all()
        assert (moved.sum((1, 2)) == 1.5).all()
        assert (shifted(torch.ones(50, 1, 20), 20).sum(2).min() < 5).all()  # zeros come in

    def test_shifts_reach_the_discriminator(self) -> None:
        recipe = replace(SMALL_WAVE, perturbation=Perturbation(shift=2000))
        plain, moved = (trained(task_of(each))[1]["discriminator"] for each in (SMALL_WAVE, recipe))
        assert plain != moved

    def test_silence_stays_silent(self) -> None:
        assert perturbed(torch.zeros(4, 1000), 16_000).abs().max() == 0

    def test_masks_hide_some_and_keep_the_rest(self) -> None:
        torch.manual_seed(0)
        levels = torch.rand(50, 60, 40)
        seen = masked(levels, hide_faint=True)
        assert seen.shape == levels.shape
        assert 0 <= seen.min() <= seen.max() <= 1
        assert (masked(levels, hide_faint=False).mean() - levels.mean()).abs() < 0.05


class TestDigitClassifier:
    def test_it_learns_to_tell_tones_apart(self) -> None:
        recipe = DigitClassifierRecipe(epochs=2, batch_size=4, learning_rate=1e-3)
        task = DigitClassifierTask(recipe, tones(16_384, count=24), CPU, Shard())
        assert (task.steps, task.steps_per_epoch) == (12, 6)
        losses = []
        for step in range(task.steps):
            losses += [float(each["cross_entropy"]) for each in train_step(task, step)]
        assert sum(losses[-3:]) < 0.5 * sum(losses[:3])
