"""The base class of all models that draw what is said in a clip."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from audiate.audio import Waveform
from audiate.errors import check_range
from audiate.models.listener import Listener


class Drawer(Listener):
    """A network that turns the log-mel spectrogram of a spoken word into images.

    A subclass sets `features`, its own front end, and says how noise becomes images.

    Attributes:
        features: Makes spectrograms of waveforms.
        image_size: Height and width of an image, in pixels.
        latent_dim: Number of values of noise that one image is drawn from.

    """

    image_size: int = 28
    latent_dim: ClassVar[int]

    @abstractmethod
    def images_from(self, spectrogram: Tensor, noise: Tensor) -> Tensor:
        """Turn noise into images of sounds.

        Args:
            spectrogram: (batch, n_mels, frames), as `features` makes it.
            noise: (batch, samples, latent_dim), standard normal.

        Returns:
            (batch, samples, 28, 28) in [0, 1], white on black.

        """

    @abstractmethod
    def latents(self, spectrogram: Tensor) -> Tensor:
        """The vector (batch, numbers) that stands for each sound, before any noise.

        Args:
            spectrogram: (batch, n_mels, frames), as `features` makes it.

        """

    @abstractmethod
    def mean_images(self, spectrogram: Tensor) -> Tensor:
        """The model's one best image of each sound: no noise, no variety.

        Args:
            spectrogram: (batch, n_mels, frames), as `features` makes it.

        Returns:
            (batch, 28, 28) in [0, 1].

        """

    def sample_images(
        self, spectrogram: Tensor, samples: int, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw from p(image | sound).

        Args:
            spectrogram: (batch, n_mels, frames), as `features` makes it.
            samples: Number of images for each spectrogram.
            generator: Source of all randomness; torch's global one by default.

        Returns:
            (batch, samples, 28, 28) in [0, 1], white on black.

        """
        noise = torch.randn(len(spectrogram), samples, self.latent_dim, generator=generator)
        return self.images_from(spectrogram, noise.to(self.device))

    @torch.inference_mode()
    def draw(
        self, waveform: Waveform, *, sample_rate: int, samples: int = 8, seed: int = 0
    ) -> Tensor:
        """Images of what is said in one clip.

        Args:
            waveform: (samples,) or (channels, samples), floating point.
            sample_rate: In Hz; any.
            samples: Number of images.
            seed: The same clip and seed give the same images, whatever was drawn before.

        Returns:
            (samples, 28, 28) in [0, 1], white on black as in MNIST.

        Raises:
            InputError: The clip is silent, too short or too long, or holds NaN; or another argument
                is out of range.

        """
        spectrogram = self.hear(waveform, sample_rate=sample_rate)
        return self.draw_heard(spectrogram.unsqueeze(0), samples=samples, seed=seed)[0]

    @torch.inference_mode()
    def draw_heard(self, spectrograms: Tensor, *, samples: int = 8, seed: int = 0) -> Tensor:
        """Images of several clips at once; each is drawn as `draw` draws it by itself.

        Args:
            spectrograms: (batch, n_mels, frames), as `hear` gives them.
            samples: Number of images for each clip.
            seed: Seed of the noise, which is the same for every clip.

        Returns:
            (batch, samples, 28, 28) in [0, 1], on the CPU.

        Raises:
            InputError: An argument is out of range.

        """
        check_range("samples", samples, 1, 10_000)
        check_range("seed", seed, 0, 2**63 - 1)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, samples, self.latent_dim, generator=generator)
        noise = noise.expand(len(spectrograms), -1, -1).to(self.device)
        return self.images_from(spectrograms.to(self.device), noise).cpu()
