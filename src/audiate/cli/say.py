"""`audiate say`: convert image files to speech."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from audiate.cli.common import PATHS, Device, Paths, print_error, print_results, several
from audiate.models.hub import DEFAULT_IMAGE_TO_AUDIO


@dataclass(frozen=True)
class Say:
    """Say the digit that is written in each picture, in several voices.

    A picture holds one digit, dark on light or light on dark, of any size: a scan, a photo of a
    note, an image of MNIST. One without a digit cannot be used, and one with several only with
    --all. Prints the digit that LeNet-5 reads in each, with its probability, and how many marks
    are left out, as they are too small for digits or cut by the picture's edge. Readings that are
    less than 90 % sure come first. Writes OUT/<picture>-1.wav, OUT/<picture>-2.wav and so on;
    OUT/sheet.png, which shows the digit that was found in each picture beside the spectrograms of
    its sounds (the first 100 pictures); OUT/latents.npz with the names of the pictures and the
    latents of their sounds, which the model's codec makes sound of; and OUT/report.json, the record
    of these files, with the digits.

    Folders are searched. Pictures that were said before are skipped, so the same command
    goes on after an interruption; other settings need another folder. Files that this command has
    not written are never replaced. A picture that cannot be used is named on standard error, the
    others are said, and the exit status is 2.
    """

    pictures: Positional[
        Annotated[
            Paths,
            PATHS,
            several("PICTURE...", "Picture files (png, jpeg, gif, ...), or folders of them."),
        ]
    ]
    model: str = DEFAULT_IMAGE_TO_AUDIO
    """Image-to-audio model: a shipped name, a folder, or a Hugging Face hub id."""
    codec: str | None = None
    """The codec whose latents the model gives. Default: the one that the model names."""
    samples: int = 8
    """Number of sounds for each picture."""
    seed: int = 0
    """Seed of the sounds: the same picture and seed give the same sounds."""
    all: bool = False
    """Say several digits in a picture, row after row, from left to right, in each sound."""
    device: Device = "auto"
    out: Path = Path("out/say")
    """Folder for the sounds. It is made where it is missing."""

    def run(self) -> int:
        """Say every picture, and return the exit status."""
        from audiate.folders.say import DOUBT, SayingResult, say_folder
        from audiate.folders.sheet import SHEET_NAME

        report = say_folder(**vars(self), notify=print_error)
        print_results(report, self.out, SayingResult.is_doubtful)
        doubtful = sum(result.is_doubtful() for result in report.results.values())
        if doubtful:
            print(f"{doubtful} of these are doubtful: a digit is less than {DOUBT:.0%} sure")
        if len(report.errors) < len(report.clips):
            print(f"{report.counted('said', 'picture')}: see {self.out / SHEET_NAME}")
        return 2 if report.errors else 0
