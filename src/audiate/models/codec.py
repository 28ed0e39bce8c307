"""A codec of speech: waveforms to a short sequence of latents, and back by source and filter."""

from __future__ import annotations

from math import log2
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.audio.pitch import F0_CEILING, F0_FLOOR, Periodicity
from audiate.audio.source_filter import filtered, minimum_phase, pulse_train
from audiate.audio.spectrograms import wide_mel_filters
from audiate.audio.stft import FourierModule, Parts, full_precision
from audiate.models.audio_to_image import Posterior
from audiate.models.configs import CodecConfig
from audiate.models.hub import DEFAULT_GENERATOR
from audiate.models.pretrained import PretrainedModel

HOP_LENGTH = 128
"""Samples from one frame of the filters to the next."""

F0_HOP_LENGTH = 2 * HOP_LENGTH
"""Samples from one frame of F0 and voicing to the next."""

BLOCK_LENGTH = 4 * HOP_LENGTH
"""Samples for which there is one latent."""

LAGS = 128
"""Number of values of F0, equally spaced in octaves, among which the pitch network chooses."""

_BANDS = 80
_PULSE_LENGTH, _NOISE_LENGTH = 512, 256  # of the transforms by which pulses and noise are filtered
_PITCH_WIDTH = 192
_MIDDLE = 150.0  # Hz, about which F0 is given in octaves
_OCTAVES = log2(F0_CEILING / F0_FLOOR)
_WAVES = 6  # pairs of waves of F0 that the encoder is given, the finest of which turn in 37 cents
_LEVEL = -6.0  # initial logarithm of the filters
_F0_SCALE = 4.0  # of octaves in a latent, which are about as large as its other values then
_F0_VALUES = BLOCK_LENGTH // F0_HOP_LENGTH  # values of F0 in a latent, the first of its entries


class Tracks(NamedTuple):
    """Tracks that the decoder makes of latents, and of which a sound is made.

    Each may be set by hand.

    Attributes:
        f0: (batch, frames), in Hz, in frames of `F0_HOP_LENGTH` samples, also where there is no
            voice.
        voicing: (batch, frames), logits of there being a voice.
        pulses: (batch, 2 * frames, 257), logarithms of the magnitudes of the filter of the pulses,
            in frames of `HOP_LENGTH` samples.
        noise: (batch, 2 * frames, 129), the same for the noise.

    """

    f0: Tensor
    voicing: Tensor
    pulses: Tensor
    noise: Tensor


class Codec(PretrainedModel):
    """Makes a short sequence of latents of a recording, and the recording of the latents.

    The decoder makes no waveform but what a voice is made of: F0 and voicing, and two filters that
    change in time. A train of pulses at F0 passes the first, with minimum phase, and noise the
    second (Fant 1960; as a network, Wang et al. 2019 and Engel et al. 2020). No phase has to be
    learnt, so it speaks after minutes of training. F0 is the first two entries of each latent, to
    which the networks add what they find. The networks are ConvNeXt blocks (Liu et al.
    2022) in one dimension, as in Siuzdak 2023; latents are those of a VAE (Kingma and Welling
    2014).

    A clip of any length goes in. There are ``sample_rate / 512`` latents a second.
    """

    model_type: ClassVar[str] = "codec"
    config_class: ClassVar[type] = CodecConfig
    refusal: ClassVar[str] = f"is no codec; {DEFAULT_GENERATOR} holds one"

    def __init__(self, config: CodecConfig | None = None) -> None:
        config = config or CodecConfig()
        super().__init__(config)
        width = config.width
        self.log_mel = _LogMel(config.sample_rate)
        self.periodicity = Periodicity(config.sample_rate, F0_HOP_LENGTH, LAGS)
        self.fine_encoder = nn.Sequential(
            nn.Conv1d(_BANDS, width, 3, padding=1),
            *_blocks(width, 1),
            nn.Conv1d(width, width, 2, 2),
        )
        self.pitch_network = nn.Sequential(
            nn.Conv1d(LAGS + width, _PITCH_WIDTH, 3, padding=1),
            *_blocks(_PITCH_WIDTH, 3),
            _head(_PITCH_WIDTH, 1 + LAGS),
        )
        self.pitch_input = nn.Conv1d(2 + 2 * _WAVES, width, 1)
        self.encoder = nn.Sequential(
            *_blocks(width, 4),
            nn.Conv1d(width, width, 2, 2),
            *_blocks(width, 4),
            _head(width, 2 * config.latent_channels),
        )
        self.decoder = nn.Sequential(
            nn.Conv1d(config.latent_channels, width, 3, padding=1),
            *_blocks(width, 4),
            nn.ConvTranspose1d(width, width, 2, 2),
            *_blocks(width, 4),
        )
        self.pitch_output = _head(width, 2)
        bins = _PULSE_LENGTH // 2 + 1, _NOISE_LENGTH // 2 + 1
        self.filters = nn.Sequential(
            nn.ConvTranspose1d(width, width, 2, 2), *_blocks(width, 2), _head(width, sum(bins))
        )
        nn.init.constant_(self.filters[-1][-1].bias, _LEVEL)  # type: ignore[index]
        self._bins = bins

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words."""
        config = self.config
        rate = config.sample_rate / BLOCK_LENGTH
        return f"{config.sample_rate:,} Hz ↔ {config.latent_channels} latents, {rate:g} a second"

    def encode(self, waveforms: Tensor, f0: Tensor | None = None) -> Posterior:
        """q(latents | waveform).

        Args:
            waveforms: (batch, 1, samples), a multiple of `BLOCK_LENGTH`.
            f0: (batch, samples / `F0_HOP_LENGTH`) in Hz, 0 where there is no voice; by default,
                what the pitch network finds.

        Returns:
            Mean and logarithm of the variance, (batch, latent_channels, samples / 512) each.

        """
        return self.encode_features(*self.listen(waveforms), f0)

    def listen(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """The features (batch, width, frames) that the encoder starts from, and logits of F0.

        The logits (batch, 1 + `LAGS`, frames) are those of no voice, then of each value of F0.
        """
        sounds = waveforms.squeeze(1)
        features = self.fine_encoder(self.log_mel(sounds))
        inputs = torch.cat([self.periodicity(sounds), features], 1)
        return features, self.pitch_network(inputs).float()

    def encode_features(
        self, features: Tensor, logits: Tensor, f0: Tensor | None = None
    ) -> Posterior:
        """q(latents | waveform) of what `listen` gives, with another F0 where it is given."""
        f0 = likeliest_f0(logits) if f0 is None else f0
        mean, logvar = self.encoder(features + self.pitch_input(_described(f0))).float().chunk(2, 1)
        octaves = (everywhere(f0) / _MIDDLE).log2() * _F0_SCALE
        own = octaves.view(f0.shape[0], -1, _F0_VALUES).transpose(1, 2)
        mean = mean + F.pad(own, (0, 0, 0, mean.shape[1] - _F0_VALUES))
        return Posterior(mean, logvar.clamp(-12, 4))

    def tracks(self, latents: Tensor) -> Tracks:
        """Tracks of latents (batch, latent_channels, frames)."""
        hidden = self.decoder(latents)
        octaves, voicing = self.pitch_output(hidden).float().unbind(1)
        octaves = octaves + latents[:, :_F0_VALUES].transpose(1, 2).flatten(1) / _F0_SCALE
        filters = self.filters(hidden).float().transpose(1, 2)
        return Tracks(_MIDDLE * octaves.clamp(-4, 4).exp2(), voicing, *filters.split(self._bins, 2))

    def f0_of_samples(self, tracks: Tracks) -> Tensor:
        """F0 (batch, samples) in Hz at which `render` makes pulses of tracks."""
        octaves = tracks.f0.clamp(F0_FLOOR / 2, 2 * F0_CEILING).log2()
        return _in_samples(octaves).exp2()

    def render(
        self,
        tracks: Tracks,
        voiced: Tensor | None = None,
        noise: Tensor | None = None,
        *,
        phase: Tensor | None = None,
    ) -> Tensor:
        """Make sounds of tracks.

        Args:
            tracks: The tracks, of (batch, frames).
            voiced: Strength of the pulses (batch, frames), in [0, 1]; by default, 1 where
                `Tracks.voicing` is above 0.
            noise: (batch, samples), standard normal; by default the same in every clip, so that
                equal latents give equal sounds.
            phase: Cycles (batch,) that the pulses have gone through before; 0 by default.

        Returns:
            Waveforms (batch, 1, frames * `F0_HOP_LENGTH`).

        """
        voiced = (tracks.voicing > 0).float() if voiced is None else voiced
        pulses = pulse_train(self.f0_of_samples(tracks), self.config.sample_rate, phase)
        if noise is None:
            noise = self.noise(pulses.shape[1]).to(pulses).expand_as(pulses)
        how = {"by_products": self.log_mel.by_products}
        size = tracks.noise.exp()
        filters = minimum_phase(tracks.pulses, **how)
        voice = filtered(pulses * _in_samples(voiced), filters, HOP_LENGTH, **how)
        breath = filtered(noise, Parts(size, torch.zeros_like(size)), HOP_LENGTH, **how)
        return (voice + breath).unsqueeze(1)

    @staticmethod
    def noise(samples: int) -> Tensor:
        """The noise (1, samples) of which all sounds are made by default."""
        return torch.randn(1, samples, generator=torch.Generator().manual_seed(0))

    def decode(self, latents: Tensor) -> Tensor:
        """Waveforms (batch, 1, frames * 512) of latents (batch, latent_channels, frames)."""
        return self.render(self.tracks(latents))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Encode and decode waveforms (batch, 1, samples) of any length."""
        samples = waveforms.shape[2]
        padded = F.pad(waveforms, (0, -samples % BLOCK_LENGTH))
        return self.decode(self.encode(padded).mu)[..., :samples]


def likeliest_f0(logits: Tensor) -> Tensor:
    """F0 (batch, frames) in Hz, and 0 where no voice is likelier than not, of `Codec.listen`.

    It is the mean of the likeliest value and its neighbours, so that it is finer than their steps.
    """
    probability = logits.softmax(1)
    voice = probability[:, 1:]
    around = torch.arange(-3, 4, device=logits.device).view(1, -1, 1)
    index = (voice.argmax(1, keepdim=True) + around).clamp(0, LAGS - 1)
    weight = voice.gather(1, index)
    place = (weight * index).sum(1) / weight.sum(1).clamp_min(1e-9)
    f0 = F0_FLOOR * (place * (_OCTAVES / (LAGS - 1))).exp2()
    return torch.where(probability[:, 0] < 0.5, f0, 0)


def everywhere(f0: Tensor) -> Tensor:
    """F0 (batch, frames) in Hz, also where it is 0: that of the voice before, or else after.

    Clips without any voice are given 150 Hz.
    """
    voiced = f0 > 0
    rank = voiced.long().cumsum(1) - 1  # of the last voiced frame, among the voiced ones
    place = torch.where(voiced, rank, f0.shape[1])  # what has no voice goes behind the end
    found = f0.new_full((f0.shape[0], f0.shape[1] + 1), _MIDDLE).scatter(1, place, f0)
    return found.gather(1, rank.clamp_min(0))


def place_of_f0(f0: Tensor) -> Tensor:
    """The place, from 0 to `LAGS` - 1, of F0 above 0 among the values of `Codec.listen`."""
    return (f0 / F0_FLOOR).log2() * ((LAGS - 1) / _OCTAVES)


def _described(f0: Tensor) -> Tensor:
    """F0 (batch, frames) as the encoder takes it: voicing, octaves, and waves of these."""
    voiced = (f0 > 0).float()
    octaves = (f0.clamp_min(1) / _MIDDLE).log2() * voiced
    angles = [octaves * (torch.pi * 2**power) for power in range(_WAVES)]
    waves = [wave * voiced for angle in angles for wave in (angle.sin(), angle.cos())]
    return torch.stack([voiced, octaves, *waves], 1)


def _in_samples(track: Tensor) -> Tensor:
    """A track (batch, frames) of F0's frames as (batch, samples), by linear interpolation."""
    return F.interpolate(track.unsqueeze(1), scale_factor=F0_HOP_LENGTH, mode="linear").squeeze(1)


class _LogMel(FourierModule):
    """Logarithms of the power in mel bands, scaled to about [-3, 1]."""

    filters: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__(_PULSE_LENGTH, HOP_LENGTH)
        filters = wide_mel_filters(sample_rate, _PULSE_LENGTH, _BANDS)
        self.register_buffer("filters", filters, persistent=False)

    @full_precision
    def forward(self, waveforms: Tensor) -> Tensor:
        """Levels (batch, bands, samples / `HOP_LENGTH`) of waveforms (batch, samples)."""
        edge = (self.n_fft - self.hop_length) // 2
        power = self.parts(F.pad(waveforms, (edge, edge)), centred=False).power()
        levels: Tensor = (self.filters @ power + 1e-6).log() / 4 + 0.5
        return levels


class _Block(nn.Module):
    """A ConvNeXt block in one dimension."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.nearby = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)
        self.gain = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, width, frames) to the same shape."""
        changed = self.wide(self.norm(self.nearby(hidden).transpose(1, 2)))
        update: Tensor = self.narrow(F.gelu(changed, approximate="tanh")) * self.gain
        return hidden + update.transpose(1, 2)


def _blocks(width: int, count: int) -> list[nn.Module]:
    return [_Block(width) for _ in range(count)]


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_ChannelNorm(width), nn.Conv1d(width, outputs, 1))


class _ChannelNorm(nn.LayerNorm):
    """Layer normalisation of each frame of (batch, width, frames)."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise over the channels."""
        frames: Tensor = super().forward(input.transpose(1, 2))
        return frames.transpose(1, 2)
