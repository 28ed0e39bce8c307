"""`audiate demo`: draw and invert the shipped clips with the shipped weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from audiate.cli.common import Paths, print_error
from audiate.cli.invert import Invert, TimedSettings
from audiate.data.sources import DIGIT_WORDS

CLIPS_FOLDER = Path(__file__).parent.parent / "clips"
_SAMPLES = 8
_INVERTED = 7  # the digit whose latent is recovered


@dataclass(frozen=True)
class Demo:
    """Draw the ten spoken digits that come with the package, and classify the drawings by LeNet-5.

    Then invert one of them, and reconstruct it by a generator.
    """

    out: Path = Path("out/demo")
    """Folder for the pictures. It is made where it is missing."""

    def run(self) -> int:
        """Draw and invert the clips, say where to look, and return the exit status."""
        from audiate.folders.draw import draw_folder
        from audiate.folders.sheet import SHEET_NAME

        clips = sorted(CLIPS_FOLDER.glob("*.flac"), key=_digit)
        begun = time.perf_counter()
        report = draw_folder(clips, self.out, samples=_SAMPLES, scale=4, notify=print_error)
        seconds = time.perf_counter() - begun
        for name, result in report.results.items():
            said, voice = name.split("-", 1)
            read = " ".join(map(str, result.digits))
            print(f"{said:<6} (voice {voice:<12}) drawn {_SAMPLES} times, read as {read}")
        print(f"{report.counted('drawn')} in {seconds:.1f} s; look at {self.out / SHEET_NAME}")
        print("your own recordings: audiate draw CLIP...")
        clip = clips[_INVERTED]
        again = Invert(Paths([clip]), out=self.out / "inverted", settings=TimedSettings(budget=3.0))
        print(f"\nthe latent of {clip.stem}, and that said again by {again.generator}:")
        failed = again.run()
        print(f"look at {again.out / clip.stem}.png; your own recordings: audiate invert CLIP...")
        return 2 if report.errors or failed else 0


def _digit(clip: Path) -> int:
    return DIGIT_WORDS.index(clip.stem.split("-")[0])
