"""The encoder of GAN inversion: ResNet-18 from a spectrogram to a generator's latent."""

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
        """Describe inputs and outputs in a few words."""
        return f"{self.config.num_samples:,} samples → latent {self.config.latent_dim}"

    def start_from(self, classifier: DigitClassifier) -> None:
        """Take the residual blocks of a classifier, all but its head."""
        weights = classifier.network.state_dict()
        blocks = {name: weights[name] for name in weights if not name.startswith("head.")}
        self.network.load_state_dict(blocks, strict=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Latents (batch, latent_dim) of waveforms (batch, channels, num_samples)."""
        latents: Tensor = self.network(self.spectrogram(waveforms.mean(1)))
        return latents
