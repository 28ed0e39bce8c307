"""Generators of sound: the protocol, and the base class of GANs."""

from abc import abstractmethod
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audiate.errors import InputError, check_whole
from audiate.models.code_network import WordCodeNetwork, decode_codes, encode_codes
from audiate.models.configs import AudioGANConfig, CodeConfig
from audiate.models.gan_layers import Architecture, CodeEncoder, Discriminator, GANGenerator
from audiate.models.hub import DEFAULT_GENERATOR
from audiate.models.pretrained import PretrainedModel


@runtime_checkable
class Generator(Protocol):
    """Anything that turns latents into sound.

    Attributes:
        latent_dim: Number of entries of a latent.
        sample_rate: Sample rate of the sound, in Hz.
        num_samples: Number of samples of a clip.
        channels: Number of channels: 1 for mono, 2 for stereo.
        differentiable: Whether gradients flow from the sound back to the latent. A generator that
            only runs forward is inverted without them.

    """

    latent_dim: int
    sample_rate: int
    num_samples: int
    channels: int
    differentiable: bool

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents (n, latent_dim) from the prior."""
        ...

    def __call__(self, z: Tensor, /) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of latents (batch, latent_dim)."""
        ...


@runtime_checkable
class RecoveringGenerator(Generator, Protocol):
    """A generator that is run backwards, from sounds to latents, as a flow is."""

    def recover(self, waveforms: Tensor) -> Tensor:
        """Latents (batch, latent_dim) of waveforms (batch, channels, num_samples)."""
        ...


@runtime_checkable
class DraftingGenerator(Generator, Protocol):
    """A generator that makes a draft of the sound first, and waveforms of the draft.

    A training can then compare drafts, where that is cheaper than to compare sounds. Every
    `AudioGAN` is one; a generator of your own may be one, too.

    """

    @property
    def phases_matter(self) -> bool:
        """Whether waveforms may be compared sample by sample.

        False where phases are searched for, as those of the original cannot be found again.
        """
        ...

    def draft(self, z: Tensor) -> Tensor:
        """The network's output (batch, ...) for latents (batch, latent_dim)."""
        ...

    def level_distance(self, draft: Tensor, target: Tensor) -> Tensor | None:
        """Distances (batch,) of levels between drafts and waveforms; None: compare the sound."""
        ...

    def render(self, draft: Tensor, *, through_phases: bool = True) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of a draft."""
        ...


def check_latents(z: Tensor, latent_dim: int) -> None:
    """Make sure that z holds latents (batch, latent_dim), as every generator takes them.

    Raises:
        InputError: It is no tensor, has another shape or none, or holds NaN or infinite values.

    """
    if not isinstance(z, Tensor) or z.dim() != 2 or z.shape[1] != latent_dim:
        given = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
        raise InputError(
            f"latents z, {given}: give a tensor (batch, {latent_dim}), such as sample_latent draws"
        )
    if torch.compiler.is_compiling():  # a graph holds no check of values
        return
    if not len(z):
        raise InputError(f"latents z, {tuple(z.shape)}: the batch is empty; give at least one")
    if not z.isfinite().all():
        broken = int((~z.isfinite()).any(1).sum())
        raise InputError(f"latents z: {broken} of {len(z)} hold NaN or infinite values; mend those")


def check_clips(clips: Tensor, generator: Generator) -> None:
    """Make sure that clips have the form of a generator's, (batch, channels, num_samples).

    Raises:
        InputError: They are no tensor of floats, have another shape, or hold NaN.

    """
    shape = (generator.channels, generator.num_samples)
    if not isinstance(clips, Tensor) or not clips.is_floating_point():
        given = clips.dtype if isinstance(clips, Tensor) else type(clips).__name__
        raise InputError(f"clips of {given}: give a tensor of floats in [-1, 1]")
    if clips.dim() and not len(clips):
        raise InputError("the batch is empty; give at least one clip")
    if clips.dim() != 3 or tuple(clips.shape[1:]) != shape:
        raise InputError(
            f"clips {tuple(clips.shape)}: the generator makes (batch, {shape[0]}, {shape[1]}); "
            f"cut or pad them with audiate.fit_length"
        )
    if torch.compiler.is_compiling():  # as in `check_latents`
        return
    if not clips.isfinite().all():
        raise InputError("a clip holds NaN or infinite samples; export it again")


def generate(generator: Generator, z: Tensor) -> Tensor:
    """Run a generator and check what it gives.

    Args:
        generator: Any generator.
        z: Latents (batch, latent_dim), on the generator's device.

    Returns:
        Waveforms (batch, channels, num_samples).

    Raises:
        InputError: The latents are none, or the waveforms have another shape, hold NaN, or are no
            tensor of floats.

    """
    check_latents(z, generator.latent_dim)
    waveforms = generator(z)
    if not isinstance(waveforms, Tensor) or not waveforms.is_floating_point():
        given = waveforms.dtype if isinstance(waveforms, Tensor) else type(waveforms).__name__
        raise InputError(f"the generator gave {given}; have it give a tensor of floats in [-1, 1]")
    expected = (len(z), generator.channels, generator.num_samples)
    if tuple(waveforms.shape) != expected:
        raise InputError(
            f"the generator gave {tuple(waveforms.shape)} for latents {tuple(z.shape)}, but "
            f"(batch, channels, num_samples) is to be {expected}; wrap it with the sizes it has"
        )
    if not waveforms.isfinite().all():
        broken = int((~waveforms.isfinite()).flatten(1).any(1).sum())
        raise InputError(
            f"the generator gave NaN or infinite samples for {broken} of {len(z)} latents; check "
            f"its weights and the range of its prior"
        )
    return waveforms


def device_of(generator: Generator) -> torch.device:
    """The device on which a generator takes its latents: the one on which it draws them."""
    return generator.sample_latent(1, generator=torch.Generator().manual_seed(0)).device


class GeneratorModel(PretrainedModel):
    """A `Generator` of ours, whose sounds may have labels or codes.

    Where `classes` is not 0, sounds have labels: the largest of the first ``classes`` entries of z
    says which sound is meant.

    Where `code` is one, the first entries of z are a code instead, and `code_network` (the
    Q-network of Beguš 2021) recovers it from the sound; it is None where it was not kept.
    """

    refusal: ClassVar[str] = f"does not generate sound; {DEFAULT_GENERATOR} does"
    latent_dim: int
    sample_rate: int
    num_samples: int
    channels: int
    differentiable = True
    classes: int
    names: tuple[str, ...]
    code: CodeConfig
    code_network: nn.Module | None

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words."""
        return f"latent {self.latent_dim} → {self.num_samples:,} samples at {self.sample_rate:,} Hz"

    @abstractmethod
    def prior(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Draw latents (n, latent_dim), all entries of one distribution, on the CPU."""

    def sample_latent(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Draw latents (n, latent_dim) from the prior, and move them to the model's device.

        They are drawn on the CPU, so that a seed gives the same ones wherever the model is. Each
        code is as frequent.

        Args:
            n: Number of latents.
            generator: Source of randomness; torch's global one by default.
            labels: (n,), int64: draw from the prior given these labels, or these codes.

        Raises:
            InputError: The model has no labels and no codes, or one is out of range.

        """
        n = check_whole("n", n, 0, 10**9)
        z = self.prior(n, generator)
        if labels is not None and n:
            labels = checked_labels(labels, n, self.code.count or self.classes)
        if self.code.count:
            if labels is None or not n:
                labels = torch.randint(self.code.count, (n,), generator=generator)
            z[:, : self.code.size] = encode_codes(self.code, labels)
        elif labels is not None and n:
            # All entries have one distribution, so the largest may change places with another one.
            rows, largest = torch.arange(n), self.labels_of(z)
            z[rows, largest], z[rows, labels] = z[rows, labels], z[rows, largest]
        return z.to(self.device)

    def labels_of(self, z: Tensor) -> Tensor:
        """Labels (batch,), int64, that latents (batch, latent_dim) stand for; 0 without classes.

        Where there are codes, these are the numbers of the codes.
        """
        if self.code.count:
            return decode_codes(self.code, z[:, : self.code.size])
        return z[:, : max(self.classes, 1)].argmax(1)

    def _checked(self, z: Tensor) -> Tensor:
        """Latents (batch, latent_dim) in the precision of the weights, checked out of training."""
        if not self.training:
            check_latents(z, self.latent_dim)
        return z.to(next(self.parameters()).dtype)

    @abstractmethod
    def codes_of(self, waveforms: Tensor) -> Tensor:
        """Numbers (batch,), int64, of the codes that the Q-network recovers from waveforms.

        Raises:
            InputError: The model has no codes, or was kept without its Q-network.

        """


def checked_labels(labels: Tensor, n: int, known: int) -> Tensor:
    """Check labels (n,) of latents, of which a generator knows so many.

    Raises:
        InputError: There are more or fewer of them, or one is out of range.

    """
    labels = torch.as_tensor(labels).cpu().long()
    if labels.shape != (n,):
        raise InputError(f"labels {tuple(labels.shape)}: give one for each of {n} latents")
    if not 0 <= int(labels.min()) <= int(labels.max()) < known:
        raise InputError(f"labels {sorted(set(labels.tolist()))}: this generator knows {known}")
    return labels


class AudioGAN(GeneratorModel):
    """A `Generator` and the discriminator that it was trained against; z is uniform in [-1, 1].

    Where `config.discriminator` is False, `discriminator` is None.

    Both networks work on what `analyse` makes of waveforms. The generator puts out a draft of that
    kind, and `render` makes waveforms of it.

    Where `config.classes` is not 0, the discriminator is given the label.
    """

    generator: GANGenerator
    discriminator: Discriminator
    phases_matter: ClassVar[bool] = True
    """Whether waveforms may be compared sample by sample; see `DraftingGenerator`."""

    def __init__(self, config: AudioGANConfig) -> None:
        super().__init__(config)
        self.latent_dim = config.latent_dim
        self.sample_rate = config.sample_rate
        self.num_samples = config.num_samples
        self.channels = config.channels
        self.classes = config.classes
        self.names = config.names
        self.code = config.code

    def _build(self, own: Architecture) -> None:
        """Set the networks, with initial weights as published: Glorot and Bengio 2010, biases 0."""
        self.generator = GANGenerator(own)
        self.register_module(
            "discriminator", Discriminator(own) if self.config.discriminator else None
        )
        match self.config.code.network:
            case "published":
                self.code_network = CodeEncoder(own)
            case "words":
                self.code_network = WordCodeNetwork(self.config.sample_rate, self.config.code.size)
            case _:
                self.register_module("code_network", None)
        for name, parameter in self.named_parameters():
            if parameter.is_meta:  # for the reason that `ResNet18` gives
                continue
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def prior(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Draw latents (n, latent_dim), uniform in [-1, 1]."""
        return 2 * torch.rand(n, self.latent_dim, generator=generator) - 1

    @abstractmethod
    def analyse(self, waveforms: Tensor) -> Tensor:
        """The discriminator's input for waveforms (batch, channels, num_samples)."""

    def draft(self, z: Tensor) -> Tensor:
        """The network's output (batch, ...) for latents (batch, latent_dim)."""
        draft: Tensor = self.generator(z)
        return draft

    @abstractmethod
    def render(self, draft: Tensor, *, through_phases: bool = True) -> Tensor:
        """Make waveforms (batch, channels, num_samples) in [-1, 1] of a draft.

        Args:
            draft: What `draft` or `analyse` gives, (batch, ...).
            through_phases: Whether gradients take into account that phases depend on the draft.
                It makes no difference where no phases are searched for.

        """

    def level_distance(self, draft: Tensor, target: Tensor) -> Tensor | None:  # noqa: ARG002
        """Distances (batch,) of levels between drafts and waveforms, without rendering.

        Args:
            draft: What `draft` gives, (batch, ...).
            target: Waveforms (batch, channels, num_samples).

        Returns:
            Distances, at least 0; or None where a draft has no levels, so that sounds are to be
            compared.

        """
        return None

    @abstractmethod
    def word_power(self, draft: Tensor) -> Tensor:
        """Power (batch, bands, frames) of a draft, in which the word is found for the Q-network."""

    def code_logits(self, draft: Tensor) -> Tensor:
        """Logits (batch, code size) of the code of what `draft` or `analyse` gives.

        They are those of a softmax over one-hot codes, or of a sigmoid for each binary entry.

        Raises:
            InputError: The model has no codes, or was kept without its Q-network.

        """
        network = self.code_network
        if network is None:
            raise InputError(
                "this generator has no Q-network; `audiate train ciwgan` trains one with it"
            )
        if isinstance(network, WordCodeNetwork):
            draft = self.word_power(draft)
        logits: Tensor = network(draft)
        return logits

    def codes_of(self, waveforms: Tensor) -> Tensor:
        """Numbers (batch,) of codes, as `GeneratorModel.codes_of` gives them."""
        logits = self.code_logits(self.analyse(waveforms))
        binary = self.code.kind == "binary"
        return decode_codes(self.code, (logits > 0).float() if binary else logits)

    def forward(self, z: Tensor) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of latents (batch, latent_dim).

        Raises:
            InputError: In evaluation mode: z holds no latents, as `check_latents` says.

        """
        return self.render(self.draft(self._checked(z)))
