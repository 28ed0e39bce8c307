"""Drawings on disk: a folder of clips to a folder of pictures, with a sheet and all latents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio.files import Recording, load_audio
from audiate.data.latents import Latents
from audiate.data.sounds import find_clips
from audiate.errors import InputError, check_range
from audiate.folders.runner import (
    BATCH_SIZE,
    SHEET_NAME,
    SHEET_SAMPLES,
    FolderReport,
    Notify,
    Product,
    SheetWork,
    open_outputs,
    work_through,
)
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.fingerprint import digest
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.models.pretrained import load
from audiate.utils.plots import Panel, image_panel, save_image, side_by_side, sound_panel

__all__ = ["BATCH_SIZE", "SHEET_NAME", "DrawingWork", "draw_folder", "prepare_drawing"]


def draw_folder(
    clips: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path | AudioToImageModel = DEFAULT_AUDIO_TO_IMAGE,
    samples: int = 8,
    seed: int = 0,
    scale: int = 1,
    device: str | torch.device = "cpu",
    notify: Notify | None = None,
) -> FolderReport[None]:
    """Draw what is said in sound files, and write the pictures to a folder.

    Writes for each clip ``<clip>.png``, its images side by side; ``sheet.png``, each clip's
    spectrogram beside its images (the first 100 clips); ``latents.npz``, the names of the clips and
    their latents (clips, numbers), float32; and ``report.json``. Clips that were drawn before with
    the same settings are left as they are. A clip that cannot be used does not stop the others.

    Args:
        clips: Sound files, or folders of them.
        out: The folder, which is made where it is missing. Only files that an earlier call has
            written are replaced there.
        model: The model that draws, or its name, folder or hub id.
        samples: Number of images for each clip.
        seed: Images are those of `AudioToImageModel.draw` with this seed.
        scale: Factor by which pictures are enlarged.
        device: Where to load a model that is given by name: auto, cpu, cuda or mps.
        notify: Is called with the error of each clip that cannot be used.

    Raises:
        InputError: There are no clips or no such model, a value is out of range, or the folder
            cannot be written or holds something else.
        Interrupted: Ctrl-C was pressed; what is done is recorded.

    """
    out = Path(out)
    found = find_clips([clips] if isinstance(clips, (str, Path)) else clips, out)
    work, settings = prepare_drawing(model, samples, seed, scale, device=device)
    with open_outputs(out, "draw", settings, type(None)) as outputs:
        return work_through(
            work, outputs, found, batch_size=BATCH_SIZE, what="drawing", notify=notify
        )


def prepare_drawing(
    model: str | Path | AudioToImageModel,
    samples: int,
    seed: int,
    scale: int,
    *,
    device: str | torch.device = "cpu",
) -> tuple[DrawingWork, dict[str, str]]:
    """Load what drawings need.

    Arguments are those of `draw_folder`.

    Returns:
        The work, and all settings that its results depend on.

    Raises:
        InputError: There is no such model, or a value is out of range.

    """
    check_range("`samples`", samples, 1, 1000)
    check_range("`scale`", scale, 1, 64)
    check_range("`seed`", seed, 0, 2**63 - 1)
    name = str(model) if isinstance(model, (str, Path)) else type(model).__name__
    model = load(model, AudioToImageModel, device=device)
    settings = {
        "model": f"{name} ({digest(model)})",
        "samples": str(samples),
        "seed": str(seed),
        "scale": str(scale),
    }
    return DrawingWork(model, samples=samples, seed=seed, scale=scale), settings


class DrawingWork(SheetWork):
    """Draws clips; what is read of each is its spectrogram (n_mels, frames)."""

    endings = ("{}.png",)

    def __init__(self, model: AudioToImageModel, *, samples: int, seed: int, scale: int) -> None:
        super().__init__()
        self.model, self.samples, self.seed, self.scale = model, samples, seed, scale

    def read(self, path: Path | Recording) -> Tensor:
        """The spectrogram of a clip."""
        waveform, rate = load_audio(path)
        try:
            return self.model.preprocess(waveform, sample_rate=rate)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def compute(self, items: Sequence[Tensor]) -> list[Product[None]]:
        """Draw a batch."""
        drawings = self.draw(items)
        return [
            Product(latent, None, partial(self._write, spectrogram, images))
            for latent, spectrogram, images in zip(self.encode(items), items, drawings, strict=True)
        ]

    def draw(self, items: Sequence[Tensor]) -> Tensor:
        """Images (batch, samples, 28, 28) in [0, 1] of spectrograms, on the CPU."""
        return self.model.draw_batch(torch.stack(list(items)), samples=self.samples, seed=self.seed)

    @torch.inference_mode()
    def encode(self, items: Sequence[Tensor]) -> Latents:
        """Latents (batch, numbers) of spectrograms, before any noise."""
        spectrograms = torch.stack(list(items)).to(self.model.device)
        return self.model.latents(spectrograms).float().cpu().numpy()

    def _write(self, spectrogram: Tensor, images: Tensor, paths: Sequence[Path]) -> None:
        save_image(side_by_side(images), paths[0], scale=self.scale)
        self.show(paths[0], _panels(spectrogram, images))

    def panels(self, items: Sequence[Tensor]) -> list[Sequence[Panel]]:
        """Each clip's spectrogram, then its images."""
        samples = min(self.samples, SHEET_SAMPLES)
        drawings = self.model.draw_batch(torch.stack(list(items)), samples=samples, seed=self.seed)
        return [_panels(*each) for each in zip(items, drawings, strict=True)]


def _panels(spectrogram: Tensor, images: Tensor) -> Sequence[Panel]:
    return sound_panel(spectrogram, wide=2), image_panel(images[:SHEET_SAMPLES])
