"""The latent flow: hear a digit, then draw it as different hands would."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.configs import LatentFlowConfig
from audiate.features import LogMel
from audiate.models.drawer import Drawer, standardise
from audiate.models.latent import Posterior

_WIDTH = 32  # channels of the condition network's first layer
_FREQUENCIES = 32  # of the sines and cosines that stand for a time
_HIDDEN = 384  # width of the velocity network
_BLOCKS = 4


class LatentFlow(Drawer):
    """Hears a digit, and draws it by a flow between noise and the latents of images.

    Three parts, none of which ever sees a label:

    - A *condition network* (audio encoder) turns a spectrogram into a condition. It learns by
      drawing the mean of the images that were heard with a sound, its `mean_images`.
    - An *autoencoder* of images, a VAE with a light prior, makes 32 numbers of an image. Rombach et
      al. 2022 call this perceptual compression.
    - A *flow* carries normal noise to latents of images, given the condition: a velocity field,
      learnt by conditional flow matching with straight paths (Lipman et al. 2023), followed by
      Euler steps. The condition enters through scales and shifts, as in Peebles & Xie 2023.

    Raises `InputError` if the front end does not make 48x48 spectrograms.
    """

    model_type: ClassVar[str] = "latent-flow"
    config_class: ClassVar[type] = LatentFlowConfig
    condition_dim: ClassVar[int] = 128
    latent_dim: ClassVar[int] = 32

    def __init__(self, config: LatentFlowConfig | None = None) -> None:
        config = config or LatentFlowConfig()
        super().__init__(config)
        self.features = LogMel(config.features)
        self.condition_network = _ConditionNetwork(self.condition_dim)
        self.archetype = nn.Sequential(
            nn.ReLU(),
            nn.Linear(self.condition_dim, 512),
            nn.ReLU(),
            nn.Linear(512, 28 * 28),
            nn.Unflatten(1, (28, 28)),
        )
        self.image_encoder = nn.Sequential(
            nn.Conv2d(1, 32, 4, stride=2, padding=1),  # 28 → 14
            nn.SiLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),  # 14 → 7
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 256),
            nn.SiLU(),
            nn.Linear(256, 2 * self.latent_dim),
        )
        self.image_decoder = nn.Sequential(
            nn.Linear(self.latent_dim, 256),
            nn.SiLU(),
            nn.Linear(256, 64 * 7 * 7),
            nn.SiLU(),
            nn.Unflatten(1, (64, 7, 7)),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),  # 7 → 14
            nn.SiLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),  # 14 → 28
        )
        self.velocity = _Velocity(self.latent_dim, self.condition_dim)
        self.unheard = nn.Parameter(torch.zeros(self.condition_dim))

    def condition(self, spectrogram: Tensor) -> Tensor:
        """The condition (batch, condition_dim) for spectrograms (batch, 48, 48)."""
        condition: Tensor = self.condition_network(spectrogram)
        return condition

    def mean_logits(self, condition: Tensor) -> Tensor:
        """Logits of the pixels of the mean image, (batch, 28, 28)."""
        logits: Tensor = self.archetype(condition)
        return logits

    def mean_images(self, spectrogram: Tensor) -> Tensor:
        """The mean (batch, 28, 28) of the images that belong to such a sound, in [0, 1]."""
        return self.mean_logits(self.condition(spectrogram)).sigmoid()

    def encode_images(self, images: Tensor) -> Posterior:
        """q(latent | image) of images (batch, 28, 28) in [0, 1]."""
        mu, logvar = self.image_encoder(2 * images.unsqueeze(1) - 1).chunk(2, 1)
        return Posterior(mu, logvar)

    def decode_logits(self, latents: Tensor) -> Tensor:
        """Logits of the pixels, (batch, 28, 28), for latents (batch, latent_dim)."""
        logits: Tensor = self.image_decoder(latents)
        return logits.squeeze(1)

    def forward(self, latents: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        """Velocity (batch, latent_dim) of ``latents`` at ``times`` (batch,), 0 noise to 1 image.

        ``condition``: (batch, condition_dim) from `condition`, or `unheard` for no sound at all.
        """
        velocity: Tensor = self.velocity(latents, times, condition)
        return velocity

    def latents(self, spectrogram: Tensor) -> Tensor:
        """The condition (batch, condition_dim), which is all that the flow knows of the sound."""
        return self.condition(spectrogram)

    def images_from(self, spectrogram: Tensor, noise: Tensor) -> Tensor:
        """Follow the flow from noise: (batch, samples, 28, 28) in [0, 1]."""
        return self.flow_from(self.condition(spectrogram), noise, self.config.guidance)

    def flow_from(self, condition: Tensor, noise: Tensor, guidance: float | Tensor) -> Tensor:
        """Follow the flow from noise, for a condition.

        Args:
            condition: (batch, condition_dim), as `condition` gives it.
            noise: (batch, samples, latent_dim), standard normal.
            guidance: How far images are drawn away from those of no sound at all: 1 is not at all
                (classifier-free guidance, Ho and Salimans 2022). A tensor is a single number.

        Returns:
            (batch, samples, 28, 28) in [0, 1], white on black.

        """
        batch, samples, _ = noise.shape
        condition = condition.repeat_interleave(samples, 0)
        latents = noise.flatten(0, 1)
        guided = isinstance(guidance, Tensor) or guidance != 1
        if guided:  # velocities with and without the sound are computed together
            condition = torch.cat([condition, self.unheard.expand_as(condition)])
        steps = self.config.steps
        for step in range(steps):
            both = torch.cat([latents, latents]) if guided else latents
            times = torch.full((both.shape[0],), step / steps, device=self.device)
            velocity = self(both, times, condition)
            if guided:
                heard, free = velocity.view(2, -1, self.latent_dim)
                velocity = free + guidance * (heard - free)
            latents = latents + velocity / steps
        images = self.decode_logits(latents).sigmoid()
        return images.view(batch, samples, self.image_size, self.image_size)


class _ConditionNetwork(nn.Module):
    """A small residual network (He et al. 2016) that keeps three moments of the word apart."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, _WIDTH, 5, stride=2, padding=2, bias=False),  # 48 → 24
            nn.BatchNorm2d(_WIDTH),
            nn.ReLU(),
            _Residual(_WIDTH, 2 * _WIDTH, stride=2),  # 24 → 12
            _Residual(2 * _WIDTH, 2 * _WIDTH),
            _Residual(2 * _WIDTH, 4 * _WIDTH, stride=2),  # 12 → 6
            _Residual(4 * _WIDTH, 4 * _WIDTH),
        )
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * 3 * 4 * _WIDTH, outputs))

    def forward(self, spectrogram: Tensor) -> Tensor:
        hidden = self.trunk(standardise(spectrogram))
        moments = [F.adaptive_avg_pool2d(hidden, (1, 3)), F.adaptive_max_pool2d(hidden, (1, 3))]
        condition: Tensor = self.head(torch.cat(moments, 1).flatten(1))
        return condition


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, hidden: Tensor) -> Tensor:
        return F.relu(self.shortcut(hidden) + self.body(hidden))


class _Velocity(nn.Module):
    """A residual network of fully connected layers; time and condition scale, shift and gate."""

    frequencies: Tensor

    def __init__(self, latent_dim: int, condition_dim: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(0, log(1000), _FREQUENCIES))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.of_time = nn.Linear(2 * _FREQUENCIES, _HIDDEN)
        self.of_condition = nn.Linear(condition_dim, _HIDDEN)
        self.modulation = nn.Linear(_HIDDEN, 3 * _HIDDEN)  # one for all blocks: Chen et al. 2024
        self.first = nn.Linear(latent_dim, _HIDDEN)
        self.blocks = nn.ModuleList(_Block() for _ in range(_BLOCKS))
        self.norm = nn.LayerNorm(_HIDDEN)
        self.last = nn.Linear(_HIDDEN, latent_dim)
        nn.init.zeros_(self.last.weight)  # begin with no motion
        nn.init.zeros_(self.last.bias)

    def forward(self, latents: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        angles = times.unsqueeze(1) * self.frequencies
        of_time = self.of_time(torch.cat([angles.sin(), angles.cos()], 1))
        modulation = self.modulation(F.silu(of_time + self.of_condition(condition))).chunk(3, 1)
        hidden = self.first(latents)
        for block in self.blocks:
            hidden = block(hidden, modulation)
        velocity: Tensor = self.last(self.norm(hidden))
        return velocity


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.randn(3, _HIDDEN) * 0.02)
        self.norm = nn.LayerNorm(_HIDDEN, elementwise_affine=False)
        self.wide = nn.Linear(_HIDDEN, 2 * _HIDDEN)
        self.narrow = nn.Linear(2 * _HIDDEN, _HIDDEN)

    def forward(self, hidden: Tensor, modulation: Sequence[Tensor]) -> Tensor:
        scale, shift, gate = (m + o for m, o in zip(modulation, self.offset, strict=True))
        changed = self.norm(hidden) * (1 + scale) + shift
        update: Tensor = gate * self.narrow(F.silu(self.wide(changed)))
        return hidden + update
