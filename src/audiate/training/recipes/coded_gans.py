"""Recipes of generators with codes: ciwGAN and fiwGAN (Beguš 2021), with either kind of network."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from audiate.errors import InputError, check_range
from audiate.models.configs import MAX_CODES, CodeConfig, SpecGANSizes, WaveGANSizes
from audiate.training.recipes.base import ENDLESS, Entry, Prepared
from audiate.training.recipes.gans import AudioGANRecipe, SpecGANRecipe, WaveGANRecipe, published

if TYPE_CHECKING:
    import torch

    from audiate.training.task import Shard, Task


@dataclass(frozen=True)
class CodedRecipe(AudioGANRecipe):
    """Settings that all trainings with codes have in common. Labels are never used."""

    size_setting: ClassVar[str]
    """Name of the setting that says how many codes there are."""

    use_labels: bool = False
    """Labels have no part in a training with codes, so this stays off."""
    discover: bool = True
    """Sort the clips into groups of like words before the training, without labels, and begin with
    a code for each group. Published: no."""
    voices: Literal["auto", "named", "found", "one"] = "auto"
    """Voices, each of which says all words, for --discover. named: the speakers that a data set or
    {voice} in --label-from names. found: recording conditions, by level and background noise. one:
    a single voice. auto: named where names tell more than one voice, else found."""
    code_network: Literal["published", "words"] = "words"
    """Q-network. published: the discriminator's architecture. words: a small network on words that
    are stretched to one length, and changed at random while it learns."""
    code_weight: float = 1.0
    """Weight of the code's recovery in the generator's loss. Published: 1."""
    code_rate: float = 1e-3
    """Learning rate of the Q-network. Published: 1e-4, by RMSprop."""
    code_optimizer: Literal["adam", "rmsprop"] = "adam"
    """Optimiser of the Q-network. Published: rmsprop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.use_labels:
            raise InputError("`use_labels`: a training with codes uses none; leave it out")
        check_range("`code_weight`", self.code_weight, 0, ENDLESS)
        check_range("`code_rate`", self.code_rate, 0, 1)
        if self.discover and self.code_network != "words":
            raise InputError(
                "`discover`: groups are learnt by `code_network=words`; add `discover=False`"
            )
        if self.code.size > self.network.latent_dim:
            raise InputError(
                f"`latent_dim` {self.network.latent_dim}: too small for a code of "
                f"{self.code.size} entries; give {self.code.size} or more, or lower "
                f"`{self.size_setting}`"
            )

    @property
    @abstractmethod
    def code(self) -> CodeConfig:
        """The code of these settings."""

    def _code(self, kind: Literal["one-hot", "binary"], size: int) -> CodeConfig:
        return CodeConfig(kind, size, self.code_network, judged=self.discover)

    def prepare(self, root: Path) -> Prepared:
        """Train on spoken digits, or on a folder of sound files, without their labels."""
        listed = self.listed(root)

        def make_task(device: torch.device, shard: Shard) -> Task:
            from audiate.training.tasks.coded_gan_task import CodedGANTask

            return CodedGANTask(self, self.sounds(listed), device, shard)

        return Prepared(listed.digest, make_task)

    def next_command(self, out: str) -> list[str]:
        """The words of the command that tells what the codes stand for."""
        return ["codes", out]


@dataclass(frozen=True)
class _OneHotRecipe(CodedRecipe):
    size_setting: ClassVar[str] = "codes"

    codes: int = 10
    """Number of codes: the first entries of z, of which one is 1 and the others are 0."""

    def __post_init__(self) -> None:
        check_range("`codes`", self.codes, 2, MAX_CODES)
        super().__post_init__()

    @property
    def code(self) -> CodeConfig:
        """One entry of z for each code."""
        return self._code("one-hot", self.codes)


@dataclass(frozen=True)
class _BinaryRecipe(CodedRecipe):
    size_setting: ClassVar[str] = "bits"

    bits: int = 3
    """Number of entries of z, from the first, that are 0 or 1: 3 of them make 8 codes."""

    def __post_init__(self) -> None:
        check_range("`bits`", self.bits, 1, MAX_CODES.bit_length() - 1)
        super().__post_init__()

    @property
    def code(self) -> CodeConfig:
        """One entry of z for each bit."""
        return self._code("binary", self.bits)


def _waves() -> WaveGANSizes:
    return WaveGANSizes(dim=16, batch_norm=True)


def _spectrograms() -> SpecGANSizes:
    return SpecGANSizes(
        dim=24, batch_norm=True, size=64, bands="mel", n_fft=1024, kernel=4, iterations=16
    )


@dataclass(frozen=True)
class CiwGANRecipe(_OneHotRecipe, WaveGANRecipe):
    """A WaveGAN whose code is one-hot."""

    network: WaveGANSizes = field(default_factory=_waves)
    """Sizes of the networks."""


@dataclass(frozen=True)
class FiwGANRecipe(_BinaryRecipe, WaveGANRecipe):
    """A WaveGAN whose code is binary."""

    network: WaveGANSizes = field(default_factory=_waves)
    """Sizes of the networks."""


@dataclass(frozen=True)
class CiwSpecGANRecipe(_OneHotRecipe, SpecGANRecipe):
    """A SpecGAN whose code is one-hot."""

    steps: int = 3_000
    """Number of updates of the generator."""
    network: SpecGANSizes = field(default_factory=_spectrograms)
    """Sizes of the networks."""


@dataclass(frozen=True)
class FiwSpecGANRecipe(_BinaryRecipe, SpecGANRecipe):
    """A SpecGAN whose code is binary."""

    steps: int = 3_000
    """Number of updates of the generator."""
    network: SpecGANSizes = field(default_factory=_spectrograms)
    """Sizes of the networks."""


_PUBLISHED = {
    "discover": False,
    "code_network": "published",
    "code_rate": 1e-4,
    "code_optimizer": "rmsprop",
}
CIWGAN_PAPER = published(replace(CiwGANRecipe(network=WaveGANSizes()), **_PUBLISHED))  # type: ignore[arg-type]
"""The settings of Beguš 2021, section 3: those of WaveGAN, and a Q-network by RMSprop."""
FIWGAN_PAPER = published(replace(FiwGANRecipe(network=WaveGANSizes()), **_PUBLISHED))  # type: ignore[arg-type]
"""The same with binary codes."""

_ON = "on words of your own or spoken digits, without labels"
RECIPES = {
    "ciwgan": Entry(CiwGANRecipe(), f"ciwGAN: a WaveGAN with a code for each word, {_ON}."),
    "ciwgan-paper": Entry(CIWGAN_PAPER, "ciwGAN with the published settings."),
    "fiwgan": Entry(FiwGANRecipe(), f"fiwGAN: a WaveGAN with a binary code of words, {_ON}."),
    "fiwgan-paper": Entry(FIWGAN_PAPER, "fiwGAN with the published settings."),
    "ciwgan-spectrogram": Entry(
        CiwSpecGANRecipe(), "ciwGAN with SpecGAN's networks, which learn faster on a CPU."
    ),
    "fiwgan-spectrogram": Entry(
        FiwSpecGANRecipe(), "fiwGAN with SpecGAN's networks, which learn faster on a CPU."
    ),
}
