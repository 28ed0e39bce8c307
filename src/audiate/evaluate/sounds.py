"""Generated speech as the judge hears it, and the judge itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from audiate.audio import fit_length, resample
from audiate.datasets.fsdd import load_fsdd, split_by_speaker
from audiate.datasets.sounds import DIGIT_SETS, digit_clips, load_digits
from audiate.datasets.sources import DIGIT_WORDS
from audiate.datasets.speech_commands import load_validation_words
from audiate.errors import check_range
from audiate.evaluate.drawings import score_of
from audiate.evaluate.reports import (
    Score,
    confusion_table,
    dump,
    mean_of,
    render,
    with_interval,
)
from audiate.metrics import InceptionScore, frechet_distance, inception_score, spread_of
from audiate.models import AudioGAN, DigitClassifier, Generator
from audiate.models.generator import generate
from audiate.spectra import Spectrogram
from audiate.training.batches import EvenOrder

_BATCH = 50

VALIDATION = "Speech Commands validation"


@dataclass(frozen=True)
class Sounds:
    """Some clips as the judge hears them.

    Attributes:
        what: Which clips.
        n: How many.
        inception: Inception Score over splits.
        frechet_distance: To real train clips, in the judge's features; 0 is best.
        digits: Share that is read as each digit, 0 to 9.
        agreement: Share that is read as the digit that was meant; None where none was.
        confidence: Mean probability of the digit that was read.
        spread: Mean deviation of a spectrogram's levels among clips, over that of train clips.

    """

    what: str
    n: int
    inception: InceptionScore
    frechet_distance: float
    digits: list[float]
    agreement: float | None
    confidence: float
    spread: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "inception": self.inception._asdict()}


@dataclass(frozen=True)
class GeneratorReport:
    """Generated clips beside real ones.

    Attributes:
        model: Where the generator's weights came from.
        judge: The classifier that hears.
        splits: Of the Inception Score.
        generated: The generator's clips.
        real: Real clips: those trained on, then those of speakers that nobody has heard.

    """

    model: str
    judge: str
    splits: int
    generated: Sounds
    real: Sequence[Sounds]

    def to_json(self) -> str:
        """Keys `inception_score`, `inception_score_std` and more, then everything."""
        return dump(
            {
                "model": self.model,
                "judge": self.judge,
                "splits": self.splits,
                "inception_score": self.generated.inception.mean,
                "inception_score_std": self.generated.inception.std,
                "frechet_distance": self.generated.frechet_distance,
                "least_frequent_digit": min(self.generated.digits),
                "generated": self.generated.to_dict(),
                "real": [each.to_dict() for each in self.real],
            }
        )

    def to_text(self) -> str:
        """A table for people."""
        scores = Table(title=f"{self.model}, heard by {self.judge}")
        for column in ("", "clips", "Inception Score", "Fréchet", "sure", "meant", "spread"):
            scores.add_column(column)
        digits = Table(title="Share that is read as each digit (%)")
        for column in ("", *map(str, range(10))):
            digits.add_column(column)
        for each in (self.generated, *self.real):
            scores.add_row(
                each.what,
                f"{each.n:,}",
                f"{each.inception.mean:.2f} ± {each.inception.std:.2f}",
                f"{each.frechet_distance:.1f}",
                f"{100 * each.confidence:.1f} %",
                "-" if each.agreement is None else f"{100 * each.agreement:.1f} %",
                f"{each.spread:.2f}",
            )
            digits.add_row(each.what, *(f"{100 * share:.1f}" for share in each.digits))
        note = (
            f"Inception Score: mean and deviation over {self.splits} splits; the judge differs "
            f"from paper to paper, so compare it with that of the real clips beside it. Fréchet: "
            f"distance to as many train clips in the judge's features; of real train clips, from "
            f"one draw to another. sure: mean probability of the digit that is read. meant: share "
            f"that is read as the digit that was meant. spread: how much clips differ, against "
            f"train clips. Real clips are drawn evenly by digit and data set, with replacement; "
            f"the judge was trained on the train clips."
        )
        return render(scores, digits, note)


@dataclass(frozen=True)
class ListenerReport:
    """The judge of spoken digits on speakers that it has not heard.

    Attributes:
        model: Where its weights came from.
        scores: By test: `VALIDATION`, or a speaker of FSDD that a training was done without.
        counts: Clips of each.

    """

    model: str
    scores: dict[str, Score]
    counts: dict[str, int]

    def to_json(self) -> str:
        """Keys `accuracy` (the mean over tests), `n`, `tests` and more."""
        return dump(
            {
                "model": self.model,
                "accuracy": mean_of([score.accuracy for score in self.scores.values()]),
                "n": sum(self.counts.values()),
                "tests": {
                    test: {"n": self.counts[test], **asdict(score)}
                    for test, score in self.scores.items()
                },
            }
        )

    def to_text(self) -> str:
        """Tables for people."""
        table = Table(title=f"{self.model}: accuracy (%) on speakers that it has not heard")
        for column in ("test", "clips", "accuracy", "mean of digits"):
            table.add_column(column, overflow="fold")
        for digit in range(10):
            table.add_column(str(digit), justify="right")
        for test, score in self.scores.items():
            each = ("-" if share is None else f"{100 * share:.0f}" for share in score.per_digit)
            mean = f"{100 * mean_of(score.per_digit):.2f}"
            table.add_row(test, str(self.counts[test]), with_interval(score), mean, *each)
        if len(self.scores) > 1:
            overall = mean_of([score.accuracy for score in self.scores.values()])
            table.add_row("mean", str(sum(self.counts.values())), f"{100 * overall:.2f}", "")
        confusion = torch.tensor([score.confusion for score in self.scores.values()]).sum(0)
        return render(table, confusion_table(confusion, "spoken digits"))


@torch.inference_mode()
def evaluate_listener(name: str, judges: dict[str, DigitClassifier], root: Path) -> ListenerReport:
    """Score the judge on the validation clips, or each of several on the speaker left out.

    Args:
        name: Of the model, for people.
        judges: By their test: `VALIDATION`, or the speaker of FSDD that one was trained without.
        root: Data folder.

    """
    scores, counts = {}, {}
    for test, judge in judges.items():
        waveforms, labels = (
            _validation(judge, root) if test == VALIDATION else _speaker(judge, test, root)
        )
        read = _in_batches(judge, waveforms).argmax(1)
        scores[test] = score_of(read, labels, torch.arange(len(labels)))
        counts[test] = len(labels)
    return ListenerReport(name, scores, counts)


@torch.inference_mode()
def evaluate_generator(
    name: str,
    generator: Generator,
    judge_name: str,
    judge: DigitClassifier,
    root: Path,
    *,
    count: int = 5000,
    splits: int = 10,
    seed: int = 0,
) -> GeneratorReport:
    """Generate clips and hear them, and real ones beside them.

    Args:
        name: Of the generator, for people.
        generator: What is scored.
        judge_name: Of the judge, for people.
        judge: Who hears.
        root: Data folder.
        count: Clips to generate.
        splits: Of the Inception Score.
        seed: Of the latents.

    Raises:
        InputError: Data missing, or too few clips for the splits.

    """
    check_range("--count", count, 10 * splits, 10**7)
    sounds = load_digits(
        digit_clips(root, "+".join(DIGIT_SETS)),
        sample_rate=judge.sample_rate,
        num_samples=judge.num_samples,
    )
    validation, labels = _validation(judge, root)
    order = EvenOrder(sounds.labels, sounds.sources, count, seed)
    reference, others = order.batch(0), order.batch(1)
    drawn, places = torch.unique(torch.cat([reference, others]), return_inverse=True)
    train = _heard(judge, sounds.waveforms(drawn).mean(1))
    known, compared = train.drawn(places[:count]), train.drawn(places[count:])
    again = EvenOrder(labels, torch.zeros_like(labels), count, seed).batch(0)
    z = generator.sample_latent(count, generator=torch.Generator().manual_seed(seed))
    meant = None
    if isinstance(generator, AudioGAN) and generator.names == DIGIT_WORDS:
        meant = generator.labels_of(z).cpu()
    console = Console(stderr=True)
    generated = [
        _as_judged(generate(generator, part), generator.sample_rate, judge)
        for part in track(
            torch.split(z, _BATCH), "generating", console=console, disable=not console.is_terminal
        )
    ]

    def described(what: str, heard: _Heard, meant: Tensor | None) -> Sounds:
        logits = judge.classify(heard.features)
        read = logits.argmax(1)
        return Sounds(
            what=what,
            n=len(logits),
            inception=inception_score(logits, splits=splits),
            frechet_distance=frechet_distance(known.features, heard.features),
            digits=(torch.bincount(read, minlength=10) / len(read)).tolist(),
            agreement=None if meant is None else (read == meant).double().mean().item(),
            confidence=logits.softmax(1).amax(1).mean().item(),
            spread=(spread_of(heard.levels.float()) / spread_of(known.levels.float())).item(),
        )

    return GeneratorReport(
        name,
        judge_name,
        splits,
        described("generated", _heard(judge, torch.cat(generated)), meant),
        [
            described("real, train", compared, sounds.labels[others]),
            described("real, validation", _heard(judge, validation).drawn(again), labels[again]),
        ],
    )


class _Heard(NamedTuple):
    """Of clips: the judge's features (count, 512), and levels (count, frames, bins), float16."""

    features: Tensor
    levels: Tensor

    def drawn(self, index: Tensor) -> _Heard:
        """Those of clips by number."""
        return _Heard(self.features[index], self.levels[index])


def _heard(judge: DigitClassifier, waveforms: Tensor) -> _Heard:
    """Hear clips (count, samples)."""
    return _Heard(
        _in_batches(judge.embed, waveforms),
        _in_batches(lambda part: Spectrogram()(part).half(), waveforms),
    )


def _validation(judge: DigitClassifier, root: Path) -> tuple[Tensor, Tensor]:
    """The Speech Commands validation clips (count, samples), and their digits (count,)."""
    words = load_validation_words(root, judge.sample_rate)
    clips = [fit_length(recording, judge.num_samples) for recording in words.recordings]
    return torch.stack(clips), words.labels


def _speaker(judge: DigitClassifier, speaker: str, root: Path) -> tuple[Tensor, Tensor]:
    """The recordings (count, samples) of a speaker of FSDD, and their digits (count,)."""
    _, clips = split_by_speaker(load_fsdd(root), speaker)
    sounds = load_digits([clips], sample_rate=judge.sample_rate, num_samples=judge.num_samples)
    return sounds.waveforms(torch.arange(len(sounds.labels))).mean(1), sounds.labels


def _as_judged(waveforms: Tensor, sample_rate: int, judge: DigitClassifier) -> Tensor:
    """Waveforms (batch, channels, samples) in mono, at the judge's rate and length."""
    mono = waveforms.mean(1).cpu()
    each = [resample(waveform, sample_rate, judge.sample_rate) for waveform in mono]
    return torch.stack([fit_length(waveform, judge.num_samples) for waveform in each])


def _in_batches(function: Callable[[Tensor], Tensor], waveforms: Tensor) -> Tensor:
    return torch.cat([function(part) for part in torch.split(waveforms, _BATCH)])
