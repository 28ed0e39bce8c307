"""Encoder-based inversion."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.inversion.inverter import (
    BATCH,
    Inversion,
    check_target,
    evaluated_once,
    joined,
    latent_bounds,
)
from audiate.inversion.objectives import Objective, plain_objective
from audiate.models.fingerprint import Fingerprint, same_generator
from audiate.models.fingerprint import fingerprint as fingerprint_of
from audiate.models.generator import Generator, generate
from audiate.models.hub import find, shipped_models
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import PretrainedModel, load
from audiate.models.storage import read_config

Encoder = Callable[[Tensor], Tensor]
"""Maps waveforms (batch, channels, num_samples) to latents (batch, latent_dim)."""


class EncoderInverter:
    """Map clips to latents by an encoder (Keyes et al. 2020, section 3.2).

    The generator runs once for each clip, to measure the loss.
    """

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        objective: Objective | None = None,
        *,
        batch_size: int = BATCH,
    ) -> None:
        """Set up the inverter.

        Args:
            generator: Any generator.
            encoder: Maps its sound to its latents.
            objective: Measures the loss, and nothing else; by default `plain_objective`.
            batch_size: Number of clips in a batch.

        Raises:
            InputError: ``batch_size`` is out of range.

        """
        check_range("batch_size", batch_size, 1, 10**6)
        self.generator, self.encoder, self.batch_size = generator, encoder, batch_size
        self.objective = objective or plain_objective()
        self.bounds = latent_bounds(generator)

    @torch.no_grad()
    def __call__(self, target: Tensor, init: Tensor | None = None) -> Inversion:
        """Invert waveforms (batch, channels, num_samples); ``init`` has no effect."""
        check_target(self.generator, target, init)
        parts = []
        for part in torch.split(target, self.batch_size):
            latent = self.encoder(part)
            if self.bounds is not None:
                latent = latent.clamp(*self.bounds)
            output = generate(self.generator, latent)
            parts.append(evaluated_once(latent, output, self.objective(output, part)))
        return joined(parts)


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
        if (shipped := shipped_encoder(own)) is not None:
            return load(shipped, LatentEncoder)
        raise InputError(
            f"no encoder is shipped for this generator; do without: `method=search`, or train one "
            f"({how}), whose folder `audiate invert` takes as `encoder`"
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


def shipped_encoder(fingerprint: Fingerprint) -> str | None:
    """Name of the shipped encoder of the generator with this fingerprint; None without one."""
    for name in shipped_models():
        model_type, config, _ = read_config(find(name))
        if model_type == LatentEncoder.model_type and same_generator(
            config["fingerprint"], fingerprint
        ):
            return name
    return None
