"""Fingerprints of generators, by which a model knows the generator that it was trained for."""

from collections.abc import Sequence
from hashlib import blake2b

import torch
from torch import nn

from audiate.models.generator import AudioGAN, Generator, generate

Fingerprint = tuple[float, ...]

_TOLERANCE = 0.1  # relative: weights that are stored in 8 bits sound a little different


def fingerprint(generator: Generator) -> Fingerprint:
    """The mean power of four clips of a generator and, of ours, the mean size of each weight.

    The power is the same however a generator is stored or wrapped: as a network, a function, or a
    file, which have no weights that can be read.

    Raises:
        InputError: As for `audiate.models.generator.generate`.

    """
    z = generator.sample_latent(4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        powers: list[float] = generate(generator, z).square().mean((1, 2)).tolist()
        own = weight_fingerprint(generator.generator) if isinstance(generator, AudioGAN) else ()
        return (*powers, *own)


@torch.no_grad()
def weight_fingerprint(module: nn.Module) -> Fingerprint:
    """The mean size of each weight of a module."""
    return tuple(weight.abs().mean().item() for weight in module.parameters())


def same_generator(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two fingerprints are those of one generator, whose weights may be in 8 bits.

    Weights count where both fingerprints have them.
    """
    return bool(one and other) and all(
        abs(a - b) <= _TOLERANCE * max(abs(a), abs(b)) for a, b in zip(one, other, strict=False)
    )


def digest(values: object) -> str:
    """Eight characters for the exact weights of a module, or for other values, in names of runs."""
    found = blake2b(digest_size=4)
    if isinstance(values, nn.Module):
        for tensor in values.state_dict().values():
            found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    else:
        found.update(repr(values).encode())
    return found.hexdigest()
