"""Drawings on disk: a folder of clips to a folder of pictures, with a sheet and all latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from audiate.audio import Recording, load_audio
from audiate.datasets.sounds import find_clips
from audiate.errors import InputError, check_range
from audiate.hub import DEFAULT_DRAWER
from audiate.latents import Latents
from audiate.models import Drawer
from audiate.models.pretrained import load_as
from audiate.outputs import LATENTS_NAME, Outputs, open_outputs
from audiate.pictures import SheetRow, save_image, save_sheet, side_by_side
from audiate.pipeline import ClipWork, FolderReport, Notify, Product, work_through

SHEET_NAME = "sheet.png"
BATCH_SIZE = 32
"""Number of clips that are drawn together."""
_SHEET_ROWS = 100  # more would be no picture any more
_SHEET_SAMPLES = 16


def draw_folder(
    clips: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path | Drawer = DEFAULT_DRAWER,
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
        seed: Images are those of `Drawer.draw` with this seed.
        scale: Factor by which pictures are enlarged.
        device: Where to load a model that is given by name: auto, cpu or cuda.
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
    model: str | Path | Drawer,
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
    model = as_drawer(model, device=device)
    settings = {
        "model": f"{name} ({weights_digest(model)})",
        "samples": str(samples),
        "seed": str(seed),
        "scale": str(scale),
    }
    return DrawingWork(model, samples=samples, seed=seed, scale=scale), settings


class _Drawn(NamedTuple):
    spectrogram: Tensor  # (n_mels, frames)
    images: Tensor  # (samples, 28, 28)


class DrawingWork(ClipWork[Tensor, None]):
    """Draws clips; what is read of each is its spectrogram (n_mels, frames)."""

    endings = ("{}.png",)
    shared = (LATENTS_NAME, SHEET_NAME)

    def __init__(self, model: Drawer, *, samples: int, seed: int, scale: int) -> None:
        self.model, self.samples, self.seed, self.scale = model, samples, seed, scale
        self._drawn: dict[Path, _Drawn] = {}  # for the sheet

    def read(self, path: Path | Recording) -> Tensor:
        """The spectrogram of a clip."""
        waveform, rate = load_audio(path)
        try:
            return self.model.hear(waveform, sample_rate=rate)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def compute(self, items: Sequence[Tensor]) -> list[Product[None]]:
        """Draw a batch."""
        drawings = self.draw(items)
        return [
            Product(latent, None, partial(self._write, _Drawn(spectrogram, images)))
            for latent, spectrogram, images in zip(self.encode(items), items, drawings, strict=True)
        ]

    def draw(self, items: Sequence[Tensor]) -> Tensor:
        """Images (batch, samples, 28, 28) in [0, 1] of spectrograms, on the CPU."""
        return self.model.draw_heard(torch.stack(list(items)), samples=self.samples, seed=self.seed)

    @torch.inference_mode()
    def encode(self, items: Sequence[Tensor]) -> Latents:
        """Latents (batch, numbers) of spectrograms, before any noise."""
        spectrograms = torch.stack(list(items)).to(self.model.device)
        return self.model.latents(spectrograms).float().cpu().numpy()

    def _write(self, drawn: _Drawn, paths: Sequence[Path]) -> None:
        save_image(side_by_side(drawn.images), paths[0], scale=self.scale)
        if len(self._drawn) < _SHEET_ROWS + BATCH_SIZE:  # a batch is not written in order
            self._drawn[paths[0]] = _Drawn(drawn.spectrogram, drawn.images[:_SHEET_SAMPLES])

    def finish(self, outputs: Outputs[None], new: Sequence[str]) -> None:
        """Write the sheet of the folder's first clips, unless none of them is new."""
        usable = [name for name, clip in outputs.clips.items() if clip.modified is not None]
        shown = {name: outputs.folder / f"{name}.png" for name in usable[:_SHEET_ROWS]}
        if shown.keys().isdisjoint(new) and (outputs.folder / SHEET_NAME).exists():
            return
        sources = {name: Path(outputs.clips[name].source or "") for name in shown}
        earlier = {shown[name]: sources[name] for name in shown if shown[name] not in self._drawn}
        drawn = self._drawn | self._again(earlier)
        rows = [
            SheetRow(_title(sources[name], name), drawn[path].spectrogram, drawn[path].images)
            for name, path in shown.items()
            if path in drawn
        ]
        save_sheet(rows, outputs.folder / SHEET_NAME)

    def _again(self, sources: Mapping[Path, Path]) -> dict[Path, _Drawn]:
        """Drawings of an earlier run, made anew; a source that is gone since is left out."""
        heard = {}
        for path, source in sources.items():
            with suppress(InputError):
                heard[path] = self.read(source)
        if not heard:
            return {}
        spectrograms = torch.stack(list(heard.values()))
        samples = min(self.samples, _SHEET_SAMPLES)
        images = self.model.draw_heard(spectrograms, samples=samples, seed=self.seed)
        return {
            path: _Drawn(*each) for path, *each in zip(heard, spectrograms, images, strict=True)
        }


def _title(source: Path, name: str) -> str:
    title = source.name if source.stem == name else f"{source.name} ({name}.png)"
    return title.encode(errors="replace").decode()  # a name need not be Unicode


def as_drawer(model: str | Path | Drawer, *, device: str | torch.device = "cpu") -> Drawer:
    """A model that draws, or the one of that name.

    Raises:
        InputError: There is none of that name, or it does something else.

    """
    if isinstance(model, Drawer):
        return model
    otherwise = f"does not draw; `model={DEFAULT_DRAWER}` does"
    return load_as(model, Drawer, otherwise, device=device)  # type: ignore[type-abstract]


def weights_digest(model: torch.nn.Module) -> str:
    """Eight characters by which the weights of a model are known again."""
    found = blake2b(digest_size=4)
    for tensor in model.state_dict().values():
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
