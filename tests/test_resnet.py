"""The classifier of spoken digits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from audiate.errors import InputError
from audiate.models.configs import DigitClassifierConfig
from audiate.models.resnet import BLOCKS, DigitClassifier, ResNet18


def waveforms(count: int = 2) -> torch.Tensor:
    return 0.1 * torch.randn(count, 16_384, generator=torch.Generator().manual_seed(0))


def test_it_has_as_many_parameters_as_resnet_18_on_one_channel() -> None:
    # 11,689,512 of the published one, with one input channel in place of three, and ten outputs
    # in place of a thousand.
    published = 11_689_512
    assert sum(p.numel() for p in ResNet18(10).parameters()) == published - 2 * 64 * 49 - 990 * 513
    assert DigitClassifier().num_parameters() == 11_175_370


def test_activations_by_name() -> None:
    model = DigitClassifier().eval()
    found = model.activations(waveforms())
    assert list(found) == list(BLOCKS)
    shapes = [tuple(value.shape[1:]) for value in found.values()]
    assert shapes == [
        (64, 32, 33), (64, 32, 33), (64, 32, 33), (128, 16, 17), (128, 16, 17),
        (256, 8, 9), (256, 8, 9), (512, 4, 5), (512, 4, 5),
    ]  # fmt: skip
    some = model.activations(waveforms(), ["block3", "stem"])
    assert list(some) == ["stem", "block3"]
    assert torch.equal(some["block3"], found["block3"])
    with pytest.raises(InputError, match="block9: no such block; there are stem, block1"):
        model.activations(waveforms(), ["block9"])


def test_the_head_reads_the_mean_of_the_last_block() -> None:
    model = DigitClassifier().eval()
    embedded = model.embed(waveforms())
    torch.testing.assert_close(embedded, model.activations(waveforms())["block8"].mean((2, 3)))
    assert embedded.min() >= 0  # a last activation of the blocks, none of the outputs
    logits = model(waveforms())
    torch.testing.assert_close(
        logits, F.linear(embedded, model.network.head.weight, model.network.head.bias)
    )
    assert logits.min() < 0


def test_channels_are_mixed_and_level_does_not_matter() -> None:
    model = DigitClassifier().eval()
    stereo = torch.stack([waveforms(), waveforms()], 1)
    torch.testing.assert_close(model(stereo), model(waveforms()))
    torch.testing.assert_close(model(0.01 * waveforms()), model(waveforms()), atol=1e-3, rtol=0)
    real = DigitClassifier(DigitClassifierConfig(spectrogram="real")).eval()
    assert not torch.allclose(real(0.01 * waveforms()), real(waveforms()), atol=1e-3)


def test_gradients_reach_the_waveform() -> None:
    heard = waveforms().requires_grad_(True)
    DigitClassifier().eval()(heard).square().sum().backward()
    assert heard.grad is not None
    assert heard.grad.isfinite().all()
    assert heard.grad.abs().sum() > 0


def test_unknown_spectrograms() -> None:
    with pytest.raises(InputError, match="`spectrogram` 'mel': give log or real"):
        DigitClassifierConfig(spectrogram="mel")  # type: ignore[arg-type]
