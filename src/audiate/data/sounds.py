"""Clips of one length to train a classifier or a generator on: spoken digits, or a user's folder.

`list_sounds` finds the clips, and tells with a digest which ones they are; `read` then reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from audiate.audio import formats
from audiate.audio.config import check_sample_rate
from audiate.audio.files import file_rate, fit_length, is_silent, load_channels, resample
from audiate.audio.words import split_words
from audiate.data.digits import (
    Clip,
    digest_of_clips,
    digest_of_names,
    load_fsdd,
    load_speech_commands,
    split_by_speaker,
)
from audiate.data.folders import FileKind, NamedFile, NamePattern, files_below, find_files
from audiate.data.sources import DIGIT_SETS, DIGIT_WORDS
from audiate.errors import InputError

DIGIT_RATE = 16_000
"""Sample rate to which spoken digits are brought by default, in Hz."""

SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".aifc", ".au"),
    *formats.SUFFIXES,
)
"""Endings of the names of sound files."""
SOUNDS = FileKind("sound", SUFFIXES, "clip")
"""Sound files, as a folder is searched for them."""

_FULL_SCALE = 32767
_NAMED = 5  # files that a message names


@dataclass(frozen=True)
class SoundSet:
    """Clips of one length with their labels and sources.

    Attributes:
        samples: (count, channels, num_samples), int16: a large data set still fits in memory.
        labels: (count,), int64.
        sources: (count,), int64: the number of the data set that each clip comes from.
        names: The meaning of each label; a single name where clips are not labelled.
        sample_rate: In Hz.
        voices: (count,), int64: the number of the speaker of each clip; None where nothing tells.

    """

    samples: Tensor
    labels: Tensor
    sources: Tensor
    names: tuple[str, ...]
    sample_rate: int
    voices: Tensor | None = None

    def waveforms(self, index: Tensor) -> Tensor:
        """Clips by number (batch,), as (batch, channels, num_samples), float32 in [-1, 1]."""
        return self.samples[index].float() / _FULL_SCALE


class ListedSounds(Protocol):
    """Clips that were found but not yet read."""

    @property
    def digest(self) -> str:
        """A few words that tell these clips from others."""
        ...

    def read(
        self,
        *,
        num_samples: int,
        sample_rate: int | None = None,
        channels: int = 1,
        speeds: Sequence[float] = (),
    ) -> SoundSet:
        """Read the clips, and leave out silent ones.

        Args:
            num_samples: Number of samples of a clip.
            sample_rate: In Hz. The default is `DIGIT_RATE` for spoken digits, and for a folder the
                rate that all its files have.
            channels: 1 or 2.
            speeds: Add each clip at these multiples of its speed, as if it came from the same file.

        Raises:
            InputError: A clip cannot be read, or all are silent.

        """
        ...


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
        return DigitClips(digit_clips(root, data, held_out_speaker))
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
    pattern = None if label_from is None else NamePattern(label_from)
    return FolderClips(folder, tuple(find_sounds(folder)), pattern, cut_words)


@dataclass(frozen=True)
class DigitClips:
    """Spoken digits that were found but not yet read.

    Attributes:
        parts: The clips of each data set.

    """

    parts: Sequence[Sequence[Clip]]

    @property
    def digest(self) -> str:
        """A few words that tell these clips from others."""
        return digest_of_clips(clip for part in self.parts for clip in part)

    def read(
        self,
        *,
        num_samples: int,
        sample_rate: int | None = None,
        channels: int = 1,
        speeds: Sequence[float] = (),
    ) -> SoundSet:
        """Read the clips, each labelled with its digit; see `ListedSounds.read`."""
        rate = sample_rate or DIGIT_RATE
        samples, labels, sources, voices = [], [], [], []
        speakers = sorted({clip.speaker for part in self.parts for clip in part})
        for source, clips in enumerate(self.parts):
            for clip in clips:
                waveform = load_channels(clip.path, channels, rate)
                if is_silent(waveform.flatten()):
                    continue
                for played in _at_speeds(waveform, rate, speeds):
                    samples.append(_stored(fit_length(played, num_samples)))
                    labels.append(clip.label)
                    sources.append(source)
                    voices.append(speakers.index(clip.speaker))
        if not samples:
            raise InputError(
                f"{self.parts[0][0].path}: silent, as are all clips beside it; fetch a fresh copy"
            )
        return SoundSet(
            torch.stack(samples),
            torch.tensor(labels),
            torch.tensor(sources),
            DIGIT_WORDS,
            rate,
            torch.tensor(voices),
        )


@dataclass(frozen=True)
class FolderClips:
    """The sound files of a user's folder, found but not yet read.

    Attributes:
        folder: The folder.
        paths: The sound files in it and below it.
        pattern: What the files' names tell, in place of sub-folders.
        cut_words: Whether files are cut at silences, into words.

    Raises:
        InputError: A file's name does not fit the pattern.

    """

    folder: Path
    paths: Sequence[Path]
    pattern: NamePattern | None = None
    cut_words: bool = False

    def __post_init__(self) -> None:
        self.names_of_files()

    @property
    def digest(self) -> str:
        """A few words that tell these files from others."""
        return digest_of_names([path.relative_to(self.folder).as_posix() for path in self.paths])

    def names_of_files(self) -> list[NamedFile]:
        """The label, and the voice where one is told, of each file."""
        if self.pattern is not None:
            return [self.pattern.read(path) for path in self.paths]
        home = self.folder.resolve().name
        return [
            NamedFile(
                path.relative_to(self.folder).parts[0] if path.parent != self.folder else home, None
            )
            for path in self.paths
        ]

    def read(
        self,
        *,
        num_samples: int,
        sample_rate: int | None = None,
        channels: int = 1,
        speeds: Sequence[float] = (),
    ) -> SoundSet:
        """Read the files, labelled by the sub-folder they are in, or by the pattern of their names.

        A file that is longer than a clip is cut into several, or into words. A file that lies in
        the folder itself is labelled with the folder's name. See `ListedSounds.read`; besides,
        files of different sample rates are refused if ``sample_rate`` is not given.
        """
        folder, rate = self.folder, sample_rate or _common_rate(self.paths)
        check_sample_rate(rate, "`sample_rate`")
        told = self.names_of_files()
        names = tuple(sorted({file.word for file in told}))
        speakers = sorted({file.voice or "" for file in told})
        samples, labels, voices = [], [], []
        broken: list[tuple[Path, InputError]] = []
        for path, file in zip(self.paths, told, strict=True):
            try:
                whole = load_channels(path, channels, rate)
            except InputError as error:
                broken.append((path, error))
                continue
            parts = split_words(whole, rate) if self.cut_words else [whole]
            for played in (each for part in parts for each in _at_speeds(part, rate, speeds)):
                for clip in _cut(played, num_samples):
                    samples.append(_stored(clip))
                    labels.append(names.index(file.word))
                    voices.append(speakers.index(file.voice or ""))
        if broken:
            raise self._unreadable(broken)
        silent = set(range(len(names))) - set(labels)
        if silent:
            where = folder if len(names) == 1 else folder / names[min(silent)]
            raise InputError(
                f"{where}: all of its sound files are silent; take it away, or fill it"
            )
        labelled = torch.tensor(labels)
        return SoundSet(
            torch.stack(samples),
            labelled,
            torch.zeros_like(labelled),
            names,
            rate,
            torch.tensor(voices) if len(speakers) > 1 else None,
        )

    def _unreadable(self, broken: Sequence[tuple[Path, InputError]]) -> InputError:
        """Tell how many files cannot be read, and the first of them."""
        if len(broken) == 1:
            return InputError(f"{broken[0][1]}, or move it away")
        names = [path.relative_to(self.folder).as_posix() for path, _ in broken]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return InputError(
            f"{self.folder}: {len(names)} of {len(self.paths)} files cannot be read: "
            f"{', '.join(names[:_NAMED])}{more}; move them away, or mend them "
            f"(`audiate data look {self.folder}` lists all, with reasons)"
        )


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


def _common_rate(paths: Sequence[Path]) -> int:
    """The sample rate of all files that can be read, in Hz."""
    rates = {}
    for path in paths:
        with suppress(InputError):  # whoever reads the files then tells of all that are broken
            rates[path] = file_rate(path)
    found, first = next(iter(rates.items()), (None, DIGIT_RATE))
    for path, rate in rates.items():
        if rate != first:
            raise InputError(
                f"{path}: {rate:,} Hz, but {found} has {first:,} Hz; give `sample_rate` to "
                f"bring all clips to one rate"
            )
    return first


def _cut(waveform: Tensor, num_samples: int) -> list[Tensor]:
    """A file's clips (channels, num_samples); the last is kept if it is at least half full."""
    if waveform.shape[1] < 1.5 * num_samples:
        parts = [fit_length(waveform, num_samples)]
    else:
        parts = [
            fit_length(part, num_samples)
            for part in torch.split(waveform, num_samples, 1)
            if part.shape[1] >= num_samples / 2
        ]
    return [part for part in parts if not is_silent(part.flatten())]


def _at_speeds(waveform: Tensor, rate: int, speeds: Sequence[float]) -> Iterator[Tensor]:
    """A waveform (channels, samples), then the same at multiples of its speed, resampled."""
    yield waveform
    for speed in speeds:
        yield torch.stack([resample(channel, round(rate * speed), rate) for channel in waveform])


def _stored(waveform: Tensor) -> Tensor:
    return (waveform.clamp(-1, 1) * _FULL_SCALE).round().to(torch.int16)
