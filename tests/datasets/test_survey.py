"""A look at a folder before a training."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import write_tone
from PIL import Image

from audiate.cli import main, parse
from audiate.data.survey import survey


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        write_tone(tmp_path / f"low_{number}.wav", hertz=200 + number)
    (tmp_path / "high_0.wav").write_bytes((tmp_path / "low_0.wav").read_bytes())
    soundfile.write(tmp_path / "high_1.wav", np.zeros(4000), 16_000)
    soundfile.write(tmp_path / "high_2.wav", np.sign(np.sin(np.arange(8000) / 9)), 8000)
    (tmp_path / "low_9.wav").write_bytes(b"no sound")
    return tmp_path


def test_it_finds_what_is_worth_a_second_look(folder: Path) -> None:
    found = survey(folder, "{word}_*")
    assert len(found.seconds) == 6
    assert found.words == {"low": 3, "high": 3}
    assert found.rates == {8000: 5, 16_000: 1}
    assert found.silent == ["high_1.wav"]
    assert found.clipped == ["high_2.wav"]
    assert found.copies == [["high_0.wav", "low_0.wav"]]
    assert [name for name, _ in found.broken] == ["low_9.wav"]
    assert found.peaks[0] == pytest.approx(20 * np.log10(0.5), abs=0.1)
    assert found.cut == 5


def test_the_command_tells_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "look", str(folder), "--label-from", "{word}_*"]) == 2
    told = capsys.readouterr().out
    for part in (
        "6 sounds",
        "fewer than 40",
        "--sample-rate",
        "1 clipped",
        "1 silent",
        "1 with copies of the same samples: high_0.wav = low_0.wav",
    ):
        assert part in told


def test_it_says_how_to_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drums = tmp_path / "my drums"
    for number in range(3):
        write_tone(drums / f"kick_ann{number}.wav", seconds=0.7 + 0.1 * number, rate=44_100)
    soundfile.write(drums / "snare_bob.wav", np.full((4410, 2), 0.5), 44_100)
    assert main(["data", "look", str(drums), "--label-from", "{word}_{voice}"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert "channels: mono (3), stereo (1)" in told
    assert "voices: ann0 (1), ann1 (1), ann2 (1), bob (1)" in told
    command = told[-1].removeprefix("to train: ")
    assert command == (
        f"audiate train specgan --data '{drums}' --label-from '{{word}}_{{voice}}' "
        f"--num-samples 39744 --channels 2 --sample-rate 44100"
    )
    assert parse(shlex.split(command)[1:]).recipe.network.n_fft == 0  # as suits the length


def test_pictures_of_pairs(tmp_path: Path) -> None:
    for kind, colour in (("a", (255, 0, 0)), ("b", (9, 9, 9)), ("c", None)):
        write_tone(tmp_path / kind / "1.wav")
        if colour is not None:
            Image.new("RGB", (60, 40), colour).save(tmp_path / kind / "1.png")
    (tmp_path / "b" / "2.png").write_bytes(b"no picture")
    told = survey(tmp_path).to_text()
    assert "pictures: 2, 1 in colour: 60x40 (2)" in told
    assert "1 labels without a picture: c" in told
    assert "1 cannot be read: b/2.png" in told
    assert told.endswith(f"to train on pairs: audiate train vae --pairs {tmp_path}")


def test_words_and_channels_as_most_files_have(tmp_path: Path) -> None:
    for number in range(10):
        write_tone(tmp_path / f"yes_{number}.wav", hertz=200 + number)
        write_tone(tmp_path / f"no_{number}.wav", hertz=300 + number)
    soundfile.write(tmp_path / "no_x.wav", np.full((4410, 2), 0.5), 44_100)
    told = survey(tmp_path, "{word}_*").to_text().splitlines()
    assert "--channels 1 " in told[-2]
    assert told[-1] == (
        f"to train on words, in voices: audiate train coded-flow --data {tmp_path} "
        "--label-from '{word}_*' --codes 2"
    )
    assert parse(shlex.split(told[-1].split(": ")[1])[1:]).recipe.codes == 2
    soundfile.write(tmp_path / "yes_x.wav", np.full((4410, 2), 0.4), 44_100)
    assert "--channels 2 " in survey(tmp_path, "{word}_*").to_text()


def test_what_is_short_or_silent_or_copied_many_times_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(4000), 8000)
    assert "all files are silent" in survey(tmp_path).to_text()
    assert "1 sound," in survey(tmp_path).to_text()
    write_tone(tmp_path / "b.wav", seconds=0.03)
    for number in range(8):
        write_tone(tmp_path / f"c{number}.wav")
    told = survey(tmp_path).to_text()
    assert "1 shorter than 50 ms: b.wav" in told
    assert "c0.wav = c1.wav = c2.wav = c3.wav = c4.wav and 3 more" in told
