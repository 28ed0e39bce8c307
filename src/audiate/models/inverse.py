"""From sound back to the latent of a generator: the inverse mapping."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from audiate.errors import InputError, check_range
from audiate.models.generator import Generator, generate
from audiate.models.pretrained import PretrainedModel
from audiate.models.resnet import DigitClassifier, ResNet18
from audiate.spectra import MelSpectrogram, Spectrogram


@dataclass(frozen=True)
class InverseMappingConfig:
    """What the encoder hears, and whose latents it tells.

    Raises `InputError` where a value is out of range.

    Attributes:
        latent_dim: Numbers in a latent.
        sample_rate: In Hz.
        num_samples: Samples of a clip.
        channels: 1 for mono, 2 for stereo, of which it hears the mean.
        spectrogram: ``mel``: 64 frames of 64 mel bands. ``real``: the paper's real part, 128
            frames of 129 bins for a clip of 16,384 samples. ``log``: the levels of those.
        generator: The name of the generator that it inverts, for people.
        fingerprint: Power of a few of that generator's clips, to know it by.

    """

    latent_dim: int = 100
    sample_rate: int = 16_000
    num_samples: int = 16_384
    channels: int = 1
    spectrogram: Literal["mel", "log", "real"] = "mel"
    generator: str = ""
    fingerprint: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_range("latent_dim", self.latent_dim, 1, 10**6)
        check_range("sample_rate", self.sample_rate, 100, 10**7)
        check_range("num_samples", self.num_samples, 256, 10**7)
        check_range("channels", self.channels, 1, 10**3)
        if self.spectrogram not in ("mel", "log", "real"):
            raise InputError(f"spectrogram {self.spectrogram!r}: give mel, log or real")


class InverseMapping(PretrainedModel):
    """ResNet-18 from the spectrogram to the latent (Keyes et al. 2020, section 3.2).

    Without a last activation, and with as many outputs as the latent has numbers; 11,221,540
    parameters with 100.
    """

    model_type: ClassVar[str] = "inverse-mapping"
    config_class: ClassVar[type] = InverseMappingConfig

    def __init__(self, config: InverseMappingConfig | None = None) -> None:
        config = config or InverseMappingConfig()
        super().__init__(config)
        self.config: InverseMappingConfig = config
        self.spectrogram: nn.Module = (
            MelSpectrogram(config.sample_rate, config.num_samples)
            if config.spectrogram == "mel"
            else Spectrogram(config.spectrogram)
        )
        self.network = ResNet18(config.latent_dim)
        with torch.no_grad():
            self.network.head.weight *= 0.1  # begins near the middle of the prior

    def begin_as(self, judge: DigitClassifier) -> None:
        """Take the residual blocks of a judge, all but its head: they know speech."""
        blocks = judge.network.state_dict()
        head = {name for name in blocks if name.startswith("head.")}
        own = self.network.state_dict()
        self.network.load_state_dict(
            {name: own[name] if name in head else value for name, value in blocks.items()}
        )

    def forward(self, waveforms: Tensor) -> Tensor:
        """Latents (batch, latent_dim) of waveforms (batch, channels, num_samples)."""
        latents: Tensor = self.network(self.spectrogram(waveforms.mean(1)))
        return latents


def fingerprint(generator: Generator) -> tuple[float, ...]:
    """Mean power of four clips of the generator, to know it again by."""
    z = generator.sample_latent(4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        powers = generate(generator, z).square().mean((1, 2))
    return tuple(powers.tolist())


def digest(numbers: object) -> str:
    """Eight characters to know numbers again by."""
    return hashlib.sha256(repr(numbers).encode()).hexdigest()[:8]
