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
from audiate.evaluate.training import trained
from audiate.hub import load
from audiate.models import Drawer, LeNet
from audiate.training.recipes import SPEAKERS, DrawingRecipe

__all__ = [
    "DrawingReports",
    "JudgeReport",
    "Protocol",
    "VoicesReport",
    "evaluate",
    "evaluate_drawings",
    "recipe_of",
]


def evaluate(
    name: str,
    *,
    root: Path,
    protocol: Protocol = "paper",
    seeds: int = 1,
    judge: str = "lenet-mnist",
    runs: Path = Path("runs/evaluate"),
) -> DrawingReports | VoicesReport | JudgeReport:
    """Score a model by the protocol of the paper that it comes from.

    Args:
        name: As for `audiate.load`.
        root: Data folder.
        protocol: For drawing models: ``paper``, the split that the model was trained with;
            ``speakers``, its recipe trained anew without each speaker, also with noise; or
            ``voices``, the Speech Commands validation clips, also with noise.
        seeds: With ``paper``: this many trainings in all, of consecutive seeds.
        judge: The LeNet-5 that reads the drawings.
        runs: Where such trainings are kept; a finished one is reused, an interrupted one resumed.

    Raises:
        InputError: No such model, data missing, or the recipe is not known.

    """
    model = load(name)
    if isinstance(model, LeNet):
        if protocol != "paper" or seeds > 1:
            raise InputError(
                f"{name}: --protocol and --seeds are for drawing models; leave them out"
            )
        return evaluate_judge(name, model, root)
    if not isinstance(model, Drawer):
        raise InputError(
            f"{name}: no protocol for a {type(model).__name__}; evaluate a model that draws, "
            f"or LeNet"
        )
    reader = load_judge(judge)
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


def load_judge(name: str) -> LeNet:
    """The LeNet-5 that reads drawings.

    Raises:
        InputError: There is none of that name, or it is something else.

    """
    judge = load(name)
    if not isinstance(judge, LeNet):
        raise InputError(f"--judge {name}: is a {type(judge).__name__}, not a LeNet; leave it out")
    return judge


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
    return trained(label, recipe, root, runs / f"{label}-seed{recipe.seed}{who}")
