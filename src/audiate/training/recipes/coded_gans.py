"""Recipes of generators with codes: ciwGAN and fiwGAN (Beguš 2021), with either kind of network."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from audiate.errors import InputError
from audiate.models.configs import CodeConfig, SpecGANSizes, WaveGANSizes
from audiate.training.recipes.base import Entry, WordGroupSettings
from audiate.training.recipes.gans import MEL_SIZES, WAVE_SIZES, AudioGANRecipe, published


@dataclass(frozen=True)
class CodedRecipe(AudioGANRecipe, WordGroupSettings):
    """Settings that all trainings with codes have in common. Labels are never used."""

    code_kind: ClassVar[Literal["one-hot", "binary"]]
    """Kind of the code."""
    size_setting: ClassVar[str]
    """Name of the setting that says how many codes there are."""

    discover: bool = True
    """Sort the clips into groups of like words before the training, without labels, and begin with
    a code for each group. Published: no."""
    code_network: Literal["published", "words"] = "words"
    """Q-network. published: the discriminator's architecture. words: a small network on words that
    are stretched to one length, and changed at random while it learns."""
    code_weight: float = 1.0
    """Weight of the code's recovery in the generator's loss; with rmsprop, it has no effect."""
    code_rate: float = 1e-3
    """Learning rate of the Q-network. Published: 1e-4."""
    code_optimizer: Literal["adam", "rmsprop"] = "adam"
    """Optimiser of the Q-network. adam: it trains the Q-network alone, and the code's recovery is
    part of the generator's loss. rmsprop: it trains the Q-network and the generator to recover the
    code, in an update of its own, as published (TensorFlow's RMSprop)."""

    def __post_init__(self) -> None:
        super().__post_init__()
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
    def code(self) -> CodeConfig:
        """The code that the first entries of a latent are."""
        size = getattr(self, self.size_setting)
        return CodeConfig(self.code_kind, size, self.code_network, judged=self.discover)


@dataclass(frozen=True)
class _OneHotRecipe(CodedRecipe):
    code_kind: ClassVar[Literal["one-hot", "binary"]] = "one-hot"
    size_setting: ClassVar[str] = "codes"

    codes: int = 10
    """Number of codes: the first entries of z, of which one is 1 and the others are 0."""


@dataclass(frozen=True)
class _BinaryRecipe(CodedRecipe):
    code_kind: ClassVar[Literal["one-hot", "binary"]] = "binary"
    size_setting: ClassVar[str] = "bits"

    bits: int = 3
    """Number of entries of z, from the first, that are 0 or 1: 3 of them make 8 codes."""


@dataclass(frozen=True)
class _OfWaveforms(CodedRecipe):
    steps: int = 4_500
    batch_size: int = 32
    network: WaveGANSizes = field(default_factory=lambda: replace(WAVE_SIZES, dim=16))


@dataclass(frozen=True)
class _OfSpectrograms(CodedRecipe):
    steps: int = 3_000
    network: SpecGANSizes = field(default_factory=lambda: replace(MEL_SIZES, dim=24, iterations=16))


@dataclass(frozen=True)
class CiwGANRecipe(_OfWaveforms, _OneHotRecipe):
    """A WaveGAN whose code is one-hot."""


@dataclass(frozen=True)
class FiwGANRecipe(_OfWaveforms, _BinaryRecipe):
    """A WaveGAN whose code is binary."""


@dataclass(frozen=True)
class CiwSpecGANRecipe(_OfSpectrograms, _OneHotRecipe):
    """A SpecGAN whose code is one-hot."""


@dataclass(frozen=True)
class FiwSpecGANRecipe(_OfSpectrograms, _BinaryRecipe):
    """A SpecGAN whose code is binary."""


_PUBLISHED: dict[str, Any] = {
    "discover": False,
    "code_network": "published",
    "code_rate": 1e-4,
    "code_optimizer": "rmsprop",
}
CIWGAN_PAPER = published(CiwGANRecipe(network=WaveGANSizes()), **_PUBLISHED)
"""The settings of Beguš 2021, section 3, and its programs: those of WaveGAN; RMSprop moves the
Q-network and the generator on the code's loss, which is no part of the generator's Adam."""
FIWGAN_PAPER = published(FiwGANRecipe(network=WaveGANSizes()), **_PUBLISHED)
"""The same with binary codes."""

_ON = "on words of your own or spoken digits, without labels"
_FASTER = "with SpecGAN's networks, which learn faster on a CPU."
_MODELS = {
    "ciwgan": (CiwGANRecipe(), f"ciwGAN: a WaveGAN with a code for each word, {_ON}."),
    "ciwgan-paper": (CIWGAN_PAPER, "ciwGAN with the published settings."),
    "fiwgan": (FiwGANRecipe(), f"fiwGAN: a WaveGAN with a binary code of words, {_ON}."),
    "fiwgan-paper": (FIWGAN_PAPER, "fiwGAN with the published settings."),
    "ciwgan-spectrogram": (CiwSpecGANRecipe(), f"ciwGAN {_FASTER}"),
    "fiwgan-spectrogram": (FiwSpecGANRecipe(), f"fiwGAN {_FASTER}"),
}
RECIPES = {
    name: Entry(*described, "audiate.training.tasks.coded_gan_task", ("codes", "{out}"))
    for name, described in _MODELS.items()
}
