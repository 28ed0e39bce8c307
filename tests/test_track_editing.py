"""Edits by the tracks of a codec, on the shipped weights and clips."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import small_specgan
from numpy.typing import NDArray

import audiate
from audiate.audio.pitch import praat_f0
from audiate.cli import main
from audiate.cli.demo import CLIPS_FOLDER
from audiate.errors import InputError
from audiate.models.codec import Codec
from audiate.models.speech_flow import load_codec
from audiate.phonetics.edit_folder import edit_folder
from audiate.phonetics.track_editing import TrackEditWork, edit_tracks

RATE = 16_000


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("speech-digits")


def clip(name: str) -> torch.Tensor:
    waveform, _ = audiate.load_audio(CLIPS_FOLDER / f"{name}.flac", RATE)
    return waveform[None, None]


def f0_of(waveform: torch.Tensor) -> NDArray[np.float32]:
    """F0 (frames,), in Hz, by Praat; NaN where there is no voice."""
    f0 = praat_f0(waveform.flatten(), RATE, 256)
    return np.where(f0 > 0, f0, np.nan)


class TestTracks:
    def test_without_a_change_it_is_the_codecs_sound(self, codec: Codec) -> None:
        waveform = clip("two-female")
        with torch.no_grad():
            expected = codec(waveform).clamp(-1, 1)
        torch.testing.assert_close(edit_tracks(codec, waveform), expected)

    @pytest.mark.parametrize("semitones", [-5.0, 4.0, 12.0])
    @pytest.mark.parametrize("name", ["two-female", "zero-slt"])
    def test_f0_is_multiplied(self, codec: Codec, name: str, semitones: float) -> None:
        before = edit_tracks(codec, clip(name))
        after = edit_tracks(codec, clip(name), semitones=semitones)
        assert after.shape == before.shape
        moved = 12 * np.log2(f0_of(after) / f0_of(before))
        assert np.nanmedian(moved) == pytest.approx(semitones, abs=0.1)

    @pytest.mark.parametrize("octaves", [-0.5, 0.25, 1.0])
    def test_the_length_is_multiplied_and_f0_stays(self, codec: Codec, octaves: float) -> None:
        waveform = clip("zero-slt")
        after = edit_tracks(codec, waveform, octaves=octaves)
        assert after.shape[2] == round(waveform.shape[2] * 2**octaves)
        before = np.nanmedian(f0_of(edit_tracks(codec, waveform)))
        assert np.nanmedian(f0_of(after)) == pytest.approx(before, rel=0.04)


def test_the_command_edits_clips_of_any_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = torch.cat([clip("two-female"), clip("zero-slt"), clip("six-awb")], 2).flatten()
    (tmp_path / "clips").mkdir()
    soundfile.write(tmp_path / "clips" / "long.wav", long.numpy(), RATE)
    soundfile.write(tmp_path / "clips" / "silent.wav", np.zeros(8000), RATE)
    out = tmp_path / "out"
    command = ["edit", str(tmp_path / "clips"), "--pitch", "+3st", "--loudness", "-6dB",
               "--classifier", "none", "--out", str(out)]  # fmt: skip
    assert main(command) == 2
    told = capsys.readouterr()
    assert "silent.wav: is silent" in told.err
    assert "long: pitch +" in told.out
    assert {path.name for path in out.iterdir()} == {
        "long.wav", "long-before.wav", "long.png", "report.json",
    }  # fmt: skip
    assert len(soundfile.read(out / "long.wav")[0]) == len(long)
    result = json.loads((out / "report.json").read_text())["clips"]["long"]
    changes = {each["attribute"]: each for each in result["changes"]}
    assert changes["pitch"]["after"] - changes["pitch"]["recording"] == pytest.approx(3, abs=0.5)
    loudness = changes["loudness"]
    assert loudness["after"] - loudness["recording"] == pytest.approx(-6, abs=0.1)
    assert result["missed"] == []
    (out / "long.wav").unlink()  # a clip that is no longer there is edited again
    assert main(command) == 2
    assert "1 clip edited" in capsys.readouterr().out
    assert main(command) == 2
    assert "0 clips edited (1 was there already)" in capsys.readouterr().out


def test_an_edited_clip_has_the_level_of_the_recording(tmp_path: Path) -> None:
    faint = 0.02 * clip("two-female").flatten()
    soundfile.write(tmp_path / "faint.wav", faint.numpy(), RATE, "FLOAT")
    for number, decibels in enumerate((0.0, 6.0)):
        out = tmp_path / str(number)
        edit_folder(tmp_path / "faint.wav", out, {"pitch": 2.0, "loudness": decibels})
        edited = torch.from_numpy(soundfile.read(out / "faint.wav")[0])
        moved = 20 * torch.log10(edited.std() / faint.std()).item()
        assert moved == pytest.approx(decibels, abs=1.0)


def test_pitch_is_compared_where_both_sounds_are_voiced(codec: Codec, tmp_path: Path) -> None:
    hum, squeak = (0.2 * np.sin(2 * np.pi * hertz * np.arange(8000) / RATE) for hertz in (120, 400))
    noise = 0.01 * np.random.default_rng(0).normal(size=8000)
    recording, other = (
        torch.from_numpy(np.concatenate(x))[None] for x in ((hum, noise), (hum, squeak))
    )
    work = TrackEditWork(codec, {"pitch": 0.0}, None)
    assert work._change_of_pitch(recording, other) == pytest.approx(0, abs=0.05)


def test_a_whisper_has_no_pitch_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = 0.1 * np.random.default_rng(0).normal(size=RATE)
    hum = 0.1 * np.sin(2 * np.pi * 150 * np.arange(1600) / RATE)
    soundfile.write(tmp_path / "whisper.wav", np.concatenate([noise, hum]), RATE)
    command = ["edit", str(tmp_path / "whisper.wav"), "--pitch", "+4st", "--classifier", "none"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    assert "less than 30 % of the recording and of the edited sound is voiced" in told.out
    assert "1 of 1 clip cannot be given a pitch, as too little is voiced; leave --pitch" in told.err
    assert "did not come out" not in told.err
    result = json.loads((tmp_path / "out" / "report.json").read_text())["clips"]["whisper"]
    assert result["missed"] == ["pitch"]


def test_what_is_no_digit_is_read_as_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fading = np.exp(-np.arange(RATE // 2) / (0.05 * RATE))
    hat = 0.2 * np.random.default_rng(0).normal(size=RATE // 2) * fading
    soundfile.write(tmp_path / "hat.wav", hat, RATE)
    clips = [str(tmp_path / "hat.wav"), str(CLIPS_FOLDER / "seven-rms.flac")]
    change = ["--loudness", "-6dB", "--duration", "1.3", "--out", str(tmp_path / "out")]
    assert main(["edit", *clips, *change]) == 0
    hat_line, seven, _ = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"hat: loudness -6\.00 dB \(with a gain of .* dB\), duration .*", hat_line)
    assert "read as" not in hat_line
    assert seven.endswith("read as 7")
    clips_told = json.loads((tmp_path / "out" / "report.json").read_text())["clips"]
    assert clips_told["hat"]["digit"] is None
    assert "digit" not in clips_told["hat"]["missed"]


def test_what_tracks_cannot_do(tmp_path: Path) -> None:
    clips, gan = CLIPS_FOLDER / "two-female.flac", small_specgan()
    with pytest.raises(InputError, match="is for flows of sound"):
        edit_folder(clips, tmp_path / "a", {"pitch": 1.0}, generator=gan, method="tracks")
    with pytest.raises(InputError, match="keeps the word"):
        edit_folder(clips, tmp_path / "b", {}, digit=3, method="tracks")
