"""Settings of spectrograms, and ranges that all audio is held to. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audiate.errors import InputError, check_range

SpectrogramKind = Literal["log", "real"]

MAX_SPECTRUM = 2**25
"""Limit of the complex numbers in the spectrum of one clip: 268 MB."""

_LONGEST_CLIP = 60  # seconds that `audiate.audio.files` takes at most

SPECTROGRAM_SIZE = 48
"""Mel bands, and frames, of the spectrograms that the drawing models see, as in the paper."""


def check_sample_rate(rate: float, name: str = "sample_rate") -> None:
    """Make sure that a sample rate lies in the range that every file and argument is held to.

    Args:
        rate: Sample rate, in Hz.
        name: The argument, or the file, for the message.

    Raises:
        InputError: It is below 100 Hz or above 10 MHz (NaN always is refused).

    """
    check_range(name, rate, 100, 10**7)


@dataclass(frozen=True)
class LogMelConfig:
    """Settings of the spectrograms that drawing models take.

    Raises `InputError` where a value is out of range.

    Attributes:
        sample_rate: Sample rate that clips are brought to, in Hz. The default is FSDD's own.
        n_fft: Length of the Fourier transform, in samples.
        window_length: Length of the Hann window, in samples. The default is 32 ms.
        hop_length: Number of samples between frames. The default, 5 ms, is fine enough to stretch
            the shortest word.
        n_mels: Number of mel bands.
        frames: Number of frames that the word is stretched to.
        f_min: Lower edge of the lowest band, in Hz.
        f_max: Upper edge of the highest band, in Hz.
        trim_db: Frames quieter than this below the loudest do not begin or end a word.
        noisy_trim_db: This takes the place of `trim_db` in a noisy clip.
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
        check_range("n_mels", self.n_mels, 1, min(self.n_fft // 2, 1024))
        check_range("frames", self.frames, 2, 2**14)
        frames = _LONGEST_CLIP * self.sample_rate // self.hop_length
        if frames * (self.n_fft // 2 + 1) > MAX_SPECTRUM:
            raise InputError(
                f"hop_length {self.hop_length}: too short for n_fft {self.n_fft} at "
                f"{self.sample_rate:,} Hz; the spectrum of a clip would not fit in memory"
            )
        check_range("f_max", self.f_max, 1, self.sample_rate / 2)
        check_range("f_min", self.f_min, 0, self.f_max - 1)
        for name in ("trim_db", "noisy_trim_db", "floor_db"):
            check_range(name, getattr(self, name), 1, 200)
        check_range("margin", self.margin, 0, 1)
