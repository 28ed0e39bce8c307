"""Time that a user waits for `audiate draw` of one clip, for the model alone, and for the help."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

import audiate
from audiate.cli.demo import CLIPS_FOLDER
from audiate.models.audio_to_image import AudioToImageModel
from benchmarks.timing import in_turns


def main() -> None:
    clip = min(CLIPS_FOLDER.glob("*.flac"))
    vae, flow = audiate.load("vae-fsdd"), audiate.load("flow-digits")
    assert isinstance(vae, AudioToImageModel)
    assert isinstance(flow, AudioToImageModel)
    waveform, rate = audiate.load_audio(clip)
    with tempfile.TemporaryDirectory() as folder:

        def command(*arguments: str | Path) -> None:
            whole = [sys.executable, "-m", "audiate", *map(str, arguments)]
            subprocess.run(whole, check=True, capture_output=True)

        fresh = (
            Path(folder) / f"{number}" for number in count()
        )  # what is there is not drawn again
        seconds = in_turns(
            {
                "audiate --help, whole process": lambda: command("--help"),
                "audiate draw of one clip, whole process": lambda: command(
                    "draw", clip, "--out", next(fresh)
                ),
                "import torch, whole process": lambda: subprocess.run(
                    [sys.executable, "-c", "import torch"], check=True
                ),
            },
            rounds=5,
        )
        seconds |= in_turns(
            {
                "VAE.draw() of one clip, 8 samples": lambda: vae.draw(waveform, sample_rate=rate),
                "LatentFlow.draw() of one clip, 64 samples": lambda: flow.draw(
                    waveform, sample_rate=rate, samples=64
                ),
            },
            rounds=30,
        )
    limits = {
        "audiate --help, whole process": 0.5,
        "audiate draw of one clip, whole process": 3.0,
        "VAE.draw() of one clip, 8 samples": 0.015,
        "LatentFlow.draw() of one clip, 64 samples": 1.0,
    }
    print("Waiting:")
    for name, value in seconds.items():
        limit = f"limit {limits[name] * 1e3:.0f} ms" if name in limits else "for comparison"
        print(f"  {name:<42} {value * 1e3:6.0f} ms   ({limit})")
