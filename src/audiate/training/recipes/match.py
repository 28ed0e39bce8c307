"""The recipe of the two towers in which sounds and images find each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from audiate.errors import check_range
from audiate.hub import DEFAULT_DRAWER
from audiate.training.recipes.common import Entry
from audiate.training.recipes.paired import PairedRecipe

if TYPE_CHECKING:
    import torch

    from audiate.datasets.pairs import Pairs
    from audiate.training.task import Shard, Task


@dataclass(frozen=True)
class MatchRecipe(PairedRecipe):
    """Two towers on FSDD, Speech Commands and MNIST, paired by digit; they use no label."""

    epochs: int = 4
    """Number of passes over as many images as there are train pairs."""
    batch_size: int = 128
    """Number of images in a batch."""
    images_per_recording: int = 4
    """Number of images that are learnt from at a time, of those that are paired with a
    recording."""
    learning_rate: float = 3e-3
    """Peak of the learning rate."""
    weight_decay: float = 0.05
    """Weight decay of AdamW."""
    loss: Literal["correspondence", "contrast"] = "correspondence"
    """What is learnt. correspondence: to tell for each pair of a batch whether it is one of those
    that belong together. contrast: to tell for each image which sound of the batch is its own, and
    for each sound which images are."""
    ears: str = DEFAULT_DRAWER
    """Latent flow whose condition network hears for the tower of sounds, and is not changed: a
    shipped name, a folder or a hub id. With none, ears are trained from the start."""
    speech_commands: bool = True
    """Train on the train clips of Speech Commands as well as on FSDD."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_recordings(least=2)  # a single one has nothing to be told from
        check_range("`weight_decay`", self.weight_decay, 0, 1)

    def next_command(self, out: str) -> list[str]:
        """The words of a command that a user may try: `match` with pairs of their own."""
        words = ["match", "SOUNDS", "IMAGES", "--model", out]
        return words if self.pairs else super().next_command(out)

    def task(self, pairs: Pairs, device: torch.device, shard: Shard) -> Task:
        """Build the task on these pairs."""
        from audiate.training.tasks.match import MatchTask

        return MatchTask(self, pairs, device, shard)


RECIPES = {
    "match": Entry(MatchRecipe(), "Two towers in which sounds and images find each other."),
}
