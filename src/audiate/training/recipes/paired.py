"""Settings that all recipes share that learn from pairs of sounds and images."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audiate.configs import LogMelConfig
from audiate.datasets.sources import Speaker
from audiate.errors import InputError, check_range
from audiate.training.recipes.common import ENDLESS, Prepared, Recipe, check_common

if TYPE_CHECKING:
    import torch

    from audiate.datasets.pairs import Pairs
    from audiate.training.task import Shard, Task


@dataclass(frozen=True)
class PairedRecipe(Recipe):
    """Settings that all trainings on pairs have in common; none uses any label."""

    epochs: int = 3
    """Number of passes over the 60,000 train pairs."""
    batch_size: int = 128
    """Number of images in a batch; for the VAE, number of recordings."""
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
    holds sounds and pictures of one thing, or a CSV file with the columns sound and image. Pictures
    are brought to 28x28."""
    seed: int = 0
    """Seed of the split, the pairing, the initial weights and all noise."""
    held_out_speaker: Speaker | None = None
    """Speaker of FSDD to test on; training uses the others. The default is a random split."""

    def __post_init__(self) -> None:
        check_range("`epochs`", self.epochs, 1, ENDLESS)
        check_common(self.batch_size, self.learning_rate, self.seed)
        check_range("`images_per_recording`", self.images_per_recording, 1, 1000)
        if self.pairs is not None and self.held_out_speaker is not None:
            raise InputError("`held_out_speaker`: your own `pairs` have none; leave it out")

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

    def prepare(self, root: Path) -> Prepared:
        """Pair recordings of FSDD, and of Speech Commands if asked for, with MNIST.

        With `pairs`, these take their place.
        """
        from audiate.datasets.own_pairs import list_own_pairs
        from audiate.datasets.pairs import list_pairs

        rate = LogMelConfig().sample_rate
        if self.pairs is not None:
            own = list_own_pairs(Path(self.pairs))
            return Prepared(
                own.digest,
                lambda device, shard: self.task(
                    own.read(sample_rate=rate, seed=self.seed), device, shard
                ),
            )
        listed = list_pairs(root, speech_commands=self.speech_commands)

        def make_task(device: torch.device, shard: Shard) -> Task:
            pairs = listed.read(
                sample_rate=rate,
                seed=self.seed,
                held_out_speaker=self.held_out_speaker,
            )
            return self.task(pairs.train, device, shard)

        return Prepared(listed.digest, make_task)

    @abstractmethod
    def task(self, pairs: Pairs, device: torch.device, shard: Shard) -> Task:
        """Build the task on these pairs."""
