"""A codec as the vocoder of a generator of spectrograms."""

from __future__ import annotations

import torch
from torch import Tensor

from audiate.errors import InputError
from audiate.models.codec import Codec
from audiate.models.generator import AudioGAN, Generator, device_of


class Vocoded:
    """A generator of spectrograms whose sounds pass a `Codec`; a `Generator` like that itself.

    Phases that are searched for make voices whisper. The codec hears them with such phases while it
    is trained, finds the F0 and the voicing that levels speak for, and makes the sound anew.

    Attributes:
        generator: The generator.
        codec: The codec.

    """

    differentiable = True

    def __init__(self, generator: Generator, codec: Codec) -> None:
        """Join a generator and a codec.

        Raises:
            InputError: The generator makes waveforms itself, or stereo, or its sample rate is not
                the codec's.

        """
        rate = codec.config.sample_rate
        searches = isinstance(generator, AudioGAN) and not generator.phases_matter
        if not searches or generator.channels > 1 or generator.sample_rate != rate:
            raise InputError(
                f"`vocoder`: is for generators of spectrograms, mono at {rate:,} Hz; leave it out"
            )
        self.generator, self.codec = generator, codec.to(device_of(generator))
        self.latent_dim, self.channels = generator.latent_dim, 1
        self.sample_rate, self.num_samples = rate, generator.num_samples

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents (n, latent_dim) from the prior."""
        return self.generator.sample_latent(n, generator=generator)

    def __call__(self, z: Tensor, /) -> Tensor:
        """Waveforms (batch, 1, num_samples) in [-1, 1] of latents (batch, latent_dim)."""
        waveforms: Tensor = self.codec(self.generator(z))
        return waveforms.clamp(-1, 1)
