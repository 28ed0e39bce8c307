"""Recipes of the generators of sound: WaveGAN and SpecGAN."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from audiate.models.configs import AudioGANSizes, SpecGANSizes, WaveGANSizes
from audiate.training.recipes.base import BY_THE_PAPER, Entry, Perturbation, StepRecipe, WordFiles


@dataclass(frozen=True)
class AudioGANRecipe(StepRecipe, WordFiles):
    """Settings that the trainings of all generators of sound have in common."""

    steps: int = 10_000
    """Number of updates of the generator."""
    learning_rate: float = 2e-4
    """Learning rate of Adam, for both networks."""
    adam_beta1: float = 0.5
    """First decay rate of Adam."""
    adam_beta2: float = 0.99
    """Second decay rate of Adam."""
    loss: Literal["r1", "wgan-gp"] = "r1"
    """Adversarial loss. r1: non-saturating, with a penalty on the gradient at real clips. wgan-gp:
    Wasserstein, with a penalty on the gradient between real and generated clips, and clips that are
    generated anew for each update of the discriminator, as published."""
    penalty: float = 1.0
    """Weight of the gradient penalty: gamma / 2 of R1, lambda of WGAN-GP."""
    penalty_every: int = 16
    """Number of steps between gradient penalties, which are multiplied by it."""
    critic_updates: int = 1
    """Number of updates of the discriminator for each update of the generator."""
    average_halflife: float = 250.0
    """Number of steps in which half of the generator's moving average is renewed. With 0 there is
    no average."""
    initialisation: Literal["scaled", "published"] = "scaled"
    """Initial weights. scaled: signals keep their size (He). published: Glorot's."""
    normalise: bool = True
    """Bring all clips to one peak level."""
    sample_rate: int | None = None
    """Sample rate of the generated sound, in Hz. The default is 16,000 for spoken digits, and for a
    folder the rate of its files."""
    network: AudioGANSizes = field(default_factory=AudioGANSizes)
    """Sizes of the networks."""
    perturbation: Perturbation = field(default_factory=Perturbation)
    """Changes to real clips."""
    init: str | None = None
    """Model whose weights training begins with: a shipped name, a folder or a hub id. Where it was
    kept without its discriminator, that begins anew."""
    preview_every: int = 250

    def __post_init__(self) -> None:
        super().__post_init__()
        self.perturbation.check_fits(self.network.num_samples)


@dataclass(frozen=True)
class LabelledGANRecipe(AudioGANRecipe):
    """Settings that the trainings of WaveGAN and SpecGAN have in common."""

    use_labels: bool = True
    """If clips have labels, draw as many of each, and train the discriminator to check that the
    largest of the first values of z is that of the clip's label."""


WAVE_SIZES = WaveGANSizes(dim=32, num_samples=0, channels=0, batch_norm=True)
"""Sizes of a WaveGAN that suit the files, with fewer channels than the published ones."""


@dataclass(frozen=True)
class WaveGANRecipe(LabelledGANRecipe):
    """WaveGAN on spoken digits, or on a folder of your own."""

    steps: int = 4_500
    batch_size: int = 32
    network: WaveGANSizes = WAVE_SIZES


MEL_SIZES = SpecGANSizes(
    num_samples=0,
    channels=0,
    batch_norm=True,
    size=64,
    bands="mel",
    n_fft=0,
    kernel=4,
    iterations=8,
)
"""Sizes of SpecGAN's networks for mel spectrograms."""


@dataclass(frozen=True)
class SpecGANRecipe(LabelledGANRecipe):
    """SpecGAN on spoken digits, or on a folder of your own."""

    steps: int = 6_000
    network: SpecGANSizes = MEL_SIZES


R = TypeVar("R", bound=AudioGANRecipe)


def published(recipe: R, **more: Any) -> R:
    """The recipe with the settings of Donahue et al. 2019, table 6, and ``more``."""
    return replace(
        recipe,
        **more,
        steps=200_000,
        batch_size=64,
        learning_rate=1e-4,
        adam_beta2=0.9,
        loss="wgan-gp",
        penalty=10.0,
        penalty_every=1,
        critic_updates=5,
        average_halflife=0.0,
        initialisation="published",
        normalise=False,
        data=("speech_commands",),
    )


WAVEGAN_PAPER = published(WaveGANRecipe(network=WaveGANSizes()), use_labels=False)
"""The settings of Donahue et al. 2019, table 6."""
SPECGAN_PAPER = published(SpecGANRecipe(network=SpecGANSizes(bands="published")), use_labels=False)
"""The settings of Donahue et al. 2019, table 6 and section 3.2."""

_SOUNDS = "on spoken digits or a folder of your own."
_MODELS = {
    "wavegan": (WaveGANRecipe(), f"WaveGAN: latents to waveforms, {_SOUNDS}"),
    "wavegan-paper": (WAVEGAN_PAPER, f"WaveGAN {BY_THE_PAPER}"),
    "specgan": (SpecGANRecipe(), f"SpecGAN: latents to spectrograms to waveforms, {_SOUNDS}"),
    "specgan-paper": (SPECGAN_PAPER, f"SpecGAN {BY_THE_PAPER}"),
}
RECIPES = {
    name: Entry(*described, "audiate.training.tasks.gan_task", ("generate", "{out}"))
    for name, described in _MODELS.items()
}
