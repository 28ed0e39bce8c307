"""From a generator and the name of a method to an inverter."""

from __future__ import annotations

import time
from typing import Literal, get_args

import torch
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.hub import load, load_as, shipped_models
from audiate.inversion.inverters import (
    EncoderInverter,
    EvolutionInverter,
    GradientInverter,
    HybridInverter,
    Inversion,
    Inverter,
    check_target,
)
from audiate.inversion.objectives import (
    LevelTerm,
    Objective,
    PerceptualTerm,
    SpectrogramTerm,
    WaveformTerm,
)
from audiate.models import AudioGAN, DigitClassifier, Generator, InverseMapping
from audiate.models.inverse import fingerprint

Method = Literal["encoder", "gradient", "hybrid", "evolution"]

HYBRID_ITERATIONS = 200
"""Of the hybrid's gradient part at most (Keyes et al. 2020, section 4.4)."""

_SAME = 0.1  # relative difference of fingerprints: quantised weights sound a little different


def paper_objective(judge: DigitClassifier) -> Objective:
    """That of the paper's programs: spectrogram, waveform, and 0.002 of the judge's view."""
    return Objective(
        {
            "spectrogram": (1.0, SpectrogramTerm()),
            "waveform": (1.0, WaveformTerm()),
            "perceptual": (0.002, PerceptualTerm(judge)),
        }
    )


def speech_objective(judge: DigitClassifier | None) -> Objective:
    """Ours: also hears what is said, so that words survive.

    Without a judge, levels alone stand for what is heard.
    """
    terms: dict[str, tuple[float, SpectrogramTerm | LevelTerm | PerceptualTerm]] = {
        "spectrogram": (4.0, SpectrogramTerm()),
        "levels": (3.0, LevelTerm()),
    }
    if judge is not None:
        terms["perceptual"] = (0.3, PerceptualTerm(judge))
    return Objective(terms)


def find_encoder(generator: Generator, encoder: str | InverseMapping | None) -> InverseMapping:
    """The encoder of a generator: the named one, or the shipped one that knows it.

    Raises:
        InputError: There is none, or it is another generator's.

    """
    print_of = fingerprint(generator)
    if encoder is None:
        for name in shipped_models():
            model = load(name)
            if isinstance(model, InverseMapping) and _same(model.config.fingerprint, print_of):
                return model
        raise InputError(
            "no encoder is shipped for this generator; train one (`audiate train inverse-mapping "
            "--generator ...`) and name its folder with --encoder, or use --method gradient"
        )
    if isinstance(encoder, str):
        name = encoder
        encoder = load_as(name, InverseMapping, "is no encoder; give another --encoder")
    else:
        name = "the encoder"
    if not _same(encoder.config.fingerprint, print_of):
        raise InputError(
            f"{name}: was trained for another generator ({encoder.config.generator or 'unnamed'}); "
            f"train one for this: `audiate train inverse-mapping --generator ...`"
        )
    return encoder


def _same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and all(
        abs(a - b) <= _SAME * max(abs(a), abs(b)) for a, b in zip(one, other, strict=True)
    )


def inverter(
    generator: str | Generator,
    method: Method = "hybrid",
    *,
    encoder: str | InverseMapping | None = None,
    judge: DigitClassifier | None = None,
    budget: float | None = None,
    restarts: int = 1,
    seed: int = 0,
    batch_size: int = 64,
) -> Inverter:
    """Make an inverter: a callable from waveforms to an `Inversion`.

    Args:
        generator: A shipped model's name, a folder, a hub id, or any `Generator`.
        method: ``encoder``: one look. ``gradient``: L-BFGS from random latents. ``hybrid``: L-BFGS
            from where the encoder looked. ``evolution``: CMA-ES, for generators that only run
            forward, from where the encoder looked if there is one.
        encoder: A folder, a hub id, or the encoder itself; by default the shipped one.
        judge: Whose activations are compared, beside levels and spectrograms; by default none.
        budget: Seconds for each clip; instead of a method, the best that fits in is done.
        restarts: Starts of gradients, of which the best is kept.
        seed: Of random starts.
        batch_size: Clips, or starts, that are worked at together.

    Raises:
        InputError: There is no such thing, or it does not fit the generator.

    """
    if method not in get_args(Method):
        raise InputError(f"method {method!r}: give one of {', '.join(get_args(Method))}")
    if isinstance(generator, str):
        generator = load_as(generator, AudioGAN, "generates no sound; give another --generator")  # type: ignore[type-abstract]
    objective = speech_objective(judge)
    if budget is not None:
        check_range("budget", budget, 0.001, 10**6)
        look = EncoderInverter(generator, find_encoder(generator, encoder), objective)
        return BudgetInverter(generator, look, objective, budget, seed=seed)
    if method == "gradient":
        return GradientInverter(
            generator,
            objective,
            restarts=restarts,
            max_iterations=1_000,
            seed=seed,
            batch_size=batch_size,
        )
    if method == "evolution":
        search = EvolutionInverter(generator, objective, seed=seed, batch_size=batch_size)
        if encoder is None:
            return search
        look = EncoderInverter(generator, find_encoder(generator, encoder), objective)
        return HybridInverter(look, search)
    found = find_encoder(generator, encoder)
    look = EncoderInverter(generator, found, objective, batch_size=batch_size)
    if method == "encoder":
        return look
    refine = GradientInverter(
        generator,
        objective,
        max_iterations=HYBRID_ITERATIONS,
        box="projected",
        restarts=restarts,
        seed=seed,
        batch_size=batch_size,
    )
    return HybridInverter(look, refine)


class BudgetInverter:
    """The best inversion that fits in so many seconds a clip.

    First the encoder's look; then, as long as time remains, L-BFGS from there, and from random
    latents. What had the lowest loss is kept, so more time never gives a worse one.
    """

    def __init__(
        self,
        generator: Generator,
        look: EncoderInverter,
        objective: Objective,
        seconds: float,
        *,
        seed: int = 0,
    ) -> None:
        self.generator, self.look, self.objective = generator, look, objective
        self.seconds, self.seed = seconds, seed
        self._warm = False

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert within ``seconds`` times the number of clips."""
        check_target(self.generator, target, init)
        deadline = time.monotonic() + self.seconds * len(target)
        best = self.look(target)
        if not self.generator.differentiable:
            return best
        round_ = 0
        while time.monotonic() < deadline:
            refine = GradientInverter(
                self.generator,
                self.objective,
                max_iterations=HYBRID_ITERATIONS,
                box="projected",
                seed=self.seed + round_,
            )
            found = refine(target, None if round_ else best.latent, deadline=deadline)
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
