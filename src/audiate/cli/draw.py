"""`audiate draw`: images of what is said in sound files."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from audiate.errors import InputError

if TYPE_CHECKING:
    from audiate.models import Drawer
    from audiate.pictures import SheetRow

DEFAULT_MODEL = "vae-fsdd"
SHEET_NAME = "sheet.png"


@dataclass(frozen=True)
class Draw:
    """Draw the digit that is spoken in each clip.

    Writes OUT/<clip>.png, SAMPLES images of 28x28 side by side, and OUT/sheet.png, which shows
    every clip's spectrogram beside its drawings. A clip that cannot be used is named on standard
    error, the others are drawn, and the exit status is 2.
    """

    clips: Positional[Annotated[tuple[Path, ...], arg(metavar="CLIP...")]]
    """Sound files: wav, flac, ogg, mp3; any sample rate and number of channels."""
    model: str = DEFAULT_MODEL
    """A shipped model's name, a folder, or a Hugging Face hub id."""
    samples: int = 8
    """Images for each clip."""
    seed: int = 0
    """The same clip and seed give the same images."""
    scale: int = 1
    """Enlarge the images this many times."""
    out: Path = Path("out")
    """Folder for the pictures; made where it is missing."""

    def run(self) -> int:
        """Draw every clip; the exit status."""
        if not self.clips:
            raise InputError("no clips given; name sound files, as in `audiate draw seven.wav`")
        for name in ("samples", "scale"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} {getattr(self, name)}: give a number of at least 1")
        model = load_drawer(self.model)
        rows, errors = draw_clips(model, self)
        for error in errors:
            print(f"audiate: error: {error}", file=sys.stderr)
        if rows:
            sheet = self.out / SHEET_NAME
            print(f"{len(rows)} {'clip' if len(rows) == 1 else 'clips'} drawn: see {sheet}")
        return 2 if errors else 0


def draw_clips(model: Drawer, command: Draw) -> tuple[list[SheetRow], list[InputError]]:
    """Draw every clip that can be read, and the sheet; what was drawn, and what went wrong."""
    from audiate.audio import load_audio
    from audiate.pictures import SheetRow, save_image, save_sheet, side_by_side

    rows: list[SheetRow] = []
    errors: list[InputError] = []
    for clip, name in zip(command.clips, picture_names(command.clips), strict=True):
        try:
            waveform, rate = load_audio(clip)
            try:
                drawings = model.draw(
                    waveform, sample_rate=rate, samples=command.samples, seed=command.seed
                )
                spectrogram = model.hear(waveform, sample_rate=rate)
            except InputError as error:
                raise InputError(f"{clip}: {error}") from error
            save_image(side_by_side(drawings), command.out / name, scale=command.scale)
            rows.append(SheetRow(clip.name, spectrogram, drawings))
        except InputError as error:
            errors.append(error)
    if rows:
        try:
            save_sheet(rows, command.out / SHEET_NAME)
        except InputError as error:
            errors.append(error)
    return rows, errors


def load_drawer(name: str) -> Drawer:
    """A model that draws.

    Raises:
        InputError: There is none of that name, or it does something else.

    """
    from audiate.hub import load
    from audiate.models import Drawer

    model = load(name)
    if not isinstance(model, Drawer):
        raise InputError(
            f"{name}: a {type(model).__name__} does not draw; --model {DEFAULT_MODEL} does"
        )
    return model


def picture_names(clips: tuple[Path, ...]) -> list[str]:
    """A file name for each clip's picture: its stem, numbered where that name is taken."""
    taken = {SHEET_NAME}
    names = []
    for clip in clips:
        name, number = f"{clip.stem}.png", 1
        while name.casefold() in taken:
            number += 1
            name = f"{clip.stem}-{number}.png"
        taken.add(name.casefold())
        names.append(name)
    return names
