"""Writing files so that a reader, or a crash, never meets half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; on success it takes ``path``'s place.

    The folder is made where it is missing. On failure the old file stays and the temporary one
    goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.touch()
        usual_permissions = partial.stat().st_mode
        yield partial
        partial.chmod(usual_permissions)  # some writers make their files private
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write a small UTF-8 file whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
