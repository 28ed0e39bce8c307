"""Comparison of reconstructions with their targets, clip by clip."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from audiate.audio.files import MAX_FILE_SECONDS, file_form, load_audio
from audiate.data.folders import REPORT_NAME
from audiate.data.sounds import find_sounds
from audiate.errors import InputError, printable
from audiate.metrics.classification import mean_of
from audiate.metrics.reconstruction import ClipScores, score_clips
from audiate.models.hub import SPOKEN_CLASSIFIER
from audiate.models.resnet import DigitClassifier
from audiate.utils.filesystem import as_unicode
from audiate.utils.progress import tracked
from audiate.utils.reports import Report, make_table, number, percent

_SHOWN = 20
_FORMATS = {"mse": ".5f", "ssim": ".4f", "log_spectral_distance": ".1f"}


@dataclass(frozen=True)
class ComparisonReport(Report):
    """Scores of reconstructions, by the name of the clip.

    Attributes:
        unmatched: Names that are in one folder only.
        padded: Names of the pairs whose lengths differ by more than a hundredth.
        failed: The reason why a pair could not be scored, by name.
        clips: Scores of each pair.

    """

    unmatched: Sequence[str]
    padded: Sequence[str]
    failed: Mapping[str, str]
    clips: Mapping[str, ClipScores]

    def means(self) -> dict[str, float | None]:
        """Return the mean of each score; `agreement` is the share of clips whose digit is kept."""
        clips = list(self.clips.values())
        kept = mean_of([float(each.digit_before == each.digit_after) for each in clips])
        means = {name: mean_of([getattr(each, name) for each in clips]) for name in _FORMATS}
        return {**means, "agreement": None if clips[0].digit_before is None else kept}

    def values(self) -> Mapping[str, Any]:
        """Return `mse`, `ssim`, `log_spectral_distance`, `agreement`, `n`, ..., then `clips`."""
        return {**self.means(), "n": len(self.clips), **vars(self)}

    def parts(self) -> Iterator[Table | str]:
        """Return a table of the first clips and of the means."""
        table = make_table(
            f"Reconstructions against their targets ({len(self.clips)})",
            *("clip", "MSE", "SSIM", "log-spectral distance (dB)", "digit"),
        )
        for name, scores in list(self.clips.items())[:_SHOWN]:
            before, after = scores.digit_before, scores.digit_after
            digit = "-" if before is None else f"{before} → {after}"
            table.add_row(printable(name), *_cells(vars(scores)), digit)
        means = self.means()
        agreement = means["agreement"]
        same = "-" if agreement is None else f"{percent(agreement)} % the same"
        table.add_section()
        table.add_row("mean", *_cells(means), same)
        yield table
        if len(self.clips) > _SHOWN:
            yield f"The first {_SHOWN} clips are shown; --json lists all of them."
        for what, names in (
            ("Files without a counterpart", self.unmatched),
            ("Pairs of different lengths, the shorter one padded with zeros", self.padded),
        ):
            if names:
                some = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
                yield f"{what}: {len(names)} ({some})."


def _cells(scores: Mapping[str, Any]) -> Iterator[str]:
    """Format the scores that clips and means have."""
    return (number(scores[name], spec) for name, spec in _FORMATS.items())


def compare(target: Path, output: Path, classifier: DigitClassifier | None) -> ComparisonReport:
    """Score two files, or two folders of files with the same names, whatever their suffixes.

    The output is brought to the sample rate of the target, and the shorter one of a pair is padded
    with zeros at its end. In folders, a pair that cannot be scored does not stop the rest.

    Args:
        target: The target, or a folder of targets.
        output: The reconstruction, or a folder of reconstructions.
        classifier: The classifier of spoken digits, or None to do without.

    Raises:
        InputError: A file cannot be read, or nothing matches, or not one pair can be scored.

    """
    for path in (target, output):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if target.is_dir() != output.is_dir():
        raise InputError(f"{target}, {output}: give two files, or two folders")
    if not target.is_dir():
        return _compare_pairs({as_unicode(target.name): (target, output)}, classifier, [])
    theirs, ours = _by_stem(output, passing_over=target), _by_stem(target, passing_over=output)
    matched = {name: (ours[name], theirs[name]) for name in ours if name in theirs}
    if not matched:
        raise InputError(f"{output}: holds no file of a name that is in {target} as well")
    return _compare_pairs(matched, classifier, sorted(ours.keys() ^ theirs.keys()))


def classifier_of(target: Path, output: Path) -> str | None:
    """The name of the shipped classifier of digits, where a record says that one was used.

    `audiate invert` and `audiate edit` leave such records in their folders, of which the targets
    may be a folder below.
    """
    for path in (output, target, target.resolve().parent):
        report = (path if path.is_dir() else path.parent) / REPORT_NAME
        with suppress(OSError, ValueError, LookupError, TypeError):
            named = json.loads(report.read_text(encoding="utf-8"))["settings"]["classifier"]
            return None if named == "none" else SPOKEN_CLASSIFIER
    return None


def _by_stem(folder: Path, passing_over: Path) -> dict[str, Path]:
    """List the files of a folder by their relative path without a suffix.

    Files of the folder ``passing_over`` are left out, where that one is inside.
    """
    found: dict[str, Path] = {}
    other = passing_over.resolve()
    for path in find_sounds(folder):
        if folder.resolve() in other.parents and other in path.resolve().parents:
            continue
        name = as_unicode(path.relative_to(folder).with_suffix("").as_posix())
        if name in found:
            raise InputError(
                f"{found[name]}, {path}: two files of one name, so it is unclear which one is "
                f"meant; rename one"
            )
        found[name] = path
    return found


def _compare_pairs(
    pairs: Mapping[str, tuple[Path, Path]],
    classifier: DigitClassifier | None,
    unmatched: Sequence[str],
) -> ComparisonReport:
    clips: dict[str, ClipScores] = {}
    padded, failed = [], {}
    for name in tracked(list(pairs), "comparing clips"):
        try:
            clips[name], lengths_differ = _compare_files(*pairs[name], classifier)
        except InputError as error:
            failed[name] = f"{error}"
            continue
        if lengths_differ:
            padded.append(name)
    if not clips:
        raise InputError(next(iter(failed.values())))
    return ComparisonReport(unmatched, padded, failed, clips)


def _compare_files(
    target: Path, output: Path, classifier: DigitClassifier | None
) -> tuple[ClipScores, bool]:
    """Return the scores, and whether the lengths differ by more than a hundredth."""
    rate = file_form(target).rate
    pair = [
        load_audio(path, rate, longest=MAX_FILE_SECONDS, as_it_is=True)[0]
        for path in (output, target)
    ]
    shortest, longest = sorted(len(waveform) for waveform in pair)
    ends = [torch.nn.functional.pad(each, (0, longest - len(each))) for each in pair]
    try:
        (scores,) = score_clips(ends[0].view(1, 1, -1), ends[1].view(1, 1, -1), rate, classifier)
    except InputError as error:
        raise InputError(f"{target}: {error}") from error
    return scores, longest - shortest > longest / 100
