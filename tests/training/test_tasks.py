"""The tasks: what they compute, and that what they train learns."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import audiate
from audiate.audio.log_mel import LogMel
from audiate.cli import main
from audiate.data.digits import LabelledImages, load_mnist
from audiate.data.pairs import Pairs, load_pairs
from audiate.errors import InputError
from audiate.models.vae import VAE
from audiate.training.augment import augmented, distorted
from audiate.training.loop import run_recipe, train_step, update
from audiate.training.options import RunOptions
from audiate.training.recipes.classifiers import LeNetRecipe
from audiate.training.recipes.drawing import (
    VAE_PAPER,
    VAEGAN_PAPER,
    LatentFlowRecipe,
    VAEGANRecipe,
    VAERecipe,
)
from audiate.training.run import Run
from audiate.training.task import Shard, Task
from audiate.training.tasks.classifier_tasks import LeNetTask
from audiate.training.tasks.latent_flow_task import LatentFlowTask
from audiate.training.tasks.paired_batches import (
    Change,
    ImagesOfRecordings,
    MelRecordings,
    mean_image,
    to_unit,
)
from audiate.training.tasks.vae_task import VAETask, alive_units, initialise
from audiate.training.tasks.vaegan_task import VAEGANTask

CPU = torch.device("cpu")


def noise_pairs(recordings: int = 12, images: int = 60) -> Pairs:
    generator = torch.Generator().manual_seed(0)
    return Pairs(
        torch.randint(256, (images, 28, 28), generator=generator).to(torch.uint8),
        [torch.randn(800 + 100 * n, generator=generator) for n in range(recordings)],
        torch.randint(recordings, (images,), generator=generator),
        8000,
    )


def train(task: Task) -> None:
    """All steps of a task, by the loop's own update."""
    for step in range(task.steps):
        train_step(task, step)
    for module in task.modules.values():
        module.eval()


class TestImagesOfRecordings:
    def test_one_image_is_the_pairs_own(self) -> None:
        pairs = noise_pairs()
        index = torch.tensor([3, 0, 59])
        images = mean_image(ImagesOfRecordings(pairs).several(index, 1))
        torch.testing.assert_close(images, pairs.images[index].float() / 255)

    def test_others_were_heard_with_the_same_recording(self) -> None:
        pairs = noise_pairs()
        # Every image is a flat tone of its recording's number.
        flat = pairs.heard.view(-1, 1, 1).expand(-1, 28, 28).to(torch.uint8)
        images = ImagesOfRecordings(replace(pairs, images=flat)).several(torch.arange(60), 7)
        assert images.shape == (60, 7, 28, 28)
        assert torch.equal(images[..., 0, 0], pairs.heard.unsqueeze(1).expand(-1, 7))
        torch.testing.assert_close(mean_image(images), to_unit(flat))

    def test_all_of_them_have_their_turn(self) -> None:
        pairs = noise_pairs(recordings=2, images=8)
        # Image i is white in pixel i alone: the mean shows how often each was drawn.
        images = torch.zeros(8, 28, 28, dtype=torch.uint8)
        images[torch.arange(8), 0, torch.arange(8)] = 255
        torch.manual_seed(0)
        drawn = mean_image(
            ImagesOfRecordings(replace(pairs, images=images)).several(torch.tensor([0]), 4001)
        )[0, 0, :8]
        own = pairs.heard == pairs.heard[0]
        assert drawn[~own].sum() == 0
        torch.testing.assert_close(
            drawn[own], torch.full((int(own.sum()),), 1 / own.sum().item()), atol=0.03, rtol=0
        )


class TestAugmentation:
    @pytest.mark.parametrize("changed", ["mildly", "in noise"])
    def test_it_changes_words_within_range(self, changed: Change) -> None:
        features = LogMel()
        sounds = MelRecordings(features, noise_pairs().recordings)
        index = torch.arange(12)
        torch.manual_seed(0)
        plain = sounds.spectrograms(index)
        once, twice = (sounds.spectrograms(index, changed) for _ in range(2))
        torch.testing.assert_close(plain, features.many(noise_pairs().recordings))
        for view in (once, twice):
            assert view.shape == (12, 48, 48)
            assert 0 <= view.min() <= view.max() <= 1
        assert (once - plain).abs().mean() > 0.01
        assert (once - twice).abs().mean() > 0.01

    def test_a_tone_stays_near_its_band(self) -> None:
        features = LogMel()
        tone = torch.sin(torch.arange(4000) * 2 * torch.pi * 1000 / 8000).unsqueeze(0)
        power = features.mel_power(tone, torch.tensor([4000])).expand(200, -1, -1)
        plain = features(tone)[0].mean(1).argmax()
        torch.manual_seed(0)
        bands = augmented(features, power, features.find_words(power)).mean(2).argmax(1)
        # Shift and stretch reach four bands; now and then a mask or noise hides the tone.
        assert ((bands - plain).abs() <= 4).float().mean() > 0.8

    def test_distorted_digits_keep_their_ink_and_place(self) -> None:
        torch.manual_seed(0)
        image = torch.zeros(64, 28, 28)
        image[:, 10:18, 10:18] = 1
        moved = distorted(image)
        assert 0 <= moved.min() <= moved.max() <= 1
        assert (moved.sum((1, 2)) / 64 - 1).abs().max() < 0.4
        centre = (moved.sum(1) @ torch.arange(28.0)) / moved.sum((1, 2))
        assert (centre - 13.5).abs().max() < 3
        assert centre.std() > 0.5


class TestInitialisation:
    def test_signals_keep_their_size(self) -> None:
        torch.manual_seed(0)
        model = VAE()
        initialise(model)
        sounds = torch.rand(64, 48, 48)
        posterior = model.encode(sounds)
        assert 0.3 < posterior.mu.std() < 3
        assert (posterior.logvar + 4).abs().max() < 0.5
        logits = model.decode_logits(torch.randn(64, 64))
        assert 0.1 < logits.std() < 2

    def test_pytorchs_own_lets_z_ignore_the_sound(self) -> None:
        """Why the recipe does not use it: between sounds, the mean hardly moves."""
        torch.manual_seed(0)
        mu = VAE().encode(torch.rand(64, 48, 48)).mu
        assert mu.std(0).mean() < 0.02


class TestTasks:
    def test_recipes_of_the_paper(self) -> None:
        assert (VAE_PAPER.epochs, VAE_PAPER.batch_size, VAE_PAPER.learning_rate) == (100, 128, 1e-3)
        assert VAE_PAPER.images_per_recording == 1
        assert not VAE_PAPER.augment
        gan = VAEGAN_PAPER
        assert (gan.epochs, gan.batch_size, gan.learning_rate) == (100, 128, 2e-4)
        assert (gan.alpha, gan.beta, gan.adversarial_weight) == (0.2, 0.5, 1)
        assert (gan.images_per_recording, gan.instance_noise) == (1, 0)
        assert not gan.augment
        assert not gan.speech_commands

    @pytest.mark.parametrize(
        ("wrong", "complaint"),
        [
            ({"epochs": 0}, "`epochs` 0: give at least 1"),
            ({"batch_size": -1}, "`batch_size` -1: give"),
            ({"learning_rate": float("nan")}, "`learning_rate` nan"),
            ({"seed": -1}, "`seed` -1"),
        ],
    )
    def test_settings_out_of_range(self, wrong: dict[str, float], complaint: str) -> None:
        for recipe in (LeNetRecipe(), VAERecipe(), VAEGANRecipe(), LatentFlowRecipe()):
            with pytest.raises(InputError, match=complaint):
                replace(recipe, **wrong)  # type: ignore[arg-type]

    def test_lenet_learns_bars(self, tiny_data: Path, tmp_path: Path) -> None:
        recipe = LeNetRecipe(epochs=12, batch_size=40)
        out = tmp_path / "run"
        folder = run_recipe("lenet", recipe, tiny_data, RunOptions(out, device="cpu"), quiet=True)
        model = audiate.load(folder)
        images, labels = load_mnist(tiny_data, "test")
        assert (model(images.float() / 255).argmax(1) == labels).float().mean() > 0.95

    def test_vae_learns_which_tone_means_which_bar(self, tiny_data: Path) -> None:
        pairs = load_pairs(tiny_data, sample_rate=8000, seed=0)
        recipe = VAERecipe(epochs=3, batch_size=20, kl_warmup_epochs=2.0, learning_rate=1e-3)
        task = VAETask(recipe, pairs.train, CPU, Shard())
        train(task)
        with torch.no_grad():
            drawn = task.model.mean_images(task.model.features.many(pairs.test.recordings))
        rows = drawn.sum(2).argmax(1)
        said = torch.tensor([clip.label for clip in pairs.test_clips])
        assert ((rows - (2 * said + 4.5)).abs() <= 1).float().mean() > 0.9
        assert task.preview().min() >= 0
        assert task.diagnose({"kl": 5.0}) is None

    def test_collapse_is_called_by_its_name(self) -> None:
        task = VAETask(VAERecipe(batch_size=8), noise_pairs(), CPU, Shard())
        alarm = task.diagnose({"kl": 0.002, "reconstruction": 206.0})
        assert alarm is not None
        assert "posterior collapse" in alarm
        assert "`kl_warmup_epochs`" in alarm
        assert "responds" not in alarm
        torch.nn.init.zeros_(task.model.mu.weight)
        assert "all drawings are alike: they differ 0.00" in (task.diagnose({"kl": 5.0}) or "")

    def test_a_dead_encoder_is_called_by_its_name(self) -> None:
        task = VAETask(VAERecipe(batch_size=8), noise_pairs(), CPU, Shard())
        second = task.model.encoder[2]
        assert isinstance(second, torch.nn.Conv2d)
        assert second.bias is not None
        with torch.no_grad():
            second.bias.fill_(-100)
        alarm = task.diagnose({"kl": 0.002, "reconstruction": 206.0})
        assert alarm is not None
        assert "No unit of the encoder's layer 2 responds to any clip" in alarm
        first, then, *_ = alive_units(task.model, torch.rand(4, 48, 48))
        assert (first > 0, then) == (True, 0)
        with torch.no_grad():
            second.bias[3] = 100
        assert alive_units(task.model, torch.rand(4, 48, 48))[1] == 1 / 128

    def test_vaegan_learns_which_tone_means_which_bar(self, tiny_data: Path) -> None:
        pairs = load_pairs(tiny_data, sample_rate=8000, seed=0)
        recipe = VAEGANRecipe(
            epochs=1,
            batch_size=20,
            images_per_recording=1,
            learning_rate=1e-3,
            alpha=1.0,
            beta=0.1,
            adversarial_weight=0.3,
        )
        task = VAEGANTask(recipe, pairs.train, CPU, Shard())
        train(task)
        task.model.eval()
        with torch.no_grad():
            drawn = task.model.mean_images(task.model.features.many(pairs.test.recordings))
        rows = drawn.sum(2).argmax(1)
        said = torch.tensor([clip.label for clip in pairs.test_clips])
        assert ((rows - (2 * said + 4.5)).abs() <= 1).float().mean() > 0.8

    def test_each_of_the_vaegans_stages_trains_its_own(self) -> None:
        task = VAEGANTask(VAEGANRecipe(batch_size=8), noise_pairs(), CPU, Shard())
        generator, discriminator = task.stages(0)
        for stage, moves in ((generator, False), (discriminator, True)):
            before = {name: p.clone() for name, p in task.model.named_parameters()}
            update(task, stage)
            for name, parameter in task.model.named_parameters():
                changed = not torch.equal(parameter, before[name])
                # Before a batch norm a bias has no effect, so its gradient is rounding or zero.
                if not name.endswith("bias"):
                    assert changed == (name.startswith("discriminator") == moves), name

    def test_vaegan_objective_is_weighted_as_asked(self) -> None:
        recipe = VAEGANRecipe(
            batch_size=8, alpha=0.3, beta=0.7, adversarial_weight=2.0, kl_warmup_epochs=2
        )
        task = VAEGANTask(recipe, noise_pairs(), CPU, Shard())
        epoch = task.steps_per_epoch
        betas = [task.stages(step)[0].weights["kl"] for step in (0, epoch, 2 * epoch, 3 * epoch)]
        assert betas == pytest.approx([0, 0.35, 0.7, 0.7])
        generator, discriminator = task.stages(2 * epoch)
        assert generator.weights == {"adversarial": 2.0, "reconstruction": 0.3, "kl": 0.7}
        assert discriminator.weights == {"discriminator": 1.0}
        assert len(task._batches.pairs(0)) * recipe.images_per_recording == 8
        losses = generator.losses()
        assert losses["reconstruction"] > 100  # nats, summed over 784 pixels
        assert task._seen is not None
        assert [part.shape for part in task._seen] == [(8, 28, 28), (8, 28, 28)]

    def test_without_alpha_and_beta_a_plain_gan_draws_from_the_prior(self) -> None:
        recipe = VAEGANRecipe(batch_size=8, alpha=0.0, beta=0.0)
        task = VAEGANTask(recipe, noise_pairs(), CPU, Shard())
        before = {name: p.clone() for name, p in task.model.named_parameters()}
        for stage in task.stages(0):
            update(task, stage)
        for name, parameter in task.model.named_parameters():
            if name.startswith(("encoder", "mu", "logvar")):
                assert torch.equal(parameter, before[name]), name
        posterior = task.model.encode(torch.rand(5, 48, 48))
        assert torch.equal(posterior.mu, torch.zeros(5, 64))
        assert torch.equal(posterior.logvar, torch.zeros(5, 64))
        alarm = task.diagnose({"kl": 0.0, "told_apart": 0.8, "spread": 0.9})
        assert alarm is not None
        assert "ignore the sound" in alarm

    @pytest.mark.parametrize(
        ("means", "alarm"),
        [
            ({"kl": 0.01, "told_apart": 0.8, "spread": 0.9}, "ignore the sound"),
            ({"kl": 5.0, "told_apart": 0.999, "spread": 0.9}, "discriminator has won"),
            ({"kl": 5.0, "told_apart": 0.8, "spread": 0.1}, "mode collapse"),
            ({"kl": 5.0, "told_apart": 0.8, "spread": 0.9}, None),
        ],
    )
    def test_vaegan_says_what_went_wrong(self, means: dict[str, float], alarm: str | None) -> None:
        task = VAEGANTask(VAEGANRecipe(batch_size=8), noise_pairs(), CPU, Shard())
        said = task.diagnose(means)
        assert (said is None) if alarm is None else (said is not None and alarm in said)

    def test_flow_learns_which_tone_means_which_bar(self, tiny_data: Path) -> None:
        pairs = load_pairs(tiny_data, sample_rate=8000, seed=0)
        recipe = LatentFlowRecipe(
            epochs=30, batch_size=40, images_per_recording=3, condition_share=0.5, augment=False
        )
        task = LatentFlowTask(recipe, pairs.train, CPU, Shard())
        train(task)
        model = task.model.eval()
        with torch.no_grad():
            spectrograms = model.features.many(pairs.test.recordings)
            said = torch.tensor([clip.label for clip in pairs.test_clips])
            for drawn in (model.mean_images(spectrograms), model.sample_images(spectrograms, 1)):
                rows = drawn.view(-1, 28, 28).sum(2).argmax(1)
                assert ((rows - (2 * said + 4.5)).abs() <= 1).float().mean() > 0.8

    def test_flow_comes_after_what_it_flows_between(self) -> None:
        recipe = LatentFlowRecipe(
            epochs=10, batch_size=20, images_per_recording=4, condition_share=0.4
        )
        task = LatentFlowTask(recipe, noise_pairs(), CPU, Shard())
        assert task.steps == 30
        names = [tuple(stage.optimizer for stage in task.stages(step)) for step in range(30)]
        assert names == 12 * [("condition", "autoencoder")] + 18 * [("flow",)]
        # What the flow is trained between must not move: not even running statistics.
        task.model.train()
        before = {name: t.clone() for name, t in task.model.state_dict().items()}
        (stage,) = task.stages(12)
        update(task, stage)
        moved = {n for n, t in task.model.state_dict().items() if not torch.equal(t, before[n])}
        assert moved
        assert all(name.startswith(("velocity", "null_condition")) for name in moved)

    def test_a_deaf_condition_network_is_noticed(self) -> None:
        task = LatentFlowTask(LatentFlowRecipe(batch_size=40), noise_pairs(), CPU, Shard())
        alarm = task.diagnose({"mean_image": 200.0, "spread": 0.01})
        assert alarm is not None
        assert "does not depend on the sound" in alarm
        assert task.diagnose({"mean_image": 170.0, "spread": 0.8}) is None
        assert task.diagnose({"flow": 1.0}) is None

    @pytest.mark.parametrize(
        "make",
        [
            lambda: VAEGANTask(
                VAEGANRecipe(epochs=1, batch_size=8, augment=True), noise_pairs(), CPU, Shard()
            ),
            lambda: LatentFlowTask(
                LatentFlowRecipe(
                    epochs=1, batch_size=8, images_per_recording=4, condition_share=0.5
                ),
                noise_pairs(),
                CPU,
                Shard(),
            ),
        ],
        ids=["vaegan", "latent-flow"],
    )
    def test_restored_it_goes_on_with_the_same_bits(
        self, make: Callable[[], Task], tmp_path: Path
    ) -> None:
        run = Run(tmp_path)

        def steps(task: Task, begin: int, end: int) -> None:
            for step in range(begin, end):
                train_step(task, step)

        whole = make()
        steps(whole, 0, whole.steps)
        for stop in (1, whole.steps // 2 + 1):  # of the flow: in either of its parts
            first, second = make(), make()
            steps(first, 0, stop)
            run.save(first, stop)
            assert run.restore(second) == stop
            steps(second, stop, second.steps)
            for name, tensor in whole.model.state_dict().items():
                assert torch.equal(tensor, second.model.state_dict()[name]), name

    def test_a_run_is_not_resumed_on_other_data(self, tiny_data: Path, tmp_path: Path) -> None:
        recipe = VAERecipe(epochs=1, batch_size=200, images_per_recording=1, speech_commands=True)
        out = tmp_path / "run"
        run_recipe("vae", recipe, tiny_data, RunOptions(out, device="cpu"), quiet=True)
        model = audiate.load(out)
        assert model.provenance.environment["data"].startswith("430 recordings ")
        next((tiny_data / "speech_commands" / "six").glob("0a*")).unlink()
        with pytest.raises(InputError, match=r"begun with other data .*now 429 recordings"):
            run_recipe("vae", recipe, tiny_data, RunOptions(out, resume=True, device="cpu"))

    def test_more_images_than_a_batch_holds(self) -> None:
        with pytest.raises(InputError, match=r"`images_per_recording` 300: a batch of 512"):
            LatentFlowRecipe(images_per_recording=300)

    def test_without_speech_commands_it_says_how_to_go_on(
        self, tiny_data: Path, tmp_path: Path
    ) -> None:
        shutil.rmtree(tiny_data / "speech_commands")
        with pytest.raises(InputError, match=r"fetch speech_commands.*`speech_commands=False`"):
            run_recipe("latent-flow", LatentFlowRecipe(), tiny_data, RunOptions(tmp_path / "run"))

    def test_batches_too_small_are_refused(self) -> None:
        with pytest.raises(InputError, match="`images_per_recording` 16: a batch of 16"):
            LatentFlowRecipe(batch_size=16)
        with pytest.raises(InputError, match="`images_per_recording` 4: a batch of 2"):
            VAEGANRecipe(batch_size=2)
        with pytest.raises(InputError, match="too few for 4 processes"):
            VAEGANTask(VAEGANRecipe(batch_size=8), noise_pairs(), CPU, Shard(0, 4))

    def test_shares_of_a_batch_make_the_batch(self) -> None:
        digits = LabelledImages(torch.zeros(64, 28, 28, dtype=torch.uint8), torch.arange(64))
        seen = []
        for rank in range(2):
            task = LeNetTask(LeNetRecipe(batch_size=16), digits, CPU, Shard(rank, 2))
            seen += task.shard.take(task._order.batch(0)).tolist()
        whole = LeNetTask(LeNetRecipe(batch_size=16), digits, CPU, Shard())._order.batch(0)
        assert sorted(seen) == sorted(whole.tolist())


_TINY = """
import sys; sys.path.insert(0, {tests!r})
from conftest import tiny_sources
from audiate.data.sources import SOURCES
SOURCES.update(tiny_sources())
from audiate.cli import main
sys.exit(main())
"""


class TestAsAUserTrains:
    """The command in processes of its own, on made-up data."""

    @pytest.fixture
    def command(self, tiny_data: Path, tmp_path: Path) -> list[str]:
        script = tmp_path / "tiny.py"
        script.write_text(_TINY.format(tests=str(Path(__file__).parent.parent)))
        return [str(script), "train", "lenet", "--data-dir", str(tiny_data), "--epochs", "4",
                "--batch-size", "20", "--precision", "float32", "--save-every", "0"]  # fmt: skip

    def run(self, command: list[str], out: Path, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command, "--out", str(out), *more],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def test_killed_or_interrupted_it_ends_with_the_same_bits(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as the processes below have it
        try:
            assert main([*command[1:], "--out", str(tmp_path / "whole")]) == 0
        finally:
            torch.set_num_threads(threads)
        assert "model written to" in capsys.readouterr().out

        hit = tmp_path / "hit"
        for signum in (signal.SIGKILL, signal.SIGINT):
            before = (hit / "checkpoint.safetensors").stat().st_mtime if hit.exists() else 0
            process = self.run(command, hit, *(["--resume"] if before else []))
            deadline = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < deadline:
                path = hit / "checkpoint.safetensors"
                if path.exists() and path.stat().st_mtime > before:
                    break  # it has got further than the last time
                time.sleep(0.02)
            process.send_signal(signum)
            _, error = process.communicate(timeout=60)
            if signum == signal.SIGINT and process.returncode != 0:
                assert process.returncode == 130
                assert "and saved. To go on: audiate train lenet" in error
                assert "--resume" in error
        last = self.run(command, hit, "--resume")
        _, error = last.communicate(timeout=240)
        assert last.returncode == 0, error
        one, other = (load_file(tmp_path / f / "checkpoint.safetensors") for f in ("whole", "hit"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
