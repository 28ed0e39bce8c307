"""Audio GANs: the published networks, and what every generator promises."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from audiate.errors import InputError
from audiate.models import AudioGAN, Generator, WaveGAN, WaveGANConfig
from audiate.models.wavegan import DownConv1d, UpConv1d, phase_shuffle


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(**settings: int) -> WaveGAN:
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
        score = model.discriminator.score(hidden.transpose(1, 2).flatten(1)).squeeze(1)
        assert torch.allclose(model.discriminator(waveforms), score, atol=1e-5)

    def test_sizes_that_nobody_published(self) -> None:
        with pytest.raises(InputError, match=r"num_samples 16,000: give one of 16,384, 32,768"):
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


class TestEveryGenerator:
    def test_the_protocol(self) -> None:
        model = small()
        assert isinstance(model, Generator)
        assert isinstance(model, AudioGAN)
        assert (model.latent_dim, model.sample_rate, model.num_samples) == (100, 16_000, 16_384)

    def test_latents_are_uniform_and_seeded(self) -> None:
        model = small()
        draw = [
            model.sample_latent(2000, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
        ]
        assert torch.equal(draw[0], draw[1])
        assert not torch.equal(draw[0], draw[2])
        assert -1 <= draw[0].min() < -0.99
        assert 0.99 < draw[0].max() <= 1
        assert draw[0].mean().abs() < 0.01
        assert draw[0].square().mean().item() == pytest.approx(1 / 3, abs=0.01)

    def test_a_clip_does_not_depend_on_its_neighbours(self) -> None:
        model = small()
        z = model.sample_latent(4)
        assert torch.allclose(model(z)[2:3], model(z[2:3]), atol=1e-6)

    def test_it_is_differentiable_down_to_the_latent(self) -> None:
        model = small()
        z = model.sample_latent(1).requires_grad_(True)
        model(z).square().mean().backward()
        assert z.grad is not None
        assert z.grad.abs().sum() > 0
