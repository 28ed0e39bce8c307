"""Fundamental frequency: features from which a network learns it, and Praat's own."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from audiate.audio.stft import FourierModule, full_precision, hann_window
from audiate.errors import InputError

F0_FLOOR, F0_CEILING = 60.0, 600.0
"""Range of F0, in Hz."""

_FADE = 1_600.0  # Hz


class Periodicity(FourierModule):
    """The normalised autocorrelation of frames, at lags that are equally spaced in octaves.

    Frames have 64 ms, lie in the middle of their hop, and are divided by the autocorrelation of
    their window, as in Boersma 1993. The lags are those of F0 from 60 to 600 Hz. Frequencies fade
    out up to 1,600 Hz, so that no period falls between two lags.

    Args:
        sample_rate: In Hz.
        hop_length: In samples.
        lags: Number of lags.

    """

    cosines: Tensor
    weight: Tensor

    def __init__(self, sample_rate: int, hop_length: int, lags: int) -> None:
        length = round(0.064 * sample_rate / 2) * 2
        super().__init__(length, hop_length, 2 * length)
        steps = torch.linspace(0, 1, lags, device="cpu", dtype=torch.float64)
        lag = sample_rate / (F0_FLOOR * (F0_CEILING / F0_FLOOR) ** steps)
        bins = torch.arange(length + 1, device="cpu", dtype=torch.float64)
        hertz = bins * sample_rate / (2 * length)
        weight = (1 + (torch.pi * hertz / _FADE).cos()) * (hertz < _FADE)
        cosines = (torch.pi * bins.unsqueeze(1) * lag / length).cos() * weight.unsqueeze(1)
        padded = F.pad(hann_window(length).double(), (0, length))
        window = torch.fft.rfft(padded)
        power = window.abs().square() * torch.where((bins > 0) & (bins < length), 2, 1)
        own = power @ (torch.pi * bins.unsqueeze(1) * lag / length).cos() / power.sum()
        self.register_buffer("cosines", (cosines / own).float(), persistent=False)
        self.register_buffer("weight", weight.float(), persistent=False)

    @full_precision
    def forward(self, waveforms: Tensor) -> Tensor:
        """Autocorrelations (batch, lags, frames) of waveforms (batch, frames * hop_length).

        They are 1 at most for a sound that repeats itself after the lag, and 0 for silence.
        """
        edge = (self.n_fft - self.hop_length) // 2
        power = self.parts(F.pad(waveforms, (edge, edge)), centred=False).power().transpose(1, 2)
        total = power @ self.weight.unsqueeze(1)
        found: Tensor = power @ self.cosines / (total + 1e-5)
        return found.transpose(1, 2)


def require_praat() -> Any:
    """Import the module `parselmouth`.

    Raises:
        InputError: It is not installed.

    """
    try:
        import parselmouth
    except ImportError as error:
        raise InputError(
            'measures need praat-parselmouth; install it: pip install "audiate[measures]"'
        ) from error
    return parselmouth


def praat_f0(waveform: Tensor, sample_rate: int, hop_length: int) -> NDArray[np.float32]:
    """F0 by Praat's autocorrelation (Boersma 1993), in the middle of each hop.

    Args:
        waveform: (samples,).
        sample_rate: In Hz.
        hop_length: In samples.

    Returns:
        (samples // hop_length,), in Hz; 0 where there is no voice.

    """
    parselmouth = require_praat()
    count = len(waveform) // hop_length
    sound = parselmouth.Sound(waveform.double().numpy(), sample_rate)
    pitch = sound.to_pitch_ac(hop_length / sample_rate / 2, F0_FLOOR, pitch_ceiling=F0_CEILING)
    times = (np.arange(count) + 0.5) * hop_length / sample_rate
    found = np.array([pitch.get_value_at_time(time) for time in times], np.float32)
    return np.nan_to_num(found, nan=0.0)
