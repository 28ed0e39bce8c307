"""Acoustic measures of folders of clips, such as generated and real ones, as a report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy  # whose parts are imported on first use
from matplotlib.figure import Figure
from rich.table import Table

from audiate.phonetics.measure_folder import Group, MeasureOptions
from audiate.phonetics.measures import LEAST_VOICED, MEASURES, UNITS, Array
from audiate.utils.reports import FigureReport, csv_text, make_table

_SHOWN = ("duration", "intensity", "f0_median", "f1", "f2", "centre")
_OF_VOICE = ("f0_mean", "f0_median", "f0_range", "f0_slope", "f1", "f2", "f3")
_LABELS = ("word", "voice", "code")
_CONTOUR = np.linspace(0, 1, 21)  # shares of the voiced part at which contours are compared


@dataclass(frozen=True)
class MeasuresReport(FigureReport):
    """The measures of one folder, beside those of another.

    Attributes:
        groups: The folder, and the one that it is compared with, if any.
        options: How they were measured.

    """

    groups: Sequence[Group]
    options: MeasureOptions = field(default_factory=MeasureOptions)

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
            f"of 50 ms around the column vowel. Columns begin and vowel are times from the clip's "
            f"start.{rate}"
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
        half = (
            float(scipy.stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5) if n > 1 else nan
        )
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
    return float(scipy.stats.kruskal(*columns).pvalue)


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
