"""Acoustic measures of folders of clips, such as generated and real ones, as a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from audiate.audio.files import is_silent, load_audio, to_peak
from audiate.audio.pitch import require_praat
from audiate.data.sounds import find_sounds
from audiate.errors import InputError
from audiate.phonetics.measures import (
    MEASURES,
    UNITS,
    Array,
    check_measurable,
    f0_track,
    measure,
)
from audiate.utils.filesystem import as_unicode
from audiate.utils.progress import note, tracked
from audiate.utils.reports import FigureReport, csv_text, make_table

_SHOWN = ("duration", "intensity", "f0_mean", "f1", "f2", "centre")


@dataclass(frozen=True)
class Group:
    """The measures of a folder's clips.

    Attributes:
        name: The folder, for people.
        clips: Names of the clips.
        values: (clips, measures), NaN where something could not be measured.
        skipped: Clips that could not be measured, and the reason.

    """

    name: str
    clips: Sequence[str]
    values: Array
    skipped: Mapping[str, str]


@dataclass(frozen=True)
class MeasuresReport(FigureReport):
    """The measures of one folder, beside those of another.

    Attributes:
        groups: The folder, and the one that it is compared with, if any.
        sample_rate: The sample rate at which all clips were measured; None where each was measured
            at its own.

    """

    groups: Sequence[Group]
    sample_rate: int | None = None

    @property
    def effects(self) -> Sequence[float]:
        """Cohen's d of each measure, first against second folder; NaN where either has too few."""
        if len(self.groups) < 2:
            return []
        one, other = (group.values.T for group in self.groups)
        return [cohens_d(*columns) for columns in zip(one, other, strict=True)]

    def values(self) -> Mapping[str, Any]:
        """Return mean, deviation and number of each measure in each folder, and effect sizes."""
        found: dict[str, Any] = {
            group.name: {
                name: dict(zip(("mean", "deviation", "n"), _summary(column), strict=True))
                for name, column in zip(MEASURES, group.values.T, strict=True)
            }
            for group in self.groups
        }
        if self.effects:
            found["cohens_d"] = dict(zip(MEASURES, self.effects, strict=True))
        return found

    def parts(self) -> Iterator[Table | str]:
        """Return a table: mean, deviation and number of clips, and Cohen's d for two folders."""
        table = make_table("Acoustic measures: mean ± deviation (clips)", "measure", "unit")
        for group in self.groups:
            table.add_column(group.name, justify="right")
        if self.effects:
            table.add_column("Cohen's d", justify="right")
        for index, name in enumerate(MEASURES):
            cells = [_cell(group.values[:, index]) for group in self.groups]
            cells += ["-" if np.isnan(d) else f"{d:+.2f}" for d in self.effects[index : index + 1]]
            table.add_row(name, UNITS[name], *cells)
        yield table
        for group in self.groups:
            for name, reason in group.skipped.items():
                yield f"{name}: cannot be measured ({reason})"
        if self.sample_rate is not None:
            yield (
                f"All clips are measured at {self.sample_rate:,} Hz, the lowest of their sample "
                f"rates, since formants and spectral moments depend on it."
            )

    def to_csv(self) -> str:
        """Return a row for each clip of all folders, a column for each measure."""
        rows = [
            [group.name, clip, *("" if np.isnan(value) else f"{value:.6g}" for value in values)]
            for group in self.groups
            for clip, values in zip(group.clips, group.values, strict=True)
        ]
        return csv_text([["folder", "clip", *MEASURES], *rows])

    def figure(self) -> Figure:
        """Draw the distribution of six measures in each folder."""
        figure = Figure(figsize=(10, 5.5), layout="constrained")
        for axes, name in zip(figure.subplots(2, 3).flat, _SHOWN, strict=True):
            columns = [group.values[:, MEASURES.index(name)] for group in self.groups]
            columns = [column[np.isfinite(column)] for column in columns]
            if any(len(column) for column in columns):
                edges = np.histogram_bin_edges(np.concatenate(columns), 24)
                for group, column in zip(self.groups, columns, strict=True):
                    weights = np.full(len(column), 1 / max(len(column), 1))
                    axes.hist(column, edges, weights=weights, alpha=0.55, label=group.name)
            axes.set_xlabel(f"{name} ({UNITS[name]})" if UNITS[name] else name)
            axes.set_ylabel("share of the clips")
        figure.axes[0].legend()
        return figure


def common_rate(folders: Sequence[Path]) -> int:
    """The lowest sample rate of the sound files below folders that can be measured, in Hz.

    Raises:
        InputError: There is no such folder, or no sound file that can be read.

    """
    rates, reason = [], None
    for path in (path for folder in folders for path in _clips_of(folder)):
        try:
            waveform, rate = load_audio(path)
            check_measurable(waveform.double().numpy(), rate)
            rates.append(rate)
        except InputError as error:
            reason = error
    if not rates:
        raise InputError(f"{folders[0]}: no clip can be measured ({reason})")
    return min(rates)


def measure_folder(
    folder: Path,
    name: str | None = None,
    *,
    same_peak: bool = False,
    sample_rate: int | None = None,
) -> Group:
    """Measure every sound file below a folder.

    Args:
        folder: The folder, or a sound file.
        name: Its name, for people.
        same_peak: Whether each clip is brought to the peak `audiate.audio.files.PEAK` first.
        sample_rate: The sample rate to which every clip is brought first, in Hz. None leaves it.

    Raises:
        InputError: There is no such folder, no clip can be measured, or praat-parselmouth is
            missing.

    """
    require_praat()
    clips, values, skipped = [], [], {}
    for path in tracked(_clips_of(folder), f"measuring {folder}"):
        clip = _name(path, folder)
        try:
            waveform, rate = load_audio(path, sample_rate)
            if same_peak and not is_silent(waveform):
                waveform = to_peak(waveform.unsqueeze(0))[0]
            found = measure(waveform, rate)
        except InputError as error:
            skipped[clip] = str(error)
            continue
        clips.append(clip)
        values.append(astuple(found))
    if not clips:
        raise InputError(f"{folder}: no clip can be measured ({next(iter(skipped.values()))})")
    return Group(name or as_unicode(folder), clips, np.array(values), skipped)


def tracks_csv(folder: Path) -> str:
    """F0 of every clip below a folder over time: rows of clip, seconds and Hz, voiced ones alone.

    A file that cannot be read is named on standard error.

    Raises:
        InputError: praat-parselmouth is missing.

    """
    rows = [["clip", "seconds", "f0"]]
    for path in _clips_of(folder):
        try:
            waveform, rate = load_audio(path)
        except InputError as error:
            note(f"{error}; its track is left out")
            continue
        track = f0_track(waveform.double().numpy(), rate)
        rows += [
            [_name(path, folder), f"{time:.4f}", f"{hertz:.2f}"]
            for time, hertz in zip(track.times, track.f0, strict=True)
            if np.isfinite(hertz)
        ]
    return csv_text(rows)


def _clips_of(folder: Path) -> list[Path]:
    return find_sounds(folder) if folder.is_dir() else [folder]


def _name(path: Path, folder: Path) -> str:
    return as_unicode(path.relative_to(folder).as_posix() if folder.is_dir() else path.name)


def cohens_d(one: Array, other: Array) -> float:
    """Cohen's d of two samples: the difference of means over the pooled deviation (Cohen 1988).

    NaN values are left out. The result is NaN where fewer than two values are left in either.
    """
    one, other = (values[np.isfinite(values)] for values in (one, other))
    if min(len(one), len(other)) < 2:
        return float("nan")
    squares = (len(one) - 1) * one.var(ddof=1) + (len(other) - 1) * other.var(ddof=1)
    pooled = np.sqrt(squares / (len(one) + len(other) - 2))
    return float((one.mean() - other.mean()) / pooled) if pooled > 0 else float("nan")


def _summary(column: Array) -> tuple[float | None, float | None, int]:
    """Mean and deviation, None where nothing was measured, and the number of values."""
    found = column[np.isfinite(column)]
    if not len(found):
        return None, None, 0
    return float(found.mean()), float(found.std()), len(found)


def _cell(column: Array) -> str:
    mean, deviation, count = _summary(column)
    if mean is None:
        return "-"
    return f"{mean:.4g} (1)" if count == 1 else f"{mean:.4g} ± {deviation:.3g} ({count})"
