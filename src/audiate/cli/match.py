"""`audiate match`: rank pictures for sounds, and sounds for pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from audiate.cli.common import print_error, required
from audiate.errors import InputError
from audiate.models.hub import DEFAULT_DUAL_ENCODER


@dataclass(frozen=True)
class Match:
    """Rank pictures for every sound, and sounds for every picture.

    Writes OUT/ranks.csv, a line for each sound and each of its TOP pictures, then likewise for each
    picture and its sounds; OUT/sheet.png, the first 50 sounds and the first 50 pictures, each with
    its best matches; and OUT/report.json, the record of these files. The score estimates
    log p(sound, image) / (p(sound) p(image)), so a score above 0 means that the two belong
    together. Matches show the same digit, not a certain image, since the model was trained on pairs
    that were drawn at random within a digit.

    A file that cannot be used is named on standard error, the others are matched, and the exit
    status is 2. The results of an earlier run in OUT are replaced. Files that this command has not
    written are never replaced.
    """

    sounds: Positional[Annotated[Path | None, required("SOUNDS")]] = None
    """A sound file, or a folder of them."""
    images: Positional[Annotated[Path | None, required("IMAGES")]] = None
    """A picture file, or a folder of them."""
    model: str = DEFAULT_DUAL_ENCODER
    """Dual encoder: a shipped name, a folder, or a Hugging Face hub id."""
    top: int = 10
    """Number of pictures for each sound, and of sounds for each picture."""
    out: Path = Path("out/match")
    """Folder for the results. It is made where it is missing."""

    def run(self) -> int:
        """Rank, write and print; return the exit status."""
        for name in ("sounds", "images"):
            if getattr(self, name) is None:
                raise InputError(f"no {name} given; name SOUNDS, then IMAGES: files, or folders")
        from audiate.folders.match import RANKS_NAME, match_folders
        from audiate.folders.sheet import SHEET_NAME

        errors: list[InputError] = []

        def notify(error: InputError) -> None:
            errors.append(error)
            print_error(error)

        matches = match_folders(**vars(self), notify=notify)
        counted = f"matched sounds: {len(matches.sounds)}, pictures: {len(matches.images)}"
        print(f"{counted}: see {self.out / RANKS_NAME} and {self.out / SHEET_NAME}")
        return 2 if errors else 0
