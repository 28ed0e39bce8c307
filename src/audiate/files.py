"""Writing files so that a reader, or a crash, never meets half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from audiate.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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


def save_array(array: NDArray[np.float32], path: Path) -> None:
    """Write numbers as a .npy file, whole or not at all.

    Raises:
        InputError: It cannot be written there.

    """
    import numpy as np

    try:
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, array, allow_pickle=False)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another folder "
            f"with --out"
        ) from error
