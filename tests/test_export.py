"""Exported graphs against PyTorch, run by onnxruntime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import Command, small_specgan
from numpy.typing import NDArray
from torch import Tensor

import audiate
from audiate.audio import resample, to_peak
from audiate.cli.demo import CLIPS_FOLDER
from audiate.configs import InverseMappingConfig, WaveGANConfig
from audiate.errors import InputError
from audiate.export import export, export_scores
from audiate.export.graphs import fitted
from audiate.export.resampling import Decimation
from audiate.models import (
    AudioGAN,
    DigitClassifier,
    Drawer,
    InverseMapping,
    LatentFlow,
    LeNet,
    SpecGAN,
    WaveGAN,
)
from audiate.models.pretrained import PretrainedModel
from audiate.scores import score_clips

CLIPS = sorted(CLIPS_FOLDER.glob("*.flac"))


def example(model_type: str) -> PretrainedModel:
    """A model of each kind: the shipped one, but for those that would take long to export."""
    torch.manual_seed(0)
    if model_type == "latent-flow":
        model = LatentFlow.from_pretrained("flow-digits")
        model.config = replace(model.config, steps=3)
        return model
    shipped = {"lenet": "lenet-mnist", "vae": "vae-fsdd", "vaegan": "vaegan-fsdd"}
    if model_type in shipped:
        loaded: PretrainedModel = audiate.load(shipped[model_type])
        return loaded
    made: dict[str, Any] = {
        "specgan": lambda: small_specgan(latent_dim=12),
        "wavegan": lambda: WaveGAN(WaveGANConfig(dim=2, classes=3)),
        "digit-classifier": DigitClassifier,
        "inverse-mapping": lambda: InverseMapping(InverseMappingConfig(latent_dim=12)),
    }
    new: PretrainedModel = made[model_type]().eval()
    return new


def run(path: Path, **inputs: Tensor) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {name: value.numpy() for name, value in inputs.items()})
    return dict(zip(names, found, strict=True))


def near(found: NDArray[np.float32], expected: Tensor, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=tolerance, rtol=1e-4)


@pytest.mark.parametrize("model_type", PretrainedModel.known)
@torch.inference_mode()
def test_every_kind_of_model(model_type: str, tmp_path: Path) -> None:
    model = example(model_type)
    path = tmp_path / "model.onnx"
    if isinstance(model, LeNet):
        export(model, path)
        images = torch.rand(5, 28, 28)
        near(run(path, images=images)["logits"], model(images))
        return
    if isinstance(model, AudioGAN):
        export(model, path)
        z = model.sample_latent(2, generator=torch.Generator().manual_seed(3))
        near(run(path, latents=z)["waveforms"], model(z))
        return
    export(model, path, sample_rate=16_000)
    for clip in CLIPS[:4]:
        waveform, rate = audiate.load_audio(clip, 16_000)
        if isinstance(model, Drawer):
            noise = torch.randn(2, model.latent_dim)
            guidance = {"guidance": torch.tensor(2.0)} if model_type == "latent-flow" else {}
            found = run(path, waveform=waveform, noise=noise, **guidance)
            heard = model.hear(waveform, sample_rate=rate)[None]
            near(found["spectrogram"], heard[0])
            near(found["latent"], model.latents(heard)[0])
            if isinstance(model, LatentFlow):
                expected = model.flow_from(model.condition(heard), noise[None], 2.0)
            else:
                expected = model.images_from(heard, noise[None])
            near(found["images"], expected[0])
            continue
        found = run(path, waveform=waveform)
        cut = audiate.fit_length(waveform, 16_384)
        if isinstance(model, DigitClassifier):
            near(found["features"], model.embed(cut[None])[0])
            near(found["logits"], model(cut[None])[0])
        else:
            assert isinstance(model, InverseMapping)
            near(found["clip"], to_peak(cut[None])[0])
            near(found["latent"], model(to_peak(cut[None, None]))[0])


@torch.inference_mode()
def test_the_shipped_generator_and_its_weights_in_8_bits(tmp_path: Path) -> None:
    model = SpecGAN.from_pretrained("specgan-digits")
    export(model, tmp_path / "model.onnx")
    z = model.sample_latent(3, generator=torch.Generator().manual_seed(1))
    near(run(tmp_path / "model.onnx", latents=z)["waveforms"], model(z))
    assert (tmp_path / "model.onnx").stat().st_size < 5.5 * 2**20


@torch.inference_mode()
def test_the_scores_of_compare(tmp_path: Path) -> None:
    export_scores(tmp_path / "scores.onnx")
    pair = [audiate.fit_length(audiate.load_audio(clip, 16_000)[0], 16_384) for clip in CLIPS[:2]]
    found = run(tmp_path / "scores.onnx", output=pair[0], target=pair[1])
    (expected,) = score_clips(pair[0][None, None], pair[1][None, None], 16_000, None)
    assert found["mse"] == pytest.approx(expected.mse, rel=1e-4)
    assert found["ssim"] == pytest.approx(expected.ssim, abs=1e-5)
    assert found["log_spectral_distance"] == pytest.approx(expected.log_spectral_distance, abs=1e-3)


@pytest.mark.parametrize("length", [1, 99, 100, 101, 350, 351])
def test_fitted_is_fit_length(length: int) -> None:
    waveform = torch.randn(length, generator=torch.Generator().manual_seed(length))
    assert torch.equal(fitted(waveform, 100), audiate.fit_length(waveform, 100))


@pytest.mark.parametrize("ratio", [2, 3])
def test_decimation_is_soxrs(ratio: int) -> None:
    waveform = 0.1 * torch.randn(5000 * ratio, generator=torch.Generator().manual_seed(0))
    expected = resample(waveform, 8000 * ratio, 8000)
    assert (Decimation(ratio)(waveform) - expected).abs().max() < 2e-6


class TestByTheCommand:
    def test_what_it_says(self, audiate: Command, tmp_path: Path) -> None:
        done = audiate("export", "lenet-mnist", "deep/model.onnx")
        assert done.returncode == 0, done.stderr
        assert "takes images (count, 28, 28)" in done.stdout
        assert (tmp_path / "deep" / "model.onnx").is_file()
        (tmp_path / "mine.onnx").write_bytes(b"mine")
        done = audiate("export", "lenet-mnist", "mine.onnx")
        assert done.returncode == 2
        assert "mine.onnx: audiate has not written this" in done.stderr
        assert (tmp_path / "mine.onnx").read_bytes() == b"mine"

    def test_bad_arguments(self, tmp_path: Path) -> None:
        flow, lenet = audiate.load("vaegan-fsdd"), audiate.load("lenet-mnist")
        with pytest.raises(InputError, match="takes no waveforms"):
            export(lenet, tmp_path / "m.onnx", sample_rate=16_000)
        with pytest.raises(InputError, match="a graph takes 8000 Hz or up to 3 times that"):
            export(flow, tmp_path / "m.onnx", sample_rate=48_000)
