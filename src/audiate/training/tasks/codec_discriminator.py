"""Discriminators of sounds by their spectrograms, at several resolutions."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from audiate.audio.stft import FourierModule, full_precision

_WIDTH = 24


class SpectrogramDiscriminators(nn.Module):
    """Networks that tell real sounds from made ones by the levels of their spectrograms.

    Jang et al. 2021 call this multi-resolution. Levels have no phases: those of a source and a
    filter are never those of a recording.
    """

    def __init__(self) -> None:
        super().__init__()
        self.networks = nn.ModuleList(_Discriminator(length) for length in (1_024, 512, 256))

    def loss(self, real: Tensor, made: Tensor) -> Tensor:
        """The discriminators' hinge loss (Lim and Ye 2017) of waveforms (batch, samples)."""
        each = [
            (F.relu(1 - network(real)[-1]) + F.relu(1 + network(made)[-1])).mean()
            for network in self.networks
        ]
        return torch.stack(each).mean()

    def for_generator(self, real: Tensor, made: Tensor) -> Mapping[str, Tensor]:
        """The losses of what has made the sounds: `adversarial`, and `features`, their distance."""
        adversarial, distances = [], []
        for network in self.networks:
            with torch.no_grad():
                *meant, _ = network(real)
            *found, scores = network(made)
            adversarial.append(-scores.mean())
            distances += [
                F.l1_loss(one, other) / other.abs().mean().clamp_min(1e-3)
                for one, other in zip(found, meant, strict=True)
            ]
        return {
            "adversarial": torch.stack(adversarial).mean(),
            "features": torch.stack(distances).mean(),
        }


class _Discriminator(FourierModule):
    """Convolutions over the levels of frames that overlap by three quarters."""

    def __init__(self, length: int) -> None:
        super().__init__(length, length // 4)
        shapes = [(1, (3, 9), (1, 2)), *[(_WIDTH, (3, 9), (1, 2))] * 2, (_WIDTH, (3, 5), (2, 2))]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(inputs, _WIDTH, kernel, stride, (1, kernel[1] // 2)))
            for inputs, kernel, stride in shapes
        )
        self.last = weight_norm(nn.Conv2d(_WIDTH, 1, 3, padding=1))

    @full_precision
    def _levels(self, waveforms: Tensor) -> Tensor:
        power = self.parts(waveforms).power() * (4 / self.n_fft) ** 2
        return ((power + 1e-9).log() / 4 + 2).transpose(1, 2).unsqueeze(1)

    def forward(self, waveforms: Tensor) -> list[Tensor]:
        """The outputs of all layers, of which the last are the scores, for (batch, samples)."""
        hidden = self._levels(waveforms).contiguous(memory_format=torch.channels_last)
        outputs = []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), 0.1)
            outputs.append(hidden.float())
        return [*outputs, self.last(hidden).float()]
