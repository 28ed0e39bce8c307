"""Measure the clips of a folder, or the intervals of the TextGrids beside them."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from audiate.audio.files import is_silent, load_audio, to_peak
from audiate.audio.pitch import F0_CEILING, F0_FLOOR, require_praat
from audiate.data.folders import NamePattern
from audiate.data.sounds import find_sounds
from audiate.errors import InputError
from audiate.phonetics.measures import (
    MEASURES,
    MIDDLE,
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
        why = "" if reason is None else _without_path(reason, folders[0])
        raise InputError(f"{folders[0]}: no clip can be measured ({why})")
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
            skipped[as_unicode(place.as_posix())] = _without_path(error, path)
    if not rows:
        name, reason = next(iter(skipped.items()))
        which = f"{name}: " if folder.is_dir() else ""
        raise InputError(f"{folder}: no clip can be measured ({which}{reason})")
    return Group(name or as_unicode(folder), rows, skipped)


def _without_path(error: InputError, path: Path) -> str:
    """The reason of an error, for a message that names the file already."""
    return str(error).removeprefix(f"{path}: ")


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
