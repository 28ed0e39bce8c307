"""Latents set by hand, as values and as a user sets them on the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import small_specgan

import audiate
from audiate.cli import main
from audiate.cli.demo import CLIPS_FOLDER
from audiate.data.latents import (
    Sweep,
    clip_names,
    parse_set,
    parse_sweep,
    read_latents,
    read_stop,
    save_csv,
    save_table,
    swept,
    titles_of,
    walked,
)
from audiate.errors import InputError
from audiate.folders.invert import read_target
from audiate.models.configs import CodeConfig
from audiate.models.speech_flow import SpeechFlow


class TestValues:
    def test_set_and_sweep_are_read(self) -> None:
        assert parse_set("3=-2.5", 8) == (3, -2.5)
        assert parse_sweep("3=-5:5:3", 8) == Sweep(3, (-5.0, 0.0, 5.0))
        assert parse_sweep("0=1e1:20:1", 8) == Sweep(0, (10.0,))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("3", "as in 3=-2.5"),
            ("3=x", "as in 3=-2.5"),
            ("-1=2", "as in 3=-2.5"),
            ("8=1", "0 to 7"),
        ],
    )
    def test_wrong_sets(self, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            parse_set(text, 8)

    @pytest.mark.parametrize("text", ["3=1", "3=1:2", "3=1:2:0", "3=1:2:x", "9=0:1:2"])
    def test_wrong_sweeps(self, text: str) -> None:
        with pytest.raises(InputError, match="sweep"):
            parse_sweep(text, 8)

    def test_two_sweeps_make_a_grid_for_each_latent(self) -> None:
        z = np.zeros((2, 4), dtype=np.float32)
        z[1, 3] = 7
        rows = swept(z, [(0, 9.0)], [Sweep(1, (1.0, 2.0)), Sweep(2, (3.0, 4.0, 5.0))])
        assert rows.shape == (12, 4)
        assert (rows[:, 0] == 9).all()
        assert rows[:6, 1:3].tolist() == [[a, b] for a in (1, 2) for b in (3, 4, 5)]
        assert rows[:, 3].tolist() == [0] * 6 + [7] * 6
        assert z[0, 0] == 0

    def test_a_walk_visits_its_stops_at_even_steps(self) -> None:
        stops = [np.array(stop, dtype=np.float32) for stop in ([0, 0], [2, 0], [2, 4])]
        rows = walked(stops, 5)
        assert rows.tolist() == [[0, 0], [1, 0], [2, 0], [2, 2], [2, 4]]

    def test_around_zero_a_walk_keeps_its_length(self) -> None:
        stops = [np.array(stop, dtype=np.float32) for stop in ([3, 0], [0, 3], [-6, 0])]
        rows = walked(stops, 7, spherical=True)
        np.testing.assert_allclose(rows[[0, 3, 6]], stops, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [3, 3, 3, 3, 4, 5, 6], rtol=1e-6)
        angles = np.degrees(np.arctan2(rows[:, 1], rows[:, 0]))
        np.testing.assert_allclose(angles, np.arange(7) * 30, atol=1e-4)
        alike = walked([stops[0], stops[0]], 3, spherical=True)
        np.testing.assert_allclose(alike, np.stack([stops[0]] * 3), atol=1e-5)

    def test_stops_are_rows_of_files(self, tmp_path: Path) -> None:
        np.save(tmp_path / "z.npy", np.arange(6, dtype=np.float32).reshape(3, 2))
        assert read_stop(f"{tmp_path}/z.npy", 2).tolist() == [0, 1]
        assert read_stop(f"{tmp_path}/z.npy:2", 2).tolist() == [4, 5]
        with pytest.raises(InputError, match="3 latents"):
            read_stop(f"{tmp_path}/z.npy:3", 2)

    def test_the_table_keeps_the_numbers(self, tmp_path: Path) -> None:
        z = np.array([[0.5, -7.25]], dtype=np.float32)
        save_csv(["000"], z, tmp_path / "z.csv")
        assert (tmp_path / "z.csv").read_text() == "clip,z0,z1\n000,0.5,-7.25\n"
        assert read_latents(tmp_path / "z.csv", 2).tolist() == [[0.5, -7.25]]
        for damage in ("", "clip,z0,z1\n000,0.5\n001,1,2\n", "sound,z0\n000,much\n"):
            (tmp_path / "bad.csv").write_text(damage)
            with pytest.raises(InputError, match="cannot be read as latents"):
                read_latents(tmp_path / "bad.csv", 2)

    @pytest.mark.parametrize(
        "names",
        [
            ["a", "A"],
            ["a", "../b"],
            ["a", "/b"],
            ["a", "C:b"],
            ["a", "b/"],
            ["a", "b\\c"],
            ["a", ""],
        ],
    )
    def test_names_that_lead_elsewhere_or_are_one_name_no_file(
        self, names: list[str], tmp_path: Path
    ) -> None:
        z = np.zeros((2, 2), dtype=np.float32)
        save_table(dict(zip(names, z, strict=True)), tmp_path / "z.npz")
        save_csv(names, z, tmp_path / "z.csv")
        for path in (tmp_path / "z.npz", tmp_path / "z.csv"):
            assert clip_names(path, 2) is None
        save_table({"a": z[0], "more/b": z[1]}, tmp_path / "z.npz")
        assert clip_names(tmp_path / "z.npz", 2) == ["a", "more/b"]
        assert clip_names(tmp_path / "z.npz", 3) is None

    def test_sounds_of_a_sweep_are_titled_by_their_values(self) -> None:
        sweeps = [parse_sweep("0=0:1:2", 2), parse_sweep("1=-5:5:2", 2)]
        titles = titles_of(swept(np.zeros((1, 2), np.float32), [], sweeps), sweeps)
        assert titles == ["z0=0 z1=-5", "z0=0 z1=5", "z0=1 z1=-5", "z0=1 z1=5"]


class TestCommand:
    @pytest.fixture
    def coded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        code = CodeConfig("one-hot", 3, "words")
        small_specgan(latent_dim=6, code=code).save_pretrained(tmp_path / "gan")

    @pytest.mark.usefixtures("coded")
    def test_a_grid(self) -> None:
        words = "generate gan --set 0=1 --sweep 4=-5:5:3 --sweep 5=0:9:2 --out grid"
        assert main(words.split()) == 0
        z = read_latents(Path("grid/latents.npy"), 6)
        assert len(z) == 6
        assert z[:, :3].tolist() == [[1, 0, 0]] * 6  # the other entries of the code are 0
        assert z[:, 4:].tolist() == [[a, b] for a in (-5, 0, 5) for b in (0, 9)]
        with Path("grid/latents.csv").open() as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["clip", "code", "z0", "z1", "z2", "z3", "z4", "z5"]
        assert {row[1] for row in rows[1:]} == {"0"}
        np.testing.assert_allclose([[float(v) for v in r[2:]] for r in rows[1:]], z, rtol=1e-6)
        assert len(list(Path("grid").glob("*.wav"))) == 6
        assert main(["generate", "gan", "--latents", "grid/latents.csv", "--out", "again"]) == 0
        assert np.array_equal(read_latents(Path("again/latents.npy"), 6), z)

    @pytest.mark.usefixtures("coded")
    def test_sounds_have_the_names_of_the_clips_whose_latents_are_given(self) -> None:
        z = {"a": np.zeros(6, np.float32), "more/b": np.ones(6, np.float32)}
        save_table(z, Path("z.npz"))
        generate = ["generate", "gan", "--out", "again"]
        assert main([*generate, "--latents", "z.npz"]) == 0
        sounds = {path.relative_to("again").as_posix() for path in Path("again").rglob("*.wav")}
        assert sounds == {"a.wav", "more/b.wav"}
        assert clip_names(Path("again/latents.csv"), 2) == ["a", "more/b"]
        assert main([*generate, "--count", "1"]) == 0  # the others are replaced
        assert [path.name for path in Path("again").rglob("*.wav")] == ["000.wav"]

    @pytest.mark.usefixtures("coded")
    def test_a_walk_between_two_latents_of_hers(self) -> None:
        np.save("a.npy", np.zeros((1, 6), dtype=np.float32))
        np.save("b.npy", np.full((2, 6), 4, dtype=np.float32))
        assert (
            main(["generate", "gan", "--walk", "a.npy", "b.npy:1", "--count", "3", "--out", "walk"])
            == 0
        )
        assert read_latents(Path("walk/latents.npy"), 6)[1].tolist() == [2] * 6
        report = json.loads(Path("walk/report.json").read_text(encoding="utf-8"))
        assert report["settings"]["latents"] == "walk a.npy b.npy:1"

    def test_a_walk_between_recordings(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        seven, one = (str(CLIPS_FOLDER / name) for name in ("seven-rms.flac", "one-kal.flac"))
        flow = audiate.load("speech-digits", SpeechFlow)
        z = audiate.generate_folder(flow, tmp_path, walk=[seven, one, one], count=3)
        for row, name in zip(z, (seven, one, one), strict=True):
            recording = read_target(Path(name), flow).waveform
            torch.testing.assert_close(row, flow.recover(recording[None])[0], atol=1e-3, rtol=1e-3)
        assert "have the same latent" in capsys.readouterr().err
        np.save(tmp_path / "z.npy", z.numpy())
        audiate.generate_folder(flow, tmp_path / "again", latents=tmp_path / "z.npy")
        assert "far outside of the prior" not in capsys.readouterr().err

    def test_latents_that_invert_has_found_are_not_warned_of(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        time = np.arange(16_000) / 16_000
        chirp = np.sin(2 * np.pi * (100 + 3000 * time) * time)  # nothing that the flow knows
        soundfile.write(tmp_path / "chirp.wav", chirp, 16_000)
        found = tmp_path / "found"
        assert main(["invert", str(tmp_path / "chirp.wav"), "--out", str(found)]) == 0
        shutil.copy(found / "latents.npz", tmp_path / "copy.npz")
        for number, path in enumerate([found / "latents.npz", tmp_path / "copy.npz"]):
            capsys.readouterr()
            out = str(tmp_path / f"{number}")
            assert main(["generate", "speech-digits", "--latents", str(path), "--out", out]) == 0
            assert ("far outside of the prior" in capsys.readouterr().err) == bool(number)

    @pytest.mark.usefixtures("coded")
    def test_a_code_is_asked_for_by_its_number(self) -> None:
        assert main(["generate", "gan", "--label", "2", "--count", "2", "--out", "two"]) == 0
        assert read_latents(Path("two/latents.npy"), 6)[:, :3].tolist() == [[0, 0, 1]] * 2

    @pytest.mark.usefixtures("coded")
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("--set 6=1", "--set 6=1: this model's latents have the entries 0 to 5"),
            ("--sweep 1=0:1:2 --sweep 2=0:1:2 --sweep 3=0:1:2", "--sweep: two at most"),
            ("--walk a.npy", "two ends"),
            ("--walk a.npy b.npy c.npy --count 2", "--count 2: would pass over some of the 3"),
            ("--sweep 1=0:1:9999 --sweep 2=0:1:99", "number of sounds"),
            ("--sweep 1=0:1:10001", "takes 10001 values; give 1 to 10,000"),
            ("--set 1=0 --set 1=2", "entry 1 of latents is given twice"),
            ("--set 1=0 --sweep 1=0:1:3", "entry 1 of latents is given twice"),
            ("--label 2 --set 0=1", "--label: --set and --sweep give the code already"),
            ("--walk nope.npy nope.wav", "--walk nope.wav: no such file"),
            ("--walk nope.npy nope.npy", "--walk nope.npy: cannot be read as latents"),
            (
                "--walk a.npy b.npy --label 2",
                "--walk and --label do not go together; leave all but",
            ),
            ("--latents z.npy --interpolate", "--latents and --interpolate do not go together"),
            ("--latents z.npy --count 2", "--count: the file of --latents says how many"),
        ],
    )
    def test_what_cannot_be_done_is_said(
        self, words: str, message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["generate", "gan", *words.split()]) == 2
        assert message in capsys.readouterr().err
        assert not Path("out").exists()
