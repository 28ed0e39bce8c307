"""Clips that are packed with words, and their F0 by Praat."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiate.audio.pitch import praat_f0, require_praat
from audiate.data.sounds import SoundSet
from audiate.utils.filesystem import cache_folder, writing
from audiate.utils.progress import tracked

_SILENCE = 0.006  # of the peak of a clip: -44 dB
_ALONE = 0.3  # share of clips with a single word
_CUT = 0.3  # share of clips that begin within a word
_BEFORE, _BETWEEN, _AROUND = 20, 8, 5  # limits of the frames that are left silent or kept
_QUIETEST = 10 ** (-18 / 20)  # lowest peak, of the highest
_PEAK = 0.95
_CHUNK = 64  # clips that a process is given at once
_FEW = 4  # chunks for which no process is started


class PackedWords:
    """Draws clips in which words follow one another at random levels.

    A clip with a single word is silent for half of its time, from which little is learnt.

    Args:
        sounds: One word in each clip.
        f0: F0 (count, frames) of these clips in Hz; 0 where there is no voice.

    """

    def __init__(self, sounds: SoundSet, f0: Tensor) -> None:
        count, frames = f0.shape
        self._f0 = f0
        self._samples = sounds.samples[:, 0].view(count, frames, -1)
        loudest = self._samples.float().abs().amax(2)
        loud = (loudest > _SILENCE * loudest.amax(1, keepdim=True)).float()
        self._begins, self._ends = loud.argmax(1), frames - loud.flip(1).argmax(1)

    def clips(self, choose: Callable[[], int], count: int) -> tuple[Tensor, Tensor]:
        """Draw clips.

        Args:
            choose: Gives the number of the word that comes next.
            count: Number of clips.

        Returns:
            Waveforms (count, 1, samples) in [-1, 1], and their F0 (count, frames).

        """
        drawn = [self._clip(choose) for _ in range(count)]
        waveforms, f0 = (torch.stack(each) for each in zip(*drawn, strict=True))
        return waveforms.unsqueeze(1), f0

    def _clip(self, choose: Callable[[], int]) -> tuple[Tensor, Tensor]:
        frames = self._f0.shape[1]
        waveform, f0 = torch.zeros(self._samples.shape[1:]), torch.zeros(frames)
        alone, cut = torch.rand(()) < _ALONE, torch.rand(()) < _CUT
        at = -_below(_AROUND) if cut else _below(_BEFORE)
        while at < frames:
            word, own = self._word(choose())
            skipped = max(-at, 0)
            at = max(at, 0)
            word, own = (each[skipped:][: frames - at] for each in (word, own))
            waveform[at : at + len(word)], f0[at : at + len(own)] = word, own
            at += len(word) + _below(_BETWEEN)
            if alone:
                break
        return waveform.flatten(), f0

    def _word(self, number: int) -> tuple[Tensor, Tensor]:
        """A word (frames, hop_length), at a random level, and its F0 (frames,)."""
        begin = max(int(self._begins[number]) - 1 - _below(_AROUND), 0)
        kept = slice(begin, int(self._ends[number]) + 1 + _below(_AROUND))
        word = self._samples[number, kept].float()
        peak = _PEAK * _QUIETEST ** float(torch.rand(()))
        return word * (peak / word.abs().max().clamp_min(1)), self._f0[number, kept]


def _below(limit: int) -> int:
    return int(torch.randint(limit, ()))


def find_f0(sounds: SoundSet, hop_length: int) -> Tensor:
    """F0 of clips by Praat, on all cores; it is kept in the cache folder.

    Args:
        sounds: The clips.
        hop_length: Samples of a frame.

    Returns:
        (count, frames), in Hz; 0 where there is no voice.

    Raises:
        InputError: Praat is not installed, or the cache folder cannot be written.

    """
    require_praat()
    clips = sounds.samples[:, 0].contiguous().numpy()
    name = blake2b(repr((1, clips.shape, sounds.sample_rate, hop_length)).encode(), digest_size=8)
    name.update(clips.tobytes())
    path = cache_folder() / "f0" / f"{name.hexdigest()}.npy"
    if not path.is_file():
        chunks = [clips[begin : begin + _CHUNK] for begin in range(0, len(clips), _CHUNK)]
        found_in = partial(_f0_of, sample_rate=sounds.sample_rate, hop_length=hop_length)
        if len(chunks) <= _FEW:
            found = [found_in(chunk) for chunk in chunks]
        else:
            with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
                work = [pool.submit(found_in, chunk) for chunk in chunks]
                found = [each.result() for each in tracked(work, "finding F0 by Praat, once")]
        with writing(path, argument=None) as part, part.open("wb") as file:
            np.save(file, np.concatenate(found))
    return torch.from_numpy(np.load(path, allow_pickle=False))


def _f0_of(clips: NDArray[np.int16], sample_rate: int, hop_length: int) -> NDArray[np.float32]:
    waveforms = torch.from_numpy(clips).float() / 32767
    return np.stack([praat_f0(each, sample_rate, hop_length) for each in waveforms])
