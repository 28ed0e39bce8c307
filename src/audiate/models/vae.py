"""The audio-to-image VAE, which draws a spoken digit."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from audiate.models.audio_to_image import Posterior, VariationalModel, halvings
from audiate.models.configs import VAEConfig
from audiate.models.residual import standardise


class VAE(VariationalModel):
    """An encoder of 48x48 spectrograms and a decoder of 28x28 images: 20,950,529 parameters.

    The decoder of larger images, or of colour, differs in its last layers.

    Source: Żelaszczyk 2020, table "Audio Encoder / Image Decoder". The table puts a ReLU behind
    the two heads; a mean that cannot be negative or a variance that cannot be below one has no
    use in a VAE, so the heads are linear here.

    Raises `InputError` if the front end does not make 48x48 spectrograms.
    """

    model_type: ClassVar[str] = "vae"
    config_class: ClassVar[type] = VAEConfig

    def __init__(self, config: VAEConfig | None = None) -> None:
        super().__init__(config)
        self.image_shape = self.config.image_shape
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
        doublings = halvings(self.config.image_size)
        least = self.config.image_size >> doublings
        widths = [*(128, 64, 32)[:doublings], self.config.image_channels]
        self.decoder = nn.Sequential(
            nn.Linear(self.latent_dim, 512),
            nn.ReLU(),
            nn.Linear(512, 1024),
            nn.ReLU(),
            nn.Linear(1024, 128 * least**2),
            nn.Unflatten(1, (128, least, least)),
            *_doubling(widths),  # 7 → 14 → 28
        )

    def encode(self, spectrogram: Tensor) -> Posterior:
        """q(z|x) of spectrograms (batch, 48, 48)."""
        hidden = self.encoder(standardise(spectrogram))
        return Posterior(self.mu(hidden), self.logvar(hidden))

    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits of the pixels, (batch, [3,] height, width), for latents (batch, 64)."""
        logits: Tensor = self.decoder(z)
        return logits[:, 0] if logits.shape[1] == 1 else logits


def _doubling(widths: Sequence[int]) -> list[nn.Module]:
    """Convolutions between channels of these numbers, each of which doubles an image."""
    layers: list[nn.Module] = []
    for pair in pairwise(widths):
        layers += [nn.ConvTranspose2d(*pair, 4, stride=2, padding=1), nn.ReLU()]
    return layers[:-1]
