"""What needs a CUDA GPU: ``pytest -m cuda``. The results are to be those of the CPU."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_tone
from torch import Tensor

import audiate as package
from audiate.cli import main
from audiate.cli.demo import CLIPS_FOLDER
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.dual_encoder import DualEncoder
from audiate.models.generator import AudioGAN
from audiate.models.hub import shipped_models
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel
from audiate.models.resnet import DigitClassifier
from audiate.models.vae import VAE
from audiate.training.loop import run_recipe
from audiate.training.options import RunOptions
from audiate.training.recipes import RECIPES

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here"),
]


def output(model: PretrainedModel) -> Tensor:
    """What a model makes of made-up input, on its own device."""
    random = torch.Generator().manual_seed(0)
    device = model.device
    with torch.inference_mode():
        if isinstance(model, AudioGAN):
            # Phases are searched for: rounding moves them, but not the levels.
            z = model.sample_latent(4, generator=random)
            return model(z) if model.phases_matter else model.draft(z)
        if isinstance(model, (DigitClassifier, LatentEncoder)):
            sound = torch.randn(4, 1, model.config.num_samples, generator=random)
            found: Tensor = model((0.1 * sound).to(device))
            return found
        if isinstance(model, DualEncoder):
            return model.embed_images(torch.rand(4, 28, 28, generator=random).to(device))
        if isinstance(model, ImageToAudioModel):
            noise = torch.randn(4, 2, model.latent_dim, generator=random)
            images = torch.rand(4, 28, 28, generator=random)
            return model.latents_from(images.to(device), noise.to(device))
        if isinstance(model, LeNet):
            logits: Tensor = model(torch.rand(4, 28, 28, generator=random).to(device))
            return logits
        assert isinstance(model, AudioToImageModel)
        waveform, rate = package.load_audio(sorted(CLIPS_FOLDER.glob("*.flac"))[0])
        heard = model.preprocess(waveform, sample_rate=rate)[None].to(device)
        return model.encode(heard).mu if isinstance(model, VAE) else model.mean_images(heard)


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_give_what_they_give_on_the_cpu(name: str) -> None:
    on_cpu, on_gpu = (output(package.load(name, device=device)) for device in ("cpu", "cuda"))
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_each_recipe_trains_for_ten_steps(name: str, tiny_data: Path, tmp_path: Path) -> None:
    recipe: Any = RECIPES[name]
    length = {"steps": 10} if hasattr(recipe, "steps") else {"epochs": 1}
    recipe = replace(recipe, batch_size=16, **length)
    options = RunOptions(out=tmp_path / "run", device="cuda")
    model = run_recipe(name, recipe, tiny_data, options, quiet=True)
    assert (model / "model.safetensors").is_file()


@pytest.mark.parametrize("method", ["encoder", "search", "hybrid"])
def test_invert(method: str, tmp_path: Path) -> None:
    clip = str(write_tone(tmp_path / "tone.wav", seconds=0.5))
    few = [] if method == "encoder" else ["--max-iterations", "2"]
    flags = ["--method", method, *few, "--device", "cuda", "--out", str(tmp_path / "out")]
    assert main(["invert", clip, *flags]) == 0


def test_evaluate(tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--count",
        "100",
        "--judged",
        "0",
        "--json",
        "--device",
        "cuda",
        "--data-dir",
        str(tiny_data),
    ]
    assert main(["evaluate", "specgan-digits", *flags]) == 0
    assert json.loads(capsys.readouterr().out)["generated"]["n"] == 100
