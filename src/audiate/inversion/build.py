"""From a generator and the name of a method to an inverter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.hub import find, load_as, shipped_models
from audiate.inversion.common import Inversion, Inverter
from audiate.inversion.evolution import EvolutionInverter
from audiate.inversion.inverters import EncoderInverter, GradientInverter, HybridInverter
from audiate.inversion.lbfgs import Box
from audiate.inversion.objectives import (
    LevelTerm,
    Objective,
    PerceptualTerm,
    SpectrogramTerm,
    StructureTerm,
    Term,
    WaveformTerm,
)
from audiate.models import AudioGAN, DigitClassifier, Generator, InverseMapping
from audiate.models.generator import check_generator, device_of
from audiate.models.inverse import fingerprint
from audiate.models.pretrained import read_config

Method = Literal["encoder", "gradient", "hybrid", "evolution"]

HYBRID_ITERATIONS = 200
"""Of the hybrid's gradient part at most (Keyes et al. 2020, section 4.4)."""

GRADIENT_ITERATIONS = 1_000
"""Of gradients alone; the paper has 50,000."""

EVOLUTION_ROUNDS = 300

_SAME = 0.1  # relative difference of fingerprints: quantised weights sound a little different


def paper_objective(judge: DigitClassifier, sample_rate: int) -> Objective:
    """That of the paper's programs: spectrogram, waveform, and 0.002 of what the judge hears.

    Args:
        judge: Of spoken digits.
        sample_rate: Of the clips, in Hz; the judge's.

    """
    return Objective(
        {
            "spectrogram": (1.0, SpectrogramTerm()),
            "waveform": (1.0, WaveformTerm()),
            "perceptual": (0.002, PerceptualTerm(judge, sample_rate, normalised=False)),
        }
    )


def speech_objective(judge: DigitClassifier | None, sample_rate: int) -> Objective:
    """Ours: also hears what is said, so that words survive.

    Spectrograms alone, which hear phases, are best matched by something quiet that says nothing.
    Beside them: levels, how both are structured, and what a judge of speech hears.

    Args:
        judge: Of spoken digits. None: levels alone stand for what is heard.
        sample_rate: Of the clips, in Hz; the judge's.

    """
    terms: dict[str, tuple[float, Term]] = {
        "spectrogram": (1.0, SpectrogramTerm()),
        "levels": (3.0, LevelTerm()),
        "structure": (5.0, StructureTerm("real")),
        "level_structure": (1.0, StructureTerm("log")),
    }
    if judge is not None:
        terms["perceptual"] = (0.3, PerceptualTerm(judge, sample_rate))
    return Objective(terms)


def find_encoder(
    generator: Generator, encoder: str | Path | InverseMapping | None
) -> InverseMapping:
    """The encoder of a generator: the named one, or the shipped one that knows it.

    Raises:
        InputError: There is none, or it is another generator's.

    """
    own = fingerprint(generator)
    if encoder is None:
        for name in shipped_models():
            model_type, config, _ = read_config(find(name))
            if model_type == InverseMapping.model_type and _same(config["fingerprint"], own):
                return load_as(name, InverseMapping, "")
        others = "gradient or evolution" if generator.differentiable else "evolution"
        raise InputError(
            f"no encoder is shipped for this generator; train one (`audiate train inverse-mapping "
            f"--generator ...`) and name its folder with --encoder, or use the method {others}"
        )
    name = "the encoder"
    if not isinstance(encoder, InverseMapping):
        name = str(encoder)
        encoder = load_as(encoder, InverseMapping, "is no encoder; give another --encoder")
    if not _same(encoder.config.fingerprint, own):
        raise InputError(
            f"{name}: was trained for another generator ({encoder.config.generator or 'unnamed'}); "
            f"train one for this: `audiate train inverse-mapping --generator ...`"
        )
    return encoder


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(
        abs(a - b) <= _SAME * max(abs(a), abs(b)) for a, b in zip(one, other, strict=True)
    )


def inverter(
    generator: str | Path | Generator,
    method: Method = "hybrid",
    *,
    encoder: str | Path | InverseMapping | None = None,
    judge: str | Path | DigitClassifier | None = None,
    objective: Objective | None = None,
    budget: float | None = None,
    restarts: int = 1,
    max_iterations: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
) -> Inverter:
    """Make an inverter: a callable from waveforms to an `Inversion`.

    Args:
        generator: A shipped model's name, a folder, a hub id, or any `Generator`.
        method: ``encoder``: one look. ``gradient``: L-BFGS from random latents. ``hybrid``: L-BFGS
            from where the encoder looked. ``evolution``: CMA-ES, for generators that only run
            forward, from where ``encoder`` looked if one is given.
        encoder: A folder, a hub id, or the encoder itself; by default the shipped one, but for
            evolution. It goes to the generator's device.
        judge: Whose activations are compared, beside levels and spectrograms, or its name; by
            default none. It goes to the generator's device.
        objective: What is minimised instead: `plain_objective` and `paper_objective` are the
            paper's.
        budget: Seconds for each clip; in place of ``method`` and ``restarts``, the best that fits.
        restarts: Starts of gradients, of which the best is kept.
        max_iterations: Of L-BFGS from each start; by default 200 from where an encoder looked,
            1,000 from elsewhere (the paper: 50,000). Of evolution, its rounds; by default 300.
        seed: Of random starts.
        batch_size: Clips, or starts, that are worked at together.

    Raises:
        InputError: There is no such thing, or it does not fit the generator.

    """
    if method not in get_args(Method):
        raise InputError(f"method {method!r}: give one of {', '.join(get_args(Method))}")
    if isinstance(generator, (str, Path)):
        generator = load_as(generator, AudioGAN, "generates no sound; give another --generator")  # type: ignore[type-abstract]
    check_generator(generator)
    check_range("seed", seed, 0, 2**63 - 1)
    device = device_of(generator)
    if objective is None:
        if isinstance(judge, (str, Path)):
            judge = load_as(judge, DigitClassifier, "hears no digits; give another judge")
        guide = None if judge is None else judge.to(device)
        objective = speech_objective(guide, generator.sample_rate)
    if not isinstance(objective, Objective):
        raise InputError(f"objective {objective!r}: give one, as plain_objective() is")

    def look() -> EncoderInverter:
        found = find_encoder(generator, encoder).to(device)
        return EncoderInverter(generator, found, objective, batch_size=batch_size)

    def descend(box: Box, most: int) -> GradientInverter:
        return GradientInverter(
            generator,
            objective,
            box=box,
            restarts=restarts,
            max_iterations=most if max_iterations is None else max_iterations,
            seed=seed,
            batch_size=batch_size,
        )

    if budget is not None:
        check_range("budget", budget, 0.001, 10**6)
        return BudgetInverter(look(), budget, seed=seed)
    if method == "encoder":
        return look()
    if method == "gradient":
        return descend("clipped", GRADIENT_ITERATIONS)
    if method == "evolution":
        rounds = EVOLUTION_ROUNDS if max_iterations is None else max_iterations
        search = EvolutionInverter(
            generator, objective, generations=rounds, seed=seed, batch_size=batch_size
        )
        return search if encoder is None else HybridInverter(look(), search)
    return HybridInverter(look(), descend("projected", HYBRID_ITERATIONS))


class BudgetInverter:
    """The best inversion that fits in so many seconds a clip.

    First the encoder's look; then, as long as time remains, L-BFGS from there, and from random
    latents. What had the lowest loss is kept, so more time never gives a worse one.
    """

    def __init__(self, look: EncoderInverter, seconds: float, *, seed: int = 0) -> None:
        """Spend ``seconds`` on each clip, beginning with ``look``."""
        self.look, self.seconds, self.seed = look, seconds, seed

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert within ``seconds`` times the number of clips; ``init`` plays no part."""
        began = time.monotonic()
        deadline = began + self.seconds * len(target)
        best = self.look(target, init)
        took = time.monotonic() - began
        generator, round_ = self.look.generator, 0
        # What is the least that a descent does lasts about as long as three looks.
        while generator.differentiable and time.monotonic() + 3 * took < deadline:
            descend = GradientInverter(
                generator,
                self.look.objective,
                max_iterations=HYBRID_ITERATIONS,
                box="projected",
                seed=self.seed + round_,
                batch_size=self.look.batch_size,
            )
            found = descend(target, None if round_ else best.latent, deadline=deadline - took)
            best = _better(best, found)
            round_ += 1
        return best


def _better(one: Inversion, other: Inversion) -> Inversion:
    """Of each clip, the one with the lower loss; evaluations of both."""
    wins = other.loss < one.loss
    latent = torch.where(wins.unsqueeze(1), other.latent, one.latent)
    output = torch.where(wins.view(-1, 1, 1), other.output, one.output)
    loss = torch.minimum(one.loss, other.loss)
    return Inversion(latent, output, loss, one.num_evals + other.num_evals)
