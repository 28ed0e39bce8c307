"""The audio-to-image VAE-GAN, made of convolutions alone."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.models.audio_to_image import Posterior, VariationalModel
from audiate.models.configs import VAEGANConfig
from audiate.models.residual import standardise


class VAEGAN(VariationalModel):
    """An encoder, decoder and discriminator without fully connected layers: 7,909,382 parameters.

    Source: Żelaszczyk 2020, table "Audio Encoder / Image Decoder / Discriminator". The count
    settles what the table leaves open: the encoder's convolutions have no biases, the others do,
    and every layer of decoder and discriminator has batch norm, the last included.

    Raises `InputError` if the front end does not make 48x48 spectrograms.
    """

    model_type: ClassVar[str] = "vaegan"
    config_class: ClassVar[type] = VAEGANConfig

    def __init__(self, config: VAEGANConfig | None = None) -> None:
        super().__init__(config)
        self.encoder = nn.Sequential(
            *_down(1, 128, bias=False),  # 48 → 23
            *_down(128, 256, bias=False),  # 23 → 10
            *_down(256, 512, bias=False),  # 10 → 4
        )
        self.mu = _Conv2d(512, self.latent_dim, 4, stride=2, bias=False)  # 4 → 1
        self.logvar = _Conv2d(512, self.latent_dim, 4, stride=2, bias=False)
        self.decoder = nn.Sequential(
            *_up(self.latent_dim, 512, 3),  # 1 → 3
            *_up(512, 256, 3),  # 3 → 7
            *_up(256, 128, 2),  # 7 → 14
            _ConvTranspose2d(128, 1, 2, stride=2),  # 14 → 28
            nn.BatchNorm2d(1),
        )
        self.discriminator = nn.Sequential(
            *_down(1, 128),  # 28 → 13
            *_down(128, 256),  # 13 → 5
            *_down(256, 512),  # 5 → 1
            nn.Conv2d(512, 1, 1),
            nn.BatchNorm2d(1),
        )

    def encode(self, spectrogram: Tensor) -> Posterior:
        """q(z|x) of spectrograms (batch, 48, 48)."""
        hidden = self.encoder(standardise(spectrogram))
        return Posterior(self.mu(hidden).flatten(1), self.logvar(hidden).flatten(1))

    def decode_logits(self, z: Tensor) -> Tensor:
        """Logits of the pixels, (batch, 28, 28), for latents (batch, 64)."""
        logits: Tensor = self.decoder(z[:, :, None, None])
        return logits.squeeze(1)

    def discriminate(self, images: Tensor) -> Tensor:
        """Logits (batch,) that images (batch, 28, 28) in [0, 1] are real.

        In training mode, give real and drawn images in one batch: the last batch norm removes
        what the images of a batch have in common.
        """
        centred = 2 * images.unsqueeze(1) - 1
        logits: Tensor = self.discriminator(centred.contiguous(memory_format=torch.channels_last))
        return logits.flatten()


class _Conv2d(nn.Conv2d):
    """A convolution that is a matrix product where its kernel fits into the input only once.

    Results are the same up to rounding; oneDNN takes ten times as long on a CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        (height, width), kernel, stride = input.shape[2:], self.kernel_size[0], self.stride[0]
        if max(height, width) >= kernel + stride:
            return super().forward(input)
        patch = input[:, :, :kernel, :kernel]
        return F.linear(patch.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]


class _ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution as a matrix product, whose columns are then added up in place.

    Results are the same up to rounding, in a third of the time that oneDNN takes on a CPU.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        assert output_size is None
        kernel, stride = self.kernel_size[0], self.stride[0]
        columns = input.flatten(2).transpose(1, 2) @ self.weight.flatten(1)
        height, width = ((side - 1) * stride + kernel for side in input.shape[2:])
        image = F.fold(columns.transpose(1, 2), (height, width), kernel, stride=stride)
        assert self.bias is not None
        return image + self.bias[:, None, None]


def _down(inputs: int, outputs: int, *, bias: bool = True) -> list[nn.Module]:
    convolution = _Conv2d(inputs, outputs, 4, stride=2, bias=bias)
    return [convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


def _up(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    convolution = _ConvTranspose2d(inputs, outputs, kernel, stride=2)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
