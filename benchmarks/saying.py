"""Time that a user waits for `audiate say` of one picture, and for the model alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

import audiate
from audiate.models.image_to_audio import ImageToAudioModel
from benchmarks.timing import in_turns


def main() -> None:
    sayer = audiate.load("say-digits")
    assert isinstance(sayer, ImageToAudioModel)
    note = Image.new("L", (300, 200), 230)
    ImageDraw.Draw(note).text((120, 40), "7", fill=40, font=ImageFont.load_default(120))
    seen = sayer.preprocess_image(note).unsqueeze(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "note.png"
        note.save(path)

        def command(*arguments: str | Path) -> None:
            whole = [sys.executable, "-m", "audiate", *map(str, arguments)]
            subprocess.run(whole, check=True, capture_output=True)

        fresh = (Path(folder) / f"{number}" for number in count())
        seconds = in_turns(
            {
                "audiate say of one picture, whole process": lambda: command(
                    "say", path, "--samples", "1", "--out", next(fresh)
                ),
                "import torch, whole process": lambda: subprocess.run(
                    [sys.executable, "-c", "import torch"], check=True
                ),
            },
            rounds=5,
        )
    seconds |= in_turns(
        {
            "finding the digit": lambda: sayer.preprocess_image(note),
            "ImageToAudioModel.say_batch() of one image, 1 sound": lambda: sayer.say_batch(
                seen, samples=1
            ),
            "ImageToAudioModel.say_batch() of one image, 8 sounds": lambda: sayer.say_batch(seen),
        },
        rounds=10,
    )
    limits = {
        "audiate say of one picture, whole process": 3.0,
        "ImageToAudioModel.say_batch() of one image, 1 sound": 0.1,
    }
    print(f"Saying, {torch.get_num_threads()} threads:")
    for name, value in seconds.items():
        limit = f"limit {limits[name] * 1e3:.0f} ms" if name in limits else "for comparison"
        print(f"  {name:<42} {value * 1e3:6.0f} ms   ({limit})")


if __name__ == "__main__":
    main()
