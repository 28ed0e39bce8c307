"""Acoustic measures of folders of clips, such as generated and real ones, as a report."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table
from scipy import stats

from audiate.audio.files import is_silent, load_audio, to_peak
from audiate.audio.pitch import F0_CEILING, F0_FLOOR, require_praat
from audiate.data.folders import NamePattern
from audiate.data.sounds import find_sounds
from audiate.errors import InputError
from audiate.phonetics.measures import (
    LEAST_VOICED,
    MEASURES,
    MIDDLE,
    UNITS,
    Array,
    F0Range,
    Measures,
    Track,
    check_measurable,
    f0_range,
    f0_track,
    measure,
)
from audiate.phonetics.textgrids import Interval, read_intervals, write_textgrid
from audiate.utils.filesystem import as_unicode
from audiate.utils.progress import tracked
from audiate.utils.reports import FigureReport, csv_text, make_table

_SHOWN = ("duration", "intensity", "f0_median", "f1", "f2", "centre")
_OF_VOICE = ("f0_mean", "f0_median", "f0_range", "f0_slope", "f1", "f2", "f3")
_LABELS = ("word", "voice", "code")
_CONTOUR = np.linspace(0, 1, 21)  # shares of the voiced part at which contours are compared


@dataclass(frozen=True)
class MeasureOptions:
    """Settings of `measure_folder`.

    Attributes:
        f0: Floor and ceiling of F0, in Hz; None as of `audiate.phonetics.measures.f0_track`.
        formant_ceiling: As of `audiate.phonetics.measures.measure`.
        same_peak: Whether each clip is brought to the peak `audiate.audio.files.PEAK` first.
        sample_rate: The sample rate to which every clip is brought first, in Hz. None leaves it.
        label_from: Pattern of file names that gives word and voice, as for `NamePattern`.
        tier: Tier of the TextGrids beside the clips; None for the first one.
        onset_words: Words whose voice onset is measured, and no other's; without any, it is
            measured where the burst is clear.

    """

    f0: F0Range | None = None
    formant_ceiling: float | None = None
    same_peak: bool = False
    sample_rate: int | None = None
    label_from: str | None = None
    tier: str | None = None
    onset_words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Measures and F0 of a clip, or of an interval of it.

    Attributes:
        clip: The clip's name, as reports of other commands have it: its path without the suffix.
        word, voice, code: What is known of it, else empty.
        seconds: Length of the clip.
        measures: Its measures.
        track: F0 of the word or the interval over time.

    """

    clip: str
    word: str
    voice: str
    code: str
    seconds: float
    measures: Measures
    track: Track


@dataclass(frozen=True)
class Group:
    """The measures of a folder's clips.

    Attributes:
        name: The folder, for people.
        rows: One for each clip, or for each interval where a TextGrid lies beside the clip.
        skipped: Clips that could not be measured, and the reason.

    """

    name: str
    rows: Sequence[Measured]
    skipped: Mapping[str, str]

    @property
    def values(self) -> Array:
        """(rows, measures), NaN where something could not be measured."""
        return np.array([astuple(row.measures) for row in self.rows])

    @property
    def voiceless(self) -> int:
        """Number of rows without a voice, in which there is no F0 and no formant."""
        return int(np.isnan(self.values[:, MEASURES.index("f0_mean")]).sum())

    @property
    def voiced(self) -> float:
        """Mean share of a word that is voiced."""
        return float(self.values[:, MEASURES.index("voiced")].mean())

    def sorted_by(self, label: str) -> dict[str, Array]:
        """Values of `values` by word, voice or code; nothing where there are not two."""
        labels = np.array([getattr(row, label) for row in self.rows])
        names = [str(name) for name in np.unique(labels)]
        if len(names) < 2:
            return {}
        return {name or "-": self.values[labels == name] for name in names}


@dataclass(frozen=True)
class MeasuresReport(FigureReport):
    """The measures of one folder, beside those of another.

    Attributes:
        groups: The folder, and the one that it is compared with, if any.
        options: How they were measured.

    """

    groups: Sequence[Group]
    options: MeasureOptions = MeasureOptions()

    @property
    def effects(self) -> Sequence[float]:
        """Cohen's d of each measure, first against second folder; NaN where either has too few.

        Of a folder that whispers, F0 and formants are those of a few clips, and are not compared.
        """
        if len(self.groups) < 2:
            return []
        one, other = (group.values.T for group in self.groups)
        whispers = any(group.voiced < LEAST_VOICED for group in self.groups)
        return [
            np.nan if whispers and name in _OF_VOICE else cohens_d(*columns)
            for name, *columns in zip(MEASURES, one, other, strict=True)
        ]

    def values(self) -> Mapping[str, Any]:
        """Return statistics of each measure in each folder, also by label, and effect sizes."""
        found: dict[str, Any] = {
            group.name: {
                **_statistics(group.values),
                "by": {
                    label: {name: _statistics(rows) for name, rows in parts.items()}
                    for label in _LABELS
                    if (parts := group.sorted_by(label))
                },
            }
            for group in self.groups
        }
        if self.effects:
            found["cohens_d"] = dict(zip(MEASURES, self.effects, strict=True))
        return {**found, "options": vars(self.options)}

    def parts(self) -> Iterator[Table | str]:
        """Return a table of all clips, one by each label that is known, and notes."""
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
            yield from _label_tables(group)
            yield from _notes(group)
        yield self._settings()

    def _settings(self) -> str:
        options = self.options
        f0 = (
            "between 60 and 600 Hz, then between 0.75 times the lower and 1.5 times the upper "
            "quartile of that, in all clips of the voice where it is known, else in the clip "
            "(columns f0_floor, f0_ceiling)"
            if options.f0 is None
            else "between {:g} and {:g} Hz".format(*options.f0)
        )
        ceiling = (
            "5,000 to 5,500 Hz, by F0 (column formant_ceiling)"
            if options.formant_ceiling is None
            else f"{options.formant_ceiling:,.0f} Hz"
        )
        rate = (
            ""
            if options.sample_rate is None
            else f" All clips are measured at {options.sample_rate:,} Hz, the lowest of their "
            f"sample rates, since formants and spectral moments depend on it."
        )
        return (
            f"In Praat's terms: F0 by autocorrelation, every 5 ms, {f0}; five formants below "
            f"{ceiling}, by the robust method, window 25 ms, pre-emphasis from 50 Hz, the median "
            f"of 50 ms around the column vowel.{rate}"
        )

    def to_csv(self) -> str:
        """Return a row for each clip or interval of all folders, a column for each measure."""
        rows = [
            [group.name, row.clip, row.word, row.voice, row.code, *map(_text, values)]
            for group in self.groups
            for row, values in zip(group.rows, group.values, strict=True)
        ]
        return csv_text([["folder", "clip", *_LABELS, *MEASURES], *rows])

    def groups_to_csv(self) -> str:
        """Return a row for each measure of each word, voice and code, with its interval."""
        columns = ("n", "mean", "deviation", "low", "high")
        rows = [
            [group.name, label, name, measure, *(_text(each[c]) for c in columns), _text(p)]
            for group in self.groups
            for label in _LABELS
            if (parts := group.sorted_by(label))
            for index, measure in enumerate(MEASURES)
            for p in [_same(parts, index)]
            for name, values in parts.items()
            for each in [_statistics(values)[measure]]
        ]
        return csv_text([["folder", "by", "group", "measure", *columns, "p"], *rows])

    def tracks_to_csv(self) -> str:
        """Return F0 of the first folder over time: rows of clip, seconds and Hz, voiced ones."""
        rows = [
            [row.clip, f"{time:.4f}", f"{hertz:.2f}"]
            for row in self.groups[0].rows
            for time, hertz in zip(row.track.times, row.track.f0, strict=True)
            if np.isfinite(hertz)
        ]
        return csv_text([["clip", "seconds", "f0"], *rows])

    def figure(self) -> Figure:
        """Draw the distribution of six measures in each folder, and contours of F0 by label."""
        figure = Figure(figsize=(10, 8.5), layout="constrained")
        above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(2, 1))[:, 0]
        for axes, name in zip(above.subplots(2, 3).flat, _SHOWN, strict=True):
            columns = [group.values[:, MEASURES.index(name)] for group in self.groups]
            columns = [column[np.isfinite(column)] for column in columns]
            if any(len(column) for column in columns):
                edges = np.histogram_bin_edges(np.concatenate(columns), 24)
                for group, column in zip(self.groups, columns, strict=True):
                    weights = np.full(len(column), 1 / max(len(column), 1))
                    axes.hist(column, edges, weights=weights, alpha=0.55, label=group.name)
            axes.set_xlabel(f"{name} ({UNITS[name]})" if UNITS[name] else name)
            axes.set_ylabel("share of the clips")
        if len(self.groups) > 1:
            above.axes[0].legend()
        group = self.groups[0]
        label = next((each for each in reversed(_LABELS) if group.sorted_by(each)), None)
        axes = below.subplots()
        for name, contours in _contours(group, label).items():
            middle = np.median(contours, 0)
            axes.plot(100 * _CONTOUR, middle, label=f"{name} ({len(contours)})")
        axes.set_xlabel("time, % of the voiced part")
        axes.set_ylabel("F0 (Hz), median")
        axes.set_title(f"{group.name}: F0 by {label or 'folder'}", fontsize=10)
        if axes.lines:
            axes.legend(fontsize=7, ncols=4)
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
    folder: Path, name: str | None = None, options: MeasureOptions = MeasureOptions()
) -> Group:
    """Measure every sound file below a folder; of those with a TextGrid, its labelled intervals.

    The word is the interval's label, else it is read by ``options.label_from``, else it is the
    sub-folder; the code is that of ``latents.csv``, as `audiate generate` writes it.

    Args:
        folder: The folder, or a sound file.
        name: Its name, for people.
        options: How to measure.

    Raises:
        InputError: There is no such folder, no clip can be measured, a name does not fit the
            pattern, or praat-parselmouth is missing.

    """
    require_praat()
    rows: list[Measured] = []
    skipped = {}
    codes = _codes_of(folder)
    paths = _clips_of(folder)
    pattern = None if options.label_from is None else NamePattern(options.label_from)
    ranges: dict[str | None, F0Range] = {}
    if pattern is not None and options.f0 is None:
        ranges = _f0_by_voice(paths, pattern)
    for path in tracked(paths, f"measuring {folder}"):
        place = path.relative_to(folder) if folder.is_dir() else Path(path.name)
        clip = as_unicode(place.with_suffix("").as_posix())
        word, voice = (place.parts[0] if len(place.parts) > 1 else ""), None
        if pattern is not None:
            word, voice = pattern.read(path)
        labels = clip, word, voice or "", codes.get(clip, "")
        try:
            rows += _measure_clip(path, labels, replace(options, f0=ranges.get(voice, options.f0)))
        except InputError as error:
            skipped[as_unicode(place.as_posix())] = str(error)
    if not rows:
        raise InputError(f"{folder}: no clip can be measured ({next(iter(skipped.values()))})")
    return Group(name or as_unicode(folder), rows, skipped)


def _f0_by_voice(paths: Sequence[Path], pattern: NamePattern) -> dict[str | None, F0Range]:
    """The range of F0 of each voice, by all its clips; one alone may be mistaken throughout."""
    found: dict[str | None, list[Array]] = {}
    for path in tracked(paths, "looking for the range of voices"):
        if (voice := pattern.read(path).voice) is not None:
            with suppress(InputError):  # those that cannot be measured are named later
                waveform, rate = load_audio(path)
                track = f0_track(waveform.double().numpy(), rate, (F0_FLOOR, F0_CEILING))
                found.setdefault(voice, []).append(track.f0[track.voiced])
    every = {voice: np.concatenate(parts) for voice, parts in found.items()}
    return {voice: f0_range(f0) for voice, f0 in every.items() if len(f0)}


def _measure_clip(
    path: Path, labels: tuple[str, str, str, str], options: MeasureOptions
) -> list[Measured]:
    """Measure a clip, or the intervals of the TextGrid beside it.

    Args:
        path: The file.
        labels: Name of the clip, word, voice and code.
        options: How to measure.

    """
    waveform, rate = load_audio(path, options.sample_rate)
    if options.same_peak and not is_silent(waveform):
        waveform = to_peak(waveform.unsqueeze(0))[0]
    clip, word, voice, code = labels
    grid = path.with_suffix(".TextGrid")
    parts: Sequence[Interval | None] = [None]
    if grid.is_file():
        parts = read_intervals(grid, options.tier)
    found = []
    for part in parts:
        said = part.label if part else word
        measures = measure(
            waveform,
            rate,
            f0=options.f0,
            formant_ceiling=options.formant_ceiling,
            stop=said in options.onset_words if options.onset_words else None,
            span=(part.begin, part.end) if part else None,
        )
        span = measures.f0_floor, measures.f0_ceiling
        track = f0_track(check_measurable(waveform, rate), rate, span)
        track = track.within(measures.begin, measures.begin + measures.duration)
        seconds = len(waveform) / rate
        found.append(Measured(clip, said, voice, code, seconds, measures, track))
    return found


def write_textgrids(group: Group, folder: Path) -> None:
    """Write a TextGrid for each clip: its words, and 50 ms around the middle of their vowels.

    A word is labelled by what is known of it: word, else code, else the clip's name.

    Raises:
        InputError: The folder is there and not empty.

    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"`textgrids` {folder}: is there already; name a new folder")
    for clip in dict.fromkeys(row.clip for row in group.rows):
        rows = [row for row in group.rows if row.clip == clip]
        tiers: dict[str, list[Interval]] = {"word": [], "vowel": []}
        for row in sorted(rows, key=lambda row: row.measures.begin):
            begin, middle = row.measures.begin, row.measures.vowel
            label = row.word or row.code or clip
            end = min(begin + row.measures.duration, row.seconds)
            tiers["word"].append(Interval(begin, end, label))
            if np.isfinite(middle):
                around = max(middle - MIDDLE / 2, begin), min(middle + MIDDLE / 2, end)
                tiers["vowel"].append(Interval(*around, label))
        path = folder / f"{clip}.TextGrid"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_textgrid(path, rows[0].seconds, tiers)


def _clips_of(folder: Path) -> list[Path]:
    return find_sounds(folder) if folder.is_dir() else [folder]


def _codes_of(folder: Path) -> dict[str, str]:
    """The code of each clip, by the table that `audiate generate` writes beside its sounds."""
    table = folder / "latents.csv"
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="") as file:
        return {row.get("clip", ""): row.get("code", "") for row in csv.DictReader(file)}


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


def _statistics(rows: Array) -> dict[str, dict[str, float]]:
    """Number, mean, deviation and the mean's 95 % interval (by Student's t) of each measure."""
    found = {}
    for name, column in zip(MEASURES, rows.T, strict=True):
        values = column[np.isfinite(column)]
        n, nan = len(values), float("nan")
        mean, deviation = (float(values.mean()), float(values.std())) if n else (nan, nan)
        half = float(stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5) if n > 1 else nan
        each = {"mean": mean, "deviation": deviation, "low": mean - half, "high": mean + half}
        found[name] = {"n": n, **each}
    return found


def _same(parts: Mapping[str, Array], index: int) -> float:
    """The probability of such differences among groups that are alike (Kruskal and Wallis 1952)."""
    columns = [values[:, index] for values in parts.values()]
    columns = [column[np.isfinite(column)] for column in columns]
    columns = [column for column in columns if len(column)]
    if len(columns) < 2 or len(np.unique(np.concatenate(columns))) < 2:
        return float("nan")
    return float(stats.kruskal(*columns).pvalue)


def _label_tables(group: Group) -> Iterator[Table]:
    """A table of means and intervals by word, voice and code, where they are known."""
    for label in _LABELS:
        if not (parts := group.sorted_by(label)):
            continue
        table = make_table(
            f"{group.name} by {label}: mean, 95 % interval (Student's t); p by Kruskal-Wallis",
            label,
        )
        for name in _SHOWN:
            table.add_column(f"{name} ({UNITS[name]})", justify="right")
        for name, rows in parts.items():
            found = _statistics(rows)
            table.add_row(name, *(_interval(found[measure]) for measure in _SHOWN))
        table.add_section()
        tests = [_same(parts, MEASURES.index(name)) for name in _SHOWN]
        table.add_row("p", *("-" if np.isnan(p) else f"{p:.2g}" for p in tests))
        yield table


def _interval(found: Mapping[str, float]) -> str:
    if not found["n"]:
        return "-"
    half = found["high"] - found["mean"]
    return f"{found['mean']:.4g}" + ("" if np.isnan(half) else f" ± {half:.3g}")


def _notes(group: Group) -> Iterator[str]:
    if group.voiced < LEAST_VOICED:
        yield (
            f"{group.name} whispers: {100 * group.voiced:.1f} % of its words is voiced, so its F0 "
            f"and formants are those of a few clips, and are not compared."
        )
    if group.voiceless:
        yield (
            f"{group.name}: {group.voiceless} of {len(group.rows)} have no voice of 50 ms without "
            f"a break, and hence no F0 and no formants."
        )
    for name, reason in group.skipped.items():
        yield f"{name}: cannot be measured ({reason})"


def _contours(group: Group, label: str | None) -> dict[str, Array]:
    """Contours of F0 (clips, points) of the rows with a voice, by label."""
    found: dict[str, list[Array]] = {}
    for row in group.rows:
        if row.track.stretches:
            times, f0 = row.track.times[row.track.voiced], row.track.f0[row.track.voiced]
            at = times[0] + _CONTOUR * (times[-1] - times[0])
            name = getattr(row, label) if label else group.name
            found.setdefault(name or "-", []).append(np.interp(at, times, f0))
    return {name: np.array(rows) for name, rows in sorted(found.items())}


def _text(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _cell(column: Array) -> str:
    values = column[np.isfinite(column)]
    if not len(values):
        return "-"
    spread = "" if len(values) == 1 else f" ± {values.std():.3g}"
    return f"{values.mean():.4g}{spread} ({len(values)})"
