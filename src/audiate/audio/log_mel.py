"""Log-mel spectrograms of the word in a clip, as audio-to-image models take them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audiate.audio.config import LogMelConfig
from audiate.audio.spectrograms import mel_filters, unit_decibels
from audiate.audio.stft import FourierModule, full_precision


class LogMel(FourierModule):
    """Makes log-mel spectrograms in which the word fills every frame.

    The paper says "48x48 MEL-scaled spectrograms" and no more. Here, the power spectrum (Hann
    window of 32 ms, hop of 5 ms) is summed in 48 triangular bands, equally spaced on the HTK mel
    scale from 60 to 4000 Hz. Silence is cut off at both ends, and the rest is linearly interpolated
    to 48 frames, so that a digit looks alike however fast it is said. Levels are decibels below
    the clip's peak, -60 to 0 dB as 0 to 1. So neither loudness nor silence around the word matters.

    It works on batches, on any device, and is differentiable with respect to the waveform (the
    beginning and the end of the word count as constants).
    """

    filters: Tensor

    def __init__(self, config: LogMelConfig | None = None) -> None:
        own = config or LogMelConfig()
        super().__init__(own.window_length, own.hop_length, own.n_fft)
        self.config = own
        filters = mel_filters(
            own.sample_rate, own.n_fft, own.n_mels, f_min=own.f_min, f_max=own.f_max
        )
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Spectrograms (batch, n_mels, frames) in [0, 1] of waveforms (batch, samples).

        Args:
            waveforms: At `config.sample_rate`, zero-padded at the end to a common length.
            lengths: Number of samples of each clip without padding, (batch,); by default all.

        """
        if lengths is None:
            lengths = torch.full((len(waveforms),), waveforms.shape[1])
        power = self.mel_power(waveforms, lengths)
        return self.view(power, self.find_words(power))

    def view(self, power: Tensor, words: Tensor) -> Tensor:
        """Spectrograms (batch, n_mels, frames) in [0, 1] of the ``words`` found in ``power``."""
        steps = torch.linspace(-1, 1, self.config.frames, device=power.device)
        times = self.word_times(words, steps.expand(len(power), -1))
        return unit_decibels(at_times(power, times), self.config.floor_db)

    def many(self, recordings: Sequence[Tensor]) -> Tensor:
        """Spectrograms (count, n_mels, frames) of waveforms (samples,) of any lengths."""
        parts = []
        for begin in range(0, len(recordings), 100):
            chunk = recordings[begin : begin + 100]
            lengths = torch.tensor([len(waveform) for waveform in chunk])
            padded = pad_sequence(list(chunk), batch_first=True)
            parts.append(self(padded.to(self.window.device), lengths))
        return torch.cat(parts)

    @full_precision
    def mel_power(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Power in mel bands (batch, n_mels, samples // hop_length + 1), 0 after a clip's end.

        Arguments are those of `forward`.
        """
        power = self.filters @ self.parts(waveforms).power()
        begins = torch.arange(power.shape[-1], device=power.device) * self.hop_length
        inside = begins <= lengths.to(power.device).unsqueeze(1)
        return power * inside.unsqueeze(1)

    def find_words(self, power: Tensor) -> Tensor:
        """Find the first and the last frame (batch, 2) of the word in each clip.

        They are the outermost frames whose mean power over 25 ms is within `trim_db` of the
        loudest, and 7 dB above the quietest tenth of the clip. Where the second rule would ask for
        more than `noisy_trim_db` below the loudest, that level takes its place.
        """
        with torch.no_grad():
            count = power.shape[-1]
            index = torch.arange(count, device=power.device)
            energy = power.sum(1)
            # A mean over five frames reaches beyond the clip's end; a word does not.
            energy = F.avg_pool1d(energy.unsqueeze(1), 5, 1, 2).squeeze(1) * (energy > 0)
            noise = _quietest_tenth(energy)
            peak = energy.amax(1, keepdim=True)
            loud = energy >= torch.maximum(
                peak * 10 ** (-self.config.trim_db / 10),
                torch.minimum(5 * noise, peak * 10 ** (-self.config.noisy_trim_db / 10)),
            )
            first = torch.where(loud, index, count - 1).amin(1)
            last = torch.where(loud, index, 0).amax(1)
            return torch.stack([first, last], 1).to(power.dtype)

    def word_times(self, words: Tensor, positions: Tensor) -> Tensor:
        """Frame numbers (batch, n) of positions (batch, n) in words: -1 is the begin, 1 the end."""
        middle = words.mean(1, keepdim=True)
        half = (words[:, 1:] - words[:, :1]) / 2 * (1 + 2 * self.config.margin)
        return middle + half * positions


def _quietest_tenth(energy: Tensor) -> Tensor:
    """The tenth percentile (batch, 1) of the frames of (batch, n) that hold any sound.

    Frames 100 dB below the loudest hold none: they are digital silence, or what a resampler's
    filter leaves of a word in it. It is 0 where there is no sound at all.
    """
    sounds = energy > 1e-10 * energy.amax(1, keepdim=True)
    ascending = energy.masked_fill(~sounds, torch.inf).sort(1).values
    place = 0.1 * (sounds.sum(1, keepdim=True) - 1).clamp_min(0)
    before = place.floor()
    low, high = (
        ascending.gather(1, (before + step).long().clamp_max(energy.shape[1] - 1))
        for step in (0, 1)
    )
    high = torch.where(high.isinf(), low, high)
    found = low + (place - before) * (high - low)
    return torch.where(found.isfinite(), found, 0)


def at_times(power: Tensor, times: Tensor) -> Tensor:
    """Interpolate power (batch, n_mels, count) linearly at frame numbers (batch, n); 0 outside."""
    count = power.shape[-1]
    before = times.floor()
    share = (times - before).unsqueeze(1)

    def at(index: Tensor) -> Tensor:
        inside = ((index >= 0) & (index < count)).unsqueeze(1)
        where = index.clamp(0, count - 1).long().unsqueeze(1).expand(-1, power.shape[1], -1)
        return power.gather(2, where) * inside

    return at(before) * (1 - share) + at(before + 1) * share
