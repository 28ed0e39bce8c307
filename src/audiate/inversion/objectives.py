"""Objectives of GAN inversion: distances of the generator's output from the target."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.audio.config import SpectrogramKind
from audiate.audio.spectrograms import Spectrogram, decibels
from audiate.audio.stft import hann_window, spectrum_parts
from audiate.errors import InputError, check_range
from audiate.inversion.settings import ObjectiveName
from audiate.metrics.reconstruction import structural_similarity
from audiate.models.resnet import BLOCKS, DigitClassifier

_FLOOR_DB = 80.0
_SECOND_STAGE = "block4"


class Term(nn.Module):
    """A distance between clips by features that are computed of each clip alone.

    So the features of a target are computed once, however often it is compared. Windows and
    networks move with ``.to(device)``.
    """

    @abstractmethod
    def features(self, waveforms: Tensor) -> list[Tensor]:
        """Compute the features of waveforms (batch, channels, samples): tensors (batch, ...)."""

    @abstractmethod
    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Distances (batch,), at least 0, between features of two batches of clips."""


class WaveformTerm(Term):
    """Mean absolute difference of samples."""

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """The samples themselves."""
        return [waveforms.float()]

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Distances (batch,); arguments as of `Term.distance`."""
        return (output[0] - target[0]).abs().flatten(1).mean(1)


class SpectrogramTerm(Term):
    """Mean absolute difference of the real parts of spectrograms (Keyes et al. 2020, equation 1).

    Only the real part is compared, as in that paper's programs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spectrogram = Spectrogram("real")

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """The spectrograms, (batch, channels, frames, bins)."""
        return [self.spectrogram(waveforms.flatten(0, 1)).unflatten(0, waveforms.shape[:2])]

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Distances (batch,); arguments as of `Term.distance`."""
        return (output[0] - target[0]).abs().mean((1, 2, 3))


class LevelTerm(Term):
    """Mean absolute difference of levels in decibels, at several resolutions, over 80 dB.

    Frames have 256, 512, 1,024 and 2,048 samples and are a quarter of a frame apart. Power more
    than 80 dB below the peak of the target counts as silence. Faint parts of a word count as much
    as loud ones, and phases have no effect.
    """

    n_ffts = (256, 512, 1024, 2048)

    def __init__(self) -> None:
        super().__init__()
        for n_fft in self.n_ffts:
            self.register_buffer(f"window{n_fft}", hann_window(n_fft), persistent=False)

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """Power at each resolution, (batch, channels · bins, frames)."""
        found = []
        for n_fft in self.n_ffts:
            window = self.get_buffer(f"window{n_fft}")
            power = spectrum_parts(waveforms.flatten(0, 1), window, n_fft // 4).power()
            found.append(power.reshape(len(waveforms), -1, power.shape[-1]))
        return found

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Distances (batch,); arguments as of `Term.distance`."""
        distances = []
        for own, other in zip(output, target, strict=True):
            floor = other.amax((1, 2), keepdim=True) * 10 ** (-_FLOOR_DB / 10) + 1e-12
            levels = [decibels(power + floor) for power in (own, other)]
            distances.append((levels[0] - levels[1]).abs().mean((1, 2)) / _FLOOR_DB)
        return torch.stack(distances).mean(0)


class StructureTerm(Term):
    """Structural difference of spectrograms: 1 - SSIM (Wang et al. 2004)."""

    def __init__(self, kind: SpectrogramKind = "log") -> None:
        """Set up the term.

        Args:
            kind: Kind of spectrogram. ``log``: levels from -80 to 0 dB below the peak. ``real``:
                the real part, over the range of each pair, as Keyes et al. 2020 have it.

        """
        super().__init__()
        self.spectrogram = Spectrogram(kind)

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """The spectrograms of the mean over channels, (batch, frames, bins)."""
        return [self.spectrogram(waveforms.mean(1))]

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Distances (batch,); arguments as of `Term.distance`."""
        span = 1.0 if self.spectrogram.kind == "log" else None
        return 1 - structural_similarity(output[0], target[0], span)


class PerceptualTerm(Term):
    """Difference of a classifier's activations (Keyes et al. 2020, section 3.2.1), over blocks.

    It is the mean squared difference of a block divided by the mean square of the target's
    activations, as blocks have different scales; or, unless ``normalised``, the mean absolute
    difference, as in that paper's programs.
    """

    def __init__(
        self,
        classifier: DigitClassifier,
        sample_rate: int,
        blocks: Collection[str] = BLOCKS[1:],
        *,
        normalised: bool = True,
    ) -> None:
        """Set up the term.

        Args:
            classifier: Classifier of spoken digits. Clips shorter than its own are put in the
                middle of zeros, and channels are averaged.
            sample_rate: Sample rate of the clips, in Hz.
            blocks: Names of the blocks to compare, out of `audiate.models.resnet.BLOCKS`; by
                default the residual ones.
            normalised: Whether blocks are brought to one scale. Otherwise differences are absolute.

        Raises:
            InputError: The classifier takes another sample rate, ``blocks`` is empty, or there is
                no block of a name.

        """
        super().__init__()
        if sample_rate != classifier.sample_rate:
            raise InputError(
                f"the classifier takes {classifier.sample_rate:,} Hz, and the clips have "
                f"{sample_rate:,} Hz: do without it (`classifier=none`; when training, "
                f"`perceptual_weight=0`)"
            )
        unknown = sorted(set(blocks) - set(BLOCKS))
        if unknown or not blocks:
            raise InputError(
                f"blocks {', '.join(unknown) or 'none'}: give any of {', '.join(BLOCKS)}"
            )
        self.classifier = classifier
        self.blocks = tuple(name for name in BLOCKS if name in blocks)
        self.normalised = normalised

    def features(self, waveforms: Tensor) -> list[Tensor]:
        """Activations (batch, channels, height, width) of each block."""
        missing = max(self.classifier.num_samples - waveforms.shape[-1], 0)
        padded = F.pad(waveforms, (missing // 2, missing - missing // 2))
        return list(self.classifier.activations(padded, self.blocks).values())

    def logits(self, features: Sequence[Tensor]) -> Tensor | None:
        """The classifier's logits (batch, 10) by `features`; None without the last block."""
        if self.blocks[-1] != BLOCKS[-1]:
            return None
        return self.classifier.classify(features[-1].mean((2, 3)))

    def distance(self, output: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
        """Distances (batch,); arguments as of `Term.distance`."""
        distances = []
        for own, other in zip(output, target, strict=True):
            own, other = own.float().flatten(1), other.float().flatten(1)
            if self.normalised:
                power = other.square().mean(1).clamp_min(1e-8)
                distances.append((own - other).square().mean(1) / power)
            else:
                distances.append((own - other).abs().mean(1))
        return torch.stack(distances).mean(0)


class Objective(nn.Module):
    """A weighted sum of terms, as a loss (batch,) of waveforms against their targets."""

    def __init__(self, terms: Mapping[str, tuple[float, Term]]) -> None:
        """Set up the sum of ``terms``, each a weight and a `Term` by the term's name.

        Raises:
            InputError: There is no term, or a weight is negative.

        """
        super().__init__()
        if not terms:
            raise InputError("an objective needs a term")
        for name, (weight, _) in terms.items():
            check_range(f"weight of {name}", weight, 0, 1e9)
        self.weights = {name: weight for name, (weight, _) in terms.items()}
        self._terms = nn.ModuleDict({name: term for name, (_, term) in terms.items()})

    @property
    def terms(self) -> dict[str, Term]:
        """The terms by name."""
        return dict(self._terms.items())  # type: ignore[arg-type]

    def features(self, waveforms: Tensor) -> dict[str, list[Tensor]]:
        """Compute the features of waveforms (batch, channels, samples), by the term's name."""
        return {name: term.features(waveforms) for name, term in self.terms.items()}

    def compare(
        self, output: Mapping[str, Sequence[Tensor]], target: Mapping[str, Sequence[Tensor]]
    ) -> Tensor:
        """Losses (batch,) between features of two batches of clips."""
        losses = torch.zeros(())
        for name, term in self.terms.items():
            losses = losses + self.weights[name] * term.distance(output[name], target[name])
        return losses

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Losses (batch,) of waveforms against targets, (batch, channels, samples) each."""
        return self.compare(self.features(output), self.features(target))


def plain_objective() -> Objective:
    """The paper's objective, a `SpectrogramTerm` alone (Keyes et al. 2020, equation 1)."""
    return Objective({"spectrogram": (1.0, SpectrogramTerm())})


def paper_objective(classifier: DigitClassifier, sample_rate: int) -> Objective:
    """The objective of the paper's programs: spectrogram, waveform, 0.002 of the perceptual term.

    Activations are those after the classifier's second stage, its fourth block.

    Args:
        classifier: A classifier of spoken digits, whose activations are compared.
        sample_rate: Sample rate of the clips in Hz, which is also the classifier's.

    """
    perceptual = PerceptualTerm(classifier, sample_rate, (_SECOND_STAGE,), normalised=False)
    return Objective(
        {
            "spectrogram": (1.0, SpectrogramTerm()),
            "waveform": (1.0, WaveformTerm()),
            "perceptual": (0.002, perceptual),
        }
    )


def speech_objective(classifier: DigitClassifier | None, sample_rate: int) -> Objective:
    """Our objective, which also compares what is said, so that words survive.

    Spectrograms alone depend on phases, and are best matched by something quiet that says nothing.
    Therefore levels, the structure of both, and activations of a classifier are compared as well.

    Args:
        classifier: A classifier of spoken digits; None to compare levels and structure alone.
        sample_rate: Sample rate of the clips in Hz, which is also the classifier's.

    """
    terms: dict[str, tuple[float, Term]] = {
        "spectrogram": (1.0, SpectrogramTerm()),
        "levels": (3.0, LevelTerm()),
        "structure": (5.0, StructureTerm("real")),
        "level_structure": (1.0, StructureTerm("log")),
    }
    return Objective(terms | _perceptual(classifier, sample_rate))


def level_objective(classifier: DigitClassifier | None, sample_rate: int) -> Objective:
    """An objective for recordings, on which phases have no effect.

    A generator can say a word of a recording again, but never with the same phases. Terms that
    depend on them then pull away from the word: from the nearest of 3,000 latents, L-BFGS on
    `speech_objective` lowers the share of words that a recogniser other than ``classifier``
    recognises, and L-BFGS on this one does not.

    Args:
        classifier: As for `speech_objective`.
        sample_rate: As for `speech_objective`.

    """
    terms: dict[str, tuple[float, Term]] = {
        "levels": (3.0, LevelTerm()),
        "level_structure": (1.0, StructureTerm("log")),
    }
    return Objective(terms | _perceptual(classifier, sample_rate))


def _perceptual(
    classifier: DigitClassifier | None, sample_rate: int
) -> dict[str, tuple[float, Term]]:
    """The perceptual term of our objectives; nothing without a classifier."""
    if classifier is None:
        return {}
    return {"perceptual": (0.3, PerceptualTerm(classifier, sample_rate))}


def objective_named(
    name: ObjectiveName, classifier: DigitClassifier | None, sample_rate: int
) -> Objective:
    """Return the objective of that name.

    Raises:
        InputError: There is no such name, or the objective needs a classifier and has none.

    """
    ours = {"speech": speech_objective, "levels": level_objective}
    if name == "plain":
        return plain_objective()
    if name in ours:
        return ours[name](classifier, sample_rate)
    if name != "paper":
        raise InputError(f"`objective` {name}: give speech, levels, paper or plain")
    if classifier is None:
        raise InputError(
            "`objective=paper`: needs a classifier of the generator's sample rate; give "
            "`classifier`, or `objective=plain`"
        )
    return paper_objective(classifier, sample_rate)
