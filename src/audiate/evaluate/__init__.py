"""The papers' tables: models scored by the protocol of the paper that they come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from audiate.errors import InputError
from audiate.evaluate.drawings import (
    ceiling,
    evaluate_drawings,
    evaluate_hearing,
    evaluate_judge,
    evaluate_voices,
    recipe_of,
    speaker_words,
)
from audiate.evaluate.reports import DrawingReports, JudgeReport, Protocol, VoicesReport
from audiate.evaluate.sounds import (
    VALIDATION,
    GeneratorReport,
    ListenerReport,
    evaluate_generator,
    evaluate_listener,
)
from audiate.evaluate.training import trained, trained_drawer
from audiate.hub import load, load_as
from audiate.models import (
    AudioGAN,
    DigitClassifier,
    Drawer,
    InverseMapping,
    LeNet,
    PretrainedModel,
)
from audiate.training.recipes import RECIPES, SPEAKERS, DigitClassifierRecipe, DrawingRecipe

__all__ = [
    "DrawingReports",
    "GeneratorReport",
    "JudgeReport",
    "ListenerReport",
    "Protocol",
    "VoicesReport",
    "evaluate",
    "evaluate_drawings",
    "recipe_of",
]

READER = "lenet-mnist"
LISTENER = "digits-resnet18"

Report = DrawingReports | VoicesReport | JudgeReport | ListenerReport | GeneratorReport


def evaluate(
    name: str,
    *,
    root: Path,
    protocol: Protocol = "paper",
    seeds: int = 1,
    judge: str | None = None,
    count: int = 5000,
    runs: Path = Path("runs/evaluate"),
) -> Report:
    """Score a model by the protocol of the paper that it comes from.

    Args:
        name: As for `audiate.load`.
        root: Data folder.
        protocol: For drawing models: ``paper``, the split that the model was trained with;
            ``speakers``, its recipe trained anew without each speaker, also with noise; or
            ``voices``, the Speech Commands validation clips, also with noise.
        seeds: With ``paper``: this many trainings in all, of consecutive seeds.
        judge: The LeNet-5 that reads drawings, or the classifier that hears generated speech; by
            default the shipped one.
        count: Clips that a generator is to make.
        runs: Where such trainings are kept; a finished one is reused, an interrupted one resumed.

    Raises:
        InputError: No such model, data missing, or the recipe is not known.

    """
    model = load(name)
    if not isinstance(model, Drawer):
        protocols = ("paper", "speakers") if isinstance(model, DigitClassifier) else ("paper",)
        if seeds > 1 or protocol not in protocols:
            flag = "--seeds" if seeds > 1 else f"--protocol {protocol}"
            raise InputError(f"{name}: {flag} is not for a {type(model).__name__}; leave it out")
        if judge is not None and not isinstance(model, AudioGAN):
            raise InputError(f"{name}: --judge is not for a {type(model).__name__}; leave it out")
        return _evaluate_other(name, model, root, protocol, judge, count, runs)
    reader = load_reader(judge)
    judge = judge or READER
    if protocol == "voices":
        return VoicesReport(judge, evaluate_voices(name, model, reader, root))
    contestants = _contestants(name, model, root, protocol, seeds, runs)
    hearing = []
    for label, each in contestants:
        if speaker := recipe_of(each.provenance, label).held_out_speaker:
            words = speaker_words(each, speaker, root)
            test = f"speaker {speaker}"
            hearing.append(evaluate_hearing(label, each, reader, test, words))
    return DrawingReports(
        protocol,
        judge,
        [evaluate_drawings(label, each, reader, root) for label, each in contestants],
        *ceiling(reader, root),
        hearing,
    )


def _evaluate_other(
    name: str,
    model: PretrainedModel,
    root: Path,
    protocol: Protocol,
    judge: str | None,
    count: int,
    runs: Path,
) -> Report:
    """Score a judge or a generator."""
    if isinstance(model, DigitClassifier):
        if protocol == "speakers":
            return evaluate_listener(name, _without_each(model, name, root, runs), root)
        return evaluate_listener(name, {VALIDATION: model}, root)
    if isinstance(model, LeNet):
        return evaluate_judge(name, model, root)
    if isinstance(model, AudioGAN):
        listener = load_listener(judge)
        return evaluate_generator(name, model, judge or LISTENER, listener, root, count=count)
    if isinstance(model, InverseMapping):
        raise InputError(
            f"{name}: an encoder is scored with its generator: `audiate evaluate inversion "
            f"--generator {model.config.generator} --encoder {name}`"
        )
    raise InputError(f"{name}: {type(model).__name__}s have no protocol")


def load_reader(name: str | None) -> LeNet:
    """The LeNet-5 that reads drawings; by default the shipped one.

    Raises:
        InputError: There is none of that name, or it is something else.

    """
    return load_as(name or READER, LeNet, "reads no drawings; leave out --judge")


def load_listener(name: str | None) -> DigitClassifier:
    """The classifier that hears which digit is spoken; by default the shipped one.

    Raises:
        InputError: There is none of that name, or it is something else.

    """
    return load_as(name or LISTENER, DigitClassifier, "hears no digits; leave out --judge")


def _without_each(
    model: DigitClassifier, name: str, root: Path, runs: Path
) -> dict[str, DigitClassifier]:
    """The judge's recipe trained anew without each speaker of FSDD."""
    label = model.provenance.recipe
    known = RECIPES.get(label)
    if not isinstance(known, DigitClassifierRecipe):
        raise InputError(f"{name}: does not say by which recipe it was trained; train it anew")
    recipe = replace(known, **model.provenance.settings)
    judges: dict[str, DigitClassifier] = {}
    for who in SPEAKERS:
        folder = runs / f"{label}-seed{recipe.seed}-without-{who}"
        judge = trained(label, replace(recipe, held_out_speaker=who), root, folder)
        assert isinstance(judge, DigitClassifier)
        judges[who] = judge
    return judges


def _contestants(
    name: str, model: Drawer, root: Path, protocol: Protocol, seeds: int, runs: Path
) -> list[tuple[str, Drawer]]:
    """The models to score: the given one, or its recipe trained anew."""
    if protocol == "paper" and seeds == 1:
        return [(name, model)]
    label = model.provenance.recipe
    recipe = recipe_of(model.provenance, name)
    if protocol == "speakers":
        recipes = [replace(recipe, held_out_speaker=who) for who in SPEAKERS]
        return [_trained(label, each, root, runs) for each in recipes]
    others = [replace(recipe, seed=recipe.seed + offset) for offset in range(1, seeds)]
    return [(name, model), *(_trained(label, other, root, runs) for other in others)]


def _trained(label: str, recipe: DrawingRecipe, root: Path, runs: Path) -> tuple[str, Drawer]:
    who = f"-without-{recipe.held_out_speaker}" if recipe.held_out_speaker else ""
    return trained_drawer(label, recipe, root, runs / f"{label}-seed{recipe.seed}{who}")
