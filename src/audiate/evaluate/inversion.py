"""Tables 1 and 2 of Keyes et al. 2020: how well latents of sounds are recovered."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from audiate.audio import fit_length, to_peak
from audiate.datasets.sounds import DIGIT_SETS, digit_clips, load_digits
from audiate.datasets.speech_commands import load_validation_words
from audiate.errors import InputError, check_range
from audiate.evaluate.comparison import as_judged
from audiate.evaluate.inversion_report import (
    EAR,
    READER,
    SPLITS,
    InversionProtocol,
    InversionReport,
    MethodScores,
    Source,
)
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
from audiate.inversion.common import generate_all
from audiate.metrics import (
    InceptionScore,
    inception_score,
    mean_squared_error,
    structural_similarity,
)
from audiate.models import AudioGAN, DigitClassifier, Drawer, LeNet
from audiate.spectra import Spectrogram

METHODS = ("gradient", "encoder", "hybrid", "ours")
"""Rows of the tables, below those of the clips themselves and of silence."""

_BATCH = 64


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
        encoder: Name or folder; by default the shipped one. Gradients alone need none.
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
    check_range("--count", count, 2 * SPLITS, 10**6)
    found = find_encoder(generator, encoder) if set(methods) - {"gradient"} else None
    if source == "real":
        target, spoken = _real(generator, root, protocol, count, seed)
    else:
        z = generator.sample_latent(count, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            target = generate_all(generator, z, _BATCH)
        spoken = _logits(judge, target, generator.sample_rate).argmax(1)
    plain = paper_objective(judge, generator.sample_rate)
    ours = speech_objective(judge, generator.sample_rate)
    few = min(max_iterations, HYBRID_ITERATIONS)
    inverters: dict[str, Inverter] = {
        "gradient": GradientInverter(generator, plain, max_iterations=max_iterations, seed=seed)
    }
    if found is not None:
        look = EncoderInverter(generator, found, plain)
        descend = GradientInverter(generator, plain, max_iterations=few)
        ours_too = GradientInverter(generator, ours, box="projected", max_iterations=few)
        inverters |= {
            "encoder": look,
            "hybrid": HybridInverter(look, descend),
            "ours": HybridInverter(look, ours_too),
        }
    jury = _Jury(
        judge,
        load_as(EAR, Drawer, "does not draw"),  # type: ignore[type-abstract]
        load_as(READER, LeNet, "reads no drawings"),
        generator.sample_rate,
        spoken,
    )
    clips = jury.opinions(target)
    rows = [
        MethodScores("clips", clips.inception, None, None, clips.accuracy, clips.drawn, 0.0, 0.0),
        _scored("silence", torch.zeros_like(target), target, jury, protocol),
    ]
    rows += [
        _score(name, invert, target, jury, protocol)
        for name, invert in inverters.items()
        if name in methods
    ]
    return InversionReport(
        generator_name,
        "none" if found is None else encoder or f"that of {found.config.generator}",
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
            inception_score(logits, splits=SPLITS),
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
    mean_evaluations = torch.cat(evaluations).double().mean().item()
    return _scored(name, torch.cat(outputs), target, jury, protocol, mean_evaluations, seconds)


def _scored(
    name: str,
    output: Tensor,
    target: Tensor,
    jury: _Jury,
    protocol: InversionProtocol,
    evaluations: float = 0.0,
    seconds: float = 0.0,
) -> MethodScores:
    opinions = jury.opinions(output)
    return MethodScores(
        name,
        opinions.inception,
        mean_squared_error(output, target).mean().item(),
        _ssim(output, target, protocol),
        opinions.accuracy,
        opinions.drawn,
        evaluations,
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


def _evenly(labels: Tensor, count: int, seed: int) -> Tensor:
    """Rows of some clips, in any order, none twice, and of every label as many as there are."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    one_hot = torch.nn.functional.one_hot(labels[order])
    turn = one_hot.cumsum(0).gather(1, labels[order].unsqueeze(1)).squeeze(1)
    rows = order[turn.argsort(stable=True)[:count]]
    return rows[torch.randperm(len(rows), generator=generator)]  # rare labels come first otherwise


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
