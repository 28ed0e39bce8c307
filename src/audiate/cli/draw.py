"""`audiate draw`: convert sound files to images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audiate.cli.common import Clips, Device, print_error
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE


@dataclass(frozen=True)
class Draw:
    """Draw the digit that is spoken in each clip.

    Writes OUT/<clip>.png, SAMPLES images of 28x28 side by side; OUT/sheet.png, which shows the
    spectrogram of each clip beside its drawings (the first 100 clips); OUT/latents.npz with the
    names of the clips and their latents; and OUT/report.json, the record of these files.

    Folders are searched. Clips that were drawn before are not drawn again, so the same command goes
    on after an interruption; other settings need another folder. Files that this command has not
    written are never replaced. A clip that cannot be used is named on standard error, the others
    are drawn, and the exit status is 2.
    """

    clips: Clips
    model: str = DEFAULT_AUDIO_TO_IMAGE
    """Audio-to-image model: a shipped name, a folder, or a Hugging Face hub id."""
    samples: int = 8
    """Number of images for each clip."""
    seed: int = 0
    """Seed of the images: the same clip and seed give the same images."""
    scale: int = 1
    """Factor by which the images are enlarged."""
    device: Device = "auto"
    out: Path = Path("out/draw")
    """Folder for the pictures. It is made where it is missing."""

    def run(self) -> int:
        """Draw every clip, and return the exit status."""
        from audiate.folders.draw import SHEET_NAME, draw_folder

        report = draw_folder(
            self.clips,
            self.out,
            model=self.model,
            samples=self.samples,
            seed=self.seed,
            scale=self.scale,
            device=self.device,
            notify=print_error,
        )
        if len(report.errors) < len(report.clips):
            print(f"{report.counted('drawn')}: see {self.out / SHEET_NAME}")
        return 2 if report.errors else 0
