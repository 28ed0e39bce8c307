"""Sound files whose headers promise more or less than is there."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import scipy
import soundfile
from numpy.typing import NDArray

import audiate
from audiate.audio.files import Recording, whole_spans
from audiate.audio.headers import _frame
from audiate.data.sounds import find_sounds
from audiate.errors import InputError

RATE = 16_000


def glide(seconds: float = 2.0) -> NDArray[np.float32]:
    """A rising tone, then noise: an mp3 of variable rate takes more bytes for the latter."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * time) * time)
    noise = 0.3 * np.random.default_rng(0).standard_normal(len(time))
    return np.concatenate([tone, np.zeros(RATE), noise.clip(-0.9, 0.9)]).astype(np.float32)


def wav(path: Path) -> tuple[bytearray, int, int]:
    """A wav file's bytes, where its samples begin, and how many bytes they are."""
    soundfile.write(path, glide(), RATE, "PCM_16")
    content = bytearray(path.read_bytes())
    begin = content.index(b"data") + 8
    return content, begin, len(content) - begin


class TestWav:
    @pytest.mark.parametrize(
        "size", [lambda n: n + 2, lambda n: n + 44, lambda n: 2 * n, lambda _: 0]
    )
    def test_a_wrong_size_is_told_and_all_samples_are_read(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: object
    ) -> None:
        content, begin, count = wav(tmp_path / "x.wav")
        expected, _ = audiate.load_audio(tmp_path / "x.wav")
        struct.pack_into("<I", content, begin - 4, size(count))  # type: ignore[operator]
        (tmp_path / "wrong.wav").write_bytes(content)
        for _ in range(2):
            found, rate = audiate.load_audio(tmp_path / "wrong.wav")
        assert rate == RATE
        np.testing.assert_array_equal(found, expected)
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert f"wrong.wav: its header promises {size(count):,} bytes" in told  # type: ignore[operator]

    def test_one_byte_is_missing(self, tmp_path: Path) -> None:
        content, _, count = wav(tmp_path / "x.wav")
        (tmp_path / "short.wav").write_bytes(content[:-1])
        assert len(audiate.load_audio(tmp_path / "short.wav")[0]) == count // 2 - 1

    def test_one_that_was_cut_short_is_refused(self, tmp_path: Path) -> None:
        content, _, count = wav(tmp_path / "x.wav")
        (tmp_path / "half.wav").write_bytes(content[: -count // 2])
        with pytest.raises(InputError, match=r"half\.wav: truncated, "):
            audiate.load_audio(tmp_path / "half.wav")

    def test_an_empty_one_with_other_chunks_is_empty(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "x.wav", np.zeros(0, np.float32), RATE)
        note = b"LIST" + struct.pack("<I", 4) + b"INFO"
        (tmp_path / "x.wav").write_bytes((tmp_path / "x.wav").read_bytes() + note)
        with pytest.raises(InputError, match="holds no samples"):
            audiate.load_audio(tmp_path / "x.wav")

    @pytest.mark.parametrize("extensible", [False, True])
    def test_24_bits_in_four_bytes_are_refused(self, tmp_path: Path, extensible: bool) -> None:
        kind = 0xFFFE if extensible else 1
        head = struct.pack("<HHIIHH", kind, 1, RATE, 4 * RATE, 4, 24)
        if extensible:
            head += struct.pack("<HHI", 22, 24, 4)
            head += bytes.fromhex("0100000000001000800000aa00389b71")
        samples = (glide() * 2**23).astype("<i4").tobytes()
        body = b"WAVEfmt " + struct.pack("<I", len(head)) + head
        body += b"data" + struct.pack("<I", len(samples)) + samples
        (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        with pytest.raises(InputError, match=r"x\.wav: holds 24 bits in four bytes"):
            audiate.load_audio(tmp_path / "x.wav")


def mp3(path: Path) -> bytes:
    """An mp3 file of variable rate, whose first frame says how many there are."""
    soundfile.write(
        path, glide(), RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.6
    )
    return path.read_bytes()


class TestMp3:
    def check(self, path: Path) -> None:
        """All of the samples are there, after the encoder's delay."""
        expected = glide()
        found, rate = audiate.load_audio(path)
        assert rate == RATE
        assert len(expected) <= len(found) < len(expected) + 4000
        delay = (
            int(scipy.signal.correlate(found.numpy(), expected, method="fft").argmax())
            - len(expected)
            + 1
        )
        assert 0 <= delay < 3000
        heard = found.numpy()[delay : delay + len(expected)]
        assert np.corrcoef(heard, expected[: len(heard)])[0, 1] > 0.8  # noise is not coded well
        (span,) = whole_spans(Recording("x", path), 60.0)
        assert span == (0, len(found))

    def test_one_that_does_not_say_how_long_it_is(self, tmp_path: Path) -> None:
        whole = mp3(tmp_path / "x.mp3")
        first = _frame(whole)
        assert first is not None
        assert b"Xing" in whole[: first.size] or b"Info" in whole[: first.size]
        (tmp_path / "bare.mp3").write_bytes(whole[first.size :])
        with soundfile.SoundFile(tmp_path / "bare.mp3") as alone:
            assert not len(glide()) <= alone.frames < len(glide()) + 4000  # as libsndfile counts
        self.check(tmp_path / "bare.mp3")

    def test_after_a_damaged_tag(self, tmp_path: Path) -> None:
        whole = mp3(tmp_path / "x.mp3")
        tag = b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"a title" * 40
        (tmp_path / "tag.mp3").write_bytes(tag + whole)
        self.check(tmp_path / "tag.mp3")

    def test_within_a_wav_file(self, tmp_path: Path) -> None:
        whole = mp3(tmp_path / "x.mp3")
        head = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 4000, 1, 0, 12, 1, 2, 0, 1, 0)
        body = b"WAVEfmt " + struct.pack("<I", len(head)) + head
        body += b"data" + struct.pack("<I", len(whole)) + whole
        (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        self.check(tmp_path / "x.wav")


def test_vorbis_whose_sound_begins_on_the_page_of_the_header(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.ogg", glide(), RATE, "VORBIS", format="OGG")
    content = (tmp_path / "x.ogg").read_bytes()
    begins = [at for at in range(len(content)) if content[at : at + 4] == b"OggS"]
    pages = [content[at:end] for at, end in zip(begins, [*begins[1:], None], strict=True)]
    header, sound = pages[1:3]
    both = sound[:18] + header[18:22] + bytes(4) + bytes([header[26] + sound[26]])
    segments = [page[27:][: page[26]] for page in (header, sound)]
    bodies = [page[27:][page[26] :] for page in (header, sound)]
    shared = both + b"".join([*segments, *bodies])
    later = [
        page[:18] + struct.pack("<I", struct.unpack_from("<I", page, 18)[0] - 1) + page[22:]
        for page in pages[3:]
    ]
    (tmp_path / "shared.ogg").write_bytes(
        b"".join([pages[0], *(summed(page) for page in (shared, *later))])
    )
    with soundfile.SoundFile(tmp_path / "shared.ogg") as alone:
        assert len(alone.read()) < len(glide())  # as libsndfile reads it
    expected, _ = audiate.load_audio(tmp_path / "x.ogg")
    found, _ = audiate.load_audio(tmp_path / "shared.ogg")
    assert len(found) == len(glide())
    np.testing.assert_array_equal(found, expected)


def summed(page: bytes) -> bytes:
    """An Ogg page with its checksum: the remainder by a polynomial (RFC 3533), bit by bit."""
    page = page[:22] + bytes(4) + page[26:]
    rest = 0
    for byte in page:
        rest ^= byte << 24
        for _ in range(8):
            rest = (rest << 1 ^ (0x04C11DB7 if rest >> 31 else 0)) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", rest) + page[26:]


def test_files_that_do_not_say_enough(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.flac", glide(), RATE)
    content = bytearray((tmp_path / "x.flac").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "x.flac").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.flac: does not say how long it lasts"):
        audiate.load_audio(tmp_path / "x.flac")
    (tmp_path / "x.raw").write_bytes((glide() * 32767).astype("<i2").tobytes())
    with pytest.raises(InputError, match=r"x\.raw: raw samples say neither rate nor format"):
        audiate.load_audio(tmp_path / "x.raw")


def test_other_endings_are_found_in_a_folder(tmp_path: Path) -> None:
    for ending, kind in {
        "wave": "WAV",
        "oga": "OGG",
        "snd": "AU",
        "caf": "CAF",
        "w64": "W64",
    }.items():
        soundfile.write(tmp_path / f"a.{ending}", glide(), RATE, format=kind)
        found, _ = audiate.load_audio(tmp_path / f"a.{ending}")
        assert len(found) == len(glide())
    names = {path.name for path in find_sounds(tmp_path)}
    assert names == {"a.wave", "a.oga", "a.snd", "a.caf", "a.w64"}
