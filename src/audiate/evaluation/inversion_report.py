"""Tables 1 and 2 of Keyes et al. 2020 as a report: text, JSON and figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from audiate.inversion.settings import NUM_CANDIDATES
from audiate.metrics.distribution import InceptionScore
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.utils.reports import dump, make_table, render, save_figure

Source = Literal["synthesized", "real"]
"""The clips that are inverted: those of the generator itself, or recordings."""

InversionProtocol = Literal["paper", "default"]
"""Protocols of `evaluate_inversion`; `evaluate_model` has protocols of its own."""

SPLITS = 2
"""Number of splits of the Inception Score."""

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
    """Scores of the outputs of one method.

    Attributes:
        method: Name of the method, ``clips`` for the clips themselves, or ``silence``.
        inception: Inception Score of the outputs.
        mse: Mean squared difference of the samples, or None for the clips themselves.
        ssim: SSIM of the spectrograms, or None for the clips themselves.
        log_spectral_distance: Log-spectral distance in dB, or None for the clips themselves.
        prior_distance: Mean of `distance_from_prior` over the latents, or
            None where there are no latents.
        accuracy: Share of the outputs that the classifier reads as the digit that is spoken in the
            clip. Of a synthesized clip, that is the digit that the classifier reads in it.
        drawn: Share of the outputs of which `DEFAULT_AUDIO_TO_IMAGE` draws that digit, as
            `audiate.models.hub.WRITTEN_CLASSIFIER` reads it. Neither of them guides a method.
        evaluations: Mean number of times that the generator ran for a clip.
        seconds: Mean time for a clip, in seconds.

    """

    method: str
    inception: InceptionScore
    mse: float | None
    ssim: float | None
    log_spectral_distance: float | None
    prior_distance: float | None
    accuracy: float
    drawn: float
    evaluations: float
    seconds: float

    def cells(self) -> list[str]:
        """Return the cells of the table's row."""
        return [
            self.method,
            f"{self.inception.mean:.2f} ± {self.inception.std:.2f}",
            "-" if self.mse is None else f"{self.mse:.5f}",
            "-" if self.ssim is None else f"{self.ssim:.4f}",
            "-" if self.log_spectral_distance is None else f"{self.log_spectral_distance:.1f}",
            "-" if self.prior_distance is None else f"{self.prior_distance:.3f}",
            f"{100 * self.accuracy:.2f} %",
            f"{100 * self.drawn:.2f} %",
            f"{self.evaluations:.0f}",
            f"{self.seconds:.3f}",
        ]


@dataclass(frozen=True)
class InversionReport:
    """A table of the paper, with the published values in the same table.

    Attributes:
        generator: Name of the generator.
        encoder: Name of its encoder, or "none".
        classifier: Name of the classifier of spoken digits.
        source: The clips that were inverted.
        protocol: The protocol.
        n: Number of clips.
        max_iterations: Largest number of iterations of the method ``gradient``.
        hybrid_iterations: Largest number of iterations of the methods ``hybrid`` and ``ours``.
        restarts: Number of latents of a search from which ``refined`` begins, and ``ours`` where it
            begins with a search.
        prior_distance: That of latents of the prior themselves, for comparison.
        rows: Scores of the clips themselves, of silence, and of each method.

    """

    generator: str
    encoder: str
    classifier: str
    source: Source
    protocol: InversionProtocol
    n: int
    max_iterations: int
    hybrid_iterations: int
    restarts: int
    prior_distance: float
    rows: Sequence[MethodScores]

    def to_json(self) -> str:
        """Return the settings, `methods` by name, and the `published` values."""
        values = {name: value for name, value in asdict(self).items() if name != "rows"}
        methods = {
            row.method: {**asdict(row), "inception": row.inception._asdict()} for row in self.rows
        }
        return dump({**values, "methods": methods, "published": _PUBLISHED[self.source]})

    def to_text(self) -> str:
        """Return the table and a note that explains its columns."""
        table = make_table(
            f"{self.generator}: {self.n} {self.source} clips, {self.protocol} protocol",
            *(
                "",
                "Inception Score",
                "MSE",
                "SSIM",
                "LSD",
                "prior",
                "accuracy",
                "drawn",
                "runs",
                "s a clip",
            ),
        )
        published = _PUBLISHED[self.source]
        for row in self.rows:
            table.add_row(*row.cells())
            if row.method in published:
                score, mse, ssim, accuracy = published[row.method]
                table.add_row("  published", score, mse, ssim, "-", "-", accuracy, style="dim")
        return render(table, self._note())

    def _note(self) -> str:
        ssim = (
            "the real parts of spectrograms, over the range of each pair"
            if self.protocol == "paper"
            else "levels from -80 to 0 dB below the peak"
        )
        digit = (
            "the digit that is spoken"
            if self.source == "real"
            else "the digit that it reads in the clip"
        )
        several = (
            f"Refined, and ours without an encoder, begin with the {self.restarts} nearest, of "
            f"which the best goes on. "
            if self.restarts > 1
            else ""
        )
        return (
            f"Published values are those of Keyes et al. 2020, whose generator, classifier and "
            f"levels differ from ours, so compare methods with each other. SSIM compares {ssim}. "
            f"Accuracy is the share that {self.classifier} reads as {digit}. The Inception Score "
            f"is taken over {SPLITS} splits. The method gradient makes at most "
            f"{self.max_iterations:,} iterations from a random latent; hybrid and ours make at "
            f"most {self.hybrid_iterations:,} from the encoder's latent, or without one from that "
            f"of search. Search takes the nearest of {NUM_CANDIDATES:,} random latents, and "
            f"refined goes on from there without phases and with the word held. {several}LSD is "
            f"the log-spectral distance in dB. Prior is the distance of the latents' values from "
            f"those of the prior, whose own latents are at {self.prior_distance:.3f}: far from it, "
            f"a latent is hard to edit. The "
            f"classifier guides ours, search and refined, so compare the column drawn: the share "
            f"of which {DEFAULT_AUDIO_TO_IMAGE}, which guides no method, draws that digit. Runs is "
            f"the mean number of times that the generator ran for a clip."
        )

    def save_figure(self, path: Path) -> None:
        """Draw accuracy against SSIM, a point for each method, as a PNG file.

        Raises:
            InputError: The file cannot be written.

        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for row in self.rows:
            share = 100 * row.accuracy
            if row.ssim is None:
                axes.axhline(share, color="grey", linestyle=":", linewidth=1)
                axes.text(
                    *(0, share, " the clips themselves"),
                    va="bottom",
                    fontsize=8,
                    transform=axes.get_yaxis_transform(),
                )
            else:
                axes.plot(row.ssim, share, "o")
                axes.annotate(row.method, (row.ssim, share), (6, 4), textcoords="offset points")
        axes.margins(x=0.2)
        axes.set_ylim(0, 110)
        axes.set_xlabel("SSIM of spectrograms")
        axes.set_ylabel("digits still heard, %")
        axes.set_title(f"{self.generator}: {self.n} {self.source} clips inverted", fontsize=10)
        save_figure(figure, path)
