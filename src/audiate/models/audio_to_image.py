"""Base classes of audio-to-image models."""

import warnings
from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from audiate.audio.files import Waveform, prepare_speech
from audiate.audio.log_mel import LogMel
from audiate.errors import check_whole
from audiate.models.configs import SpeechModelConfig
from audiate.models.digit_score import no_digit
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.models.pretrained import PretrainedModel


class SpeechModel(PretrainedModel):
    """A network that takes the log-mel spectrogram of a spoken word.

    Attributes:
        features: Makes spectrograms of waveforms, by the settings of the configuration.

    """

    def __init__(self, config: SpeechModelConfig | None = None) -> None:
        super().__init__(config)
        self.features = LogMel(self.config.features)

    @torch.inference_mode()
    def preprocess(self, waveform: Waveform, *, sample_rate: int) -> Tensor:
        """Make the network's input of a clip: a spectrogram (n_mels, frames) in [0, 1].

        Args:
            waveform: (samples,) or (channels, samples), floating point.
            sample_rate: In Hz; any.

        Raises:
            InputError: The clip is silent, too short or too long, or holds NaN; or another argument
                is out of range.

        """
        speech = prepare_speech(waveform, sample_rate, self.features.config.sample_rate)
        spectrogram: Tensor = self.features(speech.to(self.device).unsqueeze(0))
        return spectrogram[0].cpu()


class AudioToImageModel(SpeechModel):
    """A network that turns the log-mel spectrogram of a spoken word into images.

    A subclass says how noise becomes images.

    Attributes:
        image_shape: Shape of an image: (height, width) in grey, (3, height, width) in colour.
        latent_dim: Number of values of noise that one image is drawn from.

    """

    refusal: ClassVar[str] = f"does not draw; {DEFAULT_AUDIO_TO_IMAGE} does"
    image_shape: tuple[int, ...] = (28, 28)
    latent_dim: ClassVar[int]

    @abstractmethod
    def images_from(self, spectrogram: Tensor, noise: Tensor) -> Tensor:
        """Turn noise into images of sounds.

        Args:
            spectrogram: (batch, n_mels, frames), as `features` makes it.
            noise: (batch, samples, latent_dim), standard normal.

        Returns:
            (batch, samples, [3,] height, width) in [0, 1]; of digits, white on black.

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
            (batch, [3,] height, width) in [0, 1].

        """

    def digit_scores(self, spectrogram: Tensor) -> Tensor | None:  # noqa: ARG002  # of a subclass
        """Log-odds (batch,) that sounds are spoken digits, as `latents` takes them; None without.

        A sound with a score below 0 is probably no digit. Only `flow-digits` has such scores.
        """
        return None

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words."""
        *colour, height, width = self.image_shape
        return f"log-mel 48x48 → image {height}x{width}{' in colour' if colour else ''}"

    def sample_images(
        self, spectrogram: Tensor, samples: int, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw from p(image | sound).

        Args:
            spectrogram: (batch, n_mels, frames), as `features` makes it.
            samples: Number of images for each spectrogram.
            generator: Source of all randomness; torch's global one by default.

        Returns:
            (batch, samples, [3,] height, width) in [0, 1]; of digits, white on black.

        """
        noise = torch.randn(len(spectrogram), samples, self.latent_dim, generator=generator)
        return self.images_from(spectrogram, noise.to(self.device))

    @torch.inference_mode()
    def draw(
        self, waveform: Waveform, *, sample_rate: int, samples: int = 8, seed: int = 0
    ) -> Tensor:
        """Images of what is said in one clip; warns where that is probably no digit.

        Args:
            waveform: (samples,) or (channels, samples), floating point.
            sample_rate: In Hz; any.
            samples: Number of images.
            seed: The same clip and seed give the same images, whatever was drawn before: to
                rounding, and bit for bit with as many threads and samples.

        Returns:
            (samples, [3,] height, width) in [0, 1]; of digits (samples, 28, 28), white on black as
            in MNIST.

        Raises:
            InputError: The clip is silent, too short or too long, or holds NaN; or another argument
                is out of range.

        """
        inputs = self.preprocess(waveform, sample_rate=sample_rate).unsqueeze(0)
        images = self.draw_batch(inputs, samples=samples, seed=seed)[0]
        scores = self.digit_scores(inputs.to(self.device))
        if scores is not None and scores.item() < 0:
            warnings.warn(no_digit(scores.item()), stacklevel=3)  # where the caller is
        return images

    @torch.inference_mode()
    def draw_batch(self, inputs: Tensor, *, samples: int = 8, seed: int = 0) -> Tensor:
        """Images of several clips at once; each is drawn as `draw` draws it by itself.

        Args:
            inputs: Spectrograms (batch, n_mels, frames), as `preprocess` gives them.
            samples: Number of images for each clip.
            seed: Seed of the noise, which is the same for every clip.

        Returns:
            (batch, samples, [3,] height, width) in [0, 1], on the CPU.

        Raises:
            InputError: An argument is out of range.

        """
        noise = same_noise(len(inputs), samples, self.latent_dim, seed).to(self.device)
        return self.images_from(inputs.to(self.device), noise).cpu()


def same_noise(count: int, samples: int, latent_dim: int, seed: int) -> Tensor:
    """Standard normal noise (count, samples, latent_dim) of a seed, the same for all ``count``.

    Raises:
        InputError: ``samples`` or ``seed`` is out of range.

    """
    samples = check_whole("samples", samples, 1, 10_000)
    random = torch.Generator().manual_seed(check_whole("seed", seed, 0, 2**63 - 1))
    return torch.randn(1, samples, latent_dim, generator=random).expand(count, -1, -1)


class Posterior(NamedTuple):
    """The diagonal Gaussian q(z|x); both tensors (batch, latent_dim)."""

    mu: Tensor
    logvar: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Reparametrised sample (batch, latent_dim) for standard normal ``noise``."""
        return self.mu + (0.5 * self.logvar).exp() * noise


def halvings(size: int) -> int:
    """Count the layers in which a network halves the sides of images of ``size`` pixels.

    >>> [(size, size // 2 ** halvings(size)) for size in (28, 32, 64)]
    [(28, 7), (32, 8), (64, 8)]
    """
    return 0 if size % 2 or size <= 8 else 1 + halvings(size // 2)


class VariationalModel(AudioToImageModel):
    """A model that encodes a spectrogram as a Gaussian over z and decodes images from it."""

    latent_dim: ClassVar[int] = 64

    @abstractmethod
    def encode(self, spectrogram: Tensor) -> Posterior:
        """q(z|x) of spectrograms (batch, 48, 48)."""

    @abstractmethod
    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits of the pixels, (batch, [3,] height, width), for latents (batch, latent_dim)."""

    def decode(self, z: Tensor) -> Tensor:
        """Images (batch, [3,] height, width) in [0, 1] for latents (batch, latent_dim)."""
        return self.decode_logits(z).sigmoid()

    def forward(self, spectrogram: Tensor, noise: Tensor) -> tuple[Tensor, Posterior]:
        """Pixel logits (batch, [3,] height, width) of a sample from q(z|x), and q(z|x) itself."""
        posterior = self.encode(spectrogram)
        return self.decode_logits(posterior.sample(noise)), posterior

    def mean_images(self, spectrogram: Tensor) -> Tensor:
        """Images (batch, [3,] height, width) in [0, 1] at the mean of q(z|x)."""
        return self.decode(self.encode(spectrogram).mu)

    def latents(self, spectrogram: Tensor) -> Tensor:
        """The mean of q(z|x), (batch, latent_dim)."""
        return self.encode(spectrogram).mu

    def images_from(self, spectrogram: Tensor, noise: Tensor) -> Tensor:
        """Decode samples of q(z|x): (batch, samples, [3,] height, width) in [0, 1]."""
        spread = Posterior(*(part.unsqueeze(1) for part in self.encode(spectrogram)))
        images = self.decode(spread.sample(noise).flatten(0, 1))
        return images.view(*noise.shape[:2], *self.image_shape)
