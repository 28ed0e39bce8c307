"""`audiate demo`: draw and invert the shipped clips with the shipped weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from audiate.cli.common import Paths, print_error
from audiate.cli.invert import Invert
from audiate.data.sources import DIGIT_WORDS

CLIPS_FOLDER = Path(__file__).parent.parent / "clips"
_SAMPLES = 8


@dataclass(frozen=True)
class Demo:
    """Draw the ten spoken digits that come with the package, and classify the drawings by LeNet-5.

    Then invert them, and make their sounds again by a generator.
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
        again = Invert(Paths(clips), out=self.out / "inverted")
        print(f"\ntheir latents, and what {again.generator} says for them:")
        failed = again.run()
        print(f"listen to {again.out}; your own recordings: audiate invert CLIP...")
        return 2 if report.errors or failed else 0


def _digit(clip: Path) -> int:
    return DIGIT_WORDS.index(clip.stem.split("-")[0])
