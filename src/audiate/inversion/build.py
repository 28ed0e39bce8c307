"""From a generator and the name of a method to an inverter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.hub import find, shipped_models
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
from audiate.models import DigitClassifier, Generator, InverseMapping
from audiate.models.generator import as_generator, device_of
from audiate.models.inverse import Fingerprint
from audiate.models.inverse import fingerprint as fingerprint_of
from audiate.models.pretrained import PretrainedModel, load_as
from audiate.models.storage import read_config

Method = Literal["encoder", "gradient", "hybrid", "evolution"]

HYBRID_ITERATIONS = 200
"""Largest number of iterations of the hybrid's gradient part (Keyes et al. 2020, section 4.4)."""

GRADIENT_ITERATIONS = 1_000
"""Largest number of iterations of gradients alone; the paper has 50,000."""

EVOLUTION_ROUNDS = 300
"""Number of rounds of CMA-ES."""

_SAME = 0.1  # relative difference of fingerprints: quantised weights sound a little different


def paper_objective(classifier: DigitClassifier, sample_rate: int) -> Objective:
    """The objective of the paper's programs: spectrogram, waveform, 0.002 of the perceptual term.

    Args:
        classifier: A classifier of spoken digits, whose activations are compared.
        sample_rate: Sample rate of the clips in Hz, which is also the classifier's.

    """
    return Objective(
        {
            "spectrogram": (1.0, SpectrogramTerm()),
            "waveform": (1.0, WaveformTerm()),
            "perceptual": (0.002, PerceptualTerm(classifier, sample_rate, normalised=False)),
        }
    )


def speech_objective(classifier: DigitClassifier | None, sample_rate: int) -> Objective:
    """Our objective, which also compares what is said, so that words survive.

    Spectrograms alone depend on phases, and are best matched by something quiet that says nothing.
    Therefore levels, the structure of both, and activations of a classifier are compared as well.

    Args:
        classifier: A classifier of spoken digits; None to compare levels and structure alone.
        sample_rate: Sample rate of the clips in Hz, which is also the classifier's.

    """
    terms: dict[str, tuple[float, Term]] = {
        "spectrogram": (1.0, SpectrogramTerm()),
        "levels": (3.0, LevelTerm()),
        "structure": (5.0, StructureTerm("real")),
        "level_structure": (1.0, StructureTerm("log")),
    }
    if classifier is not None:
        terms["perceptual"] = (0.3, PerceptualTerm(classifier, sample_rate))
    return Objective(terms)


def as_classifier(classifier: str | Path | DigitClassifier) -> DigitClassifier:
    """A classifier of spoken digits as it is, or the one of that name.

    Raises:
        InputError: There is none of that name, or it is something else.

    """
    if isinstance(classifier, DigitClassifier):
        return classifier
    return load_as(classifier, DigitClassifier, "hears no digits; give another `classifier`")


def find_encoder(
    generator: Generator,
    encoder: str | Path | InverseMapping | None,
    *,
    fingerprint: Fingerprint | None = None,
) -> InverseMapping:
    """Find the encoder of a generator.

    Args:
        generator: The generator.
        encoder: The encoder, its folder or hub id; None for the shipped one.
        fingerprint: The generator's, where it is known already.

    Raises:
        InputError: There is none, or it is another generator's.

    """
    own = fingerprint_of(generator) if fingerprint is None else fingerprint
    how = (
        "`audiate train inverse-mapping --generator ...`"
        if isinstance(generator, PretrainedModel)
        else "audiate.train_encoder(generator, folder) in Python"
    )
    if encoder is None:
        for name in shipped_models():
            model_type, config, _ = read_config(find(name))
            if model_type == InverseMapping.model_type and _same(config["fingerprint"], own):
                return load_as(name, InverseMapping, "")
        gradient = "`method=gradient` or " if generator.differentiable else ""
        raise InputError(
            f"no encoder is shipped for this generator; train one ({how}) and name its folder with "
            f"`encoder`, or do without: {gradient}`method=evolution`"
        )
    name = "the encoder"
    if not isinstance(encoder, InverseMapping):
        name = str(encoder)
        encoder = load_as(encoder, InverseMapping, "is no encoder; give another `encoder`")
    if not _same(encoder.config.fingerprint, own):
        raise InputError(
            f"{name}: was trained for another generator ({encoder.config.generator or 'unnamed'}); "
            f"train one for this: {how}"
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
    classifier: str | Path | DigitClassifier | None = None,
    objective: Objective | None = None,
    budget: float | None = None,
    restarts: int = 1,
    max_iterations: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    fingerprint: Fingerprint | None = None,
) -> Inverter:
    """Make an inverter: a callable from waveforms to an `Inversion`.

    Args:
        generator: A shipped model's name, a folder, a hub id, or any `Generator`.
        method: ``encoder``: the latent that an encoder gives. ``gradient``: L-BFGS from random
            latents. ``hybrid``: L-BFGS from the encoder's latent. ``evolution``: CMA-ES, for
            generators that only run forward; it begins at the latent of ``encoder``, if one is
            given.
        encoder: The encoder, its folder or hub id; by default the shipped one, and none for
            evolution. It is moved to the generator's device.
        classifier: A classifier of spoken digits or its name, whose activations are compared beside
            levels and spectrograms; by default none. It is moved to the generator's device.
        objective: The objective that is minimised instead: `plain_objective` and `paper_objective`
            are the paper's.
        budget: Seconds for each clip. The best that fits is found, in place of ``method`` and
            ``restarts``.
        restarts: Number of starts of gradients, of which the best is kept.
        max_iterations: Largest number of iterations of L-BFGS from each start; by default 200 from
            an encoder's latent, 1,000 from elsewhere (the paper: 50,000). For evolution, the number
            of rounds; by default 300.
        seed: Seed of random starts.
        batch_size: Number of clips, or of starts, that are worked at together.
        fingerprint: The generator's, where it is known already.

    Raises:
        InputError: There is no such thing, or it does not fit the generator.

    """
    if method not in get_args(Method):
        raise InputError(f"method {method!r}: give one of {', '.join(get_args(Method))}")
    check_range("seed", seed, 0, 2**63 - 1)
    generator = as_generator(generator)
    device = device_of(generator)
    if objective is None:
        guide = None if classifier is None else as_classifier(classifier)
        objective = speech_objective(guide, generator.sample_rate)
    if not isinstance(objective, Objective):
        raise InputError(f"objective {objective!r}: give one, as plain_objective() is")
    search = _Search(
        generator, objective.to(device), restarts, max_iterations, seed=seed, batch_size=batch_size
    )
    encode = None
    if method in ("encoder", "hybrid") or budget is not None or encoder is not None:
        found = find_encoder(generator, encoder, fingerprint=fingerprint).to(device)
        encode = EncoderInverter(generator, found, search.objective, batch_size=batch_size)
    return search.inverter(method, encode, budget)


@dataclass(frozen=True)
class _Search:
    """The settings of a search, and the inverters that are made of them."""

    generator: Generator
    objective: Objective
    restarts: int
    max_iterations: int | None
    seed: int
    batch_size: int

    def inverter(
        self, method: Method, encode: EncoderInverter | None, budget: float | None
    ) -> Inverter:
        """The inverter of a method, which begins with ``encode`` where it needs that."""
        if budget is not None and encode is not None:
            check_range("budget", budget, 0.001, 10**6)
            return BudgetInverter(encode, budget, seed=self.seed)
        if method == "gradient":
            return self.gradient("clipped", GRADIENT_ITERATIONS)
        if method == "evolution":
            return self.evolution() if encode is None else HybridInverter(encode, self.evolution())
        assert encode is not None
        if method == "encoder":
            return encode
        return HybridInverter(encode, self.gradient("projected", HYBRID_ITERATIONS))

    def gradient(self, box: Box, max_iterations: int) -> GradientInverter:
        """L-BFGS, for as many iterations as were asked for, or else ``max_iterations``."""
        return GradientInverter(
            self.generator,
            self.objective,
            box=box,
            restarts=self.restarts,
            max_iterations=max_iterations if self.max_iterations is None else self.max_iterations,
            seed=self.seed,
            batch_size=self.batch_size,
        )

    def evolution(self) -> EvolutionInverter:
        """CMA-ES."""
        rounds = EVOLUTION_ROUNDS if self.max_iterations is None else self.max_iterations
        return EvolutionInverter(
            self.generator,
            self.objective,
            generations=rounds,
            seed=self.seed,
            batch_size=self.batch_size,
        )


class BudgetInverter:
    """Finds the best inversion that fits in so many seconds a clip.

    It begins with the encoder's latent. As long as time remains, L-BFGS goes on from there, and
    then from random latents. The latent with the lowest loss is kept, so more time never gives a
    worse one.
    """

    def __init__(self, encode: EncoderInverter, seconds: float, *, seed: int = 0) -> None:
        """Spend ``seconds`` on each clip, beginning with ``encode``."""
        self.encode, self.seconds, self.seed = encode, seconds, seed

    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert within ``seconds`` times the number of clips; ``init`` plays no part."""
        began = time.monotonic()
        deadline = began + self.seconds * len(target)
        best = self.encode(target, init)
        took = time.monotonic() - began
        generator, round_ = self.encode.generator, 0
        # The least that a descent does lasts about three times as long as encoding.
        while generator.differentiable and time.monotonic() + 3 * took < deadline:
            descend = GradientInverter(
                generator,
                self.encode.objective,
                max_iterations=HYBRID_ITERATIONS,
                box="projected",
                seed=self.seed + round_,
                batch_size=self.encode.batch_size,
            )
            found = descend(target, None if round_ else best.latent, deadline=deadline - took)
            best = _better(best, found)
            round_ += 1
        return best


def _better(one: Inversion, other: Inversion) -> Inversion:
    """For each clip, the inversion with the lower loss; evaluations are those of both."""
    wins = other.loss < one.loss
    latent = torch.where(wins.unsqueeze(1), other.latent, one.latent)
    output = torch.where(wins.view(-1, 1, 1), other.output, one.output)
    loss = torch.minimum(one.loss, other.loss)
    return Inversion(latent, output, loss, one.num_evals + other.num_evals)
