"""Evaluation of a model by its name."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from audiate.errors import InputError, check_range
from audiate.evaluation.codecs import evaluate_codec
from audiate.evaluation.digit_classifiers import (
    evaluate_spoken_classifier,
    evaluate_without_speakers,
    evaluate_written_classifier,
)
from audiate.evaluation.drawings import evaluate_audio_to_image
from audiate.evaluation.generators import evaluate_generator
from audiate.evaluation.independent import MOST_JUDGED
from audiate.evaluation.judge_file import DEFAULT_RATE, FileJudge, evaluate_by_file
from audiate.evaluation.matches import evaluate_matches
from audiate.evaluation.noise import VoicesReport, evaluate_voices
from audiate.evaluation.refusal import evaluate_refusal
from audiate.evaluation.said_images import evaluate_image_to_audio
from audiate.evaluation.trained import Device, TrainingPlace
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.codec import Codec
from audiate.models.dual_encoder import DualEncoder
from audiate.models.generator import GeneratorModel
from audiate.models.hub import SPOKEN_CLASSIFIER, WRITTEN_CLASSIFIER
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel, in_words, load
from audiate.models.resnet import DigitClassifier
from audiate.models.speech_flow import SpeechFlow
from audiate.utils.devices import resolve_device
from audiate.utils.reports import Report

Protocol = Literal["paper", "speakers", "voices", "refusal"]
"""Protocols of `evaluate_model`; `evaluate_inversion` has protocols of its own.

``paper`` tests as the paper does. ``speakers`` trains the model's recipe without each speaker of
FSDD, and tests it on that speaker. ``voices`` tests on the Speech Commands validation clips; of a
flow of sound, it scores what comes back of them. ``refusal`` counts which of them, and of sounds
that are no digits, are refused.
"""

# Protocols, and arguments of `evaluate_model`, that a class of models takes beside ``paper``.
_TAKES: dict[type[PretrainedModel], Collection[str]] = {
    AudioToImageModel: {"speakers", "voices", "refusal", "seeds", "classifier", "others"},
    DigitClassifier: {"speakers"},
    SpeechFlow: {"voices", "classifier", "count", "judge", "judged"},
    GeneratorModel: {"classifier", "count", "judge", "judged"},
    Codec: {"judged"},
    ImageToAudioModel: {"classifier", "count", "judged"},
    LeNet: (),
    DualEncoder: (),
    LatentEncoder: (),
}


def evaluate_model(
    name: str,
    *,
    root: Path,
    protocol: Protocol = "paper",
    seeds: int = 1,
    classifier: str | None = None,
    count: int | None = None,
    judged: int | None = None,
    judge: Path | None = None,
    judge_rate: int = DEFAULT_RATE,
    others: Path | None = None,
    runs: Path = Path("runs/evaluate"),
    device: Device = "cpu",
) -> Report:
    """Score a model by the protocol of the paper that it comes from, or by another one.

    Args:
        name: Name, folder or hub id of the model, as for `audiate.load`.
        root: Data folder.
        protocol: One of `Protocol`. Not all models know ``speakers`` and ``voices``.
        seeds: Number of trainings of an audio-to-image model, with consecutive seeds.
        classifier: Name of the classifier of digits; by default the shipped one.
        count: Number of clips that a generator makes, by default 5,000, or of MNIST's test images
            that an image-to-audio model says, by default 1,000.
        judged: Largest number of their clips in each row that the judges of
            `audiate.evaluation.independent` listen to; 500 by default, and with 0 none.
        judge: File of a classifier of sounds (`audiate.evaluation.judge_file.FileJudge`).
        judge_rate: Sample rate of its waveforms, in Hz.
        others: Folder of further sounds for ``refusal``, as for `evaluate_refusal`.
        runs: Folder for trainings. A finished one is reused, and an interrupted one is resumed.
        device: Device that everything is computed on.

    Raises:
        InputError: There is no such model or no data, or a setting does not fit.
        Interrupted: A training was stopped by a signal, after its state was saved.

    """
    check_range("`seeds`", seeds, 1, 100)
    check_range("`judged`", judged or 0, 0, 10**6)
    model = load(name, device=resolve_device(device))
    optional = {"classifier": classifier, "count": count, "judge": judge}
    optional |= {"judged": judged, "others": others}
    given = [each for each, value in optional.items() if value is not None]
    _check(name, model, ["seeds"] * (seeds > 1) + given, protocol)
    place = TrainingPlace(root, runs, device)
    if isinstance(model, AudioToImageModel):
        if protocol == "refusal":
            return evaluate_refusal(name, model, root, others)
        return _evaluate_images(name, model, classifier, place, protocol, seeds)
    if isinstance(model, DigitClassifier) and protocol == "speakers":
        return evaluate_without_speakers(name, model, place)
    if isinstance(model, GeneratorModel) and judge is not None:
        counted = {} if count is None else {"count": count}
        return evaluate_by_file(name, model, FileJudge(judge, judge_rate), root, **counted)
    if isinstance(model, Codec) or (isinstance(model, SpeechFlow) and protocol == "voices"):
        return evaluate_codec(name, model, root, judged=MOST_JUDGED if judged is None else judged)
    if isinstance(model, GeneratorModel | ImageToAudioModel):
        return _evaluate_sounds(name, model, classifier, root, count, judged)
    return _evaluate_classifier(name, model, root)


def _check(name: str, model: PretrainedModel, given: Sequence[str], protocol: str) -> None:
    """Make sure that a model can be evaluated, and takes the arguments that are given."""
    takes = next((takes for kind, takes in _TAKES.items() if isinstance(model, kind)), None)
    if takes is None:
        raise InputError(f"{name}: there is no evaluation of {in_words(model)}")
    extra = [f"`{each}`" for each in given if each not in takes]
    if protocol not in ("paper", *takes):
        extra.append(f"`protocol` {protocol}")
    if extra:
        raise InputError(f"{name}: {extra[0]} is not for {in_words(model)}; leave it out")
    for argument in ("classifier", "judged"):
        if {"judge", argument} <= set(given):
            raise InputError(f"`{argument}`: not with `judge`; leave one of them out")
    if "others" in given and protocol != "refusal":
        raise InputError("`others`: is for `protocol` refusal; leave it out")
    if "seeds" in given and protocol != "paper":
        raise InputError(f"`seeds`: not with `protocol` {protocol}; leave one of them out")
    if isinstance(model, LatentEncoder):
        raise InputError(
            f"{name}: an encoder is evaluated with its generator: `audiate evaluate inversion "
            f"--generator {model.config.generator} --encoder {name}`"
        )


def _evaluate_classifier(name: str, model: PretrainedModel, root: Path) -> Report:
    if isinstance(model, DigitClassifier):
        return evaluate_spoken_classifier(name, model, root)
    if isinstance(model, LeNet):
        return evaluate_written_classifier(name, model, root)
    assert isinstance(model, DualEncoder)
    return evaluate_matches(name, model, root)


def _evaluate_images(
    name: str,
    model: AudioToImageModel,
    classifier: str | None,
    place: TrainingPlace,
    protocol: Literal["paper", "speakers", "voices"],
    seeds: int,
) -> Report:
    classifier = classifier or WRITTEN_CLASSIFIER
    reader = load(classifier, LeNet).to(model.device)
    if protocol == "voices":
        return VoicesReport(classifier, evaluate_voices(name, model, reader, place.root))
    return evaluate_audio_to_image(
        name, model, classifier, reader, place, protocol=protocol, seeds=seeds
    )


def _evaluate_sounds(
    name: str,
    model: GeneratorModel | ImageToAudioModel,
    classifier: str | None,
    root: Path,
    count: int | None,
    judged: int | None,
) -> Report:
    named = classifier or SPOKEN_CLASSIFIER
    spoken = load(classifier or SPOKEN_CLASSIFIER, DigitClassifier).to(model.device)
    options = {"count": count, "judged": judged}
    counted = {name: value for name, value in options.items() if value is not None}
    if isinstance(model, GeneratorModel):
        return evaluate_generator(name, model, named, spoken, root, **counted)
    written = load(WRITTEN_CLASSIFIER, LeNet).to(model.device)
    return evaluate_image_to_audio(name, model, named, spoken, written, root, **counted)
