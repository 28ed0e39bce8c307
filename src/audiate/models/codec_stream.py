"""Give a sound back by a codec block by block, as it comes in."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.errors import InputError
from audiate.models.codec import BLOCK_LENGTH, F0_HOP_LENGTH, Codec, Tracks

_EDGE = 2 * F0_HOP_LENGTH  # samples about a block on which the filters of its samples depend
_NOISE = 2**20  # samples after which the noise repeats


class CodecStream:
    """Encodes and decodes blocks of a sound, and gives each back `delay` samples later.

    A block is heard with what comes before it and after it. The networks see 1.3 s to either side;
    with less context, what is given back differs a little from what the codec makes of the whole
    sound, and no more from the sound itself. The pulses and the noise go on from block to block
    without a gap.

    Attributes:
        codec: The codec.
        delay: Number of samples that the output lies behind the input: the context. To this comes
            the time in which a block is recorded.

    """

    def __init__(self, codec: Codec, context: float = 0.128) -> None:
        """Begin a stream.

        Args:
            codec: The codec, in evaluation mode.
            context: Sound to either side of a block, in seconds; it is rounded up to whole latents.

        Raises:
            InputError: The context is below 0.032 s or above 10 s.

        """
        rate = codec.config.sample_rate
        if not 0.032 <= context <= 10:
            raise InputError(f"context {context}: give 0.032 to 10 s")
        self.codec = codec
        self.delay = -(-round(context * rate) // BLOCK_LENGTH) * BLOCK_LENGTH
        self._heard = torch.zeros(1, 1, 2 * self.delay, device=codec.device)
        self._noise = codec.noise(_NOISE).to(codec.device)
        self._phase = torch.zeros(1, dtype=torch.double, device=codec.device)
        self._given = -self.delay  # samples

    @torch.no_grad()
    def __call__(self, block: Tensor) -> Tensor:
        """Take the next block of a sound.

        Args:
            block: (samples,) in [-1, 1], a multiple of 512, at the codec's sample rate.

        Returns:
            As many samples (samples,) in [-1, 1], which belong to those `delay` earlier; at first,
            silence.

        Raises:
            InputError: The block has another shape.

        """
        if block.ndim != 1 or not len(block) or len(block) % BLOCK_LENGTH:
            raise InputError(
                f"block {tuple(block.shape)}: give a multiple of {BLOCK_LENGTH} samples"
            )
        new = block.to(self._heard).view(1, 1, -1)
        heard = torch.cat([self._heard, new], 2)
        self._heard = heard[..., -2 * self.delay :]
        samples, begin = len(block), self._given
        self._given += samples
        if begin + samples <= 0:  # nothing that was heard yet
            return torch.zeros_like(block)
        tracks = self.codec.tracks(self.codec.encode(heard).mu)
        first, last = self.delay - _EDGE, self.delay + samples + _EDGE
        around = _cut(tracks, first // F0_HOP_LENGTH, last // F0_HOP_LENGTH)
        index = torch.arange(begin - _EDGE, begin + samples + _EDGE, device=new.device) % _NOISE
        f0 = self.codec.f0_of_samples(around)
        cycles = (f0.double() / self.codec.config.sample_rate).cumsum(1)
        silent = max(-begin, 0)  # samples before the sound begins
        phase = self._phase - cycles[:, _EDGE + silent - 1]
        self._phase = (phase + cycles[:, _EDGE + samples - 1]).remainder(1)
        sound = self.codec.render(around, noise=self._noise[:, index], phase=phase)
        sound = sound[0, 0, _EDGE : _EDGE + samples].clamp(-1, 1)
        return F.pad(sound[silent:], (silent, 0)).to(block)

    def finish(self) -> Tensor:
        """The last `delay` samples (delay,) of the sound."""
        return self(torch.zeros(self.delay))


def _cut(tracks: Tracks, first: int, last: int) -> Tracks:
    """The tracks of frames of F0 from the first to the last, without it."""
    f0, voicing = (each[:, first:last] for each in tracks[:2])
    pulses, noise = (each[:, 2 * first : 2 * last] for each in tracks[2:])
    return Tracks(f0, voicing, pulses, noise)
