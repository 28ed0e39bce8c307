"""`audiate invert`: invert sound files by a generator."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.constructors import PrimitiveConstructorSpec

from audiate.cli.common import Classifier, Clips, Device, keywords, print_error
from audiate.cli.own import OwnGenerator
from audiate.errors import InputError
from audiate.inversion.settings import InversionSettings
from audiate.models.hub import DEFAULT_GENERATOR, SPOKEN_CLASSIFIER
from audiate.utils.progress import note

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}


def parse_duration(text: str) -> float:
    """Seconds in 50ms, 1s or 2min.

    Raises:
        InputError: It is no such thing.

    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(ms|s|min)", text.strip())
    if match is None or float(match[1]) == 0:
        raise InputError(f"`budget` {text}: give a time for each clip, as in 50ms, 1s or 2min")
    return float(match[1]) * _UNITS[match[2]]


_DURATION = PrimitiveConstructorSpec[float | None](
    nargs=1,
    metavar="TIME",
    instance_from_str=lambda words: parse_duration(words[0]),
    is_instance=lambda value: value is None or isinstance(value, float),
    str_from_instance=lambda value: ["not", "given"] if value is None else [str(value)],
)


@dataclass(frozen=True)
class TimedSettings(InversionSettings):
    """The method, and its settings."""

    budget: Annotated[float | None, _DURATION] = None
    """Time for each clip, as in 50ms, 1s or 10s. Finds the best latent in this time, and replaces
    --method, --restarts and --max-iterations."""


@dataclass(frozen=True)
class Invert:
    """Find the latent from which a generator reconstructs each clip.

    Writes for each clip OUT/<clip>.wav, the sound that the generator makes of the latent;
    OUT/<clip>.npy, the latent; and OUT/<clip>.png, waveforms and spectrograms before and after.
    OUT/latents.npz holds the names of all clips and their latents, and OUT/report.json holds the
    loss, MSE, SSIM, the classifier's digit before and after, evaluations and seconds of each clip.
    A clip that is probably no spoken digit has none before, and does not count as kept.

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
    encoder: str | None = None
    """The generator's encoder: the folder of a run or a model, or a hub id. The default is the
    shipped one."""
    classifier: Classifier = SPOKEN_CLASSIFIER
    """The classifier of spoken digits, which also guides gradients. none: no classifier, for other
    sounds. A generator that was trained on other words takes none."""
    deterministic: bool = False
    """Invert clips one by one. This is slower than all together, but the result for a clip does not
    depend, by rounding, on the others."""
    device: Device = "auto"
    out: Path = Path("out/invert")
    """Folder for all that is written. It is made where it is missing."""
    settings: TimedSettings = field(default_factory=TimedSettings)
    own: OwnGenerator = field(default_factory=OwnGenerator)

    def run(self) -> int:
        """Invert every clip, and return the exit status."""
        from audiate.folders.invert import invert_folder

        generator = self.own.open(self.generator, device=self.device)
        report = invert_folder(
            **keywords(self, "generator", "device", "settings", "own"),
            **vars(self.settings),
            generator=generator,
            name=self.generator,
            notify=print_error,
        )
        print(report.summary())
        for line in report.notes(
            seconds=generator.num_samples / generator.sample_rate, budget=self.settings.budget
        ):
            note(line)
        return 2 if report.errors else 0
