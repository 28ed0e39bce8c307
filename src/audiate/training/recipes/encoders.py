"""Recipes of the encoder from sound to the latent of a generator."""

from dataclasses import dataclass, field
from typing import Literal

from audiate.data.sources import DIGIT_SETS
from audiate.models.hub import ENCODED_GENERATOR, SPOKEN_CLASSIFIER
from audiate.training.recipes.base import BY_THE_PAPER, Entry, Perturbation, StepRecipe, check_names


@dataclass(frozen=True)
class LatentEncoderRecipe(StepRecipe):
    """An encoder from sound to the latent of a generator."""

    generator: str = ENCODED_GENERATOR
    """Generator to be inverted: a shipped model's name, a run's or a model's folder, or a Hugging
    Face hub id. For a generator of your own, see docs/inversion.md."""
    classifier: str = SPOKEN_CLASSIFIER
    """Classifier of spoken digits, in whose activations sounds are compared."""
    blocks: tuple[str, ...] = tuple(f"block{number}" for number in range(1, 9))
    """Blocks of the classifier whose activations are compared: stem and block1 to block8."""
    steps: int = 2_000
    """Number of pairs of updates: one on real clips, one on generated clips."""
    batch_size: int = 64
    """Number of real clips in a batch, and of generated clips."""
    learning_rate: float = 1e-3
    """Learning rate of Adam; with one-cycle, its peak."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """Course of the learning rate."""
    perceptual_weight: float = 0.2
    """Weight of the distance in the classifier's activations. With 0, no classifier is needed."""
    perceptual_every: int = 4
    """Number of steps between those that compute this distance, which is multiplied by it."""
    label_weight: float = 0.1
    """Weight of the cross-entropy of the label that a latent stands for. It has no effect for a
    generator without labels. Of real clips, those count whose label has a name that the generator
    knows."""
    latents_first: float = 0.0
    """Share of the steps, from the first, in which latents and labels alone are compared. These
    steps take a fraction of the time of those that compare sounds."""
    level_weight: float = 4.0
    """Weight of the distance of levels at each time and frequency, which needs no classifier."""
    waveform_weight: float = 0.0
    """Weight of the error's power divided by the clip's, for generated clips, in the later part of
    training. 0.5 suits WaveGAN. It is left out for SpecGAN, which searches for phases."""
    outside_weight: float = 10.0
    """Weight of the squared distance by which latents of real clips exceed the prior's range."""
    normalise_blocks: bool = True
    """Compare activations by squares, with each block of the classifier at one scale. Without it,
    differences are absolute, as published."""
    spectrogram: Literal["mel", "log", "real"] = "mel"
    """Kind of spectrogram that the encoder sees. mel: 64 mel bands in 64 frames, the quickest.
    real: the real part of the 128x129 spectrogram, as published. log: its levels in decibels."""
    initialisation: Literal["classifier", "random"] = "classifier"
    """Initial weights of the residual blocks. classifier: those of the classifier, which was
    trained on speech. random: random ones."""
    init: str | None = None
    """Encoder whose weights training begins with: a shipped name, a folder or a hub id. What
    otherwise begins in the later part of training then begins at once."""
    settle: bool = False
    """In the later half, normalise by running statistics, as in use, since those of a batch of real
    clips and of a batch of generated clips differ. It suits runs of some hundred steps or more."""
    data: tuple[str, ...] = DIGIT_SETS
    """Real clips: names of data sets of spoken digits, or a folder of sound files."""
    perturbation: Perturbation = field(default_factory=Perturbation)
    """Changes to real clips."""
    preview_every: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names("blocks", self.blocks, "blocks of the classifier")
        check_names("data", self.data, "data sets of spoken digits, or a folder")


LATENT_ENCODER_PAPER = LatentEncoderRecipe(
    blocks=("block4",),  # after the second stage, as in the paper's programs
    steps=72_750,  # 250 epochs of 18,620 clips
    schedule="constant",
    perceptual_weight=1.0,
    perceptual_every=1,
    label_weight=0.0,
    level_weight=0.0,
    outside_weight=0.0,
    normalise_blocks=False,
    spectrogram="real",
    initialisation="random",
    data=("speech_commands",),
)
"""The settings of Keyes et al. 2020, section 4.1, with the perceptual loss of its programs."""

_ENCODER = "An encoder from sound to the latent of a generator"
_MODELS = {
    "latent-encoder": (LatentEncoderRecipe(), f"{_ENCODER}."),
    "latent-encoder-paper": (LATENT_ENCODER_PAPER, f"{_ENCODER}, {BY_THE_PAPER}"),
}
_WHICH = ("--generator", "{generator}", "--encoder", "{out}")
RECIPES = {
    name: Entry(
        *described,
        "audiate.training.tasks.latent_encoder_task",
        next_words=("evaluate", "inversion", *_WHICH),
        own_words=("invert", "{data}", *_WHICH),
    )
    for name, described in _MODELS.items()
}
