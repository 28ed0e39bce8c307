"""Count the digits, and the sounds that are no digits, that a model refuses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from audiate.audio.files import is_silent, load_audio
from audiate.data.digits import load_validation_words
from audiate.data.sounds import find_sounds
from audiate.data.sources import DIGIT_WORDS
from audiate.errors import InputError
from audiate.metrics.classification import bootstrap_interval, in_percent
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.utils.batching import in_batches
from audiate.utils.progress import note, tracked, working
from audiate.utils.reports import Report, make_table

_MOST = 100  # clips of each kind
_MADE = 30  # sounds of each kind that is computed


@dataclass(frozen=True)
class Refused:
    """Clips of one kind, and the share of them that is refused, with its 95 % interval."""

    clips: int
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class RefusalReport(Report):
    """Shares of digits and of other sounds that a model refuses.

    Attributes:
        model: Name of the model.
        digits: Refused digits of held-out speakers, with an interval over speakers.
        others: All other sounds together.
        kinds: Other sounds by their kind.

    """

    model: str
    digits: Refused
    others: Refused
    kinds: Mapping[str, Refused]

    def parts(self) -> Iterator[Table | str]:
        """Return a table with a row for each kind."""
        table = make_table(f"{self.model}: refused clips (%)", "sounds", "clips", "refused")
        rows = {"digits": self.digits, "no digits": self.others}
        for name, row in (rows | {f"  {kind}": row for kind, row in self.kinds.items()}).items():
            table.add_row(name, str(row.clips), in_percent(row.share, row.interval, 1))
        yield table
        yield (
            f"Digits are Speech Commands validation clips for reports; of other sounds, noise and "
            f"chords are computed, {_MADE} each, backwards are these digits from their end on, and "
            f"beginnings are their first parts alone, with a third of their energy. Intervals are "
            f"of 95 %."
        )


def evaluate_refusal(
    name: str, model: AudioToImageModel, root: Path, others: Path | None = None
) -> RefusalReport:
    """Count the clips that are refused: those with a digit score below 0.

    Digits are the Speech Commands validation clips for reports. Noise, chords, the digits played
    backwards, and their beginnings alone are other sounds.

    Args:
        name: Name of the model, for the report.
        model: The model.
        root: Data folder.
        others: Folder with a folder of further sounds for each kind, of which those that are named
            as a digit are left out. Of each kind, at most 100 clips are taken.

    Raises:
        InputError: The model has no digit score, or data is missing or damaged.

    """
    if not getattr(model.config, "digit_score", False):
        raise InputError(f"{name}: has no digit scores; {DEFAULT_AUDIO_TO_IMAGE} has them")
    rate = model.features.config.sample_rate
    with working("reading validation clips"):
        words = load_validation_words(root, rate, "reports")
    kinds = _made(words.recordings, rate) | ({} if others is None else _read(others, rate))
    digits = _refused(model, words.recordings)
    found = {kind: _refused(model, sounds) for kind, sounds in kinds.items()}
    return RefusalReport(
        name,
        _rate(digits, words.voices),
        _rate(torch.cat(list(found.values()))),
        {kind: _rate(each) for kind, each in found.items()},
    )


def _read(folder: Path, rate: int) -> dict[str, list[Tensor]]:
    """Sounds by the name of their folder."""
    kinds = sorted(path for path in folder.glob("*") if path.is_dir())
    kinds = [path for path in kinds if path.name not in DIGIT_WORDS]
    if not kinds:
        raise InputError(
            f"`others` {folder}: holds no folder of sounds for each kind; name another"
        )
    sounds = {}
    for kind in tracked(kinds, "reading other sounds"):
        sounds[kind.name] = list(_readable(kind, rate))
    return {kind: each for kind, each in sounds.items() if each}


def _readable(kind: Path, rate: int) -> Iterator[Tensor]:
    """The sounds of a folder; those that cannot be used are named, and left out."""
    try:
        paths = find_sounds(kind)[:_MOST]
    except InputError as error:
        note(str(error))
        return
    for path in paths:
        try:
            waveform = load_audio(path, rate)[0]
        except InputError as error:
            note(str(error))
            continue
        if not is_silent(waveform):
            yield waveform


def _made(digits: Sequence[Tensor], rate: int) -> dict[str, list[Tensor]]:
    """Noise, chords, digits played backwards, and beginnings of digits."""
    random = torch.Generator().manual_seed(0)
    seconds = torch.arange(round(0.7 * rate)) / rate

    def chord() -> Tensor:
        lowest = 100 * 4 ** torch.rand(1, generator=random)
        notes = lowest * 2 ** (torch.tensor([0.0, 4.0, 7.0]) / 12)
        overtones = (notes[:, None] * torch.arange(1, 6)).flatten()
        waves = torch.sin(2 * torch.pi * overtones[:, None] * seconds)
        return (waves / overtones[:, None]).sum(0) * lowest / 8 * (-2 * seconds).exp()

    noise = [0.1 * torch.randn(len(seconds), generator=random) for _ in range(_MADE)]
    return {
        "noise": noise,
        "chords": [chord() for _ in range(_MADE)],
        "backwards": [each.flip(0) for each in digits],
        "beginnings": [_beginning(each) for each in digits],
    }


def _beginning(digit: Tensor) -> Tensor:
    """Return the beginning of a clip, which holds a third of its energy."""
    passed = digit.double().square().cumsum(0)
    return digit[: int(torch.searchsorted(passed, passed[-1] / 3)) + 1]


@torch.inference_mode()
def _refused(model: AudioToImageModel, sounds: Sequence[Tensor]) -> Tensor:
    """Whether each of the waveforms (samples,) is refused: (count,)."""

    def scores(part: Tensor) -> Tensor:
        found = model.digit_scores(part)
        assert found is not None
        return found

    return in_batches(scores, model.features.many(sounds), 100, "scoring", model.device) < 0


def _rate(refused: Tensor, groups: Tensor | None = None) -> Refused:
    groups = torch.arange(len(refused)) if groups is None else groups
    share = refused.double().mean().item()
    return Refused(len(refused), share, bootstrap_interval(refused, groups))
