"""Accuracy against coverage: what the VAE-GAN gives up of the one for the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from audiate.evaluate.drawings import evaluate_drawings, examples
from audiate.evaluate.figures import save_figure
from audiate.evaluate.reports import DrawingReport, dump, render
from audiate.evaluate.training import trained_drawer
from audiate.models import Drawer, LeNet
from audiate.pictures import grid
from audiate.training.recipes import VAEGANRecipe

PLAIN_GAN = replace(
    VAEGANRecipe(),
    alpha=0.0,
    beta=0.0,
    epochs=8,
    images_per_recording=1,
    learning_rate=2e-4,
    schedule="constant",
    instance_noise=0.1,
)
"""No term but the adversarial: with so much to find out alone, it takes longer and finer steps."""

SWEEP = (PLAIN_GAN, *(replace(VAEGANRecipe(), alpha=alpha) for alpha in (0.05, 0.2, 1.0, 5.0)))
"""VAE-GANs with more and more weight on reconstruction."""

OTHERS = (("vae-fsdd", "s", 8, "tab:orange"), ("flow-digits", "*", 14, "tab:green"))
"""Shipped models beside the sweep, each with its marker, the marker's size and its colour."""

PAPER = (("the paper's VAE", 0.937), ("the paper's VAE-GAN", 0.79))
"""Accuracies that Żelaszczyk 2020 reports; it measures no diversity."""

_DRAWINGS = 2  # of each digit in the figure


@dataclass(frozen=True)
class TradeoffReport:
    """Models in the order of the sweep, then the others, all scored by the paper's protocol.

    Attributes:
        reports: Scores.
        settings: Alpha and beta where it is a VAE-GAN of the sweep.
        drawings: Of each model, some drawings of the ten digits: (count, 10, 28, 28).

    """

    reports: Sequence[DrawingReport]
    settings: Sequence[tuple[float, float] | None]
    drawings: Sequence[Tensor]

    def to_json(self) -> str:
        """A list of points, each with accuracy, coverage and all the rest."""
        return dump(
            {
                "paper": dict(PAPER),
                "points": [
                    {
                        "model": report.model,
                        "alpha": setting[0] if setting else None,
                        "beta": setting[1] if setting else None,
                        "lenet_accuracy_sampled": report.sampled.accuracy,
                        **asdict(report.diversity),
                    }
                    for report, setting in zip(self.reports, self.settings, strict=True)
                ],
            }
        )

    def to_text(self) -> str:
        """A table for people."""
        table = Table(title="Accuracy against diversity, sampled images, the paper's protocol")
        columns = "accuracy %", "coverage", "density", "recall", "Fréchet distance"
        for column in ("model", "alpha", "beta", *columns):
            table.add_column(column, overflow="fold")
        for report, setting in zip(self.reports, self.settings, strict=True):
            alpha, beta = (f"{value:g}" for value in setting) if setting else ("", "")
            seen = report.diversity
            table.add_row(
                report.model,
                alpha,
                beta,
                f"{100 * report.sampled.accuracy:.2f}",
                f"{seen.coverage:.3f}",
                f"{seen.density:.3f}",
                f"{seen.recall:.3f}",
                f"{seen.frechet_distance:.1f}",
            )
        return render(table)

    def save_figure(self, path: Path) -> None:
        """Draw accuracy against coverage, and what the models draw, as a PNG.

        Raises:
            InputError: It cannot be written there.

        """
        figure = Figure(figsize=(11.5, 4.8), dpi=150, layout="constrained")
        curve, sheet = figure.subplots(1, 2, width_ratios=(7, 4))
        self._draw(curve)
        self._show(sheet)
        save_figure(figure, path)

    def _draw(self, axes: Axes) -> None:
        for label, value in PAPER:
            axes.axhline(100 * value, color="0.6", linestyle="--", linewidth=1)
            axes.annotate(
                f"{label} ({100 * value:.1f} %, coverage not measured)",
                (0.995, 100 * value),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color="0.4",
            )
        points = [(r.diversity.coverage, 100 * r.sampled.accuracy) for r in self.reports]
        found = list(zip(self.settings, points, strict=True))
        sweep = [(setting[0], point) for setting, point in found if setting and any(setting)]
        axes.plot(
            [coverage for _, (coverage, _) in sweep],
            [accuracy for _, (_, accuracy) in sweep],
            "o-",
            color="tab:blue",
            label=r"VAE-GAN, by weight $\alpha$ of the reconstruction",
        )
        for alpha, point in sweep:
            axes.annotate(
                rf"$\alpha$ = {alpha:g}", point, (6, -11), textcoords="offset points", fontsize=8
            )
        for setting, point in found:
            if setting is not None and not any(setting):
                axes.plot(
                    *point,
                    "x",
                    color="tab:blue",
                    label=r"$\alpha = \beta = 0$: a plain GAN, trained for longer",
                )
        for (_, marker, size, colour), report, point in zip(
            OTHERS, self.reports[-len(OTHERS) :], points[-len(OTHERS) :], strict=True
        ):
            axes.plot(*point, marker, markersize=size, color=colour, label=report.model)
        axes.set_xlabel("coverage of the MNIST test images (Naeem et al. 2020)")
        axes.set_ylabel("LeNet-5 accuracy, %")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(0, 104)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.1), fontsize=8)

    def _show(self, axes: Axes) -> None:
        """The drawings, a strip for each model, a column for each digit."""
        names = [
            rf"$\alpha$ = {setting[0]:g}, $\beta$ = {setting[1]:g}" if setting else report.model
            for report, setting in zip(self.reports, self.settings, strict=True)
        ]
        gap = torch.ones(8, 280)
        strips = [torch.cat([grid(each.flatten(0, 1), 10), gap]) for each in self.drawings]
        axes.imshow(torch.cat(strips)[: -len(gap)].numpy(), cmap="gray", vmin=0, vmax=1)
        height = len(strips[0])
        middle = (height - len(gap)) / 2
        axes.set_yticks([middle + row * height for row in range(len(names))], names, fontsize=8)
        axes.set_xticks([14 + 28 * digit for digit in range(10)], [str(d) for d in range(10)])
        axes.set_title("drawn on hearing a test recording of", fontsize=9)
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        axes.spines[:].set_visible(False)


def tradeoff(judge: LeNet, root: Path, runs: Path) -> TradeoffReport:
    """Train the sweep, or take what of it is trained, and score it beside the shipped models.

    Raises:
        InputError: Data missing, or a shipped model is.

    """
    others: list[tuple[str, Drawer]] = [(name, Drawer.from_pretrained(name)) for name, *_ in OTHERS]
    models: list[tuple[str, Drawer]] = []
    for recipe in SWEEP:
        folder = runs / f"vaegan-alpha{recipe.alpha:g}-beta{recipe.beta:g}"
        models.append(trained_drawer("vaegan", recipe, root, folder))
    models += others
    return TradeoffReport(
        [evaluate_drawings(name, model, judge, root) for name, model in models],
        [*((recipe.alpha, recipe.beta) for recipe in SWEEP), *[None for _ in OTHERS]],
        [examples(name, model, root, _DRAWINGS) for name, model in models],
    )
