"""Functions of tensors that are exported: a model with its preprocessing."""

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
from audiate.models.speech_flow import SpeechFlow

_SIZES = {"waveform": "samples", "noise": "count", "images": "count", "latents": "count"}
"""Names of the inputs with a first size that may vary, and of that size."""


@dataclass(frozen=True)
class Graph:
    """A function of tensors, with the names and metadata for its file.

    Attributes:
        module: Computes the outputs of the inputs, without randomness of its own.
        inputs: A value for each input, by its name and in the module's order, for tracing.
        outputs: Names of the outputs, in the module's order.
        facts: Metadata for a caller, such as the sample rate in Hz, by name.

    """

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def dynamic(self) -> dict[str, dict[int, str]]:
        """For an input, the names of its sizes that may vary, by dimension."""
        return {name: {0: _SIZES[name]} for name in self.inputs if name in _SIZES}


def graph_of(
    model: PretrainedModel, sample_rate: int | None = None, *, backwards: bool = False
) -> Graph:
    """Return the graph of a model.

    Args:
        model: Any model of ours, on the CPU and in evaluation mode.
        sample_rate: Sample rate of the waveforms that the graph takes, in Hz: the model's own by
            default, or else a whole multiple of it.
        backwards: Of a flow of sound, return the graph from a waveform to its latent.

    Raises:
        InputError: The model has no graph, or the sample rate is no multiple of the model's.

    """
    if backwards and not isinstance(model, SpeechFlow):
        raise InputError("`backwards`: is for flows of sound; leave it out")
    random = torch.Generator().manual_seed(0)
    images = torch.rand(3, 28, 28, generator=random)
    if isinstance(model, (AudioToImageModel, DualEncoder)):
        own = model.features.config.sample_rate
    elif isinstance(model, DigitClassifier):
        own = model.sample_rate
    elif isinstance(model, LatentEncoder):
        own = model.config.sample_rate
    elif isinstance(model, SpeechFlow) and backwards:
        own = model.sample_rate
    elif not isinstance(model, (AudioGAN, SpeechFlow, LeNet, ImageToAudioModel)):
        raise InputError(
            f"{type(model).__name__}: this kind of model cannot be exported; use it in Python"
        )
    elif sample_rate is not None:
        raise InputError("`sample_rate`: this model takes no waveforms; leave it out")
    elif isinstance(model, LeNet):
        return Graph(model, {"images": images}, ("logits",), {})
    elif isinstance(model, (AudioGAN, SpeechFlow)):
        names = ("sample_rate", "latent_dim", "num_samples", "channels")
        facts = {name: getattr(model, name) for name in names} | {"labels": list(model.names)}
        latents = model.sample_latent(3, generator=random)
        module = _SpeechFlowGraph(model) if isinstance(model, SpeechFlow) else model
        return Graph(module, {"latents": latents}, ("waveforms",), facts)
    else:
        guidance, noise = float(model.config.guidance), torch.randn(3, model.latent_dim)
        facts = {"latent_dim": model.latent_dim, "guidance": guidance}
        facts |= {"codec": model.config.codec, "sample_rate": model.sample_rate}
        inputs = {"image": images[0], "noise": noise, "guidance": torch.tensor(guidance)}
        return Graph(_ImageToAudioGraph(model), inputs, ("latents", "waveforms"), facts)
    return _graph_of_waveforms(model, own if sample_rate is None else sample_rate, own)


def _graph_of_waveforms(
    model: AudioToImageModel | DualEncoder | DigitClassifier | LatentEncoder | SpeechFlow,
    rate: int,
    own: int,
) -> Graph:
    """The graph of a model of sounds at the rate ``own``, for waveforms at ``rate``, in Hz."""
    resample, random = decimation(rate, own), torch.Generator().manual_seed(0)
    # A quiet noise of 0.7 s, and of a length that divides by nothing in particular.
    inputs = {"waveform": 0.1 * torch.randn(int(0.7 * rate) | 1, generator=random)}
    facts: dict[str, Any] = {"sample_rate": rate}
    if isinstance(model, DigitClassifier):
        return Graph(_ClassifierGraph(model, resample), inputs, ("logits", "features"), facts)
    if isinstance(model, (LatentEncoder, SpeechFlow)):
        return Graph(_LatentGraph(model, resample), inputs, ("latent", "clip"), facts)
    if isinstance(model, DualEncoder):
        inputs["images"] = torch.rand(3, 28, 28, generator=random)
        outputs = ("scores", "sound_vector", "image_vectors")
        return Graph(_DualEncoderGraph(model, resample), inputs, outputs, facts)
    inputs["noise"] = torch.randn(3, model.latent_dim, generator=random)
    facts["latent_dim"] = model.latent_dim
    if isinstance(model, LatentFlow):
        facts["guidance"] = float(model.config.guidance)
        inputs["guidance"] = torch.tensor(facts["guidance"])
    scored = isinstance(model, LatentFlow) and model.digit_score is not None
    found = ("images", "latent", "spectrogram", *(["digit_score"] if scored else []))
    return Graph(_AudioToImageGraph(model, resample), inputs, found, facts)


def scores_graph(sample_rate: int, num_samples: int) -> Graph:
    """Return the graph of the scores of a clip (samples,) against its original.

    The scores are those of `audiate.metrics.reconstruction.score_clips`, apart from digits.

    Raises:
        InputError: The sample rate is out of range.

    """
    check_range("`sample_rate`", sample_rate, 1000, 384_000)
    clips = 0.1 * torch.randn(2, num_samples, generator=torch.Generator().manual_seed(0))
    facts = {"sample_rate": sample_rate, "num_samples": num_samples}
    inputs = {"output": clips[0], "target": clips[1]}
    return Graph(_Scores(), inputs, ("mse", "ssim", "log_spectral_distance"), facts)


class _SoundGraph(nn.Module):
    """A model of sounds, and the resampling before it."""

    model: Any

    def __init__(self, model: PretrainedModel, resample: nn.Module) -> None:
        super().__init__()
        self.model, self.resample = model, resample


class _AudioToImageGraph(_SoundGraph):
    """Images (count, 28, 28), latent, spectrogram, and any digit score of a waveform and noise."""

    model: AudioToImageModel

    def forward(
        self, waveform: Tensor, noise: Tensor, guidance: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        spectrogram = self.model.features(self.resample(waveform).unsqueeze(0))
        latent = self.model.latents(spectrogram)
        if isinstance(self.model, LatentFlow) and guidance is not None:
            images = self.model.flow_from(latent, noise.unsqueeze(0), guidance)
        else:
            images = self.model.images_from(spectrogram, noise.unsqueeze(0))
        scores = self.model.digit_scores(spectrogram)
        found = images[0], latent[0], spectrogram[0]
        return found if scores is None else (*found, scores[0])


class _ClassifierGraph(_SoundGraph):
    """Logits (10,) and features (512,) of a waveform (samples,) of any length."""

    model: DigitClassifier

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        clip = fitted(self.resample(waveform), self.model.num_samples)
        features = self.model.embed(clip.unsqueeze(0))
        return self.model.classify(features)[0], features[0]


class _LatentGraph(_SoundGraph):
    """Latent (latent_dim,) of a waveform (samples,), and the clip (num_samples,) it stands for."""

    model: LatentEncoder | SpeechFlow

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        sizes = self.model if isinstance(self.model, SpeechFlow) else self.model.config
        clip = to_peak(fitted(self.resample(waveform), sizes.num_samples).view(1, 1, -1))
        find = self.model.recover if isinstance(self.model, SpeechFlow) else self.model
        return find(clip)[0], clip[0, 0]


class _SpokenGraph(nn.Module):
    """A model of a codec's latents, and the codec with the noise of which it makes sound."""

    noise: Tensor

    def __init__(self, model: SpeechFlow | ImageToAudioModel) -> None:
        super().__init__()
        self.model, self.codec = model, model.codec
        self.register_buffer("noise", model.codec.noise(model.num_samples))

    def voice(self, latents: Tensor) -> Tensor:
        """Waveforms (count, 1, samples) of latents (count, channels, frames) of the codec."""
        noise = self.noise.expand(latents.shape[0], -1)
        return self.codec.render(self.codec.tracks(latents), noise=noise).clamp(-1, 1)


class _SpeechFlowGraph(_SpokenGraph):
    """Waveforms (count, 1, samples) of latents of a flow of sound."""

    def forward(self, latents: Tensor) -> Tensor:
        assert isinstance(self.model, SpeechFlow)
        return self.voice(self.model.codec_latents(latents, self.model.config.guidance))


class _DualEncoderGraph(_SoundGraph):
    """Scores (count,) of a waveform (samples,) and images, and the vectors of both."""

    model: DualEncoder

    def forward(self, waveform: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        spectrogram = self.model.features(self.resample(waveform).unsqueeze(0))
        sound, vectors = self.model.embed_sounds(spectrogram), self.model.embed_images(images)
        return self.model.scores(sound, vectors)[0], sound[0], vectors


class _ImageToAudioGraph(_SpokenGraph):
    """Latents (count, latent_dim) of a codec, and their waveforms, of an image and noise."""

    def forward(self, image: Tensor, noise: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(self.model, ImageToAudioModel)
        flat = self.model.latents_from(image.unsqueeze(0), noise.unsqueeze(0), guidance)[0]
        channels = self.model.config.network.latent_channels
        frames = flat.reshape(flat.shape[0], -1, channels)
        return flat, self.voice(frames.transpose(1, 2))


class _Scores(nn.Module):
    """Scores of a clip (samples,) against its original, three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = Spectrogram("real")

    def forward(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pair = output.unsqueeze(0), target.unsqueeze(0)
        output, target = (self.spectrogram(each).double() for each in pair)
        similarity = structural_similarity(output, target).float()
        error = mean_squared_error(pair[0].unsqueeze(1), pair[1].unsqueeze(1))
        return error[0], similarity[0], log_spectral_distance(*pair, by_products=True)[0]


def fitted(waveform: Tensor, num_samples: int) -> Tensor:
    """Cut or pad a waveform (samples,) as `audiate.fit_length` does.

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
