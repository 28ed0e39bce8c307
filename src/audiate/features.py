"""From waveforms to the spectrograms that networks see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from audiate.errors import check_range


@dataclass(frozen=True)
class LogMelConfig:
    """How a clip becomes a spectrogram.

    Raises `InputError` where a value is out of range.

    Attributes:
        sample_rate: In Hz; FSDD's own.
        n_fft: Length of the Fourier transform, in samples.
        window_length: Length of the Hann window, in samples: 32 ms.
        hop_length: Samples between frames: 5 ms, fine enough to stretch the shortest word.
        n_mels: Mel bands.
        frames: Frames that the word is stretched to.
        f_min: Lower edge of the lowest band, in Hz.
        f_max: Upper edge of the highest band, in Hz.
        trim_db: Frames quieter than this below the loudest do not begin or end a word.
        noisy_trim_db: In a noisy clip this takes the place of `trim_db`.
        margin: Share of the word's length that is kept before and after it.
        floor_db: Range below the clip's peak that is mapped to [0, 1].

    """

    sample_rate: int = 8000
    n_fft: int = 512
    window_length: int = 256
    hop_length: int = 40
    n_mels: int = 48
    frames: int = 48
    f_min: float = 60.0
    f_max: float = 4000.0
    trim_db: float = 30.0
    noisy_trim_db: float = 20.0
    margin: float = 0.01
    floor_db: float = 60.0

    def __post_init__(self) -> None:
        check_range("sample_rate", self.sample_rate, 1000, 384_000)
        check_range("n_fft", self.n_fft, 16, 2**16)
        check_range("window_length", self.window_length, 2, self.n_fft)
        check_range("hop_length", self.hop_length, 1, self.window_length)
        check_range("n_mels", self.n_mels, 1, self.n_fft // 2)
        check_range("frames", self.frames, 2, 2**16)
        check_range("f_max", self.f_max, 1, self.sample_rate / 2)
        check_range("f_min", self.f_min, 0, self.f_max - 1)
        for name in ("trim_db", "noisy_trim_db", "floor_db"):
            check_range(name, getattr(self, name), 1, 200)
        check_range("margin", self.margin, 0, 1)


class LogMel(nn.Module):
    """Waveforms to log-mel spectrograms in which the word fills every frame.

    The paper says "48x48 MEL-scaled spectrograms" and no more. Here: power spectrum (Hann window
    32 ms, hop 5 ms), 48 triangular bands equally spaced on the HTK mel scale from 60 to 4000 Hz,
    silence cut off at both ends, the rest linearly interpolated to 48 frames (so a digit looks
    alike however fast it is said), then decibels below the clip's peak, -60 to 0 dB as 0 to 1.
    Level does not matter, therefore; nor does silence around the word.

    Batched, on any device, and differentiable with respect to the waveform (where the word begins
    and ends counts as constant).
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: LogMelConfig | None = None) -> None:
        super().__init__()
        self.config = config or LogMelConfig()
        window = torch.hann_window(self.config.window_length)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", mel_filters(self.config), persistent=False)

    def forward(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Spectrograms (batch, n_mels, frames) in [0, 1] of waveforms (batch, samples).

        Args:
            waveforms: At `config.sample_rate`, zero-padded at the end to a common length.
            lengths: (batch,), each clip's own samples; all of them by default.

        """
        if lengths is None:
            lengths = torch.full((len(waveforms),), waveforms.shape[1])
        power = self.mel_power(waveforms, lengths)
        return self.view(power, self.find_words(power))

    def view(self, power: Tensor, words: Tensor) -> Tensor:
        """Spectrograms (batch, n_mels, frames) in [0, 1] of the ``words`` found in ``power``."""
        steps = torch.linspace(-1, 1, self.config.frames, device=power.device)
        times = self.word_times(words, steps.expand(len(power), -1))
        return self.to_unit_decibels(at_times(power, times))

    def many(self, recordings: Sequence[Tensor]) -> Tensor:
        """Spectrograms (count, n_mels, frames) of waveforms (samples,) of any lengths."""
        parts = []
        for begin in range(0, len(recordings), 100):
            chunk = recordings[begin : begin + 100]
            lengths = torch.tensor([len(waveform) for waveform in chunk])
            padded = pad_sequence(list(chunk), batch_first=True)
            parts.append(self(padded.to(self.window.device), lengths))
        return torch.cat(parts)

    def mel_power(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Power in mel bands, (batch, n_mels, samples // hop_length + 1), 0 after a clip's end.

        Arguments are those of `forward`.
        """
        spectrum = torch.stft(
            waveforms,
            self.config.n_fft,
            self.config.hop_length,
            self.config.window_length,
            self.window,
            pad_mode="constant",
            return_complex=True,
        )
        power = self.filters @ (spectrum.real.square() + spectrum.imag.square())
        begins = torch.arange(power.shape[-1], device=power.device) * self.config.hop_length
        inside = begins <= lengths.to(power.device).unsqueeze(1)
        return power * inside.unsqueeze(1)

    def find_words(self, power: Tensor) -> Tensor:
        """First and last frame (batch, 2) that are louder, over 25 ms, than what surrounds a word.

        That is: within `trim_db` of the loudest, and 7 dB above the quietest tenth of the clip
        unless this would cut into the word, that is to within `noisy_trim_db` of the loudest.
        """
        with torch.no_grad():
            count = power.shape[-1]
            index = torch.arange(count, device=power.device)
            energy = power.sum(1)
            # A mean over five frames reaches beyond the clip's end; a word does not.
            energy = F.avg_pool1d(energy.unsqueeze(1), 5, 1, 2).squeeze(1) * (energy > 0)
            own = energy.masked_fill(energy == 0, torch.nan)
            noise = own.nanquantile(0.1, dim=1, keepdim=True).nan_to_num()
            peak = energy.amax(1, keepdim=True)
            loud = energy >= torch.maximum(
                peak * 10 ** (-self.config.trim_db / 10),
                torch.minimum(5 * noise, peak * 10 ** (-self.config.noisy_trim_db / 10)),
            )
            first = torch.where(loud, index, count - 1).amin(1)
            last = torch.where(loud, index, 0).amax(1)
            return torch.stack([first, last], 1).to(power.dtype)

    def word_times(self, words: Tensor, positions: Tensor) -> Tensor:
        """Frame numbers (batch, n) of positions (batch, n) in words (batch, 2): -1 begin, 1 end."""
        middle = words.mean(1, keepdim=True)
        half = (words[:, 1:] - words[:, :1]) / 2 * (1 + 2 * self.config.margin)
        return middle + half * positions

    def to_unit_decibels(self, power: Tensor) -> Tensor:
        """Decibels below the peak of each (n_mels, frames): -floor_db and less is 0, 0 dB is 1."""
        decibels = 10 * power.clamp_min(1e-12).log10()
        peak = decibels.amax((1, 2), keepdim=True)
        return ((decibels - peak) / self.config.floor_db + 1).clamp(0, 1)


def mel_filters(config: LogMelConfig) -> Tensor:
    """Triangular filters (n_mels, n_fft // 2 + 1) of peak 1, equally spaced on the HTK mel scale.

    mel(f) = 2595 log10(1 + f / 700), O'Shaughnessy 1987.
    """
    low, high = (2595 * np.log10(1 + f / 700) for f in (config.f_min, config.f_max))
    edges = 700 * (10 ** (torch.linspace(low, high, config.n_mels + 2) / 2595) - 1)
    bins = torch.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1)
    below, centre, above = (edges[i : i + config.n_mels].unsqueeze(1) for i in range(3))
    rising = (bins - below) / (centre - below)
    falling = (above - bins) / (above - centre)
    return torch.minimum(rising, falling).clamp_min(0)


def mel_bands(sample_rate: int, frame_length: int, count: int) -> Tensor:
    """Filters (count, frame_length // 2 + 1) over nearly all frequencies, none of them empty.

    Args:
        sample_rate: In Hz.
        frame_length: Of the Fourier transform, in samples.
        count: Bands.

    """
    filters = mel_filters(
        LogMelConfig(
            sample_rate=sample_rate,
            n_fft=frame_length,
            window_length=frame_length,
            hop_length=1,
            n_mels=count,
            f_min=sample_rate / 400,
            f_max=sample_rate / 2,
        )
    )
    # In a narrow band that falls between two bins there would be no power to be found.
    nearest = F.one_hot(filters.argmax(1), filters.shape[1]).to(filters.dtype)
    return torch.maximum(filters, nearest)


def at_times(power: Tensor, times: Tensor) -> Tensor:
    """Interpolate (batch, n_mels, count) linearly at frame numbers (batch, n); 0 outside."""
    count = power.shape[-1]
    before = times.floor()
    share = (times - before).unsqueeze(1)

    def at(index: Tensor) -> Tensor:
        inside = ((index >= 0) & (index < count)).unsqueeze(1)
        where = index.clamp(0, count - 1).long().unsqueeze(1).expand(-1, power.shape[1], -1)
        return power.gather(2, where) * inside

    return at(before) * (1 - share) + at(before + 1) * share
