"""Recipes of what draws, and of the judge of drawings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audiate.errors import InputError, check_range
from audiate.training.recipes.common import ENDLESS, Speaker, check_common


def _check_recordings(recipe: DrawingRecipe, *, least: int) -> None:
    """A batch must hold ``least`` recordings."""
    if recipe.batch_size < least * recipe.images_per_recording:
        raise InputError(
            f"--images-per-recording {recipe.images_per_recording}: a batch of "
            f"{recipe.batch_size} images is to hold {least} or more recordings; lower it, or "
            f"raise --batch-size"
        )


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
        check_range("--epochs", self.epochs, 1, ENDLESS)
        check_common(self.batch_size, self.learning_rate, self.seed)
        check_range("--weight-decay", self.weight_decay, 0, 1)


@dataclass(frozen=True)
class DrawingRecipe:
    """What the trainings of all drawing models have in common; no label is seen in any."""

    epochs: int = 3
    """Passes over the 60,000 train pairs."""
    batch_size: int = 128
    """Images a step; of the VAE, recordings a step."""
    images_per_recording: int = 16
    """Learn from this many of the images that were heard with a recording at a time."""
    learning_rate: float = 1e-3
    """Peak of the schedule."""
    augment: bool = True
    """Vary voice, pace, colour and noise of what is heard."""
    speech_commands: bool = False
    """Hear the train clips of Speech Commands as well as FSDD."""
    seed: int = 0
    """Of the split, the pairing, initial weights and all noise."""
    held_out_speaker: Speaker | None = None
    """Train without this FSDD speaker, to be tested on that one; in place of the random split."""

    def __post_init__(self) -> None:
        check_range("--epochs", self.epochs, 1, ENDLESS)
        check_common(self.batch_size, self.learning_rate, self.seed)
        check_range("--images-per-recording", self.images_per_recording, 1, 1000)


@dataclass(frozen=True)
class VAERecipe(DrawingRecipe):
    """The audio-to-image VAE on FSDD and MNIST, paired by digit; no label is seen in training."""

    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """How the learning rate runs."""
    weight_decay: float = 0.01
    """AdamW's."""
    kl_weight: float = 0.1
    """Of the divergence of q(z|x) from the prior, against one nat of likelihood."""
    kl_warmup_epochs: float = 1.0
    """Epochs in which that weight rises from zero."""
    initialisation: Literal["he", "pytorch"] = "he"
    """Initial weights: see `audiate.training.tasks.vae.initialise`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("--weight-decay", self.weight_decay, 0, 1)
        check_range("--kl-weight", self.kl_weight, 0, ENDLESS)
        check_range("--kl-warmup-epochs", self.kl_warmup_epochs, 0, ENDLESS)


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


@dataclass(frozen=True)
class VAEGANRecipe(DrawingRecipe):
    """The audio-to-image VAE-GAN on FSDD and MNIST, paired by digit; it sees no label."""

    epochs: int = 2
    """Passes over as many images as there are train pairs."""
    images_per_recording: int = 4
    """Images drawn of each recording in a batch."""
    learning_rate: float = 3e-4
    """Adam's, of both networks: the peak of the schedule."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """How the learning rate runs."""
    augment: bool = False
    """Vary voice, pace, colour and noise of what is heard: more to learn, and slower."""
    alpha: float = 0.2
    """Weight of the reconstruction loss: more of it, truer and more alike drawings. Paper: 0.2."""
    beta: float = 0.5
    """Weight of the divergence of q(z|x) from the prior: more of it, less heard. Paper: 0.5. With
    alpha and beta 0 there is nothing to hear for: a plain GAN, whose z is drawn from the prior."""
    kl_warmup_epochs: float = 0.25
    """Epochs in which that weight rises from zero."""
    adversarial_weight: float = 10.0
    """Of the adversarial loss, against nats summed over pixels and over latent dimensions: more of
    it, sharper and more varied drawings. The paper does not say what it sums or averages over."""
    instance_noise: float = 0.5
    """Deviation of the noise on all that the discriminator sees, of grey levels in [0, 1]."""
    adam_beta1: float = 0.5
    """Adam's first decay rate; 0.5 since Radford et al. 2016."""
    initialisation: Literal["scaled", "pytorch"] = "scaled"
    """Initial weights. scaled: images as dark as real ones and a sharp q(z|x) from the start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_recordings(self, least=1)
        check_range("--alpha", self.alpha, 0, ENDLESS)
        check_range("--beta", self.beta, 0, ENDLESS)
        check_range("--kl-warmup-epochs", self.kl_warmup_epochs, 0, ENDLESS)
        check_range("--adversarial-weight", self.adversarial_weight, 0, ENDLESS)
        check_range("--instance-noise", self.instance_noise, 0, ENDLESS)
        check_range("--adam-beta1", self.adam_beta1, 0, 0.999)


VAEGAN_PAPER = VAEGANRecipe(
    epochs=100,
    images_per_recording=1,
    learning_rate=2e-4,
    schedule="constant",
    kl_warmup_epochs=0.0,
    adversarial_weight=1.0,
    instance_noise=0.0,
    adam_beta1=0.9,
    initialisation="pytorch",
)
"""Epochs, batch size, learning rate, alpha and beta are the paper's; the rest is the plainest, but
that the generator maximises log D(G(z)) and is judged by the discriminator's running statistics:
see `audiate.training.tasks.vaegan`."""


@dataclass(frozen=True)
class LatentFlowRecipe(DrawingRecipe):
    """The latent flow on FSDD, Speech Commands and MNIST, paired by digit; it sees no label."""

    epochs: int = 100
    """Passes over as many images as there are train pairs."""
    batch_size: int = 512
    """Images a step."""
    learning_rate: float = 2e-3
    """Peak of the schedule of autoencoder and flow; the listener's is 1.5 times as high."""
    weight_decay: float = 0.05
    """AdamW's, of the listener; 0.01 for the rest."""
    listening_share: float = 0.32
    """Of the steps: first the listener and the autoencoder learn, then the flow."""
    speech_commands: bool = True
    """Hear the train clips of Speech Commands as well as FSDD."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_recordings(self, least=2)  # of one there is no batch statistic
        check_range("--weight-decay", self.weight_decay, 0, 1)
        check_range("--listening-share", self.listening_share, 0.01, 0.99)
