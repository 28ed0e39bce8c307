"""Image to audio: a conditional flow from an image to the latents of a codec of sound."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from audiate.data.images import Picture
from audiate.errors import InputError
from audiate.models.audio_to_image import same_noise
from audiate.models.codec import Codec
from audiate.models.conditional_flow import follow
from audiate.models.configs import ImageToAudioConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.fingerprint import same_generator, weight_fingerprint
from audiate.models.hub import DEFAULT_IMAGE_TO_AUDIO
from audiate.models.lenet import see_picture
from audiate.models.pretrained import PretrainedModel
from audiate.models.residual import ImageNetwork
from audiate.models.speech_flow import LatentScale, codec_velocity, latent_size, load_codec

_AT_ONCE = 32  # latents that are made sound at once


class ImageToAudioModel(PretrainedModel):
    """Says what is written in an image, in as many voices as one likes.

    It mirrors the latent flow of images. It learns from pairs of images and recordings, and no
    label takes part:

    - The *condition network* is the image encoder of a `DualEncoder`, which knows images by the
      sounds that belong to them.
    - A *flow* carries normal noise to the latents of a `Codec`, given the condition.
    - The *codec*, which is a model with weights of its own, makes sound of the latents.

    """

    model_type: ClassVar[str] = "image-to-audio"
    config_class: ClassVar[type] = ImageToAudioConfig
    refusal: ClassVar[str] = f"says no pictures; {DEFAULT_IMAGE_TO_AUDIO} does"
    condition_dim: ClassVar[int] = DualEncoder.embedding_dim
    channels: ClassVar[int] = 1

    def __init__(self, config: ImageToAudioConfig | None = None) -> None:
        config = config or ImageToAudioConfig()
        super().__init__(config)
        self.sample_rate, self.num_samples = config.network.sample_rate, config.num_samples
        self.latent_dim = latent_size(config, config.network)
        self.image_encoder = ImageNetwork(self.condition_dim)
        self.scale = LatentScale(config.network.latent_channels)
        self.velocity = codec_velocity(config, config.network, self.condition_dim)
        self.null_condition = nn.Parameter(torch.zeros(self.condition_dim))
        self._codec: Codec | None
        self._keep(None)

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words."""
        return f"image 28x28 → {self.num_samples:,} samples by {self.config.codec}"

    @property
    def codec(self) -> Codec:
        """The codec, which is loaded when it is first needed.

        Raises:
            InputError: It is not there, or it is another one than this model was trained for.

        """
        if self._codec is None:
            self.use(load_codec(self.config.codec))
        codec = self._codec
        assert codec is not None
        if codec.device != self.device:
            codec.to(self.device)
        return codec

    def use(self, codec: Codec) -> None:
        """Take a codec that was loaded already, in place of the one that the config names.

        Raises:
            InputError: This model was trained for another one.

        """
        known = self.config.fingerprint
        if codec.config != self.config.network or (
            known and not same_generator(known, weight_fingerprint(codec))
        ):
            raise InputError(
                f"{self.config.codec}: this model was trained for a codec with other weights; "
                f"name that one with `codec`, or train this model anew"
            )
        self._keep(codec.eval())

    def _keep(self, codec: Codec | None) -> None:
        """Keep a codec as no part of this network: it has a file and a mode of its own."""
        object.__setattr__(self, "_codec", codec)

    def condition(self, images: Tensor) -> Tensor:
        """The condition (batch, condition_dim) of images (batch, 28, 28) in [0, 1]."""
        vectors: Tensor = nn.functional.normalize(self.image_encoder(images), dim=1)
        scaled: Tensor = vectors * self.condition_dim**0.5
        return scaled

    def latents_from(
        self, images: Tensor, noise: Tensor, guidance: float | Tensor | None = None
    ) -> Tensor:
        """Follow the flow from noise to latents of the codec.

        Args:
            images: (batch, 28, 28) in [0, 1], white on black.
            noise: (batch, samples, latent_dim), standard normal.
            guidance: As `follow` takes it; by default the config's.

        Returns:
            (batch, samples, latent_dim): the codec's latents, frame after frame.

        """
        flat = follow(
            self.velocity,
            noise.flatten(0, 1),
            self.condition(images).repeat_interleave(noise.shape[1], 0),
            self.null_condition,
            guidance=self.config.guidance if guidance is None else guidance,
            steps=self.config.steps,
            solver=self.config.solver,
        )
        return self.scale.unflatten(flat).transpose(1, 2).reshape(noise.shape)

    @torch.no_grad()
    def say(self, image: Picture, *, samples: int = 8, seed: int = 0) -> Tensor:
        """Sounds of what is written in one picture.

        Args:
            image: A picture of one digit, of any size, dark on light or light on dark, as a tensor,
                an array or a `PIL.Image.Image`.
            samples: Number of sounds.
            seed: The same picture and seed give the same sounds, whatever was said before.

        Returns:
            (samples, 1, num_samples) in [-1, 1], at `sample_rate`.

        Raises:
            InputError: The picture holds no digit or several, or is too large; another argument is
                out of range; or the codec is not there.

        """
        return self.say_batch(
            self.preprocess_image(image).unsqueeze(0), samples=samples, seed=seed
        )[1][0]

    @torch.no_grad()
    def say_batch(
        self, images: Tensor, *, samples: int = 8, seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Latents and sounds of several images; each is said as `say` says it by itself.

        Args:
            images: (batch, 28, 28) in [0, 1], as `preprocess_image` gives them.
            samples: Number of sounds for each image.
            seed: Seed of the noise, which is the same for every image.

        Returns:
            Latents (batch, samples, latent_dim), and waveforms (batch, samples, 1, num_samples) in
            [-1, 1], both on the CPU.

        Raises:
            InputError: An argument is out of range.

        """
        return self.say_from(images, same_noise(len(images), samples, self.latent_dim, seed))

    @torch.no_grad()
    def say_from(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and sounds of images and noise.

        Args:
            images: (batch, 28, 28) in [0, 1].
            noise: (batch, samples, latent_dim), standard normal.

        Returns:
            As `say_batch`.

        """
        latents = self.latents_from(images.to(self.device), noise.to(self.device))
        return latents.cpu(), self.voice(latents).cpu()

    def voice(self, latents: Tensor) -> Tensor:
        """Waveforms (..., 1, num_samples) in [-1, 1] of latents (..., latent_dim)."""
        channels = self.config.network.latent_channels
        frames = latents.reshape(-1, self.latent_dim // channels, channels).transpose(1, 2)
        parts = [self.codec.decode(part) for part in torch.split(frames, _AT_ONCE)]
        return torch.cat(parts).clamp(-1, 1).view(*latents.shape[:-1], 1, self.num_samples)

    def preprocess_image(self, image: Picture) -> Tensor:
        """The network's input of a picture: an image (28, 28) in [0, 1].

        Arguments and errors are those of `say`.
        """
        return see_picture(image, self.config.pictures)
