"""Arguments that several commands share, and the way they tell of errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from audiate.errors import InputError, with_flags

Clips = Positional[
    Annotated[
        tuple[Path, ...],
        arg(
            metavar="CLIP...",
            help_behavior_hint="(required)",
            help="Sound files (wav, flac, ogg, mp3), or folders of them.",
        ),
    ]
]
"""Sound files, which a command takes by their position."""

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    arg(help="Device to compute on. auto is a CUDA GPU where there is one, else the CPU."),
]
"""The device on which a command computes."""


def print_error(error: InputError) -> None:
    """Tell of an error on standard error, as the command line spells arguments."""
    print(f"audiate: error: {with_flags(str(error))}", file=sys.stderr)
