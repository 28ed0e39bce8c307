"""The recipe of the latent flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiate.errors import check_range
from audiate.training.recipes.common import Entry
from audiate.training.recipes.drawing import DrawingRecipe

if TYPE_CHECKING:
    import torch

    from audiate.datasets.pairs import Pairs
    from audiate.training.task import Shard, Task


@dataclass(frozen=True)
class LatentFlowRecipe(DrawingRecipe):
    """The latent flow on FSDD, Speech Commands and MNIST, paired by digit; it uses no label."""

    epochs: int = 100
    """Number of passes over as many images as there are train pairs."""
    batch_size: int = 512
    """Number of images in a batch."""
    learning_rate: float = 2e-3
    """Peak of the learning rate of autoencoder and flow; the condition network's is 1.5 times as
    high."""
    weight_decay: float = 0.05
    """Weight decay of AdamW for the condition network. For the other networks it is 0.01."""
    condition_share: float = 0.32
    """Share of the steps in which the condition network and the autoencoder learn. In the others,
    which come afterwards, the flow learns."""
    speech_commands: bool = True
    """Train on the train clips of Speech Commands as well as on FSDD."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_recordings(least=2)  # a single one has no batch statistics
        check_range("`weight_decay`", self.weight_decay, 0, 1)
        check_range("`condition_share`", self.condition_share, 0.01, 0.99)

    def task(self, pairs: Pairs, device: torch.device, shard: Shard) -> Task:
        """Build the task on these pairs."""
        from audiate.training.tasks.flow import LatentFlowTask

        return LatentFlowTask(self, pairs, device, shard)


RECIPES = {
    "latent-flow": Entry(
        LatentFlowRecipe(), "The latent flow: many different drawings of a spoken digit."
    ),
}
