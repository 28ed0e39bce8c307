"""Settings that choose the latents of generated sounds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audiate.errors import InputError, check_range

MAX_SOUNDS = 100_000
"""Limit of the number of sounds that are generated at a time."""


@dataclass(frozen=True)
class LatentChoice:
    """The latents that sounds are generated from.

    Raises `InputError` where settings are out of range or do not go together.

    Attributes:
        count: Number of sounds; with ``sweep``, of latents that are swept. None: 16, and 1 with
            ``sweep``.
        seed: Seed of random latents.
        label: Only sounds of this label, by name or number, where the model knows any.
        interpolate: Walk in ``count`` steps from the seed's first latent to its second.
        walk: Walk in ``count`` steps from the first latent of one file to that of the next;
            ``walk.npy:7`` is row 7 of a file. The latent of a sound file is found first.
        latents: File of latents (count, latent_dim), .npy, .npz or .csv, in place of random ones.
        set: Entries of all latents that are set, as in ``("0=1", "3=-2.5")``. Where a model has
            codes and one of their entries is set, the others are 0.
        sweep: At most two entries that take several values, as in ``("3=-5:5:11",)``: eleven, from
            -5 to 5.

    """

    count: int | None = None
    seed: int = 0
    label: str | None = None
    interpolate: bool = False
    walk: tuple[str, ...] = ()
    latents: Path | None = None
    set: tuple[str, ...] = ()
    sweep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.count is not None:
            check_range("`count`", self.count, 1, MAX_SOUNDS)
        check_range("`seed`", self.seed, 0, 2**63 - 1)
        if self.latents is not None and self.count is not None:
            raise InputError("`count`: the file of `latents` says how many; leave one out")
        own = {"walk": bool(self.walk), "latents": self.latents is not None}
        others = {"interpolate": self.interpolate, "label": self.label is not None}
        given = [f"`{name}`" for name, is_given in {**own, **others}.items() if is_given]
        if any(own.values()) and len(given) > 1:
            raise InputError(f"{' and '.join(given)} do not go together; leave all but one out")
        if len(self.walk) == 1:
            raise InputError(f"`walk` {self.walk[0]}: a walk has two ends; name another file")
        if len(self.sweep) > 2:
            raise InputError("`sweep`: two at most; a picture has two sides")
        if (self.interpolate or self.walk) and (self.count or 2) < 2:
            raise InputError("`count`: a walk has two ends; give 2 or more")
        if len(self.walk) > self.wanted:
            raise InputError(
                f"`count` {self.wanted}: would pass over some of the {len(self.walk)} files of "
                f"`walk`; give more"
            )

    @property
    def wanted(self) -> int:
        """Number of latents before they are swept."""
        return self.count or (1 if self.sweep else 16)

    @property
    def shown(self) -> int:
        """Limit of the number of sounds on the sheet."""
        return 256 if self.sweep else 64
