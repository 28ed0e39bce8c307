"""Read published recordings and images of digits: FSDD, Speech Commands and MNIST."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiate.audio.files import is_silent, load_audio
from audiate.data.sources import DIGIT_WORDS, SPEAKERS, fetch_command, require
from audiate.errors import InputError


@dataclass(frozen=True)
class Clip:
    """A recording with its label.

    Attributes:
        path: Its sound file.
        label: The digit that is spoken, 0 to 9; in `audiate.data.sounds.ListedSounds`, an index
            into its names.
        speaker: The name or number of the speaker; empty where it is unknown.
        source: Number of the data set.

    """

    path: Path
    label: int
    speaker: str
    source: int = 0


ValidationPart = Literal["all", "choices", "reports"]
"""Parts of the validation clips; see `validation_part`."""


class LabelledRecordings(NamedTuple):
    """Waveforms (samples,), float32 in [-1, 1], their digits and the numbers of their speakers.

    Digits and numbers are (count,), int64.
    """

    recordings: list[Tensor]
    labels: Tensor
    voices: Tensor


def read_clips(clips: Sequence[Clip], sample_rate: int) -> LabelledRecordings:
    """Read ``clips`` at ``sample_rate``, in Hz, and leave out silent ones, which hold no word.

    Raises:
        InputError: A clip cannot be read, or all are silent.

    """
    recordings, kept = [], []
    for clip in clips:
        waveform, _ = load_audio(clip.path, sample_rate)
        if not is_silent(waveform):
            recordings.append(waveform)
            kept.append(clip)
    if not recordings:
        raise InputError(
            f"{clips[0].path}: silent, as are all clips beside it; fetch a fresh copy of the data"
        )
    labels = torch.tensor([clip.label for clip in kept])
    return LabelledRecordings(recordings, labels, numbers_of_speakers(kept))


def numbers_of_speakers(clips: Sequence[Clip]) -> Tensor:
    """Numbers (count,), int64, of the speakers of clips."""
    names = sorted({clip.speaker for clip in clips})
    return torch.tensor([names.index(clip.speaker) for clip in clips])


def digest_of_clips(clips: Iterable[Clip]) -> str:
    """Digest of the clips' labels and names, whatever their order and their folder."""
    return digest_of_names(sorted(f"{clip.label} {clip.path.stem}" for clip in clips))


def digest_of_names(names: Sequence[str]) -> str:
    """The number of recordings and a hash of their names, since copies of a data set differ.

    >>> digest_of_names(["7 seven"])
    '1 recordings 8d860eca29f5'
    """
    content = "\n".join(names).encode(errors="surrogateescape")  # as names that are no Unicode are
    digest = hashlib.sha256(content).hexdigest()
    return f"{len(names)} recordings {digest[:12]}"


_FSDD_NAME = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]+)_\d+\.wav")


def load_fsdd(root: Path) -> list[Clip]:
    """List the 2,000 recordings of the paper's four speakers, sorted by file name.

    Raises:
        InputError: Some of them are missing or damaged.

    """
    folder = require("fsdd", root)
    clips = []
    for path in sorted(folder.iterdir()):
        match = _FSDD_NAME.fullmatch(path.name)
        if match and match["speaker"] in SPEAKERS:
            clips.append(Clip(path, int(match["digit"]), match["speaker"]))
    return clips


def split_at_random(clips: list[Clip], seed: int) -> tuple[list[Clip], list[Clip]]:
    """Split clips as the paper does: nine tenths to train on, one tenth to test on, at random."""
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(seed)).tolist()
    tests = set(order[: len(clips) // 10])
    return (
        [clip for i, clip in enumerate(clips) if i not in tests],
        [clip for i, clip in enumerate(clips) if i in tests],
    )


def split_by_speaker(clips: list[Clip], speaker: str) -> tuple[list[Clip], list[Clip]]:
    """Split clips into those of all other speakers, to train on, and those of ``speaker``.

    Raises:
        InputError: There is no speaker of that name.

    """
    names = sorted({clip.speaker for clip in clips})
    if speaker not in names:
        raise InputError(f"{speaker}: no such speaker; there are {', '.join(names)}")
    return (
        [clip for clip in clips if clip.speaker != speaker],
        [clip for clip in clips if clip.speaker == speaker],
    )


class LabelledImages(NamedTuple):
    """Images (count, 28, 28), uint8, white on black, and their digits (count,), int64."""

    images: Tensor
    labels: Tensor


def load_mnist(root: Path, split: Literal["train", "test"]) -> LabelledImages:
    """Read the 60,000 train or 10,000 test images.

    Raises:
        InputError: The files are missing or damaged.

    """
    folder = require("mnist", root)
    prefix = "train" if split == "train" else "t10k"
    images = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    return LabelledImages(images, labels.long())


def _read_idx(path: Path) -> Tensor:
    """Parse an IDX file of bytes: 0, 0, 8, rank, then each size as big-endian uint32."""
    try:
        content = gzip.decompress(path.read_bytes())
        rank = content[3]
        shape = np.frombuffer(content, ">u4", count=rank, offset=4).astype(int).tolist()
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: damaged ({error}); delete it and run `audiate data fetch mnist`"
        ) from error
    return torch.from_numpy(values.copy())


_LISTED = re.compile(r"(?P<clip>[a-z]+/(?P<speaker>[0-9a-f]+)_nohash_[0-9]+)\.(wav|flac)")


def load_speech_commands(root: Path, split: Literal["train", "validation", "test"]) -> list[Clip]:
    """List the clips of one split, sorted by path; if a clip is there twice, the flac is taken.

    The publishers' lists, which name wavs, say what is a validation and what a test clip. Train
    clips are those in neither list, of speakers in neither list: the publishers mean to have each
    speaker in one split, but their lists leave out a few clips of the speakers in them. A copy may
    do without the test list; then no clip is known for a test clip, and those count as train clips.

    Raises:
        InputError: There is no usable copy, a list is damaged, or the split has no clip.

    """
    folder = require("speech_commands", root)
    lists = {
        name: _read_list(folder / file, root)
        for name, file in (("validation", "validation_list.txt"), ("test", "testing_list.txt"))
    }
    wanted = lists.get(split, {})
    tested = {speaker for speakers in lists.values() for speaker in speakers.values()}
    clips: dict[str, Clip] = {}
    for label, word in enumerate(DIGIT_WORDS):
        for path in sorted((folder / word).glob("*_nohash_*")):
            match = _LISTED.fullmatch(f"{word}/{path.name}")
            if match is None or match["clip"] in clips:
                continue
            if match["clip"] in wanted or (split == "train" and match["speaker"] not in tested):
                clips[match["clip"]] = Clip(path, label, match["speaker"])
    if not clips:
        raise InputError(
            f"{folder}: holds no {split} clip, by its lists; run "
            f"`{fetch_command('speech_commands', root)}`, or name another folder with `data_dir`"
        )
    return sorted(clips.values(), key=lambda clip: clip.path)


def load_validation_words(
    root: Path, sample_rate: int, part: ValidationPart = "all"
) -> LabelledRecordings:
    """Read the validation clips at ``sample_rate``, in Hz; no training uses their speakers.

    Args:
        root: Data folder.
        sample_rate: In Hz.
        part: Which of them, as `validation_part` gives it; or all.

    Raises:
        InputError: As for `load_speech_commands`, or a clip cannot be read, or the part is empty.

    """
    clips = load_speech_commands(root, "validation")
    return read_clips(clips if part == "all" else validation_part(clips, part), sample_rate)


def validation_part(clips: Sequence[Clip], part: Literal["choices", "reports"]) -> list[Clip]:
    """The clips of half of the speakers: to choose settings by, or to report scores on.

    What was chosen with clips in view must be reported on other ones. Each speaker is in one part,
    by a hash of its name alone and of what else there is: the speakers are taken in the order of
    their hashes, first those of the rarest digit, then those of the next one, and each goes to the
    part that has fewer clips of that digit so far. So every digit of two speakers is in both parts.
    The same copy of the data is always split in the same way.

    Raises:
        InputError: There is a single speaker, so that ``part`` is empty.

    """
    digits: dict[str, Counter[int]] = {}
    for clip in clips:
        digits.setdefault(clip.speaker, Counter())[clip.label] += 1
    total = sum(digits.values(), Counter())
    order = sorted(digits, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    sides: dict[str, Counter[int]] = {"reports": Counter(), "choices": Counter()}
    taken: dict[str, str] = {}
    for digit in sorted(total, key=lambda digit: (total[digit], digit)):
        for name in order:
            if digit in digits[name] and name not in taken:
                side = min(sides, key=lambda side: sides[side][digit])  # reports, where they tie
                taken[name] = side
                sides[side] += digits[name]
    chosen = [clip for clip in clips if taken[clip.speaker] == part]
    if not chosen:
        raise InputError(f"{clips[0].path.parent.parent}: its validation clips are of one speaker")
    return chosen


def _read_list(path: Path, root: Path) -> dict[str, str]:
    """Speakers by the clips (word/name without suffix) that a list names; empty without a list."""
    if not path.exists():
        return {}
    remedy = f"delete it and run `{fetch_command('speech_commands', root)}`"
    try:
        names = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {remedy}") from error
    speakers = {}
    for name in names:
        match = _LISTED.fullmatch(name)
        if match is None:
            raise InputError(f"{path}: {name} is not the name of a clip; {remedy}")
        speakers[match["clip"]] = match["speaker"]
    return speakers
