"""Recipes of models that learn from pairs of sounds and images."""

from dataclasses import dataclass
from typing import Literal

from audiate.data.sources import Speaker
from audiate.errors import InputError
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, DEFAULT_DUAL_ENCODER, DEFAULT_GENERATOR
from audiate.training.recipes.base import Entry, Recipe
from audiate.training.recipes.codecs import CodecFlowRecipe

LEAST_STEPS = 100
"""Least number of updates in an epoch of a user's own pairs: of a few hundred pairs, a single pass
is too short to be counted in."""


@dataclass(frozen=True)
class PairedRecipe(Recipe):
    """Settings that all trainings on pairs have in common; none uses any label."""

    epochs: int = 3
    """Number of passes over the 60,000 train pairs. An epoch of pairs of your own is as many passes
    as make 100 updates, or one."""
    batch_size: int = 128
    """Number of images in a batch."""
    images_per_recording: int = 16
    """Number of images that are learnt from at a time, of those that are paired with a
    recording."""
    learning_rate: float = 1e-3
    """Peak of the learning rate."""
    augment: bool = True
    """Vary the voice, pace, colour and noise of recordings at random."""
    speech_commands: bool = False
    """Train on the train clips of Speech Commands as well as on FSDD."""
    pairs: str | None = None
    """Pairs of your own, in place of spoken and written digits: a folder, each sub-folder of which
    holds sounds and pictures of one thing, or a CSV file with the columns sound and image."""
    seed: int = 0
    """Seed of the split, the pairing, the initial weights and all noise."""
    held_out_speaker: Speaker | None = None
    """Speaker of FSDD to test on; training uses the others. The default is a random split."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pairs is not None and self.held_out_speaker is not None:
            raise InputError("`held_out_speaker`: your own `pairs` have none; leave it out")

    @property
    def least_steps(self) -> int:
        """Least number of updates in an epoch."""
        return 1 if self.pairs is None else LEAST_STEPS

    def check_recordings(self, least: int) -> None:
        """Make sure that a batch holds ``least`` recordings.

        Raises:
            InputError: It holds fewer.

        """
        if self.batch_size < least * self.images_per_recording:
            raise InputError(
                f"`images_per_recording` {self.images_per_recording}: a batch of "
                f"{self.batch_size} images is to hold {least} or more recordings; lower it, or "
                f"raise `batch_size`"
            )


@dataclass(frozen=True)
class SayRecipe(CodecFlowRecipe, PairedRecipe):
    """A flow from images to latents of a codec; it learns from pairs alone."""

    epochs: int = 16
    """Number of passes over the train images."""
    images_per_recording: int = 1
    """Has no effect here: each image is learnt from with its own recording."""
    speech_commands: bool = True
    """Train on the train clips of Speech Commands as well as on FSDD."""
    codec: str = DEFAULT_GENERATOR
    """Codec whose latents are learnt: a shipped model's name, the folder of a run or a model, or a
    Hugging Face hub id; or a flow of sound, whose codec is taken."""
    matcher: str = DEFAULT_DUAL_ENCODER
    """Dual encoder whose image encoder is the condition network: a shipped name, a folder or a hub
    id, as `audiate train match` makes it."""
    width: int = 256
    """Number of channels of the velocity network, a multiple of 64."""
    guidance: float = 1.5
    """Guidance of the finished model, which may be changed after the training, too."""


@dataclass(frozen=True)
class MatchRecipe(PairedRecipe):
    """A dual encoder on FSDD, Speech Commands and MNIST, paired by digit; it uses no label."""

    epochs: int = 4
    """Number of passes over as many images as there are train pairs."""
    images_per_recording: int = 4
    """Number of images that are learnt from at a time, of those that are paired with a
    recording."""
    learning_rate: float = 3e-3
    """Peak of the learning rate."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    loss: Literal["correspondence", "contrast"] = "correspondence"
    """Loss. correspondence: classify each pair of a batch as one that belongs together or not.
    contrast: find the sound of each image in the batch, and the images of each sound."""
    ears: str = DEFAULT_AUDIO_TO_IMAGE
    """Latent flow whose condition network serves as the audio encoder, and is not changed: a
    shipped name, a folder or a hub id. With none, an audio encoder is trained from the start."""
    speech_commands: bool = True
    """Train on the train clips of Speech Commands as well as on FSDD."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_recordings(least=2)  # a single one has nothing to be compared with


RECIPES = {
    "say": Entry(
        SayRecipe(),
        "An image-to-audio model: many voices for a written digit.",
        "audiate.training.tasks.image_to_audio_task",
        ("say", "PICTURE", "--model", "{out}"),
    ),
    "match": Entry(
        MatchRecipe(),
        "A dual encoder, which scores how well sounds and images match.",
        "audiate.training.tasks.dual_encoder_task",
        own_words=("match", "SOUNDS", "IMAGES", "--model", "{out}"),
    ),
}
