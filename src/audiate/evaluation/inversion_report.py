"""Scores of inversion methods, and tables 1 and 2 of Keyes et al. 2020 as a report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from audiate.audio.spectrograms import Spectrogram
from audiate.evaluation.classifying import classify_clips, second_classifier
from audiate.evaluation.independent import JudgeTable
from audiate.inversion.settings import NUM_CANDIDATES
from audiate.metrics.classification import accuracy
from audiate.metrics.distribution import InceptionScore, distance_from_prior, inception_score
from audiate.metrics.reconstruction import (
    log_spectral_distance,
    mean_squared_error,
    structural_similarity,
)
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.models.lenet import LeNet
from audiate.models.resnet import DigitClassifier
from audiate.utils.reports import FigureReport, make_table, number, percent

Source = Literal["synthesized", "real"]
"""The clips that are inverted: those of the generator itself, or recordings."""

InversionProtocol = Literal["paper", "default"]
"""Protocols of `evaluate_inversion`; `evaluate_model` has protocols of its own."""

SPLITS = 2
"""Number of splits of the Inception Score."""

_BATCH = 64
_UNGUIDED = ("clips", "silence", "nearest", "unguided")  # by the classifier

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
        drawn: The same share by the second classifier: `DEFAULT_AUDIO_TO_IMAGE` draws the output,
            and LeNet-5 reads the drawing. Neither of them guides a method.
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
            *(number(self.mse, ".5f"), number(self.ssim, ".4f")),
            *(number(self.log_spectral_distance, ".1f"), number(self.prior_distance, ".3f")),
            f"{percent(self.accuracy, '.2f')} %{'' if self.method in _UNGUIDED else ' *'}",
            f"{percent(self.drawn, '.2f')} %",
            *(f"{self.evaluations:.0f}", f"{self.seconds:.3f}"),
        ]


class Recovered(NamedTuple):
    """Clips that a method has recovered, with their latents.

    Attributes:
        output: Clips (count, channels, samples), on the CPU.
        latent: Their latents (count, latent_dim), or None where there are none.
        evaluations: Mean number of times that the generator ran for a clip.
        seconds: Mean time for a clip, in seconds.

    """

    output: Tensor
    latent: Tensor | None = None
    evaluations: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Scorer:
    """Scores outputs of some clips by the classifier of spoken digits, and by a second classifier.

    The first one also guides ``ours``. The second one guides no method.

    Attributes:
        classifier: The classifier of spoken digits.
        audio_to_image: The model of the second classifier that draws.
        reader: The LeNet-5 that reads the drawings.
        sample_rate: Sample rate of the clips, in Hz.
        target: The clips, (count, channels, samples), on the CPU.
        digits: The digits that are spoken in the clips, (count,), int64.
        protocol: The protocol, which says what SSIM compares.
        prior: Latents (n, latent_dim) of the prior.

    """

    classifier: DigitClassifier
    audio_to_image: AudioToImageModel
    reader: LeNet
    sample_rate: int
    target: Tensor
    digits: Tensor
    protocol: InversionProtocol
    prior: Tensor

    def score(self, method: str, recovered: Recovered) -> MethodScores:
        """Score what a method gives back.

        Where the outputs are `target` itself, they are not compared with it.
        """
        output, latent, evaluations, seconds = recovered
        logits = classify_clips(self.classifier, output, self.sample_rate)
        second = second_classifier(self.audio_to_image, self.reader, output, self.sample_rate)
        mse = ssim = distance = None
        if output is not self.target:
            mse = mean_squared_error(output, self.target).mean().item()
            ssim = self._ssim(output)
            mono = output.mean(1), self.target.mean(1)
            distance = log_spectral_distance(*mono).mean().item()
        return MethodScores(
            method,
            inception_score(logits, splits=SPLITS),
            mse,
            ssim,
            distance,
            None if latent is None else self.distance_from_prior(latent),
            accuracy(logits.argmax(1), self.digits),
            accuracy(second, self.digits),
            evaluations,
            seconds,
        )

    def distance_from_prior(self, latent: Tensor) -> float:
        """Mean distance of latents (count, latent_dim) from the prior."""
        return distance_from_prior(latent, self.prior).mean().item()

    def _ssim(self, output: Tensor) -> float:
        spectrogram = Spectrogram("real" if self.protocol == "paper" else "log")
        span = None if self.protocol == "paper" else 1.0
        pairs = zip(torch.split(output, _BATCH), torch.split(self.target, _BATCH), strict=True)
        found = []
        for pair in pairs:
            one, other = (spectrogram(part.mean(1)).double() for part in pair)
            found.append(structural_similarity(one, other, span))
        return torch.cat(found).mean().item()


@dataclass(frozen=True)
class InversionReport(FigureReport):
    """Scores of inversion methods, with the published values in the same table.

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
        judges: Scores by judges that audiate did not train, or None.
        rows: Scores of the clips themselves, of trivial outputs, and of each method. The trivial
            ones are ``silence`` and, for real clips, ``lookup``, a train clip of the digit that the
            classifier reads, and ``nearest``, the train clip with the nearest levels.

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
    judges: JudgeTable | None
    rows: Sequence[MethodScores]

    def values(self) -> Mapping[str, Any]:
        """Return the settings, `methods` by name, and the `published` values."""
        settings = {name: value for name, value in vars(self).items() if name != "rows"}
        methods = {row.method: row for row in self.rows}
        return {**settings, "methods": methods, "published": _PUBLISHED[self.source]}

    def parts(self) -> Iterator[Table | str]:
        """Return the table of the judges, that of our own measures, and notes on both."""
        if self.judges is not None:
            yield from self.judges.parts()
        table = make_table(
            f"{self.generator}: {self.n} {self.source} clips, {self.protocol} protocol",
            *("", "Inception Score", "MSE", "SSIM", "LSD"),
            *("prior", "accuracy", "drawn", "runs", "s a clip"),
        )
        published = _PUBLISHED[self.source]
        for row in self.rows:
            table.add_row(*row.cells())
            if row.method in published:
                score, mse, ssim, accuracy = published[row.method]
                table.add_row("  published", score, mse, ssim, "-", "-", accuracy, style="dim")
        yield table
        yield self._note()

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
            f"of search. Published are 50,000 and 200. Search takes the nearest of "
            f"{NUM_CANDIDATES:,} random latents, unguided does so without the classifier, and "
            f"refined goes on from there without phases and with the word frozen. {several}LSD is "
            f"the log-spectral distance in dB. Prior is the distance of the latents' values from "
            f"those of the prior, whose own latents are at {self.prior_distance:.3f}: far from it, "
            f"a latent is hard to edit. The classifier is part of the objective or of the "
            f"training of the methods marked *, so it does not judge them. Drawn is the share of "
            f"which {DEFAULT_AUDIO_TO_IMAGE}, trained on the same recordings, draws that digit. "
            f"The row lookup gives back any train clip of the digit that the classifier reads; the "
            f"row nearest, the train clip with the most similar levels. Runs is the mean number of "
            f"times that the generator ran for a clip."
        )

    def figure(self) -> Figure:
        """Draw the share of words that are kept against SSIM, a point for each method.

        Pocketsphinx judges words where the judges listened, else the classifier.
        """
        shares = {row.method: row.accuracy for row in self.rows}
        by = self.classifier
        if self.judges is not None:
            shares = {row.what: row.understood for row in self.judges.rows}
            by = "pocketsphinx"
        figure = Figure(figsize=(5.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for row in self.rows:
            share = 100 * shares[row.method]
            if row.ssim is None:
                axes.axhline(share, color="grey", linestyle=":", linewidth=1)
                left = axes.get_yaxis_transform()
                axes.text(0, share, " the clips", va="bottom", fontsize=8, transform=left)
            else:
                axes.plot(row.ssim, share, "o")
                axes.annotate(row.method, (row.ssim, share), (6, 4), textcoords="offset points")
        axes.margins(x=0.2)
        axes.set_ylim(0, 110)
        axes.set_xlabel("SSIM of spectrograms")
        axes.set_ylabel(f"digits understood by {by}, %")
        axes.set_title(f"{self.generator}: {self.n} {self.source} clips inverted", fontsize=10)
        return figure
