"""Convert a folder of pictures to speech."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio.files import Recording, save_wav
from audiate.audio.spectrograms import Spectrogram
from audiate.data.folders import PICTURES, find_files
from audiate.data.images import load_image
from audiate.errors import InputError, check_whole
from audiate.folders.runner import FolderReport, Notify, Product, name_of, run_folder
from audiate.folders.sheet import SHEET_SAMPLES, SheetWork
from audiate.models.fingerprint import digest
from audiate.models.hub import DEFAULT_IMAGE_TO_AUDIO
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.pretrained import load
from audiate.models.speech_flow import load_codec
from audiate.utils.plots import Panel, image_panel, sound_panel


def say_folder(
    pictures: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path | ImageToAudioModel = DEFAULT_IMAGE_TO_AUDIO,
    codec: str | Path | None = None,
    samples: int = 8,
    seed: int = 0,
    device: str | torch.device = "cpu",
    notify: Notify | None = None,
) -> FolderReport[None]:
    """Say what is written in picture files, and write the sounds to a folder.

    Writes for each picture ``<picture>-1.wav``, ``<picture>-2.wav`` and so on, its sounds;
    ``sheet.png``, the digit that was found in each picture beside the spectrograms of its sounds
    (the first 100 pictures); ``latents.npz``, the names of the pictures and the codec's latents
    (pictures, samples, latent_dim), float32; and ``report.json``. Pictures that were said before
    with the same settings are left as they are. A picture that cannot be used does not stop the
    others.

    Args:
        pictures: Picture files, or folders of them.
        out: The folder, which is made where it is missing. Only files that an earlier call has
            written are replaced there.
        model: The model that says, or its name, folder or hub id.
        codec: Name, folder or hub id of the model's codec, where it is no longer where it was when
            the model was trained.
        samples: Number of sounds for each picture.
        seed: Sounds are those of `ImageToAudioModel.say` with this seed.
        device: Where to load a model that is given by name: auto, cpu, cuda or mps.
        notify: It is called with the error of each picture that cannot be used.

    Raises:
        InputError: There are no pictures or no such model, a value is out of range, or the folder
            cannot be written or holds something else.
        Interrupted: Ctrl-C was pressed; what is done is recorded.

    """
    samples = check_whole("`samples`", samples, 1, 1000)
    seed = check_whole("`seed`", seed, 0, 2**63 - 1)
    out = Path(out)
    given = [pictures] if isinstance(pictures, (str, Path)) else pictures
    found = find_files(given, out, PICTURES)
    name, model = name_of(model), load(model, ImageToAudioModel, device=device)
    if codec is not None:
        model.use(load_codec(codec, device=device))
    settings = {
        "model": f"{name} ({digest(model)})",
        "codec": digest(model.codec),
        "samples": str(samples),
        "seed": str(seed),
    }
    work = SayingWork(model, samples=samples, seed=seed)
    return run_folder(work, found, out, "say", settings, what="saying", notify=notify)


class SayingWork(SheetWork[None]):
    """Convert pictures to speech; what is read of each is the digit (28, 28) found in it."""

    def __init__(self, model: ImageToAudioModel, *, samples: int, seed: int) -> None:
        super().__init__()
        self.model, self.samples, self.seed = model, samples, seed
        self.endings = tuple(f"{{}}-{number}.wav" for number in range(1, samples + 1))

    def read(self, path: Path | Recording) -> Tensor:
        """Read a picture, and find the digit in it."""
        assert isinstance(path, Path)  # a recording is no picture
        picture = load_image(path)
        try:
            return self.model.preprocess_image(picture)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def compute(self, items: Sequence[Tensor]) -> list[Product[None]]:
        """Generate the sounds of a batch."""
        images = torch.stack(list(items))
        latents, sounds = self.model.say_batch(images, samples=self.samples, seed=self.seed)
        rate = self.model.sample_rate
        return [
            Product(
                latent.numpy(),
                None,
                [partial(save_wav, waveform=waveform, sample_rate=rate) for waveform in waveforms],
                partial(_panels, image, waveforms, rate),
            )
            for latent, image, waveforms in zip(latents, items, sounds, strict=True)
        ]

    def panels(self, items: Sequence[Tensor]) -> list[Sequence[Panel]]:
        """Generate again, and show the digit of each picture and the spectrograms of its sounds."""
        samples = min(self.samples, SHEET_SAMPLES)
        sounds = self.model.say_batch(torch.stack(list(items)), samples=samples, seed=self.seed)[1]
        rate = self.model.sample_rate
        return [_panels(*each, rate) for each in zip(items, sounds, strict=True)]


def _panels(image: Tensor, waveforms: Tensor, rate: int) -> Sequence[Panel]:
    levels = Spectrogram()(waveforms[:SHEET_SAMPLES].mean(1)).transpose(1, 2)
    show = partial(sound_panel, hertz=(0.0, rate / 2), seconds=waveforms.shape[-1] / rate)
    return image_panel(image.unsqueeze(0)), *map(show, levels)
