"""`audiate draw`: images of what is said in sound files."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from audiate.errors import InputError, check_range

if TYPE_CHECKING:
    from audiate.models import Drawer
    from audiate.pictures import SheetRow

DEFAULT_MODEL = "flow-digits"
SHEET_NAME = "sheet.png"
_SHEET_ROWS = 100  # more would be no picture any more
_SHEET_SAMPLES = 16


@dataclass(frozen=True)
class Draw:
    """Draw the digit that is spoken in each clip.

    Writes OUT/<clip>.png, SAMPLES images of 28x28 side by side, and OUT/sheet.png, which shows
    every clip's spectrogram beside its drawings (the first 100 clips). A clip that cannot be used
    is named on standard error, the others are drawn, and the exit status is 2.
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

    def __post_init__(self) -> None:
        check_range("--samples", self.samples, 1, 1000)
        check_range("--scale", self.scale, 1, 64)
        check_range("--seed", self.seed, 0, 2**63 - 1)

    def run(self) -> int:
        """Draw every clip; the exit status."""
        if not self.clips:
            raise InputError("no clips given; name sound files, as in `audiate draw seven.wav`")
        drawn = draw_clips(load_drawer(self.model), self)
        if drawn.rows:
            some = f" (its first {len(drawn.rows)})" if len(drawn.rows) < drawn.count else ""
            clips = "clip" if drawn.count == 1 else "clips"
            where = f"see {drawn.sheet}{some}" if drawn.sheet else f"into {self.out}"
            print(f"{drawn.count} {clips} drawn: {where}")
        return 2 if drawn.errors else 0


@dataclass
class Drawn:
    """What came of some clips: how many were drawn, the sheet's rows, where it is, and errors."""

    count: int = 0
    rows: list[SheetRow] = field(default_factory=list)
    sheet: Path | None = None
    errors: int = 0

    def fail(self, error: InputError) -> None:
        """Say what went wrong with one clip, and go on."""
        self.errors += 1
        print(f"audiate: error: {error}", file=sys.stderr)


def draw_clips(model: Drawer, command: Draw) -> Drawn:
    """Draw every clip that can be read, then the sheet; errors are printed as they come."""
    from rich.console import Console
    from rich.progress import track

    from audiate.pictures import save_sheet

    drawn = Drawn()
    console = Console(stderr=True)
    pairs = list(zip(command.clips, picture_names(command.clips), strict=True))
    few = len(pairs) < 20
    for clip, name in track(
        pairs, "drawing", console=console, disable=few or not console.is_terminal
    ):
        try:
            row = _draw_clip(model, command, clip, command.out / name)
        except InputError as error:
            drawn.fail(error)
            continue
        drawn.count += 1
        if len(drawn.rows) < _SHEET_ROWS:
            drawn.rows.append(row)
    if drawn.rows:
        try:
            save_sheet(drawn.rows, command.out / SHEET_NAME)
            drawn.sheet = command.out / SHEET_NAME
        except InputError as error:
            drawn.fail(error)
    return drawn


def _draw_clip(model: Drawer, command: Draw, clip: Path, target: Path) -> SheetRow:
    from audiate.audio import load_audio
    from audiate.pictures import SheetRow, save_image, side_by_side

    waveform, rate = load_audio(clip)
    try:
        drawings = model.draw(
            waveform, sample_rate=rate, samples=command.samples, seed=command.seed
        )
        spectrogram = model.hear(waveform, sample_rate=rate)
    except InputError as error:
        raise InputError(f"{clip}: {error}") from error
    save_image(side_by_side(drawings), target, scale=command.scale)
    title = clip.name if clip.stem == target.stem else f"{clip.name} ({target.name})"
    title = title.encode(errors="replace").decode()  # a name need not be Unicode
    return SheetRow(title, spectrogram, drawings[:_SHEET_SAMPLES])


def load_drawer(name: str) -> Drawer:
    """A model that draws.

    Raises:
        InputError: There is none of that name, or it does something else.

    """
    from audiate.hub import load_as
    from audiate.models import Drawer

    otherwise = f"does not draw; --model {DEFAULT_MODEL} does"
    return load_as(name, Drawer, otherwise)  # type: ignore[type-abstract]


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
