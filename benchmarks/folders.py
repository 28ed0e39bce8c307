"""A folder of mixed recordings, as a user has them: drawn, and inverted by the encoder.

Everything is written: pictures, latents, sounds, records. The whole process is timed, imports and
loading of weights included.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audiate.cli.demo import CLIPS_FOLDER

FILES = 300
FORMATS = ("wav", "flac", "ogg", "mp3")
RATES = (8_000, 16_000, 22_050, 44_100, 48_000)


def make_recordings(folder: Path) -> None:
    """Write the shipped clips at many rates, levels and paces, in four formats, some in stereo."""
    random = np.random.default_rng(0)
    clips = [soundfile.read(path, dtype="float32") for path in sorted(CLIPS_FOLDER.glob("*.flac"))]
    for number in range(FILES):
        waveform, rate = clips[number % len(clips)]
        to_rate = RATES[number % len(RATES)]
        pace = random.uniform(0.9, 1.1)
        samples = soxr.resample(waveform, rate * pace, to_rate) * random.uniform(0.2, 0.9)
        if number % 3 == 0:
            samples = np.stack([samples, 0.5 * samples], 1)
        soundfile.write(folder / f"{number:03}.{FORMATS[number % len(FORMATS)]}", samples, to_rate)


def main() -> None:
    """Print clips a second of both commands."""
    with tempfile.TemporaryDirectory() as place:
        recordings = Path(place) / "recordings"
        recordings.mkdir()
        make_recordings(recordings)
        print(f"A folder of {FILES} mixed recordings, the whole process:")
        for words, limit in (
            (["draw", "--model", "flow-digits"], 20),
            (["invert", "--method", "encoder"], 12),
        ):
            command = [sys.executable, "-m", "audiate", *words, str(recordings)]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.monotonic()
            out = str(Path(place) / words[0])
            subprocess.run([*command, "--out", out], check=True, capture_output=True)
            seconds = time.monotonic() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(
                f"  audiate {' '.join(words):<28} {FILES / seconds:5.1f} clips a second   "
                f"(limit {limit}; {1e3 * used / FILES:.0f} ms of processor time a clip)"
            )


if __name__ == "__main__":
    main()
