"""Image to audio: a conditional flow from an image to the latent of a generator of sound."""

from contextlib import suppress
from typing import ClassVar

import torch
from torch import Tensor, nn

from audiate.audio.files import prepare_speech
from audiate.data.images import Picture, see_picture
from audiate.errors import InputError, check_range
from audiate.models.conditional_flow import Velocity, follow
from audiate.models.configs import ImageToAudioConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.fingerprint import fingerprint, same_generator
from audiate.models.generator import AudioGAN
from audiate.models.hub import DEFAULT_IMAGE_TO_AUDIO
from audiate.models.pretrained import PretrainedModel, load

_ROUNDING = 1e-6  # so that no entry of a latent is mapped to infinity
_AT_ONCE = 32  # latents that are made sound at once


class ImageToAudioModel(PretrainedModel):
    """Says what is written in an image, in as many voices as one likes.

    It mirrors the latent flow. Its own training uses no label but for the pairing; a generator that
    was trained with labels, as `specgan-digits` was, has them in its latents, though:

    - The *condition network* is the image encoder of a `DualEncoder`, which knows images by the
      sounds that belong to them.
    - The audio encoder of that model scores the generated sounds: of some *candidates* for each
      sound, the one that most clearly belongs to the image is kept.
    - The *generator*, an `AudioGAN` with weights of its own, makes sound of a latent. It has the
      place of the latent flow's decoder.
    - A *flow* carries normal noise to the generator's latents, given the condition, as in
      `LatentFlow`. Latents of the prior, uniform in [-1, 1], are made normal by their quantiles, so
      without a condition the flow has nothing to change.

    """

    model_type: ClassVar[str] = "image-to-audio"
    config_class: ClassVar[type] = ImageToAudioConfig
    refusal: ClassVar[str] = f"says no pictures; {DEFAULT_IMAGE_TO_AUDIO} does"
    condition_dim: ClassVar[int] = DualEncoder.embedding_dim

    def __init__(self, config: ImageToAudioConfig | None = None) -> None:
        config = config or ImageToAudioConfig()
        super().__init__(config)
        self.matcher = DualEncoder(config.dual_encoder)
        self.velocity = Velocity(config.latent_dim, self.condition_dim)
        self.null_condition = nn.Parameter(torch.zeros(self.condition_dim))
        self._generator: AudioGAN | None
        self._keep(None)

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words."""
        return f"image 28x28 → latent {self.latent_dim} of {self.config.generator}"

    @property
    def latent_dim(self) -> int:
        """Number of entries of a latent."""
        dim: int = self.config.latent_dim
        return dim

    @property
    def generator(self) -> AudioGAN:
        """The generator, which is loaded when it is first needed.

        Raises:
            InputError: It is not there, or it is another one than this model was trained for.

        """
        if self._generator is None:
            self.use(load(self.config.generator, AudioGAN))
        generator = self._generator
        assert generator is not None
        if generator.device != self.device:
            generator.to(self.device)
        return generator

    def use(self, generator: AudioGAN) -> None:
        """Take a generator that was loaded already, in place of the one that the config names.

        Raises:
            InputError: This model was trained for another one.

        """
        known = self.config.fingerprint
        if generator.latent_dim != self.latent_dim or (
            known and not same_generator(known, fingerprint(generator))
        ):
            raise InputError(
                f"{self.config.generator}: this model was trained for a generator with other "
                f"weights; name that one with `generator`, or train this model anew"
            )
        self._keep(generator)

    def _keep(self, generator: AudioGAN | None) -> None:
        """Keep a generator as no part of this network: it has a file and a mode of its own."""
        object.__setattr__(self, "_generator", generator)

    def condition(self, images: Tensor) -> Tensor:
        """The condition (batch, condition_dim) of images (batch, 28, 28) in [0, 1]."""
        scaled: Tensor = self.matcher.embed_images(images) * self.condition_dim**0.5
        return scaled

    def forward(self, latents: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        """Velocity (batch, latent_dim) of normal latents at ``times`` (batch,), 0 for noise.

        ``condition``: (batch, condition_dim) from `condition`, or `null_condition` (no image).
        """
        velocity: Tensor = self.velocity(latents, times, condition)
        return velocity

    def latents_from(
        self, images: Tensor, noise: Tensor, guidance: float | Tensor | None = None
    ) -> Tensor:
        """Follow the flow from noise to latents of the generator.

        Args:
            images: (batch, 28, 28) in [0, 1], white on black.
            noise: (batch, samples, latent_dim), standard normal.
            guidance: As `follow` takes it; by default the config's.

        Returns:
            (batch, samples, latent_dim) in [-1, 1].

        """
        samples = noise.shape[1]
        normal = follow(
            self,
            noise.flatten(0, 1),
            self.condition(images).repeat_interleave(samples, 0),
            self.null_condition,
            guidance=self.config.guidance if guidance is None else guidance,
            steps=self.config.steps,
        )
        return from_normal(normal).view(noise.shape)

    @torch.no_grad()
    def say(self, image: Picture, *, samples: int = 8, seed: int = 0) -> Tensor:
        """Sounds of what is written in one picture.

        Args:
            image: A picture of one digit, of any size, dark on light or light on dark, as a tensor,
                an array or a `PIL.Image.Image`.
            samples: Number of sounds.
            seed: The same picture and seed give the same sounds, whatever was said before.

        Returns:
            (samples, channels, num_samples) in [-1, 1], at `generator.sample_rate`.

        Raises:
            InputError: The picture is blank or too large, or another argument is out of range; or
                the generator is not there.

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
            Latents (batch, samples, latent_dim), and waveforms (batch, samples, channels,
            num_samples) in [-1, 1], both on the CPU.

        Raises:
            InputError: An argument is out of range.

        """
        check_range("samples", samples, 1, 10_000)
        check_range("seed", seed, 0, 2**63 - 1)
        random = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, samples, self.candidates, self.latent_dim, generator=random)
        return self.say_from(images, noise.expand(len(images), -1, -1, -1))

    @property
    def candidates(self) -> int:
        """Number of sounds out of which each sound is chosen."""
        count: int = self.config.candidates
        return count

    @torch.no_grad()
    def say_from(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Latents and sounds of images and noise: of each sample's candidates, the best one.

        Args:
            images: (batch, 28, 28) in [0, 1].
            noise: (batch, samples, candidates, latent_dim), standard normal.

        Returns:
            As `say_batch`.

        """
        found = [
            self._best(image, own)
            for image, own in zip(images.to(self.device), noise.to(self.device), strict=True)
        ]
        latents, sounds = (torch.stack(each).cpu() for each in zip(*found, strict=True))
        return latents, sounds

    def _best(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The best candidates of one image (28, 28), for noise (samples, candidates, dim)."""
        samples, candidates, _ = noise.shape
        latents = self.latents_from(image.unsqueeze(0), noise.flatten(0, 1).unsqueeze(0))[0]
        sounds = self.voice(latents)
        if candidates == 1:
            return latents, sounds
        chosen = self._scores(sounds, image).view(samples, candidates).argmax(1)
        chosen = chosen + candidates * torch.arange(samples, device=chosen.device)
        return latents[chosen], sounds[chosen]

    def _scores(self, waveforms: Tensor, image: Tensor) -> Tensor:
        """Scores (batch,) of waveforms (batch, channels, samples) with an image (28, 28)."""
        scores = torch.full((len(waveforms),), -torch.inf, device=self.device)
        inputs, rate = {}, self.matcher.features.config.sample_rate
        for number, waveform in enumerate(waveforms):
            with suppress(InputError):  # a silent one belongs to nothing
                inputs[number] = prepare_speech(waveform, self.generator.sample_rate, rate)
        if inputs:
            spectrograms = self.matcher.features.many(
                [each.to(self.device) for each in inputs.values()]
            )
            images = self.matcher.embed_images(image.unsqueeze(0))
            sounds = self.matcher.embed_changed(spectrograms)
            scores[list(inputs)] = self.matcher.calibrated_scores(sounds, images)[:, 0]
        return scores

    def voice(self, latents: Tensor) -> Tensor:
        """Waveforms (..., channels, num_samples) in [-1, 1] of latents (..., latent_dim)."""
        parts = [self.generator(part) for part in torch.split(latents.flatten(0, -2), _AT_ONCE)]
        return torch.cat(parts).view(*latents.shape[:-1], *parts[0].shape[1:])

    def preprocess_image(self, image: Picture) -> Tensor:
        """The network's input of a picture: an image (28, 28) in [0, 1].

        Arguments and errors are those of `say`.
        """
        return see_picture(image, self.config.pictures)


def to_normal(latents: Tensor) -> Tensor:
    """Latents in [-1, 1] as standard normal numbers, by their quantiles."""
    bounded = latents.clamp(-1 + _ROUNDING, 1 - _ROUNDING)
    normal: Tensor = torch.special.ndtri((bounded + 1) / 2)
    return normal


def from_normal(normal: Tensor) -> Tensor:
    """Standard normal numbers as latents in [-1, 1], by their quantiles."""
    latents: Tensor = torch.erf(normal / 2**0.5)
    return latents
