"""Audio GANs: the published networks, and what every generator promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import refuses_what_is_no_latent

from audiate.errors import InputError
from audiate.models.configs import SpecGANConfig, WaveGANConfig
from audiate.models.gan_layers import CLEAR, Projection, phase_shuffle
from audiate.models.generator import (
    AudioGAN,
    DraftingGenerator,
    Generator,
    generate,
)
from audiate.models.polyphase import DownConv1d, UpConv1d
from audiate.models.pretrained import known_models
from audiate.models.specgan import DownConv2d, SpecGAN, UpConv2d
from audiate.models.wavegan import WaveGAN
from audiate.training.tasks.gan_networks import set_levels


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(**settings: Any) -> WaveGAN:
    torch.manual_seed(0)
    return WaveGAN(WaveGANConfig(**{"dim": 4, **settings})).eval()


class TestWaveGAN:
    def test_parameter_counts_are_the_published(self) -> None:
        model = WaveGAN()
        assert count(model.generator) == 19_065_345
        assert count(model.discriminator) == 17_427_969

    @pytest.mark.parametrize("num_samples", [16_384, 32_768, 65_536])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_every_size(self, num_samples: int, channels: int) -> None:
        model = small(num_samples=num_samples, channels=channels, latent_dim=7)
        z = model.sample_latent(3)
        assert z.shape == (3, 7)
        waveforms = model(z)
        assert waveforms.shape == (3, channels, num_samples)
        assert waveforms.abs().max() <= 1
        assert model.discriminator(waveforms).shape == (3,)

    def test_the_networks_are_those_of_the_paper_layer_by_layer(self) -> None:
        # Written out once more with PyTorch's own layers, on the same weights.
        model = small(num_samples=32_768)
        z = model.sample_latent(2)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.1)
        hidden = model.generator.project(z).view(2, 16, 128).transpose(1, 2)
        for layer, stride in zip(model.generator.upsample, (4, 4, 4, 4, 4, 2), strict=True):
            assert isinstance(layer, UpConv1d)
            padding = (25 - stride) // 2
            weights = layer.weight, layer.bias
            hidden = F.conv_transpose1d(hidden.relu(), *weights, stride, padding)[..., :-1]
        assert torch.allclose(model(z), hidden.tanh(), atol=1e-6)
        waveforms = torch.rand(2, 1, 32_768) * 2 - 1
        hidden = waveforms
        for layer, stride in zip(model.discriminator.downsample, (4, 4, 4, 4, 4, 2), strict=True):
            assert isinstance(layer, DownConv1d)
            padding = (25 - stride) // 2
            padded = F.pad(hidden, (padding, 25 - stride - padding))
            hidden = F.leaky_relu(F.conv1d(padded, layer.weight, layer.bias, stride), 0.2)
        score = model.discriminator.score(hidden.transpose(1, 2).flatten(1))
        assert torch.allclose(model.discriminator(waveforms), score, atol=1e-5)

    def test_sizes_that_nobody_published(self) -> None:
        with pytest.raises(
            InputError, match=r"`num_samples` 16,000: WaveGAN makes one of 16,384, 32"
        ):
            WaveGANConfig(num_samples=16_000)
        with pytest.raises(InputError, match="channels"):
            WaveGANConfig(channels=3)


class TestPhaseShuffle:
    def test_every_shift_is_a_shift(self) -> None:
        hidden = torch.arange(20.0).view(1, 2, 10)
        wanted = {
            0: hidden[0, 0].tolist(),
            1: [1, 0, 1, 2, 3, 4, 5, 6, 7, 8],
            2: [2, 1, 0, 1, 2, 3, 4, 5, 6, 7],
            -1: [1, 2, 3, 4, 5, 6, 7, 8, 9, 8],
            -2: [2, 3, 4, 5, 6, 7, 8, 9, 8, 7],
        }
        torch.manual_seed(0)
        found = {tuple(phase_shuffle(hidden, 2)[0, 0].tolist()) for _ in range(100)}
        assert found == {tuple(map(float, row)) for row in wanted.values()}
        assert torch.equal(phase_shuffle(hidden, 0), hidden)

    def test_only_in_training(self) -> None:
        model = small()
        waveforms = torch.rand(1, 1, 16_384)
        assert len({model.discriminator(waveforms).item() for _ in range(8)}) == 1
        model.train()
        assert len({model.discriminator(waveforms).item() for _ in range(8)}) > 1


class TestPolyphase:
    """In bfloat16 the convolutions are computed by polyphase decomposition."""

    @pytest.mark.parametrize("num_samples", [16_384, 32_768])
    def test_it_is_the_same(self, num_samples: int) -> None:
        model = small(num_samples=num_samples, dim=2, channels=2)
        for name, tensor in model.state_dict().items():
            if name.endswith("bias"):
                tensor.uniform_(-0.1, 0.1)
        z = model.sample_latent(2)
        with torch.no_grad():
            exact = model(z)
            scores = model.discriminator(exact)
            with torch.autocast("cpu", torch.bfloat16):
                assert (model(z) - exact).abs().max() < 0.05
                assert (model.discriminator(exact) - scores).abs().max() < 0.05

    def test_loaded_in_inference_mode(self) -> None:
        with torch.inference_mode():
            model = small()
            assert model(model.sample_latent(1)).isfinite().all()


def every_generator() -> list[AudioGAN]:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"size": 64, "n_fft": 256, "bands": "mel", "kernel": 4}
    return [
        WaveGAN(WaveGANConfig(dim=2, classes=4)),
        SpecGAN(SpecGANConfig(dim=2, num_samples=4096, iterations=2, classes=4, **sizes)),
        SpecGAN(SpecGANConfig(dim=1, channels=2, iterations=2, classes=4, batch_norm=True)),
    ]


def test_every_registered_generator_is_here() -> None:
    registered = {cls for cls in known_models().values() if issubclass(cls, AudioGAN)}
    assert {type(model) for model in every_generator()} == registered


@pytest.mark.parametrize(
    "model", every_generator(), ids=["wavegan", "specgan, mel", "specgan, linear"]
)
class TestEveryGenerator:
    def test_the_protocol(self, model: AudioGAN) -> None:
        assert isinstance(model.eval(), Generator)
        assert (model.latent_dim, model.sample_rate, model.differentiable) == (100, 16_000, True)
        waveforms = generate(model, model.sample_latent(3))
        assert waveforms.shape == (3, model.channels, model.num_samples)
        assert waveforms.abs().max() <= 1

    def test_what_is_no_latent_is_refused(self, model: AudioGAN) -> None:
        refuses_what_is_no_latent(model.eval())

    def test_latents_are_uniform_and_seeded(self, model: AudioGAN) -> None:
        draw = [
            model.sample_latent(2000, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
        ]
        assert torch.equal(draw[0], draw[1])
        assert not torch.equal(draw[0], draw[2])
        assert -1 <= draw[0].min() < -0.99
        assert 0.99 < draw[0].max() <= 1
        assert draw[0].mean().abs() < 0.01
        assert draw[0].square().mean().item() == pytest.approx(1 / 3, abs=0.01)

    def test_latents_of_a_label_are_those_of_the_prior_that_mean_it(self, model: AudioGAN) -> None:
        labels = torch.arange(4000) % 4
        given = model.sample_latent(4000, labels=labels)
        assert torch.equal(model.labels_of(given), labels)
        free = model.sample_latent(40_000)
        of_label = free[model.labels_of(free) == 2]
        for moment in (torch.mean, torch.std):
            torch.testing.assert_close(
                moment(given[labels == 2], 0), moment(of_label, 0), atol=0.08, rtol=0
            )
        with pytest.raises(InputError, match=r"labels \[4\]: this generator knows 4"):
            model.sample_latent(1, labels=torch.tensor([4]))

    def test_two_labels_are_not_mixed_in_use(self, model: AudioGAN) -> None:
        """Entries that are nearly alike make a clear choice in use, and a soft one in training."""
        layer = Projection(replace(model.config, label_sharpness=CLEAR), 8)
        z = torch.zeros(1, model.latent_dim)
        z[0, 1], z[0, 2] = 0.51, 0.50
        first, second = layer.weight[:, model.latent_dim :].T[1:3]
        without = layer.weight[:, : model.latent_dim] @ z[0] + layer.bias
        chosen = layer.eval()(z)[0] - without
        torch.testing.assert_close(chosen, first, atol=1e-4, rtol=0)
        soft = torch.zeros(model.classes)
        soft[1:3] = z[0, 1:3]
        shares = torch.softmax(20 * soft, 0)
        mixed = layer.train()(z)[0] - without
        expected = layer.weight[:, model.latent_dim :] @ shares
        torch.testing.assert_close(mixed, expected, atol=1e-4, rtol=0)
        assert (mixed - first).abs().max() > 0.1 * (second - first).abs().max()

    def test_a_draft_is_rendered(self, model: AudioGAN) -> None:
        assert isinstance(model, DraftingGenerator)
        assert model.phases_matter == isinstance(model, WaveGAN)
        z = model.eval().sample_latent(2)
        with torch.no_grad():
            draft = model.draft(z)
            assert torch.equal(model.render(draft), model(z))
            assert torch.equal(model.render(draft, through_phases=False), model(z))
            target = 0.1 * torch.randn(2, model.channels, model.num_samples)
            distance = model.level_distance(draft, target)
            if isinstance(model, WaveGAN):
                assert distance is None
            else:
                assert distance is not None
                expected = (draft - model.analyse(target)).abs().flatten(1).mean(1)
                torch.testing.assert_close(distance, expected)
                same = model.level_distance(model.analyse(target), target)
                assert same is not None
                assert same.tolist() == [0, 0]

    def test_a_clip_does_not_depend_on_its_neighbours(self, model: AudioGAN) -> None:
        z = model.eval().sample_latent(4)
        with torch.no_grad():
            assert torch.allclose(model(z)[2:3], model(z[2:3]), atol=1e-5)

    def test_it_is_differentiable_down_to_the_latent(self, model: AudioGAN) -> None:
        z = model.eval().sample_latent(1).requires_grad_(True)
        model(z).square().mean().backward()
        assert z.grad is not None
        assert z.grad.isfinite().all()
        assert z.grad.abs().sum() > 0

    def test_the_discriminator_hears_the_label(self, model: AudioGAN) -> None:
        seen = model.eval().analyse(0.1 * torch.randn(4, model.channels, model.num_samples))
        same = seen[:1].expand_as(seen)
        scores = model.discriminator(same, torch.arange(4))
        assert scores.shape == (4,)
        assert len(set(scores.tolist())) == 4
        with pytest.raises(ValueError, match="needs the labels"):
            model.discriminator(seen)


class TestSpecGAN:
    def test_parameter_counts_are_the_published(self) -> None:
        model = SpecGAN()
        assert count(model.generator) == 19_065_345
        assert count(model.discriminator) == 17_427_969

    @pytest.mark.parametrize("kernel", [4, 5])
    def test_layers_are_tensorflows(self, kernel: int) -> None:
        # "same" padding of stride 2: (kernel - 2) // 2 before, the rest after.
        before, after = (kernel - 2) // 2, kernel - 2 - (kernel - 2) // 2
        down, up = DownConv2d(3, 5, kernel), UpConv2d(5, 3, kernel)
        images = torch.randn(2, 3, 8, 8)
        padded = F.pad(images, (before, after, before, after))
        expected = F.conv2d(padded, down.weight, down.bias, 2)
        torch.testing.assert_close(down(images), expected)
        # The transposed one is the gradient of the other: <up(y), x> = <y, down(x)>.
        hidden = torch.randn(2, 5, 4, 4)
        assert up.bias is not None
        twin = F.conv2d(padded, up.weight, None, 2)
        product = (up(hidden) - up.bias.view(1, -1, 1, 1)) * images
        torch.testing.assert_close(product.sum(), (hidden * twin).sum(), atol=1e-3, rtol=1e-4)

    @pytest.mark.parametrize(
        ("config", "least"),
        [
            (SpecGANConfig(iterations=32), 0.95),
            (SpecGANConfig(size=64, n_fft=1024, bands="mel", kernel=4, iterations=8), 0.9),
            (SpecGANConfig(bands="published", iterations=32), 0.85),
        ],
        ids=["linear", "mel", "published"],
    )
    def test_there_and_back(self, config: SpecGANConfig, least: float) -> None:
        # A glide over three octaves: what is seen of it, heard again, is seen much alike.
        model = SpecGAN(config)
        time = torch.arange(16_384) / 16_000
        glide = 0.5 * torch.sin(2 * torch.pi * 200 * (torch.exp2(3 * time) - 1) / 2.08)
        waveforms = glide.view(1, 1, -1)
        set_levels(model, [waveforms, 0.01 * torch.randn(3, 1, 16_384)])
        seen = model.analyse(waveforms)
        again = model.analyse(model.render(seen))
        loud = seen > seen.quantile(0.8)
        similar = torch.corrcoef(torch.stack([seen.flatten(), again.flatten()]))[0, 1]
        assert similar > least
        assert (seen - again)[loud].abs().mean() < 0.1

    def test_a_band_holds_the_power_that_was_put_in(self) -> None:
        model = SpecGAN(SpecGANConfig(size=64, n_fft=1024, bands="mel", kernel=4))
        assert (model.filters.sum(1) > 0).all()
        # As much power in every bin: what was seen of it is spread as evenly again.
        power = model.filters @ torch.ones(513, 1)
        inside = model.filters.sum(0) > 0.5
        for spread in (model.spread @ power, model._in_bins(power[None])[0]):
            torch.testing.assert_close(spread[inside], torch.ones_like(spread[inside]))
            assert spread.min() >= 0
        # Whatever is asked for in the bands is nearly there in the end.
        wanted = torch.rand(1, 64, 10) + 0.5
        found = model.filters @ model._in_bins(wanted)
        assert ((found - wanted).abs() / wanted).mean() < 0.25

    def test_sizes_that_do_not_fit(self) -> None:
        for settings, complaint in (
            ({"size": 100}, "`size` 100: give 64 or 128"),
            ({"kernel": 3}, "`kernel` 3: give 4 or 5"),
            ({"bands": "bark"}, "`bands` 'bark'"),
            ({"num_samples": 16_400}, "`num_samples` 16400: give a multiple of 128"),
            ({"n_fft": 512}, "`n_fft` 512: 128 linear bands come of 256 samples"),
            ({"classes": 101}, "classes 101"),
        ):
            wrong: dict[str, Any] = settings
            with pytest.raises(InputError, match=complaint):
                SpecGANConfig(**wrong)
