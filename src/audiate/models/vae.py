"""The audio-to-image VAE: hear a spoken digit, draw it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from audiate.errors import check_range
from audiate.features import LogMel, LogMelConfig
from audiate.models.drawer import Drawer


@dataclass(frozen=True)
class VAEConfig:
    """The network is fixed by the paper; the front end is not."""

    features: LogMelConfig = field(default_factory=LogMelConfig)


class Posterior(NamedTuple):
    """The diagonal Gaussian q(z|x); both tensors (batch, latent_dim)."""

    mu: Tensor
    logvar: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Reparametrised sample (batch, latent_dim) for standard normal ``noise``."""
        return self.mu + (0.5 * self.logvar).exp() * noise


class VAE(Drawer):
    """Encoder of a 48x48 spectrogram, decoder of a 28x28 image: 20,950,529 parameters.

    Source: Żelaszczyk 2020, table "Audio Encoder / Image Decoder". The table puts a ReLU behind
    the two heads; a mean that cannot be negative or a variance that cannot be below one has no
    use in a VAE, so the heads are linear here.

    Raises `InputError` if the front end does not make 48x48 spectrograms.
    """

    model_type: ClassVar[str] = "vae"
    config_class: ClassVar[type] = VAEConfig
    latent_dim: ClassVar[int] = 64

    def __init__(self, config: VAEConfig | None = None) -> None:
        config = config or VAEConfig()
        super().__init__(config)
        check_range("n_mels", config.features.n_mels, 48, 48)
        check_range("frames", config.features.frames, 48, 48)
        self.features = LogMel(config.features)
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 64, 4, stride=2),  # 48 → 23
            nn.ReLU(),
            nn.Conv2d(64, 128, 4, stride=2),  # 23 → 10
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128 * 10 * 10, 1024),
            nn.ReLU(),
            nn.Linear(1024, 512),
            nn.ReLU(),
        )
        self.mu = nn.Linear(512, self.latent_dim)
        self.logvar = nn.Linear(512, self.latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(self.latent_dim, 512),
            nn.ReLU(),
            nn.Linear(512, 1024),
            nn.ReLU(),
            nn.Linear(1024, 128 * 7 * 7),
            nn.Unflatten(1, (128, 7, 7)),
            nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),  # 7 → 14
            nn.ReLU(),
            nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1),  # 14 → 28
        )

    def encode(self, spectrogram: Tensor) -> Posterior:
        """q(z|x) of spectrograms (batch, 48, 48)."""
        # Centred and scaled by the mean and deviation of FSDD's spectrograms.
        standardised = (spectrogram.unsqueeze(1) - 0.4) / 0.25
        hidden = self.encoder(standardised.contiguous(memory_format=torch.channels_last))
        return Posterior(self.mu(hidden), self.logvar(hidden))

    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits of the pixels, (batch, 28, 28), for latents (batch, 64)."""
        logits: Tensor = self.decoder(z)
        return logits.squeeze(1)

    def decode(self, z: Tensor) -> Tensor:
        """Images (batch, 28, 28) in [0, 1] for latents (batch, 64)."""
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
