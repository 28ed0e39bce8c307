"""WaveGAN: latents to waveforms by one-dimensional convolutions, and its discriminator."""

from typing import ClassVar

from torch import Tensor, nn

from audiate.models.code_network import WordCodeNetwork
from audiate.models.configs import WAVEGAN_STRIDES, WaveGANConfig
from audiate.models.gan_layers import Architecture
from audiate.models.generator import AudioGAN
from audiate.models.polyphase import DownConv1d, UpConv1d


class WaveGAN(AudioGAN):
    """Generator and discriminator of Donahue et al. 2019, "Adversarial Audio Synthesis", table 3.

    At `dim` 64 and 16,384 samples they have 19,065,345 and 17,427,969 parameters. Padding is that
    of TensorFlow, "same", so that published weights can be imported; initial weights are drawn as
    there, too (Glorot and Bengio 2010), and biases are 0.
    """

    model_type: ClassVar[str] = "wavegan"
    config_class: ClassVar[type] = WaveGANConfig

    def __init__(self, config: WaveGANConfig | None = None) -> None:
        config = config or WaveGANConfig()
        super().__init__(config)
        strides = WAVEGAN_STRIDES[config.num_samples]
        widths = [config.dim << power for power in range(len(strides))]
        shuffle = config.phase_shuffle
        self._build(
            Architecture(
                config, widths, UpConv1d, DownConv1d, strides, nn.BatchNorm1d, (16,), shuffle
            )
        )

    def analyse(self, waveforms: Tensor) -> Tensor:
        """The waveforms themselves, which the discriminator takes as they are."""
        return waveforms

    def word_power(self, draft: Tensor) -> Tensor:
        """Mel power (batch, bands, frames) of waveforms (batch, channels, num_samples)."""
        assert isinstance(self.code_network, WordCodeNetwork)
        return self.code_network.power(draft)

    def render(self, draft: Tensor, *, through_phases: bool = True) -> Tensor:  # noqa: ARG002
        """The draft itself, which consists of waveforms already."""
        return draft
