"""The sounds and pictures of docs/gallery.md, made by the commands that stand there."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from pathlib import Path

import soundfile
from PIL import Image

from audiate.cli import main as audiate

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "gallery.md"
FOLDER = "_static/gallery/"
MOST_BYTES = 3_000_000


def main() -> None:
    """Run the blocks of the page in a temporary folder, and keep the files that it shows."""
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("src").symlink_to(ROOT / "src")
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if language == "python":
                exec(block, {})
            else:
                for line in block.replace("\\\n", " ").splitlines():
                    if audiate(shlex.split(line)[1:]):
                        raise SystemExit(f"{line}: failed")
        shown = set(re.findall(rf"\({FOLDER}([^)]+)\)", text))
        for name in sorted(shown):
            made, kept = Path("out", name), PAGE.parent / FOLDER / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            if kept.suffix == ".mp3":
                samples, rate = soundfile.read(made.with_suffix(".wav"))
                soundfile.write(kept, samples, rate, bitrate_mode="VARIABLE", compression_level=0.4)
            else:
                write_picture(Image.open(made), kept)
    size = sum(path.stat().st_size for path in (PAGE.parent / FOLDER).rglob("*.*"))
    print(f"{len(shown)} files, {size / 1e6:.2f} MB")
    assert size < MOST_BYTES, "the gallery is too large"


def write_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture with 256 colours; one of 28x28 pixels is enlarged."""
    if picture.width < 100:
        picture = picture.resize((84, 84), Image.Resampling.NEAREST)
    picture.convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    main()
