"""Draw the clips of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio.files import Recording, load_audio
from audiate.data.sounds import find_clips
from audiate.errors import InputError, check_range, check_whole
from audiate.folders.runner import FolderReport, Notify, Product, name_of, run_folder
from audiate.folders.sheet import SHEET_SAMPLES, SheetWork
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.fingerprint import digest
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, WRITTEN_CLASSIFIER
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load
from audiate.utils.plots import Panel, image_panel, save_image, side_by_side, sound_panel


@dataclass(frozen=True)
class DrawingResult:
    """The result of drawing a clip.

    Attributes:
        digits: The digit that LeNet-5 reads in each image.
        digit_score: The log-odds that the clip is a spoken digit; None of a model without scores.

    """

    digits: tuple[int, ...]
    digit_score: float | None = None

    def __str__(self) -> str:
        """The digit that is read most often, and how often."""
        digit, count = Counter(self.digits).most_common(1)[0]
        return f"{digit} ({count} of {len(self.digits)})"


def draw_folder(
    clips: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path | AudioToImageModel = DEFAULT_AUDIO_TO_IMAGE,
    samples: int = 8,
    seed: int = 0,
    scale: int = 1,
    classifier: str | Path | LeNet | None = WRITTEN_CLASSIFIER,
    device: str | torch.device = "cpu",
    notify: Notify | None = None,
) -> FolderReport[DrawingResult]:
    """Draw what is said in sound files, and write the pictures to a folder.

    Writes for each clip ``<clip>.png``, its images side by side; ``sheet.png``, each clip's
    spectrogram beside its images (the first 100 clips); ``latents.npz``, the names of the clips and
    their latents (clips, numbers), float32; and ``report.json``, which holds a `DrawingResult` for
    each clip. Clips that were drawn before with the same settings are left as they are. A clip that
    cannot be used does not stop the others.

    Args:
        clips: Sound files, or folders of them.
        out: The folder, which is made where it is missing. Only files that an earlier call has
            written are replaced there.
        model: The model that draws, or its name, folder or hub id.
        samples: Number of images for each clip.
        seed: Images are those of `AudioToImageModel.draw` with this seed.
        scale: Factor by which pictures are enlarged.
        classifier: The LeNet-5 that reads a digit in each image. None leaves that out, and so does
            a model that was trained on pairs of its own, or whose training is unknown.
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
    if classifier is not None and _draws_digits(work.model):
        work.read_by(classifier)
    settings["classifier"] = "none" if work.classifier is None else digest(work.classifier)
    return run_folder(work, found, out, "draw", settings, what="drawing", notify=notify)


def _draws_digits(model: AudioToImageModel) -> bool:
    """Whether a model was trained on spoken and written digits."""
    return bool(model.provenance.recipe) and not model.provenance.settings.get("pairs")


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
    samples = check_whole("`samples`", samples, 1, 1000)
    check_range("`scale`", scale, 1, 64)
    seed = check_whole("`seed`", seed, 0, 2**63 - 1)
    name, model = name_of(model), load(model, AudioToImageModel, device=device)
    settings = {
        "model": f"{name} ({digest(model)})",
        "samples": str(samples),
        "seed": str(seed),
        "scale": str(scale),
    }
    return DrawingWork(model, samples=samples, seed=seed, scale=scale), settings


class DrawingWork(SheetWork[Tensor, DrawingResult]):
    """Draw clips; what is read of each is its spectrogram (n_mels, frames).

    Attributes:
        classifier: Reads a digit in each image; None leaves that out.

    """

    endings = ("{}.png",)
    result_type = DrawingResult
    classifier: LeNet | None = None

    def __init__(self, model: AudioToImageModel, *, samples: int, seed: int, scale: int) -> None:
        super().__init__()
        self.model, self.samples, self.seed, self.scale = model, samples, seed, scale

    def read_by(self, classifier: str | Path | LeNet | None = None) -> None:
        """Have a LeNet-5, by default the shipped one, read a digit in each image."""
        self.classifier = load(classifier or WRITTEN_CLASSIFIER, LeNet).to(self.model.device)

    def read(self, path: Path | Recording) -> Tensor:
        """Read a clip, and compute its spectrogram."""
        waveform, rate = load_audio(path)
        try:
            return self.model.preprocess(waveform, sample_rate=rate)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @torch.inference_mode()
    def compute(self, items: Sequence[Tensor]) -> list[Product[DrawingResult]]:
        """Draw a batch; latents are those before any noise."""
        inputs, device = torch.stack(list(items)), self.model.device
        drawings = self.model.draw_batch(inputs, samples=self.samples, seed=self.seed)
        latents = self.model.latents(inputs.to(device)).float().cpu().numpy()
        results: list[DrawingResult | None] = [None] * len(items)
        if self.classifier is not None:
            logits = self.classifier(drawings.flatten(0, 1).to(device))
            rows = logits.argmax(1).view(len(items), -1).tolist()
            scores = self.model.digit_scores(inputs.to(device))
            found = [None] * len(items) if scores is None else scores.tolist()
            results = [DrawingResult(tuple(row), at) for row, at in zip(rows, found, strict=True)]
        return [
            Product(
                latent,
                result,
                [partial(save_image, side_by_side(images), scale=self.scale)],
                partial(self._panels, spectrogram, images),
            )
            for latent, result, spectrogram, images in zip(
                latents, results, items, drawings, strict=True
            )
        ]

    def panels(self, items: Sequence[Tensor]) -> list[Sequence[Panel]]:
        """Draw again, and show the spectrogram of each clip and its images."""
        samples = min(self.samples, SHEET_SAMPLES)
        drawings = self.model.draw_batch(torch.stack(list(items)), samples=samples, seed=self.seed)
        return [self._panels(*each) for each in zip(items, drawings, strict=True)]

    def _panels(self, spectrogram: Tensor, images: Tensor) -> Sequence[Panel]:
        bands = self.model.features.config
        panel = sound_panel(spectrogram, wide=2, hertz=(bands.f_min, bands.f_max))
        return panel, image_panel(images[:SHEET_SAMPLES])
