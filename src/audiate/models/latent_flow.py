"""The latent flow: conditional flow matching from noise to latents of images, given a sound."""

from collections.abc import Sequence
from itertools import chain, pairwise
from math import prod
from typing import ClassVar

import torch
from torch import Tensor, nn

from audiate.models.audio_to_image import AudioToImageModel, Posterior, halvings
from audiate.models.conditional_flow import Velocity, follow
from audiate.models.configs import LatentFlowConfig
from audiate.models.digit_score import DigitScore
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.models.residual import SoundNetwork


class LatentFlow(AudioToImageModel):
    """Draws a spoken digit by a flow between noise and the latents of images.

    Three parts, none of which is given a label:

    - A *condition network* (audio encoder) turns a spectrogram into a condition. It learns by
      drawing the mean of the images that belong to a sound, its `mean_images`.
    - An *autoencoder* of images, a VAE with a light prior, makes 32 numbers of an image. Rombach et
      al. 2022 call this perceptual compression.
    - A *flow* carries normal noise to latents of images, given the condition: a velocity field,
      learnt by conditional flow matching with straight paths (Lipman et al. 2023), followed by
      `config.steps` of `config.solver`. The condition enters through scales and shifts, as in
      Peebles & Xie 2023.

    Raises `InputError` if the front end does not make 48x48 spectrograms.
    """

    model_type: ClassVar[str] = "latent-flow"
    config_class: ClassVar[type] = LatentFlowConfig
    refusal: ClassVar[str] = f"is no latent flow, as {DEFAULT_AUDIO_TO_IMAGE} is"
    condition_dim: ClassVar[int] = 128
    latent_dim: ClassVar[int] = 32

    def __init__(self, config: LatentFlowConfig | None = None) -> None:
        super().__init__(config)
        self.image_shape = self.config.image_shape
        times = halvings(self.config.image_size)
        least = self.config.image_size >> times
        widths = [self.config.image_channels, *(32, 64, 64)[:times]]
        self.condition_network = SoundNetwork(self.condition_dim)
        self.archetype = nn.Sequential(
            nn.ReLU(),
            nn.Linear(self.condition_dim, 512),
            nn.ReLU(),
            nn.Linear(512, prod(self.image_shape)),
            nn.Unflatten(1, self.image_shape),
        )
        self.image_encoder = nn.Sequential(
            *_down(widths),  # 28 → 14 → 7
            nn.Flatten(),
            nn.Linear(64 * least**2, 256),
            nn.SiLU(),
            nn.Linear(256, 2 * self.latent_dim),
        )
        self.image_decoder = nn.Sequential(
            nn.Linear(self.latent_dim, 256),
            nn.SiLU(),
            nn.Linear(256, 64 * least**2),
            nn.SiLU(),
            nn.Unflatten(1, (64, least, least)),
            *_up(widths[::-1]),  # 7 → 14 → 28
        )
        self.velocity = Velocity(self.latent_dim, self.condition_dim)
        self.null_condition = nn.Parameter(torch.zeros(self.condition_dim))
        self.digit_score = DigitScore() if self.config.digit_score else None

    def condition(self, spectrogram: Tensor) -> Tensor:
        """The condition (batch, condition_dim) for spectrograms (batch, 48, 48)."""
        condition: Tensor = self.condition_network(spectrogram)
        return condition

    def mean_logits(self, condition: Tensor) -> Tensor:
        """Logits of the pixels of the mean image, (batch, [3,] height, width)."""
        logits: Tensor = self.archetype(condition)
        return logits

    def mean_images(self, spectrogram: Tensor) -> Tensor:
        """The mean (batch, [3,] height, width) of the images that belong to such a sound."""
        return self.mean_logits(self.condition(spectrogram)).sigmoid()

    def encode_images(self, images: Tensor) -> Posterior:
        """q(latent | image) of images (batch, [3,] height, width) in [0, 1]."""
        inputs = images.unsqueeze(1) if images.dim() == 3 else images
        mu, logvar = self.image_encoder(2 * inputs - 1).chunk(2, 1)
        return Posterior(mu, logvar)

    def decode_logits(self, latents: Tensor) -> Tensor:
        """Logits of the pixels, (batch, [3,] height, width), for latents (batch, latent_dim)."""
        logits: Tensor = self.image_decoder(latents)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def forward(self, latents: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        """Velocity (batch, latent_dim) of ``latents`` at ``times`` (batch,), 0 noise to 1 image.

        ``condition``: (batch, condition_dim) from `condition`, or `null_condition` without a sound.
        """
        velocity: Tensor = self.velocity(latents, times, condition)
        return velocity

    def latents(self, spectrogram: Tensor) -> Tensor:
        """The condition (batch, condition_dim), which is all that the flow takes of the sound."""
        return self.condition(spectrogram)

    def digit_scores(self, spectrogram: Tensor) -> Tensor | None:
        """Log-odds (batch,) that sounds are spoken digits; None of weights without `DigitScore`."""
        if self.digit_score is None:
            return None
        scores: Tensor = self.digit_score(*self.condition_network.features(spectrogram))
        return scores

    def images_from(self, spectrogram: Tensor, noise: Tensor) -> Tensor:
        """Follow the flow from noise: (batch, samples, [3,] height, width) in [0, 1]."""
        return self.flow_from(self.condition(spectrogram), noise, self.config.guidance)

    def freely(self, noise: Tensor) -> Tensor:
        """Images (batch, [3,] height, width) of no sound at all, for normal noise (batch, dim)."""
        condition = self.null_condition.expand(len(noise), -1)
        return self.flow_from(condition, noise.unsqueeze(1), 1.0)[:, 0]

    def flow_from(self, condition: Tensor, noise: Tensor, guidance: float | Tensor) -> Tensor:
        """Follow the flow from noise, for a condition.

        Args:
            condition: (batch, condition_dim), as `condition` gives it.
            noise: (batch, samples, latent_dim), standard normal.
            guidance: How far images are drawn away from those of no sound at all: 1 is not at all
                (classifier-free guidance, Ho and Salimans 2022). A tensor is a single number.

        Returns:
            (batch, samples, [3,] height, width) in [0, 1]; of digits, white on black.

        """
        batch, samples, _ = noise.shape
        latents = follow(
            self,
            noise.flatten(0, 1),
            condition.repeat_interleave(samples, 0),
            self.null_condition,
            guidance=guidance,
            steps=self.config.steps,
            solver=self.config.solver,
        )
        images = self.decode_logits(latents).sigmoid()
        return images.view(batch, samples, *self.image_shape)


def _down(widths: Sequence[int]) -> list[nn.Module]:
    """Convolutions between channels of these numbers, each of which halves an image."""
    pairs = pairwise(widths)
    layers = [(nn.Conv2d(*pair, 4, stride=2, padding=1), nn.SiLU()) for pair in pairs]
    return list(chain.from_iterable(layers))


def _up(widths: Sequence[int]) -> list[nn.Module]:
    """The way back: pairs of convolutions, of which each second one doubles an image."""
    layers: list[nn.Module] = []
    for one, other in pairwise(widths):
        layers += [nn.Conv2d(one, one, 3, padding=1), nn.SiLU()]
        layers += [nn.ConvTranspose2d(one, other, 4, stride=2, padding=1), nn.SiLU()]
    return layers[:-1]
