"""Read sound files of any kind as float32 waveforms, prepare them, and write wav files."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from audiate.audio.config import check_sample_rate
from audiate.audio.formats import decode, is_decodable
from audiate.audio.headers import mended
from audiate.errors import InputError
from audiate.utils.filesystem import writing

MAX_CLIP_SECONDS = 60.0
"""Limit of a clip's length, in seconds."""

MAX_FILE_SECONDS = 600.0
"""Limit of the length of a file that may be cut into clips, in seconds."""

MAX_CUT_SECONDS = 24 * 3600.0
"""Limit of the length of a recording that is cut into clips one by one, in seconds."""

MAX_SAMPLES = 2**26
"""Limit of the samples of all channels together, of a file and of what it is resampled to: 268 MB.
Ten minutes in stereo at 48,000 Hz are within it."""

MIN_SPEECH_SECONDS = 0.05
"""Limit below which a clip holds no word, in seconds. The shortest spoken digit in the data sets
lasts 0.14 s."""

SILENCE = 1e-4
"""A waveform is silent if it stays this close to its mean: -80 dB of full scale."""

PEAK = 0.9
"""Peak that clips are brought to for generators, and for encoders of their latents."""

_BLOCK = 2**22  # number of samples that are worked at together, where doubles are needed

Waveform = Tensor | NDArray[np.floating]

# libsndfile notes in its log where a chunk of a RIFF or AIFF file promises more than is there.
_SHORT_CHUNK = re.compile(r"(?:data|SSND)\s*:\s*(\d+) \(should be \d+\)")
# Encoders that cannot seek back leave a size near the largest possible one: a stream, not an error.
_STREAM_SIZE = 0x7FFFF000


class TooLongError(InputError):
    """A recording has more seconds, or samples, than are taken."""


@dataclass(frozen=True)
class Recording:
    """A sound file, or a part of one: on disk, or read from an archive into memory.

    Attributes:
        name: Its name in messages.
        content: The file, or what it holds.
        span: The first frame and the number of frames of the part that is meant; None for all.

    """

    name: str
    content: Path | bytes
    span: tuple[int, int] | None = None

    def __str__(self) -> str:
        """Its name."""
        return self.name

    def open(self) -> BinaryIO:
        """Open it for reading; errors are those of the system."""
        # Opened by us: libsndfile takes no name that is not Unicode.
        if isinstance(self.content, Path):
            return self.content.open("rb")
        return io.BytesIO(self.content)

    @contextmanager
    def open_sound(self) -> Iterator[soundfile.SoundFile]:
        """Open it for its samples; PyAV decodes what libsndfile cannot read.

        Raises:
            InputError: It is no sound file, cannot be read, or has a sample rate below 100 Hz or
                above 10 MHz; or PyAV is needed and not installed.

        """
        try:
            self._check_content()
            with self.open() as content:
                try:
                    file = soundfile.SoundFile(mended(content, self.name))
                except TypeError as error:  # libsndfile is told by the name that there is no header
                    raise InputError(
                        f"{self}: raw samples say neither rate nor format; convert them to wav"
                    ) from error
                except soundfile.SoundFileError:
                    if not is_decodable(content, self.name):
                        raise
                    file = soundfile.SoundFile(decode(content, self.name, MAX_SAMPLES))
                with file:
                    check_sample_rate(file.samplerate, f"{self}: sample rate")
                    yield file
        except (soundfile.SoundFileError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error).split(": ")[-1].rstrip(". ")
            raise InputError(
                f"{self}: cannot be read as sound ({reason}); convert it to wav or flac"
            ) from error

    def _check_content(self) -> None:
        if not isinstance(self.content, Path):
            empty = not self.content
        elif self.content.is_dir():
            raise InputError(f"{self}: is a folder; name the sound files in it, as in {self}/*.wav")
        elif not self.content.exists():
            raise InputError(
                f"{self}: no such file; check the path, or name a folder of sound files"
            )
        elif not self.content.is_file():
            raise InputError(f"{self}: is a pipe or a device; save the sound to a file first")
        else:
            empty = self.content.stat().st_size == 0
        if empty:
            raise InputError(f"{self}: the file is empty; copy it again")


def load_audio(
    path: str | Path | Recording,
    sample_rate: int | None = None,
    *,
    channels: int | None = None,
    longest: float = MAX_CLIP_SECONDS,
    as_it_is: bool = False,
) -> tuple[Tensor, int]:
    """Read a sound file: wav, flac, ogg, mp3, aiff and whatever else libsndfile knows.

    With PyAV (``audiate[formats]``) also m4a, aac, opus, webm, 3gp, amr and what else FFmpeg knows.

    Args:
        path: The file.
        sample_rate: Resample to this rate, in Hz; the file's own by default.
        channels: Number of channels to return. A single one is the mean of the file's. Several are
            the file's first ones, repeated where it has fewer.
        longest: Limit of the file's length, in seconds.
        as_it_is: Whether a file of floats beyond [-1, 1] is left as loud as it is.

    Returns:
        Waveform, float32 in [-1, 1], and its sample rate in Hz. The waveform is mono (samples,), or
        (channels, samples) where ``channels`` is given. A file of floats that goes beyond [-1, 1]
        is scaled down to a peak of 1.

    Raises:
        InputError: The file is missing, unreadable, empty, truncated, longer than ``longest``,
            larger than `MAX_SAMPLES`, has a sample rate below 100 Hz or above 10 MHz, or holds NaN
            or infinite samples.

    """
    path = _recording(path)
    if sample_rate is not None:
        check_sample_rate(sample_rate)
    with path.open_sound() as file:
        rate = file.samplerate
        first, promised = path.span or (0, file.frames)
        _check_length(path, file, promised, longest)
        _check_size(f"{path}: ", promised * file.channels)
        if sample_rate is not None:
            _check_size(f"{path}: ", promised * (channels or 1) * sample_rate / rate)
        if first:
            file.seek(first)
        samples = file.read(promised, dtype="float32", always_2d=True)
    # An mp3's own count of frames is an estimate; a tenth missing is no estimate any more.
    if len(samples) < 0.9 * promised:
        raise InputError(f"{path}: truncated after {len(samples) / rate:.2f} s; copy it again")
    if not np.isfinite(samples).all():
        raise InputError(f"{path}: holds NaN or infinite samples; export it again")
    found, to_rate = torch.from_numpy(samples.T), sample_rate or rate
    if channels is None or channels == 1:
        found = _to_mono(found).unsqueeze(0)
    else:
        found = found[torch.arange(channels) % len(found)]
    if not as_it_is:
        found = _to_unit_range(found)
    if channels is None:
        return resample(found[0], rate, to_rate), to_rate
    return torch.stack([resample(channel, rate, to_rate) for channel in found]), to_rate


def _recording(path: str | Path | Recording) -> Recording:
    return path if isinstance(path, Recording) else Recording(str(path), Path(path))


class FileForm(NamedTuple):
    """Sample rate in Hz, number of channels, and length in seconds, as a file's header has them."""

    rate: int
    channels: int
    seconds: float


def file_form(path: Path) -> FileForm:
    """Read the form of a sound file, without its samples.

    Raises:
        InputError: It is no sound file, or its rate is below 100 Hz or above 10 MHz.

    """
    with _recording(path).open_sound() as file:
        return FileForm(file.samplerate, file.channels, file.frames / file.samplerate)


def spans_of(recording: Recording, seconds: float) -> list[tuple[int, int]]:
    """Cut a recording into clips of one length, as its first frame and number of frames each.

    The last one is kept if it is at least half as long as the others. A recording shorter than 1.5
    clips is left whole, which an empty list says.

    Args:
        recording: The recording.
        seconds: Length of a clip.

    Raises:
        InputError: The recording cannot be read, lasts longer than `MAX_CUT_SECONDS`, or ends
            before it should.

    """
    with recording.open_sound() as file:
        _check_length(recording, file, file.frames, MAX_CUT_SECONDS)
        length = max(1, round(seconds * file.samplerate))
        if file.frames < 1.5 * length:
            return []
        # What a damaged header promises would become thousands of clips that are not there.
        file.seek(max(0, file.frames - file.frames // 10 - 1))
        if not len(file.read(1)):
            raise InputError(f"{recording}: is truncated; copy it again")
        count = (file.frames + length // 2) // length
        return [(at * length, min(length, file.frames - at * length)) for at in range(count)]


def whole_spans(recording: Recording, seconds: float) -> list[tuple[int, int]]:
    """Cut a recording into parts that cover all of it, the last of up to twice the length.

    Args:
        recording: The recording.
        seconds: Length of a part.

    Returns:
        The first frame and the number of frames of each.

    Raises:
        InputError: The recording cannot be read, or lasts longer than `MAX_CUT_SECONDS`.

    """
    with recording.open_sound() as file:
        _check_length(recording, file, file.frames, MAX_CUT_SECONDS)
        length = max(1, round(seconds * file.samplerate))
        last = max(file.frames // length, 1) - 1
        spans = [(at * length, length) for at in range(last)]
        return [*spans, (last * length, file.frames - last * length)]


def save_wav(path: str | Path, waveform: Tensor, sample_rate: int) -> None:
    """Write a waveform (samples,) or (channels, samples) in [-1, 1] as a 16-bit wav.

    Raises:
        InputError: It is no such tensor, the sample rate is out of range, or the file cannot be
            written there.

    """
    if not isinstance(waveform, Tensor) or waveform.dim() not in (1, 2):
        given = tuple(waveform.shape) if isinstance(waveform, Tensor) else type(waveform).__name__
        raise InputError(
            f"waveform, {given}: give a tensor (samples,) or (channels, samples), one clip a file"
        )
    if not waveform.is_floating_point() or not waveform.numel() or not waveform.isfinite().all():
        raise InputError("waveform: give floats in [-1, 1], one or more, none NaN or infinite")
    check_sample_rate(sample_rate, "`sample_rate`")
    samples = waveform.detach().cpu().float().clamp(-1, 1).reshape(-1, waveform.shape[-1]).T
    encoded = io.BytesIO()  # the system reports a full disk, and libsndfile does not
    soundfile.write(encoded, samples.numpy(), sample_rate, "PCM_16", format="WAV")
    with writing(Path(path)) as partial:
        partial.write_bytes(encoded.getbuffer())


def fit_length(waveform: Tensor, num_samples: int, *, start: bool = False) -> Tensor:
    """Bring a clip (..., samples) to (..., num_samples).

    A shorter clip is put in the middle of zeros, or with ``start`` before them. Of a longer one the
    part with the most energy is kept, which holds the word where speech begins late; with
    ``start``, its beginning.
    """
    length = waveform.shape[-1]
    surplus = length - num_samples
    if surplus > 0 and start:
        return waveform[..., :num_samples]
    if surplus <= 0:
        before = 0 if start else -surplus // 2
        return F.pad(waveform, (before, -surplus - before))
    # energy[i] is that of the first i samples. In blocks, as doubles of a long file are large.
    energy = torch.zeros(length + 1, dtype=torch.double)
    for begin in range(0, length, _BLOCK):
        block = waveform[..., begin : begin + _BLOCK].double().square()
        energy[begin + 1 : begin + 1 + _BLOCK] = block.reshape(-1, block.shape[-1]).sum(0).cpu()
    energy.cumsum_(0)
    best, most = 0, -1.0
    for begin in range(0, surplus + 1, _BLOCK):
        end = min(begin + _BLOCK, surplus + 1)
        inside = energy[begin + num_samples : end + num_samples] - energy[begin:end]
        if inside.max().item() > most:
            best, most = begin + int(inside.argmax()), inside.max().item()
    return waveform[..., best : best + num_samples]


def _check_length(path: Recording, file: soundfile.SoundFile, frames: int, longest: float) -> None:
    seconds = frames / file.samplerate
    sizes = [int(size) for size in _SHORT_CHUNK.findall(file.extra_info)]
    if any(size < _STREAM_SIZE for size in sizes):
        raise InputError(f"{path}: truncated after {seconds:.2f} s; copy it again")
    if frames == 0:
        raise InputError(f"{path}: holds no samples, or was cut short; record or copy it again")
    if seconds > longest:
        raise TooLongError(
            f"{path}: lasts {_duration(seconds)}, over {longest:.0f} s; cut out the part you mean"
        )


def _check_size(name: str, samples: float) -> None:
    """Make sure that a waveform of so many samples, in all channels together, fits in memory."""
    if samples > MAX_SAMPLES:
        raise TooLongError(
            f"{name}{samples:,.0f} samples are over the {MAX_SAMPLES:,} that are taken; cut out "
            f"the part you mean, or lower the sample rate"
        )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _to_mono(channels: Tensor) -> Tensor:
    """The mean (samples,) of channels (channels, samples); the loudest, if they cancel out."""
    if len(channels) == 1:
        return channels[0]
    mean = channels.mean(0)
    if _peak(mean) < 1e-3 * _peak(channels):  # a microphone wired the wrong way round
        powers = torch.stack([channel.dot(channel) for channel in channels])
        return channels[powers.argmax()]
    return mean


def _peak(waveform: Tensor) -> Tensor:
    """The largest magnitude, without a copy of the samples."""
    low, high = torch.aminmax(waveform)
    return torch.maximum(-low, high)


def _to_unit_range(waveform: Tensor) -> Tensor:
    """Scale a waveform that goes beyond [-1, 1] down to a peak of 1."""
    if not waveform.numel():  # a sample or two, at a lower rate
        return waveform
    peak = _peak(waveform)
    return waveform / peak if peak > 1 else waveform


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Resample a waveform (samples,) within its band (soxr, very high quality); rates in Hz.

    Raises:
        InputError: The result would have more than `MAX_SAMPLES`.

    """
    if from_rate == to_rate:
        return waveform
    _check_size(f"at {to_rate:,} Hz, ", len(waveform) * to_rate / from_rate)
    return _to_unit_range(
        torch.from_numpy(soxr.resample(waveform.numpy(), from_rate, to_rate, quality="VHQ"))
    )


def add_noise(
    waveform: Tensor, ratio_db: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """Add white Gaussian noise to a waveform (samples,) at a signal-to-noise ratio in dB.

    The power of the signal is averaged over the whole clip, pauses included.
    """
    power = waveform.square().mean()
    noise = torch.randn(waveform.shape, generator=generator)
    return waveform + noise * (power * 10 ** (-ratio_db / 10)).sqrt()


def prepare_speech(waveform: Waveform, sample_rate: int, to_rate: int) -> Tensor:
    """Check a clip of speech and bring it to mono at ``to_rate``.

    Args:
        waveform: (samples,) or (channels, samples), floating point.
        sample_rate: Sample rate of the waveform, in Hz.
        to_rate: Sample rate to return, in Hz.

    Returns:
        Waveform (samples,), float32.

    Raises:
        InputError: It is no waveform, is silent, too short, too long or too large, or holds NaN.

    """
    if isinstance(waveform, np.ndarray):  # torch takes no negative strides or foreign byte order
        waveform = np.ascontiguousarray(waveform, waveform.dtype.newbyteorder("="))
    try:
        given = torch.as_tensor(waveform)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"waveform {waveform!r}: give a tensor; audiate.load_audio reads a file"
        ) from error
    if not given.is_floating_point() or given.ndim not in (1, 2):
        raise InputError(
            f"waveform: expected floats (samples,) or (channels, samples), "
            f"got {given.dtype} of shape {tuple(given.shape)}"
        )
    check_sample_rate(sample_rate)
    if given.numel() == 0:
        raise InputError("the waveform is empty; give at least one channel of samples")
    _check_size("the waveform: ", given.numel())
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
    if is_silent(mono):
        raise InputError(
            "the waveform is silent (it stays below -80 dB); record it again, closer to the "
            "microphone"
        )
    return resample(_to_unit_range(mono), sample_rate, to_rate)


def to_peak(waveforms: Tensor) -> Tensor:
    """Bring waveforms (..., channels, samples) to a peak of `PEAK` each, but for silent ones."""
    peaks = waveforms.abs().amax((-2, -1), keepdim=True)
    return waveforms * (PEAK / peaks.clamp_min(1e-6))


def is_hit(waveform: Tensor, sample_rate: int) -> bool:
    """Tell whether a sound (channels, samples) begins with its onset and fades, as a drum does.

    Its loudest 5 ms lie in the first 50 ms, and its last quarter is 20 dB below them.
    """
    step = max(round(0.005 * sample_rate), 1)
    power = waveform.square().mean(0)
    frames = power[: len(power) // step * step].view(-1, step).mean(1)
    if len(frames) < 10:
        return False
    loudest = frames.max()
    fades = frames[-(len(frames) // 4) :].max() <= 0.01 * loudest
    return bool(fades) and int(frames.argmax()) < 10


def one_shot(waveform: Tensor, sample_rate: int) -> Tensor:
    """Cut the silence around a sound (channels, samples), and bring it to a peak of `PEAK`.

    It begins where it first comes within 6 dB of its peak, but at most 5 ms after it first comes
    within 40: what is made of a spectrogram swells for so long before an onset. It rises from 0 in
    half a millisecond, and ends where it last is within 60 dB.
    """
    level = waveform.abs().amax(0)
    heard = [(level >= share * level.max()).nonzero().flatten() for share in (1e-2, 0.5, 1e-3)]
    begin = min(int(heard[0][0]) + round(0.005 * sample_rate), int(heard[1][0]))
    shot = waveform[:, begin : int(heard[2][-1]) + 1]
    rise = torch.arange(shot.shape[1], device=shot.device) / (0.0005 * sample_rate)
    return to_peak(shot * rise.clamp(max=1))


def is_silent(waveform: Tensor) -> bool:
    """Tell whether a waveform (samples,) stays within `SILENCE` of its mean, or is empty."""
    if not waveform.numel():
        return True
    mean, (low, high) = waveform.mean(), torch.aminmax(waveform)
    return bool(torch.maximum(high - mean, mean - low) < SILENCE)
