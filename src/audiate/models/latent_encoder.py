"""The encoder of GAN inversion: ResNet-18 from a spectrogram to a generator's latent."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from audiate.audio.spectrograms import MelSpectrogram, Spectrogram
from audiate.models.configs import LatentEncoderConfig
from audiate.models.pretrained import PretrainedModel
from audiate.models.resnet import DigitClassifier, ResNet18


class LatentEncoder(PretrainedModel):
    """ResNet-18 from the spectrogram to the latent (Keyes et al. 2020, section 3.2).

    Without a last activation, and with as many outputs as the latent has numbers; 11,221,540
    parameters with 100.
    """

    model_type: ClassVar[str] = "latent-encoder"
    config_class: ClassVar[type] = LatentEncoderConfig
    pipeline_tag: ClassVar[str] = "feature-extraction"
    refusal: ClassVar[str] = (
        "is no encoder of sounds to latents; `audiate train latent-encoder` makes one"
    )

    def __init__(self, config: LatentEncoderConfig | None = None) -> None:
        config = config or LatentEncoderConfig()
        super().__init__(config)
        self.config: LatentEncoderConfig = config
        self.spectrogram: nn.Module = (
            MelSpectrogram(config.sample_rate, config.num_samples)
            if config.spectrogram == "mel"
            else Spectrogram(config.spectrogram)
        )
        self.network = ResNet18(config.latent_dim)
        if not self.network.head.weight.is_meta:  # for the reason that `ResNet18` gives
            with torch.no_grad():
                self.network.head.weight *= 0.1  # begins near the middle of the prior

    def shapes(self) -> str:
        """What goes in and out, in a few words."""
        return f"{self.config.num_samples:,} samples → latent {self.config.latent_dim}"

    def start_from(self, classifier: DigitClassifier) -> None:
        """Take the residual blocks of a classifier, all but its head: they know speech."""
        blocks = classifier.network.state_dict()
        head = {name for name in blocks if name.startswith("head.")}
        own = self.network.state_dict()
        self.network.load_state_dict(
            {name: own[name] if name in head else value for name, value in blocks.items()}
        )

    def forward(self, waveforms: Tensor) -> Tensor:
        """Latents (batch, latent_dim) of waveforms (batch, channels, num_samples)."""
        latents: Tensor = self.network(self.spectrogram(waveforms.mean(1)))
        return latents
