"""Activations of the layers of generators and classifiers, averaged, as time series.

Beguš and Zhou 2022, "Interpreting intermediate convolutional layers in unsupervised acoustic word
classification", average a layer's activations over its channels after the nonlinearity, and look at
the result beside the waveform.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from audiate.audio.files import MAX_FILE_SECONDS, fit_length, load_audio, save_wav
from audiate.errors import InputError
from audiate.models.generator import AudioGAN
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import PretrainedModel, in_words
from audiate.models.resnet import DigitClassifier
from audiate.utils.filesystem import writing
from audiate.utils.reports import csv_text


@dataclass(frozen=True)
class Activations:
    """A waveform, and the activations of each layer at each of its samples.

    Attributes:
        waveform: (samples,) in [-1, 1].
        sample_rate: In Hz.
        layers: Time series (samples,) by the names of the layers, from the input on.

    """

    waveform: Tensor
    sample_rate: int
    layers: Mapping[str, Tensor]


@torch.no_grad()
def generator_activations(model: AudioGAN, z: Tensor) -> Activations:
    """Record the activations of a generator for a latent (1, latent_dim).

    The series of WaveGAN's layers are means over channels after the nonlinearity, and those of
    SpecGAN's over frequency, too; the last layer is the output.
    """
    found: list[Tensor] = []
    with ExitStack() as hooks:
        for layer in model.generator.upsample:
            hooks.enter_context(
                layer.register_forward_hook(lambda _layer, _input, output: found.append(output))
            )
        waveform = model(z.to(model.device))[0].mean(0).cpu()
    last = len(found) - 1
    series = {
        f"layer{number + 1}": _series(hidden if number == last else hidden.relu(), len(waveform))
        for number, hidden in enumerate(found)
    }
    return Activations(waveform, model.sample_rate, series)


@torch.no_grad()
def classifier_activations(model: PretrainedModel, clip: Path) -> Activations:
    """Record the activations of the classifier of spoken digits, or of an encoder, for a clip.

    Raises:
        InputError: The model is another one, or the recording cannot be read.

    """
    if not isinstance(model, (DigitClassifier, LatentEncoder)):
        raise InputError(
            f"{in_words(model)} makes no sound and takes no recording; name a generator, an "
            f"encoder, or a classifier of spoken digits"
        )
    rate, samples = model.config.sample_rate, model.config.num_samples
    waveform, _ = load_audio(clip, rate, channels=1, longest=MAX_FILE_SECONDS)
    waveform = fit_length(waveform, samples)
    found = model.network.activations(model.spectrogram(waveform.to(model.device)))
    series = {name: _series(hidden, samples) for name, hidden in found.items()}
    return Activations(waveform[0], rate, series)


def write_activations(activations: Activations, place: Path) -> None:
    """Write ``place``.csv, ``place``.png and ``place``.wav.

    Raises:
        InputError: They cannot be written.

    """
    columns = {"waveform": activations.waveform, **activations.layers}
    rows = [["seconds", *columns]]
    for index, values in enumerate(zip(*(s.tolist() for s in columns.values()), strict=True)):
        seconds = f"{index / activations.sample_rate:.6f}"
        rows.append([seconds, *(f"{value:.5g}" for value in values)])
    with writing(place.with_name(f"{place.name}.csv")) as partial:
        partial.write_text(csv_text(rows), encoding="utf-8")
    save_wav(place.with_name(f"{place.name}.wav"), activations.waveform, activations.sample_rate)
    _draw(activations, place.with_name(f"{place.name}.png"))


def _draw(activations: Activations, path: Path) -> None:
    count = 1 + len(activations.layers)
    figure = Figure(figsize=(9, 1.1 * count + 0.6), layout="constrained")
    seconds = torch.arange(len(activations.waveform)) / activations.sample_rate
    every = {"waveform": activations.waveform, **activations.layers}
    plots = figure.subplots(count, 1, sharex=True)
    for axes, (name, series) in zip(plots, every.items(), strict=True):
        colour = "0.3" if name == "waveform" else "C1"
        axes.plot(seconds.numpy(), series.numpy(), linewidth=0.6, color=colour)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set_yticks([])
    plots[-1].set_xlabel("seconds")
    with writing(path) as partial:
        figure.savefig(partial, format="png", dpi=110)


def _series(hidden: Tensor, samples: int) -> Tensor:
    """Average (1, channels, time) or (1, channels, time, bands) over channels and bands.

    Values between the layer's own times are interpolated, so that the series (samples,) is aligned
    with the waveform.
    """
    mean = hidden.float().cpu().mean((1, 3) if hidden.dim() == 4 else 1)
    series: Tensor = F.interpolate(mean[:, None], samples, mode="linear", align_corners=False)
    return series[0, 0]
