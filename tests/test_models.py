"""What holds for every registered model, and for each by itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import audiate
from audiate.errors import InputError
from audiate.models.audio_to_image import AudioToImageModel, Posterior
from audiate.models.configs import LatentFlowConfig, Solver
from audiate.models.generator import AudioGAN
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel, in_words, known_models
from audiate.models.storage import Provenance, pack, read_weights
from audiate.models.vae import VAE
from audiate.models.vaegan import VAEGAN

EVERY_MODEL = pytest.mark.parametrize("cls", known_models().values(), ids=list(known_models()))
EVERY_AUDIO_TO_IMAGE = pytest.mark.parametrize(
    "cls",
    [c for c in known_models().values() if issubclass(c, AudioToImageModel)],
    ids=lambda c: c.model_type,
)


def made(cls: type[PretrainedModel]) -> PretrainedModel:
    torch.manual_seed(0)
    config = cls.config_class()
    if issubclass(cls, AudioGAN):
        config = replace(config, dim=8)
    return cls(config).eval()


def tone(hertz: float = 500.0) -> torch.Tensor:
    return 0.5 * torch.sin(torch.arange(4000) * 2 * torch.pi * hertz / 8000)


def test_parameter_counts_are_the_papers() -> None:
    assert LeNet().num_parameters() == 61_706
    assert VAE().num_parameters() == 20_950_529
    assert VAEGAN().num_parameters() == 7_909_382


class TestEveryModel:
    @EVERY_MODEL
    @pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
    def test_saved_and_loaded_it_is_the_same(
        self, cls: type[PretrainedModel], storage: str, tmp_path: Path
    ) -> None:
        model = made(cls)
        model.provenance = Provenance("recipe", {"seed": 3, "name": None}, {"torch": "2"})
        model.save_pretrained(tmp_path / "m", storage=storage, card="# A card\n")  # type: ignore[arg-type]
        again = audiate.load(tmp_path / "m")
        assert type(again) is cls
        assert again.config == model.config
        assert again.provenance == model.provenance
        assert (tmp_path / "m" / "README.md").read_text() == "# A card\n"
        for name, weight in model.state_dict().items():
            restored = again.state_dict()[name]
            largest = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True)
            bound = {"float32": 0.0, "float16": 1e-3, "int8": 0.5 / 127 + 1e-6}[storage]
            assert ((restored - weight).abs() <= bound * largest + 1e-7).all(), name
        assert not list((tmp_path / "m").glob("*.part"))

    @EVERY_MODEL
    def test_int8_takes_little_more_than_a_byte_a_weight(
        self, cls: type[PretrainedModel], tmp_path: Path
    ) -> None:
        model = made(cls)
        model.save_pretrained(tmp_path, storage="int8")
        size = (tmp_path / "model.safetensors").stat().st_size
        assert size < 1.1 * model.num_parameters() + 8000

    @EVERY_MODEL
    def test_nothing_but_the_documented_files_is_written(
        self, cls: type[PretrainedModel], tmp_path: Path
    ) -> None:
        made(cls).save_pretrained(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
        assert json.loads((tmp_path / "config.json").read_text())["model_type"] == cls.model_type

    @EVERY_MODEL
    def test_from_pretrained_knows_its_own_kind(
        self, cls: type[PretrainedModel], tmp_path: Path
    ) -> None:
        made(cls).save_pretrained(tmp_path)
        assert isinstance(cls.from_pretrained(tmp_path), cls)
        other = next(c for c in known_models().values() if c is not cls)
        with pytest.raises(InputError, match=re.escape(f"{in_words(made(cls))} {other.refusal}")):
            other.from_pretrained(tmp_path)


def test_messages_tell_kinds_of_models_in_words() -> None:
    told = {in_words(made(cls)) for cls in known_models().values()}
    assert {"a digit classifier", "a latent encoder", "a latent flow", "a dual encoder"} < told
    assert {"a VAE", "a LeNet", "a WaveGAN"} < told


class TestEveryAudioToImageModel:
    @EVERY_AUDIO_TO_IMAGE
    def test_images_are_images(self, cls: type[AudioToImageModel]) -> None:
        drawn = made(cls).draw(tone(), sample_rate=8000, samples=3)  # type: ignore[operator]
        assert drawn.shape == (3, 28, 28)
        assert drawn.dtype == torch.float32
        assert 0 <= drawn.min() <= drawn.max() <= 1

    @EVERY_AUDIO_TO_IMAGE
    def test_same_clip_and_seed_same_images(self, cls: type[AudioToImageModel]) -> None:
        model = made(cls)
        assert isinstance(model, AudioToImageModel)
        first = model.draw(tone(), sample_rate=8000, seed=1)
        model.draw(tone(900), sample_rate=8000, seed=2)  # what went before does not matter
        assert torch.equal(model.draw(tone(), sample_rate=8000, seed=1), first)
        assert not torch.equal(model.draw(tone(), sample_rate=8000, seed=2), first)
        # More samples are more of the same.
        assert torch.allclose(model.draw(tone(), sample_rate=8000, seed=1, samples=12)[:8], first)

    @EVERY_AUDIO_TO_IMAGE
    def test_any_rate_and_any_array(self, cls: type[AudioToImageModel]) -> None:
        model = made(cls)
        assert isinstance(model, AudioToImageModel)
        time = torch.arange(22_050) / 44_100
        fine = 0.5 * torch.sin(2 * torch.pi * 500 * time)
        coarse = model.preprocess(tone(), sample_rate=8000)
        assert (model.preprocess(fine.numpy(), sample_rate=44_100) - coarse).abs().mean() < 0.02
        assert torch.equal(
            model.preprocess(torch.stack([tone(), tone()]), sample_rate=8000), coarse
        )

    @EVERY_AUDIO_TO_IMAGE
    def test_silence_is_refused(self, cls: type[AudioToImageModel]) -> None:
        with pytest.raises(InputError, match="silent"):
            made(cls).draw(torch.zeros(8000), sample_rate=8000)  # type: ignore[operator]


def test_lenet_reads_what_it_embeds() -> None:
    model = made(LeNet)
    assert isinstance(model, LeNet)
    images = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(0))
    seen = []
    model.features[7].register_forward_hook(lambda _, __, output: seen.append(output))
    logits = model(images)
    embedded = model.embed(images)
    assert embedded.shape == (3, 120)
    assert torch.equal(embedded, seen[0].flatten(1))  # [7] is the ReLU after the last convolution
    assert torch.equal(model.classifier(embedded), logits)


class TestVAE:
    def test_shapes_follow_the_papers_table(self) -> None:
        model = VAE()
        posterior = model.encode(torch.rand(2, 48, 48))
        assert [part.shape for part in posterior] == [(2, 64), (2, 64)]
        assert model.decode(posterior.mu).shape == (2, 28, 28)
        assert model.encoder[:4](torch.rand(1, 1, 48, 48)).shape == (1, 128, 10, 10)

    def test_the_sample_has_the_posteriors_moments(self) -> None:
        posterior = Posterior(torch.full((1, 2), 3.0), torch.tensor([[0.0, 2.0]]))
        noise = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0))
        samples = posterior.sample(noise)
        torch.testing.assert_close(samples.mean(0), posterior.mu[0], atol=0.03, rtol=0)
        torch.testing.assert_close(
            samples.std(0), (posterior.logvar[0] / 2).exp(), rtol=0.01, atol=0
        )

    def test_without_spread_samples_are_the_mean(self) -> None:
        model = VAE().eval()
        with torch.no_grad():
            model.logvar.weight.zero_()
            model.logvar.bias.fill_(-60)
        spectrogram = torch.rand(2, 48, 48)
        samples = model.sample_images(spectrogram, 3)
        means = model.mean_images(spectrogram).unsqueeze(1).expand(-1, 3, -1, -1)
        torch.testing.assert_close(samples, means)


class TestVAEGAN:
    def test_shapes_follow_the_papers_table(self) -> None:
        model = VAEGAN().eval()
        spectrogram, sizes = torch.rand(2, 1, 48, 48), []
        for layer in model.encoder:
            spectrogram = layer(spectrogram)
            sizes.append(tuple(spectrogram.shape[1:]))
        assert sizes[::3] == [(128, 23, 23), (256, 10, 10), (512, 4, 4)]
        z, sizes = torch.randn(2, 64, 1, 1), []
        for layer in model.decoder:
            z = layer(z)
            sizes.append(tuple(z.shape[1:]))
        assert sizes[::3] == [(512, 3, 3), (256, 7, 7), (128, 14, 14), (1, 28, 28)]
        assert model.discriminate(torch.rand(5, 28, 28)).shape == (5,)

    @pytest.mark.parametrize("part", ["encoder", "decoder", "discriminator", "mu"])
    def test_matrix_products_are_the_convolutions(self, part: str) -> None:
        torch.manual_seed(0)
        module = getattr(VAEGAN().eval(), part)
        size = {"encoder": (1, 48, 48), "discriminator": (1, 28, 28), "mu": (512, 4, 4)}
        hidden = torch.randn(3, *size.get(part, (64, 1, 1)))
        for layer in module if isinstance(module, torch.nn.Sequential) else [module]:
            output = layer(hidden)
            for plain, convolve in (
                (torch.nn.Conv2d, torch.conv2d),
                (torch.nn.ConvTranspose2d, torch.conv_transpose2d),
            ):
                if isinstance(layer, plain):
                    expected = convolve(hidden, layer.weight, layer.bias, layer.stride)
                    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
            hidden = output

    def test_a_batch_of_one_kind_has_no_logit_in_common(self) -> None:
        # Why real and drawn images must be judged together: alone, neither can look real.
        model = VAEGAN().train()
        logits = model.discriminate(torch.rand(64, 28, 28))
        assert abs(logits.mean().item()) < 1e-5


class Straight(torch.nn.Module):
    """The velocity field whose flow carries every noise to what the condition says."""

    def forward(self, latents: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        assert times.shape == (len(latents),)
        return (condition[:, :32] - latents) / (1 - times.unsqueeze(1))


class Decaying(torch.nn.Module):
    """The velocity t - x + c of latents x at time t, where the condition begins with c."""

    def forward(self, latents: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        return times.unsqueeze(1) - latents + condition[:, :32]


class TestLatentFlow:
    @pytest.fixture
    def model(self) -> LatentFlow:
        """Hears the loudness of the first bands; its decoder shows the latents themselves."""
        torch.manual_seed(0)
        model = LatentFlow(LatentFlowConfig(steps=5, guidance=1.0)).eval()
        model.velocity = Straight()  # type: ignore[assignment]
        model.image_decoder = torch.nn.Sequential(
            torch.nn.ConstantPad1d((0, 784 - 32), 0.0), torch.nn.Unflatten(1, (1, 28, 28))
        )
        return model

    def test_euler_steps_are_exact_on_straight_paths(self, model: LatentFlow) -> None:
        spectrogram = torch.rand(2, 48, 48)
        condition = model.condition(spectrogram)
        images = model.sample_images(spectrogram, 3)
        expected = condition[:, :32].sigmoid().unsqueeze(1).expand(-1, 3, -1)
        torch.testing.assert_close(images.flatten(2)[..., :32], expected)

    @pytest.mark.parametrize("guidance", [0.0, 0.5, 3.0])
    def test_guidance_goes_beyond_the_condition(self, model: LatentFlow, guidance: float) -> None:
        model.config = LatentFlowConfig(steps=5, guidance=guidance)
        torch.nn.init.normal_(model.null_condition)
        spectrogram = torch.rand(1, 48, 48)
        free, heard = model.null_condition[:32], model.condition(spectrogram)[0, :32]
        images = model.sample_images(spectrogram, 1)
        expected = (free + guidance * (heard - free)).sigmoid()
        torch.testing.assert_close(images.flatten()[:32], expected)

    def test_without_motion_noise_is_decoded(self, model: LatentFlow) -> None:
        begun = made(LatentFlow)
        assert isinstance(begun, LatentFlow)
        model.velocity = begun.velocity
        images = model.sample_images(
            torch.rand(1, 48, 48), 2, generator=torch.Generator().manual_seed(3)
        )
        noise = torch.randn(1, 2, 32, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(images.flatten(2)[..., :32], noise.sigmoid())

    @pytest.mark.parametrize("solver", ["euler", "midpoint", "heun"])
    def test_solvers_against_their_formulas(self, model: LatentFlow, solver: Solver) -> None:
        # dx/dt = t - x + c, guided: 3 times as far from the null condition's 0 as c is.
        model.velocity = Decaying()  # type: ignore[assignment]
        model.config = LatentFlowConfig(steps=5, guidance=3.0, solver=solver)
        condition, noise = torch.randn(2, 128), torch.randn(2, 4, 32)
        found = model.flow_from(condition, noise, 3.0).flatten(2)[..., :32].detach()
        x = noise.double().numpy()
        c = 3 * condition[:, None, :32].double().numpy()
        h = 1 / 5
        for t in np.arange(5) * h:
            first = t - x + c
            if solver == "midpoint":
                x = x + h * (t + h / 2 - (x + h / 2 * first) + c)
            elif solver == "heun":
                x = x + h / 2 * (first + t + h - (x + h * first) + c)
            else:
                x = x + h * first
        np.testing.assert_allclose(found.numpy(), 1 / (1 + np.exp(-x)), atol=1e-5)

    @pytest.mark.parametrize(("solver", "calls"), [("euler", 5), ("midpoint", 10), ("heun", 10)])
    def test_evaluations_of_the_network(
        self, model: LatentFlow, solver: Solver, calls: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times: list[float] = []

        def forward(latents: Tensor, time: Tensor, condition: Tensor) -> Tensor:
            times.append(time[0].item())
            return condition[:, :32]

        monkeypatch.setattr(model.velocity, "forward", forward)
        model.config = LatentFlowConfig(steps=5, solver=solver)
        model.sample_images(torch.rand(1, 48, 48), 1)
        assert len(times) == calls
        assert 0 <= min(times) <= max(times) <= 1

    def test_the_shipped_model_takes_five_midpoint_steps(self) -> None:
        config = audiate.load("flow-digits", LatentFlow).config
        assert (config.solver, config.steps) == ("midpoint", 5)

    @pytest.mark.parametrize("wrong", [{"steps": 0}, {"guidance": -1.0}, {"solver": "rk5"}])
    def test_settings_out_of_range(self, wrong: dict[str, object]) -> None:
        with pytest.raises(InputError, match=next(iter(wrong))):
            LatentFlowConfig(**wrong)  # type: ignore[arg-type]


class TestStorage:
    @staticmethod
    def read_back(
        stored: dict[str, torch.Tensor], shapes_of: dict[str, torch.Tensor], path: Path
    ) -> dict[str, torch.Tensor]:
        model = torch.nn.Module()
        for name, tensor in shapes_of.items():
            model.register_buffer(name, tensor)
        save_file(stored, path)
        return read_weights(model, path)

    def test_eight_bits_are_rounded_to_nearest(self, tmp_path: Path) -> None:
        state = {"w": torch.tensor([[1.27, -0.014, 0.016], [0.0, 0.0, 0.0]])}
        packed = pack(state, "int8")
        assert packed["w"].tolist() == [[127, -1, 2], [0, 0, 0]]
        restored = self.read_back(packed, state, tmp_path / "model.safetensors")
        torch.testing.assert_close(restored["w"][0], torch.tensor([1.27, -0.01, 0.02]))

    def test_vectors_and_counts_are_kept_exactly(self, tmp_path: Path) -> None:
        state = {"bias": torch.randn(5), "steps": torch.tensor(70_000)}
        packed = pack(state, "int8")
        restored = self.read_back(packed, state, tmp_path / "model.safetensors")
        assert torch.equal(restored["bias"], state["bias"])
        assert torch.equal(restored["steps"], state["steps"])

    def test_stored_as_integers(self, tmp_path: Path) -> None:
        LeNet().save_pretrained(tmp_path, storage="int8")
        stored = load_file(tmp_path / "model.safetensors")
        assert stored["classifier.0.weight"].dtype == torch.int8


class TestNumbers:
    """Numbers of the Python interface: whole ones of any type, and nothing else."""

    @pytest.mark.parametrize("two", [2.0, np.int64(2), torch.tensor(2)])
    def test_whole_numbers_are_taken(self, two: Any) -> None:
        model = audiate.load("flow-digits")
        assert isinstance(model, AudioToImageModel)
        drawn = model.draw(tone(), sample_rate=8000, samples=two, seed=two)
        assert torch.equal(drawn, model.draw(tone(), sample_rate=8000, samples=2, seed=2))

    @pytest.mark.parametrize("value", [None, "2", [2], 2.5, float("nan"), torch.ones(3), True])
    @pytest.mark.parametrize("name", ["samples", "seed"])
    def test_all_else_is_refused(self, name: str, value: Any) -> None:
        model = audiate.load("flow-digits")
        assert isinstance(model, AudioToImageModel)
        with pytest.raises(InputError, match=name):
            model.draw(tone(), sample_rate=8000, **{name: value})
