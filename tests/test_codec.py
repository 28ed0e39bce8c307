"""The codec: its source and filters against closed forms, its pitch against Praat, its training."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
import torch
import torch.nn.functional as F
from conftest import refuses_what_is_no_latent, small_specgan
from hypothesis import given, settings
from hypothesis import strategies as st

import audiate
from audiate.audio.pitch import Periodicity, praat_f0
from audiate.audio.source_filter import filtered, minimum_phase, pulse_train
from audiate.audio.stft import Parts
from audiate.data.sounds import SoundSet
from audiate.errors import InputError
from audiate.evaluation.codecs import evaluate_codec
from audiate.inversion.build import inverter
from audiate.models.codec import Codec, Tracks, everywhere, likeliest_f0, place_of_f0
from audiate.models.conditional_flow import follow
from audiate.models.configs import CodecConfig, Solver, SpeechFlowConfig
from audiate.models.speech_flow import SpeechFlow
from audiate.training.loop import train_step
from audiate.training.losses import LogMelDistance
from audiate.training.recipes.base import Recipe
from audiate.training.recipes.codecs import CodecRecipe, SpeechFlowRecipe
from audiate.training.task import Shard
from audiate.training.tasks.codec_task import CodecTask
from audiate.training.tasks.packed_words import PackedWords, find_f0
from audiate.training.tasks.speech_flow_task import SpeechFlowTask

RATE, CPU = 16_000, torch.device("cpu")
RECIPE = CodecRecipe(speed_perturbation=(), learning_rate=3e-3)


def small_codec() -> Codec:
    torch.manual_seed(0)
    return Codec(CodecConfig(width=16, latent_channels=4)).eval()


def small_flow() -> SpeechFlow:
    """A flow of a quarter of a second that moves noise, though it was never trained."""
    torch.manual_seed(0)
    flow = SpeechFlow(
        SpeechFlowConfig(
            CodecConfig(width=16, latent_channels=4), 3, num_samples=4096, width=64, blocks=2
        )
    )
    torch.nn.init.normal_(flow.velocity.last.weight, std=0.05)
    return flow.eval()


def voices(count: int = 12) -> SoundSet:
    """Low and high voices, each with silence around it."""
    f0 = torch.linspace(90, 250, count).unsqueeze(1).expand(-1, 16_384)
    sounds = 0.1 * pulse_train(f0, RATE)
    sounds[:, :3000] = sounds[:, -3000:] = 0
    labels = torch.arange(count) * 2 // count
    samples = (32_767 * sounds.clamp(-1, 1)).to(torch.int16).unsqueeze(1)
    return SoundSet(samples, labels, torch.zeros_like(labels), ("low", "high"), RATE)


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


class TestPulses:
    @pytest.mark.parametrize("f0", [62.0, 125.0, 437.0])
    def test_all_harmonics_alike_and_nothing_between(self, f0: float) -> None:
        pulses = pulse_train(torch.full((1, 16_000), f0), RATE)
        spectrum = np.abs(np.fft.rfft(pulses[0].double().numpy())) / 8000
        harmonics = np.arange(f0, 8000, f0).astype(int)  # a bin is 1 Hz wide
        loud = spectrum[harmonics]
        np.testing.assert_allclose(loud, loud[0], rtol=1e-3)
        assert np.delete(spectrum, harmonics).max() < 1e-3 * loud[0]

    @settings(deadline=None, max_examples=20)
    @given(st.floats(60, 600))
    def test_power_does_not_depend_on_f0(self, f0: float) -> None:
        pulses = pulse_train(torch.full((1, 16_000), f0), RATE)
        assert pulses.square().mean().item() == pytest.approx(1, abs=0.05)

    def test_pulses_follow_a_glide(self) -> None:
        f0 = torch.linspace(100, 200, 16_000).unsqueeze(0)
        found = praat_f0(0.1 * pulse_train(f0, RATE)[0], RATE, 256)
        expected = f0[0, 128::256][: len(found)].numpy()
        assert np.median(np.abs(1200 * np.log2(found[4:-4] / expected[4:-4]))) < 5


class TestFilters:
    def test_minimum_phase_of_an_all_pole_filter(self) -> None:
        poles = np.poly([0.9 * np.exp(0.6j), 0.9 * np.exp(-0.6j)]).real
        _, expected = scipy.signal.freqz([1.0], poles, worN=np.linspace(0, np.pi, 257))
        found = minimum_phase(torch.from_numpy(np.log(np.abs(expected))))
        np.testing.assert_allclose(torch.complex(*found).numpy(), expected, atol=1e-6)
        # In float32, as products take their sines and cosines.
        by_products = minimum_phase(torch.from_numpy(np.log(np.abs(expected))), by_products=True)
        np.testing.assert_allclose(torch.complex(*by_products).numpy(), expected, atol=1e-5)

    @pytest.mark.parametrize("length", [256, 512])
    def test_a_flat_filter_changes_nothing(self, length: int) -> None:
        source = noise(2, 4096)
        ones = torch.ones(2, 32, length // 2 + 1)
        flat = Parts(ones, torch.zeros_like(ones))
        for by_products in (False, True):
            found = filtered(source, flat, 128, by_products=by_products)
            torch.testing.assert_close(found, source, atol=2e-5, rtol=0)

    def test_a_constant_filter_is_a_convolution(self) -> None:
        response = np.exp(-np.arange(24) / 4.0)
        spectrum = torch.fft.rfft(torch.from_numpy(response).float(), 512)
        source = noise(1, 8192)
        whole = spectrum.expand(1, 64, -1)
        found = filtered(source, Parts(whole.real, whole.imag), 128)[0]
        expected = scipy.signal.oaconvolve(source[0].numpy(), response)[:8192]
        inside = slice(512, -512)
        error = found[inside].numpy() - expected[inside]
        assert np.abs(error).max() < 0.02 * np.abs(expected).max()


class TestPitch:
    def test_periodicity_against_numpy(self) -> None:
        waveform = noise(1, 4096) + 0.2 * torch.sin(torch.arange(4096) * 0.05)
        found = Periodicity(RATE, 256, 4)(waveform)[0, :, 8].numpy()
        begin = 8 * 256 + 128 - 512
        window = scipy.signal.get_window("hann", 1024)
        power = np.abs(np.fft.rfft(waveform[0, begin : begin + 1024] * window, 2048)) ** 2
        hertz = np.fft.rfftfreq(2048, 1 / RATE)
        power *= np.where(hertz < 1600, 1 + np.cos(np.pi * hertz / 1600), 0)
        own = np.fft.irfft(np.abs(np.fft.rfft(window, 2048)) ** 2)
        other = np.fft.irfft(power)
        lags = RATE / (60 * 10 ** np.linspace(0, 1, 4))
        expected = [np.interp(lag, np.arange(1024), (other / other[0] * own[0] / own)[:1024])
                    for lag in lags]  # fmt: skip
        np.testing.assert_allclose(found, expected, atol=0.01)

    def test_a_period_and_silence(self) -> None:
        tone = 0.1 * pulse_train(torch.full((1, 8192), 200.0), RATE)
        found = Periodicity(RATE, 256, 128)(tone)[0, :, 16]
        place = round(place_of_f0(torch.tensor(200.0)).item())
        assert found[place] > 0.9
        assert found[place + 10] < 0.7
        assert Periodicity(RATE, 256, 128)(torch.zeros(1, 8192)).abs().max() == 0

    @settings(deadline=None, max_examples=30)
    @given(st.floats(65, 550))
    def test_f0_between_two_values(self, f0: float) -> None:
        place = place_of_f0(torch.tensor(f0))
        near = -0.5 * (torch.arange(128.0) - place).square()
        logits = torch.cat([torch.tensor([-20.0]), near]).view(1, -1, 1)
        assert 1200 * abs(np.log2(likeliest_f0(logits).item() / f0)) < 3
        logits[0, 0] = 20
        assert likeliest_f0(logits).item() == 0

    def test_f0_where_there_is_no_voice(self) -> None:
        f0 = torch.tensor([[0.0, 100, 0, 0, 200, 0], [0, 0, 0, 0, 0, 0]])
        assert everywhere(f0).tolist() == [[100, 100, 100, 100, 200, 200], [150] * 6]


class TestCodec:
    @pytest.mark.parametrize("samples", [1, 511, 512, 5000])
    def test_any_length(self, samples: int) -> None:
        with torch.inference_mode():
            assert small_codec()(noise(2, 1, samples)).shape == (2, 1, samples)

    def test_clips_do_not_depend_on_one_another(self) -> None:
        codec, clips = small_codec(), noise(3, 1, 4096)
        with torch.inference_mode():
            together, alone = codec(clips), codec(clips[1:2])
        torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-3)

    def test_equal_latents_equal_sounds(self) -> None:
        codec = small_codec()
        latents = noise(2, 4, 8)
        with torch.inference_mode():
            assert torch.equal(codec.decode(latents), codec.decode(latents))

    @pytest.mark.parametrize("f0", [90.0, 220.0, 410.0])
    def test_f0_is_set_by_hand(self, f0: float) -> None:
        codec = small_codec()
        with torch.inference_mode():
            tracks = codec.tracks(noise(1, 4, 32))
            silent = tracks.noise * 0 - 15
            sound = codec.render(
                Tracks(
                    torch.full_like(tracks.f0, f0),
                    torch.ones_like(tracks.voicing),
                    tracks.pulses * 0 - 3,
                    silent,
                )
            )
        found = praat_f0(sound[0, 0], RATE, 256)[4:-4]
        assert (found > 0).all()
        assert np.abs(1200 * np.log2(found / f0)).max() < 2

    def test_gradients_reach_all_weights(self) -> None:
        codec = small_codec().train()
        clips = noise(2, 1, 4096)
        posterior = codec.encode(clips)
        tracks = codec.tracks(posterior.mu)
        distance = LogMelDistance(RATE)(codec.render(tracks)[:, 0], clips[:, 0])
        _, logits = codec.listen(clips)
        (distance + tracks.f0.log().mean() + tracks.voicing.mean() + logits.square().mean()
            + posterior.logvar.mean()).backward()  # fmt: skip
        without = [name for name, each in codec.named_parameters() if each.grad is None]
        assert not without

    def test_size_and_repr(self) -> None:
        codec = Codec()
        assert repr(codec).startswith("Codec: 6.")
        assert "16 latents, 31.25 a second" in repr(codec)

    def test_sizes_out_of_range(self) -> None:
        with pytest.raises(InputError, match="latent_channels"):
            CodecConfig(latent_channels=0)


class TestLogMelDistance:
    def test_a_gain_is_its_level(self) -> None:
        sound = noise(2, 8192)
        gain = np.log(2.0)
        found = LogMelDistance(RATE)(2 * sound, sound).item()
        assert found == pytest.approx(2 * gain * 6 / 5, rel=1e-3)  # bins of 512 samples count, too
        assert LogMelDistance(RATE)(sound, sound) == 0


class TestTraining:
    def test_words_are_packed(self) -> None:
        sounds = voices()
        f0 = find_f0(sounds, 256)
        assert f0.shape == (len(sounds.labels), 64)
        assert (find_f0(sounds, 256) == f0).all()  # now from the cache
        torch.manual_seed(0)
        words = PackedWords(sounds, f0)
        numbers = iter(range(1000))
        waveforms, tracks = words.clips(lambda: next(numbers) % len(f0), 8)
        assert waveforms.shape == (8, 1, 16_384)
        assert tracks.shape == (8, 64)
        assert waveforms.abs().max() <= 0.95 + 1e-6
        silent = waveforms.view(8, 64, 256).abs().amax(2) == 0
        assert (tracks[silent] == 0).all()

    def test_praat_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "parselmouth", None)
        with pytest.raises(InputError, match=r'pip install "audiate\[measures\]"'):
            find_f0(voices(2), 256)

    def test_it_may_begin_with_the_codec_of_a_flow(self, tmp_path: Path) -> None:
        flow = small_flow()
        flow.save_pretrained(tmp_path / "flow")
        recipe = replace(RECIPE, init=str(tmp_path / "flow"), network=flow.codec.config)
        task = CodecTask(recipe, voices(), CPU, Shard())
        for name, weight in flow.codec.state_dict().items():
            assert torch.equal(task.model.state_dict()[name], weight), name

    def test_a_few_steps_give_levels_back(self) -> None:
        recipe = replace(
            RECIPE, steps=40, batch_size=4, network=CodecConfig(width=16, latent_channels=4)
        )
        task = CodecTask(recipe, voices(), CPU, Shard())
        losses = [train_step(task, step) for step in range(task.steps)]
        assert [len(updates) for updates in losses] == [1] * 28 + [2] * 12
        assert losses[-1][0]["levels"] < 0.95 * losses[0][0]["levels"]
        assert losses[-1][0].keys() > {"adversarial", "features", "f0", "voicing", "pitch", "kl"}
        assert [step for step, each in enumerate(losses) if "searched" in each[0]] == list(
            range(0, 40, 4)
        )
        assert losses[-1][1]["discriminators"].isfinite()
        for module in task.modules.values():
            module.eval()
        assert task.preview().height > 2 * 129  # with titles and axes
        assert task.preview_sound().waveform.shape == (1, 8 * 16_384)
        assert task.diagnose({"kl": 1.0}) is None
        assert "kl_weight" in (task.diagnose({"kl": 0.0}) or "")


@pytest.mark.parametrize(
    ("recipe", "wrong"),
    [
        (CodecRecipe, {"adversarial_share": 2.0}),
        (CodecRecipe, {"speed_perturbation": (9.0,)}),
        (SpeechFlowRecipe, {"variants": 0}),
        (SpeechFlowRecipe, {"dropout": 1.0}),
    ],
)
def test_settings_out_of_range(recipe: type[Recipe], wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        recipe(**wrong)


class TestEvaluation:
    def test_what_comes_back(self, real_data: Path) -> None:
        report = evaluate_codec("small", small_codec(), real_data, judged=0)
        assert report.clips == 145
        assert report.numbers_a_second == 125  # 4 values, 31.25 times a second
        assert report.mel_distance > 5  # it was never trained
        assert 0 < report.ssim < 0.5
        assert 0.2 < report.voicing_right < 1
        assert report.judges is None
        table, note = report.parts()
        assert table.columns[0].header == "mel distance (dB)"  # type: ignore[union-attr]
        assert "log-spectral distance" in str(note)

    def test_praat_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "parselmouth", None)
        with pytest.raises(InputError, match=r'pip install "audiate\[measures\]"'):
            evaluate_codec("small", small_codec(), tmp_path)


class TestSpeechFlow:
    def test_labels_are_the_first_entries(self) -> None:
        flow = small_flow()
        z = flow.sample_latent(4, labels=torch.tensor([2, 0, 1, 2]))
        assert z.shape == (4, 3 + 4 * 8)
        assert flow.labels_of(z).tolist() == [2, 0, 1, 2]
        with pytest.raises(InputError, match="knows 3"):
            flow.sample_latent(1, labels=torch.tensor([3]))
        refuses_what_is_no_latent(flow)

    def test_what_is_no_clip_is_not_recovered(self) -> None:
        flow = small_flow()
        clip = torch.zeros(1, 1, flow.num_samples)
        for wrong in (None, clip[0], clip[..., 1:], clip.numpy(), clip.expand(1, 2, -1), clip[:0]):
            with pytest.raises(InputError, match=r"give|batch, 1, "):
                flow.recover(wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="holds NaN"):
            flow.recover(clip * torch.nan)

    def test_a_label_changes_the_sound_and_guidance_more_so(self) -> None:
        flow = small_flow()
        z = flow.sample_latent(2, generator=torch.Generator().manual_seed(0))
        plain = F.pad(z[:, 3:], (3, 0))
        with torch.inference_mode():
            unlabelled, labelled = flow.codec_latents(plain), flow.codec_latents(z)
            flow.config = replace(flow.config, guidance=3.0)
            guided = flow.codec_latents(z)
        assert (labelled - unlabelled).abs().max() > 1e-4
        assert (guided - unlabelled).norm() > 1.5 * (labelled - unlabelled).norm()

    @pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2),
                                                   ("rk4", 4)])  # fmt: skip
    def test_order_of_solvers(self, solver: Solver, order: int) -> None:
        def velocity(x: torch.Tensor, times: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return x * times.unsqueeze(1).cos()

        begin, null = torch.tensor([[1.0]], dtype=torch.float64), torch.zeros(1)
        exact = np.exp(np.sin(1.0))
        errors = [
            abs(
                follow(velocity, begin, null, null, guidance=1.0, steps=n, solver=solver).item()
                - exact
            )
            for n in ((4, 8) if order == 4 else (16, 32))
        ]
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.4)

    def test_backwards_is_the_way_back(self) -> None:
        flow = small_flow()
        flow.config = replace(flow.config, solver="rk4", steps=20)
        z = F.pad(flow.sample_latent(3)[:, 3:], (3, 0))
        with torch.inference_mode():
            flat = flow.scale.flatten(flow.codec_latents(z))
            back = follow(
                flow.velocity,
                flat,
                flow.null_condition.expand(3, -1),
                flow.null_condition,
                guidance=1.0,
                steps=20,
                solver="rk4",
                backwards=True,
            )
        assert (flat - z[:, 3:]).norm() > 0.1 * z.norm()  # it does move
        torch.testing.assert_close(back, z[:, 3:], atol=1e-4, rtol=1e-4)

    def test_exact_inversion_of_clips(self) -> None:
        flow = small_flow()
        clips = noise(2, 1, 4096)
        found = inverter(flow, "exact")(clips)
        assert found.latent.shape == (2, flow.latent_dim)
        assert (found.latent[:, :3] == 0).all()
        assert found.num_evals.tolist() == [1, 1]
        hybrid = inverter(flow, "hybrid", max_iterations=2)(clips)
        assert (hybrid.loss <= inverter(flow, "hybrid", max_iterations=0)(clips).loss).all()

    def test_exact_is_for_flows(self) -> None:
        with pytest.raises(InputError, match="`method=exact`: is for flows"):
            inverter(small_specgan(), "exact")

    def test_a_few_steps(self, tmp_path: Path) -> None:
        codec = small_codec()
        recipe = SpeechFlowRecipe(
            steps=60,
            batch_size=16,
            learning_rate=5e-3,
            width=64,
            blocks=1,
            speed_perturbation=(),
            shift=500,
        )
        task = SpeechFlowTask(recipe, codec, voices(), CPU, Shard())
        losses = [train_step(task, step)[0]["flow"].item() for step in range(task.steps)]
        assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5])
        for module in task.modules.values():
            module.eval()
        assert task.preview().width > 8 * 128  # with axes
        assert task.preview_sound().waveform.shape == (1, 16 * 16_384)
        before = codec.state_dict()
        after = task.model.codec.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        task.model.save_pretrained(tmp_path)
        again = audiate.load(tmp_path)
        z = task.model.sample_latent(2)
        with torch.inference_mode():
            assert torch.equal(again(z), task.model(z))
        assert task.model.names == ("low", "high")

    def test_without_labels(self) -> None:
        recipe = SpeechFlowRecipe(
            steps=2, batch_size=4, width=64, blocks=1, speed_perturbation=(), use_labels=False
        )
        task = SpeechFlowTask(recipe, small_codec(), voices(), CPU, Shard())
        assert task.model.classes == 0
        assert task.model.latent_dim == 4 * 32
        train_step(task, 0)
