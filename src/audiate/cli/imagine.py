"""`audiate imagine`: sample pairs of a sound and an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audiate.cli.common import Device, keywords
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, DEFAULT_IMAGE_TO_AUDIO


@dataclass(frozen=True)
class Imagine:
    """Sample new pairs of a spoken and a written digit.

    Writes OUT/000.wav and OUT/000.png, OUT/001.wav and OUT/001.png, and so on; OUT/sheet.png, each
    sound's spectrogram beside its image (the first 64 pairs); OUT/latents.npz with the latents of
    the sounds; and OUT/report.json, the record of these files. The same seed gives the same pairs,
    and when COUNT grows the first ones stay the same, but for rounding. The pairs of an earlier run
    in OUT are replaced once the new ones are complete. Files that this command has not written are
    never replaced.
    """

    count: int = 16
    """Number of pairs."""
    seed: int = 0
    """Seed of the pairs."""
    drawer: str = DEFAULT_AUDIO_TO_IMAGE
    """Latent flow: a shipped name, a folder, or a Hugging Face hub id."""
    sayer: str = DEFAULT_IMAGE_TO_AUDIO
    """Image-to-audio model: a shipped name, a folder, or a Hugging Face hub id."""
    device: Device = "auto"
    out: Path = Path("out/imagine")
    """Folder for the pairs. It is made where it is missing."""

    def run(self) -> int:
        """Sample and write pairs, and return the exit status."""
        from audiate.folders.imagine import imagine, write_imagined
        from audiate.folders.sheet import SHEET_NAME

        pairs = imagine(**keywords(self, "out"))
        settings = {"drawer": self.drawer, "sayer": self.sayer, "seed": str(self.seed)}
        write_imagined(pairs, self.out, settings)
        pairs_ = "1 pair" if self.count == 1 else f"{self.count} pairs"
        print(f"{pairs_} into {self.out}: see {self.out / SHEET_NAME}")
        return 0
