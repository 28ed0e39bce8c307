"""Terms of training objectives. Each returns one value per item of the batch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.audio.spectrograms import wide_mel_filters
from audiate.audio.stft import FourierModule, full_precision


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """``KL(N(mu, exp(logvar)) || N(0, 1))`` in nats, summed over latent dimensions.

    Kingma & Welling 2014, appendix B. ``mu`` and ``logvar``: (batch, latent_dim) → (batch,).
    """
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(-1)


def bernoulli_nll(logits: Tensor, images: Tensor) -> Tensor:
    """Negative log-likelihood in nats of images in [0, 1], summed over pixels.

    ``logits`` and ``images``: (batch, height, width) → (batch,).
    """
    return F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)


def non_saturating_loss(drawn: Tensor) -> Tensor:
    """The generator's loss, -log D(G(z)), in nats.

    Goodfellow et al. 2014, section 3. ``drawn``: the discriminator's logits (batch,) → (batch,).
    """
    return F.softplus(-drawn)


def discriminator_loss(real: Tensor, drawn: Tensor) -> Tensor:
    """The discriminator's loss, -log D(x) - log(1 - D(G(z))), in nats.

    Goodfellow et al. 2014, equation 1.

    ``real`` and ``drawn``: logits (batch,) → (batch,).
    """
    return F.softplus(-real) + F.softplus(drawn)


def r1_penalty(scores: Tensor, real: Tensor) -> Tensor:
    """``|grad D(x)|²`` at real samples: ``scores`` (batch,) of ``real`` (batch, ...) → (batch,).

    Mescheder et al. 2018, equation 9, without the factor gamma / 2. ``real`` must require
    gradients; so will the result, of the discriminator's parameters.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)


def gradient_penalty(scores: Tensor, between: Tensor) -> Tensor:
    """``(|grad D(x)| - 1)²`` at points between real and drawn samples, (batch,) → (batch,).

    Gulrajani et al. 2017, equation 3, without the factor lambda. ``between`` as `r1_penalty`'s
    ``real``.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    # The square root of 0 has no derivative.
    norm = gradient.float().square().flatten(1).sum(1).add(1e-12).sqrt()
    return (norm - 1).square()


class LogMelDistance(nn.Module):
    """Mean absolute difference of the logarithms of power in mel bands, at several resolutions.

    The frames have 2,048 to 128 samples and overlap by three quarters. Of those of 512 samples, the
    single bins are compared, too. Power 90 dB below that of a sine of full scale counts as that.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            _Levels(sample_rate, length, bins=length == 512)
            for length in (2_048, 1_024, 512, 256, 128)
        )

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The distance, a scalar in nepers, of waveforms (batch, samples)."""
        total = torch.zeros((), device=output.device)
        for levels in self.levels:
            with torch.no_grad():
                meant = levels(target)
            pairs = zip(levels(output), meant, strict=True)
            total = total + torch.stack([F.l1_loss(*pair) for pair in pairs]).sum()
        return total / len(self.levels)


class _Levels(FourierModule):
    """Logarithms of the power of frames, in mel bands and perhaps in bins."""

    filters: Tensor

    def __init__(self, sample_rate: int, length: int, *, bins: bool) -> None:
        super().__init__(length, length // 4)
        filters = wide_mel_filters(sample_rate, length, min(128, length // 4))
        self.register_buffer("filters", filters, persistent=False)
        self._bins = bins

    @full_precision
    def forward(self, waveforms: Tensor) -> list[Tensor]:
        power = self.parts(waveforms).power() * (4 / self.n_fft) ** 2
        kinds = [self.filters @ power, power] if self._bins else [self.filters @ power]
        return [(kind + 1e-9).log() for kind in kinds]
