"""The papers' tables, as frozen reports that print themselves as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from audiate.datasets.mnist import load_mnist
from audiate.datasets.pairs import load_pairs
from audiate.errors import InputError
from audiate.hub import load
from audiate.metrics import accuracy, bootstrap_interval, confusion_matrix
from audiate.models import VAE, LeNet, Provenance
from audiate.training.launch import LoopOptions
from audiate.training.recipes import RECIPES, SPEAKERS, VAERecipe
from audiate.training.tasks import run_recipe

Protocol = Literal["paper", "speakers"]

_BATCH = 500


@dataclass(frozen=True)
class Score:
    """Accuracy of one way to draw, in [0, 1].

    Attributes:
        accuracy: Share of the images that are read as the digit that was spoken.
        interval: 95 % bootstrap interval; recordings are resampled, not images.
        per_digit: Accuracy for each spoken digit, 0 to 9.
        confusion: Counts; rows are the spoken digits, columns what was read.

    """

    accuracy: float
    interval: tuple[float, float]
    per_digit: list[float]
    confusion: list[list[int]]


@dataclass(frozen=True)
class DrawingReport:
    """LeNet-5's reading of the images that one model drew from the test pairs.

    Attributes:
        model: Where its weights came from.
        test: The test recordings: of which split.
        mean: Images decoded from the mean of q(z|x).
        sampled: Images decoded from a sample of q(z|x).
        n: Test pairs; an image is drawn for each.
        recordings: How many distinct recordings stand behind them.

    """

    model: str
    test: str
    mean: Score
    sampled: Score
    n: int
    recordings: int


@dataclass(frozen=True)
class DrawingReports:
    """One report for each model (seed, or speaker left out), and their mean."""

    protocol: Protocol
    judge: str
    reports: Sequence[DrawingReport]

    def to_json(self) -> str:
        """The means under the keys `lenet_accuracy_mean` and `lenet_accuracy_sampled`, then all."""
        first = self.reports[0]
        return _dump(
            {
                "protocol": self.protocol,
                "judge": self.judge,
                "lenet_accuracy_mean": _mean([r.mean.accuracy for r in self.reports]),
                "lenet_accuracy_sampled": _mean([r.sampled.accuracy for r in self.reports]),
                "per_digit": {
                    str(digit): {
                        "mean": _mean([r.mean.per_digit[digit] for r in self.reports]),
                        "sampled": _mean([r.sampled.per_digit[digit] for r in self.reports]),
                    }
                    for digit in range(10)
                },
                "n": first.n,
                "runs": [asdict(report) for report in self.reports],
            }
        )

    def to_text(self) -> str:
        """Tables for people."""
        table = Table(title=f"LeNet-5 accuracy (%), protocol {self.protocol}, judge {self.judge}")
        for column in ("model", "test recordings", "mean of q(z|x)", "sample of q(z|x)"):
            table.add_column(column, overflow="fold")
        for report in self.reports:
            table.add_row(
                report.model,
                f"{report.recordings} ({report.test})",
                _with_interval(report.mean),
                _with_interval(report.sampled),
            )
        if len(self.reports) > 1:
            worst = min(self.reports, key=lambda report: report.mean.accuracy)
            for label, pick in (("mean", self.reports), ("worst", [worst])):
                table.add_row(
                    label,
                    "",
                    f"{100 * _mean([r.mean.accuracy for r in pick]):.2f}",
                    f"{100 * _mean([r.sampled.accuracy for r in pick]):.2f}",
                )
        total = torch.tensor([r.sampled.confusion for r in self.reports]).sum(0)
        note = (
            f"An image for each of {self.reports[0].n:,} test pairs. In brackets: 95 % bootstrap "
            f"interval over recordings."
        )
        return _render(table, _confusion_table(total, "sampled images"), note)


@dataclass(frozen=True)
class JudgeReport:
    """LeNet-5 on the MNIST test images."""

    model: str
    score: Score
    n: int

    def to_json(self) -> str:
        """Keys `accuracy`, `per_digit`, `n` and more."""
        per_digit = {str(digit): value for digit, value in enumerate(self.score.per_digit)}
        return _dump(
            {"model": self.model, **asdict(self.score), "per_digit": per_digit, "n": self.n}
        )

    def to_text(self) -> str:
        """A table for people."""
        line = f"{self.model}: accuracy {_with_interval(self.score)} % on {self.n:,} test images"
        confusion = torch.tensor(self.score.confusion)
        return _render(line, _confusion_table(confusion, "MNIST test images"))


def evaluate(
    name: str,
    *,
    root: Path,
    protocol: Protocol = "paper",
    seeds: int = 1,
    judge: str = "lenet-mnist",
    runs: Path = Path("runs/evaluate"),
) -> DrawingReports | JudgeReport:
    """Score a model by the protocol of the paper that it comes from.

    Args:
        name: As for `audiate.load`.
        root: Data folder.
        protocol: For drawing models: ``paper``, the split that the model was trained with; or
            ``speakers``, its recipe trained anew without each speaker.
        seeds: With ``paper``: this many trainings in all, of consecutive seeds.
        judge: The LeNet-5 that reads the drawings.
        runs: Where such trainings are kept; a finished one is reused, an interrupted one resumed.

    Raises:
        InputError: No such model, data missing, or the recipe is not known.

    """
    model = load(name)
    if isinstance(model, LeNet):
        return evaluate_judge(name, model, root)
    if not isinstance(model, VAE):
        raise InputError(
            f"{name}: no protocol for a {type(model).__name__}; evaluate a VAE or LeNet"
        )
    reader = load(judge)
    if not isinstance(reader, LeNet):
        raise InputError(
            f"--judge {judge}: is a {type(reader).__name__}, not a LeNet; leave it out"
        )
    return DrawingReports(
        protocol,
        judge,
        [
            evaluate_drawings(each_name, each, reader, root)
            for each_name, each in _contestants(name, model, root, protocol, seeds, runs)
        ],
    )


def _contestants(
    name: str, model: VAE, root: Path, protocol: Protocol, seeds: int, runs: Path
) -> list[tuple[str, VAE]]:
    """The models to score: the given one, or its recipe trained anew."""
    if protocol == "paper" and seeds == 1:
        return [(name, model)]
    recipe = recipe_of(model.provenance, name)
    if protocol == "speakers":
        return [
            _trained(model.provenance.recipe, replace(recipe, held_out_speaker=who), root, runs)
            for who in SPEAKERS
        ]
    others = [replace(recipe, seed=recipe.seed + offset) for offset in range(1, seeds)]
    trained = [_trained(model.provenance.recipe, other, root, runs) for other in others]
    return [(name, model), *trained]


def recipe_of(provenance: Provenance, name: str) -> VAERecipe:
    """The recipe that a model was trained by.

    Raises:
        InputError: It does not say, or this version does not know that recipe.

    """
    known = RECIPES.get(provenance.recipe)
    try:
        if isinstance(known, VAERecipe):
            return VAERecipe(**provenance.settings)
    except TypeError:
        pass  # settings of another version of the recipe
    raise InputError(
        f"{name}: does not say by which recipe it was trained, so its test recordings are not "
        f"known; evaluate a model that `audiate train` made"
    )


def _trained(label: str, recipe: VAERecipe, root: Path, runs: Path) -> tuple[str, VAE]:
    who = f"-without-{recipe.held_out_speaker}" if recipe.held_out_speaker else ""
    folder = runs / f"{label}-seed{recipe.seed}{who}"
    run_recipe(label, recipe, root, LoopOptions(folder, resume=folder.exists()))
    model = load(folder)
    assert isinstance(model, VAE)
    return str(folder), model


@torch.inference_mode()
def evaluate_drawings(name: str, model: VAE, judge: LeNet, root: Path) -> DrawingReport:
    """Draw an image for each of the 10,000 test pairs and let LeNet-5 read it.

    The test recordings are those that the model's own recipe left out of training.
    """
    recipe = recipe_of(model.provenance, name)
    rate = model.features.config.sample_rate
    pairs = load_pairs(
        root, sample_rate=rate, seed=recipe.seed, held_out_speaker=recipe.held_out_speaker
    )
    heard = pairs.test.heard
    spectrograms = model.features.many(pairs.test.recordings)
    generator = torch.Generator().manual_seed(recipe.seed)
    # The mean's image is the same for all pairs of a recording.
    means = judge(model.mean_images(spectrograms)).argmax(1)[heard]
    samples = []
    for index in torch.split(heard, _BATCH):
        drawn = model.sample_images(spectrograms[index], 1, generator=generator)[:, 0]
        samples.append(judge(drawn).argmax(1))
    speaker = recipe.held_out_speaker
    return DrawingReport(
        model=name,
        test=f"speaker {speaker}" if speaker else f"split {recipe.seed}",
        mean=_score(means, pairs.test_labels, heard),
        sampled=_score(torch.cat(samples), pairs.test_labels, heard),
        n=len(heard),
        recordings=len(torch.unique(heard)),
    )


@torch.inference_mode()
def evaluate_judge(name: str, model: LeNet, root: Path) -> JudgeReport:
    """LeNet-5's accuracy on the 10,000 MNIST test images."""
    images, labels = load_mnist(root, "test")
    read = [model(batch.float() / 255).argmax(1) for batch in torch.split(images, _BATCH)]
    score = _score(torch.cat(read), labels, torch.arange(len(labels)))
    return JudgeReport(name, score, len(labels))


def _score(predictions: Tensor, labels: Tensor, groups: Tensor) -> Score:
    correct = predictions == labels
    confusion = confusion_matrix(predictions, labels)
    return Score(
        accuracy=accuracy(predictions, labels),
        interval=bootstrap_interval(correct, groups),
        per_digit=(confusion.diagonal() / confusion.sum(1)).tolist(),
        confusion=confusion.tolist(),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _with_interval(score: Score) -> str:
    low, high = score.interval
    return f"{100 * score.accuracy:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def _confusion_table(confusion: Tensor, what: str) -> Table:
    table = Table(title=f"Rows: digit meant; columns: digit read ({what})")
    table.add_column("")
    for digit in range(10):
        table.add_column(str(digit), justify="right")
    table.add_column("%", justify="right")
    for digit, row in enumerate(confusion):
        share = 100 * row[digit].item() / max(int(row.sum()), 1)
        table.add_row(str(digit), *(str(n) if n else "·" for n in row.tolist()), f"{share:.1f}")
    return table


def _render(*parts: Table | str) -> str:
    console = Console(file=StringIO(), width=100, highlight=False)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue().rstrip()


def _dump(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=2)
