"""The jobs of bulk work: encode, classify, draw or invert each clip, by the code of `folders`."""

from abc import ABC, abstractmethod
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from audiate.audio.files import Recording
from audiate.errors import InputError
from audiate.folders.draw import prepare_drawing
from audiate.folders.invert import Target, batch_size_for, prepare_inversion, read_target
from audiate.folders.runner import BATCH_SIZE, ClipWork
from audiate.inversion.build import with_method
from audiate.inversion.settings import InversionSettings
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.custom import open_generator
from audiate.models.fingerprint import digest
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, DEFAULT_GENERATOR, SPOKEN_CLASSIFIER
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import in_words, load
from audiate.models.resnet import DigitClassifier
from audiate.models.speech_flow import SpeechFlow
from audiate.utils.devices import resolve_device

_Sizes = namedtuple("_Sizes", "channels sample_rate num_samples")
_WORD_SECONDS = 1.0  # models that look for a word take clips of any length
_GPU_BATCH = 256
_MOST_IN_CHUNK = 1024


class Result(NamedTuple):
    """The result of a job for one clip.

    Attributes:
        columns: Values of the columns of `OpenJob.columns`.
        write: Writes the clip's picture or sound to a path; None where the job keeps none.

    """

    columns: Mapping[str, Any]
    write: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class OpenJob:
    """A job whose models are loaded.

    Attributes:
        read: Reads a clip, in a thread. Raises `InputError` where it cannot be used.
        compute: Gives the results of a batch of clips. Raises `InputError` where one of them
            cannot be used.
        columns: The columns that a job adds to the rows, each with its type as it is written in
            `audiate.bulk.rows`.
        settings: All settings that results depend on.
        seconds: Length of the clips that long recordings are cut into, in seconds.
        batch_size: Number of clips that are worked at together.
        files: Folder of tar files with a picture or a sound for each clip, and the ending of these;
            None without them.

    """

    read: Callable[[Recording], Any]
    compute: Callable[[Sequence[Any]], list[Result]]
    columns: Mapping[str, str]
    settings: Mapping[str, str]
    seconds: float
    batch_size: int
    files: tuple[str, str] | None = None

    @property
    def model(self) -> str:
        """Name and digest of the model, or of the generator."""
        return self.settings.get("model") or self.settings["generator"]

    @property
    def chunk_size(self) -> int:
        """Number of clips whose rows are written together."""
        return min(_MOST_IN_CHUNK, 16 * self.batch_size)


class Job(ABC):
    """The settings of bulk work, which go to every worker."""

    command: ClassVar[str]

    @abstractmethod
    def open(self, device: str) -> OpenJob:
        """Load the models.

        Raises:
            InputError: There is no such model, or a setting is out of range.

        """


@dataclass(frozen=True)
class EncodeJob(Job):
    """Find the latent of each clip, by an audio-to-image model or by a generator's encoder.

    Attributes:
        model: Name, folder or hub id of an audio-to-image model, whose latents before any noise
            are taken, or of a generator's encoder.

    """

    command = "encode"
    model: str = DEFAULT_AUDIO_TO_IMAGE

    def open(self, device: str) -> OpenJob:
        """Load the model."""
        model = load(self.model, device=device)
        if isinstance(model, AudioToImageModel):
            drawing, _ = prepare_drawing(model, 1, 0, 1)
            read: Callable[[Recording], Any] = drawing.read
            encode: Callable[[Tensor], Tensor] = model.latents
            seconds = _WORD_SECONDS
        elif isinstance(model, LatentEncoder):
            read, encode = partial(read_target, sizes=model.config), model
            seconds = model.config.num_samples / model.config.sample_rate
        elif isinstance(model, SpeechFlow):
            read, encode = partial(read_target, sizes=model), model.recover
            seconds = model.num_samples / model.sample_rate
        else:
            raise InputError(
                f"`model` {self.model}: {in_words(model)} gives no latents of sounds; name an "
                f"audio-to-image model such as {DEFAULT_AUDIO_TO_IMAGE}, an encoder, or a flow of "
                f"sound such as {DEFAULT_GENERATOR}"
            )

        @torch.inference_mode()
        def compute(clips: Sequence[Tensor | Target]) -> list[Result]:
            inputs = [clip.waveform if isinstance(clip, Target) else clip for clip in clips]
            latents = encode(torch.stack(inputs).to(model.device)).float().cpu().numpy()
            return [Result({"latent": latent}) for latent in latents]

        settings, batch_size = {"model": f"{self.model} ({digest(model)})"}, _batch_size(device)
        return OpenJob(read, compute, {"latent": "latent"}, settings, seconds, batch_size)


@dataclass(frozen=True)
class ClassifyJob(Job):
    """Classify the spoken digit of each clip, and score by flow-digits whether it is one.

    Attributes:
        model: Name, folder or hub id of a classifier of spoken digits.

    """

    command = "classify"
    model: str = SPOKEN_CLASSIFIER

    def open(self, device: str) -> OpenJob:
        """Load the classifier. Clips are brought to one peak, as for an inversion."""
        model = load(self.model, DigitClassifier, device=device)
        flow = load(DEFAULT_AUDIO_TO_IMAGE, AudioToImageModel, device=device)
        sizes = _Sizes(1, model.sample_rate, model.num_samples)

        @torch.inference_mode()
        def compute(clips: Sequence[Target]) -> list[Result]:
            waveforms = torch.stack([clip.waveform for clip in clips]).to(model.device)
            rows = model(waveforms).softmax(1).tolist()
            heard = [
                flow.preprocess(clip.waveform, sample_rate=sizes.sample_rate) for clip in clips
            ]
            scores = flow.digit_scores(torch.stack(heard).to(flow.device))
            assert scores is not None
            return [
                Result(
                    {"digit": row.index(max(row)), "probabilities": tuple(row), "digit_score": s}
                )
                for row, s in zip(rows, scores.tolist(), strict=True)
            ]

        columns = {"digit": "int", "probabilities": "tuple[float, ...]", "digit_score": "float"}
        read, seconds = partial(read_target, sizes=sizes), model.num_samples / model.sample_rate
        settings = {"model": f"{self.model} ({digest(model)})", "scored by": digest(flow)}
        return OpenJob(read, compute, columns, settings, seconds, _batch_size(device))


@dataclass(frozen=True)
class DrawJob(Job):
    """Draw the spoken digit of each clip, and classify the drawings by LeNet-5.

    Attributes:
        model: Name, folder or hub id of an audio-to-image model.
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

    def open(self, device: str) -> OpenJob:
        """Load the model and LeNet-5."""
        drawing, settings = prepare_drawing(
            self.model, self.samples, self.seed, self.scale, device=device
        )
        drawing.read_by()
        settings["pictures"] = str(self.pictures)
        files = ("pictures", ".png") if self.pictures else None
        return _open_work(drawing, settings, _WORD_SECONDS, _batch_size(device), files)


@dataclass(frozen=True)
class InvertJob(Job):
    """Find the latent of a generator whose output is closest to each clip.

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
    search: InversionSettings = field(default_factory=InversionSettings)
    encoder: str | None = None
    classifier: str | None = SPOKEN_CLASSIFIER
    sounds: bool = False

    def open(self, device: str) -> OpenJob:
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
        search = with_method(self.search, generator, encoder=self.encoder is not None)
        run, settings, _ = prepare_inversion(
            generator, self.generator, search, self.encoder, self.classifier
        )
        run.prepare()
        settings["sounds"] = str(self.sounds)
        files = ("sounds", ".wav") if self.sounds else None
        seconds = generator.num_samples / generator.sample_rate
        return _open_work(run, settings, seconds, batch_size_for(generator, search), files)


def _open_work(
    work: ClipWork[Any, Any],
    settings: Mapping[str, str],
    seconds: float,
    batch_size: int,
    files: tuple[str, str] | None,
) -> OpenJob:
    """The job of a work of `audiate.folders`, with a column for each value of its results."""
    values = {each.name: str(each.type) for each in fields(work.result_type)}
    columns = {"latent": "latent", **values}
    compute = partial(_results, work)
    return OpenJob(work.read, compute, columns, settings, seconds, batch_size, files)


def _results(work: ClipWork[Any, Any], clips: Sequence[Any]) -> list[Result]:
    """Columns of clips, and the writer of the first of each one's files: a picture or a sound."""
    found = []
    for product in work.compute(clips):
        columns = {} if product.result is None else asdict(product.result)
        found.append(Result({"latent": product.latent, **columns}, product.writers[0]))
    return found


def _batch_size(device: str) -> int:
    return _GPU_BATCH if resolve_device(device).type == "cuda" else BATCH_SIZE
