"""Scores of sets of sounds by the classifier of spoken digits, beside those of real clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from rich.table import Table
from torch import Tensor

from audiate.audio.spectrograms import Spectrogram
from audiate.data.sources import DIGIT_WORDS
from audiate.errors import InputError
from audiate.evaluation.clips import RealClips, choose_evenly, disjoint_halves
from audiate.metrics.classification import bootstrap_interval, in_percent
from audiate.metrics.distribution import (
    Fidelity,
    InceptionScore,
    KernelDistance,
    frechet_distance,
    inception_score,
    kernel_distance,
    neighbourhoods,
    spread_of,
)
from audiate.models.resnet import DigitClassifier
from audiate.utils.batching import in_batches
from audiate.utils.reports import make_table, number, percent

_BATCH = 50


@dataclass(frozen=True)
class SoundScores:
    """Scores of a set of clips, by the classifier of spoken digits.

    Attributes:
        what: Name of the set.
        n: Number of distinct clips.
        inception: Inception Score over splits.
        frechet_distance: Fréchet distance to half of the train clips, in the classifier's features;
            0 is best. For train clips, it is that of the other half.
        kernel_distance: Kernel distance (KID) to the same clips, with its standard error; None
            where a digit has too few clips.
        precision: Share of the clips that are in the neighbourhood of a train clip, in the same
            features; see `audiate.metrics.distribution.neighbourhoods`. This and the next three
            are means over the parts of `choose_parts`, and None for validation clips, of which some
            digits have too few.
        recall: Share of the train clips that are in the neighbourhood of a clip.
        density: Mean number of neighbourhoods of train clips that a clip lies in, over their size.
        coverage: Share of the train clips with a clip in their neighbourhood.
        digits: Share of the clips that is read as each digit from 0 to 9.
        agreement: Share of the clips that is read as the digit that was meant, or None where no
            digit was meant.
        agreement_interval: Its 95 % bootstrap interval, over speakers for real clips.
        confidence: Mean probability of the digit that is read.
        spread: Mean standard deviation of a spectrogram's levels among the clips, relative to that
            among train clips.
        near_copies: Share of the clips that are nearer to a train clip than half of the real
            validation clips are, in the classifier's features; for train clips, to another one.
            Far more than of the train clips means that these are copied.

    """

    what: str
    n: int
    inception: InceptionScore
    frechet_distance: float
    kernel_distance: KernelDistance | None
    precision: float | None
    recall: float | None
    density: float | None
    coverage: float | None
    digits: list[float]
    agreement: float | None
    agreement_interval: tuple[float, float] | None
    confidence: float
    spread: float
    near_copies: float


def sound_tables(title: str, sets: Sequence[SoundScores]) -> list[Table]:
    """Return tables of the scores of sets of clips, and one of the digits that are read."""
    scores = make_table(
        title,
        *("", "clips", "Inception Score", "Fréchet", "KID", "precision", "recall", "density"),
        "coverage",
    )
    shares = make_table(
        "The same clips", "", "as meant (%)", "confidence (%)", "spread", "near copies (%)"
    )
    digits = make_table("Share of the clips that is read as each digit (%)", "", digits=True)
    for each in sets:
        kernel = each.kernel_distance
        scores.add_row(
            *(each.what, f"{each.n:,}", f"{each.inception.mean:.2f} ± {each.inception.std:.2f}"),
            number(each.frechet_distance, ".1f"),
            "-" if kernel is None else f"{kernel.value:.3f} ± {kernel.error:.3f}",
            *(number(share, ".3f") for share in (each.precision, each.recall, each.density)),
            number(each.coverage, ".3f"),
        )
        meant = "-"
        if each.agreement is not None and each.agreement_interval is not None:
            meant = in_percent(each.agreement, each.agreement_interval, places=1)
        shares.add_row(
            *(each.what, meant, percent(each.confidence)),
            *(number(each.spread, ".2f"), percent(each.near_copies)),
        )
        digits.add_row(each.what, *map(percent, each.digits))
    return [scores, shares, digits]


def sounds_note(splits: int) -> str:
    """Explain the columns of `sound_tables`."""
    return (
        f"The Inception Score is the mean and standard deviation over {splits} splits. Its "
        f"classifier differs from paper to paper, so compare it with the score of the real clips "
        f"in the same table; of these, clips are drawn evenly by digit and data set, with "
        f"replacement, and the classifier was fitted to the train clips. Fréchet is the distance "
        f"to half of the train clips in the classifier's features, KID the kernel distance with "
        f"its standard error, which few clips do not bias; digits and data sets weigh alike. For "
        f"train clips, they are the distances of the other half. Precision, recall, density and "
        f"coverage compare as many generated as train clips, each once, as many of each digit; for "
        f"train clips, they compare as many others. They are means over parts of at most some "
        f"1,000 clips, with five neighbours. Real clips of one distribution have a coverage of "
        f"0.97. Confidence is the mean probability of the digit that is read. As meant is the "
        f"share that is read as the digit that was meant, with its 95 % bootstrap interval, over "
        f"speakers for real clips. Spread tells how much the clips differ among themselves, "
        f"relative to train clips. Near copies is the share that is nearer to a train clip, in the "
        f"classifier's features, than half of the validation clips, of other speakers, are; of "
        f"train clips, to another train clip, as new clips of the same speakers would be."
    )


class _Features(NamedTuple):
    """Features (count, 512) and levels (count, frames, bins) of clips."""

    features: Tensor
    levels: Tensor  # float16, so that thousands of clips fit in memory

    def rows(self, index: Tensor) -> _Features:
        """Return the clips with these numbers."""
        return _Features(self.features[index], self.levels[index])


class SoundsToScore(NamedTuple):
    """Clips to score.

    Attributes:
        what: Name of the set.
        waveforms: (count, samples), as the classifier takes them.
        meant: The digits (count,) that they mean; None where they mean none.

    """

    what: str
    waveforms: Tensor
    meant: Tensor | None


@torch.inference_mode()
def score_sounds(
    sets: Sequence[SoundsToScore], classifier: DigitClassifier, root: Path, *, splits: int = 10
) -> list[SoundScores]:
    """Score sets of clips of equal size, and after them real ones: train, then validation clips.

    ``splits`` is the number of splits of the Inception Score.

    Raises:
        InputError: The data is missing.

    """
    scorer = _Scorer(classifier, root, len(sets[0].waveforms), splits)
    return [*map(scorer.made, sets), scorer.real_train(), scorer.real_validation()]


class _Clips(NamedTuple):
    """Clips to score by their features.

    Attributes:
        what: Name of the set.
        drawn: Features of clips, some of them several times, such that digits are even.
        meant: The digits (count,) of these; None where they mean none.
        distinct: Features (n, dim) of the clips, each once.
        strata: The stratum of each of the latter; None where all are of one.
        voices: The speaker (count,) of each drawn clip; None where each is by itself.
        parts: Features of parts of the clips, each of which is compared with a reference.

    """

    what: str
    drawn: _Features
    meant: Tensor | None
    distinct: Tensor
    strata: Tensor | None = None
    voices: Tensor | None = None
    parts: Sequence[Tensor] = ()


class _Scorer:
    """Scores clips against train clips, in the features of the classifier.

    Attributes:
        real: The real clips.
        train, unheard: Features of all train clips, and of all validation clips.
        parts: For each part of the clips, rows of the train clips in whose neighbourhoods they are
            counted, and of other train clips that are counted likewise.
        spread: Spread of train clips.
        usual: Median distance of validation clips to the nearest train clip.

    """

    def __init__(self, classifier: DigitClassifier, root: Path, count: int, splits: int) -> None:
        self.classifier, self.splits = classifier, splits
        self.real = RealClips(root, classifier.sample_rate, classifier.num_samples, count)
        heard = self.real.validation.waveforms
        self.train = _classify(classifier, self.real.waveforms, "classifying train clips")
        self.unheard = _classify(classifier, heard, "classifying validation clips")
        self.parts = choose_parts(self.real.labels, self.real.strata, count, seed=0)
        self.spread = spread_of(self.train.levels[self.real.first].float())
        distances = _to_nearest(self.unheard.features, self.train.features)
        self.usual = distances[self.real.again].median()

    def made(self, sounds: SoundsToScore) -> SoundScores:
        """Score clips that a model has made."""
        what, waveforms, meant = sounds
        made = _classify(self.classifier, waveforms, f"classifying {what} clips")
        parts = torch.split(made.features, len(self.parts[0][0]))
        return self._score(_Clips(what, made, meant, made.features, parts=parts))

    def real_train(self) -> SoundScores:
        """Score train clips: those drawn, half of all, and parts of that half."""
        real, features = self.real, self.train.features
        clips = _Clips(
            "real, train",
            self.train.rows(real.drawn),
            real.labels[real.drawn],
            features[real.other_half],
            real.strata[real.other_half],
            None if real.voices is None else real.voices[real.drawn],
            [features[other] for _, other in self.parts],
        )
        return self._score(clips, nearest=2)

    def real_validation(self) -> SoundScores:
        """Score validation clips, of speakers that were in no training."""
        known, again = self.real.validation, self.real.again
        drawn, every = self.unheard.rows(again), self.unheard.features
        name, voices = "real, validation", known.voices[again]
        return self._score(_Clips(name, drawn, known.labels[again], every, known.labels, voices))

    def _score(self, clips: _Clips, *, nearest: int = 1) -> SoundScores:
        """Score clips. How near they are to train clips, is that to the ``nearest``-th of these."""
        drawn, distinct = clips.drawn, clips.distinct
        known, strata = self.train.features[self.real.half], self.real.strata[self.real.half]
        logits = self.classifier.classify(drawn.features.to(self.classifier.device)).cpu()
        read = logits.argmax(1)
        correct = None if clips.meant is None else read == clips.meant
        voices = torch.arange(len(read)) if clips.voices is None else clips.voices
        near = _to_nearest(drawn.features, self.train.features, nearest) < self.usual
        found = [
            neighbourhoods(self.train.features[reference], part)
            for (reference, _), part in zip(self.parts, clips.parts, strict=False)
        ]
        means = Fidelity(*torch.tensor(found).mean(0).tolist()) if found else None
        return SoundScores(
            what=clips.what,
            n=len(distinct),
            inception=inception_score(logits, splits=self.splits),
            frechet_distance=frechet_distance(
                known, distinct, real_strata=strata, fake_strata=clips.strata
            ),
            kernel_distance=_kernel_distance(known, distinct, strata, clips.strata),
            **(means._asdict() if means else dict.fromkeys(Fidelity._fields)),
            digits=(torch.bincount(read, minlength=10) / len(read)).tolist(),
            agreement=None if correct is None else correct.double().mean().item(),
            agreement_interval=None if correct is None else bootstrap_interval(correct, voices),
            confidence=logits.softmax(1).amax(1).mean().item(),
            spread=(spread_of(drawn.levels.float()) / self.spread).item(),
            near_copies=near.double().mean().item(),
        )


def choose_parts(
    labels: Tensor, strata: Tensor, count: int, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """Choose train clips that ``count`` clips are compared with, in parts of equal size.

    The train clips are halved anew for each part. Of one half, the reference is chosen, of the
    other one as many real clips to compare it with: each clip at most once, as many of each digit.
    A clip that is in the reference twice has no neighbourhood to speak of, and one that is in both
    sets is always covered. So a part is at most as large as the rarest digit allows; there are as
    many parts as ``count`` clips need.

    With as many real and generated clips, n, of one distribution, the expected coverage is
    1 - (n-1)…(n-k) / ((2n-1)…(2n-k)), or 0.969 for the five neighbours that are counted. In one
    reference of fixed size, more generated clips would cover more for their number alone.

    Args:
        labels: Digits (n,) of the train clips.
        strata: Strata (n,) of the train clips; each is halved.
        count: Number of clips to compare.
        seed: Seed of the choice.

    Returns:
        For each part, indices of its reference, and of the other real clips.

    """
    limit = len(DIGIT_WORDS) * min(
        int(torch.bincount(labels[half], minlength=len(DIGIT_WORDS)).min())
        for half in disjoint_halves(strata, seed)
    )
    number_of_parts = -(-count // limit)
    parts = []
    for offset in range(number_of_parts):
        halves = disjoint_halves(strata, seed + offset)
        reference, others = (
            half[choose_evenly(labels[half], count // number_of_parts, seed + offset)]
            for half in halves
        )
        parts.append((reference, others))
    return parts


def _classify(classifier: DigitClassifier, waveforms: Tensor, what: str) -> _Features:
    """Compute the features and levels of waveforms (count, samples)."""
    device = classifier.device
    spectrogram = Spectrogram().to(device)
    features = in_batches(classifier.embed, waveforms, _BATCH, what, device)
    levels = in_batches(
        lambda part: spectrogram(part).half(), waveforms, _BATCH, f"{what}: levels", device
    )
    return _Features(features, levels)


def _kernel_distance(
    real: Tensor, fake: Tensor, real_strata: Tensor, fake_strata: Tensor | None
) -> KernelDistance | None:
    """Kernel distance of features; None where a stratum has too few clips."""
    try:
        return kernel_distance(real, fake, real_strata=real_strata, fake_strata=fake_strata)
    except InputError:
        return None


def _to_nearest(features: Tensor, others: Tensor, rank: int = 1) -> Tensor:
    """Distances (count,) of features (count, dim) to the ``rank``-th nearest of ``others``."""
    parts = torch.split(features, _BATCH)
    return torch.cat([torch.cdist(part, others).kthvalue(rank, 1).values for part in parts])
