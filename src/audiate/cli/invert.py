"""`audiate invert`: the latent of a sound, and the sound that a generator makes of it."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from audiate.cli.generate import DEFAULT_GENERATOR, load_generator
from audiate.cli.inversions import (
    BATCH,
    GPU_BATCH,
    REPORT_NAME,
    Report,
    claimed,
    find_clips,
    invert_clips,
)
from audiate.errors import InputError, check_range

if TYPE_CHECKING:
    from audiate.inversion import Objective
    from audiate.models import DigitClassifier

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}


@dataclass(frozen=True)
class Invert:
    """Find the latent with which a generator says a clip again.

    Writes for each clip OUT/<clip>.wav, the sound given back; OUT/<clip>.npy, its latent;
    OUT/<clip>.png, waveforms and spectrograms before and after; and OUT/report.json, which tells of
    each clip the loss, MSE, SSIM, the judge's digit before and after, evaluations and seconds.

    Folders are searched. Clips are brought to the generator's sample rate and length, and to one
    peak level; OUT/heard/<clip>.wav is what became of them, for `audiate compare OUT/heard OUT`.
    `audiate generate --latents OUT/<clip>.npy` says a latent again. What is there already is not
    done again, so the same command goes on after an interruption. A clip that cannot be used is
    named on standard error, the others are inverted, and the exit status is 2.
    """

    clips: Positional[Annotated[tuple[Path, ...], arg(metavar="CLIP...")]]
    """Sound files, or folders of them."""
    generator: str = DEFAULT_GENERATOR
    """A shipped model's name, a run's or a model's folder, or a Hugging Face hub id."""
    method: Literal["encoder", "gradient", "hybrid", "evolution"] = "hybrid"
    """encoder: one look, the fastest. gradient: L-BFGS from a random latent. hybrid: L-BFGS from
    where the encoder looked. evolution: CMA-ES, without gradients."""
    budget: str | None = None
    """Time for each clip, as in 50ms, 1s or 10s: the best that fits in, in place of --method."""
    encoder: str | None = None
    """The generator's encoder: a run's folder or a hub id. Default: the shipped one."""
    judge: str = "digits-resnet18"
    """The judge of spoken digits, who also guides gradients. none: do without, for other sounds."""
    restarts: int = 1
    """Starts of gradients, of which the best is kept; not with --budget."""
    objective: Literal["speech", "paper", "plain"] = "speech"
    """What gradients and evolution minimise. speech: ours. paper: that of the paper's programs.
    plain: the paper's equation 1, spectrograms alone."""
    max_iterations: int | None = None
    """Of L-BFGS, or rounds of evolution. Default: 200 for hybrid, 1,000 for gradient, 300 for
    evolution; published: 200 and 50,000 for the first two."""
    seed: int = 0
    """Of random starts."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""
    out: Path = Path("out")
    """Folder for all that is written; made where it is missing."""

    def __post_init__(self) -> None:
        check_range("--restarts", self.restarts, 1, 10_000)
        if self.max_iterations is not None:
            check_range("--max-iterations", self.max_iterations, 0, 10**9)
        if self.budget is not None and self.restarts > 1:
            raise InputError(
                "--restarts: a budget makes as many starts as fit; leave one of them out"
            )
        if self.budget is not None and self.method != "hybrid":
            raise InputError("--method: a budget chooses its own; leave one of them out")
        if self.method in ("encoder", "evolution") and self.restarts > 1:
            raise InputError(f"--restarts: --method {self.method} has one start; leave it out")
        check_range("--seed", self.seed, 0, 2**63 - 1)

    def run(self) -> int:
        """Invert every clip; the exit status."""
        if not self.clips:
            raise InputError("no clips given; name sound files, as in `audiate invert seven.wav`")
        from audiate.evaluate import load_listener
        from audiate.inversion import find_encoder, inverter
        from audiate.models.inverse import digest, fingerprint

        budget = None if self.budget is None else parse_duration(self.budget)
        clips = find_clips(self.clips, self.out)
        generator = load_generator(self.generator).to(self._device())
        judge = None if self.judge == "none" else load_listener(self.judge)
        encoder = None
        looks = self.method in ("encoder", "hybrid") or budget is not None
        if looks or self.encoder is not None:
            encoder = find_encoder(generator, self.encoder)
        guide = judge
        if judge is not None and judge.sample_rate != generator.sample_rate:
            guide = None  # it still hears what comes of it
        invert = inverter(
            generator,
            self.method,
            encoder=encoder,
            judge=guide,
            objective=self._objective(guide, generator.sample_rate),
            budget=budget,
            restarts=self.restarts,
            max_iterations=self.max_iterations,
            seed=self.seed,
        )
        settings = {
            name: str(value)
            for name, value in asdict(self).items()
            if name not in ("clips", "out", "device") and value is not None
        }
        settings["generator"] += f" ({digest(fingerprint(generator))})"
        if encoder is not None:
            shown = self.encoder or encoder.config.generator
            settings["encoder"] = f"{shown} ({digest(encoder.network.head.weight.tolist())})"
        batch = GPU_BATCH if self._device() == "cuda" else BATCH
        with claimed(self.out):
            report = Report(self.out / REPORT_NAME, settings)
            sources = report.places(clips)
            done = invert_clips(
                generator, invert, judge, sources, report, 1 if budget is not None else batch
            )
        print(report.summary(sources, done))
        if budget is not None and (took := report.seconds(sources)) > 1.1 * budget:
            print(
                f"audiate: --budget {self.budget}: a clip took {took:.2f} s, as the encoder looks "
                f"at each whatever the budget",
                file=sys.stderr,
            )
        return 2 if report.failed(sources) else 0

    def _device(self) -> str:
        import torch

        from audiate.hub import check_device

        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        check_device(self.device)
        return self.device

    def _objective(self, guide: DigitClassifier | None, sample_rate: int) -> Objective | None:
        from audiate.inversion import paper_objective, plain_objective

        if self.objective == "plain":
            return plain_objective()
        if self.objective == "speech":
            return None
        if guide is None:
            raise InputError(
                "--objective paper: needs a judge of the generator's sample rate; give --judge, or "
                "--objective plain"
            )
        return paper_objective(guide, sample_rate)


def parse_duration(text: str) -> float:
    """Seconds in 50ms, 1s or 2min.

    Raises:
        InputError: It is no such thing.

    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(ms|s|min)", text.strip())
    if match is None or float(match[1]) == 0:
        raise InputError(f"--budget {text}: give a time for each clip, as in 50ms, 1s or 2min")
    return float(match[1]) * _UNITS[match[2]]
