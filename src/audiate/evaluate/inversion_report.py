"""Tables 1 and 2 of Keyes et al. 2020 as a report: text, JSON, figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure
from rich.table import Table

from audiate.evaluate.figures import save_figure
from audiate.evaluate.reports import dump, render
from audiate.inversion.build import HYBRID_ITERATIONS
from audiate.metrics import InceptionScore

Source = Literal["synthesized", "real"]
InversionProtocol = Literal["paper", "default"]

EAR, READER = "flow-digits", "lenet-mnist"
"""Who gives the second opinion on what is said."""

SPLITS = 2
"""Of the Inception Score."""

# Keyes et al. 2020: Inception Score and its deviation, MSE, SSIM, accuracy.
_PUBLISHED: dict[Source, dict[str, tuple[str, str, str, str]]] = {
    "synthesized": {
        "clips": ("7.23 ± 0.003", "-", "-", "-"),
        "gradient": ("3.96 ± 0.203", "0.00489", "0.9618", "-"),
        "encoder": ("7.50 ± 0.288", "0.00196", "0.9731", "-"),
        "hybrid": ("7.23 ± 0.006", "0.00003", "0.9979", "-"),
    },
    "real": {
        "clips": ("9.20 ± 0.019", "-", "-", "95.41 %"),
        "gradient": ("2.20 ± 0.063", "0.00959", "0.953", "17.17 %"),
        "encoder": ("7.93 ± 0.077", "0.01176", "0.946", "71.06 %"),
        "hybrid": ("3.89 ± 0.027", "0.00887", "0.954", "36.93 %"),
    },
}


@dataclass(frozen=True)
class MethodScores:
    """What came of inverting some clips by one method.

    Attributes:
        method: ``clips`` for the clips themselves, ``silence`` for nothing given back.
        inception: Inception Score of the sounds given back.
        mse: Mean squared difference of samples; None for the clips themselves.
        ssim: Of spectrograms.
        accuracy: Share that the judge reads as the digit that was spoken, or, of synthesised
            clips, as the digit that it reads in the clip.
        drawn: Share that `EAR` draws so that `READER` reads that digit: a second opinion, of one
            that guides no method.
        evaluations: Mean number of runs of the generator.
        seconds: For each clip.

    """

    method: str
    inception: InceptionScore
    mse: float | None
    ssim: float | None
    accuracy: float
    drawn: float
    evaluations: float
    seconds: float


@dataclass(frozen=True)
class InversionReport:
    """A table of the paper, beside the paper's own."""

    generator: str
    encoder: str
    judge: str
    source: Source
    protocol: InversionProtocol
    n: int
    max_iterations: int
    rows: Sequence[MethodScores]

    def to_json(self) -> str:
        """Everything; `methods` by name."""
        values = {name: value for name, value in asdict(self).items() if name != "rows"}
        methods: dict[str, Any] = {
            row.method: {**asdict(row), "inception": row.inception._asdict()} for row in self.rows
        }
        return dump({**values, "methods": methods, "published": _PUBLISHED[self.source]})

    def to_text(self) -> str:
        """A table for people."""
        table = Table(
            title=f"{self.generator}: {self.n} {self.source} clips, {self.protocol} protocol"
        )
        for column in (
            "",
            "Inception Score",
            "MSE",
            "SSIM",
            "accuracy",
            "drawn",
            "runs",
            "s a clip",
        ):
            table.add_column(column)
        for row in self.rows:
            table.add_row(
                row.method,
                f"{row.inception.mean:.2f} ± {row.inception.std:.2f}",
                "-" if row.mse is None else f"{row.mse:.5f}",
                "-" if row.ssim is None else f"{row.ssim:.4f}",
                f"{100 * row.accuracy:.2f} %",
                f"{100 * row.drawn:.2f} %",
                f"{row.evaluations:.0f}",
                f"{row.seconds:.3f}",
            )
            if row.method in _PUBLISHED[self.source]:
                table.add_row("  published", *_PUBLISHED[self.source][row.method], style="dim")
        ssim = (
            "of the real parts of spectrograms, over the range of each pair"
            if self.protocol == "paper"
            else "of levels from -80 to 0 dB below the peak"
        )
        note = (
            f"published: Keyes et al. 2020; its generator, judge and levels differ from ours, so "
            f"compare methods with each other. SSIM: {ssim}. accuracy: of {self.judge}, against "
            + ("what was spoken" if self.source == "real" else "what it hears in the clip")
            + f". Inception Score over {SPLITS} splits. gradient: at most "
            f"{self.max_iterations:,} iterations from a random latent; hybrid and ours: at most "
            f"{min(self.max_iterations, HYBRID_ITERATIONS)} from the encoder's. ours is guided by "
            f"that very judge, so see drawn: the share that {EAR}, which guides none, draws as it."
        )
        return render(table, note)

    def save_figure(self, path: Path) -> None:
        """Draw accuracy against SSIM, a point for each method.

        Raises:
            InputError: It cannot be written there.

        """
        figure = Figure(figsize=(5.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for row in self.rows:
            if row.ssim is None:
                axes.axhline(100 * row.accuracy, color="grey", linestyle=":", linewidth=1)
                axes.text(
                    0,
                    100 * row.accuracy,
                    " the clips themselves",
                    va="bottom",
                    fontsize=8,
                    transform=axes.get_yaxis_transform(),
                )
            else:
                axes.plot(row.ssim, 100 * row.accuracy, "o")
                axes.annotate(
                    row.method, (row.ssim, 100 * row.accuracy), (6, 4), textcoords="offset points"
                )
        axes.margins(x=0.2)
        axes.set_ylim(0, 110)
        axes.set_xlabel("SSIM of spectrograms")
        axes.set_ylabel("digits still heard, %")
        axes.set_title(f"{self.generator}: {self.n} {self.source} clips inverted", fontsize=10)
        save_figure(figure, path)
