"""`audiate draw`: convert sound files to images."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from audiate.cli.common import Classifier, Clips, Device, print_error, print_results
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, WRITTEN_CLASSIFIER


@dataclass(frozen=True)
class Draw:
    """Draw the digit that is spoken in each clip.

    Writes OUT/<clip>.png, SAMPLES images of 28x28 side by side; OUT/sheet.png, which shows the
    spectrogram of each clip beside its drawings (the first 100 clips); OUT/latents.npz with the
    names of the clips and their latents; and OUT/report.json, the record of all that. Prints the
    digit that LeNet-5 reads in most images of each clip; a model that was trained on pairs of your
    own draws no digits, so it is left out. A clip that is probably no spoken digit is drawn too,
    and named on standard error.

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
    """Seed of the images: the same clip and seed give the same images, to rounding; bit for bit
    with the same number of threads and of samples."""
    scale: int = 1
    """Factor by which the images are enlarged."""
    classifier: Classifier = WRITTEN_CLASSIFIER
    """The LeNet-5 that reads the images: a name, a folder, or a hub id. none does without."""
    device: Device = "auto"
    out: Path = Path("out/draw")
    """Folder for the pictures. It is made where it is missing."""

    def run(self) -> int:
        """Draw every clip, and return the exit status."""
        from audiate.folders.draw import draw_folder
        from audiate.folders.sheet import SHEET_NAME
        from audiate.models.digit_score import no_digit

        report = draw_folder(**vars(self), notify=print_error)
        for name in report.new:
            result = report.results.get(name)
            if result is not None and result.digit_score is not None and result.digit_score < 0:
                told = no_digit(result.digit_score)
                print(f"audiate: warning: {report.shown(name)}: {told}", file=sys.stderr)
        print_results(report, self.out)
        if len(report.errors) < len(report.clips):
            print(f"{report.counted('drawn')}: see {self.out / SHEET_NAME}")
        return 2 if report.errors else 0
