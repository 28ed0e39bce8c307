"""Options of a generator that is not part of audiate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from audiate.models.generator import Generator


@dataclass(frozen=True)
class OwnGenerator:
    """Sizes of a generator that is not part of audiate: a file, or package.module:make.

    Models of audiate, and generators that a function returns ready for use, do not need them.
    """

    latent_dim: int | None = None
    """Number of entries of a latent that the generator takes."""
    generator_rate: int | None = None
    """Sample rate of the generator's sound, in Hz."""
    prior: Literal["uniform", "normal"] = "uniform"
    """Distribution that the generator's latents are drawn from. uniform: every entry is uniform in
    [-1, 1]. normal: every entry has mean 0 and standard deviation 1."""

    def open(self, source: str, *, device: str = "cpu") -> Generator:
        """Open the generator that ``source`` names; see `audiate.models.custom.open_generator`.

        Raises:
            InputError: There is no such generator, or an option is missing.

        """
        from audiate.models.custom import open_generator

        return open_generator(source, **vars(self), device=device)
