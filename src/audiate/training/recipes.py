"""What each training does, as plain values. The command line is made from these classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from audiate.errors import InputError, check_range

Speaker = Literal["jackson", "nicolas", "theo", "yweweler"]
SPEAKERS: tuple[Speaker, ...] = get_args(Speaker)


WAVEGAN_LENGTHS = (16_384, 32_768, 65_536)

_ENDLESS = float("inf")


def _check_common(recipe: LeNetRecipe | DrawingRecipe | DigitClassifierRecipe) -> None:
    check_range("--epochs", recipe.epochs, 1, _ENDLESS)
    check_range("--batch-size", recipe.batch_size, 1, 60_000)
    check_range("--learning-rate", recipe.learning_rate, 0, 1)
    check_range("--seed", recipe.seed, 0, 2**63 - 1)


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
        _check_common(self)
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
        _check_common(self)
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
        check_range("--alpha", self.alpha, 0, _ENDLESS)
        check_range("--beta", self.beta, 0, _ENDLESS)
        check_range("--kl-warmup-epochs", self.kl_warmup_epochs, 0, _ENDLESS)
        check_range("--adversarial-weight", self.adversarial_weight, 0, _ENDLESS)
        check_range("--instance-noise", self.instance_noise, 0, _ENDLESS)
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


@dataclass(frozen=True)
class DigitClassifierRecipe:
    """ResNet-18 on spoken digits: the judge of generated and recovered speech."""

    epochs: int = 16
    """Passes over as many clips as there are."""
    batch_size: int = 64
    """Clips a step."""
    learning_rate: float = 2e-3
    """Peak of the one-cycle schedule."""
    weight_decay: float = 0.05
    """AdamW's."""
    spectrogram: Literal["log", "real"] = "log"
    """What it sees: log for levels in decibels, real for the real part, as in the paper."""
    data: str = "speech_commands+fsdd"
    """Data sets of spoken digits, with + between them; each is heard as often."""
    held_out_speaker: Speaker | None = None
    """Train without this FSDD speaker, to be tested on that one."""
    seed: int = 0
    """Of initial weights, order and augmentation."""

    def __post_init__(self) -> None:
        _check_common(self)
        check_range("--weight-decay", self.weight_decay, 0, 1)
        if self.held_out_speaker is not None and "fsdd" not in self.data.split("+"):
            raise InputError(
                f"--held-out-speaker {self.held_out_speaker}: speaks in fsdd, which --data "
                f"{self.data} does without; add it, or leave the flag out"
            )


@dataclass(frozen=True)
class AudioGANRecipe:
    """What the trainings of WaveGAN and SpecGAN have in common."""

    steps: int = 10_000
    """Updates of the generator."""
    batch_size: int = 64
    """Clips a step."""
    learning_rate: float = 2e-4
    """Adam's, of both networks."""
    adam_beta1: float = 0.5
    """Adam's first decay rate."""
    adam_beta2: float = 0.99
    """Adam's second decay rate."""
    objective: Literal["r1", "wgan-gp"] = "r1"
    """r1: non-saturating, with a penalty on the gradient at real clips. wgan-gp: Wasserstein, with
    a penalty on the gradient between real and drawn clips, as published."""
    penalty: float = 1.0
    """Weight of the gradient penalty: gamma / 2 of R1, lambda of WGAN-GP."""
    penalty_every: int = 16
    """Steps between gradient penalties, which then count so much the more."""
    critic_updates: int = 1
    """Updates of the discriminator for each of the generator."""
    average_halflife: float = 250.0
    """Steps in which half of the generator's moving average is renewed; 0: no average."""
    initialisation: Literal["scaled", "published"] = "scaled"
    """Initial weights. scaled: signals keep their size (He). published: Glorot's."""
    use_labels: bool = True
    """Where clips have labels, have the discriminator check that the largest of the first entries
    of z says which one is heard."""
    normalise: bool = True
    """Bring all clips to one peak level."""
    data: str = "speech_commands+fsdd"
    """Data sets of spoken digits, with + between them, or a folder of sounds."""
    sample_rate: int | None = None
    """In Hz. Default: 16,000 for spoken digits, and for a folder what its files have."""
    num_samples: int = 16_384
    """Samples of a clip."""
    channels: int = 1
    """1 for mono, 2 for stereo."""
    latent_dim: int = 100
    """Numbers in a latent."""
    dim: int = 64
    """Width of the networks: channels of the discriminator's first layer."""
    batch_norm: bool = True
    """Normalise the generator's hidden layers."""
    init: str | None = None
    """Go on from the weights of this model: a shipped name, a folder or a hub id."""
    preview_every: int = 250
    """Steps between previews, alarms, and copies of the last good model."""
    seed: int = 0
    """Of initial weights, order and latents."""

    def __post_init__(self) -> None:
        check_range("--steps", self.steps, 1, _ENDLESS)
        check_range("--batch-size", self.batch_size, 1, 60_000)
        check_range("--learning-rate", self.learning_rate, 0, 1)
        check_range("--adam-beta1", self.adam_beta1, 0, 0.9999)
        check_range("--adam-beta2", self.adam_beta2, 0, 0.9999)
        check_range("--penalty", self.penalty, 0, _ENDLESS)
        check_range("--penalty-every", self.penalty_every, 1, 10_000)
        check_range("--critic-updates", self.critic_updates, 1, 100)
        check_range("--average-halflife", self.average_halflife, 0, _ENDLESS)
        check_range("--channels", self.channels, 1, 2)
        check_range("--num-samples", self.num_samples, 256, 10**7)
        check_range("--latent-dim", self.latent_dim, 1, 100_000)
        check_range("--dim", self.dim, 1, 1024)
        if self.sample_rate is not None:
            check_range("--sample-rate", self.sample_rate, 100, 10**7)
        if not self.data:
            raise InputError("--data: is empty; name data sets of spoken digits, or a folder")
        check_range("--preview-every", self.preview_every, 1, _ENDLESS)
        check_range("--seed", self.seed, 0, 2**63 - 1)


@dataclass(frozen=True)
class WaveGANRecipe(AudioGANRecipe):
    """WaveGAN on spoken digits, or on a folder of your own."""

    steps: int = 12_000
    """Updates of the generator."""
    batch_size: int = 32
    """Clips a step."""
    dim: int = 32
    """Width of the networks: channels of the discriminator's first layer."""
    phase_shuffle: int = 2
    """Samples by which the discriminator's activations are shifted at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_samples not in WAVEGAN_LENGTHS:
            known = ", ".join(map(str, WAVEGAN_LENGTHS))
            raise InputError(f"--num-samples {self.num_samples}: WaveGAN makes one of {known}")
        check_range("--phase-shuffle", self.phase_shuffle, 0, 60)


@dataclass(frozen=True)
class SpecGANRecipe(AudioGANRecipe):
    """SpecGAN on spoken digits, or on a folder of your own."""

    steps: int = 6_000
    """Updates of the generator."""
    size: Literal[64, 128] = 64
    """Frames of a spectrogram, and bands."""
    bands: Literal["linear", "mel"] = "mel"
    """Of the spectrogram."""
    frame_length: int = 1024
    """Of the Fourier transform, in samples."""
    kernel: Literal[4, 5] = 4
    """Of the convolutions."""
    iterations: int = 8
    """Of the algorithm that finds the phases (Griffin and Lim)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("--iterations", self.iterations, 1, 10_000)


_PAPER: dict[str, Any] = {
    "steps": 200_000,
    "learning_rate": 1e-4,
    "adam_beta2": 0.9,
    "objective": "wgan-gp",
    "penalty": 10.0,
    "penalty_every": 1,
    "critic_updates": 5,
    "average_halflife": 0.0,
    "initialisation": "published",
    "use_labels": False,
    "normalise": False,
    "data": "speech_commands",
    "batch_size": 64,
    "dim": 64,
    "batch_norm": False,
}
WAVEGAN_PAPER = WaveGANRecipe(**_PAPER)
"""Donahue et al. 2019, table 6."""
SPECGAN_PAPER = SpecGANRecipe(
    size=128, bands="linear", frame_length=256, kernel=5, iterations=16, **_PAPER
)
"""Donahue et al. 2019, table 6 and section 3.2."""

Recipe = LeNetRecipe | DrawingRecipe | DigitClassifierRecipe | AudioGANRecipe

RECIPES: dict[str, Recipe] = {
    "lenet": LeNetRecipe(),
    "vae": VAERecipe(),
    "vae-paper": VAE_PAPER,
    "vaegan": VAEGANRecipe(),
    "vaegan-paper": VAEGAN_PAPER,
    "latent-flow": LatentFlowRecipe(),
    "digit-classifier": DigitClassifierRecipe(),
    "wavegan": WaveGANRecipe(),
    "wavegan-paper": WAVEGAN_PAPER,
    "specgan": SpecGANRecipe(),
    "specgan-paper": SPECGAN_PAPER,
}
