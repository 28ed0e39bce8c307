"""Read clips of one length for training: spoken digits, or the sound files of a folder.

`list_sounds` finds the files, whose digest is recorded, and `ListedSounds.read` reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio import formats
from audiate.audio.config import check_sample_rate
from audiate.audio.files import (
    MAX_FILE_SECONDS,
    FileForm,
    Recording,
    file_form,
    fit_length,
    is_hit,
    is_silent,
    load_audio,
    resample,
    whole_spans,
)
from audiate.audio.words import split_words
from audiate.data.digits import (
    Clip,
    digest_of_clips,
    digest_of_names,
    load_fsdd,
    load_speech_commands,
    split_by_speaker,
)
from audiate.data.folders import (
    FileKind,
    NamedFile,
    NamePattern,
    files_below,
    find_files,
    first_of,
)
from audiate.data.sources import DIGIT_SETS, DIGIT_WORDS
from audiate.errors import InputError
from audiate.utils.progress import note

DIGIT_RATE = 16_000
"""Sample rate to which spoken digits are brought by default, in Hz."""

SUFFIXES = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".mp3", ".mp2", ".aiff", ".aif", ".aifc"),
    *(".au", ".snd", ".caf", ".w64", ".rf64"),
    *formats.SUFFIXES,
)
"""Endings of the names of sound files."""
SOUNDS = FileKind("sound", SUFFIXES, "clip")
"""Sound files."""

STRICT = ContextVar("STRICT", default=False)
"""Whether a file of a folder that cannot be read is an error; by default it is left out."""

CUT_SECONDS = 1.024
"""Length of a spoken digit, and of a clip that is cut out of a long file by default, in seconds."""

LONGEST_SECONDS = 4.0
"""Files that are longer are cut into clips by default, in seconds."""

_FULL_SCALE = 32767
_QUIET = 0.1  # peak below which clips are stored louder
_PART = 300.0  # seconds of a long recording that are read at a time


@dataclass(frozen=True)
class SoundSet:
    """Clips of one length with their labels and sources.

    Attributes:
        samples: (count, channels, num_samples), int16: a large data set still fits in memory.
        labels: (count,), int64.
        sources: (count,), int64: the number of the data set that each clip comes from.
        names: The name of each label; a single one where clips are not labelled.
        sample_rate: In Hz.
        voices: (count,), int64: the number of the speaker of each clip; None where it is unknown.
        gains: (count,), peaks by which quiet clips were divided, so that 16 bits are enough for
            them; None where there are none.

    """

    samples: Tensor
    labels: Tensor
    sources: Tensor
    names: tuple[str, ...]
    sample_rate: int
    voices: Tensor | None = None
    gains: Tensor | None = None

    def waveforms(self, index: Tensor) -> Tensor:
        """Clips by number (batch,), as (batch, channels, num_samples), float32 in [-1, 1]."""
        found = self.samples[index].float() / _FULL_SCALE
        return found if self.gains is None else found * self.gains[index].view(-1, 1, 1)


@dataclass(frozen=True)
class ListedSounds:
    """Sound files that were found but not yet read.

    Attributes:
        files: The files.
        names: The name of each label.
        folder: The user's folder in which they lie; None for spoken digits. A file of a folder that
            is longer than a clip is cut into several, a spoken digit to the length of one clip.
        cut_words: Whether the files of a folder are cut at silences, into words.

    """

    files: Sequence[Clip]
    names: tuple[str, ...]
    folder: Path | None = None
    cut_words: bool = False

    def form(self) -> FileForm:
        """The sample rate, the channels and the length that suit the files, as their headers say.

        It is the rate of most of them, 2 channels where more than a twentieth of them are in
        stereo, and the length of all but the longest twentieth, or `CUT_SECONDS` where files are so
        long that they are cut.
        """
        if self.folder is None:
            return FileForm(DIGIT_RATE, 1, CUT_SECONDS)
        forms = []
        for file in self.files:
            with suppress(InputError):  # `read` reports all broken files together
                forms.append(file_form(file.path))
        if not forms:
            return FileForm(DIGIT_RATE, 1, CUT_SECONDS)
        usual = -1 - len(forms) // 20  # place of the largest value but for a twentieth
        seconds = sorted(each.seconds for each in forms)[usual]
        cut = self.cut_words or seconds > LONGEST_SECONDS
        return FileForm(
            Counter(each.rate for each in forms).most_common(1)[0][0],
            min(sorted(each.channels for each in forms)[usual], 2),
            CUT_SECONDS if cut else seconds,
        )

    @property
    def digest(self) -> str:
        """Digest of the files' names, whatever the order of spoken digits."""
        if self.folder is None:
            return digest_of_clips(self.files)
        return digest_of_names([f.path.relative_to(self.folder).as_posix() for f in self.files])

    def read(
        self,
        *,
        num_samples: int,
        sample_rate: int | None = None,
        channels: int = 1,
        speeds: Sequence[float] = (),
    ) -> SoundSet:
        """Read the files, and leave out silent clips.

        Args:
            num_samples: Number of samples of a clip.
            sample_rate: In Hz. The default is `DIGIT_RATE` for spoken digits, and for a folder the
                rate that all its files have.
            channels: 1 or 2.
            speeds: Add each clip at these multiples of its speed, as if it came from the same file.

        Raises:
            InputError: A spoken digit, or all files of a folder, cannot be read, or with `STRICT`
                one of them; or all files of a label are silent or broken.

        """
        rate = sample_rate or (_common_rate(self.files) if self.folder else DIGIT_RATE)
        check_sample_rate(rate, "`sample_rate`")
        voices = sorted({file.speaker for file in self.files})
        samples: list[Tensor] = []
        gains: list[float] = []
        read: list[Clip] = []
        broken: list[tuple[Path, InputError]] = []
        for file in self.files:
            try:
                parts = list(parts_of(file.path, rate, channels))
            except InputError as error:
                if self.folder is None or STRICT.get():
                    raise
                broken.append((file.path, error))
                continue
            for whole in parts:
                for clip in self._clips(whole, rate, num_samples, speeds):
                    sample, gain = in_16_bits(clip)
                    samples.append(sample)
                    gains.append(gain)
                    read.append(file)
        self._check(broken, read)
        return SoundSet(
            torch.stack(samples),
            torch.tensor([file.label for file in read]),
            torch.tensor([file.source for file in read]),
            self.names,
            rate,
            torch.tensor([voices.index(file.speaker) for file in read])
            if self.folder is None or len(voices) > 1
            else None,
            torch.tensor(gains) if min(gains) < 1 else None,
        )

    def _clips(
        self, whole: Tensor, rate: int, num_samples: int, speeds: Sequence[float]
    ) -> Iterator[Tensor]:
        """The clips (channels, num_samples) of a waveform (channels, samples), at all speeds."""
        if self.folder is None and is_silent(whole.flatten()):
            return
        for part in split_words(whole, rate) if self.cut_words else [whole]:
            for played in at_speeds(part, rate, speeds):
                if self.folder is None:
                    yield fit_length(played, num_samples)
                else:
                    yield from _cut(played, num_samples, rate)

    def _check(self, broken: Sequence[tuple[Path, InputError]], read: Sequence[Clip]) -> None:
        """Name files that could not be read, and make sure that there are clips of each label.

        Raises:
            InputError: There are none.

        """
        if self.folder is None:
            if not read:
                raise InputError(
                    f"{self.files[0].path}: silent, as are all clips beside it; fetch a fresh copy"
                )
            return
        if broken:
            names = [path.relative_to(self.folder).as_posix() for path, _ in broken]
            told = (
                f"{self.folder}: {len(names)} of {len(self.files)} files cannot be read: "
                f"{first_of(names)}"
            )
            look = f"`audiate data look {self.folder}` lists all, with reasons"
            if not read:
                raise InputError(f"{told}; mend them ({look})")
            note(f"{told}; the others are used ({look})")
        silent = set(range(len(self.names))) - {file.label for file in read}
        if silent:
            one = len(self.names) == 1
            where = self.folder if one else self.folder / self.names[min(silent)]
            raise InputError(
                f"{where}: none of its sound files can be used, as they are silent or broken; take "
                f"it away, or fill it"
            )


def parts_of(path: Path, rate: int | None, channels: int) -> Iterator[Tensor]:
    """The parts (channels, samples) of a sound file: a single one, unless it lasts many minutes.

    Args:
        path: The file.
        rate: Sample rate to which they are brought, in Hz; None for the file's own.
        channels: Number of channels.

    Raises:
        InputError: The file cannot be read.

    """
    file = Recording(str(path), path)
    for span in whole_spans(file, _PART):
        part = replace(file, span=span)
        yield load_audio(part, rate, channels=channels, longest=MAX_FILE_SECONDS)[0]


def at_speeds(waveform: Tensor, rate: int, speeds: Sequence[float]) -> Iterator[Tensor]:
    """Yield a waveform (channels, samples), then the same at multiples of its speed."""
    yield waveform
    for speed in speeds:
        yield torch.stack([resample(channel, round(rate * speed), rate) for channel in waveform])


def in_16_bits(clip: Tensor) -> tuple[Tensor, float]:
    """A clip (channels, samples) as int16, and the gain that was taken from it.

    A quiet clip is divided by its peak first, so that it keeps its precision.
    """
    peak = float(clip.abs().max())
    gain = peak if 0 < peak < _QUIET else 1.0
    return ((clip / gain).clamp(-1, 1) * _FULL_SCALE).round().to(torch.int16), gain


def list_sounds(
    data: Sequence[str],
    root: Path,
    held_out_speaker: str | None = None,
    *,
    label_from: str | None = None,
    cut_words: bool = False,
) -> ListedSounds:
    """Find the clips that ``data`` names.

    Args:
        data: Names of data sets of spoken digits, or a single folder of sound files.
        root: The data folder, in which the data sets are.
        held_out_speaker: Leave out this speaker of FSDD.
        label_from: Pattern of the names of a folder's files, as for `NamePattern`.
        cut_words: Cut the files of a folder at silences, into words.

    Raises:
        InputError: A data set is missing, or there is no such folder, or a file's name does not
            fit the pattern.

    """
    if set(data) <= set(DIGIT_SETS):
        for option, given in (("label_from", label_from), ("cut_words", cut_words)):
            if given:
                raise InputError(f"`{option}`: is for a folder of files; leave it out")
        return list_digits(digit_clips(root, data, held_out_speaker))
    names = " ".join(data)
    if len(data) > 1:
        raise InputError(
            f"`data` {names}: give one folder, or one or more of {', '.join(DIGIT_SETS)}"
        )
    folder = Path(names)
    if not folder.exists():
        raise InputError(
            f"`data` {names}: no such folder, and none of {', '.join(DIGIT_SETS)} either"
        )
    return list_folder(folder, label_from, cut_words=cut_words)


def list_digits(parts: Sequence[Sequence[Clip]]) -> ListedSounds:
    """Make `ListedSounds` of the clips of each data set of spoken digits."""
    files = [replace(clip, source=source) for source, clips in enumerate(parts) for clip in clips]
    return ListedSounds(files, DIGIT_WORDS)


def list_folder(
    folder: Path, label_from: str | None = None, *, cut_words: bool = False
) -> ListedSounds:
    """Find the sound files below a user's folder, labelled by their sub-folders.

    A file that lies in the folder itself is labelled with the folder's name.

    Args:
        folder: The folder.
        label_from: Pattern of the files' names that gives labels in place of sub-folders, as for
            `NamePattern`.
        cut_words: Cut the files at silences, into words.

    Raises:
        InputError: There is no such folder or no sound file in it, or a file's name does not fit
            the pattern.

    """
    pattern = None if label_from is None else NamePattern(label_from)
    paths = find_sounds(folder)
    if pattern is None:
        home = folder.resolve().name
        places = [path.relative_to(folder).parts for path in paths]
        named = [NamedFile(place[0] if len(place) > 1 else home, None) for place in places]
    else:
        named = [pattern.read(path) for path in paths]
    names = sorted({file.word for file in named})
    files = [
        Clip(path, names.index(file.word), file.voice or "")
        for path, file in zip(paths, named, strict=True)
    ]
    return ListedSounds(files, tuple(names), folder, cut_words)


def digit_clips(
    root: Path, data: Sequence[str], held_out_speaker: str | None = None
) -> list[list[Clip]]:
    """List the train clips of each data set of spoken digits that ``data`` names.

    Raises:
        InputError: A data set is unknown or missing.

    """
    parts = []
    for name in data:
        match name:
            case "speech_commands":
                parts.append(load_speech_commands(root, "train"))
            case "fsdd":
                clips = load_fsdd(root)
                if held_out_speaker is not None:
                    clips, _ = split_by_speaker(clips, held_out_speaker)
                parts.append(clips)
            case _:
                raise InputError(f"`data` {name}: is none of {', '.join(DIGIT_SETS)}")
    return parts


def find_sounds(folder: Path) -> list[Path]:
    """List the sound files below a folder, sorted; hidden ones are left out.

    Raises:
        InputError: It is no folder, or there is no sound file in it.

    """
    return files_below(folder, SOUNDS)


def find_clips(
    given: Sequence[str | Path], out: Path, reserved: Sequence[str] = ()
) -> list[tuple[str, Path]]:
    """Find sound files, each once, as `audiate.data.folders.find_files` finds files."""
    return find_files(given, out, SOUNDS, reserved)


def _common_rate(files: Sequence[Clip]) -> int:
    """The sample rate of all files that can be read, in Hz."""
    rates = {}
    for file in files:
        with suppress(InputError):  # `read` reports all broken files together
            rates[file.path] = file_form(file.path).rate
    found, first = next(iter(rates.items()), (None, DIGIT_RATE))
    for path, rate in rates.items():
        if rate != first:
            raise InputError(
                f"{path}: {rate:,} Hz, but {found} has {first:,} Hz; give `sample_rate` to "
                f"bring all clips to one rate"
            )
    return first


def _cut(waveform: Tensor, num_samples: int, rate: int) -> list[Tensor]:
    """A file's clips (channels, num_samples); the last is kept if it is at least half full.

    Hits of drums begin with the clip, and all else is in its middle.
    """
    if waveform.shape[1] < 1.5 * num_samples and is_hit(waveform, rate):
        hit = fit_length(waveform, num_samples, start=True)
        return [] if is_silent(hit.flatten()) else [hit]
    parts: Sequence[Tensor] = [waveform]
    if waveform.shape[1] >= 1.5 * num_samples:
        parts = torch.split(waveform, num_samples, 1)
        parts = [part for part in parts if part.shape[1] >= num_samples / 2]
    clips = [fit_length(part, num_samples) for part in parts]
    return [clip for clip in clips if not is_silent(clip.flatten())]
