"""`audiate measure`: measure clips with Praat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from audiate.errors import InputError


@dataclass(frozen=True)
class Measure:
    """Measure clips with Praat: duration, intensity, F0, formants, spectral moments, voice onset.

    Prints mean and deviation of every measure, and writes those of every clip to OUT, a CSV file.
    With --against, a second folder is measured as well, such as the recordings that a generator was
    trained on; effect sizes (Cohen's d) stand in the table, and a figure shows both. All clips are
    then measured at the lowest of their sample rates, since formants depend on it.

    The columns: duration of the word, within 30 dB of its loudest, in s; intensity of the word in
    dB of full scale; f0_mean in Hz, f0_range (5th to 95th percentile) in semitones, f0_slope in
    semitones a second; voiced, the share of the word's frames that have a pitch; f1, f2, f3 at the
    steady state in Hz; centre, deviation, skewness, kurtosis, the four moments of the spectrum, the
    first two in Hz; onset, the time from a burst to the voice in s, where there is such a burst.
    What cannot be measured in a clip is left empty, such as the pitch of a whisper.

    It needs praat-parselmouth: pip install "audiate[measures]".
    """

    folder: Positional[Annotated[Path, arg(metavar="FOLDER")]]
    """Folder of sound files, which is searched with its sub-folders, or a sound file."""
    against: Path | None = None
    """Folder to compare with."""
    same_peak: bool = False
    """Bring every clip to the same peak first. Generators are trained on clips of one peak, so
    intensities compare with those of recordings only where these have it, too."""
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
        given = {"out": self.out, "tracks": self.tracks, "figure": self.figure}
        places: dict[Path, str] = {}
        for name, path in given.items():
            if path is not None and (other := places.setdefault(path.resolve(), name)) != name:
                raise InputError(f"`{name}` {path}: is the file of `{other}`, too; name another")

    def run(self) -> int:
        """Measure, print and write; return the exit status, 2 where a clip cannot be measured."""
        from audiate.phonetics.measures_report import (
            MeasuresReport,
            common_rate,
            measure_folder,
            tracks_csv,
        )
        from audiate.utils.filesystem import writing
        from audiate.utils.reports import check_figure

        figure = self.figure or self.out.with_suffix(".png")
        check_figure(figure, "out" if self.figure is None else "figure")
        for argument, path in (("out", self.out), ("tracks", self.tracks)):
            if path is not None and path.exists() and not _is_ours(path):
                raise InputError(
                    f"{path}: is there already and was not written by this command, so it is not "
                    f"replaced; name another with `{argument}`"
                )
        folders = [self.folder] if self.against is None else [self.folder, self.against]
        rate = None if self.against is None else common_rate(folders)
        groups = [
            measure_folder(folder, same_peak=self.same_peak, sample_rate=rate) for folder in folders
        ]
        report = MeasuresReport(groups, rate)
        with writing(self.out) as partial:
            partial.write_text(report.to_csv(), encoding="utf-8")
        if self.tracks is not None:
            with writing(self.tracks, argument="tracks") as partial:
                partial.write_text(tracks_csv(self.folder), encoding="utf-8")
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
            return file.readline().startswith(("folder,clip,", "clip,seconds,"))
    except (OSError, ValueError):
        return False
