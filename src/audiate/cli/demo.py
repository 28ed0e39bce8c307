"""`audiate demo`: the shipped clips, drawn by the shipped weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from audiate.cli.common import print_error
from audiate.cli.invert import Invert
from audiate.data.sources import DIGIT_WORDS
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, WRITTEN_CLASSIFIER

CLIPS_FOLDER = Path(__file__).parent.parent / "clips"
_SAMPLES = 8
_INVERTED = 7  # the digit whose latent is recovered


@dataclass(frozen=True)
class Demo:
    """Draw the ten spoken digits that come with the package, and let LeNet-5 read the drawings.

    Then recover the latent of one of them, and have a generator say it again.
    """

    out: Path = Path("out/demo")
    """Folder for the pictures. It is made where it is missing."""

    def run(self) -> int:
        """Draw and invert the clips, say where to look, and return the exit status."""
        from audiate.audio.files import load_audio
        from audiate.folders.draw import SHEET_NAME, draw_folder
        from audiate.models.audio_to_image import AudioToImageModel
        from audiate.models.lenet import LeNet
        from audiate.models.pretrained import load

        clips = sorted(CLIPS_FOLDER.glob("*.flac"), key=_digit)
        drawer, classifier = (
            load(DEFAULT_AUDIO_TO_IMAGE, AudioToImageModel),
            LeNet.from_pretrained(WRITTEN_CLASSIFIER),
        )
        begun = time.perf_counter()
        report = draw_folder(
            clips, self.out, model=drawer, samples=_SAMPLES, scale=4, notify=print_error
        )
        seconds = time.perf_counter() - begun
        for clip in clips:
            waveform, rate = load_audio(clip)
            drawings = drawer.draw(waveform, sample_rate=rate, samples=_SAMPLES)
            said, voice = clip.stem.split("-", 1)
            read = " ".join(map(str, classifier(drawings).argmax(1).tolist()))
            print(f"{said:<6} (voice {voice:<12}) drawn {_SAMPLES} times, read as {read}")
        print(f"{report.counted('drawn')} in {seconds:.1f} s; look at {self.out / SHEET_NAME}")
        print("your own recordings: audiate draw CLIP...")
        clip = clips[_INVERTED]
        again = Invert((clip,), budget="3s", out=self.out / "inverted")
        print(f"\nthe latent of {clip.stem}, and that said again by {again.generator}:")
        failed = again.run()
        print(f"look at {again.out / clip.stem}.png; your own recordings: audiate invert CLIP...")
        return 2 if report.errors or failed else 0


def _digit(clip: Path) -> int:
    return DIGIT_WORDS.index(clip.stem.split("-")[0])
