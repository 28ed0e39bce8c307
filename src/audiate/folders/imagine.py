"""Sample pairs of a sound and an image that belong together."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio.files import save_wav
from audiate.audio.spectrograms import Spectrogram
from audiate.data.images import SIZE
from audiate.data.latents import save_table
from audiate.errors import InputError, check_whole
from audiate.folders.record import LATENTS_NAME
from audiate.folders.runner import numbered, replacing_outputs
from audiate.folders.sheet import SHEET_NAME
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, DEFAULT_IMAGE_TO_AUDIO
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import in_words, load
from audiate.utils.plots import PanelRow, image_panel, save_image, save_panels, sound_panel
from audiate.utils.progress import counted, tracked

_BATCH = 25
_SHEET_PAIRS = 64
_PAIRS_IN_A_ROW = 4


@dataclass(frozen=True)
class Imagined:
    """Pairs of sounds and images.

    Attributes:
        images: (count, 28, 28) in [0, 1], white on black.
        latents: (count, latent_dim) of the codec of the image-to-audio model.
        waveforms: (count, channels, num_samples) in [-1, 1].
        sample_rate: In Hz.

    """

    images: Tensor
    latents: Tensor
    waveforms: Tensor
    sample_rate: int

    def __repr__(self) -> str:
        return f"Imagined: {counted(len(self.images), 'pair')} of a sound and an image"


@torch.inference_mode()
def imagine(
    count: int = 16,
    *,
    seed: int = 0,
    drawer: str | Path | AudioToImageModel = DEFAULT_AUDIO_TO_IMAGE,
    sayer: str | Path | ImageToAudioModel = DEFAULT_IMAGE_TO_AUDIO,
    device: str | torch.device = "cpu",
) -> Imagined:
    """Sample from p(image, sound).

    The latent flow draws an image without a sound. The image-to-audio model says it, and the flow
    draws an image of that sound, since the first image may be unclear. This is Gibbs sampling
    (Geman and Geman 1984) of two steps.

    Args:
        count: Number of pairs.
        seed: The same seed gives the same pairs, and when ``count`` grows the first ones stay.
        drawer: A latent flow, or its name, folder or hub id.
        sayer: An image-to-audio model, or its name, folder or hub id.
        device: Where to load models that are given by name: auto, cpu, cuda or mps.

    Raises:
        InputError: There are no such models, or a value is out of range.

    """
    count = check_whole("`count`", count, 1, 100_000)
    seed = check_whole("`seed`", seed, 0, 2**63 - 1)
    flow = load(drawer, AudioToImageModel, device=device)
    voice = load(sayer, ImageToAudioModel, device=device)
    if not isinstance(flow, LatentFlow):
        raise InputError(
            f"`drawer`: {in_words(flow)} draws nothing without a sound; "
            f"`drawer={DEFAULT_AUDIO_TO_IMAGE}` does"
        )
    if flow.image_shape != (SIZE, SIZE):
        raise InputError(
            f"`drawer`: draws images of another form than the {SIZE}x{SIZE} in grey that `sayer` "
            f"reads; train it with `image_size={SIZE}` and `image_channels=1`"
        )
    random = torch.Generator().manual_seed(seed)
    size = flow.latent_dim + voice.latent_dim
    drawn = torch.stack([torch.randn(size, generator=random) for _ in range(count)])
    parts = torch.split(drawn, _BATCH)
    found = []
    for noise in tracked(parts, "imagining pairs", weights=[len(part) for part in parts]):
        of_image, of_sound = noise[:, : flow.latent_dim], noise[:, flow.latent_dim :]
        images = flow.freely(of_image.to(flow.device)).cpu()
        latents, waveforms = voice.say_from(images, of_sound.unsqueeze(1))
        images = _drawn_again(flow, images, of_image, waveforms[:, 0], voice.sample_rate)
        found.append((images, latents[:, 0], waveforms[:, 0]))
    images, latents, waveforms = (torch.cat(each) for each in zip(*found, strict=True))
    return Imagined(images, latents, waveforms, voice.sample_rate)


def _drawn_again(
    flow: LatentFlow, images: Tensor, noise: Tensor, waveforms: Tensor, sample_rate: int
) -> Tensor:
    """Images (batch, 28, 28) of waveforms, by their noise; that of a silent one stays as it is."""
    inputs: dict[int, Tensor] = {}
    for number, waveform in enumerate(waveforms):
        with suppress(InputError):
            inputs[number] = flow.preprocess(waveform, sample_rate=sample_rate)
    drawn = images.clone()
    if inputs:
        chosen, spectrograms = list(inputs), torch.stack(list(inputs.values())).to(flow.device)
        again = flow.images_from(spectrograms, noise[chosen].unsqueeze(1).to(flow.device))
        drawn[chosen] = again[:, 0].cpu()
    return drawn


def write_imagined(pairs: Imagined, out: Path, settings: dict[str, str]) -> None:
    """Write pairs to a folder, where they replace earlier pairs once all are complete.

    Writes ``000.wav``, ``000.png`` and so on; ``latents.npz``, the numbers of the pairs and the
    latents of their sounds; ``sheet.png``, the first 64 pairs; and ``report.json``.

    Raises:
        InputError: The folder cannot be written or holds something else.

    """
    names = numbered(len(pairs.images))
    files = {name: [f"{name}.wav", f"{name}.png"] for name in names}
    with replacing_outputs(out, "imagine", settings, files, (LATENTS_NAME, SHEET_NAME)) as stage:
        for name, image, waveform in zip(names, pairs.images, pairs.waveforms, strict=True):
            save_wav(stage / f"{name}.wav", waveform, pairs.sample_rate)
            save_image(image, stage / f"{name}.png")
        latents = dict(zip(names, pairs.latents.numpy(), strict=True))
        save_table(latents, stage / LATENTS_NAME)
        _save_sheet(pairs, names, stage / SHEET_NAME)


def _save_sheet(pairs: Imagined, names: list[str], path: Path) -> None:
    levels = Spectrogram()(pairs.waveforms[:_SHEET_PAIRS].mean(1)).transpose(1, 2)
    seconds, hertz = pairs.waveforms.shape[-1] / pairs.sample_rate, (0.0, pairs.sample_rate / 2)
    panels = [
        (sound_panel(level, hertz=hertz, seconds=seconds), image_panel(image.unsqueeze(0)))
        for level, image in zip(levels, pairs.images, strict=False)
    ]
    rows = [
        PanelRow(
            f"{names[begin]} ...",
            [panel for pair in panels[begin : begin + _PAIRS_IN_A_ROW] for panel in pair],
        )
        for begin in range(0, len(panels), _PAIRS_IN_A_ROW)
    ]
    save_panels(rows, path)
