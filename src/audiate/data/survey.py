"""Survey a folder of sounds before a training: number, length, level, labels and copies."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audiate.audio.files import SILENCE, file_rate
from audiate.audio.words import split_words
from audiate.data.folders import first_of
from audiate.data.sounds import list_folder, parts_of
from audiate.errors import InputError
from audiate.utils.progress import tracked

_FEW = 40
_SHORT = 0.05  # seconds
_CLIPPED = 3  # samples in a row at the peak of full scale
_FAINT_DB = -45.0


@dataclass(frozen=True)
class Survey:
    """The result of `survey`.

    Attributes:
        folder: The folder.
        seconds: Length of each file that can be read, in seconds.
        peaks: Peak level of each, in dB of full scale.
        rates: Number of files of each sample rate, in Hz.
        words: Number of files of each label.
        silent: Files without sound.
        clipped: Files with samples at full scale, several in a row.
        short: Files that are too short for a word: below 50 ms.
        copies: Groups of files that hold the same samples.
        broken: Files that cannot be read, and the reason.
        cut: Number of words that silences part, of all files together.

    """

    folder: Path
    seconds: Sequence[float]
    peaks: Sequence[float]
    rates: Counter[int]
    words: Counter[str]
    silent: Sequence[str]
    clipped: Sequence[str]
    short: Sequence[str]
    copies: Sequence[Sequence[str]]
    broken: Sequence[tuple[str, str]]
    cut: int

    def to_text(self) -> str:
        """A line for each fact, and a note for each problem."""
        if not self.seconds:
            return f"{self.folder}: no file can be read ({self.broken[0][1]})"
        low, middle, high = np.percentile(self.seconds, [5, 50, 95])
        quiet, usual, loud = np.percentile(self.peaks, [5, 50, 95])
        rates = ", ".join(f"{rate:,} Hz ({count})" for rate, count in self.rates.most_common())
        words = [f"{word} ({count})" for word, count in self.words.most_common()]
        number = f"{len(self.seconds)} sound" + ("s" if len(self.seconds) > 1 else "")
        lines = [
            f"{self.folder}: {number}, {sum(self.seconds) / 60:.1f} minutes",
            f"length: {middle:.2f} s in the middle, {low:.2f} to {high:.2f} s for nine of ten",
            f"peak: {usual:.0f} dB in the middle, {quiet:.0f} to {loud:.0f} dB for nine of ten",
            f"sample rates: {rates}",
            f"labels: {first_of(words, 12)}",
            f"words, if cut at silences: {self.cut}",
        ]
        return "\n".join(lines + [f"note: {note}" for note in self._notes()])

    def _notes(self) -> list[str]:
        notes = []
        if len(self.silent) == len(self.seconds):
            notes.append("all files are silent, so there is nothing to train on; record them again")
        elif len(self.seconds) < _FEW:
            notes.append(f"fewer than {_FEW} sounds are learnt by heart; add some, or perturb them")
        if len(self.rates) > 1:
            notes.append("sample rates differ; give `sample_rate` to a training")
        if self.cut > 1.5 * len(self.seconds):
            notes.append("files hold several words; cut them with `cut_words`")
        if np.median(self.peaks) < _FAINT_DB:
            notes.append("the sounds are faint; trainings of ours bring all to one peak level")
        broken = [f"{name} ({reason})" for name, reason in self.broken]
        problems = (
            ("silent, and left out", self.silent),
            ("clipped: several samples in a row are at full scale", self.clipped),
            (
                "with copies of the same samples",
                [first_of(group, separator=" = ") for group in self.copies],
            ),
            ("shorter than 50 ms", self.short),
        )
        for what, names in problems:
            if names:
                notes.append(f"{len(names)} {what}: {first_of(names)}")
        if broken:  # all of them, since a training needs every one of them moved away
            notes.append(f"{len(broken)} cannot be read: {', '.join(broken)}")
        return notes


def survey(folder: Path, label_from: str | None = None) -> Survey:
    """Survey every sound file below a folder.

    Args:
        folder: The folder.
        label_from: Pattern of the files' names, as for `NamePattern`; by default labels are
            sub-folders.

    Raises:
        InputError: There is no such folder, it holds no sounds, or a name does not fit the pattern.

    """
    listed = list_folder(folder, label_from)
    seconds, peaks, silent, clipped, broken = [], [], [], [], []
    rates, words, same = Counter[int](), Counter[str](), dict[str, list[str]]()
    cut, short = 0, list[str]()
    for file in tracked(listed.files, f"looking at {folder}"):
        name = file.path.relative_to(folder).as_posix()
        try:
            look = _look(file.path)
        except InputError as error:
            broken.append((name, str(error).split(": ", 1)[-1]))
            continue
        rates[look.rate] += 1
        words[listed.names[file.label]] += 1
        seconds.append(look.seconds)
        if look.seconds < _SHORT:
            short.append(name)
        peaks.append(20 * float(np.log10(max(look.peak, 1e-6))))
        same.setdefault(look.digest, []).append(name)
        if look.peak < SILENCE:
            silent.append(name)
            continue
        cut += look.words
        if look.clipped:
            clipped.append(name)
    copies = [group for group in same.values() if len(group) > 1]
    return Survey(folder, seconds, peaks, rates, words, silent, clipped, short, copies, broken, cut)


class _Look(NamedTuple):
    """Facts about one file."""

    rate: int
    seconds: float
    peak: float
    words: int  # if it is cut at silences
    clipped: bool
    digest: str


def _look(path: Path) -> _Look:
    rate = file_rate(path)
    digest, samples, peak, words, clipped = hashlib.sha256(), 0, 0.0, 0, False
    for part in parts_of(path, None, 1):
        waveform = part[0].numpy()
        digest.update(waveform.tobytes())
        samples += len(waveform)
        loudest = float(np.abs(waveform).max())
        peak = max(peak, loudest)
        words += len(split_words(part, rate)) if loudest >= SILENCE else 0
        full = (np.abs(waveform) >= 0.999).astype(int)
        clipped |= bool(np.convolve(full, np.ones(_CLIPPED, dtype=int)).max() >= _CLIPPED)
    return _Look(rate, samples / rate, peak, words, clipped, digest.hexdigest())
