"""Sound in: files of any kind to mono float32, and the spectrograms that networks see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from audiate.errors import InputError, check_range

MAX_CLIP_SECONDS = 60.0
"""A clip longer than this is a recording session, not a clip."""

MIN_SPEECH_SECONDS = 0.05
"""The shortest spoken digit in the data sets lasts 0.14 s."""

Waveform = Tensor | NDArray[np.floating]

# libsndfile notes in its log where a chunk of a RIFF or AIFF file promises more than is there.
_SHORT_CHUNK = re.compile(r"(?:data|SSND)\s*:\s*(\d+) \(should be \d+\)")
# Encoders that cannot seek back leave a size near the largest possible one: a stream, not an error.
_STREAM_SIZE = 0x7FFFF000


def load_audio(path: str | Path, sample_rate: int | None = None) -> tuple[Tensor, int]:
    """Read a sound file: wav, flac, ogg, mp3, aiff and whatever else libsndfile knows.

    Args:
        path: The file.
        sample_rate: Resample to this rate, in Hz; the file's own by default.

    Returns:
        Mono waveform (samples,), float32 in [-1, 1] (channels averaged; a file of floats that
        goes beyond is scaled down to a peak of 1), and its sample rate in Hz.

    Raises:
        InputError: The file is missing, unreadable, empty, truncated, longer than
            `MAX_CLIP_SECONDS`, or holds NaN or infinite samples.

    """
    path = Path(path)
    if sample_rate is not None:
        check_range("sample_rate", sample_rate, 100, 10**7)
    try:
        _check_is_file(path)
        # Opened by us: libsndfile takes no name that is not Unicode.
        with path.open("rb") as content, soundfile.SoundFile(content) as file:
            _check_length(path, file)
            samples = file.read(dtype="float32", always_2d=True)
            rate, promised = file.samplerate, file.frames
    except (soundfile.SoundFileError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).split(": ")[-1].rstrip(". ")
        raise InputError(
            f"{path}: cannot be read as sound ({reason}); convert it to wav or flac"
        ) from error
    # An mp3's own count of frames is an estimate; a tenth missing is no estimate any more.
    if len(samples) < 0.9 * promised:
        raise InputError(f"{path}: truncated after {len(samples) / rate:.2f} s; copy it again")
    if not np.isfinite(samples).all():
        raise InputError(f"{path}: holds NaN or infinite samples; export it again")
    waveform = _to_unit_range(_to_mono(torch.from_numpy(samples.T)))
    if sample_rate is None or sample_rate == rate:
        return waveform, rate
    return resample(waveform, rate, sample_rate), sample_rate


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the sound files in it, as in {path}/*.wav")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not path.is_file():
        raise InputError(f"{path}: is a pipe or a device; save the sound to a file first")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy it again")


def _check_length(path: Path, file: soundfile.SoundFile) -> None:
    seconds = file.frames / file.samplerate
    sizes = [int(size) for size in _SHORT_CHUNK.findall(file.extra_info)]
    if any(size < _STREAM_SIZE for size in sizes):
        raise InputError(f"{path}: truncated after {seconds:.2f} s; copy it again")
    if file.frames == 0:
        raise InputError(f"{path}: holds no samples, or was cut short; record or copy it again")
    if seconds > MAX_CLIP_SECONDS:
        raise InputError(
            f"{path}: lasts {_duration(seconds)}, over the {MAX_CLIP_SECONDS:.0f} s of a clip; "
            f"cut out the part you mean"
        )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _to_mono(channels: Tensor) -> Tensor:
    """The mean of channels (channels, samples); the loudest, if they cancel each other."""
    mean = channels.mean(0)
    if mean.abs().max() < 1e-3 * channels.abs().max():  # a microphone wired the wrong way round
        return channels[channels.square().sum(1).argmax()]
    return mean


def _to_unit_range(waveform: Tensor) -> Tensor:
    return waveform / waveform.abs().max().clamp_min(1.0)


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Band-limited resampling (soxr, very high quality) of a waveform (samples,); rates in Hz."""
    if from_rate == to_rate:
        return waveform
    return _to_unit_range(
        torch.from_numpy(soxr.resample(waveform.numpy(), from_rate, to_rate, quality="VHQ"))
    )


def prepare_speech(waveform: Waveform, sample_rate: int, to_rate: int) -> Tensor:
    """Check a clip of speech and bring it to mono at ``to_rate``.

    Args:
        waveform: (samples,) or (channels, samples), floating point.
        sample_rate: In Hz.
        to_rate: In Hz.

    Returns:
        (samples,), float32.

    Raises:
        InputError: It is no waveform, is silent, too short or too long, or holds NaN.

    """
    if isinstance(waveform, np.ndarray):  # torch takes no negative strides or foreign byte order
        waveform = np.ascontiguousarray(waveform, waveform.dtype.newbyteorder("="))
    given = torch.as_tensor(waveform)
    if not given.is_floating_point() or given.ndim not in (1, 2):
        raise InputError(
            f"waveform: expected floats (samples,) or (channels, samples), "
            f"got {given.dtype} of shape {tuple(given.shape)}"
        )
    check_range("sample_rate", sample_rate, 100, 10**7)
    if given.numel() == 0:
        raise InputError("the waveform is empty; give at least one channel of samples")
    mono = _to_mono(given.detach().cpu().float().reshape(-1, given.shape[-1]))
    seconds = mono.numel() / sample_rate
    if seconds < MIN_SPEECH_SECONDS:
        raise InputError(
            f"the waveform lasts {seconds * 1000:.0f} ms, too short to hold a word; give at "
            f"least {MIN_SPEECH_SECONDS * 1000:.0f} ms, with samples along the last dimension"
        )
    if seconds > MAX_CLIP_SECONDS:
        raise InputError(
            f"the waveform lasts {_duration(seconds)}, over the {MAX_CLIP_SECONDS:.0f} s of a "
            f"clip; cut out the part you mean"
        )
    if not mono.isfinite().all():
        raise InputError("the waveform holds NaN or infinite samples; export it again")
    if (mono - mono.mean()).abs().max() < 1e-4:  # -80 dB of full scale
        raise InputError("the waveform is silent; record it again, closer to the microphone")
    return resample(_to_unit_range(mono), sample_rate, to_rate)


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
