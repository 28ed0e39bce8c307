"""Settings of GAN inversion. This module imports no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

from audiate.errors import InputError, check_range

NUM_CANDIDATES = 3_000
"""Default number of random latents that a search samples."""

Method = Literal["exact", "encoder", "search", "gradient", "hybrid", "evolution"]
"""Methods of inversion. ``exact``: the latent that a flow gives backwards, for generators that are
flows. ``encoder``: the latent that an encoder gives. ``search``: the nearest of
some thousand random latents; with iterations, L-BFGS goes on from there. ``gradient``: L-BFGS from
random latents. ``hybrid``: L-BFGS from a `Start`. ``evolution``: CMA-ES from a `Start`, for
generators that only run forward."""

Start = Literal["auto", "exact", "encoder", "search", "both"]
"""The latent that hybrid, evolution and a budget begin with. ``exact`` and ``encoder``: as methods.
``search``: that of a search. ``both``: the better of the two. ``auto``: that of the encoder if one
is given or shipped (for evolution: given), or else the exact one of a flow, or else that of a
search."""

ObjectiveName = Literal["speech", "levels", "paper", "plain"]
"""Names of the objectives; see `audiate.inversion.objectives`."""


@dataclass(frozen=True)
class InversionSettings:
    """Settings of an inversion, apart from the models.

    Raises:
        InputError: There is no such method or start, a value is out of range, or the method
            ignores a setting.

    """

    method: Method | None = None
    """exact: the latent that a flow gives backwards, for generators that are flows; their default.
    encoder: the
    latent that an encoder gives. search: the nearest of 3,000 random
    latents, which are sampled once for each generator and classifier; with --max-iterations, L-BFGS
    goes on from there. gradient: L-BFGS from a random latent. hybrid: L-BFGS from --start, the
    default for all else.
    evolution: CMA-ES from --start, without gradients."""
    start: Start = "auto"
    """Latent that hybrid and evolution begin with: the exact one, the encoder's, that of a search,
    or the better of the last two. auto: the encoder's where one is given or shipped, else the exact
    one of a flow, else that of a search."""
    objective: ObjectiveName | None = None
    """The objective that gradients and evolution minimise. speech: ours. levels: ours without the
    terms that depend on phases, the default after a search alone. paper: that of the paper's
    programs. plain: the paper's equation 1, spectrograms alone."""
    budget: float | None = None
    """Time for each clip, in seconds. The best that fits is found, in place of --method, --restarts
    and --max-iterations."""
    restarts: int = 1
    """Number of starts of gradients, of which the best is kept. After a search alone, they are its
    nearest latents, of which fewer and fewer go on; otherwise, all but the first are random."""
    max_iterations: int | None = None
    """Largest number of iterations of L-BFGS, or of rounds of evolution. The default is 200 for
    hybrid, 1,000 for gradient, 300 for evolution, 0 for search; published: 200 and 50,000 for the
    first two."""
    seed: int = 0
    """Seed of random starts."""

    @property
    def refines(self) -> bool:
        """Whether an optimiser improves the latents of an encoder or a search, or random ones."""
        if self.method == "search":
            return bool(self.max_iterations)
        return self.method not in ("exact", "encoder")

    @property
    def needs_gradients(self) -> bool:
        """Whether the method works only with generators that gradients flow through."""
        return self.refines and self.method != "evolution" and self.budget is None

    def __post_init__(self) -> None:
        if self.method not in (None, *get_args(Method)):
            raise InputError(f"method {self.method!r}: give one of {', '.join(get_args(Method))}")
        if self.start not in get_args(Start):
            raise InputError(f"`start` {self.start!r}: give one of {', '.join(get_args(Start))}")
        check_range("seed", self.seed, 0, 2**63 - 1)
        most = NUM_CANDIDATES if self.method == "search" else 10_000
        check_range("`restarts`", self.restarts, 1, most)
        if self.budget is not None:
            check_range("`budget`", self.budget, 0.001, 10**6)
            if self.method not in (None, "hybrid"):
                raise InputError("`method`: a budget chooses its own; leave one of them out")
            if self.restarts > 1 or self.max_iterations:
                name = "restarts" if self.restarts > 1 else "max_iterations"
                raise InputError(
                    f"`{name}`: a budget goes on for as long as time remains, with as many starts "
                    f"as fit; leave one of them out"
                )
        if self.restarts > 1 and (self.method == "evolution" or not self.refines):
            raise InputError(
                f"`restarts`: `method={self.method}` follows no gradients"
                f"{' without `max_iterations`' * (self.method == 'search')}; leave `restarts` out"
            )
        if self.method in ("exact", "encoder") and self.max_iterations:
            raise InputError(
                f"`max_iterations`: `method={self.method}` has no iterations; leave one of them "
                f"out, or give `method=hybrid`"
            )
        if self.start != "auto" and self.method not in (None, "hybrid", "evolution"):
            raise InputError(f"`start`: `method={self.method}` has its own; leave `start` out")
