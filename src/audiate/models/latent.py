"""The part that the VAE and the VAE-GAN share: sound → q(z|x) → image."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

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

    def latents(self, spectrogram: Tensor) -> Tensor:
        """The mean of q(z|x), (batch, latent_dim)."""
        return self.encode(spectrogram).mu

    def images_from(self, spectrogram: Tensor, noise: Tensor) -> Tensor:
        """Decode samples of q(z|x): (batch, samples, 28, 28) in [0, 1]."""
        spread = Posterior(*(part.unsqueeze(1) for part in self.encode(spectrogram)))
        images = self.decode(spread.sample(noise).flatten(0, 1))
        return images.view(*noise.shape[:2], self.image_size, self.image_size)
