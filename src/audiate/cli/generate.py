"""`audiate generate`: generate sounds from random or given latents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from audiate.cli.common import Device, keywords
from audiate.cli.own import OwnGenerator
from audiate.folders.latent_choice import LatentChoice
from audiate.models.hub import DEFAULT_GENERATOR


@dataclass(frozen=True)
class Generate:
    """Generate sounds from random latents, or from latents that are set by hand.

    Writes OUT/000.wav, OUT/001.wav and so on, or OUT/<clip>.wav where the file of --latents names
    clips, as that of `audiate invert` does; OUT/latents.npy with their latents (count, numbers)
    and OUT/latents.csv with the same as text; OUT/sheet.png with their spectrograms (the first 64,
    or 256 of a sweep); and OUT/report.json, the record of these files. The sheet numbers the
    sounds, and shows the values of a sweep, or the labels or codes of the model. The same model and
    seed give the same sounds. With a larger COUNT the first ones stay the same, but for rounding.
    The sounds of an earlier run in OUT are replaced once the new ones are complete. Files that this
    command has not written are never replaced.
    """

    model: Positional[Annotated[str, arg(metavar="MODEL")]] = DEFAULT_GENERATOR
    """A shipped model's name, the folder of a run or a model, or a Hugging Face hub id; or a
    generator of your own: package.module:make, an .onnx file or a TorchScript file."""
    count: int | None = None
    """Number of sounds; with --sweep, of latents that are swept. Default: 16, and 1 with --sweep.
    """
    seed: int = 0
    """Seed of the latents."""
    interpolate: bool = False
    """Walk in COUNT steps from the seed's first random latent to its second."""
    walk: tuple[str, ...] = ()
    """Walk in COUNT steps from the first latent of one file to that of the next, and so on. The
    steps are even over all files. walk.npy:7 is row 7 of a file. Recordings may be named as well,
    as in --walk a.wav b.wav: their latents are found first."""
    latents: Path | None = None
    """Generate the sounds of the latents in this file, in place of random ones: an .npy file
    (count, numbers), an .npz file, or a .csv file, as `audiate invert` and this command write them.
    """
    label: str | None = None
    """Only sounds of this label, by name or number, where the model knows any: seven, or 7."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Set an entry of all latents by hand, as in --set 0=1 --set 3=-2.5. The prior does not bound
    it. Where a model has codes and one of their entries is set, the others are 0."""
    sweep: UseAppendAction[tuple[str, ...]] = ()
    """Let an entry take several values, as in --sweep 3=-5:5:11: eleven, from -5 to 5. Two sweeps
    make a grid, with a row for each value of the first."""
    vocoder: str | None = None
    """Pass the sounds through this codec, such as speech-digits, so that voices of SpecGAN do not
    whisper: a name, a folder or a hub id."""
    trim: bool = False
    """Cut off the silence around each sound, and bring all to one peak, as for one-shots of drums.
    """
    device: Device = "auto"
    out: Path = Path("out/generate")
    """Folder for the sounds. It is made where it is missing."""
    own: OwnGenerator = field(default_factory=OwnGenerator)

    def __post_init__(self) -> None:
        self._choice()  # checked before a model is loaded

    def _choice(self) -> LatentChoice:
        return LatentChoice(**keywords(self, "model", "device", "out", "own", "vocoder", "trim"))

    def run(self) -> int:
        """Generate and write, and return the exit status."""
        from audiate.folders.generate import generate_folder
        from audiate.folders.sheet import SHEET_NAME
        from audiate.utils.progress import counted

        model = self.own.open(self.model, device=self.device)
        choice = self._choice()
        given = keywords(self, "model", "device", "own")
        z = generate_folder(model, name=self.model, **given)
        some = f" (the first {choice.shown})" if len(z) > choice.shown else ""
        print(f"{counted(len(z), 'sound')} into {self.out}: see {self.out / SHEET_NAME}{some}")
        return 0
