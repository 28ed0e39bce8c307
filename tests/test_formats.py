"""Recordings of phones and browsers, which PyAV writes and reads."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import audiate
from audiate.audio import formats
from audiate.audio.files import Recording, TooLongError
from audiate.data.sounds import find_clips
from audiate.errors import InputError

av = pytest.importorskip("av")

FORMATS = [("m4a", "aac", 44_100), ("aac", "aac", 44_100), ("webm", "libopus", 48_000)]


def encode(path: Path, codec: str, rate: int, *, channels: int = 1, seconds: float = 0.5) -> Path:
    """Write a tone of 440 Hz and amplitude 0.5."""
    times = np.arange(int(seconds * rate)) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.stack([tone] * channels), "fltp", layout)
        frame.sample_rate = rate
        for part in (*av.AudioResampler(stream.format, layout, rate).resample(frame), None):
            container.mux(stream.encode(part))
    return path


@pytest.mark.parametrize(("ending", "codec", "rate"), FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_is_read_as_it_was(
    ending: str, codec: str, rate: int, channels: int, tmp_path: Path
) -> None:
    path = encode(tmp_path / f"tone.{ending}", codec, rate, channels=channels)
    waveform, found = audiate.load_audio(path)
    assert found == rate
    assert len(waveform) == pytest.approx(0.5 * rate, rel=0.15)
    middle = waveform[rate // 8 : rate // 8 + rate // 4]
    assert middle.abs().max().item() == pytest.approx(0.5, abs=0.05)
    peak = torch.fft.rfft(middle).abs().argmax().item() / (len(middle) / rate)
    assert peak == pytest.approx(440, abs=5)
    assert [name for name, _ in find_clips([tmp_path], tmp_path / "out")] == ["tone"]


def test_the_content_counts_where_the_name_says_something_else(tmp_path: Path) -> None:
    path = encode(tmp_path / "tone.m4a", "aac", 44_100)
    expected, _ = audiate.load_audio(path)
    waveform, _ = audiate.load_audio(Recording("tone.wav", path.read_bytes()))
    assert torch.equal(waveform, expected)


def test_without_pyav_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "tone.m4a", "aac", 44_100)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        InputError, match=r'tone\.m4a: takes PyAV .*pip install "audiate\[formats\]"'
    ):
        audiate.load_audio(path)


def test_what_is_no_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.m4a").write_text("no sound at all")
    with pytest.raises(InputError, match=r"text\.m4a: cannot be read as sound"):
        audiate.load_audio(tmp_path / "text.m4a")
    (tmp_path / "text.wav").write_text("no sound at all")
    with pytest.raises(InputError, match=r"text\.wav: cannot be read as sound"):
        audiate.load_audio(tmp_path / "text.wav")


def test_decoding_stops_at_the_limit(tmp_path: Path) -> None:
    path = encode(tmp_path / "tone.m4a", "aac", 44_100)
    with path.open("rb") as content:
        assert soundfile.info(formats.decode(content, "tone", 5000)).frames < 8000
    long = encode(tmp_path / "long.m4a", "aac", 8000, seconds=61)
    with pytest.raises(TooLongError, match=r"long\.m4a: lasts 61 s"):
        audiate.load_audio(long)
