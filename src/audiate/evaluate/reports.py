"""What evaluations find, as frozen reports that print themselves as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from io import StringIO
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

Protocol = Literal["paper", "speakers", "voices"]


@dataclass(frozen=True)
class Score:
    """Accuracy of one way to draw, in [0, 1].

    Attributes:
        accuracy: Share of the images that are read as the digit that was spoken.
        interval: 95 % bootstrap interval; recordings are resampled, not images.
        per_digit: Accuracy for each spoken digit, 0 to 9; None where none was spoken.
        confusion: Counts; rows are the spoken digits, columns what was read.

    """

    accuracy: float
    interval: tuple[float, float]
    per_digit: list[float | None]
    confusion: list[list[int]]


@dataclass(frozen=True)
class Diversity:
    """How images compare with the MNIST test images, in LeNet-5's features (its last convolution).

    Attributes:
        frechet_distance: Between Gaussians fitted to both; 0 is best.
        precision: Share of images near a real one (Kynkäänniemi et al. 2019).
        recall: Share of real images near one of these.
        density: How many real neighbourhoods an image lies in, against what is expected
            (Naeem et al. 2020); about 1 for real images.
        coverage: Share of real images in whose neighbourhood one of these lies (the same).
        pixel_spread: Standard deviation of a pixel within a digit, of grey levels in [0, 1].

    """

    frechet_distance: float
    precision: float
    recall: float
    density: float
    coverage: float
    pixel_spread: float


@dataclass(frozen=True)
class DrawingReport:
    """LeNet-5's reading of the images that one model drew from the test pairs.

    Attributes:
        model: Where its weights came from.
        test: The test recordings: of which split.
        mean: The one best image of each sound.
        sampled: Images that were sampled.
        diversity: Of the sampled images, against the MNIST test images.
        diversity_per_digit: The same for each digit, 0 to 9.
        n: Test pairs; an image is drawn for each.
        recordings: How many distinct recordings stand behind them.

    """

    model: str
    test: str
    mean: Score
    sampled: Score
    diversity: Diversity
    diversity_per_digit: list[Diversity]
    n: int
    recordings: int


@dataclass(frozen=True)
class HearingReport:
    """LeNet-5's reading of what was drawn of some recordings, clean and with noise added.

    Attributes:
        model: Where its weights came from.
        test: Which recordings.
        counts: Recordings of each digit, 0 to 9.
        mean: The one best image of each sound, by condition ("clean", "20 dB", ...: the ratio of
            signal to added noise).
        sampled: Images that were sampled, likewise.

    """

    model: str
    test: str
    counts: list[int]
    mean: Mapping[str, Score]
    sampled: Mapping[str, Score]


@dataclass(frozen=True)
class DrawingReports:
    """One report for each model (seed, or speaker left out), and their mean.

    Attributes:
        protocol: How they were made.
        judge: The LeNet-5 that reads.
        reports: One for each model.
        real_train: As many MNIST train images, measured in the same way: the ceiling.
        real_train_per_digit: The same for each digit, 0 to 9.
        hearing: For each model that was trained without a speaker, how noise matters.

    """

    protocol: Protocol
    judge: str
    reports: Sequence[DrawingReport]
    real_train: Diversity
    real_train_per_digit: Sequence[Diversity]
    hearing: Sequence[HearingReport] = ()

    def to_json(self) -> str:
        """Means over the models under `lenet_accuracy_mean`, `coverage` and so on, then all."""
        first = self.reports[0]
        return dump(
            {
                "protocol": self.protocol,
                "judge": self.judge,
                "lenet_accuracy_mean": mean_of([r.mean.accuracy for r in self.reports]),
                "lenet_accuracy_sampled": mean_of([r.sampled.accuracy for r in self.reports]),
                **asdict(_mean_diversity([r.diversity for r in self.reports])),
                "real_train": asdict(self.real_train),
                "per_digit": {
                    str(digit): {
                        "mean": mean_of([r.mean.per_digit[digit] for r in self.reports]),
                        "sampled": mean_of([r.sampled.per_digit[digit] for r in self.reports]),
                        **asdict(
                            _mean_diversity([r.diversity_per_digit[digit] for r in self.reports])
                        ),
                        "real_train": asdict(self.real_train_per_digit[digit]),
                    }
                    for digit in range(10)
                },
                "n": first.n,
                "runs": [asdict(report) for report in self.reports],
                "hearing": [asdict(report) for report in self.hearing],
            }
        )

    def to_text(self) -> str:
        """Tables for people."""
        table = Table(title=f"LeNet-5 accuracy (%), protocol {self.protocol}, judge {self.judge}")
        for column in ("model", "test recordings", "best image", "sampled images"):
            table.add_column(column, overflow="fold")
        for report in self.reports:
            table.add_row(
                report.model,
                f"{report.recordings} ({report.test})",
                with_interval(report.mean),
                with_interval(report.sampled),
            )
        if len(self.reports) > 1:
            worst = min(self.reports, key=lambda report: report.sampled.accuracy)
            for label, pick in (("mean", self.reports), ("worst", [worst])):
                table.add_row(
                    label,
                    "",
                    f"{100 * mean_of([r.mean.accuracy for r in pick]):.2f}",
                    f"{100 * mean_of([r.sampled.accuracy for r in pick]):.2f}",
                )
        total = torch.tensor([r.sampled.confusion for r in self.reports]).sum(0)
        note = (
            f"An image for each of {self.reports[0].n:,} test pairs. In brackets: 95 % bootstrap "
            f"interval over recordings. Distances and neighbours are those of LeNet-5's features "
            f"among the test images; of one digit there are few, which makes its Fréchet distance "
            f"larger."
        )
        hearing = [_hearing_table(report) for report in self.hearing]
        return render(
            table,
            self._diversity_table(),
            *hearing,
            confusion_table(total, "sampled images"),
            note,
        )

    def _diversity_table(self) -> Table:
        table = Table(title="Sampled images against the MNIST test images")
        for column in ("", *(field.name.replace("_", " ") for field in fields(Diversity))):
            table.add_column(column, overflow="fold")
        rows = [(report.model, report.diversity) for report in self.reports]
        if len(self.reports) > 1:
            rows.append(("mean", _mean_diversity([report.diversity for report in self.reports])))
        else:
            rows += _only(self.reports[0].diversity_per_digit)
        rows.append(("real train images", self.real_train))
        if len(self.reports) == 1:
            rows += _only(self.real_train_per_digit)
        for name, diversity in rows:
            table.add_row(name, *(f"{value:.3f}" for value in asdict(diversity).values()))
        return table


@dataclass(frozen=True)
class VoicesReport:
    """How a model hears the Speech Commands validation clips, by speakers it has never heard."""

    judge: str
    report: HearingReport

    def to_json(self) -> str:
        """Keys `lenet_accuracy_mean` and `lenet_accuracy_sampled` of the clean clips, then all."""
        report = self.report
        return dump(
            {
                "protocol": "voices",
                "judge": self.judge,
                "lenet_accuracy_mean": report.mean["clean"].accuracy,
                "lenet_accuracy_sampled": report.sampled["clean"].accuracy,
                "lenet_accuracy_sampled_mean_over_digits": mean_of(
                    report.sampled["clean"].per_digit
                ),
                "n": sum(report.counts),
                **asdict(report),
            }
        )

    def to_text(self) -> str:
        """Tables for people."""
        confusion = torch.tensor(self.report.sampled["clean"].confusion)
        return render(
            _hearing_table(self.report), confusion_table(confusion, "sampled images, clean")
        )


@dataclass(frozen=True)
class JudgeReport:
    """LeNet-5 on the MNIST test images."""

    model: str
    score: Score
    n: int

    def to_json(self) -> str:
        """Keys `accuracy`, `per_digit`, `n` and more."""
        per_digit = {str(digit): value for digit, value in enumerate(self.score.per_digit)}
        return dump(
            {"model": self.model, **asdict(self.score), "per_digit": per_digit, "n": self.n}
        )

    def to_text(self) -> str:
        """A table for people."""
        line = f"{self.model}: accuracy {with_interval(self.score)} % on {self.n:,} test images"
        confusion = torch.tensor(self.score.confusion)
        return render(line, confusion_table(confusion, "MNIST test images"))


def _only(diversities: Sequence[Diversity]) -> list[tuple[str, Diversity]]:
    return [(f"  only {digit}", diversity) for digit, diversity in enumerate(diversities)]


def mean_of(values: Sequence[float | None]) -> float:
    """The mean of those values that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def _mean_diversity(diversities: Sequence[Diversity]) -> Diversity:
    rows = [asdict(diversity) for diversity in diversities]
    return Diversity(**{name: mean_of([row[name] for row in rows]) for name in rows[0]})


def with_interval(score: Score) -> str:
    """A score and its interval, in percent."""
    low, high = score.interval
    return f"{100 * score.accuracy:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def _hearing_table(report: HearingReport) -> Table:
    """A row for each condition: accuracy overall and for each digit."""
    table = Table(title=f"{report.model}: LeNet-5 accuracy (%) on {report.test}")
    table.add_column("noise", overflow="fold")
    table.add_column("images")
    table.add_column("all", overflow="fold")
    table.add_column("mean of digits", justify="right")
    for digit in range(10):
        table.add_column(str(digit), justify="right")
    table.add_row("", "clips", f"{sum(report.counts)}", "", *map(str, report.counts))
    for kind, scores in (("best", report.mean), ("sampled", report.sampled)):
        for condition, score in scores.items():
            digits = ("-" if share is None else f"{100 * share:.0f}" for share in score.per_digit)
            each = f"{100 * mean_of(score.per_digit):.2f}"
            table.add_row(condition, kind, with_interval(score), each, *digits)
    return table


def confusion_table(confusion: Tensor, what: str) -> Table:
    """Counts (10, 10) with each row's share on the diagonal."""
    table = Table(title=f"Rows: digit meant; columns: digit read ({what})")
    table.add_column("")
    for digit in range(10):
        table.add_column(str(digit), justify="right")
    table.add_column("%", justify="right")
    for digit, row in enumerate(confusion):
        total = int(row.sum())
        share = f"{100 * row[digit].item() / total:.1f}" if total else "-"
        table.add_row(str(digit), *(str(n) if n else "·" for n in row.tolist()), share)
    return table


def render(*parts: Table | str) -> str:
    """Tables and lines as plain text."""
    console = Console(file=StringIO(), width=116, highlight=False)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue().rstrip()


def dump(values: dict[str, Any]) -> str:
    """Values as indented JSON."""
    return json.dumps(values, indent=2)
