"""How near reconstructions are to what they reconstruct, clip by clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from audiate.audio import file_rate, fit_length, load_channels, resample
from audiate.datasets.sounds import find_sounds
from audiate.errors import InputError
from audiate.evaluate.reports import dump, mean_of, render
from audiate.metrics import log_spectral_distance, mean_squared_error, structural_similarity
from audiate.models import DigitClassifier
from audiate.spectra import Spectrogram

_SHOWN = 20


@dataclass(frozen=True)
class ClipScores:
    """A reconstruction beside its original.

    Attributes:
        mse: Mean squared difference of samples.
        ssim: Of the real parts of spectrograms, at most 1 (Keyes et al. 2020, tables 1 and 2).
        log_spectral_distance: In dB.
        digit_before: As the judge hears the original; None without a judge.
        digit_after: As the judge hears the reconstruction.

    """

    mse: float
    ssim: float
    log_spectral_distance: float
    digit_before: int | None
    digit_after: int | None


@torch.inference_mode()
def score_clips(
    output: Tensor, target: Tensor, sample_rate: int, judge: DigitClassifier | None
) -> list[ClipScores]:
    """Score waveforms (batch, channels, samples) against their originals.

    Raises:
        InputError: Shapes differ, or clips are too short to be compared.

    """
    if output.shape != target.shape:
        raise InputError(
            f"output {tuple(output.shape)}, target {tuple(target.shape)}: give one shape"
        )
    if output.shape[-1] < 11 * Spectrogram.hop_length:
        raise InputError(
            f"clips of {output.shape[-1]} samples: give at least {11 * Spectrogram.hop_length}"
        )
    output, target = output.cpu().float(), target.cpu().float()
    see = Spectrogram("real")
    mono = output.mean(1), target.mean(1)
    columns = (
        mean_squared_error(output, target).tolist(),
        structural_similarity(*(see(each).double() for each in mono)).tolist(),
        log_spectral_distance(*mono).tolist(),
        _digits(judge, mono[1], sample_rate),
        _digits(judge, mono[0], sample_rate),
    )
    return [ClipScores(*row) for row in zip(*columns, strict=True)]


def as_judged(waveforms: Tensor, sample_rate: int, judge: DigitClassifier) -> Tensor:
    """Waveforms (batch, samples) at the judge's rate and length."""
    each = [resample(waveform, sample_rate, judge.sample_rate) for waveform in waveforms.cpu()]
    return torch.stack([fit_length(waveform, judge.num_samples) for waveform in each])


def _digits(
    judge: DigitClassifier | None, waveforms: Tensor, sample_rate: int
) -> Sequence[int | None]:
    if judge is None:
        return [None] * len(waveforms)
    digits: list[int] = judge(as_judged(waveforms, sample_rate, judge)).argmax(1).tolist()
    return digits


@dataclass(frozen=True)
class ComparisonReport:
    """Scores of reconstructions, by the name of the clip.

    Attributes:
        clips: What could be scored.
        unmatched: Names that are in one folder only.
        padded: Names of pairs whose lengths differ by more than a hundredth.
        failed: What stands in the way, by name.

    """

    clips: dict[str, ClipScores]
    unmatched: Sequence[str] = ()
    padded: Sequence[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)

    def means(self) -> dict[str, float | None]:
        """Of each score; `agreement` is the share of clips with one digit before and after."""
        scores = list(self.clips.values())
        heard = [each.digit_before == each.digit_after for each in scores]
        judged = scores[0].digit_before is not None
        return {
            "mse": mean_of([each.mse for each in scores]),
            "ssim": mean_of([each.ssim for each in scores]),
            "log_spectral_distance": mean_of([each.log_spectral_distance for each in scores]),
            "agreement": mean_of([float(same) for same in heard]) if judged else None,
        }

    def to_json(self) -> str:
        """Keys `mse`, `ssim`, `log_spectral_distance`, `agreement`, `n`, ..., then `clips`."""
        return dump(
            {
                **self.means(),
                "n": len(self.clips),
                "unmatched": list(self.unmatched),
                "padded": list(self.padded),
                "failed": dict(self.failed),
                "clips": {name: asdict(scores) for name, scores in self.clips.items()},
            }
        )

    def to_text(self) -> str:
        """A table for people."""
        table = Table(title=f"{len(self.clips)} reconstructions against their originals")
        for column in ("clip", "MSE", "SSIM", "log-spectral distance (dB)", "digit"):
            table.add_column(column, overflow="fold")
        for name, scores in list(self.clips.items())[:_SHOWN]:
            digit = "-"
            if scores.digit_before is not None:
                digit = f"{scores.digit_before} → {scores.digit_after}"
            table.add_row(
                name,
                f"{scores.mse:.5f}",
                f"{scores.ssim:.4f}",
                f"{scores.log_spectral_distance:.1f}",
                digit,
            )
        means = self.means()
        agreement = means["agreement"]
        table.add_section()
        table.add_row(
            "mean",
            f"{means['mse']:.5f}",
            f"{means['ssim']:.4f}",
            f"{means['log_spectral_distance']:.1f}",
            "-" if agreement is None else f"{100 * agreement:.1f} % the same",
        )
        notes = []
        if len(self.clips) > _SHOWN:
            notes.append(f"The first {_SHOWN} clips are shown; --json lists them all.")
        for what, names in (
            ("Without a counterpart", self.unmatched),
            ("Of different lengths, so that zeros fill the shorter", self.padded),
        ):
            if names:
                some = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
                notes.append(f"{what}: {len(names)} ({some}).")
        return render(table, *notes)


def compare(target: Path, output: Path, judge: DigitClassifier | None) -> ComparisonReport:
    """Score two files, or two folders of files with the same names (whatever their suffixes).

    The reconstruction is brought to the rate of the original; the shorter of a pair is padded with
    zeros at its end. In folders, a pair that cannot be scored does not stop the rest.

    Raises:
        InputError: A file cannot be read, or nothing matches, or not one pair can be scored.

    """
    for path in (target, output):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if target.is_dir() != output.is_dir():
        raise InputError(f"{target}, {output}: give two files, or two folders")
    if not target.is_dir():
        return _compare_pairs({target.name: (target, output)}, judge)
    theirs, ours = _by_stem(output, passing_over=target), _by_stem(target, passing_over=output)
    matched = [name for name in ours if name in theirs]
    if not matched:
        raise InputError(f"{output}: holds no file of a name that is in {target} as well")
    unmatched = sorted(ours.keys() ^ theirs.keys())
    return _compare_pairs({name: (ours[name], theirs[name]) for name in matched}, judge, unmatched)


def _by_stem(folder: Path, passing_over: Path) -> dict[str, Path]:
    """Files by their place without a suffix, but for those of the other folder, if it is inside."""
    found: dict[str, Path] = {}
    other = passing_over.resolve()
    for path in find_sounds(folder):
        if folder.resolve() in other.parents and other in path.resolve().parents:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(
                f"{found[name]}, {path}: two files of one name, so which is meant is unclear; "
                f"rename one"
            )
        found[name] = path
    return found


def _compare_pairs(
    pairs: Mapping[str, tuple[Path, Path]],
    judge: DigitClassifier | None,
    unmatched: Sequence[str] = (),
) -> ComparisonReport:
    clips, padded, failed = {}, [], {}
    for name, (target, output) in pairs.items():
        try:
            clips[name], lengths_differ = _compare_files(target, output, judge)
        except InputError as error:
            if len(pairs) == 1:
                raise
            failed[name] = f"{error}"
            continue
        if lengths_differ:
            padded.append(name)
    if not clips:
        raise InputError(next(iter(failed.values())))
    return ComparisonReport(clips, unmatched, padded, failed)


def _compare_files(
    target: Path, output: Path, judge: DigitClassifier | None
) -> tuple[ClipScores, bool]:
    """Scores, and whether lengths differ by more than a hundredth."""
    rate = file_rate(target)
    pair = [load_channels(path, 1, rate, as_it_is=True)[0] for path in (output, target)]
    shortest, longest = sorted(len(waveform) for waveform in pair)
    ends = [torch.nn.functional.pad(each, (0, longest - len(each))) for each in pair]
    try:
        (scores,) = score_clips(ends[0].view(1, 1, -1), ends[1].view(1, 1, -1), rate, judge)
    except InputError as error:
        raise InputError(f"{target}: {error}") from error
    return scores, longest - shortest > longest / 100
