"""From a generator and the name of a method to an inverter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from audiate.errors import InputError, check_range
from audiate.inversion.encoder import (
    HYBRID_ITERATIONS,
    BestInverter,
    BudgetInverter,
    EncoderInverter,
    HybridInverter,
)
from audiate.inversion.evolution import EvolutionInverter
from audiate.inversion.gradient import GradientInverter, HalvingInverter, check_differentiable
from audiate.inversion.inverter import Inverter
from audiate.inversion.lbfgs import Box
from audiate.inversion.objectives import Objective, StructureTerm, level_objective, speech_objective
from audiate.inversion.search import SearchInverter
from audiate.inversion.starts import Method, Start, Starts, check_restarts, choose_starts
from audiate.metrics.reconstruction import check_comparable
from audiate.models.fingerprint import Fingerprint
from audiate.models.fingerprint import fingerprint as fingerprint_of
from audiate.models.generator import Generator, device_of
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier

GRADIENT_ITERATIONS = 1_000
"""Largest number of iterations of gradients alone; the paper has 50,000."""

EVOLUTION_ROUNDS = 300
"""Number of rounds of CMA-ES."""


def inverter(
    generator: str | Path | Generator,
    method: Method = "hybrid",
    *,
    start: Start = "auto",
    encoder: str | Path | LatentEncoder | None = None,
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
        method: One of `Method`. A search samples latents once for a generator and a classifier.
        start: One of `Start`.
        encoder: The encoder, its folder or hub id; by default the shipped one.
        classifier: A classifier of spoken digits or its name, in whose activations sounds are
            compared, too, also by a search. It suits speech alone, so the default is none, unlike
            in `invert_folder`. Like the encoder, it is moved to the generator's device.
        objective: What is minimised; by default `level_objective` after a search alone, else
            `speech_objective`. The paper's are `plain_objective` and `paper_objective`.
        budget: Seconds for each clip, in place of ``method``, ``restarts`` and ``max_iterations``.
        restarts: Number of starts of gradients, of which the best is kept. After a search alone,
            they are its nearest latents (`HalvingInverter`), else all but the first are random.
        max_iterations: Largest number of iterations of L-BFGS (by default 200 from a start, 1,000
            from random latents, none after a search), or of rounds of evolution (300).
        seed: Seed of random starts.
        batch_size: Number of clips, or of starts, that are worked at together.
        fingerprint: The generator's, where it is known already.

    Raises:
        InputError: There is no such thing, it does not fit, or the method ignores a setting.
        Interrupted: Ctrl-C was pressed while latents were sampled; that part is kept.

    """
    check_range("seed", seed, 0, 2**63 - 1)
    check_restarts(method, restarts, max_iterations, budget)
    generator = load(generator, Generator)
    follows = method in ("gradient", "hybrid") or (method == "search" and max_iterations)
    if follows and budget is None:
        check_differentiable(generator)
    guide = None if classifier is None else load(classifier, DigitClassifier)
    own = fingerprint_of(generator) if fingerprint is None else fingerprint
    starts = choose_starts(generator, method, start, encoder, budget=budget, known=own)
    if objective is None:
        ours = level_objective if starts.only_search else speech_objective
        objective = ours(guide, generator.sample_rate)
    _check(objective, generator)
    hold = label_entries(generator) if starts.only_search else 0
    objective = objective.to(device_of(generator))
    settings = _Settings(
        generator, objective, restarts, max_iterations, seed, batch_size, own, hold
    )
    return settings.inverter(method, settings.first(starts, guide), budget)


@dataclass(frozen=True)
class _Settings:
    """The settings of an inversion, and the inverters that are made of them."""

    generator: Generator
    objective: Objective
    restarts: int
    max_iterations: int | None
    seed: int
    batch_size: int
    fingerprint: Fingerprint
    hold: int

    def first(self, starts: Starts, classifier: DigitClassifier | None) -> Inverter | None:
        """Return the inverter that begins: an encoder, a search, or the better of both."""
        device = device_of(self.generator)
        found: list[Inverter] = []
        if starts.encoder is not None:
            encoder = starts.encoder.to(device)
            encode = EncoderInverter(
                self.generator, encoder, self.objective, batch_size=self.batch_size
            )
            found.append(encode)
        if starts.searches:
            search = SearchInverter(
                self.generator,
                self.objective,
                classifier=None if classifier is None else classifier.to(device),
                batch_size=self.batch_size,
                known=self.fingerprint,
            )
            found.append(search)
        return BestInverter(found) if len(found) > 1 else next(iter(found), None)

    def inverter(self, method: Method, first: Inverter | None, budget: float | None) -> Inverter:
        """The inverter of a method, which begins with ``first`` where it needs that."""
        parts = first.inverters if isinstance(first, BestInverter) else (first,)
        search = next((part for part in parts if isinstance(part, SearchInverter)), None)
        if budget is not None and first is not None:
            return BudgetInverter(
                first,
                self.generator,
                self.objective,
                budget,
                search=search,
                seed=self.seed,
                batch_size=self.batch_size,
            )
        if first is None:
            return self._gradient("clipped", GRADIENT_ITERATIONS)
        if method == "encoder" or (method == "search" and not self.max_iterations):
            return first
        if method == "evolution":
            return HybridInverter(first, self._evolution())
        refine = self._gradient("projected", HYBRID_ITERATIONS)
        if search is first and search is not None and self.restarts > 1:
            return HalvingInverter(partial(search.nearest, count=self.restarts), refine)
        return HybridInverter(first, refine)

    def _gradient(self, box: Box, max_iterations: int) -> GradientInverter:
        """L-BFGS, for as many iterations as were asked for, or else ``max_iterations``."""
        return GradientInverter(
            self.generator,
            self.objective,
            box=box,
            hold=self.hold,
            restarts=self.restarts,
            max_iterations=max_iterations if self.max_iterations is None else self.max_iterations,
            seed=self.seed,
            batch_size=self.batch_size,
        )

    def _evolution(self) -> EvolutionInverter:
        """CMA-ES."""
        rounds = EVOLUTION_ROUNDS if self.max_iterations is None else self.max_iterations
        return EvolutionInverter(
            self.generator,
            self.objective,
            generations=rounds,
            seed=self.seed,
            batch_size=self.batch_size,
        )


def _check(objective: Objective, generator: Generator) -> None:
    """Make sure that it is an objective that takes the generator's clips."""
    if not isinstance(objective, Objective):
        raise InputError(f"objective {objective!r}: give one, as plain_objective() is")
    if any(isinstance(term, StructureTerm) for term in objective.terms.values()):
        check_comparable(generator.num_samples)


def label_entries(generator: Generator) -> int:
    """Number of entries of z, from the first, that tell which label is meant; 0 without labels.

    A descent that may change them leaves the word that the search has found.
    """
    return getattr(generator, "classes", 0)
