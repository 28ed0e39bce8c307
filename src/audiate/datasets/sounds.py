"""Clips of one length to train a judge or a generator on: spoken digits, or a user's own folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio import file_rate, fit_length, is_silent, load_channels
from audiate.datasets.clips import Clip
from audiate.datasets.fsdd import load_fsdd, split_by_speaker
from audiate.datasets.sources import DIGIT_WORDS
from audiate.datasets.speech_commands import load_speech_commands
from audiate.errors import InputError

DIGIT_SETS = ("speech_commands", "fsdd")
"""The data sets of spoken digits; "+" between two of them is a mixture."""

_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".aifc", ".au")
_FULL_SCALE = 32767


@dataclass(frozen=True)
class SoundSet:
    """Clips of one length, what is heard in them, and where they come from.

    Attributes:
        samples: (count, channels, num_samples), int16: a large data set still fits in memory.
        labels: (count,), int64.
        sources: (count,), int64: which data set of a mixture.
        names: What each label means; a single one where clips are not labelled.
        sample_rate: In Hz.

    """

    samples: Tensor
    labels: Tensor
    sources: Tensor
    names: tuple[str, ...]
    sample_rate: int

    def waveforms(self, index: Tensor) -> Tensor:
        """Clips by number (batch,), as (batch, channels, num_samples), float32 in [-1, 1]."""
        return self.samples[index].float() / _FULL_SCALE


def digit_clips(root: Path, data: str, held_out_speaker: str | None = None) -> list[list[Clip]]:
    """The train clips of each data set that ``data`` names, with "+" between them.

    Raises:
        InputError: One is unknown or not there.

    """
    parts = []
    for name in data.split("+"):
        match name:
            case "speech_commands":
                parts.append(load_speech_commands(root, "train"))
            case "fsdd":
                clips = load_fsdd(root)
                if held_out_speaker is not None:
                    clips, _ = split_by_speaker(clips, held_out_speaker)
                parts.append(clips)
            case _:
                raise InputError(f"--data {data}: {name} is none of {', '.join(DIGIT_SETS)}")
    return parts


def load_digits(
    parts: Sequence[Sequence[Clip]], *, sample_rate: int, num_samples: int, channels: int = 1
) -> SoundSet:
    """Read spoken digits, each data set's clips apart; silent ones are left out.

    Raises:
        InputError: A clip cannot be read, or all are silent.

    """
    samples, labels, sources = [], [], []
    for source, clips in enumerate(parts):
        for clip in clips:
            waveform = load_channels(clip.path, channels, sample_rate)
            if not is_silent(waveform.flatten()):
                samples.append(_stored(fit_length(waveform, num_samples)))
                labels.append(clip.label)
                sources.append(source)
    if not samples:
        raise InputError(
            f"{parts[0][0].path}: silent, as are all clips beside it; fetch a fresh copy"
        )
    return SoundSet(
        torch.stack(samples), torch.tensor(labels), torch.tensor(sources), DIGIT_WORDS, sample_rate
    )


def find_sounds(folder: Path) -> list[Path]:
    """The sound files below a folder, sorted; hidden ones left out.

    Raises:
        InputError: It is no folder, or there is none in it.

    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; name a folder of sound files")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise InputError(
            f"{folder}: holds no sound file ({', '.join(_SUFFIXES)}); name a folder of sounds"
        )
    return found


def load_folder(
    folder: Path, *, num_samples: int, sample_rate: int | None = None, channels: int = 1
) -> SoundSet:
    """Read a user's own folder of sounds, labelled by its sub-folders, if it has any.

    A file that is longer than a clip is cut into several; silent clips are left out.

    Args:
        folder: Searched with its sub-folders; each of these is a label, and so is the folder itself
            where sounds lie there as well.
        num_samples: Of a clip.
        sample_rate: In Hz; what all files have by default.
        channels: 1 or 2.

    Raises:
        InputError: No sounds there, or silent ones only; one cannot be read; or they have
            different sample rates and ``sample_rate`` was not given.

    """
    paths = find_sounds(folder)
    rate = sample_rate or _common_rate(paths)
    groups = [
        path.relative_to(folder).parts[0] if path.parent != folder else folder.resolve().name
        for path in paths
    ]
    names = tuple(sorted(set(groups)))
    samples, labels = [], []
    for path, group in zip(paths, groups, strict=True):
        for clip in _cut(load_channels(path, channels, rate), num_samples):
            samples.append(_stored(clip))
            labels.append(names.index(group))
    silent = set(range(len(names))) - set(labels)
    if silent:
        where = folder if len(names) == 1 else folder / names[min(silent)]
        raise InputError(f"{where}: all of its sound files are silent; take it away, or fill it")
    labelled = torch.tensor(labels)
    return SoundSet(torch.stack(samples), labelled, torch.zeros_like(labelled), names, rate)


def _common_rate(paths: Sequence[Path]) -> int:
    first = file_rate(paths[0])
    for path in paths:
        rate = file_rate(path)
        if rate != first:
            raise InputError(
                f"{path}: {rate:,} Hz, but {paths[0]} has {first:,} Hz; give --sample-rate to "
                f"bring all clips to one rate"
            )
    return first


def _cut(waveform: Tensor, num_samples: int) -> list[Tensor]:
    """A file's clips (channels, num_samples): the last is kept if it is half full."""
    if waveform.shape[1] < 1.5 * num_samples:
        parts = [fit_length(waveform, num_samples)]
    else:
        parts = [
            fit_length(part, num_samples)
            for part in torch.split(waveform, num_samples, 1)
            if part.shape[1] >= num_samples / 2
        ]
    return [part for part in parts if not is_silent(part.flatten())]


def _stored(waveform: Tensor) -> Tensor:
    return (waveform.clamp(-1, 1) * _FULL_SCALE).round().to(torch.int16)
