"""What an inversion minimises: how far what was given back is from what was given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.models import DigitClassifier
from audiate.models.resnet import BLOCKS
from audiate.spectra import Spectrogram

RESIDUAL_BLOCKS = BLOCKS[1:]

_FLOOR_DB = 80.0


class Term(ABC):
    """A distance between clips, by features that are computed of each clip by itself.

    So those of a target are computed once, however often it is compared.
    """

    @abstractmethod
    def features(self, waveforms: Tensor) -> list[Tensor]:
        """What is compared of waveforms (batch, channels, samples); tensors (batch, ...)."""

    @abstractmethod
    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Distances (batch,) of what `features` gave, at least 0."""


class WaveformTerm(Term):
    """Mean absolute difference of samples."""

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """The samples."""
        return [waveforms.float()]

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """(batch,)."""
        return (output[0] - target[0]).abs().flatten(1).mean(1)


class SpectrogramTerm(Term):
    """Mean absolute difference of the real parts of spectrograms.

    Keyes et al. 2020, equation 1; the real part alone, as in their programs.
    """

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """The spectrograms."""
        return [Spectrogram("real").to(waveforms.device)(waveforms.flatten(0, 1))]

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """(batch,)."""
        return (output[0] - target[0]).abs().mean((1, 2))


class LevelTerm(Term):
    """Mean absolute difference of levels in decibels, at several resolutions, over 80 dB.

    Levels are of frames of 256, 512, 1,024 and 2,048 samples, a quarter of a frame apart; what is
    more than 80 dB below the loudest of the target's clip counts as silent. It hears what is said
    however faint, and no phases.
    """

    frame_lengths = (256, 512, 1024, 2048)

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """Power at each resolution, with the channels in a row."""
        mono = waveforms.float()
        found = []
        for length in self.frame_lengths:
            window = torch.hann_window(length, device=mono.device)
            spectra = torch.stft(
                mono.flatten(0, 1),
                length,
                length // 4,
                window=window,
                pad_mode="constant",
                return_complex=True,
            )
            power = spectra.real.square() + spectra.imag.square()
            found.append(power.view(len(mono), -1, power.shape[-1]))
        return found

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """(batch,)."""
        distances = []
        for own, wanted in zip(output, target, strict=True):
            floor = wanted.amax((1, 2), keepdim=True) * 10 ** (-_FLOOR_DB / 10) + 1e-12
            levels = [10 * (power + floor).log10() for power in (own, wanted)]
            distances.append((levels[0] - levels[1]).abs().mean((1, 2)) / _FLOOR_DB)
        return torch.stack(distances).mean(0)


class PerceptualTerm(Term):
    """Mean squared difference of a judge's activations, over the target's mean square.

    Averaged over blocks (Keyes et al. 2020, section 3.2.1, where blocks are not brought to one
    scale).
    """

    def __init__(self, judge: DigitClassifier, blocks: Collection[str] = RESIDUAL_BLOCKS) -> None:
        """Compare what ``judge`` sees.

        Args:
            judge: It hears clips of its own sample rate; shorter ones are padded with zeros.
            blocks: Names, of `audiate.models.resnet.BLOCKS`.

        Raises:
            InputError: No blocks, or one of no such name.

        """
        unknown = sorted(set(blocks) - set(BLOCKS))
        if unknown or not blocks:
            raise InputError(
                f"blocks {', '.join(unknown) or 'none'}: give any of {', '.join(BLOCKS)}"
            )
        self.judge = judge
        self.blocks = tuple(name for name in BLOCKS if name in set(blocks))

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """Activations of each block."""
        return list(self.judge.activations(waveforms, self.blocks).values())

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """(batch,)."""
        distances = []
        for own, wanted in zip(output, target, strict=True):
            size = wanted.float().square().flatten(1).mean(1).clamp_min(1e-8)
            distances.append((own.float() - wanted.float()).square().flatten(1).mean(1) / size)
        return torch.stack(distances).mean(0)


class Objective:
    """A weighted sum of terms: a loss (batch,) of what was given back and what was given."""

    def __init__(self, terms: Mapping[str, tuple[float, Term]]) -> None:
        """Take terms by name, each with its weight.

        Raises:
            InputError: None, or a weight that is negative.

        """
        if not terms:
            raise InputError("an objective needs a term")
        for name, (weight, _) in terms.items():
            check_range(f"weight of {name}", weight, 0, 1e9)
        self.terms = dict(terms)

    def features(self, waveforms: Tensor) -> dict[str, list[Tensor]]:
        """What is compared of waveforms (batch, channels, samples), by the name of the term."""
        return {name: term.features(waveforms) for name, (_, term) in self.terms.items()}

    def distances(
        self, output: Mapping[str, Sequence[Tensor]], target: Mapping[str, Sequence[Tensor]]
    ) -> dict[str, Tensor]:
        """Each term (batch,), unweighted."""
        return {
            name: term.distance(output[name], target[name])
            for name, (_, term) in self.terms.items()
        }

    def compare(
        self, output: Mapping[str, Sequence[Tensor]], target: Mapping[str, Sequence[Tensor]]
    ) -> Tensor:
        """Losses (batch,) of `features`."""
        distances = self.distances(output, target)
        return sum(
            (weight * distances[name] for name, (weight, _) in self.terms.items()),
            start=torch.zeros(()),
        )

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Losses (batch,) of waveforms (batch, channels, samples)."""
        return self.compare(self.features(output), self.features(target))
