"""Scores of sounds by judges that audiate did not train, beside real clips and silence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor

from audiate.audio.files import load_audio, resample
from audiate.data.digits import load_fsdd
from audiate.data.sources import DIGIT_WORDS
from audiate.errors import InputError
from audiate.evaluation.clips import choose_evenly, read_validation, train_clips
from audiate.metrics.classification import wilson_interval
from audiate.metrics.judges import (
    SAMPLE_RATE,
    Judgement,
    VoiceEncoder,
    f0_track,
    judge_clips,
    require_judges,
    same_second,
)
from audiate.utils.progress import note, tracked
from audiate.utils.reports import make_table, number, percent

MOST_JUDGED = 500
"""Largest number of clips of a set that are judged, the first ones."""

SILENCE = "silence"
"""Name of the row of silence."""

_PAIRS = 60  # pairs of recordings for each row that tells voices apart


class SoundsToJudge(NamedTuple):
    """Sounds that judges listen to.

    Attributes:
        what: Name of the set.
        waveforms: (count, channels, samples), in random order.
        sample_rate: Their sample rate, in Hz.
        digits: The digits (count,) that are to be understood, int64.
        target: Recordings (count, channels, samples) that the sounds give back, at the same sample
            rate; None where there are none.

    """

    what: str
    waveforms: Tensor
    sample_rate: int
    digits: Tensor
    target: Tensor | None = None


@dataclass(frozen=True)
class JudgeScores:
    """Scores of a set of sounds by judges that audiate did not train.

    Attributes:
        what: Name of the set.
        n: Number of clips that were judged.
        understood: Share of the clips of which pocketsphinx recognises the digit that is meant,
            out of ten.
        interval: Wilson's 95 % interval of that share.
        signal: Mean of DNSMOS's score of the signal, 1 to 5, over the first 100 clips at most.
        voiced: Mean share of a word's frames that Praat finds voiced.
        voice: Mean cosine of Resemblyzer's embeddings of sound and recording; None where there is
            no recording.
        f0_error: Median difference of F0 from that of the recording, in cents, over the frames that
            are voiced in both; None where there is no recording, or no such frame.

    """

    what: str
    n: int
    understood: float
    interval: tuple[float, float]
    signal: float
    voiced: float
    voice: float | None
    f0_error: float | None


@dataclass(frozen=True)
class JudgeTable:
    """Scores of several sets of sounds, by the same judges under the same conditions.

    Attributes:
        rows: Scores of each set. The first one is that of real clips, which the others are
            compared with.
        voices: Mean cosine of Resemblyzer's embeddings of two real recordings, by what they share;
            empty where no voice was to be kept.

    """

    rows: Sequence[JudgeScores]
    voices: dict[str, float]

    def parts(self) -> Iterator[Table | str]:
        """Return the table, and a note that explains its columns."""
        given_back = any(row.voice is not None for row in self.rows)
        real = self.rows[0]
        table = make_table(
            "By judges that audiate did not train",
            *("", "clips", "understood (%)", "over real"),
            *("DNSMOS signal", "over real", "voiced (%)"),
            *(("voice kept", "F0 (cents)") if given_back else ()),
        )
        for row in self.rows:
            low, high = row.interval
            silent = row.what == SILENCE
            cells = [
                *(row.what, f"{row.n:,}"),
                f"{percent(row.understood)} [{percent(low)}, {percent(high)}]",
                number(row.understood / real.understood if real.understood else None, ".2f"),
                f"{row.signal:.2f}",
                number(None if silent else row.signal / real.signal, ".2f"),
                percent(row.voiced),
            ]
            if given_back:
                cells += [number(row.voice, ".2f"), number(row.f0_error, ".0f")]
            table.add_row(*cells)
        yield table
        text = (
            f"Understood is the share of which pocketsphinx, with a grammar of the ten digits, "
            f"recognises the digit that is meant, with Wilson's 95 % interval; signal is the "
            f"quality of the speech by DNSMOS P.835, of at most 100 clips, and means nothing for "
            f"silence, in which there is no speech; voiced is the share of a word's frames in "
            f"which Praat finds F0. None of these judges guides a model or a method. Each clip was "
            f"trimmed at -40 dB and centred in the same second. Over real: over the row "
            f"{real.what!r}."
        )
        if real.what.startswith("real"):
            text += " Who looks a sound up by its label gives a real train clip, as in that row."
        if given_back:
            cosines = ", ".join(f"{what} {cosine:.2f}" for what, cosine in self.voices.items())
            text += (
                " Voice kept is the cosine of Resemblyzer's embeddings of a sound and its recording"
                + (f"; of two recordings: {cosines}" if cosines else "")
                + ". F0 is the median difference where both are voiced."
            )
        yield text


def judge_beside_real(
    sets: Sequence[SoundsToJudge],
    root: Path,
    sample_rate: int,
    num_samples: int,
    most: int,
    seed: int = 0,
) -> JudgeTable | None:
    """Judge sets of sounds after real clips of that sample rate and length, as `judge_sounds` does.

    ``seed`` is that of the choice of real clips.
    """
    if not most:
        return None
    real = _real_sounds(root, sample_rate, num_samples, most, seed)
    return judge_sounds([*real, *sets], most=most)


def _real_sounds(
    root: Path, sample_rate: int, num_samples: int, count: int, seed: int
) -> list[SoundsToJudge]:
    """Choose real clips: two disjoint draws of train clips, even by digit, and validation clips.

    A lookup by label gives what the first draw is: a real clip of the right digit.

    Args:
        root: Data folder.
        sample_rate: Sample rate of the clips, in Hz.
        num_samples: Length of the clips, in samples.
        count: Number of clips of each draw.
        seed: Seed of the draws.

    Raises:
        InputError: The data is missing or damaged.

    """
    sounds = train_clips(root, sample_rate, num_samples)
    chosen = choose_evenly(sounds.labels, 2 * count, seed)
    draws = {
        "real, train = lookup by label": chosen[::2],
        "real, train, disjoint draw": chosen[1::2],
    }
    sets = [
        SoundsToJudge(what, sounds.waveforms(rows), sample_rate, sounds.labels[rows])
        for what, rows in draws.items()
    ]
    validation, digits, _ = read_validation(root, sample_rate, num_samples)
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(seed))
    validation = validation[order, None]
    return [*sets, SoundsToJudge("real, validation", validation, sample_rate, digits[order])]


def number_judged(most: int) -> int:
    """Return ``most``, or 0 where the judges are not installed, which is noted at once.

    An evaluation calls it first, before work that takes minutes.
    """
    try:
        require_judges()
    except InputError as error:
        if most:
            note(f"{error}; the table of these judges is left out")
        return 0
    return most


def judge_sounds(
    sets: Sequence[SoundsToJudge], root: Path | None = None, *, most: int = MOST_JUDGED
) -> JudgeTable | None:
    """Judge sets of sounds, and silence.

    Args:
        sets: The sets, that of real clips first.
        root: Data folder, for the cosines of real recordings beside those of sounds that give
            recordings back; None where no set has a `SoundsToJudge.target`.
        most: Largest number of clips of a set that are judged. With 0, none is.

    Returns:
        The table; None if ``most`` is 0.

    Raises:
        InputError: The judges are not installed.

    """
    if not most:
        return None
    silence = sets[0]._replace(what=SILENCE, waveforms=torch.zeros_like(sets[0].waveforms[:1]))
    real = _judged(sets[0].waveforms[:most], sets[0].sample_rate)
    rows = [_scores(sets[0], real, most)]
    for each in sets[1:]:
        voices = None
        if each.target is not None:
            same = each.target is sets[0].waveforms
            known = real if same else _judged(each.target[:most], each.sample_rate, quality=0)
            voices = np.array([judgement.voice for judgement in known])
        found = _judged(each.waveforms[:most], each.sample_rate)
        rows.append(_scores(each, found, most, voices))
    # Silence is the same each time, so it is judged once.
    found = _judged(silence.waveforms, silence.sample_rate) * len(real)
    rows.append(_scores(silence, found, most))
    return JudgeTable(rows, {} if root is None else voice_cosines(root))


def _judged(waveforms: Tensor, sample_rate: int, **options: int) -> list[Judgement]:
    return judge_clips(waveforms, sample_rate, DIGIT_WORDS, **options)


def _scores(
    sounds: SoundsToJudge,
    found: Sequence[Judgement],
    most: int,
    voices: NDArray[np.float32] | None = None,
) -> JudgeScores:
    """Score a set by what the judges say; ``voices`` (count, 256) are those of the recordings."""
    digits = sounds.digits[:most].tolist()
    right = sum(one.word == DIGIT_WORDS[digit] for one, digit in zip(found, digits, strict=False))
    cosine = f0_error = None
    if sounds.target is not None and voices is not None:
        cosines = (np.array([each.voice for each in found]) * voices).sum(1)
        cosine = None if np.isnan(cosines).all() else float(np.nanmean(cosines))
        f0_error = _f0_error(sounds.waveforms[:most], sounds.target[:most], sounds.sample_rate)
    return JudgeScores(
        sounds.what,
        len(found),
        right / len(found),
        wilson_interval(right, len(found)),
        float(np.nanmean([each.signal for each in found])),
        float(np.mean([each.voiced for each in found])),
        cosine,
        f0_error,
    )


def _f0_error(waveforms: Tensor, target: Tensor, sample_rate: int) -> float | None:
    """Median difference of F0 in cents, over the frames of all clips that are voiced in both."""
    both = (resample(each.mean(1), sample_rate, SAMPLE_RATE) for each in (waveforms, target))
    errors = []
    for pair in zip(*both, strict=True):
        one, other = (f0_track(clip) for clip in pair)
        voiced = (one > 0) & (other > 0)
        errors.append(1200 * np.abs(np.log2(one[voiced] / other[voiced])))
    pooled = np.concatenate(errors)
    return float(np.median(pooled)) if len(pooled) else None


def voice_cosines(root: Path) -> dict[str, float]:
    """Mean cosine of Resemblyzer's embeddings of two FSDD recordings, by what they share.

    Args:
        root: Data folder.

    Raises:
        InputError: The data is missing or damaged.

    """
    clips = load_fsdd(root)
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(0)).tolist()
    some = [clips[index] for index in order[: 4 * _PAIRS]]
    encoder = VoiceEncoder()
    voices = [
        encoder(same_second(*load_audio(clip.path)))
        for clip in tracked(some, "comparing voices of recordings")
    ]
    cosines: dict[str, list[float]] = {}
    for (clip, voice), (other, other_voice) in combinations(zip(some, voices, strict=True), 2):
        if clip.speaker != other.speaker:
            what = "of two speakers"
        else:
            what = "of one speaker, another word"
            if clip.label == other.label:
                what = "of one speaker, the same word"
        cosines.setdefault(what, []).append(float(voice @ other_voice))
    return {what: float(np.mean(found)) for what, found in sorted(cosines.items())}
