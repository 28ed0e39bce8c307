"""What each training does, as plain values. The command line is made from these classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from audiate.errors import check_range

Speaker = Literal["jackson", "nicolas", "theo", "yweweler"]
SPEAKERS: tuple[Speaker, ...] = get_args(Speaker)


_ENDLESS = float("inf")


def _check_common(recipe: LeNetRecipe | VAERecipe) -> None:
    check_range("--epochs", recipe.epochs, 1, _ENDLESS)
    check_range("--batch-size", recipe.batch_size, 1, 60_000)
    check_range("--learning-rate", recipe.learning_rate, 0, 1)
    check_range("--weight-decay", recipe.weight_decay, 0, 1)
    check_range("--seed", recipe.seed, 0, 2**63 - 1)


@dataclass(frozen=True)
class LeNetRecipe:
    """LeNet-5 on the 60,000 MNIST train images, randomly rotated, scaled, sheared and shifted."""

    epochs: int = 15
    """Passes over the train images."""
    batch_size: int = 256
    """Images a step."""
    learning_rate: float = 6e-3
    """Peak of the one-cycle schedule."""
    weight_decay: float = 0.01
    """AdamW's."""
    seed: int = 0
    """Of initial weights, order and augmentation."""

    def __post_init__(self) -> None:
        _check_common(self)


@dataclass(frozen=True)
class VAERecipe:
    """The audio-to-image VAE on FSDD and MNIST, paired by digit; no label is seen in training."""

    epochs: int = 3
    """Passes over the 60,000 train pairs."""
    batch_size: int = 128
    """Pairs a step."""
    images_per_recording: int = 16
    """Average each pair's image with others that were heard with the same recording."""
    learning_rate: float = 1e-3
    """Peak of the schedule."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """How the learning rate runs."""
    weight_decay: float = 0.01
    """AdamW's."""
    kl_weight: float = 0.1
    """Of the divergence of q(z|x) from the prior, against one nat of likelihood."""
    kl_warmup_epochs: float = 1.0
    """Epochs in which that weight rises from zero."""
    augment: bool = True
    """Vary voice, pace, room and noise of what is heard."""
    initialisation: Literal["he", "pytorch"] = "he"
    """Initial weights: see `audiate.training.tasks.vae.initialise`."""
    seed: int = 0
    """Of the split, the pairing, initial weights and all noise."""
    held_out_speaker: Speaker | None = None
    """Train without this FSDD speaker, to be tested on that one; in place of the random split."""

    def __post_init__(self) -> None:
        _check_common(self)
        check_range("--images-per-recording", self.images_per_recording, 1, 1000)
        check_range("--kl-weight", self.kl_weight, 0, _ENDLESS)
        check_range("--kl-warmup-epochs", self.kl_warmup_epochs, 0, _ENDLESS)


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
"""Epochs, batch size and learning rate are the paper's; what it leaves open is the plainest choice:
Adam, pixel likelihood and divergence summed and weighted alike, PyTorch's initial weights."""

RECIPES: dict[str, LeNetRecipe | VAERecipe] = {
    "lenet": LeNetRecipe(),
    "vae": VAERecipe(),
    "vae-paper": VAE_PAPER,
}
