"""The ten digits of Google Speech Commands v0.02 (SC09): clips of a second, 16 kHz.

Warden 2018, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition". A copy of any
part of it will do, as wav or as flac, if it has the validation list.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from audiate.datasets.clips import Clip, LabelledRecordings, read_clips
from audiate.datasets.installed import fetch_command, require
from audiate.datasets.sources import DIGIT_WORDS
from audiate.errors import InputError

_NAME = re.compile(r"(?P<speaker>[0-9a-f]+)_nohash_[0-9]+\.(wav|flac)")
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
            match = _NAME.fullmatch(path.name)
            key = f"{word}/{path.stem}"
            if match is None or key in clips:
                continue
            if key in wanted or (split == "train" and match["speaker"] not in tested):
                clips[key] = Clip(path, label, match["speaker"])
    if not clips:
        raise InputError(
            f"{folder}: holds no {split} clip, by its lists; run "
            f"`{fetch_command('speech_commands', root)}`, or name another folder with `data_dir`"
        )
    return sorted(clips.values(), key=lambda clip: clip.path)


def load_validation_words(root: Path, sample_rate: int) -> LabelledRecordings:
    """Read the validation clips at ``sample_rate``, in Hz; no training uses their speakers.

    Raises:
        InputError: As for `load_speech_commands`, or a clip cannot be read.

    """
    return read_clips(load_speech_commands(root, "validation"), sample_rate)


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
