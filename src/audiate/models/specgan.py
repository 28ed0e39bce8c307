"""SpecGAN: latents to log-spectrograms by two-dimensional convolutions, and back to waveforms."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.audio.spectrograms import wide_mel_filters
from audiate.audio.stft import ShortTimeTransform, full_precision
from audiate.models.configs import SpecGANConfig
from audiate.models.gan_layers import Architecture
from audiate.models.generator import AudioGAN

_RANGE = 3.0  # number of deviations about the mean that are mapped to [-1, 1]
_UPDATES = 8  # number of updates of the power in bins
_FLOOR = 1e-8  # power: -80 dB of a sine of full scale
_PUBLISHED_FLOOR = 1e-6  # magnitude


class SpecGAN(AudioGAN):
    """Donahue et al. 2019, "Adversarial Audio Synthesis", section 3.2, and a lighter variant.

    The networks make log-magnitude spectrograms. Each band is brought to mean 0 and deviation 1
    over the train clips, cut off at three deviations and scaled to [-1, 1]; `mean` and `deviation`
    (bands,), in natural logarithms of power, are kept with the weights. Phases are found by the
    algorithm of Griffin and Lim, so the way from z to the waveform is differentiable.

    With ``bands="published"`` the spectrograms are the paper's: logarithms of magnitudes, not of
    power, in frames that begin at multiples of the hop, whose phases are found without momentum.

    The default sizes are the paper's: 128 x 128 values of frames of 256 samples; generator and
    discriminator have 19,065,345 and 17,427,969 parameters, as WaveGAN's have.
    """

    model_type: ClassVar[str] = "specgan"
    config_class: ClassVar[type] = SpecGANConfig
    phases_matter: ClassVar[bool] = False
    mean: Tensor
    deviation: Tensor
    filters: Tensor
    spread: Tensor

    def __init__(self, config: SpecGANConfig | None = None) -> None:
        config = config or SpecGANConfig()
        super().__init__(config)
        self.iterations = config.iterations
        widths = [config.dim << power for power in range(config.size.bit_length() - 3)]
        kernels = [config.kernel] * len(widths)
        self._build(
            Architecture(config, widths, UpConv2d, DownConv2d, kernels, nn.BatchNorm2d, (4, 4))
        )
        self._published = config.bands == "published"
        hop_length = config.num_samples // config.size
        self.transform = ShortTimeTransform(
            config.n_fft, hop_length, config.num_samples, first=int(self._published)
        )
        self.register_buffer("mean", torch.full((config.size,), -10.0))
        self.register_buffer("deviation", torch.full((config.size,), 3.0))
        filters, spread = _bands(config)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("spread", spread, persistent=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs

    def analyse(self, waveforms: Tensor) -> Tensor:
        """Spectrograms (batch, channels, frames, bands) in [-1, 1] of waveforms."""
        levels: Tensor = (self.levels(waveforms) - self.mean) / self.deviation
        return (levels / _RANGE).clamp(-1, 1)

    @full_precision
    def levels(self, waveforms: Tensor) -> Tensor:
        """Natural logarithms of power in each band, (batch, channels, size, size).

        With the published bands, they are those of magnitudes.
        """
        power = self.filters @ self.transform.power(waveforms.flatten(0, 1))
        if self._published:
            sizes = (power + 1e-24).sqrt() + _PUBLISHED_FLOOR  # at 0, a root has no derivative
        else:
            # A sine of full scale has a magnitude of a quarter of the frame's length.
            sizes = power * (4 / self.transform.n_fft) ** 2 + _FLOOR
        levels: Tensor = sizes.log().transpose(1, 2)
        return levels.reshape(*waveforms.shape[:2], *levels.shape[1:])

    @full_precision
    def render(self, draft: Tensor, *, through_phases: bool = True) -> Tensor:
        """Make waveforms (batch, channels, num_samples) in [-1, 1] of spectrograms.

        Args:
            draft: Spectrograms (batch, channels, size, size) in [-1, 1], as `analyse` gives them.
            through_phases: As for `audiate.audio.stft.ShortTimeTransform.griffin_lim`.

        """
        power = self._in_bands(draft).flatten(0, 1)
        power = self._in_bins(power) * (self.transform.n_fft / 4) ** 2
        magnitudes = (power + 1e-20).sqrt()
        momentum = 0.0 if self._published else 0.99
        waveforms = self.transform.griffin_lim(
            magnitudes, self.iterations, momentum, through_phases=through_phases
        )
        waveforms = waveforms.view(*draft.shape[:2], -1)
        # Other phases than the original's may add up to a higher peak.
        return waveforms / waveforms.abs().amax((1, 2), keepdim=True).clamp_min(1)

    @full_precision
    def word_power(self, draft: Tensor) -> Tensor:
        """Power in bands (batch, bands, frames) of spectrograms (batch, channels, size, size)."""
        return self._in_bands(draft).mean(1)

    def _in_bands(self, draft: Tensor) -> Tensor:
        """Power (batch, channels, bands, frames), at least 0, of spectrograms."""
        sizes = (draft.float() * _RANGE * self.deviation + self.mean).transpose(2, 3).exp()
        if self._published:
            magnitudes = (sizes - _PUBLISHED_FLOOR).clamp_min(0)
            return (magnitudes * (4 / self.transform.n_fft)).square()
        return (sizes - _FLOOR).clamp_min(0)

    def level_distance(self, draft: Tensor, target: Tensor) -> Tensor:
        """Mean absolute differences (batch,) between drafts and the spectrograms of waveforms.

        They need no phases, whose search takes most of the time of `render`. Arguments are those
        of `AudioGAN.level_distance`.
        """
        return (draft.float() - self.analyse(target)).abs().mean((1, 2, 3))

    def _in_bins(self, power: Tensor) -> Tensor:
        """Find power in bins (batch, bins, frames), at least 0, that gives a power in bands."""
        found = self.spread @ power
        if self.config.bands != "mel":
            return found
        # Multiplicative updates (Richardson 1972; Lee and Seung 2001, equation 5) keep power at
        # least 0, and divide by nothing that may be 0.
        total = self.filters.sum(0).clamp_min(1e-6).unsqueeze(1)
        for _ in range(_UPDATES):
            ratio = power / (self.filters @ found + 1e-12)
            found = found * (self.filters.T @ ratio) / total
        return found


class UpConv2d(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 with TensorFlow's "same" padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, 2, (kernel - 2) // 2)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map (batch, inputs, n, m) to (batch, outputs, 2 n, 2 m)."""
        grown = super().forward(input, output_size)
        return grown[..., : 2 * input.shape[2], : 2 * input.shape[3]]


class DownConv2d(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's "same" padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        before = (kernel - 2) // 2
        super().__init__(inputs, outputs, kernel, 2, before)
        self._after = kernel - 2 - 2 * before

    def forward(self, input: Tensor) -> Tensor:
        """Map (batch, inputs, n, m) to (batch, outputs, n / 2, m / 2)."""
        if self._after:
            input = F.pad(input, (0, self._after, 0, self._after))
        return super().forward(input)


def _bands(config: SpecGANConfig) -> tuple[Tensor, Tensor]:
    """The matrices that map power in bins to power in bands (bands, bins), and back."""
    bins = config.n_fft // 2 + 1
    if config.bands != "mel":
        filters = torch.eye(config.size, bins, device="cpu")
        return filters, filters.T.contiguous()
    filters = wide_mel_filters(config.sample_rate, config.n_fft, config.size)
    # Back: a band's power is spread over its bins, and bins between bands get some of both.
    shares = filters / filters.sum(0).clamp_min(1e-6)
    return filters, (shares / filters.sum(1, keepdim=True)).T.contiguous()
