"""Directions and edits, on a generator whose every number is known; activations as time series."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import interrupt_second_batch, small_specgan, write_tone
from torch import Tensor

import audiate
from audiate.cli import main
from audiate.errors import InputError, Interrupted
from audiate.folders.runner import FolderReport
from audiate.inversion.search import SearchInverter
from audiate.models.configs import WaveGANConfig
from audiate.models.wavegan import WaveGAN
from audiate.phonetics.activations import generator_activations, write_activations
from audiate.phonetics.edit_folder import EditWork, edit_folder

pytest.importorskip("parselmouth")

from audiate.phonetics.directions import (
    Direction,
    attribute_of,
    directions,
    hyperplane,
    measured,
    ridge,
    sample_attribute,
)
from audiate.phonetics.editing import Editor, EditResult, EditTarget, parse_change, say_another

RATE = 8000


class Singer:
    """Sings a tone of harmonics: z0 + z1 is its pitch, z2 its loudness, z3 its length."""

    latent_dim, sample_rate, num_samples, channels, differentiable = 6, RATE, 4096, 1, True

    def sample_latent(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        return 2 * torch.rand(n, 6, generator=generator) - 1

    def __call__(self, z: Tensor, /) -> Tensor:
        time = torch.arange(4096) / RATE
        hertz = 150 * 2 ** ((z[:, :1] + z[:, 1:2]) * 2 / 12)  # 2 semitones for each unit
        tone = sum(torch.sin(2 * torch.pi * k * hertz * time) / k for k in range(1, 9))
        level = 0.2 * 10 ** (z[:, 2:3] * 3 / 20)  # 3 dB
        length = 0.25 * 2 ** (z[:, 3:4] * 0.3)  # 0.3 octaves
        inside = torch.sigmoid((length / 2 - (time - 0.256).abs()) * 2000)
        return (level * tone * inside)[:, None].clamp(-1, 1)


class Leaper(Singer):
    """Its pitch leaps by 4 semitones where z0 is high, and does not change elsewhere."""

    def __call__(self, z: Tensor, /) -> Tensor:
        leaps = torch.zeros_like(z)
        leaps[:, 0] = 2.0 * (z[:, 0] > 0.7)
        return super().__call__(leaps)


class Whisperer(Singer):
    """Whispers, but for 60 ms of Singer's tone, whose pitch is no pitch of the word."""

    def __call__(self, z: Tensor, /) -> Tensor:
        noise = torch.randn(1, 1, 3616, generator=torch.Generator().manual_seed(0))
        sung = super().__call__(z)[..., 1800:2280]
        return torch.cat([0.1 * noise.expand(len(z), -1, -1), sung], 2)


class Ear:
    """Reads loud sounds as 7, and others as 2."""

    sample_rate, num_samples, device = RATE, 4096, torch.device("cpu")

    def __call__(self, waveforms: Tensor) -> Tensor:
        loud = waveforms.abs().amax(1) > 0.5
        return 9.0 * torch.eye(10)[torch.where(loud, 7, 2)]


def angle(one: Tensor, other: list[float]) -> float:
    """Cosine of the angle between a vector and a list of numbers."""
    return float(torch.cosine_similarity(one, torch.tensor(other), dim=0))


class TestDirections:
    @pytest.mark.parametrize(
        ("name", "truth", "slope"),
        [
            ("pitch", [1.0, 1, 0, 0, 0, 0], 4.0),
            ("loudness", [0.0, 0, 1, 0, 0, 0], 3.0),
            ("duration", [0.0, 0, 0, 1, 0, 0], 0.3),
        ],
    )
    def test_ridge_finds_what_is_known_in_its_own_unit(
        self, name: str, truth: list[float], slope: float
    ) -> None:
        found = directions(Singer(), name, count=80)
        assert angle(found.vector, truth) > 0.99
        assert found.fit > 0.95
        expected = torch.tensor(truth) / slope
        torch.testing.assert_close(found.vector, expected, atol=0.06 / slope, rtol=0.1)

    def test_a_hyperplane_has_the_same_normal(self) -> None:
        found = directions(Singer(), "pitch", method="hyperplane", count=120)
        assert angle(found.vector, [1, 1, 0, 0, 0, 0]) > 0.95

    def test_a_move_changes_the_attribute_by_its_amount(self) -> None:
        singer, pitch = Singer(), attribute_of("pitch")
        direction = directions(singer, "pitch", count=80)
        z = singer.sample_latent(4, generator=torch.Generator().manual_seed(9))
        before = measured(singer, z, pitch)
        after = measured(singer, direction.move(z, 3.0), pitch)
        assert after - before == pytest.approx(np.full(4, 3.0), abs=0.3)

    def test_orthogonal_on_demand(self) -> None:
        other = Direction("x", "", torch.tensor([1.0, 0, 0, 0, 0, 0]), 1, "ridge")
        found = directions(Singer(), "pitch", count=80, orthogonal_to=[other])
        assert abs(float(found.vector[0])) < 1e-6
        assert angle(found.vector, [0, 1, 0, 0, 0, 0]) > 0.99

    @pytest.fixture
    def few_moves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Directions whose length is measured on four samples, for tests of where they point."""
        monkeypatch.setattr("audiate.phonetics.directions._CALIBRATED", 4)

    @pytest.mark.usefixtures("few_moves")
    @pytest.mark.parametrize("method", ["factorisation", "components", "random"])
    def test_directions_that_no_attribute_tells(self, method: str) -> None:
        model = small_specgan(latent_dim=12)
        samples = sample_attribute(model, attribute_of("centre"), count=20)
        found = directions(model, "centre", method=method, samples=samples)  # type: ignore[arg-type]
        assert found.vector.shape == (12,)
        assert found.vector.isfinite().all()

    @pytest.mark.usefixtures("few_moves")
    def test_factorisation_finds_the_entry_that_the_first_layer_weighs_most(self) -> None:
        model = small_specgan(latent_dim=2)
        with torch.no_grad():
            model.generator.project.weight[:, 0].zero_()
        samples = sample_attribute(model, attribute_of("centre"), count=20)
        found = directions(model, "centre", method="factorisation", samples=samples)
        assert abs(float(found.vector[1])) > 1e3 * abs(float(found.vector[0]))
        with pytest.raises(InputError, match="first layer"):
            directions(Singer(), "pitch", method="factorisation", count=20)

    def test_ridge_and_hyperplane_in_closed_form(self) -> None:
        source = np.random.default_rng(0)
        z = source.normal(size=(200, 3))
        move = ridge(z, z @ np.array([2.0, 0, 0]))
        assert move == pytest.approx([0.5, 0, 0], abs=0.02)
        normal = hyperplane(z, z[:, 1] > 0)
        assert abs(normal[1]) > 10 * abs(normal[[0, 2]]).max()
        with pytest.raises(InputError, match="alike"):
            hyperplane(z, np.ones(200, dtype=bool))

    def test_what_cannot_be_found_is_said(self) -> None:
        with pytest.raises(InputError, match="attribute shrillness"):
            directions(Singer(), "shrillness")
        with pytest.raises(InputError, match="method 'magic'"):
            directions(Singer(), "pitch", method="magic")  # type: ignore[arg-type]
        assert audiate.directions is directions


class TestEdits:
    def test_changes_are_read(self) -> None:
        assert parse_change("pitch", "+4st") == 4
        assert parse_change("loudness", "-6 dB") == -6
        assert parse_change("duration", "2") == 1
        for attribute, text in (("pitch", "4"), ("duration", "0"), ("loudness", "-99dB")):
            with pytest.raises(InputError, match=f"`{attribute}`"):
                parse_change(attribute, text)

    def test_several_attributes_reach_their_targets_and_nothing_else_moves_far(self) -> None:
        singer = Singer()
        targets = [
            EditTarget(directions(singer, "pitch", count=60), 3.0),
            EditTarget(directions(singer, "duration", count=60), 0.25),
        ]
        z = torch.zeros(6)
        edit = Editor(singer, targets)(z)
        assert edit.after["pitch"] - edit.before["pitch"] == pytest.approx(3, abs=0.3)
        assert edit.after["duration"] - edit.before["duration"] == pytest.approx(0.25, abs=0.05)
        assert edit.word is None
        assert edit.latent[4:].abs().max() < 0.5

    def test_what_is_measured_mends_a_wrong_direction(self) -> None:
        singer = Singer()
        wrong = Direction("pitch", "st", torch.tensor([0.1, 0, 0.3, 0.1, 0.2, 0]), 0, "random")
        once = Editor(singer, [EditTarget(wrong, 3.0)], rounds=0)(torch.zeros(6))
        often = Editor(singer, [EditTarget(wrong, 3.0)], rounds=8)(torch.zeros(6))
        errors = [abs(edit.after["pitch"] - edit.before["pitch"] - 3) for edit in (once, often)]
        assert errors[1] < 0.5 < errors[0]
        assert (once.missed, often.missed) == (("pitch",), ())

    def test_a_pitch_that_no_small_move_reaches_is_found_among_samples(self) -> None:
        target = EditTarget(Direction("pitch", "st", torch.eye(6)[5] / 100, 0, "random"), 4.0)
        edit = Editor(Leaper(), [target])(torch.tensor([-0.9, 0, 0, 0, 0, 0]))
        assert edit.after["pitch"] - edit.before["pitch"] == pytest.approx(4, abs=0.3)
        assert edit.latent[0] < 1.2  # as near as may be

    def test_changes_are_counted_from_the_recording(self) -> None:
        singer = Singer()
        target = EditTarget(directions(singer, "pitch", count=60), 2.0)
        z = torch.zeros(2, 6)
        z[1, 0] = 0.9  # found for the recording, but of another pitch
        recording, found = singer(z)
        edit = Editor(singer, [target])(z[1], recording=recording)
        pitch = attribute_of("pitch").measure
        assert abs(pitch(found[0], RATE) - pitch(recording[0], RATE)) > 1
        assert edit.before["pitch"] == pitch(recording[0], RATE)
        assert edit.after["pitch"] == pytest.approx(edit.before["pitch"] + 2, abs=0.5)

    def test_a_recording_is_measured_where_the_sound_of_its_latent_cannot_be(self) -> None:
        singer = Singer()
        recording = singer(torch.zeros(1, 6))[0]
        target = EditTarget(directions(singer, "pitch", count=60), 2.0)
        whispered = torch.tensor([0.0, 0, -100, 0, 0, 0])
        with pytest.raises(InputError, match="cannot be measured"):
            Editor(singer, [target])(whispered)
        edit = Editor(singer, [target])(whispered, recording=recording)
        assert edit.before["pitch"] == attribute_of("pitch").measure(recording[0], RATE)
        assert edit.after["pitch"] - edit.before["pitch"] == pytest.approx(2, abs=0.5)

    def test_pitch_that_is_found_in_a_whisper_is_no_pitch(self) -> None:
        upwards = Direction("pitch", "st", torch.tensor([0.25, 0, 0, 0, 0, 0]), 1, "ridge")
        recording = Singer()(torch.zeros(1, 6))[0]
        editor = Editor(Whisperer(), [EditTarget(upwards, 2.0)], rounds=0)
        edit = editor(torch.zeros(6), recording=recording)
        assert math.isnan(edit.after["pitch"])
        assert edit.missed == ("pitch",)
        with pytest.raises(InputError, match="pitch: cannot be measured"):
            editor(torch.zeros(6))

    def test_the_word_that_is_wanted_is_the_recordings(self) -> None:
        loud, quiet = torch.tensor([0.0, 0, 3, 0, 0, 0]), torch.zeros(6)
        recording = Singer()(loud[None])[0]
        upwards = Direction("pitch", "st", torch.tensor([0.25, 0, 0, 0, 0, 0]), 1, "ridge")
        editor = Editor(Singer(), [EditTarget(upwards, 2.0)], Ear(), rounds=0)  # type: ignore[arg-type]
        edit = editor(quiet, recording=recording)
        assert (edit.word, edit.wanted_word) == (2, 7)
        assert "digit" in edit.missed
        assert editor(quiet).wanted_word == 2

    def test_a_gain_does_what_latents_do_not(self) -> None:
        singer = Singer()
        target = EditTarget(directions(singer, "loudness", count=60), -12.0)
        edit = Editor(singer, [target], rounds=1)(torch.zeros(6))
        assert edit.after["loudness"] - edit.before["loudness"] == pytest.approx(-12, abs=0.05)

    def test_another_label_changes_places_with_the_largest(self) -> None:
        model = small_specgan(latent_dim=6, classes=3, names=("a", "b", "c"))
        z = torch.tensor([0.1, 0.9, -0.3, 0.4, 0.5, 0.6])
        moved = say_another(model, z, 2)
        assert moved.tolist() == pytest.approx([0.1, -0.3, 0.9, 0.4, 0.5, 0.6])
        with pytest.raises(InputError, match="labels of digits"):
            say_another(Singer(), z, 2)


def test_the_command_edits_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "singing.py").write_text(
        "from test_editing import Singer\n\n\ndef make():\n    return Singer()\n"
    )
    write_tone(tmp_path / "clips" / "tone.wav", hertz=160.0)
    command = (
        "edit clips --pitch +2st --generator singing:make --classifier none --method search "
        "--samples 40 --rounds 2 --out out"
    )
    monkeypatch.setitem(SearchInverter.__init__.__kwdefaults__, "size", 40)  # type: ignore[arg-type]
    assert main(command.split()) == 0
    told = json.loads(Path("out/report.json").read_text())["clips"]["tone"]
    (change,) = told["changes"]
    assert change["after"] - change["recording"] == pytest.approx(2, abs=0.5)
    assert change["recording"] == pytest.approx(12 * math.log2(1.6), abs=0.1)  # above 100 Hz
    assert told["missed"] == []
    assert "tone: pitch +" in capsys.readouterr().out
    assert {p.name for p in Path("out").glob("tone*")} == {
        "tone.wav", "tone-before.wav", "tone.npy", "tone.png",
    }  # fmt: skip
    assert main(command.split()) == 0
    assert "0 clips edited (1 was there already)" in capsys.readouterr().out
    far = [*command.replace("+2st", "+40st").split(), "--rounds", "0"]
    assert main(far) == 2
    refused = capsys.readouterr().err
    assert "holds the results of `audiate edit` with another --pitch, --rounds" in refused
    assert main([*far, "--out", "far"]) == 0
    said = capsys.readouterr()
    assert "(missed: +40.00 st was asked for)" in said.out
    assert "1 of 1 clip did not come out as asked for" in said.err
    assert json.loads(Path("far/report.json").read_text())["clips"]["tone"]["missed"] == ["pitch"]
    read = command.replace("--classifier none", "").replace("--out out", "--out read")
    assert main([*read.split(), "--rounds", "0"]) == 0
    assert "read as" not in capsys.readouterr().out  # a tone is no digit
    told = json.loads(Path("read/report.json").read_text())["clips"]["tone"]
    assert (told["digit"], told["wanted_digit"]) == (None, None)
    assert main(["edit", "clips"]) == 2
    assert "nothing to edit" in capsys.readouterr().err
    assert main(["edit", "clips", "--digit", "cat"]) == 2
    assert "--digit cat: give 0 to 9, or one of zero, one" in capsys.readouterr().err


def test_what_is_edited_before_an_interruption_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SearchInverter.__init__.__kwdefaults__, "size", 40)  # type: ignore[arg-type]
    for name in ("a", "b", "c"):
        write_tone(tmp_path / "clips" / f"{name}.wav", hertz=160.0)
    settings = {
        "generator": Singer(), "method": "search", "classifier": None, "samples": 40, "rounds": 1,
    }  # fmt: skip

    def edit() -> FolderReport[EditResult]:
        return edit_folder(tmp_path / "clips", tmp_path / "out", {"pitch": 2.0}, **settings)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        interrupt_second_batch(patch, EditWork)
        with pytest.raises(Interrupted, match="stopped after 1 of 3 clips"):
            edit()
    assert (tmp_path / "out" / "a.wav").is_file()
    assert list(edit().new) == ["b", "c"]
    (tmp_path / "clips" / "b.wav").write_bytes(b"no sound")
    assert [error.split(":")[0] for error in edit().errors] == [str(tmp_path / "clips" / "b.wav")]


class TestInside:
    def test_series_are_aligned_with_the_waveform(self) -> None:
        model = WaveGAN(WaveGANConfig(dim=1, latent_dim=6)).eval()
        view = generator_activations(model, model.sample_latent(1))
        assert list(view.layers) == [f"layer{number}" for number in range(1, 6)]
        assert all(series.shape == view.waveform.shape for series in view.layers.values())
        last = view.layers["layer5"].tanh()  # the output before its tanh, at its own rate
        torch.testing.assert_close(last, view.waveform, atol=1e-5, rtol=1e-4)

    def test_its_files_hold_the_numbers(self, tmp_path: Path) -> None:
        model = small_specgan(latent_dim=6)
        view = generator_activations(model, model.sample_latent(1))
        write_activations(view, tmp_path / "000")
        with (tmp_path / "000.csv").open() as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["seconds", "waveform", *view.layers]
        assert len(rows) == 4097
        assert float(rows[100][2]) == pytest.approx(view.layers["layer1"][99].item(), rel=1e-3)

    def test_the_command_follows_generators_and_listeners(
        self,
        small_models: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        clip = write_tone(tmp_path / "tone.wav")
        gan, classifier = str(small_models / "gan"), str(small_models / "classifier")
        assert main(["activations", gan, "--count", "2", "--out", "gan"]) == 0
        assert {path.suffix for path in Path("gan").glob("001.*")} == {".csv", ".png", ".wav"}
        words = ["activations", classifier, "--clip", str(clip), "--out", "ears"]
        assert main(words) == 0
        assert {path.suffix for path in Path("gan").glob("001.*")} == {".csv", ".png", ".wav"}
        words = [
            "activations",
            str(small_models / "classifier"),
            "--clip",
            str(clip),
            "--out",
            "ears",
        ]
        assert main([*words, "--out", "ears"]) == 0
        assert Path("ears/000.csv").read_text().startswith("seconds,waveform,stem,block1")
        assert main(["activations", str(small_models / "encoder")]) == 2
        assert main(["activations", "speech-digits"]) == 2
        assert "name a WaveGAN or a SpecGAN" in capsys.readouterr().err
