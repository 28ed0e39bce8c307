"""Recipes of generators of sound, and of the judge of spoken digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from audiate.errors import InputError, check_range
from audiate.training.recipes.common import ENDLESS, Speaker, check_common

WAVEGAN_LENGTHS = (16_384, 32_768, 65_536)


@dataclass(frozen=True)
class DigitClassifierRecipe:
    """ResNet-18 on spoken digits: the judge of generated and recovered speech."""

    epochs: int = 16
    """Passes over as many clips as there are."""
    batch_size: int = 64
    """Clips a step."""
    learning_rate: float = 2e-3
    """Peak of the one-cycle schedule."""
    weight_decay: float = 0.05
    """AdamW's."""
    spectrogram: Literal["log", "real"] = "log"
    """What it sees: log for levels in decibels, real for the real part, as in the paper."""
    data: str = "speech_commands+fsdd"
    """Data sets of spoken digits, with + between them; each is heard as often."""
    held_out_speaker: Speaker | None = None
    """Train without this FSDD speaker, to be tested on that one."""
    seed: int = 0
    """Of initial weights, order and augmentation."""

    def __post_init__(self) -> None:
        check_range("--epochs", self.epochs, 1, ENDLESS)
        check_common(self.batch_size, self.learning_rate, self.seed)
        check_range("--weight-decay", self.weight_decay, 0, 1)
        if self.held_out_speaker is not None and "fsdd" not in self.data.split("+"):
            raise InputError(
                f"--held-out-speaker {self.held_out_speaker}: speaks in fsdd, which --data "
                f"{self.data} does without; add it, or leave the flag out"
            )


@dataclass(frozen=True)
class AudioGANRecipe:
    """What the trainings of WaveGAN and SpecGAN have in common."""

    steps: int = 10_000
    """Updates of the generator."""
    batch_size: int = 64
    """Clips a step."""
    learning_rate: float = 2e-4
    """Adam's, of both networks."""
    adam_beta1: float = 0.5
    """Adam's first decay rate."""
    adam_beta2: float = 0.99
    """Adam's second decay rate."""
    objective: Literal["r1", "wgan-gp"] = "r1"
    """r1: non-saturating, with a penalty on the gradient at real clips. wgan-gp: Wasserstein, with
    a penalty on the gradient between real and drawn clips, as published."""
    penalty: float = 1.0
    """Weight of the gradient penalty: gamma / 2 of R1, lambda of WGAN-GP."""
    penalty_every: int = 16
    """Steps between gradient penalties, which then count so much the more."""
    critic_updates: int = 1
    """Updates of the discriminator for each of the generator."""
    average_halflife: float = 250.0
    """Steps in which half of the generator's moving average is renewed; 0: no average."""
    initialisation: Literal["scaled", "published"] = "scaled"
    """Initial weights. scaled: signals keep their size (He). published: Glorot's."""
    use_labels: bool = True
    """Where clips have labels, have the discriminator check that the largest of the first entries
    of z says which one is heard."""
    normalise: bool = True
    """Bring all clips to one peak level."""
    data: str = "speech_commands+fsdd"
    """Data sets of spoken digits, with + between them, or a folder of sounds."""
    sample_rate: int | None = None
    """In Hz. Default: 16,000 for spoken digits, and for a folder what its files have."""
    num_samples: int = 16_384
    """Samples of a clip."""
    channels: int = 1
    """1 for mono, 2 for stereo."""
    latent_dim: int = 100
    """Numbers in a latent."""
    dim: int = 64
    """Width of the networks: channels of the discriminator's first layer."""
    batch_norm: bool = True
    """Normalise the generator's hidden layers."""
    init: str | None = None
    """Go on from the weights of this model: a shipped name, a folder or a hub id."""
    preview_every: int = 250
    """Steps between previews, alarms, and copies of the last good model."""
    seed: int = 0
    """Of initial weights, order and latents."""

    def __post_init__(self) -> None:
        check_range("--steps", self.steps, 1, ENDLESS)
        check_common(self.batch_size, self.learning_rate, self.seed)
        check_range("--adam-beta1", self.adam_beta1, 0, 0.9999)
        check_range("--adam-beta2", self.adam_beta2, 0, 0.9999)
        check_range("--penalty", self.penalty, 0, ENDLESS)
        check_range("--penalty-every", self.penalty_every, 1, 10_000)
        check_range("--critic-updates", self.critic_updates, 1, 100)
        check_range("--average-halflife", self.average_halflife, 0, ENDLESS)
        check_range("--channels", self.channels, 1, 2)
        check_range("--num-samples", self.num_samples, 256, 10**7)
        check_range("--latent-dim", self.latent_dim, 1, 100_000)
        check_range("--dim", self.dim, 1, 1024)
        if self.sample_rate is not None:
            check_range("--sample-rate", self.sample_rate, 100, 10**7)
        if not self.data:
            raise InputError("--data: is empty; name data sets of spoken digits, or a folder")
        check_range("--preview-every", self.preview_every, 1, ENDLESS)


@dataclass(frozen=True)
class WaveGANRecipe(AudioGANRecipe):
    """WaveGAN on spoken digits, or on a folder of your own."""

    steps: int = 4_500
    """Updates of the generator."""
    batch_size: int = 32
    """Clips a step."""
    dim: int = 32
    """Width of the networks: channels of the discriminator's first layer."""
    phase_shuffle: int = 2
    """Samples by which the discriminator's activations are shifted at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_samples not in WAVEGAN_LENGTHS:
            known = ", ".join(map(str, WAVEGAN_LENGTHS))
            raise InputError(f"--num-samples {self.num_samples}: WaveGAN makes one of {known}")
        check_range("--phase-shuffle", self.phase_shuffle, 0, 60)


@dataclass(frozen=True)
class SpecGANRecipe(AudioGANRecipe):
    """SpecGAN on spoken digits, or on a folder of your own."""

    steps: int = 6_000
    """Updates of the generator."""
    size: Literal[64, 128] = 64
    """Frames of a spectrogram, and bands."""
    bands: Literal["linear", "mel"] = "mel"
    """Of the spectrogram."""
    frame_length: int = 1024
    """Of the Fourier transform, in samples."""
    kernel: Literal[4, 5] = 4
    """Of the convolutions."""
    iterations: int = 8
    """Of the algorithm that finds the phases (Griffin and Lim)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("--iterations", self.iterations, 1, 10_000)


@dataclass(frozen=True)
class InverseMappingRecipe:
    """An encoder from sound to the latent of a generator."""

    generator: str = "specgan-digits"
    """Whose latents: a shipped model's name, a run's or a model's folder, or a Hugging Face hub
    id. For a generator of your own, see docs/inversion.md."""
    judge: str = "digits-resnet18"
    """The judge of spoken digits, in whose activations sounds are compared."""
    blocks: str = "block1+block2+block3+block4+block5+block6+block7+block8"
    """Where its activations are read: stem and block1 to block8, with + between them."""
    steps: int = 2_000
    """Pairs of updates: one on real clips, one on synthesised ones."""
    batch_size: int = 64
    """Clips of each."""
    learning_rate: float = 1e-3
    """Adam's; the peak, with one-cycle."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """Of the learning rate."""
    perceptual_weight: float = 0.2
    """Of the distance in the judge's activations; 0: no judge is needed."""
    perceptual_every: int = 4
    """Steps between those on which it is taken, which then counts so much the more."""
    level_weight: float = 4.0
    """Of the distance of levels at each time and frequency, which needs no judge."""
    waveform_weight: float = 0.0
    """Of the error's power over the clip's, for synthesised clips, in the later part of training.
    0.5 suits WaveGAN; with SpecGAN, whose phases are searched for, it is left out."""
    outside_weight: float = 10.0
    """Of how far the latents of real clips are beyond the prior's edge, squared."""
    normalise_blocks: bool = True
    """Bring the blocks of the judge to one scale before they are compared."""
    spectrogram: Literal["mel", "log", "real"] = "mel"
    """What the encoder sees. mel: 64 mel bands in 64 frames, the quickest. real: the real part of
    the 128x129 spectrogram, as published. log: its levels in decibels."""
    initialisation: Literal["judge", "random"] = "judge"
    """Of its blocks: those of the judge, which know speech; or random."""
    init: str | None = None
    """Go on from the weights of this encoder: a shipped name, a folder or a hub id. What otherwise
    begins later begins at once."""
    settle: bool = False
    """In the later half, normalise by running statistics, as in use: those of a batch of real clips
    and of a batch of synthesised ones differ. For runs of some hundred steps or more."""
    data: str = "speech_commands+fsdd"
    """Real clips: data sets of spoken digits, with + between them, or a folder of sounds."""
    preview_every: int = 200
    """Steps between previews, alarms, and copies of the last good model."""
    seed: int = 0
    """Of initial weights, order and latents."""

    def __post_init__(self) -> None:
        check_range("--steps", self.steps, 1, ENDLESS)
        check_common(self.batch_size, self.learning_rate, self.seed)
        check_range("--perceptual-weight", self.perceptual_weight, 0, ENDLESS)
        check_range("--perceptual-every", self.perceptual_every, 1, 10_000)
        check_range("--level-weight", self.level_weight, 0, ENDLESS)
        check_range("--waveform-weight", self.waveform_weight, 0, ENDLESS)
        check_range("--outside-weight", self.outside_weight, 0, ENDLESS)
        check_range("--preview-every", self.preview_every, 1, ENDLESS)
        if not self.data:
            raise InputError("--data: is empty; name data sets of spoken digits, or a folder")


INVERSE_MAPPING_PAPER = InverseMappingRecipe(
    steps=72_750,  # 250 epochs of 18,620 clips
    batch_size=64,
    schedule="constant",
    perceptual_weight=1.0,
    perceptual_every=1,
    level_weight=0.0,
    outside_weight=0.0,
    normalise_blocks=False,
    spectrogram="real",
    initialisation="random",
    data="speech_commands",
)
"""Keyes et al. 2020, section 4.1."""


_PAPER: dict[str, Any] = {
    "steps": 200_000,
    "learning_rate": 1e-4,
    "adam_beta2": 0.9,
    "objective": "wgan-gp",
    "penalty": 10.0,
    "penalty_every": 1,
    "critic_updates": 5,
    "average_halflife": 0.0,
    "initialisation": "published",
    "use_labels": False,
    "normalise": False,
    "data": "speech_commands",
    "batch_size": 64,
    "dim": 64,
    "batch_norm": False,
}
WAVEGAN_PAPER = WaveGANRecipe(**_PAPER)
"""Donahue et al. 2019, table 6."""
SPECGAN_PAPER = SpecGANRecipe(
    size=128, bands="linear", frame_length=256, kernel=5, iterations=16, **_PAPER
)
"""Donahue et al. 2019, table 6 and section 3.2."""
