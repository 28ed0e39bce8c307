"""`audiate measure`: measure clips with Praat."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from audiate.errors import InputError, check_range

_OPTIONS = ("f0", "formant_ceiling", "same_peak", "label_from", "tier", "onset_words")


def parse_range(text: str) -> tuple[float, float]:
    """Floor and ceiling in Hz, of a text such as 75:400.

    Raises:
        InputError: It is no such thing.

    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?):(\d+(?:\.\d*)?)", text.strip())
    if match is None:
        raise InputError(f"`f0` {text}: give floor and ceiling in Hz, as in 75:400")
    return float(match[1]), float(match[2])


_RANGE = PrimitiveConstructorSpec[tuple[float, float] | None](
    nargs=1,
    metavar="HZ:HZ",
    instance_from_str=lambda words: parse_range(words[0]),
    is_instance=lambda value: value is None or isinstance(value, tuple),
    str_from_instance=lambda value: [":".join(map(str, value or ()))],
)


@dataclass(frozen=True)
class Measure:
    """Measure clips with Praat: duration, intensity, F0, formants, spectral moments, voice onset.

    Prints mean and deviation of every measure, and writes those of every clip to OUT, a CSV file.
    Where words, voices or codes of the clips are known, a table of each gives means with intervals,
    OUT-groups.csv has them for every measure, and the figure shows contours of F0. With --against,
    a second folder is measured as well, such as the recordings that a generator was trained on;
    effect sizes (Cohen's d) stand in the table, and a figure shows both. All clips are then
    measured at the lowest of their sample rates, since formants depend on it.

    Where a TextGrid lies beside a clip, its labelled intervals are measured in place of the clip,
    such as vowels. The columns: clip, as in other commands; word (label of the interval, by
    --label-from, or the sub-folder), voice, code (of the sounds of `audiate generate`); begin and
    duration of the word, within 30 dB of its loudest, in s, the first from the clip's start;
    intensity of the word in dB of full scale; f0_mean and f0_median in Hz, f0_range (5th to 95th
    percentile) in semitones, f0_slope in semitones a second, f0_floor and f0_ceiling, between which
    it was looked for; voiced, the share of the word's frames that have a pitch; vowel, the time of
    the vowel's middle in s from the clip's start; f1, f2, f3 there in Hz, and formant_ceiling;
    centre, deviation, skewness, kurtosis, the four moments of the spectrum, the first two in Hz;
    onset, the time from a stop's burst to the voice in s, and its confidence. What cannot be
    measured in a clip is left empty, such as the pitch of a whisper.

    It needs praat-parselmouth: pip install "audiate[measures]".
    """

    folder: Positional[Annotated[Path, arg(metavar="FOLDER")]]
    """Folder of sound files, which is searched with its sub-folders, or a sound file."""
    against: Path | None = None
    """Folder to compare with."""
    same_peak: bool = False
    """Bring every clip to the same peak first. Generators are trained on clips of one peak, so
    intensities compare with those of recordings only where these have it, too."""
    f0: Annotated[tuple[float, float] | None, _RANGE] = None
    """Floor and ceiling of F0 in Hz, as in 75:400, or 500:8000 for birdsong. Default: 60:600, then
    around what was found in the voice or the clip (De Looze and Hirst 2008)."""
    formant_ceiling: float | None = None
    """Limit of five formants in Hz. Default: 5000 for low voices to 5500 for high ones, by F0."""
    label_from: str | None = None
    """Pattern of the clips' names that tells word and voice, as in '{word}_{voice}*'."""
    onset_words: tuple[str, ...] = ()
    """Words that begin with a stop: voice onset is measured in these, and in no other. Default:
    wherever the burst is clear."""
    tier: str | None = None
    """Tier of the TextGrids whose intervals are measured. Default: the first one."""
    textgrids: Path | None = None
    """New folder for TextGrids of words and of the vowels' middles."""
    out: Path = Path("out/measures.csv")
    """CSV file for the measures of every clip."""
    tracks: Path | None = None
    """CSV file for the F0 of every clip in FOLDER over time."""
    figure: Path | None = None
    """PNG file for the figure. Default: beside OUT, with its name."""
    json: bool = False
    """Print JSON in place of the table."""

    def __post_init__(self) -> None:
        if self.out.is_dir() or not self.out.name:
            raise InputError(f"`out` {self.out}: is a folder; name a CSV file")
        if self.f0 is not None:
            check_range("`f0`", self.f0[0], 10, 20_000)
            check_range("`f0`", self.f0[1], 11, 48_000)
            if self.f0[0] >= self.f0[1]:
                floor, ceiling = self.f0
                raise InputError(f"`f0` {floor:g}:{ceiling:g}: give the lower frequency first")
        if self.formant_ceiling is not None:
            check_range("`formant_ceiling`", self.formant_ceiling, 1_000, 48_000)
        given = {"out": self.out, "tracks": self.tracks, "figure": self.figure}
        places: dict[Path, str] = {}
        for name, path in given.items():
            if path is not None and (other := places.setdefault(path.resolve(), name)) != name:
                raise InputError(f"`{name}` {path}: is the file of `{other}`, too; name another")

    def run(self) -> int:
        """Measure, print and write; return the exit status, 2 where a clip cannot be measured."""
        from audiate.phonetics.measure_folder import (
            MeasureOptions,
            common_rate,
            measure_folder,
            write_textgrids,
        )
        from audiate.phonetics.measures_report import MeasuresReport
        from audiate.utils.filesystem import writing
        from audiate.utils.reports import check_figure

        figure = self.figure or self.out.with_suffix(".png")
        by_label = self.out.with_name(f"{self.out.stem}-groups.csv")
        check_figure(figure, "out" if self.figure is None else "figure")
        for argument, path in (("out", self.out), ("tracks", self.tracks), ("out", by_label)):
            if path is not None and path.exists() and not _is_ours(path):
                raise InputError(
                    f"{path}: is there already and was not written by this command, so it is not "
                    f"replaced; name another with `{argument}`"
                )
        folders = [self.folder] if self.against is None else [self.folder, self.against]
        options = MeasureOptions(
            **{name: getattr(self, name) for name in _OPTIONS},
            sample_rate=None if self.against is None else common_rate(folders),
        )
        report = MeasuresReport(
            [measure_folder(folder, options=options) for folder in folders], options
        )
        texts = {self.out: report.to_csv(), by_label: report.groups_to_csv()}
        if self.tracks is not None:
            texts[self.tracks] = report.tracks_to_csv()
        for path, text in texts.items():
            with writing(path) as partial:
                partial.write_text(text, encoding="utf-8")
        if self.textgrids is not None:
            write_textgrids(report.groups[0], self.textgrids)
        report.save_figure(figure)
        print(report.to_json() if self.json else report.to_text())
        if not self.json:
            tracks = "" if self.tracks is None else f"; F0 over time: {self.tracks}"
            print(f"every clip: {self.out}; figure: {figure}{tracks}")
        return 2 if any(group.skipped for group in report.groups) else 0


def _is_ours(path: Path) -> bool:
    """Whether a file begins as the tables of this command do."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().startswith(("folder,clip,", "folder,by,", "clip,seconds,"))
    except (OSError, ValueError):
        return False
