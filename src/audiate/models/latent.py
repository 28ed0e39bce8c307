"""What the VAE and the VAE-GAN share: sound → q(z|x) → image."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from audiate.models.drawer import Drawer


class Posterior(NamedTuple):
    """The diagonal Gaussian q(z|x); both tensors (batch, latent_dim)."""

    mu: Tensor
    logvar: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Reparametrised sample (batch, latent_dim) for standard normal ``noise``."""
        return self.mu + (0.5 * self.logvar).exp() * noise


class LatentDrawer(Drawer):
    """A drawer that encodes a spectrogram as a Gaussian over z and decodes images from it."""

    latent_dim: ClassVar[int] = 64

    @abstractmethod
    def encode(self, spectrogram: Tensor) -> Posterior:
        """q(z|x) of spectrograms (batch, 48, 48)."""

    @abstractmethod
    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits of the pixels, (batch, 28, 28), for latents (batch, latent_dim)."""

    def decode(self, z: Tensor) -> Tensor:
        """Images (batch, 28, 28) in [0, 1] for latents (batch, latent_dim)."""
        return self.decode_logits(z).sigmoid()

    def forward(self, spectrogram: Tensor, noise: Tensor) -> tuple[Tensor, Posterior]:
        """Pixel logits (batch, 28, 28) of a sample from q(z|x), and q(z|x) itself."""
        posterior = self.encode(spectrogram)
        return self.decode_logits(posterior.sample(noise)), posterior

    def mean_images(self, spectrogram: Tensor) -> Tensor:
        """Images (batch, 28, 28) in [0, 1] at the mean of q(z|x)."""
        return self.decode(self.encode(spectrogram).mu)

    def sample_images(
        self, spectrogram: Tensor, samples: int, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Decode ``samples`` draws from q(z|x): (batch, samples, 28, 28) in [0, 1]."""
        posterior = self.encode(spectrogram)
        batch = len(spectrogram)
        noise = torch.randn(batch, samples, self.latent_dim, generator=generator).to(self.device)
        spread = Posterior(*(part.unsqueeze(1) for part in posterior))
        images = self.decode(spread.sample(noise).flatten(0, 1))
        return images.view(batch, samples, self.image_size, self.image_size)
