"""Edit a sound: move its latent until measured attributes reach their targets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiate.audio.files import fit_length
from audiate.audio.spectrograms import levels_of
from audiate.errors import InputError
from audiate.metrics.reconstruction import classifier_input
from audiate.models.generator import Generator, GeneratorModel, device_of, generate
from audiate.models.resnet import DigitClassifier
from audiate.phonetics.directions import Attribute, Direction, attribute_of
from audiate.phonetics.measures import Array
from audiate.utils.plots import save_side_by_side

TOLERANCE = {"pitch": 0.5, "loudness": 1.0, "duration": 0.1}
"""Differences, in the attribute's unit, that count as much as each other in a search."""

_ROUNDS = 6
_SAMPLED = 400  # sounds of the prior to which routes lead
_ROUTES = 5  # of them that are tried, of each kind
_ALONG_ROUTES = (0.3, 0.55, 0.8, 1.0)  # shares of the route to such a sound
_SHARES = (0.25, 0.5, 0.75, 1.0, 1.5)  # of the move that the directions predict
_AROUND = 11  # random neighbours in each round
_WIDTH = 0.25  # of the prior's deviation: how far they lie from the best so far
_WORD_WEIGHT = 2.0  # of a nat of the word's probability
_NEAR_WEIGHT = 0.5  # of the squared distance from the beginning, in prior deviations
_REACHED = 2.0  # costs above this make the search try other routes
_LEARNING = 0.5  # share of what a measured move teaches about the directions
_MOST_STEP = 1.5  # longest predicted move, in lengths of a latent

_CHANGE = {
    "pitch": (re.compile(r"([-+]?\d+(?:\.\d+)?)\s*st"), "+4st or -3st (semitones)"),
    "loudness": (re.compile(r"([-+]?\d+(?:\.\d+)?)\s*dB"), "-6dB or +3dB"),
    "duration": (re.compile(r"(\d+(?:\.\d+)?)"), "1.2 (a ratio)"),
}


def parse_change(attribute: str, text: str) -> float:
    """The change of an attribute, in its unit: ``+4st``, ``-6dB``, or ``1.2`` for a duration.

    Raises:
        InputError: It is no such thing, or beyond four octaves, 60 dB, or a ratio of 16.

    """
    pattern, example = _CHANGE[attribute]
    match = pattern.fullmatch(text.strip())
    value = float(match[1]) if match else float("nan")
    if attribute == "duration":
        value = float(np.log2(value)) if value > 0 else float("nan")
    most = {"pitch": 48, "loudness": 60, "duration": 4}[attribute]
    if abs(value) > most:
        limits = f"{-most} to {most}" if attribute != "duration" else "a ratio of 1/16 to 16"
        raise InputError(f"`{attribute}` {text}: give {limits}, as in {example}")
    if not match or np.isnan(value):
        raise InputError(f"`{attribute}` {text}: give a change as in {example}")
    return value


@dataclass(frozen=True)
class Change:
    """The change of one attribute by an edit; a value is None where it cannot be measured.

    Attributes:
        attribute: Its name: pitch, loudness or duration.
        unit: The unit of all values: semitones above 100 Hz (st), dB of full scale, or octaves
            (logarithms to the base of 2) of seconds.
        recording: Its value in the recording.
        found: Its value in the sound of the latent that was found for the recording.
        wanted: The value that was asked for: the change is counted from the recording, or, where it
            cannot be measured there, from the sound that was found.
        after: Its value in the edited sound.

    """

    attribute: str
    unit: str
    recording: float | None
    found: float | None
    wanted: float | None
    after: float | None

    @property
    def base(self) -> float | None:
        """The value from which the change is counted."""
        return self.found if self.recording is None else self.recording


@dataclass(frozen=True)
class EditResult:
    """The result of an edit for one clip.

    Attributes:
        changes: One for each attribute that was to change.
        missed: Names of the attributes that came out otherwise than was asked for, or cannot be
            measured, as `Edit.missed` has them.
        gain: The gain, in dB, that was needed beside another latent.
        digit: The digit of the edited sound, by the classifier; None without a classifier, and
            where the recording is no digit (its digit score is below 0) that is to be kept.
        wanted_digit: The digit that was to be said; None likewise.

    """

    changes: tuple[Change, ...]
    missed: tuple[str, ...]
    gain: float
    digit: int | None
    wanted_digit: int | None


class EditTarget(NamedTuple):
    """A change of one attribute.

    Attributes:
        direction: The direction to begin with.
        change: The change, in the attribute's unit.

    """

    direction: Direction
    change: float


@dataclass(frozen=True)
class Edit:
    """The result of an edit.

    Attributes:
        latent: (latent_dim,).
        waveform: (channels, samples) that the generator makes of it, with a gain where loudness
            was asked for and latents alone do not reach it.
        before: Values of the attributes, by their names, from which the changes are counted: those
            of the recording, where there is one, or of the latent's sound.
        after: The same after the edit.
        wanted: Values that were asked for, by the same names.
        gain: The gain, in dB.
        word: Number of the digit of the edited sound, by the classifier; None without a classifier.
        wanted_word: Number of the digit that was to be said; None without a classifier.

    """

    latent: Tensor
    waveform: Tensor
    before: Mapping[str, float]
    after: Mapping[str, float]
    wanted: Mapping[str, float]
    gain: float
    word: int | None
    wanted_word: int | None

    @property
    def missed(self) -> tuple[str, ...]:
        """Names of the attributes that are further than `TOLERANCE` from what was asked for.

        "digit" is among them where the classifier reads another one than was to be said.
        """
        return missed_by(self.after, self.wanted, self.word, self.wanted_word)


class _Goal(NamedTuple):
    start: Array  # (latent_dim,), near which the edit is to stay
    wanted: Array  # values of the attributes
    word: int | None  # None without a classifier


class _Candidate(NamedTuple):
    z: Array  # (latent_dim,)
    values: Array  # of the attributes
    cost: float


class _Sounds(NamedTuple):
    waveforms: Tensor
    values: Array
    words: Tensor | None


class Editor:
    """Moves latents of a generator until the attributes of their sounds reach their targets.

    A step is predicted by the directions and tried at several lengths, and so are random neighbours
    of half of it. The best is kept; what is measured corrects the directions for the next step
    (Broyden 1965). The word is kept by the probability that a classifier gives to it, and the
    latent stays near its beginning. Where that does not reach what was asked for, the search goes
    on from the best point on the route to sounds of the prior in which it is measured.
    """

    def __init__(
        self,
        generator: Generator,
        targets: Sequence[EditTarget],
        classifier: DigitClassifier | None = None,
        *,
        rounds: int = _ROUNDS,
        seed: int = 0,
    ) -> None:
        """Prepare edits.

        Args:
            generator: Any generator.
            targets: Changes of attributes. Without any, only the word is kept or changed.
            classifier: Classifies the spoken digit, which is to be kept; None for other sounds.
            rounds: Number of steps; 0 moves along the directions once, and looks no further.
            seed: Seed of the random neighbours.

        """
        self.generator, self.classifier = generator, classifier
        self.targets, self._rounds, self._seed = tuple(targets), rounds, seed
        self.attributes = [attribute_of(each.direction.attribute) for each in targets]
        vectors = [each.direction.vector.double().numpy() for each in targets]
        self._moves = np.array(vectors).reshape(-1, generator.latent_dim)
        self._scale = np.array([TOLERANCE.get(a.name, 1.0) for a in self.attributes])
        spread = generator.sample_latent(256, generator=torch.Generator().manual_seed(0))
        self._deviation = float(spread.std())

    def __call__(self, z: Tensor, word: int | None = None, recording: Tensor | None = None) -> Edit:
        """Edit the sound of a latent (latent_dim,).

        Args:
            z: The latent.
            word: The digit that is to be said. The default is the digit that the classifier reads
                in the recording, or, without one, in the latent's sound.
            recording: The recording (channels, samples) that the latent was found for. Changes
                are counted from what is measured in it, since the latent's sound may be of another
                pitch, or a whisper; from the latent's sound where that cannot be measured.

        Raises:
            InputError: An attribute can be measured neither in the sound nor in the recording.

        """
        start = z.detach().cpu().double().numpy()
        first = self._make(start[None])
        before = first.values[0]
        said = first.words
        if recording is not None:
            recorded = self._values(recording[None].cpu())[0]
            before = np.where(np.isfinite(recorded), recorded, before)
            said = self._words(recording[None])
        for attribute, value in zip(self.attributes, before, strict=True):
            if not np.isfinite(value):
                raise InputError(
                    f"{attribute.name}: cannot be measured in this sound; it may hold no voice"
                )
        if word is None and said is not None:
            word = int(said[0].argmax())
        wanted = before + np.array([each.change for each in self.targets])
        latent = start + (wanted - before) @ self._moves
        if self._rounds:
            latent = self._search(_Goal(start, wanted, word), before)
        return self._finish(latent, before, _Goal(start, wanted, word))

    def _search(self, goal: _Goal, before: Array) -> Array:
        """The latent whose measured values come nearest to what is wanted."""
        first, _ = self._least(goal.start[None], goal)
        reached = self._climb(first._replace(values=before), goal)
        if reached.cost > _REACHED:
            routes = np.concatenate([reached.z[None], self._routes(goal)])
            reached = self._climb(self._least(routes, goal)[0], goal)
        return reached.z

    def _climb(self, best: _Candidate, goal: _Goal) -> _Candidate:
        """Take steps from a candidate, each the best of several, and correct the slopes."""
        source = np.random.default_rng(self._seed)
        slopes: Array = np.linalg.pinv(self._moves.T)
        for turn in range(self._rounds):
            move = self._predicted(slopes, np.nan_to_num(goal.wanted - best.values))
            width = _WIDTH * self._deviation * (1 - turn / (2 * self._rounds))
            tried = np.concatenate(
                [
                    [best.z + share * move for share in _SHARES],
                    best.z + 0.5 * move + width * source.normal(size=(_AROUND, len(best.z))),
                ]
            )
            least, values = self._least(tried, goal)
            slopes = self._corrected(slopes, tried - best.z, values - best.values)
            if least.cost < best.cost:
                best = least
        return best

    def _routes(self, goal: _Goal) -> Array:
        """Find latents (n, latent_dim) on the route to sounds whose values are those wanted.

        Half of these sounds say the word, by the classifier. The others may say any, and
        are given the label entries of the start, where the generator has such.
        """
        z, values, words = self._sampled
        start, far = goal.start, self._far(values, goal)
        unlike = far if words is None else far - _WORD_WEIGHT * words[:, goal.word]
        labels = self.generator.classes if isinstance(self.generator, GeneratorModel) else 0
        relabelled = z[far.argsort()[:_ROUTES]].copy()
        relabelled[:, :labels] = start[:labels]
        ends = np.concatenate([z[unlike.argsort()[:_ROUTES]], relabelled])
        return np.concatenate([start + share * (ends - start) for share in _ALONG_ROUTES])

    @cached_property
    def _sampled(self) -> tuple[Array, Array, Array | None]:
        """Latents of the prior, the attributes of their sounds, and their words in nats."""
        source = torch.Generator().manual_seed(self._seed)
        z = self.generator.sample_latent(_SAMPLED, generator=source).cpu().double().numpy()
        sounds = [self._make(part) for part in np.array_split(z, -(-len(z) // 32))]
        words = [each.words.double().numpy() for each in sounds if each.words is not None]
        values = np.concatenate([each.values for each in sounds])
        return z, values, np.concatenate(words) if words else None

    def _predicted(self, slopes: Array, missing: Array) -> Array:
        """The shortest move that the slopes (attributes, latent_dim) predict to make up for it."""
        move: Array = np.linalg.pinv(slopes, rcond=1e-3) @ missing
        longest = _MOST_STEP * self._deviation * len(move) ** 0.5
        shorter: Array = move * min(1.0, longest / max(float(np.linalg.norm(move)), 1e-12))
        return shorter

    def _corrected(self, slopes: Array, moves: Array, changes: Array) -> Array:
        """Slopes that predict the measured changes (n, attributes) of moves (n, latent_dim)."""
        for move, change in zip(moves, changes, strict=True):
            length = float(move @ move)
            if length > 1e-9 and np.isfinite(change).all():
                missed = np.outer(change - slopes @ move, move)
                slopes = slopes + _LEARNING / len(moves) * missed / length
        return slopes

    def _make(self, z: Array) -> _Sounds:
        """Sounds of latents (n, latent_dim), what is measured in them, and words in nats."""
        where = device_of(self.generator)
        with torch.inference_mode():
            waveforms = generate(self.generator, torch.from_numpy(z).float().to(where)).cpu()
        return _Sounds(waveforms, self._values(waveforms), self._words(waveforms))

    @torch.inference_mode()
    def _words(self, waveforms: Tensor) -> Tensor | None:
        """Logarithms of the words' probabilities (batch, words); None without a classifier."""
        if self.classifier is None:
            return None
        clips = classifier_input(waveforms, self.generator.sample_rate, self.classifier)
        logits: Tensor = self.classifier(clips.to(self.classifier.device))
        return logits.log_softmax(1).cpu()

    def _values(self, waveforms: Tensor) -> Array:
        rate = self.generator.sample_rate
        rows = [[a.measure(clip.mean(0), rate) for a in self.attributes] for clip in waveforms]
        return np.array(rows).reshape(len(waveforms), len(self.attributes))

    def _far(self, values: Array, goal: _Goal) -> Array:
        """Distances (n,) of values (n, attributes) from what is wanted, in tolerances."""
        far = np.abs((values - goal.wanted) / self._scale).sum(-1)
        return np.where(np.isfinite(far), far, np.inf)

    def _least(self, z: Array, goal: _Goal) -> tuple[_Candidate, Array]:
        """The best of latents z (n, latent_dim), and the values that are measured in all."""
        sounds = self._make(z)
        costs = self._far(sounds.values, goal)
        costs = costs + _NEAR_WEIGHT * np.square((z - goal.start) / self._deviation).mean(1)
        if sounds.words is not None:
            costs = costs - _WORD_WEIGHT * sounds.words[:, goal.word].double().numpy()
        least = int(costs.argmin())
        return _Candidate(z[least], sounds.values[least], float(costs[least])), sounds.values

    def _finish(self, latent: Array, before: Array, goal: _Goal) -> Edit:
        sounds = self._make(latent[None])
        names = [attribute.name for attribute in self.attributes]
        waveform, gain = sounds.waveforms[0], 0.0
        after = dict(zip(names, sounds.values[0].tolist(), strict=True))
        if "loudness" in after and np.isfinite(after["loudness"]):
            missing = float(goal.wanted[names.index("loudness")]) - after["loudness"]
            waveform, gain = with_gain(waveform, missing)
            after["loudness"] += gain
        word = None if sounds.words is None else int(sounds.words[0].argmax())
        moved = torch.from_numpy(latent).float()
        was, wanted = (
            dict(zip(names, each.tolist(), strict=True)) for each in (before, goal.wanted)
        )
        meant = None if word is None else goal.word
        return Edit(moved, waveform, was, after, wanted, gain, word, meant)


def missed_by(
    after: Mapping[str, float], wanted: Mapping[str, float], word: int | None, meant: int | None
) -> tuple[str, ...]:
    """Names of the values that are further than `TOLERANCE` from what is wanted, or NaN.

    "digit" is among them where ``word``, the digit that is read, is another than ``meant``.
    """
    missed = [
        name
        for name, value in after.items()
        if not abs(value - wanted[name]) <= TOLERANCE.get(name, 1.0)
    ]
    return tuple(missed) if word == meant else (*missed, "digit")


def changes_of(
    attributes: Sequence[Attribute],
    recording: Mapping[str, float],
    found: Mapping[str, float],
    wanted: Mapping[str, float],
    after: Mapping[str, float],
) -> tuple[Change, ...]:
    """A `Change` of each attribute, from its values by name."""
    groups = recording, found, wanted, after
    return tuple(
        Change(each.name, each.unit, *(_number(group[each.name]) for group in groups))
        for each in attributes
    )


def save_comparison(sounds: Sequence[Tensor], found: str, rate: int, path: Path) -> None:
    """Write a picture of a recording, of what was found for it, and of the edited sound.

    Args:
        sounds: These three, (channels, samples) each.
        found: Title of the second.
        rate: Sample rate, in Hz.
        path: The PNG file.

    """
    longest = max(sound.shape[1] for sound in sounds)
    mono = torch.stack([fit_length(sound.mean(0), longest) for sound in sounds])
    save_side_by_side(mono, levels_of(mono), ("recording", found, "edited"), rate, path)


def with_gain(waveform: Tensor, decibels: float) -> tuple[Tensor, float]:
    """Amplify a waveform by as many decibels, or fewer where samples would be clipped.

    Returns:
        The waveform, and the gain in dB.

    """
    peak = float(waveform.abs().max())
    gain = min(decibels, -20 * float(np.log10(max(peak, 1e-6))))
    return waveform * 10 ** (gain / 20), gain


def _number(value: float) -> float | None:
    """The number, or None in place of NaN, which JSON has not."""
    return value if np.isfinite(value) else None


def say_another(generator: Generator, z: Tensor, word: int) -> Tensor:
    """A latent (latent_dim,) of another word, where the generator's labels are words.

    The largest of the label entries changes places with that of the word, or, where the latent is
    of no label, the entry of the word is set to 1.

    Raises:
        InputError: The generator has no such labels.

    """
    if not isinstance(generator, GeneratorModel) or not 0 <= word < generator.classes:
        raise InputError("`digit`: this generator has no labels of digits; speech-digits has them")
    moved = z.clone()
    largest = int(generator.labels_of(z[None].to(generator.device))[0])
    moved[largest], moved[word] = (z[word], z[largest]) if largest >= 0 else (z[largest], 1.0)
    return moved
