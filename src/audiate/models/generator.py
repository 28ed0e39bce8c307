"""What turns a latent into sound: the protocol, and what our own networks have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from audiate.models.pretrained import PretrainedModel


@runtime_checkable
class Generator(Protocol):
    """Anything that turns latents into sound.

    Attributes:
        latent_dim: Numbers in a latent.
        sample_rate: Of the sound, in Hz.
        num_samples: Of a clip.

    """

    latent_dim: int
    sample_rate: int
    num_samples: int

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Latents (n, latent_dim) drawn from the prior."""
        ...

    def __call__(self, z: Tensor, /) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of latents (batch, latent_dim)."""
        ...


class AudioGAN(PretrainedModel):
    """A `Generator` and the discriminator that it was trained against; z is uniform in [-1, 1]."""

    latent_dim: int
    sample_rate: int
    num_samples: int

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.latent_dim = config.latent_dim
        self.sample_rate = config.sample_rate
        self.num_samples = config.num_samples

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Latents (n, latent_dim), uniform in [-1, 1], on the model's device.

        They are drawn on the CPU: the same for a seed, wherever the model is.
        """
        return (2 * torch.rand(n, self.latent_dim, generator=generator) - 1).to(self.device)

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of latents (batch, latent_dim)."""
