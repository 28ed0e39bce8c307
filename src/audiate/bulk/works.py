"""What is done with each clip: encode, classify, draw or invert, by the code of single commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from audiate.audio.files import Recording
from audiate.errors import InputError
from audiate.folders.draw import BATCH_SIZE, DrawingWork, prepare_drawing
from audiate.folders.invert import (
    ClipResult,
    InversionRun,
    SearchSettings,
    Target,
    batch_size_for,
    prepare_inversion,
    read_target,
)
from audiate.folders.runner import ClipWork, Product
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.custom import open_generator
from audiate.models.fingerprint import digest
from audiate.models.hub import (
    DEFAULT_AUDIO_TO_IMAGE,
    DEFAULT_GENERATOR,
    SPOKEN_CLASSIFIER,
    WRITTEN_CLASSIFIER,
)
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.lenet import LeNet
from audiate.models.pretrained import in_words, load
from audiate.models.resnet import DigitClassifier
from audiate.utils.devices import resolve_device
from audiate.utils.plots import save_image, side_by_side

_WORD_SECONDS = 1.0  # models that look for a word take clips of any length
_GPU_BATCH = 256
_MOST_IN_CHUNK = 1024

Item = TypeVar("Item")
R = TypeVar("R")


@dataclass(frozen=True)
class OpenWork(Generic[Item, R]):
    """Work whose models are loaded.

    Attributes:
        clips: Reads clips and works at batches of them.
        result: The dataclass of a clip's result, whose fields become columns.
        model: Name and digest of the model.
        settings: All settings that results depend on.
        seconds: Length of the clips that long recordings are cut into, in seconds.
        batch_size: Number of clips that are worked at together.
        has_latent: Whether a latent is found for each clip.
        folder: Folder of tar files with a picture or a sound for each clip; None without them.

    """

    clips: ClipWork[Item, R]
    result: type[R]
    model: str
    settings: dict[str, str]
    seconds: float
    batch_size: int
    has_latent: bool = True
    folder: str | None = None

    @property
    def chunk_size(self) -> int:
        """Number of clips that are recorded together."""
        return min(_MOST_IN_CHUNK, 16 * self.batch_size)


class Job(ABC):
    """The settings of bulk work, which go to every worker."""

    command: ClassVar[str]

    @abstractmethod
    def open(self, device: str) -> OpenWork[Any, Any]:
        """Load the models.

        Raises:
            InputError: There is no such model, or a setting is out of range.

        """


@dataclass(frozen=True)
class EncodeJob(Job):
    """Find the latent that stands for each clip: that of a drawer, or that of an encoder.

    Attributes:
        model: Name, folder or hub id of a drawer or of a generator's encoder.

    """

    command = "encode"
    model: str = DEFAULT_AUDIO_TO_IMAGE

    def open(self, device: str) -> OpenWork[Any, Any]:
        """Load the model."""
        model = load(self.model, device=device)
        if isinstance(model, AudioToImageModel):
            drawing, _ = prepare_drawing(model, 1, 0, 1)
            name = f"{self.model} ({digest(model)})"
            work: ClipWork[Any, Any] = _EncodeToImageLatents(drawing)
            return OpenWork(
                work, Nothing, name, {"model": name}, _WORD_SECONDS, _batch(device, BATCH_SIZE)
            )
        if isinstance(model, LatentEncoder):
            name = f"{self.model} ({digest(model)})"
            sizes = model.config
            return OpenWork(
                _EncodeByEncoder(model),
                Nothing,
                name,
                {"model": name},
                sizes.num_samples / sizes.sample_rate,
                _batch(device, BATCH_SIZE),
            )
        raise InputError(
            f"`model` {self.model}: {in_words(model)} gives no latents of sounds; name a "
            f"drawer such as {DEFAULT_AUDIO_TO_IMAGE}, or an encoder such as specgan-digits-encoder"
        )


@dataclass(frozen=True)
class ClassifyJob(Job):
    """Tell the digit that is said in each clip.

    Attributes:
        model: Name, folder or hub id of a classifier of spoken digits.

    """

    command = "classify"
    model: str = SPOKEN_CLASSIFIER

    def open(self, device: str) -> OpenWork[Any, Any]:
        """Load the classifier."""
        model = load(self.model, DigitClassifier, device=device)
        name = f"{self.model} ({digest(model)})"
        seconds = model.num_samples / model.sample_rate
        size = _batch(device, BATCH_SIZE)
        work = _Classify(model)
        return OpenWork(work, Heard, name, {"model": name}, seconds, size, has_latent=False)


@dataclass(frozen=True)
class DrawJob(Job):
    """Draw what is said in each clip, and read the drawings by LeNet-5.

    Attributes:
        model: Name, folder or hub id of a drawer.
        samples: Number of images for each clip.
        seed: Seed of the images.
        scale: Factor by which pictures are enlarged.
        pictures: Whether pictures are kept, in tar files.

    """

    command = "draw"
    model: str = DEFAULT_AUDIO_TO_IMAGE
    samples: int = 8
    seed: int = 0
    scale: int = 1
    pictures: bool = False

    def open(self, device: str) -> OpenWork[Any, Any]:
        """Load the drawer and LeNet-5."""
        drawing, settings = prepare_drawing(
            self.model, self.samples, self.seed, self.scale, device=device
        )
        settings["pictures"] = str(self.pictures)
        return OpenWork(
            _Draw(drawing),
            Drawn,
            settings["model"],
            settings,
            _WORD_SECONDS,
            _batch(device, BATCH_SIZE),
            folder="pictures" if self.pictures else None,
        )


@dataclass(frozen=True)
class InvertJob(Job):
    """Find the latent with which a generator says each clip again.

    Attributes:
        generator: As for `audiate.models.custom.open_generator`, like the next three.
        latent_dim: Number of entries of a latent.
        generator_rate: Sample rate of the generator's sound, in Hz.
        prior: Distribution of latents.
        search: The settings of the search. A budget is not among them, since results are to depend
            on the clip alone.
        encoder: The generator's encoder: its folder or hub id; None for the shipped one.
        classifier: Classifier of spoken digits; None leaves it out.
        sounds: Whether the sounds are kept, in tar files.

    """

    command = "invert"
    generator: str = DEFAULT_GENERATOR
    latent_dim: int | None = None
    generator_rate: int | None = None
    prior: Any = "uniform"
    search: SearchSettings = field(default_factory=SearchSettings)
    encoder: str | None = None
    classifier: str | None = SPOKEN_CLASSIFIER
    sounds: bool = False

    def open(self, device: str) -> OpenWork[Any, Any]:
        """Load the generator, and what finds its latents."""
        if self.search.budget is not None:
            raise InputError("`budget`: bulk results depend on the clip alone; leave it out")
        generator = open_generator(
            self.generator,
            latent_dim=self.latent_dim,
            generator_rate=self.generator_rate,
            prior=self.prior,
            device=device,
        )
        run, settings, _ = prepare_inversion(
            generator, self.generator, self.search, self.encoder, self.classifier
        )
        settings["sounds"] = str(self.sounds)
        return OpenWork(
            _Invert(run),
            ClipResult,
            settings["generator"],
            settings,
            generator.num_samples / generator.sample_rate,
            batch_size_for(generator, self.search),
            folder="sounds" if self.sounds else None,
        )


@dataclass(frozen=True)
class Nothing:
    """The result of encoding a clip, besides its latent."""


@dataclass(frozen=True)
class Heard:
    """The result of classifying a clip.

    Attributes:
        digit: The digit that is heard.
        probabilities: That of each digit.

    """

    digit: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Drawn:
    """The result of drawing a clip.

    Attributes:
        digits: The digit that LeNet-5 reads in each image.

    """

    digits: tuple[int, ...]


class _EncodeToImageLatents(ClipWork[Tensor, Nothing]):
    """The latents of a drawer, before any noise."""

    endings = ()

    def __init__(self, drawing: DrawingWork) -> None:
        self.drawing = drawing

    def read(self, path: Path | Recording) -> Tensor:
        return self.drawing.read(path)

    def compute(self, items: Sequence[Tensor]) -> list[Product[Nothing]]:
        return [Product(latent, Nothing(), _no_files) for latent in self.drawing.encode(items)]


class _EncodeByEncoder(ClipWork[Target, Nothing]):
    """The latents that a generator's encoder gives, as they are."""

    endings = ()

    def __init__(self, encoder: LatentEncoder) -> None:
        self.encoder = encoder

    def read(self, path: Path | Recording) -> Target:
        return read_target(path, self.encoder.config)

    @torch.inference_mode()
    def compute(self, items: Sequence[Target]) -> list[Product[Nothing]]:
        waveforms = torch.stack([item.waveform for item in items])
        latents = self.encoder(waveforms.to(self.encoder.device)).float().cpu().numpy()
        return [Product(latent, Nothing(), _no_files) for latent in latents]


class _ClassifierSizes(NamedTuple):
    channels: int
    sample_rate: int
    num_samples: int


class _Classify(ClipWork[Target, Heard]):
    """The digits that a classifier hears, in clips brought to one peak as for an inversion."""

    endings = ()

    def __init__(self, classifier: DigitClassifier) -> None:
        self.classifier = classifier

    def read(self, path: Path | Recording) -> Target:
        model = self.classifier
        return read_target(path, _ClassifierSizes(1, model.sample_rate, model.num_samples))

    @torch.inference_mode()
    def compute(self, items: Sequence[Target]) -> list[Product[Heard]]:
        waveforms = torch.stack([item.waveform for item in items]).to(self.classifier.device)
        shares = self.classifier(waveforms).softmax(1).tolist()
        nothing = np.empty(0, np.float32)
        return [
            Product(nothing, Heard(row.index(max(row)), tuple(row)), _no_files) for row in shares
        ]


class _Draw(ClipWork[Tensor, Drawn]):
    """Drawings, and the digits that LeNet-5 reads in them."""

    endings = ("{}.png",)

    def __init__(self, drawing: DrawingWork) -> None:
        self.drawing = drawing
        self._lenet = load(WRITTEN_CLASSIFIER, LeNet).to(drawing.model.device)

    def read(self, path: Path | Recording) -> Tensor:
        return self.drawing.read(path)

    @torch.inference_mode()
    def compute(self, items: Sequence[Tensor]) -> list[Product[Drawn]]:
        images = self.drawing.draw(items)  # (batch, samples, 28, 28)
        logits = self._lenet(images.flatten(0, 1).to(self._lenet.device))
        digits = logits.argmax(1).view(len(items), -1).tolist()
        latents = self.drawing.encode(items)
        return [
            Product(latent, Drawn(tuple(row)), partial(self._write, drawn))
            for latent, row, drawn in zip(latents, digits, images, strict=True)
        ]

    def _write(self, images: Tensor, paths: Sequence[Path]) -> None:
        save_image(side_by_side(images), paths[0], scale=self.drawing.scale)


class _Invert(ClipWork[Target, ClipResult]):
    """Inversions, of whose files the sound alone is written."""

    endings = InversionRun.endings[:1]

    def __init__(self, run: InversionRun) -> None:
        self.run = run

    def read(self, path: Path | Recording) -> Target:
        return self.run.read(path)

    def compute(self, items: Sequence[Target]) -> list[Product[ClipResult]]:
        return self.run.compute(items)


def columns_of(result: type) -> dict[str, str]:
    """The columns of a result: names of its fields, and their types as they are written."""
    return {each.name: str(each.type) for each in fields(result)}


def _batch(device: str, on_cpu: int) -> int:
    return _GPU_BATCH if resolve_device(device).type == "cuda" else on_cpu


def _no_files(paths: Sequence[Path]) -> None:
    del paths
