"""A latent flow of sound: noise to the latents of a codec to waveforms, and exactly back."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.errors import InputError, about
from audiate.models.audio_to_image import Posterior
from audiate.models.code_network import WordCodeNetwork, decode_codes
from audiate.models.codec import BLOCK_LENGTH, Codec
from audiate.models.conditional_flow import Velocity, follow
from audiate.models.configs import CodecConfig, CodecFlowConfig, SpeechFlowConfig
from audiate.models.generator import GeneratorModel, check_clips
from audiate.models.pretrained import load

_PATCH = 2  # latents of the codec that are one token of the velocity network


class LatentScale(nn.Module):
    """Brings latents of a codec to those of a flow, which have mean 0 and deviation 1, and back.

    Args:
        channels: Number of values of each of the codec's latents.

    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def measure(self, posterior: Posterior) -> None:
        """Set the mean and the deviation to those of q(latents | clip) of some clips."""
        variance = posterior.mu.var((0, 2)) + posterior.logvar.exp().mean((0, 2))
        self.mean.copy_(posterior.mu.mean((0, 2)))
        self.deviation.copy_(variance.sqrt())

    def flatten(self, latents: Tensor) -> Tensor:
        """Bring latents of the codec (batch, channels, frames) to the flow's (batch, noise)."""
        return ((latents.transpose(1, 2) - self.mean) / self.deviation).flatten(1)

    def unflatten(self, flat: Tensor) -> Tensor:
        """Bring latents of the flow (batch, noise) to the codec's (batch, channels, frames)."""
        frames = flat.view(flat.shape[0], -1, self.mean.shape[0]) * self.deviation + self.mean
        return frames.transpose(1, 2)


def latent_size(config: CodecFlowConfig, codec: CodecConfig) -> int:
    """Number of values of all latents of a clip."""
    return codec.latent_channels * (config.num_samples // BLOCK_LENGTH)


def codec_velocity(config: CodecFlowConfig, codec: CodecConfig, condition_dim: int) -> Velocity:
    """Make the velocity network of a flow over the latents of a codec."""
    return Velocity(
        latent_size(config, codec),
        condition_dim,
        tokens=config.num_samples // BLOCK_LENGTH // _PATCH,
        width=config.width,
        blocks=config.blocks,
        dropout=config.dropout,
    )


class SpeechFlow(GeneratorModel):
    """Generates sounds by a flow between noise and the latents of a `Codec`; z is normal.

    It mirrors the `LatentFlow` of images: a velocity field, learnt by conditional flow matching
    with straight paths (Lipman et al. 2023), carries normal noise to the codec's latents.

    Where `config.classes` is not 0, the largest of the first ``classes`` entries of z says which
    sound is meant, and the others are the noise. Where no entry is the largest, as all are 0, the
    sound is of no label: of such latents `recover` gives those of any recording.

    Where `config.code` is one, the first entries of z are a code instead. They are the condition of
    the flow as they stand, so that values between those of two codes, or beyond them, may be tried.
    `recover` sets them to 0, and `codes_of` gives the code of a recording.
    """

    model_type: ClassVar[str] = "speech-flow"
    config_class: ClassVar[type] = SpeechFlowConfig
    channels = 1
    code_network: WordCodeNetwork | None

    def __init__(self, config: SpeechFlowConfig | None = None) -> None:
        config = config or SpeechFlowConfig()
        super().__init__(config)
        self.codec = Codec(config.codec)
        self.label_dim = config.code.size or config.classes
        self.velocity = codec_velocity(config, config.codec, max(self.label_dim, 1))
        self.latent_dim = self.label_dim + latent_size(config, config.codec)
        self.sample_rate, self.num_samples = config.codec.sample_rate, config.num_samples
        self.classes, self.names, self.code = config.classes, config.names, config.code
        self.scale = LatentScale(config.codec.latent_channels)
        self.code_network = (
            WordCodeNetwork(self.sample_rate, config.code.size) if config.code.count else None
        )

    def prior(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Draw latents (n, latent_dim), standard normal."""
        return torch.randn(n, self.latent_dim, generator=generator)

    def condition(self, labels: Tensor) -> Tensor:
        """The condition (batch, condition_dim) of labels (batch,); -1 for none."""
        known = torch.arange(max(self.label_dim, 1), device=labels.device)
        return (labels.unsqueeze(1) == known).to(self.scale.mean.dtype)

    @property
    def null_condition(self) -> Tensor:
        """The condition (condition_dim,) of no label."""
        return self.scale.mean.new_zeros(max(self.label_dim, 1))

    def labels_of(self, z: Tensor) -> Tensor:
        """Labels or codes (batch,), int64, that latents (batch, latent_dim) stand for; -1: none."""
        if not self.label_dim:
            return torch.full((z.shape[0],), -1, device=z.device)
        top, label = z[:, : self.label_dim].max(1)
        return torch.where(top > z[:, : self.label_dim].amin(1), label, -1)

    def codes_of(self, waveforms: Tensor) -> Tensor:
        """Numbers (batch,), int64, of the codes that the Q-network recovers from waveforms.

        Raises:
            InputError: The model has no codes.

        """
        network = self.code_network
        if network is None:
            raise InputError("this flow has no codes; `audiate train coded-flow` trains one")
        return decode_codes(self.code, network(network.power(waveforms)))

    def codec_latents(self, z: Tensor, guidance: float | None = None) -> Tensor:
        """Follow the flow from z (batch, latent_dim) to the codec's latents.

        The guidance is the config's by default; where z has no labels, it makes no difference.
        """
        labels, noise, config = self.labels_of(z), z[:, self.label_dim :], self.config
        condition = z[:, : self.label_dim] if self.code.count else self.condition(labels)
        if guidance is None:
            guidance = config.guidance if bool((labels >= 0).any()) else 1.0
        flat = follow(
            self.velocity,
            noise,
            condition,
            self.null_condition,
            guidance=guidance,
            steps=config.steps,
            solver=config.solver,
        )
        return self.scale.unflatten(flat)

    def forward(self, z: Tensor) -> Tensor:
        """Waveforms (batch, 1, num_samples) in [-1, 1] of latents (batch, latent_dim).

        Raises:
            InputError: In evaluation mode: z holds no latents, as `check_latents` says.

        """
        return self.codec.decode(self.codec_latents(self._checked(z))).clamp(-1, 1)

    def recover(self, waveforms: Tensor, steps: int | None = None) -> Tensor:
        """The latents of recordings: they are encoded, and the flow is followed backwards.

        Args:
            waveforms: (batch, 1, num_samples).
            steps: Number of steps backwards; by default as many as forwards.

        Returns:
            (batch, latent_dim), of no label and no code.

        Raises:
            InputError: The waveforms are none, as `check_clips` says.

        """
        check_clips(waveforms, self)
        flat = self.scale.flatten(self.codec.encode(waveforms).mu)
        nothing = self.null_condition
        noise = follow(
            self.velocity,
            flat,
            nothing.expand(flat.shape[0], -1),
            nothing,
            guidance=1.0,
            steps=steps or self.config.steps,
            solver=self.config.solver,
            backwards=True,
        )
        return F.pad(noise, (self.label_dim, 0))


def load_codec(
    source: str | Path, option: str = "codec", *, device: str | torch.device = "cpu"
) -> Codec:
    """Load a codec, or take that of a flow of sound.

    Args:
        source: Name, folder or hub id.
        option: The argument that named it, for messages.
        device: As for `audiate.load`.

    Raises:
        InputError: There is no such model, or it is neither.

    """
    with about(option):
        model = load(source, device=device)
        return model.codec if isinstance(model, SpeechFlow) else load(source, Codec, device=device)
