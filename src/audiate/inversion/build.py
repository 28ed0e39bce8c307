"""Make an inverter from a generator and settings."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from audiate.errors import InputError
from audiate.inversion.encoder import EncoderInverter, find_encoder, shipped_encoder
from audiate.inversion.evolution import EvolutionInverter
from audiate.inversion.gradient import GradientInverter, HalvingInverter, check_differentiable
from audiate.inversion.hybrid import HYBRID_ITERATIONS, BestInverter, BudgetInverter, HybridInverter
from audiate.inversion.inverter import BATCH, Inverter
from audiate.inversion.objectives import Objective, StructureTerm, objective_named
from audiate.inversion.search import SearchInverter
from audiate.inversion.settings import InversionSettings, Method, ObjectiveName, Start
from audiate.metrics.reconstruction import check_comparable
from audiate.models.fingerprint import Fingerprint
from audiate.models.fingerprint import fingerprint as fingerprint_of
from audiate.models.generator import Generator, RecoveringGenerator, device_of
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier

GRADIENT_ITERATIONS = 1_000
"""Largest number of iterations of gradients alone; the paper has 50,000."""

EVOLUTION_ROUNDS = 300
"""Number of rounds of CMA-ES."""


def inverter(
    generator: str | Path | Generator,
    method: Method | None = InversionSettings.method,
    *,
    start: Start = InversionSettings.start,
    encoder: str | Path | LatentEncoder | None = None,
    classifier: str | Path | DigitClassifier | None = None,
    objective: Objective | None = None,
    budget: float | None = InversionSettings.budget,
    restarts: int = InversionSettings.restarts,
    max_iterations: int | None = InversionSettings.max_iterations,
    seed: int = InversionSettings.seed,
    batch_size: int = BATCH,
) -> Inverter:
    """Make an inverter: a callable from waveforms to an `Inversion`.

    Args:
        generator: A shipped model's name, a folder, a hub id, or any `Generator`.
        method: One of `Method`; by default as `with_method` chooses. A search samples latents once
            for a generator and a classifier.
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
        batch_size: Number of clips, or of starts, in a batch.

    Raises:
        InputError: There is no such thing, it does not fit, or the method ignores a setting.
        Interrupted: Ctrl-C was pressed while latents were sampled; that part is kept.

    """
    generator = load(generator, Generator)
    settings = InversionSettings(method, start, None, budget, restarts, max_iterations, seed)
    settings = with_method(settings, generator, encoder=encoder is not None)
    guide = None if classifier is None else load(classifier, DigitClassifier)
    own = fingerprint_of(generator)
    begin = choose_initialization(generator, settings, encoder, fingerprint=own)
    if objective is None:
        objective = objective_named(begin.objective, guide, generator.sample_rate)
    if not isinstance(objective, Objective):
        raise InputError(f"objective {objective!r}: give one, as plain_objective() is")
    return build(generator, settings, begin, objective, guide, batch_size, own)


def with_method(
    settings: InversionSettings, generator: Generator, *, encoder: bool
) -> InversionSettings:
    """Choose the method where none is given: ``exact`` for flows, ``hybrid`` for all else.

    Args:
        settings: The settings.
        generator: The generator.
        encoder: Whether an encoder is given. Like a start, a budget, restarts or iterations, it
            asks for ``hybrid``.

    """
    if settings.method is not None:
        return settings
    asked = settings.budget or settings.max_iterations or settings.restarts > 1 or encoder
    plain = settings.start == "auto" and settings.objective is None and not asked
    exact = plain and isinstance(generator, RecoveringGenerator)
    return replace(settings, method="exact" if exact else "hybrid")


class Initialization(NamedTuple):
    """The source of the latents that a method begins with; none stands for random latents.

    Attributes:
        encoder: The encoder, if one is used.
        search: Whether a search is made. With an encoder, the better of both is taken.
        exact: Whether the generator is run backwards.

    """

    encoder: LatentEncoder | None
    search: bool
    exact: bool = False

    @property
    def only_search(self) -> bool:
        """Whether a search is made, and no encoder is used."""
        return self.search and self.encoder is None

    @property
    def objective(self) -> ObjectiveName:
        """The objective that is minimised by default."""
        return "levels" if self.only_search else "speech"

    @property
    def described(self) -> str:
        """The part that runs first, with its verb, as in "the search runs"."""
        if self.exact:
            return "the flow runs backwards"
        if self.only_search:
            return "the search runs"
        return "the encoder and the search run" if self.search else "the encoder runs"


def choose_initialization(
    generator: Generator,
    settings: InversionSettings,
    encoder: str | Path | LatentEncoder | None = None,
    *,
    fingerprint: Fingerprint | None = None,
) -> Initialization:
    """Choose what a method begins with, and make sure that the generator suits the method.

    Args:
        generator: The generator.
        settings: Method and start.
        encoder: The encoder, its folder or hub id; None for the shipped one.
        fingerprint: The generator's, where it is known already.

    Raises:
        InputError: There is no such encoder, the method uses none, or the method needs gradients
            and the generator has none.

    """
    method, start = settings.method, settings.start
    if settings.needs_gradients:
        check_differentiable(generator)
    own_start = start in ("exact", "search")
    if encoder is not None and (own_start or method in ("exact", "search", "gradient")):
        other = f"`start={start}`" if own_start else f"`method={method}`"
        raise InputError(f"`encoder`: {other} uses none; leave one of them out")
    if "exact" in (method, start):
        if not isinstance(generator, RecoveringGenerator):
            option = "method" if method == "exact" else "start"
            raise InputError(f"`{option}=exact`: is for flows, which run backwards; give another")
        return Initialization(None, search=False, exact=True)
    if method in ("search", "gradient"):
        return Initialization(None, method == "search")
    own = fingerprint_of(generator) if fingerprint is None else fingerprint
    # Evolution is for generators of others, so it looks for no shipped encoder.
    there = encoder is not None or (method != "evolution" and shipped_encoder(own) is not None)
    if (
        start == "auto"
        and not there
        and method != "encoder"
        and isinstance(generator, RecoveringGenerator)
    ):
        return Initialization(None, search=False, exact=True)
    encodes = method == "encoder" or start in ("encoder", "both") or (start == "auto" and there)
    found = find_encoder(generator, encoder, fingerprint=own) if encodes else None
    return Initialization(found, start in ("search", "both") or found is None)


def build(
    generator: Generator,
    settings: InversionSettings,
    begin: Initialization,
    objective: Objective,
    classifier: DigitClassifier | None = None,
    batch_size: int = BATCH,
    fingerprint: Fingerprint | None = None,
) -> Inverter:
    """Make the inverter of some settings from models that are loaded.

    Arguments and errors are those of `inverter`. ``begin`` is what `choose_initialization` gives.
    """
    if any(isinstance(term, StructureTerm) for term in objective.terms.values()):
        check_comparable(generator.num_samples)
    device, limit, seed = device_of(generator), settings.max_iterations, settings.seed
    common = generator, objective.to(device)
    encode = search = None
    if begin.exact:
        assert isinstance(generator, RecoveringGenerator)
        encode = EncoderInverter(generator, generator.recover, objective, batch_size=batch_size)
    if begin.encoder is not None:
        encoder = begin.encoder.to(device)
        encode = EncoderInverter(generator, encoder, objective, batch_size=batch_size)
    if begin.search:
        search = SearchInverter(
            generator,
            objective,
            classifier=None if classifier is None else classifier.to(device),
            batch_size=batch_size,
            fingerprint=fingerprint,
        )
    first = BestInverter([encode, search]) if encode and search else encode or search
    if first is not None and settings.budget is not None:
        return BudgetInverter(
            first, *common, settings.budget, search=search, seed=seed, batch_size=batch_size
        )
    if first is not None and not settings.refines:
        return first
    if first is not None and settings.method == "evolution":
        rounds = EVOLUTION_ROUNDS if limit is None else limit
        evolve = EvolutionInverter(*common, generations=rounds, batch_size=batch_size, seed=seed)
        return HybridInverter(first, evolve)
    most = GRADIENT_ITERATIONS if first is None else HYBRID_ITERATIONS
    refine = GradientInverter(
        *common,
        box="clipped" if first is None else "projected",
        # Entries of z that choose a label: a descent would leave the word that the search found.
        freeze=getattr(generator, "classes", 0) if begin.only_search else 0,
        restarts=settings.restarts,
        max_iterations=most if limit is None else limit,
        batch_size=batch_size,
        seed=seed,
    )
    if first is None:
        return refine
    if first is search and settings.restarts > 1:
        return HalvingInverter(partial(search.nearest, count=settings.restarts), refine)
    return HybridInverter(first, refine)
