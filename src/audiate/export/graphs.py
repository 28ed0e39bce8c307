"""What a model's ONNX file computes: the network, and all of its hearing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.audio.files import to_peak
from audiate.audio.spectrograms import Spectrogram
from audiate.errors import InputError, check_range
from audiate.export.resampling import decimation
from audiate.metrics.reconstruction import (
    log_spectral_distance,
    mean_squared_error,
    structural_similarity,
)
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.dual_encoder import DualEncoder
from audiate.models.generator import AudioGAN
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel
from audiate.models.resnet import DigitClassifier


@dataclass(frozen=True)
class Graph:
    """A function of tensors, and all that its file tells of them.

    Attributes:
        module: Computes the outputs of the inputs, without randomness of its own.
        inputs: A value for each input, by its name, with which the function is traced.
        outputs: Names of the outputs, in the module's order.
        dynamic: For an input, the names of its sizes that may vary, by dimension.
        facts: What a caller has to know, such as the sample rate in Hz, by its name.

    """

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    dynamic: dict[str, dict[int, str]]
    facts: dict[str, Any]


def graph_of(model: PretrainedModel, sample_rate: int | None = None) -> Graph:
    """The graph of a model.

    Args:
        model: Any model of ours, on the CPU and in evaluation mode.
        sample_rate: Sample rate of the waveforms that the graph takes, in Hz: the model's own by
            default, or else a whole multiple of it.

    Raises:
        InputError: The model has no graph, or the sample rate is no multiple of the model's.

    """
    if isinstance(model, (AudioGAN, LeNet, ImageToAudioModel)) and sample_rate is not None:
        raise InputError("`sample_rate`: this model takes no waveforms; leave it out")
    if isinstance(model, LeNet):
        images = torch.rand(3, 28, 28)
        return Graph(_Logits(model), {"images": images}, ("logits",), {"images": {0: "count"}}, {})
    if isinstance(model, AudioGAN):
        facts: dict[str, Any] = {"sample_rate": model.sample_rate, "latent_dim": model.latent_dim}
        facts |= {"num_samples": model.num_samples, "channels": model.channels}
        facts |= {"labels": list(model.names)}
        z = model.sample_latent(3, generator=torch.Generator().manual_seed(0))
        dynamic = {"latents": {0: "count"}}
        return Graph(_Generator(model), {"latents": z}, ("waveforms",), dynamic, facts)
    if isinstance(model, AudioToImageModel):
        return _drawer_graph(model, sample_rate)
    if isinstance(model, DualEncoder):
        return _matcher_graph(model, sample_rate)
    if isinstance(model, ImageToAudioModel):
        return _sayer_graph(model)
    if isinstance(model, DigitClassifier):
        outputs, rate = ("logits", "features"), _rate(sample_rate, model.sample_rate)
        module: nn.Module = _ClassifierGraph(model, rate)
    elif isinstance(model, LatentEncoder):
        outputs, rate = ("latent", "clip"), _rate(sample_rate, model.config.sample_rate)
        module = _EncoderGraph(model, rate)
    else:
        raise InputError(f"{type(model).__name__}: no graph is known of this kind of model")
    return Graph(module, _some_waveform(rate), outputs, _ANY_LENGTH, {"sample_rate": rate})


def scores_graph(sample_rate: int, num_samples: int) -> Graph:
    """The graph of the scores of a clip (samples,) against its original, as `score_clips` has.

    Raises:
        InputError: The sample rate is out of range.

    """
    check_range("`sample_rate`", sample_rate, 1000, 384_000)
    clips = 0.1 * torch.randn(2, num_samples, generator=torch.Generator().manual_seed(0))
    names = ("mse", "ssim", "log_spectral_distance")
    facts = {"sample_rate": sample_rate, "num_samples": num_samples}
    return Graph(_Scores(), {"output": clips[0], "target": clips[1]}, names, {}, facts)


_ANY_LENGTH = {"waveform": {0: "samples"}}


def _rate(asked: int | None, own: int) -> int:
    """The sample rate of a graph's waveforms: the one that was asked for, or the model's own."""
    return own if asked is None else asked


def _some_waveform(sample_rate: int) -> dict[str, Tensor]:
    """A quiet noise of 0.7 s, and of a length that divides by nothing in particular."""
    random = torch.Generator().manual_seed(0)
    return {"waveform": 0.1 * torch.randn(int(0.7 * sample_rate) | 1, generator=random)}


def _drawer_graph(model: AudioToImageModel, sample_rate: int | None) -> Graph:
    rate = _rate(sample_rate, model.features.config.sample_rate)
    module = _AudioToImageGraph(model, rate)
    inputs = _some_waveform(rate)
    inputs["noise"] = torch.randn(3, model.latent_dim, generator=torch.Generator().manual_seed(0))
    facts: dict[str, Any] = {"sample_rate": rate, "latent_dim": model.latent_dim}
    if isinstance(model, LatentFlow):
        inputs["guidance"] = torch.tensor(float(model.config.guidance))
        facts["guidance"] = float(model.config.guidance)
    dynamic = {**_ANY_LENGTH, "noise": {0: "count"}}
    return Graph(module, inputs, ("images", "latent", "spectrogram"), dynamic, facts)


def _matcher_graph(model: DualEncoder, sample_rate: int | None) -> Graph:
    rate = _rate(sample_rate, model.features.config.sample_rate)
    module = _DualEncoderGraph(model, rate)
    inputs = {**_some_waveform(rate), "images": torch.rand(3, 28, 28)}
    outputs = ("scores", "sound_vector", "image_vectors")
    dynamic = {**_ANY_LENGTH, "images": {0: "count"}}
    return Graph(module, inputs, outputs, dynamic, {"sample_rate": rate})


def _sayer_graph(model: ImageToAudioModel) -> Graph:
    noise = torch.randn(3, model.latent_dim, generator=torch.Generator().manual_seed(0))
    guidance = float(model.config.guidance)
    inputs = {"image": torch.rand(28, 28), "noise": noise, "guidance": torch.tensor(guidance)}
    facts: dict[str, Any] = {"latent_dim": model.latent_dim, "guidance": guidance}
    facts["generator"] = model.config.generator
    return Graph(_ImageToAudioGraph(model), inputs, ("latents",), {"noise": {0: "count"}}, facts)


class _Logits(nn.Module):
    """Logits (count, 10) of images (count, 28, 28) in [0, 1]."""

    def __init__(self, model: LeNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits


class _Generator(nn.Module):
    """Waveforms (count, channels, num_samples) of latents (count, latent_dim)."""

    def __init__(self, model: AudioGAN) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor) -> Tensor:
        waveforms: Tensor = self.model(latents)
        return waveforms


class _AudioToImageGraph(nn.Module):
    """Images (count, 28, 28), latent and spectrogram of a waveform (samples,) and noise."""

    def __init__(self, model: AudioToImageModel, sample_rate: int) -> None:
        super().__init__()
        self.model = model
        self.slower = decimation(sample_rate, model.features.config.sample_rate)

    def forward(
        self, waveform: Tensor, noise: Tensor, guidance: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        spectrogram = self.model.features(self.slower(waveform).unsqueeze(0))
        if guidance is not None:
            assert isinstance(self.model, LatentFlow)
            latent = self.model.condition(spectrogram)
            images = self.model.flow_from(latent, noise.unsqueeze(0), guidance)
        else:
            latent = self.model.latents(spectrogram)
            images = self.model.images_from(spectrogram, noise.unsqueeze(0))
        return images[0], latent[0], spectrogram[0]


class _ClassifierGraph(nn.Module):
    """Logits (10,) and features (512,) of a waveform (samples,) of any length."""

    def __init__(self, model: DigitClassifier, sample_rate: int) -> None:
        super().__init__()
        self.model, self.slower = model, decimation(sample_rate, model.sample_rate)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        clip = fitted(self.slower(waveform), self.model.num_samples)
        features = self.model.embed(clip.unsqueeze(0))
        return self.model.classify(features)[0], features[0]


class _EncoderGraph(nn.Module):
    """Latent (latent_dim,) of a waveform (samples,), and the clip (num_samples,) it stands for."""

    def __init__(self, model: LatentEncoder, sample_rate: int) -> None:
        super().__init__()
        self.model, self.slower = model, decimation(sample_rate, model.config.sample_rate)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        clip = to_peak(fitted(self.slower(waveform), self.model.config.num_samples).view(1, 1, -1))
        latent = self.model(clip)
        return latent[0], clip[0, 0]


class _DualEncoderGraph(nn.Module):
    """Scores (count,) of a waveform (samples,) and images, and the vectors of both."""

    def __init__(self, model: DualEncoder, sample_rate: int) -> None:
        super().__init__()
        self.model = model
        self.slower = decimation(sample_rate, model.features.config.sample_rate)

    def forward(self, waveform: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spectrogram = self.model.features(self.slower(waveform).unsqueeze(0))
        sound, seen = self.model.embed_sounds(spectrogram), self.model.embed_images(images)
        return self.model.scores(sound, seen)[0], sound[0], seen


class _ImageToAudioGraph(nn.Module):
    """Latents (count, latent_dim) of the sayer's generator, of an image (28, 28) and noise."""

    def __init__(self, model: ImageToAudioModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, noise: Tensor, guidance: Tensor) -> Tensor:
        images = image.unsqueeze(0)
        return self.model.latents_from(images, noise.unsqueeze(0), guidance)[0]


class _Scores(nn.Module):
    """Scores of a clip (samples,) against its original, three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = Spectrogram("real")

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pair = output.unsqueeze(0), target.unsqueeze(0)
        seen = [self.spectrogram(each).double() for each in pair]
        similarity = structural_similarity(seen[0], seen[1]).float()
        error = mean_squared_error(pair[0].unsqueeze(1), pair[1].unsqueeze(1))
        return error[0], similarity[0], log_spectral_distance(*pair, by_products=True)[0]


def fitted(waveform: Tensor, num_samples: int) -> Tensor:
    """What `audiate.fit_length` makes of a waveform (samples,).

    The operations are the same for every length, as a graph has no branches.
    """
    count = torch.ones_like(waveform).sum().long()  # a size that is a tensor
    padded = F.pad(waveform, (num_samples, num_samples))
    energy = F.pad(padded.double().square(), (1, 0)).cumsum(0)
    inside = energy[num_samples:] - energy[:-num_samples]  # of the part that begins at each sample
    starts = torch.arange(inside.shape[0])
    surplus = count - num_samples
    allowed = (starts >= num_samples) & (starts <= num_samples + surplus)
    loudest = torch.where(allowed, inside, -1.0).argmax()
    middle = num_samples - torch.div(-surplus, 2, rounding_mode="floor")
    begin = torch.where(surplus > 0, loudest, middle)
    return padded[begin + torch.arange(num_samples)]
