"""Decode sound files of phones and browsers, which libsndfile cannot read, by PyAV."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
import soundfile

from audiate.errors import InputError

SUFFIXES = (".m4a", ".aac", ".opus", ".webm", ".3gp", ".amr")
"""Endings of names of such files."""

COMMAND = 'pip install "audiate[formats]"'
"""The command that installs PyAV."""

_MARKS = ((4, b"ftyp"), (0, b"\x1aE\xdf\xa3"), (0, b"#!AMR"), (0, b"OggS"))  # MP4, WebM, AMR, Opus


def is_decodable(content: BinaryIO, name: str) -> bool:
    """Whether PyAV may read a file that libsndfile cannot, by its name or its first bytes."""
    content.seek(0)
    head = content.read(16)
    content.seek(0)
    marked = any(head[at : at + len(mark)] == mark for at, mark in _MARKS)
    return marked or name.lower().endswith(SUFFIXES)


def decode(content: BinaryIO, name: str, most: int) -> BinaryIO:
    """Decode the first stream of sound in a file.

    Args:
        content: The file.
        name: Its name, for messages.
        most: Limit of the samples of all channels together, at which decoding stops.

    Returns:
        A wav file of 32-bit floats in memory, with the same rate and channels.

    Raises:
        InputError: PyAV is not installed, or cannot read the file either.

    """
    try:
        import av
    except ImportError as error:
        raise InputError(
            f"{name}: takes PyAV to be read; {COMMAND}, or convert it to wav or flac"
        ) from error
    parts, count = [], 0
    try:
        with av.open(content, mode="r") as container:
            if not container.streams.audio:
                raise InputError(f"{name}: holds no sound; name a recording")
            stream = container.streams.audio[0]
            rate, channels = stream.rate, stream.channels
            resampler = av.AudioResampler(format="flt")
            frames = (
                part for frame in container.decode(stream) for part in resampler.resample(frame)
            )
            for frame in frames:
                parts.append(frame.to_ndarray().reshape(-1, channels))
                count += parts[-1].size
                if count > most:
                    break
    except (av.FFmpegError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            f"{name}: cannot be read as sound ({reason}); convert it to wav or flac"
        ) from error
    samples = np.concatenate(parts) if parts else np.zeros((0, channels), np.float32)
    wav = io.BytesIO()
    soundfile.write(wav, samples, rate, "FLOAT", format="WAV")
    wav.seek(0)
    return wav
