"""`audiate invert`: invert sound files by a generator."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from audiate.cli.common import Clips, Device, print_error
from audiate.cli.own import OwnGenerator
from audiate.errors import InputError
from audiate.models.hub import DEFAULT_GENERATOR, SPOKEN_CLASSIFIER
from audiate.utils.progress import note

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}


@dataclass(frozen=True)
class Invert:
    """Find the latent from which a generator reconstructs each clip.

    Writes for each clip OUT/<clip>.wav, the sound that the generator makes of the latent;
    OUT/<clip>.npy, the latent; and OUT/<clip>.png, waveforms and spectrograms before and after.
    OUT/latents.npz holds the names of all clips and their latents, and OUT/report.json holds the
    loss, MSE, SSIM, the classifier's digit before and after, evaluations and seconds of each clip.

    Folders are searched. Clips are brought to the generator's sample rate and length, and to one
    peak level; OUT/heard/<clip>.wav is the result, for `audiate compare OUT/heard OUT`.
    `audiate generate --latents OUT/latents.npz` generates the sounds again. Clips that were
    inverted before are skipped, so the same command goes on after an interruption; other settings
    need another folder. Files that this command has not written are never replaced. A clip that
    cannot be used is named on standard error, the others are inverted, and the exit status is 2.
    """

    clips: Clips
    generator: str = DEFAULT_GENERATOR
    """A shipped model's name, the folder of a run or a model, or a Hugging Face hub id; or a
    generator of your own: package.module:make, an .onnx file or a TorchScript file."""
    method: Literal["encoder", "search", "gradient", "hybrid", "evolution"] = "hybrid"
    """encoder: the latent that an encoder gives, the fastest. search: the nearest of 3,000 random
    latents, which are sampled once for each generator and classifier; with --max-iterations, L-BFGS
    goes on from there. gradient: L-BFGS from a random latent. hybrid: L-BFGS from --start.
    evolution: CMA-ES from --start, without gradients."""
    start: Literal["auto", "encoder", "search", "both"] = "auto"
    """Latent that hybrid and evolution begin with: the encoder's, that of a search, or the better
    of both. auto: the encoder's where one is given or shipped, else that of a search."""
    budget: str | None = None
    """Time for each clip, as in 50ms, 1s or 10s. It chooses the best method that fits.
    """
    encoder: str | None = None
    """The generator's encoder: the folder of a run or a model, or a hub id. The default is the
    shipped one."""
    classifier: str = SPOKEN_CLASSIFIER
    """The classifier of spoken digits, which also guides gradients. none: no classifier, for other
    sounds."""
    restarts: int = 1
    """Number of starts of gradients, of which the best is kept; not with --budget. After a search
    alone, they are its nearest latents, by successive halving; otherwise, all but the first are
    random."""
    objective: Literal["speech", "levels", "paper", "plain"] | None = None
    """The objective that gradients and evolution minimise. speech: spectrograms and
    the classifier's features. levels: the same without the terms that depend on phases, the default
    after a search alone. paper: that of the paper's programs. plain: the paper's equation 1,
    spectrograms alone."""
    max_iterations: int | None = None
    """Largest number of iterations of L-BFGS, or of rounds of evolution. The default is 200 for
    hybrid, 1,000 for gradient, 300 for evolution, 0 for search; published: 200 and 50,000 for the
    first two."""
    seed: int = 0
    """Seed of random starts."""
    device: Device = "auto"
    out: Path = Path("out/invert")
    """Folder for all that is written. It is made where it is missing."""
    own: OwnGenerator = field(default_factory=OwnGenerator)

    def run(self) -> int:
        """Invert every clip, and return the exit status."""
        from audiate.folders.invert import invert_folder

        budget = None if self.budget is None else parse_duration(self.budget)
        generator = self.own.open(self.generator, device=self.device)
        report = invert_folder(
            self.clips,
            self.out,
            generator=generator,
            method=self.method,
            start=self.start,
            encoder=self.encoder,
            classifier=None if self.classifier == "none" else self.classifier,
            objective=self.objective,
            budget=budget,
            restarts=self.restarts,
            max_iterations=self.max_iterations,
            seed=self.seed,
            name=self.generator,
            notify=print_error,
        )
        print(report.summary())
        for line in report.notes(
            seconds=generator.num_samples / generator.sample_rate, budget=budget
        ):
            note(line)
        return 2 if report.errors else 0


def parse_duration(text: str) -> float:
    """Seconds in 50ms, 1s or 2min.

    Raises:
        InputError: It is no such thing.

    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(ms|s|min)", text.strip())
    if match is None or float(match[1]) == 0:
        raise InputError(f"`budget` {text}: give a time for each clip, as in 50ms, 1s or 2min")
    return float(match[1]) * _UNITS[match[2]]
