"""Survey a folder of sounds, and of pictures of pairs, before a training."""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audiate.audio.files import SILENCE, FileForm, file_form
from audiate.audio.words import split_words
from audiate.data.digits import Clip
from audiate.data.folders import PICTURES, files_below, first_of
from audiate.data.images import load_image, picture_form
from audiate.data.sounds import list_folder, parts_of
from audiate.errors import InputError, printable
from audiate.utils.progress import tracked

_FEW = 40
_SHORT = 0.05  # seconds
_CLIPPED = 3  # samples in a row at the peak of full scale
_FAINT_DB = -45.0
_MULTIPLE = 64  # frames of SpecGAN, of 64 samples each at least


@dataclass(frozen=True)
class Survey:
    """The result of `survey`.

    Attributes:
        folder: The folder.
        seconds: Length of each file that can be read, in seconds.
        peaks: Peak level of each, in dB of full scale.
        rates: Number of files of each sample rate, in Hz.
        channels: Number of files of each number of channels.
        words: Number of files of each label.
        voices: Number of files of each speaker that names of files name.
        form: Sample rate, channels and length of clips that suit the files.
        label_from: Pattern of the files' names, where one was given.
        silent: Files without sound.
        clipped: Files with samples at full scale, several in a row.
        short: Files that are too short for a word: below 50 ms.
        copies: Groups of files that hold the same samples.
        broken: Files that cannot be read, and the reason.
        cut: Number of words that silences part, of all files together.
        pictures: Number of pictures of each size, as in 60x40; none where the folder has none.
        colourful: Number of pictures in colour.
        bare: Labels that have sounds and no picture, where others have.

    """

    folder: Path
    seconds: Sequence[float]
    peaks: Sequence[float]
    rates: Counter[int]
    channels: Counter[int]
    words: Counter[str]
    voices: Counter[str]
    form: FileForm
    label_from: str | None
    silent: Sequence[str]
    clipped: Sequence[str]
    short: Sequence[str]
    copies: Sequence[Sequence[str]]
    broken: Sequence[tuple[str, str]]
    cut: int
    pictures: Counter[str]
    colourful: int
    bare: Sequence[str]

    def to_text(self) -> str:
        """A line for each fact, and a note for each problem."""
        if not self.seconds:
            return f"{self.folder}: no file can be read ({self.broken[0][1]})"
        low, middle, high = np.percentile(self.seconds, [5, 50, 95])
        quiet, usual, loud = np.percentile(self.peaks, [5, 50, 95])
        rates = ", ".join(f"{rate:,} Hz ({count})" for rate, count in self.rates.most_common())
        kinds = {1: "mono", 2: "stereo"}
        channels = {kinds.get(n, f"{n} channels"): k for n, k in self.channels.most_common()}
        number = f"{len(self.seconds)} sound" + ("s" if len(self.seconds) > 1 else "")
        lines = [
            f"{self.folder}: {number}, {sum(self.seconds) / 60:.1f} minutes",
            f"length: {middle:.2f} s in the middle, {low:.2f} to {high:.2f} s for nine of ten",
            f"peak: {usual:.0f} dB in the middle, {quiet:.0f} to {loud:.0f} dB for nine of ten",
            f"sample rates: {rates}",
            f"channels: {_counted(channels)}",
            f"labels: {_counted(self.words)}",
            f"{self.cut:,} words with --cut-words",
        ]
        if self.voices:
            lines.append(f"voices: {_counted(self.voices)}")
        if self.pictures:
            number = f"{self.pictures.total()}, {self.colourful} in colour"
            lines.append(f"pictures: {number}: {_counted(self.pictures)}")
        lines += [f"note: {printable(note)}" for note in self._notes()]
        return "\n".join([*lines, *(f"to train{of}: {each}" for of, each in self.commands())])

    def commands(self) -> list[tuple[str, str]]:
        """Commands that train on the folder, each with what it is for.

        They train a generator of any sounds, one with a code for each word, and a model of pairs.
        """
        rate, channels, seconds = self.form
        num_samples = max(-(-round(seconds * rate) // _MULTIPLE), _MULTIPLE) * _MULTIPLE
        data = ["--data", str(self.folder)]
        if self.label_from is not None:
            data += ["--label-from", self.label_from]
        if self._hold_several():
            data.append("--cut-words")
        sizes = ["--num-samples", str(num_samples), "--channels", str(channels)]
        every = [("", ["specgan", *data, *sizes, "--sample-rate", str(rate)])]
        if len(self.words) > 1 and min(self.words.values()) > 1:  # as groups of words need
            codes = ["--codes", str(len(self.words))]
            every.append((" on words, in voices", ["coded-flow", *data, *codes]))
        if self.pictures:
            every.append((" on pairs", ["vae", "--pairs", str(self.folder)]))
        return [(of, shlex.join(["audiate", "train", *each])) for of, each in every]

    def _hold_several(self) -> bool:
        """Whether files hold several words."""
        return self.cut > 1.5 * len(self.seconds)

    def _notes(self) -> list[str]:
        notes = []
        if len(self.silent) == len(self.seconds):
            notes.append("all files are silent, so there is nothing to train on; record them again")
        elif len(self.seconds) < _FEW:
            notes.append(f"fewer than {_FEW} sounds are learnt by heart; add some, or perturb them")
        if len(self.rates) > 1:
            notes.append("sample rates differ; give `sample_rate` to a training")
        if self._hold_several():
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
            ("labels without a picture", self.bare),
        )
        for what, names in problems:
            if names:
                notes.append(f"{len(names)} {what}: {first_of(names)}")
        if broken:  # all of them, since a training needs every one of them moved away
            notes.append(f"{len(broken)} cannot be read: {', '.join(broken)}")
        return notes


def _counted(numbers: Mapping[str, int]) -> str:
    """Names with their numbers, the most frequent first."""
    found = sorted(numbers.items(), key=lambda item: -item[1])
    return first_of([f"{name} ({count})" for name, count in found], 12)


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
    looks: dict[str, tuple[Clip, _Look]] = {}
    broken, same = list[tuple[str, str]](), dict[str, list[str]]()
    for file in tracked(listed.files, f"looking at {folder}"):
        name = file.path.relative_to(folder).as_posix()
        try:
            looks[name] = file, (look := _look(file.path))
        except InputError as error:
            broken.append((name, str(error).split(": ", 1)[-1]))
            continue
        same.setdefault(look.digest, []).append(name)
    found = [look for _, look in looks.values()]
    words = Counter(listed.names[file.label] for file, _ in looks.values())
    sizes, colourful, pictured = _look_at_pictures(folder, broken)
    return Survey(
        folder,
        [look.seconds for look in found],
        [20 * float(np.log10(max(look.peak, 1e-6))) for look in found],
        Counter(look.rate for look in found),
        Counter(look.channels for look in found),
        words,
        Counter(file.speaker for file, _ in looks.values() if file.speaker),
        listed.form(),
        label_from,
        [name for name, (_, look) in looks.items() if look.peak < SILENCE],
        [name for name, (_, look) in looks.items() if look.clipped and look.peak >= SILENCE],
        [name for name, (_, look) in looks.items() if look.seconds < _SHORT],
        [group for group in same.values() if len(group) > 1],
        broken,
        sum(look.words for look in found),
        sizes,
        colourful,
        sorted(words.keys() - pictured) if sizes else [],
    )


def _look_at_pictures(
    folder: Path, broken: list[tuple[str, str]]
) -> tuple[Counter[str], int, set[str]]:
    """Count pictures by their size, and those in colour; also return the labels that have any.

    Those that cannot be read are added to ``broken``.
    """
    sizes, colourful, labels = Counter[str](), 0, set[str]()
    try:
        paths = files_below(folder, PICTURES)
    except InputError:  # there are none
        return sizes, 0, labels
    for path in tracked(paths, f"looking at pictures of {folder}"):
        place = path.relative_to(folder)
        try:
            load_image(path)
            form = picture_form(path)
        except InputError as error:
            broken.append((place.as_posix(), str(error).split(": ", 1)[-1]))
            continue
        sizes[f"{form.width}x{form.height}"] += 1
        colourful += form.colour
        labels.add(place.parts[0] if len(place.parts) > 1 else folder.resolve().name)
    return sizes, colourful, labels


class _Look(NamedTuple):
    """Facts about one file."""

    rate: int
    channels: int
    seconds: float
    peak: float
    words: int  # if it is cut at silences
    clipped: bool
    digest: str


def _look(path: Path) -> _Look:
    form = file_form(path)
    rate = form.rate
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
    return _Look(rate, form.channels, samples / rate, peak, words, clipped, digest.hexdigest())
