"""`audiate activations`: plot the averaged activations of each layer of a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audiate.cli.common import Device, Model
from audiate.errors import InputError, check_range


@dataclass(frozen=True)
class Activations:
    """Plot the activations of each layer of a network for a sound.

    The activations of each layer, averaged over its channels (and over frequency), become a time
    series that is aligned with the waveform (Beguš and Zhou 2022). Writes for each sound
    OUT/000.csv, a column for each layer and the waveform, one row a sample; OUT/000.png, all of
    them below each other; and OUT/000.wav. A generator takes latents; a classifier or an
    encoder takes a recording (--clip).
    """

    model: Model
    """A shipped model's name, the folder of a run or a model, or a Hugging Face hub id: a WaveGAN
    or a SpecGAN, an encoder, or the classifier of spoken digits."""
    latents: Path | None = None
    """Latents of a generator's sounds: an .npy or .npz file. Default: COUNT random ones."""
    clip: Path | None = None
    """Recording for a classifier or an encoder."""
    count: int = 1
    """Number of random latents."""
    seed: int = 0
    """Seed of the random latents."""
    device: Device = "auto"
    out: Path = Path("out/activations")
    """Folder for all that is written. It is made where it is missing."""

    def __post_init__(self) -> None:
        check_range("`count`", self.count, 1, 1000)
        check_range("`seed`", self.seed, 0, 2**63 - 1)

    def run(self) -> int:
        """Compute and write the activations; return the exit status."""
        import torch

        from audiate.data.latents import read_latents
        from audiate.folders.runner import numbered, replacing_outputs
        from audiate.models.generator import AudioGAN, GeneratorModel
        from audiate.models.pretrained import load
        from audiate.phonetics.activations import (
            classifier_activations,
            generator_activations,
            write_activations,
        )
        from audiate.utils.devices import resolve_device
        from audiate.utils.progress import tracked

        model = load(self.model, device=resolve_device(self.device))
        if isinstance(model, AudioGAN):
            if self.clip is not None:
                raise InputError("`clip`: a generator takes no recording; give `latents`")
            random = torch.Generator().manual_seed(self.seed)
            z = (
                model.sample_latent(self.count, generator=random).cpu()
                if self.latents is None
                else torch.from_numpy(read_latents(self.latents, model.latent_dim))
            )
            views = [
                generator_activations(model, row[None])
                for row in tracked(list(z), "computing activations")
            ]
        elif isinstance(model, GeneratorModel):
            raise InputError(
                f"{self.model}: none of its layers follows the sound in time; name a WaveGAN or a "
                f"SpecGAN, an encoder, or a classifier of spoken digits"
            )
        elif self.clip is None:
            raise InputError(f"{self.model}: takes a recording; name one with `clip`")
        else:
            views = [classifier_activations(model, self.clip)]
        names = numbered(len(views))
        files = {name: [f"{name}{end}" for end in (".csv", ".png", ".wav")] for name in names}
        settings = {"model": self.model}
        with replacing_outputs(self.out, "activations", settings, files, ()) as stage:
            for name, view in zip(names, views, strict=True):
                write_activations(view, stage / name)
        layers = ", ".join(views[0].layers)
        print(f"layers {layers}: see {self.out / names[0]}.png and .csv")
        return 0
