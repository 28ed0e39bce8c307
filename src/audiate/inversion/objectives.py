"""What an inversion minimises: how far what was given back is from what was given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.errors import InputError, check_range
from audiate.metrics import structural_similarity
from audiate.models import DigitClassifier
from audiate.models.resnet import BLOCKS
from audiate.spectra import Spectrogram, SpectrogramKind

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
        """The spectrograms, (batch, channels, frames, bins)."""
        see = Spectrogram("real").to(waveforms.device)
        return [see(waveforms.flatten(0, 1)).unflatten(0, waveforms.shape[:2])]

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """(batch,)."""
        return (output[0] - target[0]).abs().mean((1, 2, 3))


class LevelTerm(Term):
    """Mean absolute difference of levels in decibels, at several resolutions, over 80 dB.

    Levels are of frames of 256, 512, 1,024 and 2,048 samples, a quarter of a frame apart; what is
    more than 80 dB below the loudest of the target's clip counts as silent. It hears what is said
    however faint, and no phases.
    """

    frame_lengths = (256, 512, 1024, 2048)

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """Power at each resolution, (batch, channels · bins, frames)."""
        sound = waveforms.float()
        found = []
        for length in self.frame_lengths:
            window = torch.hann_window(length, device=sound.device)
            spectra = torch.stft(
                sound.flatten(0, 1),
                length,
                length // 4,
                window=window,
                pad_mode="constant",
                return_complex=True,
            )
            power = spectra.real.square() + spectra.imag.square()
            found.append(power.reshape(len(sound), -1, power.shape[-1]))
        return found

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """(batch,)."""
        distances = []
        for own, wanted in zip(output, target, strict=True):
            floor = wanted.amax((1, 2), keepdim=True) * 10 ** (-_FLOOR_DB / 10) + 1e-12
            levels = [10 * (power + floor).log10() for power in (own, wanted)]
            distances.append((levels[0] - levels[1]).abs().mean((1, 2)) / _FLOOR_DB)
        return torch.stack(distances).mean(0)


class StructureTerm(Term):
    """How far spectrograms are from being structured alike: 1 - SSIM (Wang et al. 2004)."""

    def __init__(self, kind: SpectrogramKind = "log") -> None:
        """Compare spectrograms of a kind.

        Args:
            kind: ``log``: levels from -80 to 0 dB below the peak. ``real``: the real part, over
                the range of each pair, as Keyes et al. 2020 have it.

        """
        self.kind = kind

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """The spectrograms of the mean over channels, (batch, frames, bins)."""
        return [Spectrogram(self.kind).to(waveforms.device)(waveforms.mean(1))]

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """(batch,)."""
        span = 1.0 if self.kind == "log" else None
        return 1 - structural_similarity(output[0], target[0], span)


class PerceptualTerm(Term):
    """Mean squared difference of a judge's activations, averaged over blocks.

    Keyes et al. 2020, section 3.2.1. Here, unless it is not ``normalised``, that of each block is
    divided by the mean square of the target's, as blocks are of different scales.
    """

    def __init__(
        self,
        judge: DigitClassifier,
        sample_rate: int,
        blocks: Collection[str] = RESIDUAL_BLOCKS,
        *,
        normalised: bool = True,
    ) -> None:
        """Compare what ``judge`` hears.

        Args:
            judge: Clips shorter than its own are put in the middle of zeros; of several channels
                it hears the mean.
            sample_rate: Of the clips, in Hz.
            blocks: Names, of `audiate.models.resnet.BLOCKS`.
            normalised: See above; False is the paper's.

        Raises:
            InputError: The judge hears another rate, or no blocks, or one of no such name.

        """
        if sample_rate != judge.sample_rate:
            raise InputError(
                f"the judge hears {judge.sample_rate:,} Hz, and the clips have {sample_rate:,} "
                f"Hz: do without it (--judge none; when training, --perceptual-weight 0)"
            )
        unknown = sorted(set(blocks) - set(BLOCKS))
        if unknown or not blocks:
            raise InputError(
                f"blocks {', '.join(unknown) or 'none'}: give any of {', '.join(BLOCKS)}"
            )
        self.judge = judge
        self.blocks = tuple(name for name in BLOCKS if name in set(blocks))
        self.normalised = normalised

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """Activations of each block."""
        missing = max(self.judge.num_samples - waveforms.shape[-1], 0)
        heard = F.pad(waveforms, (missing // 2, missing - missing // 2))
        return list(self.judge.activations(heard, self.blocks).values())

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """(batch,)."""
        distances = []
        for own, wanted in zip(output, target, strict=True):
            distance = (own.float() - wanted.float()).square().flatten(1).mean(1)
            if self.normalised:
                distance = distance / wanted.float().square().flatten(1).mean(1).clamp_min(1e-8)
            distances.append(distance)
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


def plain_objective() -> Objective:
    """The paper's: mean absolute difference of spectrograms (Keyes et al. 2020, equation 1)."""
    return Objective({"spectrogram": (1.0, SpectrogramTerm())})
