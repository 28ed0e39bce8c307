"""Convert a folder of pictures to speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio.files import Recording, save_wav
from audiate.audio.spectrograms import Spectrogram
from audiate.data.folders import PICTURES, find_files
from audiate.data.images import load_image
from audiate.data.written_digits import FoundDigits
from audiate.errors import InputError, check_whole
from audiate.folders.runner import FolderReport, Notify, Product, name_of, run_folder
from audiate.folders.sheet import SHEET_SAMPLES, SheetWork
from audiate.models.fingerprint import digest
from audiate.models.hub import DEFAULT_IMAGE_TO_AUDIO
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.lenet import find_every_digit, only_digit, read_digits
from audiate.models.pretrained import load
from audiate.models.speech_flow import load_codec
from audiate.utils.plots import Panel, image_panel, sound_panel
from audiate.utils.progress import counted

DOUBT = 0.9
"""Probability of a digit below which a reading is doubtful."""


@dataclass(frozen=True)
class SayingResult:
    """The result of saying a picture.

    Attributes:
        digits: The digits that LeNet-5 reads in it, row after row, from left to right.
        probabilities: The probability that LeNet-5 gives each.
        others: Number of marks beside them that were left out, as they are no whole digits.

    """

    digits: tuple[int, ...]
    probabilities: tuple[float, ...]
    others: int = 0

    def is_doubtful(self) -> bool:
        """Whether a digit has a probability below `DOUBT`."""
        return min(self.probabilities) < DOUBT

    def __str__(self) -> str:
        """The digits and their probabilities, and what was left out."""
        chances = ", ".join(f"{chance:.2f}" for chance in self.probabilities)
        marks = counted(self.others, "mark")
        left_out = f"; left out: {marks}, as no whole digit" if self.others else ""
        doubt = "doubtful, " if self.is_doubtful() else ""
        return f"{doubt}read: {' '.join(map(str, self.digits))} ({chances}){left_out}"


def say_folder(
    pictures: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path | ImageToAudioModel = DEFAULT_IMAGE_TO_AUDIO,
    codec: str | Path | None = None,
    samples: int = 8,
    seed: int = 0,
    all: bool = False,
    device: str | torch.device = "cpu",
    notify: Notify | None = None,
) -> FolderReport[SayingResult]:
    """Say what is written in picture files, and write the sounds to a folder.

    Writes for each picture ``<picture>-1.wav``, ``<picture>-2.wav`` and so on, its sounds;
    ``sheet.png``, the digit that was found in each picture beside the spectrograms of its sounds
    (the first 100 pictures); ``latents.npz``, the names of the pictures and the codec's latents
    (pictures, samples, latent_dim), float32; and ``report.json``, which holds a `SayingResult` for
    each picture. Pictures that were said before with the same settings are left as they are. A
    picture that cannot be used does not stop the others.

    With ``all``, the latents of a sound's digits follow one another. Where pictures differ in their
    number of digits, ``latents.npz`` has (rows, latent_dim), and the picture's name for each row.

    Args:
        pictures: Picture files, or folders of them.
        out: The folder, which is made where it is missing. Only files that an earlier call has
            written are replaced there.
        model: The model that says, or its name, folder or hub id.
        codec: Name, folder or hub id of the model's codec, where it is no longer where it was when
            the model was trained.
        samples: Number of sounds for each picture.
        seed: Sounds are those of `ImageToAudioModel.say` with this seed.
        all: Whether several digits in a picture are said, row after row, from left
            to right, in each sound.
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
    settings = {"model": f"{name} ({digest(model)})", "codec": digest(model.codec)}
    settings |= {"samples": str(samples), "seed": str(seed), "all": str(all)}
    if all and model.config.pictures == "whole":
        raise InputError(f"`all`: {name} says whole pictures, which hold no digits; leave it out")
    work = SayingWork(model, samples=samples, seed=seed, several=all)
    return run_folder(work, found, out, "say", settings, what="saying", notify=notify)


class SayingWork(SheetWork[FoundDigits, SayingResult]):
    """Convert pictures to speech; what is read of each is its digits."""

    result_type = SayingResult

    def __init__(
        self, model: ImageToAudioModel, *, samples: int, seed: int, several: bool = False
    ) -> None:
        super().__init__()
        self.model, self.samples, self.seed, self.several = model, samples, seed, several
        self.endings = tuple(f"{{}}-{number}.wav" for number in range(1, samples + 1))

    def read(self, path: Path | Recording) -> FoundDigits:
        """Read a picture, and find the digit, or the digits, in it."""
        assert isinstance(path, Path)  # a recording is no picture
        picture = load_image(path)
        try:
            if self.model.config.pictures == "whole":
                return FoundDigits(self.model.preprocess_image(picture).unsqueeze(0))
            found = find_every_digit(picture)
            return found if self.several else only_digit(found)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def compute(self, items: Sequence[FoundDigits]) -> list[Product[SayingResult]]:
        """Generate the sounds of a batch."""
        rate, digits = self.model.sample_rate, self.model.config.pictures == "digits"
        return [
            Product(
                latents.flatten(0, 1).numpy(),
                SayingResult(*read_digits(images), others) if digits else None,
                [partial(save_wav, waveform=waveform, sample_rate=rate) for waveform in waveforms],
                partial(_panels, images, waveforms, rate),
            )
            for (images, others), (latents, waveforms) in zip(
                items, self._said(items, self.samples), strict=True
            )
        ]

    def panels(self, items: Sequence[FoundDigits]) -> list[Sequence[Panel]]:
        """Generate again, and show the digits of each picture and spectrograms of its sounds."""
        said = self._said(items, min(self.samples, SHEET_SAMPLES))
        rate = self.model.sample_rate
        return [
            _panels(images, waveforms, rate)
            for (images, _), (_, waveforms) in zip(items, said, strict=True)
        ]

    def _said(self, items: Sequence[FoundDigits], samples: int) -> list[tuple[Tensor, Tensor]]:
        """Latents (samples, digits, latent_dim) and sounds (samples, 1, n) of each picture."""
        counts = [len(images) for images, _ in items]
        found = self.model.say_batch(
            torch.cat([images for images, _ in items]), samples=samples, seed=self.seed
        )
        latents, sounds = (torch.split(each.transpose(0, 1), counts, 1) for each in found)
        return [
            (own, said.transpose(1, 2).flatten(2))
            for own, said in zip(latents, sounds, strict=True)
        ]


def _panels(images: Tensor, waveforms: Tensor, rate: int) -> Sequence[Panel]:
    levels = Spectrogram()(waveforms[:SHEET_SAMPLES].mean(1)).transpose(1, 2)
    show = partial(sound_panel, hertz=(0.0, rate / 2), seconds=waveforms.shape[-1] / rate)
    return image_panel(images), *map(show, levels)
