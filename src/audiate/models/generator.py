"""What turns a latent into sound: the protocol, and what our own networks have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audiate.errors import InputError, check_range
from audiate.models.pretrained import PretrainedModel

_SHARPNESS = 20.0  # of the softmax that tells the generator which of the first entries is largest


@runtime_checkable
class Generator(Protocol):
    """Anything that turns latents into sound.

    Attributes:
        latent_dim: Numbers in a latent.
        sample_rate: Of the sound, in Hz.
        num_samples: Of a clip.
        channels: 1 for mono, 2 for stereo.
        differentiable: Whether gradients flow from the sound back to the latent; one that only
            runs forward is inverted without them.

    """

    latent_dim: int
    sample_rate: int
    num_samples: int
    channels: int
    differentiable: bool

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Latents (n, latent_dim) drawn from the prior."""
        ...

    def __call__(self, z: Tensor, /) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of latents (batch, latent_dim)."""
        ...


def check_generator(generator: object) -> None:
    """Make sure that it is a `Generator`.

    Raises:
        InputError: It is something else, as a module that is not wrapped yet.

    """
    if not isinstance(generator, Generator):
        raise InputError(
            f"{type(generator).__name__}: is no generator yet; give audiate.wrap(it, latent_dim=..."
            f", sample_rate=...)"
        )


def generate(generator: Generator, z: Tensor) -> Tensor:
    """Waveforms (batch, channels, num_samples) of latents (batch, latent_dim), checked.

    Raises:
        InputError: Latents are of another shape, or what the generator gave is, or it holds NaN
            or is no tensor of floats.

    """
    if not isinstance(z, Tensor) or z.dim() != 2 or z.shape[1] != generator.latent_dim:
        shape = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
        raise InputError(f"latents {shape}: give a tensor (batch, {generator.latent_dim})")
    waveforms = generator(z)
    if not isinstance(waveforms, Tensor) or not waveforms.is_floating_point():
        given = waveforms.dtype if isinstance(waveforms, Tensor) else type(waveforms).__name__
        raise InputError(f"the generator gave {given}; have it give a tensor of floats in [-1, 1]")
    wanted = (len(z), generator.channels, generator.num_samples)
    if tuple(waveforms.shape) != wanted:
        raise InputError(
            f"the generator gave {tuple(waveforms.shape)} for latents {tuple(z.shape)}, but "
            f"(batch, channels, num_samples) is to be {wanted}; wrap it with the sizes it has"
        )
    if not waveforms.isfinite().all():
        broken = int((~waveforms.isfinite()).flatten(1).any(1).sum())
        raise InputError(
            f"the generator gave NaN or infinite samples for {broken} of {len(z)} latents; check "
            f"its weights and the range of its prior"
        )
    return waveforms


def device_of(generator: Generator) -> torch.device:
    """Where it takes its latents: where it draws them."""
    return generator.sample_latent(1, generator=torch.Generator().manual_seed(0)).device


@dataclass(frozen=True)
class AudioGANConfig:
    """What WaveGAN and SpecGAN have in common.

    Raises `InputError` where a value is out of range.

    Attributes:
        dim: Width: channels of the discriminator's first layer. Published: 64.
        latent_dim: Numbers in a latent.
        num_samples: Samples of a clip.
        channels: 1 for mono, 2 for stereo.
        sample_rate: In Hz.
        batch_norm: Normalise the generator's hidden layers (Ioffe and Szegedy 2015). Published: no.
        classes: Labels that sounds have; see `AudioGAN`. Published: 0.
        names: What the labels mean, as many as there are classes, or none.

    """

    dim: int = 64
    latent_dim: int = 100
    num_samples: int = 16_384
    channels: int = 1
    sample_rate: int = 16_000
    batch_norm: bool = False
    classes: int = 0
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) not in (0, self.classes):
            raise InputError(f"names: {len(self.names)} of them for {self.classes} classes")
        check_range("dim", self.dim, 1, 1024)
        check_range("latent_dim", self.latent_dim, 1, 100_000)
        check_range("channels", self.channels, 1, 2)
        check_range("sample_rate", self.sample_rate, 100, 10**7)
        check_range("classes", self.classes, 0, self.latent_dim)


class AudioGAN(PretrainedModel):
    """A `Generator` and the discriminator that it was trained against; z is uniform in [-1, 1].

    Both networks work on what `analyse` makes of waveforms, and `synthesise` is the way back.

    Where `config.classes` is not 0, sounds have labels: the largest of the first ``classes``
    entries of z says which sound is meant, and the discriminator is told which one it is to be.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent_dim: int
    sample_rate: int
    num_samples: int
    channels: int
    classes: int
    names: tuple[str, ...]
    differentiable = True

    def __init__(self, config: AudioGANConfig) -> None:
        super().__init__(config)
        self.latent_dim = config.latent_dim
        self.sample_rate = config.sample_rate
        self.num_samples = config.num_samples
        self.channels = config.channels
        self.classes = config.classes
        self.names = config.names

    def sample_latent(
        self,
        n: int,
        *,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Latents (n, latent_dim), uniform in [-1, 1], on the model's device.

        They are drawn on the CPU: the same for a seed, wherever the model is.

        Args:
            n: How many.
            generator: Source of randomness; torch's global one by default.
            labels: (n,), int64: draw from the prior given these labels.

        Raises:
            InputError: Labels for a model that knows none, or out of range.

        """
        check_range("n", n, 0, 10**9)
        z = 2 * torch.rand(n, self.latent_dim, generator=generator) - 1
        if labels is not None and n:
            labels = torch.as_tensor(labels).cpu().long()
            if labels.shape != (n,):
                raise InputError(f"labels {tuple(labels.shape)}: give one for each of {n} latents")
            if not self.classes or not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
                raise InputError(
                    f"labels {sorted(set(labels.tolist()))}: this generator knows {self.classes}"
                )
            # All entries have one distribution, so the largest may change places with the wanted.
            rows, largest = torch.arange(n), self.labels_of(z)
            z[rows, largest], z[rows, labels] = z[rows, labels], z[rows, largest]
        return z.to(self.device)

    def labels_of(self, z: Tensor) -> Tensor:
        """Which sound latents (batch, latent_dim) mean, (batch,), int64; 0 where none is told."""
        return z[:, : max(self.classes, 1)].argmax(1)

    @abstractmethod
    def analyse(self, waveforms: Tensor) -> Tensor:
        """What the discriminator sees of waveforms (batch, channels, num_samples)."""

    @abstractmethod
    def synthesise(self, seen: Tensor) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of what the generator puts out."""

    def forward(self, z: Tensor) -> Tensor:
        """Waveforms (batch, channels, num_samples) in [-1, 1] of latents (batch, latent_dim)."""
        return self.synthesise(self.generator(z))


class Projection(nn.Linear):
    """The generator's first layer: z, and where there are classes a soft choice among them."""

    def __init__(self, latent_dim: int, outputs: int, classes: int) -> None:
        super().__init__(latent_dim + classes, outputs)
        self._classes = classes

    def forward(self, input: Tensor) -> Tensor:
        """(batch, latent_dim) to (batch, outputs)."""
        if self._classes:
            choice = (_SHARPNESS * input[:, : self._classes].float()).softmax(1)
            input = torch.cat([input, choice.to(input.dtype)], 1)
        return super().forward(input)


class Score(nn.Linear):
    """The discriminator's last layer: one score, plus one for each class, of which one counts.

    This is the projection discriminator of Miyato and Koyama 2018.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__(inputs, 1 + classes)
        self._classes = classes

    def forward(self, input: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (batch,) of (batch, inputs) as sounds of ``labels`` (batch,)."""
        scores = super().forward(input)
        if not self._classes:
            return scores[:, 0]
        if labels is None:
            raise ValueError("this discriminator is to be told the label")
        return scores[:, 0] + scores.gather(1, 1 + labels.unsqueeze(1)).squeeze(1)
