"""Recipes of the codec of speech, and of the latent flow of sound."""

from dataclasses import dataclass, field

from audiate.models.configs import CodecConfig, CodeConfig
from audiate.models.hub import DEFAULT_GENERATOR
from audiate.training.recipes.base import (
    Entry,
    Perturbation,
    Recipe,
    SoundFiles,
    StepRecipe,
    WordFiles,
    WordGroupSettings,
)


@dataclass(frozen=True)
class CodecRecipe(StepRecipe, SoundFiles):
    """The codec of speech, on spoken digits or a folder of your own.

    It uses no label but to draw as many clips of each.
    """

    steps: int = 20_000
    batch_size: int = 8
    """Number of clips of 1.024 s in a batch, each of which holds one or more words."""
    learning_rate: float = 1e-3
    """Peak of the learning rate of AdamW. The discriminators' is a fifth of it."""
    kl_weight: float = 5e-3
    """Weight of the divergence of q(latents | clip) from the prior, a mean over all latents."""
    adversarial_share: float = 0.3
    """Share of the steps, the last ones, in which discriminators take part."""
    speed_perturbation: tuple[float, ...] = (0.88, 0.94, 1.06, 1.13)
    """Train on every clip at these multiples of its speed, too (Ko et al. 2015)."""
    network: CodecConfig = field(default_factory=CodecConfig)
    """Sizes of the network."""

    def __post_init__(self) -> None:
        super().__post_init__()
        Perturbation(self.speed_perturbation)


@dataclass(frozen=True)
class CodecFlowRecipe(Recipe):
    """Settings that all flows over the latents of a codec have in common."""

    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    average_halflife: float = 300.0
    """Number of steps in which half of the weights' moving average is renewed."""
    speed_perturbation: tuple[float, ...] = (0.88, 0.94, 1.06, 1.13)
    """Train on every recording at these multiples of its speed, too (Ko et al. 2015)."""
    shift: int = 2_500
    """Largest number of samples by which a recording is moved, earlier or later; at most a quarter
    of a clip's."""
    width: int = 320
    """Number of channels of the velocity network, a multiple of 64."""
    blocks: int = 5
    """Number of its blocks."""
    dropout: float = 0.1
    """Share of what each block adds that is left out in training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        Perturbation(self.speed_perturbation, self.shift)


@dataclass(frozen=True)
class SoundFlowRecipe(CodecFlowRecipe, StepRecipe, WordFiles):
    """Settings that all trainings of a `SpeechFlow` have in common."""

    init: str | None = None
    """Flow of sound of the same sizes whose weights training begins with: a shipped name, a folder
    or a hub id. Its labels and codes may differ."""
    codec: str = "runs/codec"
    """The codec, which becomes part of the model: a folder of a run or a model, or a hub id; or a
    flow of sound, whose codec is taken."""
    steps: int = 12_000
    batch_size: int = 128
    learning_rate: float = 1e-3
    """Peak of the learning rate of AdamW."""
    variants: int = 2
    """Number of times that each clip is encoded, moved by another number of samples."""


@dataclass(frozen=True)
class SpeechFlowRecipe(SoundFlowRecipe):
    """The latent flow of sound, on spoken digits or a folder of your own."""

    use_labels: bool = True
    """If clips have labels, draw as many of each, and learn which sound belongs to which label."""


@dataclass(frozen=True)
class CodedFlowRecipe(SoundFlowRecipe, WordGroupSettings):
    """A latent flow of sound with a code for each word. Labels are never used."""

    codes: int = 10
    """Number of codes: the first entries of z, of which one is 1 and the others are 0."""
    codec: str = DEFAULT_GENERATOR
    steps: int = 2_000
    batch_size: int = 64
    width: int = 256
    blocks: int = 4
    speed_perturbation: tuple[float, ...] = ()
    """Train on every recording at these multiples of its speed, too. It changes F0 and formants."""
    shift: int = 800
    """Largest number of samples by which a recording is moved, earlier or later. What moves beyond
    an end of the clip is lost."""
    variants: int = 8

    @property
    def code(self) -> CodeConfig:
        """The code that the first entries of a latent are."""
        return CodeConfig("one-hot", self.codes, "words")


_TASKS = "audiate.training.tasks."
_CODEC = "A codec of speech: recordings to short sequences of latents, and back."
_FLOW = "The latent flow of sound: noise to the codec's latents to waveforms, and back."
_CODED = "A latent flow of sound with a code for each word, on recordings without labels."
RECIPES = {
    "codec": Entry(CodecRecipe(), _CODEC, f"{_TASKS}codec_task"),
    "speech-flow": Entry(
        SpeechFlowRecipe(), _FLOW, f"{_TASKS}speech_flow_task", ("generate", "{out}")
    ),
    "coded-flow": Entry(CodedFlowRecipe(), _CODED, f"{_TASKS}speech_flow_task", ("codes", "{out}")),
}
