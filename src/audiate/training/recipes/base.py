"""Parts that all recipes share: settings in range, and an entry in the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from audiate.data.sources import DIGIT_SETS
from audiate.errors import InputError, check_range
from audiate.models.configs import MAX_CODES, CodeConfig

ENDLESS = float("inf")

BY_THE_PAPER = "with the paper's settings, as far as it states them."
"""The end of the description of a paper's recipe."""

_RANGES: tuple[tuple[float, float, str], ...] = (
    (0, 1, "learning_rate weight_decay code_rate latents_first"),
    (0, 100, "guidance"),
    (0, 0.9999, "adam_beta1 adam_beta2"),
    (0, 2**63 - 1, "seed"),
    (0, ENDLESS, "kl_weight kl_warmup_epochs alpha beta adversarial_weight instance_noise"),
    (0, ENDLESS, "penalty average_halflife code_weight perceptual_weight label_weight"),
    (0, ENDLESS, "level_weight waveform_weight outside_weight"),
    (0.01, 0.99, "condition_share"),
    (0, 1, "adversarial_share"),
    (0, 0.9, "dropout"),
    (1, 100, "variants"),
    (1, 100, "critic_updates"),
    (1, 1000, "images_per_recording"),
    (1, 10_000, "penalty_every perceptual_every"),
    (1, 60_000, "batch_size"),
    (1, ENDLESS, "epochs steps preview_every"),
    (1, MAX_CODES.bit_length() - 1, "bits"),
    (2, MAX_CODES, "codes"),
    (2, 10**6, "pool"),
    (100, 10**7, "sample_rate"),
)
"""Smallest and largest values of settings, which are the same in every recipe that has them."""


@dataclass(frozen=True)
class Recipe:
    """The settings of a training, as plain values that determine its result.

    A recipe is a frozen dataclass whose fields are flags of ``audiate train``. The text below a
    field is its help.

    Raises:
        InputError: A setting is out of range.

    """

    init: str | None = None
    """Model of the same kind and sizes whose weights training begins with: a shipped name, a folder
    or a hub id."""

    def __post_init__(self) -> None:
        for low, high, names in _RANGES:
            for name in names.split():
                if (value := getattr(self, name, None)) is not None:
                    check_range(f"`{name}`", value, low, high)
        if isinstance(self, SoundFiles):
            check_names("data", self.data, "data sets of spoken digits, or a folder")


@dataclass(frozen=True)
class StepRecipe(Recipe):
    """A recipe that trains for a number of steps, rather than of passes over the data."""

    steps: int = 10_000
    """Number of updates."""
    batch_size: int = 64
    """Number of clips in a batch."""
    preview_every: int = 500
    """Number of steps between previews, alarms, and copies of the last good model."""
    seed: int = 0
    """Seed of the initial weights, the order of clips and all noise."""


@dataclass(frozen=True)
class SoundFiles:
    """Settings that name the sounds of a training."""

    data: tuple[str, ...] = DIGIT_SETS
    """Names of data sets of spoken digits, or a folder of sound files."""


@dataclass(frozen=True)
class WordFiles(SoundFiles):
    """Settings that name the sounds of a training, and tell labels and words in a folder."""

    label_from: str | None = None
    """Pattern of the file names in a flat folder, in place of sub-folders: {word} is the label,
    {voice} the speaker, * anything, as in '{word}_{voice}*' for candle_speaker1.wav."""
    cut_words: bool = False
    """Cut each file of a folder at silences, into words."""

    @property
    def code(self) -> CodeConfig:
        """The code that the first entries of a latent are: none."""
        return CodeConfig()


VoiceSetting = Literal["auto", "named", "found", "one"]


@dataclass(frozen=True)
class WordGroupSettings:
    """Settings of trainings that sort clips into groups of like words, without labels."""

    voices: VoiceSetting = "auto"
    """Voices, each of which says all words, when the clips are sorted. named: the speakers that a
    data set or {voice} in --label-from names. found: recording conditions, by level and background
    noise. one: a single voice. auto: named where there are names of more than one voice, else
    found."""


@dataclass(frozen=True)
class Perturbation:
    """Changes to real clips that keep what is said, for data sets that are small."""

    speed_perturbation: tuple[float, ...] = ()
    """Train on every clip at these multiples of its speed, too, as in 0.88 0.94 1.06 1.13. Clips
    are resampled, so their pitch changes with their speed (Ko et al. 2015)."""
    shift: int = 0
    """Largest number of samples by which a clip is moved, earlier or later, each time it is drawn.
    """

    def __post_init__(self) -> None:
        for speed in self.speed_perturbation:
            check_range("`speed_perturbation`", speed, 0.25, 4)
        check_range("`shift`", self.shift, 0, 10**7)

    def check_fits(self, num_samples: int) -> None:
        """Make sure that clips of this length are not moved out of hearing.

        Raises:
            InputError: Clips are moved by more than half of their length.

        """
        if num_samples and self.shift > num_samples // 2:
            raise InputError(
                f"`shift` {self.shift}: give at most {num_samples // 2}, half of a clip's samples"
            )


@dataclass(frozen=True)
class Entry:
    """A line in the table of recipes.

    Attributes:
        recipe: The recipe with its default settings.
        description: A sentence on what it trains, shown by ``audiate train --help``.
        task: The module that trains by it. Its function ``prepare(recipe, root)`` finds the data in
            the data folder ``root``, and returns an `audiate.training.task.Prepared`.
        next_words: The command that a user may try on the trained model. ``{out}`` stands for its
            folder, and a setting's name in braces for its value.
        own_words: The same after a training on data of the user's own, where that differs.

    """

    recipe: Recipe
    description: str
    task: str
    next_words: tuple[str, ...] = ("evaluate", "{out}")
    own_words: tuple[str, ...] = ()

    def next_command(self, recipe: Recipe, out: str) -> list[str]:
        """The words of the command that a user may try after this training into ``out``."""
        settings = {**vars(recipe), "out": out}
        own = settings.get("pairs") or set(settings.get("data", ())) - set(DIGIT_SETS)
        words: list[str] = []
        for word in (own and self.own_words) or self.next_words:
            value = settings.get(word[1:-1])
            words += value if isinstance(value, tuple) else [word.format(**settings)]
        return words


def check_names(setting: str, names: Sequence[str], what: str) -> None:
    """Make sure that a setting is a tuple of one or more names.

    Args:
        setting: The name of the setting.
        names: Its value.
        what: What is to be named, as in "a folder".

    Raises:
        InputError: It is empty, a single string, or has "+" between names, as formerly.

    """
    if isinstance(names, str):
        raise InputError(f"`{setting}` {names}: give a tuple of names, as in ({names!r},)")
    if not names or not all(names):
        raise InputError(f"`{setting}`: is empty; name {what}")
    for name in names:
        if "+" in name and (setting != "data" or set(name.split("+")) <= set(DIGIT_SETS)):
            apart = " ".join(name.split("+"))
            raise InputError(f"`{setting}` {name}: put spaces between names, as in {apart}")
