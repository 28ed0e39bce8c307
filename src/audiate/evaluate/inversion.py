"""Tables 1 and 2 of Keyes et al. 2020: how well latents of sounds are recovered."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from audiate.audio import fit_length, to_peak
from audiate.datasets.sounds import DIGIT_SETS, digit_clips, load_digits
from audiate.datasets.speech_commands import load_validation_words
from audiate.errors import InputError, check_range
from audiate.evaluate.comparison import as_judged
from audiate.evaluate.figures import save_figure
from audiate.evaluate.reports import dump, render
from audiate.hub import load_as
from audiate.inversion import (
    EncoderInverter,
    GradientInverter,
    HybridInverter,
    Inverter,
    find_encoder,
    paper_objective,
    speech_objective,
)
from audiate.inversion.build import HYBRID_ITERATIONS
from audiate.metrics import (
    InceptionScore,
    inception_score,
    mean_squared_error,
    structural_similarity,
)
from audiate.models import AudioGAN, DigitClassifier, Drawer, LeNet
from audiate.models.generator import generate
from audiate.spectra import Spectrogram

Source = Literal["synthesized", "real"]
InversionProtocol = Literal["paper", "default"]

EAR, READER = "flow-digits", "lenet-mnist"
"""Who gives the second opinion on what is said."""

METHODS = ("gradient", "encoder", "hybrid", "ours")
"""Rows of the tables, below that of the clips themselves."""

_BATCH = 64
_SPLITS = 2

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
        method: ``clips`` for the clips themselves.
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
            + f". Inception Score over {_SPLITS} splits. gradient: at most "
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
        axes.set_ylim(0, 104)
        axes.set_xlabel("SSIM of spectrograms")
        axes.set_ylabel("digits still heard, %")
        axes.set_title(f"{self.generator}: {self.n} {self.source} clips inverted", fontsize=10)
        save_figure(figure, path)


def evaluate_inversion(
    generator_name: str,
    generator: AudioGAN,
    judge_name: str,
    judge: DigitClassifier,
    root: Path,
    *,
    encoder: str | None = None,
    source: Source = "synthesized",
    protocol: InversionProtocol = "paper",
    methods: Collection[str] = METHODS,
    count: int = 500,
    max_iterations: int = 1_000,
    seed: int = 0,
) -> InversionReport:
    """Invert clips by each method and score what is given back.

    Args:
        generator_name: For people.
        generator: What is inverted.
        judge_name: For people.
        judge: Who hears, and guides our own method.
        root: Data folder.
        encoder: Name or folder; by default the shipped one.
        source: ``synthesized`` by the generator itself, or ``real``.
        protocol: ``paper``: real clips are those trained on, and SSIM is the paper's. ``default``:
            real clips are those of speakers that nobody has heard, and SSIM is of levels.
        methods: Which rows, of `METHODS`.
        count: Clips; all there are, where there are fewer.
        max_iterations: Of the plain gradient's; published: 50,000. Of the hybrids' too, where it
            is less than their 200.
        seed: Of the clips, and of random starts.

    Raises:
        InputError: Data or the encoder is missing, or there is no such method.

    """
    if not methods or set(methods) - set(METHODS):
        raise InputError(
            f"--methods {'+'.join(methods)}: give any of {'+'.join(METHODS)}, with + between them"
        )
    check_range("--count", count, 2 * _SPLITS, 10**6)
    found = find_encoder(generator, encoder)
    if source == "real":
        target, labels = _real(generator, root, protocol, count, seed)
    else:
        target, labels = _synthesised(generator, count, seed), None
    plain = paper_objective(judge, generator.sample_rate)
    ours = speech_objective(judge, generator.sample_rate)
    few = min(max_iterations, HYBRID_ITERATIONS)
    look = EncoderInverter(generator, found, plain)
    inverters: dict[str, Inverter] = {
        "gradient": GradientInverter(generator, plain, max_iterations=max_iterations, seed=seed),
        "encoder": look,
        "hybrid": HybridInverter(look, GradientInverter(generator, plain, max_iterations=few)),
        "ours": HybridInverter(
            look, GradientInverter(generator, ours, box="projected", max_iterations=few)
        ),
    }
    heard = _logits(judge, target, generator.sample_rate)
    spoken = heard.argmax(1) if labels is None else labels
    jury = _Jury(
        judge,
        load_as(EAR, Drawer, "does not draw"),  # type: ignore[type-abstract]
        load_as(READER, LeNet, "reads no drawings"),
        generator.sample_rate,
        spoken,
    )
    clips = jury.opinions(target)
    rows = [
        MethodScores("clips", clips.inception, None, None, clips.accuracy, clips.drawn, 0.0, 0.0)
    ]
    rows += [
        _score(name, invert, target, jury, protocol)
        for name, invert in inverters.items()
        if name in methods
    ]
    return InversionReport(
        generator_name,
        encoder or f"that of {found.config.generator}",
        judge_name,
        source,
        protocol,
        len(target),
        max_iterations,
        rows,
    )


class _Opinions(NamedTuple):
    inception: InceptionScore
    accuracy: float
    drawn: float


@dataclass(frozen=True)
class _Jury:
    """Who hears what was said: the judge, and an ear whose drawings a reader reads."""

    judge: DigitClassifier
    ear: Drawer
    reader: LeNet
    sample_rate: int
    spoken: Tensor  # (clips,)

    def opinions(self, waveforms: Tensor) -> _Opinions:
        """Of waveforms (clips, channels, samples)."""
        logits = _logits(self.judge, waveforms, self.sample_rate)
        return _Opinions(
            inception_score(logits, splits=_SPLITS),
            (logits.argmax(1) == self.spoken).double().mean().item(),
            (self._drawn(waveforms) == self.spoken).double().mean().item(),
        )

    @torch.inference_mode()
    def _drawn(self, waveforms: Tensor) -> Tensor:
        """Digits (clips,) read in the ear's best drawings; -1 where it hears no word."""
        digits = torch.full((len(waveforms),), -1)
        for row, waveform in enumerate(waveforms.cpu()):
            try:
                heard = self.ear.hear(waveform, sample_rate=self.sample_rate)
            except InputError:
                continue
            digits[row] = self.reader(self.ear.mean_images(heard.unsqueeze(0))).argmax()
        return digits


def _score(
    name: str, invert: Inverter, target: Tensor, jury: _Jury, protocol: InversionProtocol
) -> MethodScores:
    console = Console(stderr=True)
    outputs, evaluations = [], []
    began = time.monotonic()
    for part in track(
        torch.split(target, _BATCH), name, console=console, disable=not console.is_terminal
    ):
        found = invert(part)
        outputs.append(found.output)
        evaluations.append(found.num_evals)
    seconds = (time.monotonic() - began) / len(target)
    output = torch.cat(outputs)
    opinions = jury.opinions(output)
    return MethodScores(
        name,
        opinions.inception,
        mean_squared_error(output, target).mean().item(),
        _ssim(output, target, protocol),
        opinions.accuracy,
        opinions.drawn,
        torch.cat(evaluations).double().mean().item(),
        seconds,
    )


def _ssim(output: Tensor, target: Tensor, protocol: InversionProtocol) -> float:
    see = Spectrogram("real" if protocol == "paper" else "log")
    span = None if protocol == "paper" else 1.0
    return (
        torch.cat(
            [
                structural_similarity(see(one.mean(1)).double(), see(other.mean(1)).double(), span)
                for one, other in zip(
                    torch.split(output, _BATCH), torch.split(target, _BATCH), strict=True
                )
            ]
        )
        .mean()
        .item()
    )


@torch.inference_mode()
def _logits(judge: DigitClassifier, waveforms: Tensor, sample_rate: int) -> Tensor:
    return torch.cat(
        [
            judge(as_judged(part.mean(1), sample_rate, judge))
            for part in torch.split(waveforms, _BATCH)
        ]
    )


def _synthesised(generator: AudioGAN, count: int, seed: int) -> Tensor:
    z = generator.sample_latent(count, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return torch.cat([generate(generator, part) for part in torch.split(z, _BATCH)])


def _evenly(labels: Tensor, count: int, seed: int) -> Tensor:
    """Rows of some clips, none of them twice, and of every label as many as there are."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    one_hot = torch.nn.functional.one_hot(labels[order])
    turn = one_hot.cumsum(0).gather(1, labels[order].unsqueeze(1)).squeeze(1)
    return order[turn.argsort(stable=True)[:count]]


def _real(
    generator: AudioGAN, root: Path, protocol: InversionProtocol, count: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Clips (count, channels, num_samples) of one peak level, and their digits."""
    if protocol == "paper":
        sounds = load_digits(
            digit_clips(root, DIGIT_SETS[0]),
            sample_rate=generator.sample_rate,
            num_samples=generator.num_samples,
        )
        index = _evenly(sounds.labels, count, seed)
        clips, labels = sounds.waveforms(index), sounds.labels[index]
    else:
        words = load_validation_words(root, generator.sample_rate)
        some = torch.randperm(len(words.labels), generator=torch.Generator().manual_seed(seed))
        some = some[:count]
        clips = torch.stack(
            [fit_length(words.recordings[int(i)], generator.num_samples) for i in some]
        ).unsqueeze(1)
        labels = words.labels[some]
    return to_peak(clips.expand(-1, generator.channels, -1)), labels
