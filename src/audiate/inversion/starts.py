"""Chooses whether a method begins with an encoder, a search, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, get_args

from audiate.errors import InputError, check_range
from audiate.inversion.search import POOL_SIZE
from audiate.models.fingerprint import Fingerprint, same_generator
from audiate.models.fingerprint import fingerprint as fingerprint_of
from audiate.models.generator import Generator
from audiate.models.hub import find, shipped_models
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import PretrainedModel, load
from audiate.models.storage import read_config

Method = Literal["encoder", "search", "gradient", "hybrid", "evolution"]
"""Ways to find a latent. ``encoder``: the latent that an encoder gives. ``search``: the nearest of
some thousand random latents; if iterations are asked for, L-BFGS goes on from there. ``gradient``:
L-BFGS from random latents. ``hybrid``: L-BFGS from a `Start`. ``evolution``: CMA-ES from a `Start`,
for generators that only run forward."""

Start = Literal["auto", "encoder", "search", "both"]
"""The latent that hybrid, evolution and a budget begin with. ``encoder``: that of an encoder.
``search``: that of a search. ``both``: the better of the two. ``auto``: that of the encoder if one
is given or shipped (for evolution: given), or else that of a search."""


class Starts(NamedTuple):
    """The choice of an encoder, a search, or both, with which a method begins.

    Attributes:
        encoder: The encoder, if one is used.
        searches: Whether a search is made.

    """

    encoder: LatentEncoder | None
    searches: bool

    @property
    def only_search(self) -> bool:
        """Whether a search is made, and no encoder is used."""
        return self.searches and self.encoder is None

    @property
    def described(self) -> str:
        """What runs at the start, with its verb, as in "the search runs"."""
        if self.encoder is None:
            return "the search runs"
        return "the encoder and the search run" if self.searches else "the encoder runs"


def check_restarts(
    method: Method, restarts: int, max_iterations: int | None, budget: float | None
) -> None:
    """Make sure that there is such a method, and that no setting is given that it ignores.

    Args:
        method: One of `Method`.
        restarts: Number of starts of gradients; 1 by default.
        max_iterations: Largest number of iterations; None by default.
        budget: Seconds for each clip, in place of the method; None by default.

    Raises:
        InputError: There is no such method, a value is out of range, or a setting does nothing.

    """
    if method not in get_args(Method):
        raise InputError(f"method {method!r}: give one of {', '.join(get_args(Method))}")
    check_range("`restarts`", restarts, 1, POOL_SIZE if method == "search" else 10_000)
    if budget is not None:
        check_range("`budget`", budget, 0.001, 10**6)
        if method != "hybrid":
            raise InputError("`method`: a budget chooses its own; leave one of them out")
        for name, given in (("restarts", restarts > 1), ("max_iterations", max_iterations)):
            if given:
                raise InputError(
                    f"`{name}`: a budget goes on for as long as time remains, with as many starts "
                    f"as fit; leave one of them out"
                )
    looks_up = method == "search" and not max_iterations
    if restarts > 1 and (method in ("encoder", "evolution") or looks_up):
        raise InputError(
            f"`restarts`: `method={method}` follows no gradients"
            f"{' without `max_iterations`' * looks_up}; leave `restarts` out"
        )
    if method == "encoder" and max_iterations:
        raise InputError(
            "`max_iterations`: `method=encoder` has no iterations; leave one of them out, or give "
            "`method=hybrid`"
        )


def find_encoder(
    generator: Generator,
    encoder: str | Path | LatentEncoder | None,
    *,
    fingerprint: Fingerprint | None = None,
) -> LatentEncoder:
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
        "`audiate train latent-encoder --generator ...`"
        if isinstance(generator, PretrainedModel)
        else "audiate.train_encoder(generator, folder) in Python"
    )
    if encoder is None:
        shipped = _shipped_encoder(own)
        if shipped is not None:
            return load(shipped, LatentEncoder)
        raise InputError(
            f"no encoder is shipped for this generator; train one ({how}) and name its folder with "
            f"`encoder`, or do without: `method=search`"
        )
    name = "the encoder"
    if not isinstance(encoder, LatentEncoder):
        name = str(encoder)
        encoder = load(encoder, LatentEncoder)
    if not same_generator(encoder.config.fingerprint, own):
        raise InputError(
            f"{name}: was trained for another generator ({encoder.config.generator or 'unnamed'}); "
            f"train one for this: {how}"
        )
    return encoder


def _shipped_encoder(own: Fingerprint) -> str | None:
    """Name of the shipped encoder of the generator with this fingerprint; None without one."""
    for name in shipped_models():
        model_type, config, _ = read_config(find(name))
        if model_type == LatentEncoder.model_type and same_generator(config["fingerprint"], own):
            return name
    return None


def is_shipped(generator: Generator) -> bool:
    """Whether an encoder of this generator comes with the package."""
    return _shipped_encoder(fingerprint_of(generator)) is not None


def choose_starts(
    generator: Generator,
    method: Method,
    start: Start = "auto",
    encoder: str | Path | LatentEncoder | None = None,
    *,
    budget: float | None = None,
    known: Fingerprint | None = None,
) -> Starts:
    """Choose what a method begins with.

    Args:
        generator: The generator.
        method: One of `Method`.
        start: One of `Start`.
        encoder: The encoder, its folder or hub id; None for the shipped one.
        budget: Seconds for each clip, in place of the method.
        known: The generator's fingerprint, where it is known already.

    Raises:
        InputError: There is no such encoder, or the settings do not go together.

    """
    if start not in get_args(Start):
        raise InputError(f"`start` {start!r}: give one of {', '.join(get_args(Start))}")
    own = fingerprint_of(generator) if known is None else known
    looks_elsewhere = start == "search" or (budget is None and method in ("search", "gradient"))
    if encoder is not None and looks_elsewhere:
        other = "`start=search`" if start == "search" else f"`method={method}`"
        raise InputError(f"`encoder`: {other} uses none; leave one of them out")
    if budget is None and method in ("encoder", "search", "gradient"):
        if start != "auto":
            raise InputError(f"`start`: `method={method}` has its own; leave `start` out")
        if method == "encoder":
            return Starts(find_encoder(generator, encoder, fingerprint=own), False)
        return Starts(None, method == "search")
    # Evolution is for generators of others, so it looks for no shipped encoder.
    there = encoder is not None or (method != "evolution" and _shipped_encoder(own) is not None)
    encodes = start in ("encoder", "both") or (start == "auto" and there)
    found = find_encoder(generator, encoder, fingerprint=own) if encodes else None
    return Starts(found, start in ("search", "both") or found is None)
