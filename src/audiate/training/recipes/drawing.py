"""Recipes of audio-to-image models: VAE, VAE-GAN and latent flow."""

from dataclasses import dataclass
from typing import Literal

from audiate.errors import InputError
from audiate.models.configs import MIN_SIZE, check_image
from audiate.training.recipes.base import BY_THE_PAPER, Entry
from audiate.training.recipes.paired import PairedRecipe


@dataclass(frozen=True)
class DrawingRecipe(PairedRecipe):
    """Settings that the trainings of all drawing models have in common."""


@dataclass(frozen=True)
class SizedRecipe(DrawingRecipe):
    """Settings of models that draw images of any size, in grey or in colour."""

    image_size: int = 0
    """Height and width of the images of pairs of your own, in pixels: a multiple of 4 from 28 to
    64. 0: as the pictures are."""
    image_channels: int = 0
    """1 for images in grey, 3 for colour, of pairs of your own. 0: as the pictures are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image(self.image_size or MIN_SIZE, self.image_channels or 1)
        if self.pairs is None and (self.image_size or self.image_channels):
            raise InputError(
                "`image_size` and `image_channels`: written digits are grey images of 28x28; leave "
                "them out, or give `pairs` of your own"
            )


@dataclass(frozen=True)
class VAERecipe(SizedRecipe):
    """The audio-to-image VAE on FSDD and MNIST, paired by digit; training uses no label."""

    batch_size: int = 128
    """Number of recordings in a batch."""
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


@dataclass(frozen=True)
class VAEGANRecipe(DrawingRecipe):
    """The audio-to-image VAE-GAN on FSDD and MNIST, paired by digit; training uses no label."""

    epochs: int = 2
    """Number of passes over as many images as there are train pairs."""
    images_per_recording: int = 4
    """Number of images that are drawn of each recording in a batch."""
    learning_rate: float = 3e-4
    """Peak of Adam's learning rate, for both networks."""
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    """Course of the learning rate."""
    augment: bool = False
    """Vary the voice, pace, colour and noise of recordings at random, which makes learning
    slower."""
    alpha: float = 0.2
    """Weight of the reconstruction loss. A larger one makes drawings truer and more alike. Paper:
    0.2."""
    beta: float = 0.5
    """Weight of the divergence of q(z|x) from the prior. With a larger one, drawings depend less on
    the sound. Paper: 0.5. With alpha and beta 0, drawings do not depend on the sound at all: this
    is a plain GAN, whose z is drawn from the prior."""
    kl_warmup_epochs: float = 0.25
    """Number of epochs in which that weight rises from zero."""
    adversarial_weight: float = 10.0
    """Weight of the adversarial loss, against nats summed over pixels and over latent dimensions. A
    larger one makes drawings sharper and more varied. The paper does not say what it sums or
    averages over."""
    instance_noise: float = 0.5
    """Standard deviation of the noise on all images that the discriminator sees, for grey levels in
    [0, 1]."""
    adam_beta1: float = 0.5
    """First decay rate of Adam. It is 0.5 since Radford et al. 2016."""
    initialisation: Literal["scaled", "pytorch"] = "scaled"
    """Initial weights. scaled: images are as dark as real ones, and q(z|x) is sharp, from the
    start. pytorch: PyTorch's own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_recordings(least=1)


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
"""The settings of Żelaszczyk 2020 as far as it states them: epochs, batch size, learning rate,
alpha and beta. The rest is the plainest choice, except that the generator maximises log D(G(z)),
and that the discriminator then uses its running statistics: see
`audiate.training.tasks.vaegan_task`."""


@dataclass(frozen=True)
class LatentFlowRecipe(SizedRecipe):
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


_PAIRED = "on spoken and written digits, paired."
_FLOW = "The latent flow: many different drawings of a spoken digit."
_MODELS = {
    "vae": (VAERecipe(), f"The audio-to-image VAE {_PAIRED}", "vae_task"),
    "vae-paper": (VAE_PAPER, f"The VAE {BY_THE_PAPER}", "vae_task"),
    "vaegan": (VAEGANRecipe(), f"The audio-to-image VAE-GAN {_PAIRED}", "vaegan_task"),
    "vaegan-paper": (VAEGAN_PAPER, f"The VAE-GAN {BY_THE_PAPER}", "vaegan_task"),
    "latent-flow": (LatentFlowRecipe(), _FLOW, "latent_flow_task"),
}
_DRAW = ("draw", "CLIP", "--model", "{out}")
RECIPES = {
    name: Entry(recipe, description, f"audiate.training.tasks.{task}", own_words=_DRAW)
    for name, (recipe, description, task) in _MODELS.items()
}
