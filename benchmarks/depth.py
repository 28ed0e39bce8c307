"""Count the functions that a clip, or a recipe, is handed through.

Counted are the distinct functions of audiate on the call stack at three moments: the clip is opened
for reading, the network is called for it, and what was written (the picture, the latent) takes its
place. For a training, the moment is the first update of an optimiser. What a network calls by
itself is left out.

    python benchmarks/depth.py            # all three
    python benchmarks/depth.py --names    # and the names of the functions
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import soundfile
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

import audiate
from audiate.cli import main
from audiate.models.generator import AudioGAN
from audiate.models.vae import VAE

_ROOT = Path(audiate.__file__).parent
_CLIP = _ROOT / "clips" / "seven-rms.flac"
_NETWORKS = str(_ROOT / "models")


class Stacks:
    """Collects the functions on call stacks.

    Attributes:
        names: Functions, in the order in which they were met.

    """

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self._lock = threading.Lock()

    def note(self, *_: object) -> None:
        """Add the functions that are being called now."""
        frames: list[FrameType] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            code = frame.f_code
            if code.co_filename.startswith(str(_ROOT)) and not code.co_name.startswith("<"):
                frames.append(frame)
            frame = frame.f_back
        with self._lock:
            for each in reversed(frames):
                name = f"{Path(each.f_code.co_filename).stem}.{each.f_code.co_qualname}"
                self.names.setdefault(name)
                if each.f_code.co_filename.startswith(_NETWORKS):
                    break


def functions_of(call: Callable[[], object], model: nn.Module, suffix: str) -> list[str]:
    """The functions that a clip is handed through, from a call to the files that are written.

    Args:
        call: Processes one clip.
        model: The network that is called.
        suffix: Suffix of the written file that is looked at.

    """
    stacks, begun = Stacks(), threading.Event()
    hooks = [
        part.register_forward_pre_hook(lambda *_: stacks.note() if begun.is_set() else None)
        for part in model.modules()
    ]
    open_, replace = soundfile.SoundFile.__init__, Path.replace

    def opened(self: Any, file: Any, mode: str = "r", *arguments: Any, **settings: Any) -> None:
        if mode == "r":
            begun.set()
            stacks.note()
        open_(self, file, mode, *arguments, **settings)

    def replaced(self: Path, target: Any) -> Path:
        if Path(target).name == _CLIP.stem + suffix:
            stacks.note()
        return replace(self, target)

    soundfile.SoundFile.__init__ = opened
    Path.replace = replaced  # type: ignore[method-assign,assignment]
    try:
        call()
    finally:
        soundfile.SoundFile.__init__ = open_
        Path.replace = replace  # type: ignore[method-assign]
        for hook in hooks:
            hook.remove()
    return list(stacks.names)


def of_drawing(out: Path) -> list[str]:
    """The functions that a clip is handed through by `audiate.draw_folder`."""
    model = audiate.load("vae-fsdd")
    assert isinstance(model, VAE)
    return functions_of(lambda: audiate.draw_folder(_CLIP, out, model=model), model, ".png")


def of_inversion(out: Path) -> list[str]:
    """The functions that a clip is handed through by `audiate.invert_folder`."""
    model = audiate.load("specgan-digits")
    assert isinstance(model, AudioGAN)
    return functions_of(
        lambda: audiate.invert_folder(_CLIP, out, generator=model, max_iterations=1),
        model,
        ".npy",
    )


def of_training(out: Path) -> list[str]:
    """The functions that a recipe is handed through, from the command line to the first update."""
    stacks = Stacks()
    hook = register_optimizer_step_pre_hook(stacks.note)
    try:
        flags = ["--sample-rate", "16000", "--batch-size", "2", "--steps", "1", "--dim", "4"]
        place = ["--data", str(_CLIP.parent), "--out", str(out), "--device", "cpu"]
        main(["train", "wavegan", *flags, *place])
    finally:
        hook.remove()
    return list(stacks.names)


if __name__ == "__main__":
    torch.set_num_threads(1)
    counted = {"invert_folder": of_inversion, "draw_folder": of_drawing, "training": of_training}
    with tempfile.TemporaryDirectory() as place:
        for name, count in counted.items():
            names = count(Path(place) / name)
            print(f"{name}: {len(names)}")
            if "--names" in sys.argv:
                print("  " + "\n  ".join(names))
