"""What the names of sound files tell: which word is said, and by which voice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from audiate.errors import InputError

_FIELDS = {"{word}": r"(?P<word>.+?)", "{voice}": r"(?P<voice>.+?)", "*": ".*"}


class NamedFile(NamedTuple):
    """What the name of a file tells.

    Attributes:
        word: The label.
        voice: The speaker; None where nothing tells.

    """

    word: str
    voice: str | None


class NamePattern:
    """A pattern of file names, such as ``{word}_{voice}*`` for ``candle_speaker1_03.wav``.

    ``{word}`` stands for the label, ``{voice}`` for the speaker, and ``*`` for anything. The first
    two take as few characters as fit. The name is compared without its suffix.
    """

    def __init__(self, pattern: str) -> None:
        """Understand a pattern.

        Raises:
            InputError: It holds no {word}, or one of the fields twice, or unknown ones.

        """
        self.pattern = pattern
        parts = re.split(r"(\{\w*\}|\*)", pattern)
        fields = [part for part in parts if part.startswith("{")]
        unknown = [part for part in fields if part not in _FIELDS]
        if unknown or "{word}" not in fields or len(fields) != len(set(fields)):
            raise InputError(
                f"`label_from` {pattern}: give a pattern with {{word}} once, as in "
                f"'{{word}}_{{voice}}*'; {{voice}} and * may be left out"
            )
        self._expression = re.compile("".join(_FIELDS.get(p, re.escape(p)) for p in parts))

    def read(self, path: Path) -> NamedFile:
        """What the name of the file ``path`` tells.

        Raises:
            InputError: It does not fit the pattern.

        """
        found = self._expression.fullmatch(path.stem)
        if found is None:
            raise InputError(
                f"{path}: its name does not fit `label_from` {self.pattern}; rename it, take it "
                f"away, or give another pattern"
            )
        told = found.groupdict()
        return NamedFile(told["word"], told.get("voice"))
