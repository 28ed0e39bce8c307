"""Words of a recording, cut where it is silent."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_FRAME = 0.01  # seconds
_SMOOTH = 3  # frames, over which power is averaged
_BELOW_PEAK_DB = 35.0  # a frame that is quieter than this below the loudest is silent
_ABOVE_NOISE_DB = 10.0  # so is one that is not this far above the quietest tenth
_NEAREST_DB = 15.0  # but not one that is within this of the loudest
_GAP = 0.2  # seconds: silence that is shorter is part of a word, as that of a stop consonant
_SHORTEST = 0.06  # seconds
_MARGIN = 0.05  # seconds that are kept before and after a word


def split_words(waveform: Tensor, sample_rate: int) -> list[Tensor]:
    """Cut a recording at its silences.

    Silence is what lies 35 dB below the loudest 30 ms, or less than 10 dB above the quietest tenth
    of the recording. Silences of less than 0.2 s do not part words, and sounds of less than 0.06 s
    are no words.

    Args:
        waveform: (channels, samples).
        sample_rate: Its sample rate, in Hz.

    Returns:
        The words (channels, samples), in their order, each with up to 0.05 s of what is around it;
        the recording as it is where no word is found.

    """
    frame = max(round(_FRAME * sample_rate), 1)
    count = -(-waveform.shape[1] // frame)
    around_zero = waveform - waveform.median(1, keepdim=True).values  # microphones add a constant
    padded = F.pad(around_zero, (0, count * frame - waveform.shape[1]))
    power = padded.square().view(len(waveform), count, frame).mean((0, 2))
    power = F.avg_pool1d(power.view(1, 1, -1), _SMOOTH, 1, _SMOOTH // 2).flatten()
    level = 10 * power.clamp_min(1e-12).log10()
    loudest, noise = level.max(), level.quantile(0.1)
    least = torch.maximum(loudest - _BELOW_PEAK_DB, noise + _ABOVE_NOISE_DB)
    loud = (level >= torch.minimum(least, loudest - _NEAREST_DB)).nonzero().flatten().tolist()
    words: list[list[int]] = []
    for index in loud:
        if words and (index - words[-1][1]) * _FRAME <= _GAP:
            words[-1][1] = index
        else:
            words.append([index, index])
    margin = round(_MARGIN * sample_rate)
    found = [
        waveform[:, max(first * frame - margin, 0) : (last + 1) * frame + margin]
        for first, last in words
        if (last + 1 - first) * _FRAME >= _SHORTEST
    ]
    return found or [waveform]
