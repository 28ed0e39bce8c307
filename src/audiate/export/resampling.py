"""Resampling inside an exported graph, by the filter of `audiate.resample`."""

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.errors import InputError

_MOST = 3  # largest ratio of sample rates; soxr filters larger ones in several stages
_REACH = 400  # of the filter to each side, in samples of the lower rate
_SMALL = 1e-9  # taps that are smaller at both ends of the filter are left out


class Decimation(nn.Module):
    """Keeps every ``ratio``-th sample of a waveform (samples,), after soxr's low-pass filter.

    For whole ratios a resampler is one fixed filter, which its response to single samples
    determines.
    """

    taps: Tensor

    def __init__(self, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.register_buffer("taps", _filter(ratio), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (samples / ratio, rounded) of waveforms (samples,)."""
        reach = len(self.taps) // 2
        padded = F.pad(waveform, (reach, reach)).view(1, 1, -1)
        slower = F.conv1d(padded, self.taps.view(1, 1, -1), stride=self.ratio).view(-1)
        return slower / slower.abs().amax(0).clamp_min(1)


def decimation(from_rate: int, to_rate: int) -> nn.Module:
    """Resample waveforms (samples,) from one rate to another, in Hz, of which it is a multiple.

    Raises:
        InputError: It is none, or a larger one than 3.

    """
    if from_rate == to_rate:
        return nn.Identity()
    ratio, rest = divmod(from_rate, to_rate)
    if rest or not 1 < ratio <= _MOST:
        *rates, last = (to_rate * each for each in range(1, _MOST + 1))
        raise InputError(
            f"`sample_rate` {from_rate}: a graph of this model takes {', '.join(map(str, rates))} "
            f"or {last} Hz; resample to one of those"
        )
    return Decimation(ratio)


def _filter(ratio: int) -> Tensor:
    """Taps (2 n + 1,) of soxr's filter for a ratio, in samples of the higher rate."""
    middle, phases = _REACH * ratio, np.arange(ratio)
    clicks = np.zeros((4 * middle, ratio))  # a click at each phase of the lower rate's clock
    clicks[2 * middle - phases, phases] = 1
    # By convolution, answers[k, phase] = taps[ratio * k + phase - middle].
    answers = soxr.resample(clicks, ratio, 1, quality="VHQ")
    taps = answers.ravel()[middle : 3 * middle + 1]
    least = np.flatnonzero(np.abs(taps) > _SMALL)[0]
    # A correlation runs over taps the other way than a convolution does.
    return torch.from_numpy(taps[least : len(taps) - least][::-1].copy()).float()
