"""The published recipes, against their formulas in NumPy."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_specgan, tones
from numpy.typing import NDArray
from torch import Tensor

import audiate as package
from audiate.data.sounds import SoundSet
from audiate.models.configs import SpecGANConfig
from audiate.models.specgan import SpecGAN
from audiate.training.loop import train_step, update
from audiate.training.recipes.coded_gans import CIWGAN_PAPER, FIWGAN_PAPER, CodedRecipe
from audiate.training.recipes.gans import (
    SPECGAN_PAPER,
    WAVEGAN_PAPER,
    AudioGANRecipe,
    SpecGANRecipe,
)
from audiate.training.run import Run
from audiate.training.task import Shard
from audiate.training.tasks.coded_gan_task import CodedGANTask
from audiate.training.tasks.gan_task import AudioGANTask

CPU = torch.device("cpu")
Array = NDArray[np.float64]


def small(recipe: AudioGANRecipe) -> AudioGANRecipe:
    return replace(recipe, steps=2, batch_size=2, network=replace(recipe.network, dim=1))


def task_of(recipe: AudioGANRecipe, sounds: SoundSet | None = None) -> AudioGANTask:
    kind = CodedGANTask if isinstance(recipe, CodedRecipe) else AudioGANTask
    return kind(small(recipe), sounds or tones(16_384), CPU, Shard())  # type: ignore[arg-type]


def values(task: AudioGANTask) -> dict[str, Array]:
    return {name: p.detach().double().numpy() for name, p in task.model.named_parameters()}


def gradients(task: AudioGANTask) -> Mapping[str, Tensor]:
    named = task.model.named_parameters()
    return {name: p.grad for name, p in named if p.requires_grad and p.grad is not None}


class TestCodes:
    @pytest.mark.parametrize("recipe", [CIWGAN_PAPER, FIWGAN_PAPER], ids=["ciwgan", "fiwgan"])
    def test_rmsprop_moves_q_network_and_generator(self, recipe: CodedRecipe) -> None:
        task = task_of(recipe)
        adversarial, code, *critic = task.stages(0)
        assert adversarial.weights == {"generator": 1.0}
        assert code.weights == {"recovered": 1.0}
        assert (adversarial.optimizer, code.optimizer) == ("generator", "code")
        assert [stage.optimizer for stage in critic] == ["discriminator"] * 5
        assert update(task, adversarial).keys() == {"generator"}
        squares: dict[str, Array] = {}
        for _ in range(3):
            before = values(task)
            update(task, code)
            after, moved = values(task), gradients(task)
            assert {name.split(".")[0] for name in moved} == {"generator", "code_network"}
            for name, old in before.items():
                if name not in moved:
                    np.testing.assert_array_equal(after[name], old)
                    continue
                gradient = moved[name].double().numpy()
                mean = 0.9 * squares.get(name, np.ones_like(old)) + 0.1 * gradient**2
                squares[name] = mean
                step = 1e-4 * gradient / np.sqrt(mean + 1e-10)
                np.testing.assert_allclose(after[name], old - step, atol=1e-7, rtol=1e-5)

    def test_a_resumed_run_goes_on_bit_for_bit(self, tmp_path: Path) -> None:
        whole, first, second = (task_of(CIWGAN_PAPER) for _ in range(3))
        for step in range(2):
            train_step(whole, step)
        train_step(first, 0)
        Run(tmp_path).save(first, 1)
        assert Run(tmp_path).restore(second) == 1
        train_step(second, 1)
        for name, value in values(whole).items():
            np.testing.assert_array_equal(values(second)[name], value)


def hann(length: int) -> Array:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def spectra(clip: Array) -> NDArray[np.complex128]:
    """Spectra (frames, 129): frame t begins at sample 128 t, and the end is padded with zeros."""
    padded = np.concatenate([clip, np.zeros(128)])
    frames = np.stack([padded[begin : begin + 256] for begin in range(0, len(clip), 128)])
    return np.fft.rfft(frames * hann(256))


def joined(found: NDArray[np.complex128]) -> Array:
    """Samples of spectra (frames, 129) by least squares, after a silent frame before the clip."""
    samples = 128 * len(found)
    total, weight = np.zeros(samples + 128), np.full(samples + 128, 0.0)
    weight[:128] += hann(256)[128:] ** 2
    frames: Array = np.fft.irfft(found)
    for number, frame in enumerate(frames):
        part = slice(128 * number, 128 * number + 256)
        total[part] += frame * hann(256)
        weight[part] += hann(256) ** 2
    clip: Array = total / np.maximum(weight, 1e-12)
    return clip[:samples]


class TestSpectrograms:
    def clips(self) -> SoundSet:
        """Noise that fades, and then silence."""
        sounds = tones(16_384)
        noise = torch.randn(sounds.samples.shape, generator=torch.Generator().manual_seed(0))
        samples = 8000 * noise * torch.linspace(1, 0.01, 16_384)
        samples[:, :, 12_000:] = 0
        return replace(sounds, samples=samples.to(torch.int16))

    def test_they_are_the_papers(self) -> None:
        sounds = self.clips()
        task = task_of(SPECGAN_PAPER, sounds)
        assert isinstance(task.model, SpecGAN)
        waveforms = sounds.waveforms(torch.arange(len(sounds.labels)))
        clips = waveforms[:, 0].double().numpy()
        levels = np.log(np.abs(np.stack([spectra(clip) for clip in clips])) + 1e-6)[..., :128]
        mean, deviation = levels.mean((0, 1)), levels.std((0, 1))
        np.testing.assert_allclose(task.model.mean.numpy(), mean, atol=2e-3, rtol=1e-4)
        np.testing.assert_allclose(task.model.deviation.numpy(), deviation, atol=2e-3, rtol=1e-3)
        expected = np.clip((levels - mean) / deviation / 3, -1, 1)
        found = task.model.analyse(waveforms)
        assert found.shape == (len(clips), 1, 128, 128)
        np.testing.assert_allclose(found[:, 0].numpy(), expected, atol=2e-3)

    def test_phases_are_griffins_and_lims(self) -> None:
        config = SpecGANConfig(dim=1, bands="published")
        assert config.iterations == 16
        torch.manual_seed(0)
        model = SpecGAN(config)
        model.mean.uniform_(-3, 1)
        draft = 0.3 * torch.randn(1, 1, 128, 128)
        levels = 3 * draft[0, 0] * model.deviation + model.mean
        magnitudes = np.maximum(np.exp(levels.double().numpy()) - 1e-6, 0)
        magnitudes = np.concatenate([magnitudes, np.zeros((128, 1))], 1)
        real, imaginary = model.transform.phases.double().numpy()
        phases = (real + 1j * imaginary).T
        for _ in range(16):
            rebuilt = spectra(joined(magnitudes * phases))
            phases = rebuilt / np.maximum(np.abs(rebuilt), 1e-12)
        expected = joined(magnitudes * phases)
        expected /= max(np.abs(expected).max(), 1)
        found = model.render(draft)[0, 0].double().numpy()
        assert np.corrcoef(found, expected)[0, 1] > 0.999

    def test_a_trained_model_is_kept_whole(self, tmp_path: Path) -> None:
        task = task_of(SPECGAN_PAPER, self.clips())
        train_step(task, 0)
        model = task.model.eval()
        again = package.load(str(model.save_pretrained(tmp_path)), SpecGAN)
        torch.testing.assert_close(again.state_dict(), model.state_dict())
        z = model.sample_latent(2)
        with torch.no_grad():
            torch.testing.assert_close(again(z), model(z))

    def test_another_length_is_refused(self) -> None:
        with pytest.raises(package.InputError, match=r"`num_samples` 8192: .* 16384 .*linear"):
            SpecGANConfig(num_samples=8192, bands="published")

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_real_type_leaves_the_phases(self, dtype: torch.dtype) -> None:
        draft = torch.rand(1, 1, 64, 64) - 0.5
        expected = small_specgan().render(draft)
        found = small_specgan().to(dtype).render(draft.to(dtype)).float()
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


class TestLabels:
    def rare(self, recipe: AudioGANRecipe) -> SoundSet:
        """Twenty clips, two of which have the second label."""
        sounds = tones(recipe.network.num_samples or 16_384)
        labels = (torch.arange(20) >= 18).long()
        return replace(sounds, labels=labels)

    @pytest.mark.parametrize(
        "recipe",
        [WAVEGAN_PAPER, SPECGAN_PAPER, replace(SpecGANRecipe(), use_labels=False)],
        ids=["wavegan-paper", "specgan-paper", "no-use-labels"],
    )
    def test_clips_are_drawn_without_them(self, recipe: AudioGANRecipe) -> None:
        task = task_of(recipe, self.rare(recipe))
        drawn = torch.cat([task._order.batch(step) for step in range(1000)])
        counts = torch.bincount(drawn, minlength=20) / len(drawn)
        assert (counts - 1 / 20).abs().max() < 0.02  # a label of two clips does not count half
        assert task._batch(0)[1].tolist() == [0, 0]
        assert task.model.classes == 0

    def test_with_them_each_label_is_as_frequent(self) -> None:
        task = task_of(SpecGANRecipe(), self.rare(SpecGANRecipe()))
        drawn = torch.cat([task._order.batch(step) for step in range(1000)])
        assert (drawn >= 18).float().mean().item() == pytest.approx(0.5, abs=0.03)

    @pytest.mark.parametrize("recipe", [WAVEGAN_PAPER, SPECGAN_PAPER], ids=["wavegan", "specgan"])
    def test_the_critic_never_sees_a_clip_twice(
        self, recipe: AudioGANRecipe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = task_of(recipe)
        latents: list[Tensor] = []
        draw = task.model.sample_latent

        def recorded(n: int) -> Tensor:
            latents.append(draw(n))
            return latents[-1]

        monkeypatch.setattr(task.model, "sample_latent", recorded)
        train_step(task, 0)
        assert len(latents) == 1 + 5  # the generator's, and one for each update of the critic
        assert len({tuple(z.flatten().tolist()) for z in latents}) == 6
