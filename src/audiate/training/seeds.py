"""Randomness of (seed, step) alone, so that a resumed run equals an uninterrupted one."""

from __future__ import annotations

import hashlib

import torch


def mixed_seed(*parts: int) -> int:
    """Mix several integers into one 63-bit seed."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*parts: int) -> torch.Generator:
    """A CPU generator seeded from several integers, for instance (seed, epoch)."""
    return torch.Generator().manual_seed(mixed_seed(*parts))


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch's global generators for one step of one process."""
    torch.manual_seed(mixed_seed(seed, step, rank))
