"""`audiate generate`: new sounds out of random latents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from audiate.errors import InputError, check_range

if TYPE_CHECKING:
    from torch import Tensor

    from audiate.models import AudioGAN

DEFAULT_GENERATOR = "specgan-digits"
SHEET_NAME = "sheet.png"
LATENTS_NAME = "latents.npy"
_BATCH = 32
_SHEET_CLIPS = 64


@dataclass(frozen=True)
class Generate:
    """Generate sounds from random latents.

    Writes OUT/000.wav, OUT/001.wav and so on, OUT/latents.npy with their latents (count, numbers),
    and OUT/sheet.png with their spectrograms (the first 64), numbered, and labelled where the model
    has labels. The same model and seed give the same sounds, and when COUNT grows the first ones
    stay the same, but for rounding. The sounds of an earlier run in OUT make way.
    """

    model: Positional[Annotated[str, arg(metavar="MODEL")]] = DEFAULT_GENERATOR
    """A shipped model's name, a run's or a model's folder, or a Hugging Face hub id."""
    count: int = 16
    """Sounds to write."""
    seed: int = 0
    """Of the latents."""
    interpolate: bool = False
    """Walk in COUNT steps from the seed's first latent to its second, in place of new ones."""
    latents: Path | None = None
    """Sounds of the latents in this .npy file, (count, numbers) or one of them, as `audiate
    invert` and this command write them; in place of random ones."""
    label: str | None = None
    """Only sounds of this label, by name or number, where the model knows any: seven, or 7."""
    out: Path = Path("out")
    """Folder for the sounds; made where it is missing."""

    def __post_init__(self) -> None:
        check_range("--count", self.count, 1, 100_000)
        check_range("--seed", self.seed, 0, 2**63 - 1)
        if self.latents is not None and (self.interpolate or self.label is not None):
            raise InputError("--latents: without --interpolate and --label; leave those out")
        if self.interpolate and self.count < 2:
            raise InputError("--interpolate: a walk has two ends; give --count 2 or more")

    def run(self) -> int:
        """Generate and write; the exit status."""
        from audiate.files import save_array

        model = load_generator(self.model)
        z = self._latents(model) if self.latents is None else read_latents(self.latents, model)
        _clear(self.out)
        shown = write_sounds(model, z, self.out)
        save_array(z.numpy(), self.out / LATENTS_NAME)
        some = f" (the first {_SHEET_CLIPS})" if len(z) > _SHEET_CLIPS else ""
        print(f"{len(z)} sounds into {self.out}: see {shown}{some}")
        return 0

    def _latents(self, model: AudioGAN) -> Tensor:
        import torch

        count = 2 if self.interpolate else self.count
        source = torch.Generator().manual_seed(self.seed)
        labels = None if self.label is None else torch.tensor([self._label(model)])
        # One by one: so the first latents do not depend on how many follow.
        z = torch.cat(
            [model.sample_latent(1, generator=source, labels=labels) for _ in range(count)]
        )
        if self.interpolate:
            share = torch.linspace(0, 1, self.count).unsqueeze(1)
            z = z[:1] + share * (z[1:] - z[:1])
        return z.cpu()

    def _label(self, model: AudioGAN) -> int:
        assert self.label is not None
        if self.label in model.names:
            return model.names.index(self.label)
        if self.label.isdecimal() and int(self.label) < model.classes:
            return int(self.label)
        names = f" ({', '.join(model.names)})" if model.names else ""
        known = f"labels 0 to {model.classes - 1}{names}" if model.classes else "no labels"
        raise InputError(f"--label {self.label}: {self.model} knows {known}")


def read_latents(path: Path, model: AudioGAN) -> Tensor:
    """Latents (count, latent_dim) of a .npy file.

    Raises:
        InputError: It is no such file, or its latents are not of the model's size.

    """
    import numpy as np
    import torch

    try:
        stored = np.load(path, allow_pickle=False)
        if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "fiu":
            raise ValueError("no array of real numbers")
        with np.errstate(over="ignore"):  # what is infinite then is told below
            found = torch.from_numpy(np.atleast_2d(stored).astype(np.float32))
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise InputError(
            f"{path}: cannot be read as latents ({error}); give a .npy file, as `audiate invert` "
            f"writes it"
        ) from error
    if found.dim() != 2 or found.shape[1] != model.latent_dim or not len(found):
        raise InputError(
            f"{path}: holds {tuple(stored.shape)} numbers, and this model's latents are "
            f"(count, {model.latent_dim}); give --latents of this model"
        )
    if not found.isfinite().all():
        raise InputError(f"{path}: holds NaN or infinite numbers; invert the clip again")
    return found


def _clear(out: Path) -> None:
    """Take away the sounds that an earlier run left, so that latents belong to what is there."""
    import numpy as np

    try:
        count = len(np.load(out / LATENTS_NAME, mmap_mode="r"))
    except (OSError, ValueError, TypeError):  # none, or not ours
        return
    for number in range(count):
        (out / sound_name(number, count)).unlink(missing_ok=True)
    (out / LATENTS_NAME).unlink()


def sound_name(number: int, count: int) -> str:
    """File name of one of so many sounds."""
    return f"{number:0{max(len(str(count - 1)), 3)}}.wav"


def write_sounds(model: AudioGAN, z: Tensor, out: Path) -> Path:
    """Write a wav for each latent (count, latent_dim) and the sheet; the sheet's path."""
    import torch
    from rich.console import Console
    from rich.progress import track

    from audiate.audio import save_wav
    from audiate.models.generator import generate
    from audiate.pictures import save_tiles
    from audiate.spectra import Spectrogram

    console = Console(stderr=True)
    spectrograms: list[Tensor] = []
    batches = torch.split(z, _BATCH)
    with torch.inference_mode():
        for number, part in enumerate(
            track(batches, "generating", console=console, disable=not console.is_terminal)
        ):
            waveforms = generate(model, part.to(model.device)).cpu()
            for index, waveform in enumerate(waveforms):
                name = sound_name(number * _BATCH + index, len(z))
                save_wav(out / name, waveform, model.sample_rate)
            if len(spectrograms) * _BATCH < _SHEET_CLIPS:
                spectrograms.append(Spectrogram()(waveforms.mean(1)).transpose(1, 2))
    shown = range(min(len(z), _SHEET_CLIPS))
    titles = [Path(sound_name(index, len(z))).stem for index in shown]
    if model.names:
        meant = model.labels_of(z).tolist()
        titles = [
            f"{title} {model.names[label]}"
            for title, label in zip(titles, meant[: len(titles)], strict=True)
        ]
    save_tiles(torch.cat(spectrograms)[:_SHEET_CLIPS], titles, out / SHEET_NAME)
    return out / SHEET_NAME


def load_generator(name: str) -> AudioGAN:
    """A model that generates sound.

    Raises:
        InputError: There is none of that name, or it does something else.

    """
    from audiate.hub import load_as
    from audiate.models import AudioGAN

    otherwise = f"does not generate sound; {DEFAULT_GENERATOR} does"
    return load_as(name, AudioGAN, otherwise)  # type: ignore[type-abstract]
