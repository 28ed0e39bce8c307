"""Accuracy against coverage of VAE-GANs, which trade one for the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from audiate.evaluation.drawings import (
    DrawingReport,
    draw_examples,
    evaluate_drawings,
    read_test_pairs,
)
from audiate.evaluation.trained import TrainingPlace
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.lenet import LeNet
from audiate.models.vaegan import VAEGAN
from audiate.training.recipes.drawing import VAEGANRecipe
from audiate.utils.devices import resolve_device
from audiate.utils.plots import grid
from audiate.utils.reports import FigureReport, make_table, number

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
"""The recipe with the adversarial term alone, which needs more epochs and smaller steps."""

SWEEP = (PLAIN_GAN, *(replace(VAEGANRecipe(), alpha=alpha) for alpha in (0.05, 0.2, 1.0, 5.0)))
"""Recipes of VAE-GANs, in the order of the weight alpha of the reconstruction."""

OTHERS = (("vae-fsdd", "s", 8, "tab:orange"), ("flow-digits", "*", 14, "tab:green"))
"""Shipped models that are compared, each with its marker, the marker's size and its colour."""

PAPER = (("the paper's VAE", 0.937), ("the paper's VAE-GAN", 0.79))
"""Accuracies that Żelaszczyk 2020 reports. That paper measures no diversity."""

_DRAWINGS = 2  # of each digit in the figure


@dataclass(frozen=True)
class TradeoffReport(FigureReport):
    """Scores of the models of the sweep, in its order, then of the others, by the paper's protocol.

    Attributes:
        reports: Scores of each model.
        settings: Alpha and beta of each VAE-GAN of the sweep, and None, None for other models.
        drawings: Some drawings of the ten digits by each model, (count, 10, 28, 28).

    """

    reports: Sequence[DrawingReport]
    settings: Sequence[tuple[float | None, float | None]]
    drawings: Sequence[Tensor]

    def values(self) -> Mapping[str, Any]:
        """Return `points`, one for each model, with its accuracy, coverage and other measures."""
        points = [
            {
                "model": report.model,
                "alpha": alpha,
                "beta": beta,
                "lenet_accuracy_sampled": report.sampled.accuracy,
                "lenet_accuracy_sampled_interval": report.sampled.interval,
                **vars(report.diversity),
            }
            for report, (alpha, beta) in zip(self.reports, self.settings, strict=True)
        ]
        return {"paper": dict(PAPER), "points": points}

    def parts(self) -> Iterator[Table | str]:
        """Return a table with a row for each model."""
        table = make_table(
            "Accuracy against diversity, sampled images, the paper's protocol",
            *("model", "alpha", "beta", "accuracy %"),
            *("coverage", "density", "recall", "Fréchet distance"),
        )
        for report, weights in zip(self.reports, self.settings, strict=True):
            found = report.diversity
            table.add_row(
                report.model,
                *("" if weight is None else f"{weight:g}" for weight in weights),
                report.sampled.in_percent(),
                *(number(each, ".3f") for each in (found.coverage, found.density, found.recall)),
                number(found.frechet_distance, ".1f"),
            )
        yield table

    def figure(self) -> Figure:
        """Draw accuracy against coverage, and drawings of each model."""
        figure = Figure(figsize=(11.5, 4.8), dpi=150, layout="constrained")
        curve, sheet = figure.subplots(1, 2, width_ratios=(7, 4))
        self._plot_paper(curve)
        self._plot_models(curve)
        self._show_drawings(sheet)
        return figure

    def _plot_paper(self, axes: Axes) -> None:
        """Draw a line for each accuracy of the paper."""
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

    def _plot_models(self, axes: Axes) -> None:
        """Draw the curve of the sweep and the points of the other models."""
        points = [(r.diversity.coverage, 100 * r.sampled.accuracy) for r in self.reports]
        found = list(zip(self.settings, points, strict=True))
        sweep = [(setting[0], point) for setting, point in found if any(setting)]
        coverages, accuracies = zip(*(point for _, point in sweep), strict=True)
        label = r"VAE-GAN, by weight $\alpha$ of the reconstruction"
        axes.plot(coverages, accuracies, "o-", color="tab:blue", label=label)
        for alpha, point in sweep:
            axes.annotate(
                rf"$\alpha$ = {alpha:g}", point, (6, -11), textcoords="offset points", fontsize=8
            )
        for (alpha, beta), point in found:
            if alpha == beta == 0:
                label = r"$\alpha = \beta = 0$: a plain GAN, trained for longer"
                axes.plot(*point, "x", color="tab:blue", label=label)
        for (_, marker, size, colour), report, point in zip(
            OTHERS, self.reports[-len(OTHERS) :], points[-len(OTHERS) :], strict=True
        ):
            axes.plot(*point, marker, markersize=size, color=colour, label=report.model)
        axes.set_xlabel("coverage of the MNIST test images (Naeem et al. 2020)")
        axes.set_ylabel("LeNet-5 accuracy, %")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(0, 104)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.1), fontsize=8)

    def _show_drawings(self, axes: Axes) -> None:
        """Show the drawings: a strip for each model, a column for each digit."""
        names = [
            report.model if alpha is None else rf"$\alpha$ = {alpha:g}, $\beta$ = {beta:g}"
            for report, (alpha, beta) in zip(self.reports, self.settings, strict=True)
        ]
        gap = torch.ones(8, 280)
        strips = [torch.cat([grid(each.flatten(0, 1), 10), gap]) for each in self.drawings]
        axes.imshow(torch.cat(strips)[: -len(gap)].numpy(), cmap="gray", vmin=0, vmax=1)
        height = len(strips[0])
        middle = (height - len(gap)) / 2
        axes.set_yticks([middle + row * height for row in range(len(names))], names, fontsize=8)
        axes.set_xticks([14 + 28 * digit for digit in range(10)], [str(d) for d in range(10)])
        axes.set_title("drawings of a test recording of the digit", fontsize=9)
        axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        axes.spines[:].set_visible(False)


def evaluate_tradeoff(classifier: LeNet, place: TrainingPlace) -> TradeoffReport:
    """Score the models of the sweep and the shipped ones; train those that do not exist yet.

    Args:
        classifier: The LeNet-5 that reads the drawings.
        place: The data folder, and where the models are trained and kept.

    Raises:
        InputError: The data is missing, or a shipped model is.
        Interrupted: A training was stopped by a signal, after its state was saved.

    """
    device = resolve_device(place.device)
    classifier = classifier.to(device)
    others = [(name, AudioToImageModel.from_pretrained(name, device=device)) for name, *_ in OTHERS]
    models: list[tuple[str, AudioToImageModel]] = []
    for recipe in SWEEP:
        folder = f"vaegan-alpha{recipe.alpha:g}-beta{recipe.beta:g}"
        models.append((str(place.runs / folder), place.train("vaegan", recipe, folder, VAEGAN)))
    models += others
    reports, drawings = [], []
    for name, model in models:
        test = read_test_pairs(name, model, place.root)
        reports.append(evaluate_drawings(name, model, classifier, test))
        drawings.append(draw_examples(model, test, _DRAWINGS))
    weights = [(recipe.alpha, recipe.beta) for recipe in SWEEP]
    return TradeoffReport(reports, [*weights, *((None, None) for _ in OTHERS)], drawings)
