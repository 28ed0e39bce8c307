"""`audiate demo`: the shipped clips, drawn by the shipped weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from audiate.cli.draw import DEFAULT_MODEL, Draw, draw_clips, load_drawer
from audiate.cli.invert import Invert
from audiate.datasets.sources import DIGIT_WORDS

_INVERTED = 7  # of the ten
CLIPS_FOLDER = Path(__file__).parent.parent / "clips"


@dataclass(frozen=True)
class Demo:
    """Draw the ten spoken digits that come with the package, and let LeNet-5 read the drawings.

    Then recover the latent of one of them, and have a generator say it again.
    """

    out: Path = Path("out/demo")
    """Folder for the pictures."""

    def run(self) -> int:
        """Draw them and say where to look; the exit status."""
        from audiate.models import LeNet

        clips = tuple(sorted(CLIPS_FOLDER.glob("*.flac"), key=_digit))
        begun = time.perf_counter()
        drawn = draw_clips(
            load_drawer(DEFAULT_MODEL), Draw(clips, out=self.out, samples=8, scale=4)
        )
        seconds = time.perf_counter() - begun
        judge = LeNet.from_pretrained("lenet-mnist")
        for row in drawn.rows:
            said, voice = Path(row.title).stem.split("-", 1)
            read = " ".join(map(str, judge(row.drawings).argmax(1).tolist()))
            print(f"{said:<6} (voice {voice:<12}) drawn {len(row.drawings)} times, read as {read}")
        if drawn.sheet:
            print(f"{drawn.count} clips in {seconds:.1f} s; look at {drawn.sheet}")
            print("your own recordings: audiate draw CLIP...")
        clip = clips[_INVERTED]
        again = Invert((clip,), budget="3s", out=self.out / "inverted")
        print(f"\nthe latent of {clip.stem}, and that said again by {again.generator}:")
        failed = again.run()
        print(f"look at {again.out / clip.stem}.png; your own recordings: audiate invert CLIP...")
        return 2 if drawn.errors or failed else 0


def _digit(clip: Path) -> int:
    return DIGIT_WORDS.index(clip.stem.split("-")[0])
