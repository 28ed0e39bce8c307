"""Training an encoder from sound to latent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import small_specgan, write_tone
from PIL import Image
from torch import Tensor, nn

from audiate.data.sounds import SoundSet
from audiate.errors import InputError
from audiate.inversion.build import inverter
from audiate.inversion.encoder import EncoderInverter, find_encoder
from audiate.models.configs import LatentEncoderConfig
from audiate.models.generator import Generator
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.resnet import DigitClassifier
from audiate.models.wrap import WrappedGenerator, wrap
from audiate.training.loop import train_step
from audiate.training.recipes import ENTRIES
from audiate.training.recipes.encoders import LATENT_ENCODER_PAPER, LatentEncoderRecipe
from audiate.training.task import Shard
from audiate.training.tasks.latent_encoder_task import LatentEncoderTask, train_encoder

CPU = torch.device("cpu")


def tone(z: Tensor) -> Tensor:
    """A tone whose pitch and decay are the latent: two numbers, and not about speech."""
    time = torch.arange(2048) / 8000
    decay = torch.exp(-time * 30 * torch.exp(z[:, 1:]))
    return 0.9 * decay * torch.sin(2 * torch.pi * 600 * torch.exp(0.7 * z[:, :1]) * time)


def tones(**settings: Any) -> WrappedGenerator:
    return wrap(tone, **{"latent_dim": 2, "sample_rate": 8000, **settings})


def sounds_of(generator: Generator, count: int = 16) -> SoundSet:
    with torch.no_grad():
        waveforms = generator(generator.sample_latent(count))
    labels = torch.zeros(count, dtype=torch.int64)
    samples = (waveforms * 32767).to(torch.int16)
    return SoundSet(samples, labels, labels, ("",), generator.sample_rate)


SMALL = LatentEncoderRecipe(
    steps=4, batch_size=4, perceptual_weight=0, preview_every=2, learning_rate=1e-3
)


def task_of(
    generator: Generator, recipe: LatentEncoderRecipe, classifier: DigitClassifier | None = None
) -> LatentEncoderTask:
    return LatentEncoderTask(recipe, generator, classifier, sounds_of(generator), CPU, Shard())


def run(task: LatentEncoderTask) -> list[dict[str, Tensor]]:
    losses: list[dict[str, Tensor]] = []
    for step in range(task.steps):
        losses.append({})
        for each in train_step(task, step):
            losses[-1] |= each
    task.model.eval()
    return losses


class TestTheTask:
    def test_the_papers_recipe(self) -> None:
        recipe = LATENT_ENCODER_PAPER
        assert (recipe.learning_rate, recipe.schedule, recipe.batch_size) == (1e-3, "constant", 64)
        assert (recipe.blocks, recipe.normalise_blocks) == (("block4",), False)
        assert (recipe.spectrogram, recipe.perceptual_every, recipe.level_weight) == ("real", 1, 0)
        assert (recipe.waveform_weight, recipe.initialisation) == (0, "random")
        assert not recipe.settle
        classifier = DigitClassifier().eval()
        real, synthesised = task_of(
            small_specgan(), replace(recipe, batch_size=4, steps=1, preview_every=1), classifier
        ).stages(0)
        assert real.weights == {"real_perceptual": 1.0}
        assert synthesised.weights == {"latent": 1.0, "perceptual": 1.0}

    def test_size_of_the_network(self) -> None:
        assert LatentEncoder().num_parameters() == 11_221_540

    def test_a_step_is_a_batch_of_real_clips_then_one_of_synthesised(self) -> None:
        classifier = DigitClassifier().eval()
        recipe = replace(SMALL, perceptual_weight=2.0, perceptual_every=3, level_weight=0.5)
        task = task_of(small_specgan(), recipe, classifier)
        real, synthesised = task.stages(0)
        assert real.weights == {"real_levels": 0.5, "real_perceptual": 6.0, "real_outside": 10.0}
        assert synthesised.weights == {"latent": 1.0, "levels": 0.5, "perceptual": 6.0}
        real, synthesised = task.stages(1)
        assert real.weights == {"real_levels": 0.5, "real_outside": 10.0}
        losses = run(replace_steps(task, 2))
        assert losses[0].keys() == {
            "real_levels", "real_perceptual", "real_outside", "latent", "levels", "perceptual",
        }  # fmt: skip
        assert all(value.isfinite() for step in losses for value in step.values())

    def test_waveforms_of_synthesised_clips_alone_are_compared_and_late(self) -> None:
        task = task_of(tones(), replace(SMALL, waveform_weight=0.3, steps=10))
        weights = [task.stages(step)[1].weights.get("waveform", 0.0) for step in range(10)]
        assert weights == pytest.approx([0, 0, 0, 0, 0.15, 0.3, 0.3, 0.3, 0.3, 0.3])
        assert not any("real_waveform" in task.stages(step)[0].weights for step in range(10))
        with torch.no_grad():
            task.model.network.head.weight.zero_()
            task.model.network.head.bias.zero_()
        task.model.eval()
        torch.manual_seed(0)
        loss = task.stages(9)[1].losses()["waveform"]
        torch.manual_seed(0)
        target = tone(task._generator.sample_latent(4))
        power = target.square().mean(1)
        expected = ((tone(torch.zeros(1, 2)) - target).square().mean(1) / power).mean()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)

    def test_batch_norms_settle_in_the_later_half(self) -> None:
        def training(settle: bool, step: int) -> bool:
            task = task_of(tones(), replace(SMALL, steps=10, settle=settle))
            task.model.train()
            task.begin_step(step)
            modes = {m.training for m in task.model.modules() if isinstance(m, nn.BatchNorm2d)}
            assert len(modes) == 1
            return modes.pop()

        assert [training(True, step) for step in (0, 4, 5, 9)] == [True, True, False, False]
        assert training(False, 9)

    def test_waveforms_whose_phases_are_searched_for_are_not(self) -> None:
        (_, synthesised) = task_of(small_specgan(), replace(SMALL, waveform_weight=0.3)).stages(3)
        assert "waveform" not in synthesised.weights

    def test_it_begins_as_the_classifier(self) -> None:
        classifier = DigitClassifier().eval()
        recipe = replace(SMALL, perceptual_weight=1.0)
        own = task_of(small_specgan(), recipe, classifier).model.network.state_dict()
        for name, value in classifier.network.state_dict().items():
            same = own[name].shape == value.shape and torch.equal(own[name], value)
            assert same != name.startswith("head."), name
        random = replace(recipe, initialisation="random")
        other = task_of(small_specgan(), random, classifier).model.network
        assert not torch.equal(other.state_dict()["stem.0.weight"], own["stem.0.weight"])

    def test_it_goes_on_from_another_encoder(self, tmp_path: Path) -> None:
        generator = tones()
        before = task_of(generator, SMALL).model
        before.save_pretrained(tmp_path / "before")
        recipe = replace(SMALL, init=str(tmp_path / "before"), waveform_weight=0.5, seed=3)
        task = task_of(generator, recipe)
        for one, other in zip(before.parameters(), task.model.parameters(), strict=True):
            assert torch.equal(one, other)
        assert task.stages(0)[1].weights["waveform"] == 0.5
        with pytest.raises(InputError, match="`latent_dim` is 2 there and 12 here"):
            task_of(small_specgan(latent_dim=12), replace(recipe, spectrogram="mel"))

    def test_generator_and_classifier_stay_as_they_are(self) -> None:
        generator, classifier = small_specgan(), DigitClassifier().eval()
        before = [p.clone() for p in (*generator.parameters(), *classifier.parameters())]
        run(task_of(generator, replace(SMALL, perceptual_weight=1.0), classifier))
        after = [*generator.parameters(), *classifier.parameters()]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert not any(p.requires_grad for p in after)

    def test_without_gradients_the_latent_alone_is_learnt(self) -> None:
        generator = tones()
        generator.differentiable = False
        task = task_of(generator, SMALL)
        (stage,) = task.stages(0)
        assert stage.weights == {"latent": 1.0}

    def test_labels_are_compared_of_both_where_their_names_agree(self) -> None:
        generator = small_specgan(classes=3, names=("a", "b", "c"))
        recipe = replace(SMALL, label_weight=0.5)
        other = task_of(generator, recipe)  # its real clips have no names
        real, synthesised = other.stages(0)
        assert "real_label" not in real.weights
        assert synthesised.weights["label"] == 0.5
        sounds = replace(sounds_of(generator), names=("c", "b", "x"))
        sounds = replace(sounds, labels=torch.arange(16) % 3)
        task = LatentEncoderTask(recipe, generator, None, sounds, CPU, Shard())
        real, synthesised = task.stages(0)
        assert real.weights["real_label"] == synthesised.weights["label"] == 0.5
        # Where the latents are those of the middle of the prior, each label is as likely.
        with torch.no_grad():
            task.model.network.head.weight.zero_()
            task.model.network.head.bias.zero_()
            found = [stage.losses() for stage in task.stages(0)]
        chance = torch.tensor(3.0).log().item()
        known = (task._order.batch(0) % 3 < 2).double().mean().item()  # "x" costs nothing
        assert found[0]["real_label"].item() == pytest.approx(chance * known)
        assert task._real_labels is not None
        assert task._real_labels[:3].tolist() == [2, 1, -1]
        assert found[1]["label"].item() == pytest.approx(chance)

    def test_labels_are_learnt(self) -> None:
        generator = small_specgan(classes=2, names=("a", "b"))
        recipe = replace(SMALL, label_weight=1.0, level_weight=0.0, steps=30, batch_size=8)
        task = task_of(generator, recipe)
        losses = run(task)
        first, last = (
            sum(step["label"].item() for step in part) for part in (losses[:5], losses[-5:])
        )
        assert last < 0.7 * first

    def test_latents_come_first(self) -> None:
        generator = small_specgan(classes=2, names=("a", "b"))
        recipe = replace(SMALL, label_weight=0.1, latents_first=0.5, steps=10)
        task = task_of(generator, recipe)
        compared = [set(task.stages(step)[-1].weights) for step in range(10)]
        assert compared == [{"latent", "label"}] * 5 + [{"latent", "label", "levels"}] * 5

    def test_it_shows_and_sounds(self) -> None:
        task = task_of(small_specgan(), SMALL)
        task.model.eval()
        picture, heard = task.preview(), task.preview_sound()
        assert isinstance(picture, Image.Image)
        assert picture.height > 2 * (129 + 18)  # with titles and axes
        assert picture.width > 8 * 32
        assert heard.waveform.shape == (1, 16 * 4096)

    def test_an_encoder_that_does_not_listen_is_reported(self) -> None:
        task = task_of(tones(), SMALL)
        with torch.no_grad():
            task.model.network.head.weight.zero_()
        task.model.eval()
        assert task.diagnose({}) is None  # it has not begun
        task.begin_step(task.steps - 1)
        alarm = task.diagnose({})
        assert alarm is not None
        assert alarm.startswith("deaf: latents of different clips differ 0.00 times")


def replace_steps(task: LatentEncoderTask, steps: int) -> LatentEncoderTask:
    task.steps = steps
    return task


class TestAnyGenerator:
    def test_learns_a_generator_that_is_not_ours(self, tmp_path: Path) -> None:
        for number in range(6):
            write_tone(tmp_path / "real" / f"{number}.wav", hertz=400 + 100 * number, seconds=0.25)
        generator = tones()
        settings: dict[str, Any] = {
            "data": (str(tmp_path / "real"),),
            "steps": 60,
            "batch_size": 4,
            "perceptual_weight": 0.0,
            "latents_first": 0.5,
            "preview_every": 60,
        }
        encoder = train_encoder(generator, tmp_path / "run", quiet=True, **settings)
        z = generator.sample_latent(32, generator=torch.Generator().manual_seed(9))
        target = generator(z)
        found = EncoderInverter(generator, encoder)(target).latent
        assert (found - z).square().mean() < 0.8 * z.square().mean()
        # The run's folder is all that others need.
        look, both = (
            inverter(generator, method, encoder=str(tmp_path / "run"))(target[:4])
            for method in ("encoder", "hybrid")
        )
        torch.testing.assert_close(look.latent, found[:4])
        assert (both.loss <= look.loss).all()
        assert both.loss.sum() < 0.9 * look.loss.sum()
        with pytest.raises(InputError, match="holds a run already"):
            train_encoder(generator, tmp_path / "run", quiet=True, **settings)

    def test_an_encoder_of_another_generator_is_refused(self, tmp_path: Path) -> None:
        generator = tones()
        folder = LatentEncoder(
            LatentEncoderConfig(latent_dim=2, num_samples=2048, fingerprint=(1.0, 2.0, 3.0, 4.0))
        ).save_pretrained(tmp_path / "encoder")
        with pytest.raises(InputError, match="was trained for another generator"):
            find_encoder(generator, str(folder))
        with pytest.raises(InputError, match="is no encoder"):
            find_encoder(generator, "vae-fsdd")

    def test_what_comes_next_fits_the_data(self) -> None:
        entry = ENTRIES["latent-encoder"]
        words = entry.next_command(LatentEncoderRecipe(generator="gan"), "run")
        assert words == ["evaluate", "inversion", "--generator", "gan", "--encoder", "run"]
        recipe = LatentEncoderRecipe(generator="gan", data=("drums",))
        words = entry.next_command(recipe, "run")
        assert words == ["invert", "drums", "--generator", "gan", "--encoder", "run"]

    def test_bad_settings(self) -> None:
        with pytest.raises(InputError, match="`level_weight`"):
            LatentEncoderRecipe(level_weight=-1)
        with pytest.raises(InputError, match="`data`: is empty"):
            LatentEncoderRecipe(data=())
        with pytest.raises(InputError, match="blocks block12"):
            task_of(small_specgan(), replace(SMALL, blocks=("block12",)), DigitClassifier())
