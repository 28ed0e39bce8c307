"""Evaluation of a model by its name: a table from its class to the evaluator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from audiate.errors import InputError, check_range
from audiate.evaluation import said_images as saying
from audiate.evaluation.drawings import evaluate_drawer
from audiate.evaluation.generators import DEFAULT_COUNT, evaluate_generator
from audiate.evaluation.matches import evaluate_matcher
from audiate.evaluation.noise import VoicesReport, evaluate_voices
from audiate.evaluation.spoken_digits import evaluate_spoken_classifier, evaluate_without_speakers
from audiate.evaluation.trained import Device, TrainingPlace
from audiate.evaluation.written_digits import evaluate_written_classifier
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.dual_encoder import DualEncoder
from audiate.models.generator import AudioGAN
from audiate.models.hub import SPOKEN_CLASSIFIER, WRITTEN_CLASSIFIER
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel, in_words, load
from audiate.models.resnet import DigitClassifier
from audiate.utils.devices import resolve_device
from audiate.utils.reports import Report

Protocol = Literal["paper", "speakers", "voices"]
"""Protocols of `evaluate_model`; `evaluate_inversion` has protocols of its own.

``paper`` tests as the paper does. ``speakers`` trains the model's recipe without each speaker of
FSDD, and tests it on that speaker. ``voices`` tests on the Speech Commands validation clips.
"""

M = TypeVar("M", bound=PretrainedModel)


@dataclass(frozen=True)
class _Settings:
    """The arguments of `evaluate_model`."""

    root: Path
    protocol: Protocol
    seeds: int
    classifier: str | None
    count: int | None
    runs: Path
    device: Device

    @property
    def place(self) -> TrainingPlace:
        return TrainingPlace(self.root, self.runs, self.device)


@dataclass(frozen=True)
class _Kind(Generic[M]):
    """A kind of model: its class, its evaluator, and the settings that the evaluator takes."""

    model_class: type[M]
    evaluate: Callable[[str, M, _Settings], Report]
    protocols: tuple[Protocol, ...] = ("paper",)
    takes: frozenset[str] = frozenset()

    def check(self, name: str, model: PretrainedModel, settings: _Settings) -> None:
        """Make sure that all settings are for this kind of model.

        Raises:
            InputError: One is not.

        """
        given = {
            "seeds": settings.seeds > 1,
            "classifier": settings.classifier is not None,
            "count": settings.count is not None,
        }
        extra = [
            f"`{each}`" for each, is_given in given.items() if is_given and each not in self.takes
        ]
        if settings.protocol not in self.protocols:
            extra.append(f"`protocol` {settings.protocol}")
        if extra:
            raise InputError(f"{name}: {extra[0]} is not for {in_words(model)}; leave it out")
        if settings.seeds > 1 and settings.protocol != "paper":
            raise InputError(
                f"`seeds`: not with `protocol` {settings.protocol}; leave one of them out"
            )


def _drawer(name: str, model: AudioToImageModel, settings: _Settings) -> Report:
    reader = load(settings.classifier or WRITTEN_CLASSIFIER, LeNet).to(model.device)
    reader_name = settings.classifier or WRITTEN_CLASSIFIER
    if settings.protocol == "voices":
        return VoicesReport(reader_name, evaluate_voices(name, model, reader, settings.root))
    return evaluate_drawer(
        name,
        model,
        reader_name,
        reader,
        settings.place,
        protocol=settings.protocol,
        seeds=settings.seeds,
    )


def _written_classifier(name: str, model: LeNet, settings: _Settings) -> Report:
    return evaluate_written_classifier(name, model, settings.root)


def _spoken_classifier(name: str, model: DigitClassifier, settings: _Settings) -> Report:
    if settings.protocol == "speakers":
        return evaluate_without_speakers(name, model, settings.place)
    return evaluate_spoken_classifier(name, model, settings.root)


def _generator(name: str, model: AudioGAN, settings: _Settings) -> Report:
    classifier = load(settings.classifier or SPOKEN_CLASSIFIER, DigitClassifier).to(model.device)
    count = DEFAULT_COUNT if settings.count is None else settings.count
    classifier_name = settings.classifier or SPOKEN_CLASSIFIER
    return evaluate_generator(name, model, classifier_name, classifier, settings.root, count=count)


def _sayer(name: str, model: ImageToAudioModel, settings: _Settings) -> Report:
    classifier = load(settings.classifier or SPOKEN_CLASSIFIER, DigitClassifier).to(model.device)
    count = saying.DEFAULT_COUNT if settings.count is None else settings.count
    return saying.evaluate_sayer(
        name,
        model,
        settings.classifier or SPOKEN_CLASSIFIER,
        classifier,
        load(WRITTEN_CLASSIFIER, LeNet).to(model.device),
        settings.root,
        count=count,
    )


def _matcher(name: str, model: DualEncoder, settings: _Settings) -> Report:
    return evaluate_matcher(name, model, settings.root)


def _encoder(name: str, model: LatentEncoder, _: _Settings) -> Report:
    raise InputError(
        f"{name}: an encoder is evaluated with its generator: `audiate evaluate inversion "
        f"--generator {model.config.generator} --encoder {name}`"
    )


_KINDS: tuple[_Kind[Any], ...] = (
    _Kind(
        AudioToImageModel,
        _drawer,
        ("paper", "speakers", "voices"),
        frozenset({"seeds", "classifier"}),
    ),
    _Kind(LeNet, _written_classifier),
    _Kind(DigitClassifier, _spoken_classifier, ("paper", "speakers")),
    _Kind(AudioGAN, _generator, takes=frozenset({"classifier", "count"})),
    _Kind(ImageToAudioModel, _sayer, takes=frozenset({"classifier", "count"})),
    _Kind(DualEncoder, _matcher),
    _Kind(LatentEncoder, _encoder),
)


def evaluate_model(
    name: str,
    *,
    root: Path,
    protocol: Protocol = "paper",
    seeds: int = 1,
    classifier: str | None = None,
    count: int | None = None,
    runs: Path = Path("runs/evaluate"),
    device: Device = "cpu",
) -> Report:
    """Score a model by the protocol of the paper that it comes from, or by another one.

    Args:
        name: Name, folder or hub id of the model, as for `audiate.load`.
        root: Data folder.
        protocol: The protocol. Drawers know all, the classifier of spoken digits ``paper`` and
            ``speakers``, other models ``paper`` alone.
        seeds: For a drawer with ``paper``, the number of trainings in all. Further ones have the
            seeds that follow the model's own.
        classifier: Name of the classifier: of written digits for a drawer, of spoken digits for a
            generator. By default, it is the shipped one.
        count: For a generator, the number of clips to generate; 5,000 by default. For a model that
            says images, the number of MNIST's test images; 1,000 by default.
        runs: Folder for trainings. A finished one is reused, and an interrupted one is resumed.
        device: Device that everything is computed on.

    Raises:
        InputError: There is no such model, data is missing, the recipe is not known, or a setting
            is not for a model of this kind.
        Interrupted: A training was stopped by a signal, after its state was saved.

    """
    check_range("`seeds`", seeds, 1, 100)
    settings = _Settings(root, protocol, seeds, classifier, count, runs, device)
    model = load(name, device=resolve_device(device))
    for kind in _KINDS:
        if isinstance(model, kind.model_class):
            kind.check(name, model, settings)
            return kind.evaluate(name, model, settings)
    raise InputError(f"{name}: there is no evaluation of {in_words(model)}")
