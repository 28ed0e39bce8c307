"""Recipes of the audio-to-image VAE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from audiate.errors import check_range
from audiate.training.recipes.common import ENDLESS, Entry
from audiate.training.recipes.drawing import DrawingRecipe

if TYPE_CHECKING:
    import torch

    from audiate.datasets.pairs import Pairs
    from audiate.training.task import Shard, Task


@dataclass(frozen=True)
class VAERecipe(DrawingRecipe):
    """The audio-to-image VAE on FSDD and MNIST, paired by digit; training uses no label."""

    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """Course of the learning rate."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    kl_weight: float = 0.1
    """Weight of the divergence of q(z|x) from the prior, where one nat of likelihood weighs 1."""
    kl_warmup_epochs: float = 1.0
    """Number of epochs in which that weight rises from zero."""
    initialisation: Literal["he", "pytorch"] = "he"
    """Initial weights. he: signals keep their size (He et al. 2015), and q(z|x) is sharp. pytorch:
    PyTorch's own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("`weight_decay`", self.weight_decay, 0, 1)
        check_range("`kl_weight`", self.kl_weight, 0, ENDLESS)
        check_range("`kl_warmup_epochs`", self.kl_warmup_epochs, 0, ENDLESS)

    def task(self, pairs: Pairs, device: torch.device, shard: Shard) -> Task:
        """Build the task on these pairs."""
        from audiate.training.tasks.vae import VAETask

        return VAETask(self, pairs, device, shard)


VAE_PAPER = VAERecipe(
    epochs=100,
    images_per_recording=1,
    schedule="constant",
    weight_decay=0.0,
    kl_weight=1.0,
    kl_warmup_epochs=0.0,
    augment=False,
    initialisation="pytorch",
)
"""The settings of Żelaszczyk 2020 as far as it states them: epochs, batch size and learning rate.
The rest is the plainest choice: Adam, pixel likelihood and divergence summed and weighted alike,
and PyTorch's initial weights."""

RECIPES = {
    "vae": Entry(VAERecipe(), "The audio-to-image VAE on spoken and written digits, paired."),
    "vae-paper": Entry(VAE_PAPER, "The VAE with the paper's settings, as far as it states them."),
}
