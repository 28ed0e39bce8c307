"""Exported graphs against PyTorch, run by onnxruntime."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import Command
from numpy.typing import NDArray
from torch import Tensor

import audiate
from audiate.audio.files import resample, to_peak
from audiate.audio.spectrograms import Spectrogram, levels_of
from audiate.cli import main
from audiate.cli.demo import CLIPS_FOLDER
from audiate.errors import InputError
from audiate.export import export, export_scores
from audiate.export.graphs import fitted
from audiate.export.resampling import Decimation
from audiate.metrics.reconstruction import log_spectral_distance, structural_similarity
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.codec import Codec
from audiate.models.configs import LatentFlowConfig, SpecGANConfig, VAEConfig, WaveGANConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.generator import AudioGAN
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel
from audiate.models.resnet import DigitClassifier
from audiate.models.specgan import SpecGAN
from audiate.models.speech_flow import SpeechFlow
from audiate.models.vae import VAE
from audiate.models.wavegan import WaveGAN

CLIPS = sorted(CLIPS_FOLDER.glob("*.flac"))


PAGE_FILES = {
    "latent-flow": ("drawer", "flow-digits"),
    "lenet": ("reader", "lenet-mnist"),
    "speech-flow": ("generator", "speech-digits"),
    "image-to-audio": ("sayer", "say-digits"),
}
"""Kinds of models that the page uses: the file there, and the model that it was exported from."""


VARIANTS = (
    *("published specgan", "latent-flow by midpoints"),
    *("latent-flow in colour", "vae in colour"),
)


COLOUR: dict[str, Any] = {"image_size": 32, "image_channels": 3}


def published_specgan() -> SpecGAN:
    model = SpecGAN(SpecGANConfig(dim=2, bands="published", iterations=3)).eval()
    model.mean.fill_(2.0)  # loud enough to be compared
    return model


def by_midpoints() -> LatentFlow:
    model = audiate.load("flow-digits")
    assert isinstance(model, LatentFlow)
    model.config = replace(model.config, steps=2, solver="midpoint")
    return model


def exported(
    model_type: str, request: pytest.FixtureRequest, folder: Path
) -> tuple[PretrainedModel, Path]:
    """A model of a kind and its file: the page's where there is one, or else one exported now."""
    if model_type in PAGE_FILES:
        role, name = PAGE_FILES[model_type]
        page_files: Path = request.getfixturevalue("page_files")
        return audiate.load(name), page_files / f"{role}.onnx"
    torch.manual_seed(0)
    made: dict[str, Callable[[], PretrainedModel]] = {
        "vae": lambda: audiate.load("vae-fsdd"),
        "vaegan": lambda: audiate.load("vaegan-fsdd"),
        "digit-classifier": lambda: audiate.load("digits-resnet18"),
        "dual-encoder": lambda: audiate.load("match-digits"),
        "latent-encoder": lambda: audiate.load("specgan-digits-encoder"),
        "specgan": lambda: audiate.load("specgan-digits"),
        "wavegan": lambda: WaveGAN(WaveGANConfig(dim=2, classes=3)).eval(),
        "latent-flow by midpoints": by_midpoints,
        "published specgan": published_specgan,
        "latent-flow in colour": lambda: LatentFlow(LatentFlowConfig(steps=2, **COLOUR)).eval(),
        "vae in colour": lambda: VAE(VAEConfig(**COLOUR)).eval(),
    }
    model, path = made[model_type](), folder / "model.onnx"
    waveforms = isinstance(model, (AudioToImageModel, DualEncoder, LatentEncoder))
    export(model, path, sample_rate=16_000 if waveforms else None)
    return model, path


opened = lru_cache(maxsize=1)(onnxruntime.InferenceSession)
"""The session of a file, which is kept for the next inputs: large graphs take seconds to open."""


def run(path: Path, **inputs: Tensor) -> dict[str, NDArray[np.float32]]:
    session = opened(path)
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {name: value.numpy() for name, value in inputs.items()})
    return dict(zip(names, found, strict=True))


def near(found: NDArray[np.float32], expected: Tensor, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=tolerance, rtol=1e-4)


WITHOUT_GRAPH = {"codec"}
"""Kinds of models that cannot be exported; a codec can as part of a flow."""


def test_kinds_that_have_no_graph(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be exported"):
        export(Codec(), tmp_path / "model.onnx")
    with pytest.raises(InputError, match="`backwards`: is for flows of sound"):
        export(LeNet(), tmp_path / "model.onnx", backwards=True)


@torch.inference_mode()
def test_a_flow_of_sound_backwards(page_files: Path) -> None:
    flow = audiate.load("speech-digits")
    assert isinstance(flow, SpeechFlow)
    for clip in CLIPS[:3]:
        waveform, _ = audiate.load_audio(clip, 16_000)
        found = run(page_files / "encoder.onnx", waveform=waveform)
        cut = to_peak(audiate.fit_length(waveform, flow.num_samples)[None, None])
        near(found["clip"], cut[0, 0])
        latent = flow.recover(cut)[0]
        # Where a frame may be voiced or not, a rounding decides.
        assert np.abs(found["latent"] - latent.numpy()).mean() < 0.02
        again = flow(torch.from_numpy(found["latent"])[None])
        levels = [levels_of(sound[:, 0]) for sound in (again, flow(latent[None]))]
        assert (levels[0] - levels[1]).abs().mean() < 0.02


@pytest.mark.parametrize("model_type", sorted({*PretrainedModel.known, *VARIANTS} - WITHOUT_GRAPH))
@torch.inference_mode()
def test_every_kind_of_model(
    model_type: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model, path = exported(model_type, request, tmp_path)
    if isinstance(model, LeNet):
        images = torch.rand(5, 28, 28)
        near(run(path, images=images)["logits"], model(images))
        return
    if isinstance(model, AudioGAN):
        z = model.sample_latent(2, generator=torch.Generator().manual_seed(3))
        near(run(path, latents=z)["waveforms"], model(z))
        return
    if isinstance(model, ImageToAudioModel):
        check_sayer(model, path)
        return
    if isinstance(model, SpeechFlow):
        check_flow_of_sound(model, path)
        return
    for clip in CLIPS[:4]:
        waveform, rate = audiate.load_audio(clip, 16_000)
        if isinstance(model, AudioToImageModel):
            check_drawer(model, path, waveform, rate)
            continue
        if isinstance(model, DualEncoder):
            check_matcher(model, path, waveform, rate)
            continue
        found = run(path, waveform=waveform)
        cut = audiate.fit_length(waveform, 16_384)
        if isinstance(model, DigitClassifier):
            near(found["features"], model.embed(cut[None])[0])
            near(found["logits"], model(cut[None])[0])
        else:
            assert isinstance(model, LatentEncoder)
            near(found["clip"], to_peak(cut[None])[0])
            near(found["latent"], model(to_peak(cut[None, None]))[0])


def check_drawer(model: AudioToImageModel, path: Path, waveform: Tensor, rate: int) -> None:
    noise = torch.randn(2, model.latent_dim)
    guidance = {"guidance": torch.tensor(2.0)} if isinstance(model, LatentFlow) else {}
    found = run(path, waveform=waveform, noise=noise, **guidance)
    heard = model.preprocess(waveform, sample_rate=rate)[None]
    near(found["spectrogram"], heard[0])
    near(found["latent"], model.latents(heard)[0])
    if isinstance(model, LatentFlow):
        expected = model.flow_from(model.condition(heard), noise[None], 2.0)
    else:
        expected = model.images_from(heard, noise[None])
    near(found["images"], expected[0])


def check_matcher(model: DualEncoder, path: Path, waveform: Tensor, rate: int) -> None:
    images = torch.rand(5, 28, 28, generator=torch.Generator().manual_seed(1))
    found = run(path, waveform=waveform, images=images)
    spectrogram = model.preprocess(waveform, sample_rate=rate)[None]
    near(found["sound_vector"], model.embed_sounds(spectrogram)[0])
    near(found["image_vectors"], model.embed_images(images))
    near(found["scores"], model(spectrogram, images)[0])


def check_flow_of_sound(model: SpeechFlow, path: Path) -> None:
    z = model.sample_latent(3, generator=torch.Generator().manual_seed(3))
    z[2, : model.classes] = 0  # of no label
    sounds = torch.from_numpy(run(path, latents=z)["waveforms"])
    assert sounds.shape == (3, 1, model.num_samples)
    # Phases add up over a clip, and so do their roundings: levels differ less than samples.
    assert (levels_of(sounds[:, 0]) - levels_of(model(z)[:, 0])).abs().mean() < 5e-3


def check_sayer(model: ImageToAudioModel, path: Path) -> None:
    random = torch.Generator().manual_seed(2)
    image = torch.rand(28, 28, generator=random)
    noise = torch.randn(5, model.latent_dim, generator=random)
    found = run(path, image=image, noise=noise, guidance=torch.tensor(1.5))
    latents = model.latents_from(image[None], noise[None], 1.5)[0]
    near(found["latents"], latents)
    sounds = torch.from_numpy(found["waveforms"])
    assert (levels_of(sounds[:, 0]) - levels_of(model.voice(latents)[:, 0])).abs().mean() < 5e-3


@pytest.mark.parametrize("role", ["encoder", "generator", "sayer"])
def test_weights_stay_in_8_bits_and_a_stage_stands_once(role: str, page_files: Path) -> None:
    model = onnx.load(page_files / f"{role}.onnx", load_external_data=False)
    assert model.ir_version <= 8  # onnxruntime 1.17 reads no newer one
    graph = model.graph
    sizes = Counter[bool]()
    for weight in graph.initializer:
        sizes[weight.data_type == onnx.TensorProto.INT8] += math.prod(weight.dims)
    assert sizes[True] > 30 * sizes[False]
    # All stages of five steps would make a graph of 6,000 nodes, which takes seconds to load.
    (repeated,) = [node for node in graph.node if node.op_type == "Scan"]
    (body,) = [attribute.g for attribute in repeated.attribute if attribute.name == "body"]
    assert 200 < len(body.node) < 500
    assert len(graph.node) < 1000


@torch.inference_mode()
def test_the_page_hears_as_python_does_with_seven_bits(page_files: Path) -> None:
    classifier = audiate.load("digits-resnet18")
    for clip in CLIPS:
        waveform, _ = audiate.load_audio(clip, 16_000)
        found = torch.from_numpy(run(page_files / "listener.onnx", waveform=waveform)["logits"])
        expected = classifier(audiate.fit_length(waveform, 16_384)[None])[0]
        assert (found.softmax(0) - expected.softmax(0)).abs().max() < 0.02
    weights = onnx.load(page_files / "listener.onnx").graph.initializer
    whole = [onnx.numpy_helper.to_array(weight) for weight in weights]
    assert all((values % 2 == 0).all() for values in whole if values.dtype == np.int8)


@torch.inference_mode()
def test_the_scores_of_a_whole_clip(page_files: Path) -> None:
    pair = [audiate.fit_length(audiate.load_audio(clip, 16_000)[0], 16_384) for clip in CLIPS[:2]]
    found = run(page_files / "scores.onnx", output=pair[0], target=pair[1])
    levels = [Spectrogram("real")(clip[None]).double() for clip in pair]
    assert found["mse"] == pytest.approx((pair[0] - pair[1]).square().mean().item(), rel=1e-4)
    assert found["ssim"] == pytest.approx(structural_similarity(*levels).item(), abs=1e-5)
    distance = log_spectral_distance(*(clip[None] for clip in pair)).item()
    assert found["log_spectral_distance"] == pytest.approx(distance, abs=1e-3)


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
    def test_what_it_says(self, audiate_here: Command, tmp_path: Path) -> None:
        done = audiate_here("export", "lenet-mnist", "deep/model.onnx")
        assert done.returncode == 0, done.stderr
        assert "takes images (count, 28, 28)" in done.stdout
        assert (tmp_path / "deep" / "model.onnx").is_file()

    def test_a_file_of_others_stays(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        mine = tmp_path / "mine.onnx"
        mine.write_bytes(b"mine")
        assert main(["export", "lenet-mnist", str(mine)]) == 2
        assert "mine.onnx: audiate has not written this" in capsys.readouterr().err
        assert mine.read_bytes() == b"mine"

    @pytest.mark.parametrize("name", ["folder", "folder.onnx"])
    def test_a_folder_is_no_file(
        self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / name).mkdir()
        assert main(["export", "lenet-mnist", str(tmp_path / name)]) == 2
        assert f"{name}: is a folder; name a file in it, as in" in capsys.readouterr().err

    def test_bad_arguments(self, tmp_path: Path) -> None:
        flow, lenet = audiate.load("vaegan-fsdd"), audiate.load("lenet-mnist")
        with pytest.raises(InputError, match="takes no waveforms"):
            export(lenet, tmp_path / "m.onnx", sample_rate=16_000)
        for rate in (0, -5, 20_000, 48_000):
            with pytest.raises(InputError, match=f"{rate}: .* takes 8000, 16000 or 24000 Hz;"):
                export(flow, str(tmp_path / "m.onnx"), sample_rate=rate)
        for rate in (0, -5):
            with pytest.raises(InputError, match=f"`sample_rate` {rate}: give 1000 to 384000"):
                export_scores(str(tmp_path / "m.onnx"), sample_rate=rate)
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"m.onnx: .*; name another place"):
            export(lenet, str(tmp_path / "file" / "m.onnx"))
