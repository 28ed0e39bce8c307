"""`audiate.draw_folder` and `audiate.invert_folder`: resume, interruption, overwriting, tables."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import interrupt_second_batch, small_specgan, write_tone
from PIL import Image

import audiate
from audiate.cli import main
from audiate.data.digits import digest_of_names
from audiate.data.sounds import find_clips
from audiate.errors import InputError, Interrupted
from audiate.folders.draw import DrawingWork
from audiate.folders.invert import ClipResult, InversionReport, InversionWork
from audiate.folders.record import ClipRecord
from audiate.inversion.build import Initialization
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.configs import DigitClassifierConfig
from audiate.models.resnet import DigitClassifier
from audiate.models.vae import VAE
from audiate.phonetics.edit_folder import edit_folder
from audiate.utils.plots import PanelRow


@pytest.fixture(scope="module")
def drawer() -> AudioToImageModel:
    torch.manual_seed(0)
    return VAE().eval()


def tones(folder: Path, count: int = 3) -> list[Path]:
    return [
        write_tone(folder / f"{number}.wav", hertz=300 + 50 * number, seconds=0.2 + 0.05 * number)
        for number in range(count)
    ]


def invert_quickly(small_models: Path, clips: Any, out: Path, **settings: Any) -> InversionReport:
    defaults = {"method": "encoder", "encoder": small_models / "encoder", "classifier": None}
    return audiate.invert_folder(
        clips, out, generator=small_models / "gan", **{**defaults, **settings}
    )


class TestDrawFolder:
    def test_a_clip_is_drawn_as_by_itself(self, drawer: AudioToImageModel, tmp_path: Path) -> None:
        clips = tones(tmp_path / "clips")
        write_tone(tmp_path / "clips" / "more" / "0.flac", hertz=900)
        out = tmp_path / "out"
        report = audiate.draw_folder(
            tmp_path / "clips", out, model=drawer, samples=3, seed=5, scale=2
        )
        assert list(report.new) == ["0", "1", "2", "more/0"]
        assert report.errors == []
        with np.load(out / "latents.npz") as table:
            assert table["names"].tolist() == ["0", "1", "2", "more/0"]
            assert table["latents"].shape == (4, 64)
            latents = table["latents"]
        for number, clip in enumerate(clips):
            waveform, rate = audiate.load_audio(clip)
            drawn = drawer.draw(waveform, sample_rate=rate, samples=3, seed=5)
            picture = np.asarray(Image.open(out / f"{number}.png"))[::2, ::2] / 255
            np.testing.assert_allclose(picture, np.concatenate([*drawn], 1), atol=1.01 / 255)
            heard = drawer.preprocess(waveform, sample_rate=rate).unsqueeze(0)
            np.testing.assert_allclose(
                latents[number], drawer.latents(heard)[0].detach(), atol=1e-4
            )

    def test_the_sheet_tells_clips_of_one_name_apart(
        self, drawer: AudioToImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        titles: list[str] = []

        def save_panels(rows: Sequence[PanelRow], path: Path) -> None:
            titles.extend(row.title for row in rows)
            path.touch()

        monkeypatch.setattr("audiate.folders.sheet.save_panels", save_panels)
        for folder in ("a/apple", "a/pear", "b/pear"):
            tones(tmp_path / folder, 1)
        tones(tmp_path / "a", 2)
        write_tone(tmp_path / "a" / "2\n.wav", seconds=0.3)
        given = [tmp_path / "a", tmp_path / "b" / "pear"]
        report = audiate.draw_folder(given, tmp_path / "out", model=drawer)
        assert report.shown("2\n") == "2\\n.wav"  # one line of the terminal, too
        assert titles == [
            "a/0.wav",
            "1.wav",
            "2\\n.wav",
            "apple/0.wav",
            "a/pear/0.wav",
            "b/pear/0.wav (0-2.png)",
        ]

    def test_it_goes_on_where_it_stopped(
        self, drawer: AudioToImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clips, out = tones(tmp_path / "clips", 5), tmp_path / "out"
        monkeypatch.setattr("audiate.folders.runner.BATCH_SIZE", 2)
        interrupt_second_batch(monkeypatch, DrawingWork)
        with pytest.raises(Interrupted, match="stopped after 2 of 5 clips"):
            audiate.draw_folder(clips, out, model=drawer)
        assert np.load(out / "latents.npz")["names"].tolist() == ["0", "1"]
        first = (out / "0.png").stat().st_mtime_ns
        report = audiate.draw_folder(clips, out, model=drawer)
        assert list(report.new) == ["2", "3", "4"]
        assert np.load(out / "latents.npz")["names"].tolist() == list("01234")
        assert (out / "0.png").stat().st_mtime_ns == first
        # The sheet shows earlier clips too, as if all had been drawn at once.
        audiate.draw_folder(clips, tmp_path / "once", model=drawer)
        sheets = [np.asarray(Image.open(f / "sheet.png"), int) for f in (out, tmp_path / "once")]
        np.testing.assert_allclose(sheets[0], sheets[1], atol=2)

    def test_other_weights_or_settings_need_another_folder(
        self, drawer: AudioToImageModel, tmp_path: Path
    ) -> None:
        (clip,) = tones(tmp_path, 1)
        audiate.draw_folder(clip, tmp_path / "out", model=drawer)
        with pytest.raises(InputError, match="with another `samples`; name another folder"):
            audiate.draw_folder(clip, tmp_path / "out", model=drawer, samples=4)
        torch.manual_seed(1)
        with pytest.raises(InputError, match="with another `model`;"):
            audiate.draw_folder(clip, tmp_path / "out", model=VAE().eval())

    @pytest.mark.parametrize("name", ["seven.png", "sheet.png", "latents.npz", "report.json"])
    def test_a_file_of_somebody_else_is_never_replaced(
        self, drawer: AudioToImageModel, tmp_path: Path, name: str
    ) -> None:
        clip = write_tone(tmp_path / "seven.wav")
        (tmp_path / "pics").mkdir()
        (tmp_path / "pics" / name).write_text("mine")
        with pytest.raises(InputError, match=name):
            audiate.draw_folder(clip, tmp_path / "pics", model=drawer)
        assert {path.name for path in (tmp_path / "pics").iterdir()} == {name}
        assert (tmp_path / "pics" / name).read_text() == "mine"

    def test_errors_are_told_and_recorded(self, drawer: AudioToImageModel, tmp_path: Path) -> None:
        tones(tmp_path / "clips", 2)
        (tmp_path / "clips" / "1.wav").write_text("no sound")
        told: list[InputError] = []
        report = audiate.draw_folder(
            tmp_path / "clips", tmp_path / "out", model=drawer, notify=told.append
        )
        (error,) = report.errors
        assert str(told[0]) == error
        assert "1.wav: cannot be read as sound" in error
        record = json.loads((tmp_path / "out" / "report.json").read_text())
        assert record["clips"]["1"]["error"] == error
        assert report.counted("drawn") == "1 clip drawn, 1 could not be used"
        write_tone(tmp_path / "clips" / "1.wav")  # mended
        again = audiate.draw_folder(tmp_path / "clips", tmp_path / "out", model=drawer)
        assert list(again.new) == ["1"]

    def test_a_clip_is_heard_once(
        self, drawer: AudioToImageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard = []
        hear = AudioToImageModel.preprocess
        monkeypatch.setattr(
            AudioToImageModel,
            "preprocess",
            lambda *a, **k: heard.append(1) or hear(*a, **k),  # type: ignore[func-returns-value]
        )
        audiate.draw_folder(tones(tmp_path), tmp_path / "out", model=drawer)
        assert len(heard) == 3

    def test_digits_are_read_where_a_model_draws_digits(self, tmp_path: Path) -> None:
        clip = Path(audiate.__file__).parent / "clips" / "seven-rms.flac"
        model = audiate.load("vae-fsdd")
        assert isinstance(model, VAE)
        report = audiate.draw_folder(clip, tmp_path / "out", model=model, samples=3)
        assert str(report.results["seven-rms"]) == "7 (3 of 3)"
        assert audiate.draw_folder(clip, tmp_path / "out", model=model, samples=3).results
        model.provenance = replace(model.provenance, settings={"pairs": "shapes"})
        without = audiate.draw_folder(clip, tmp_path / "own", model=model, samples=3)
        assert without.results == {}


class TestGenerateFolder:
    def test_it_does_what_the_command_does(self, small_models: Path, tmp_path: Path) -> None:
        gan = small_models / "gan"
        z = audiate.generate_folder(gan, tmp_path / "a", count=2, seed=3, sweep=["1=-1:1:2"])
        assert z.shape == (4, 12)
        assert z[:, 1].tolist() == [-1, 1, -1, 1]
        flags = ["--count", "2", "--seed", "3", "--sweep", "1=-1:1:2", "--out", str(tmp_path / "b")]
        assert main(["generate", str(gan), *flags]) == 0
        files = [sorted(path.iterdir()) for path in (tmp_path / "a", tmp_path / "b")]
        for one, other in zip(*files, strict=True):
            assert one.name == other.name
            assert one.read_bytes() == other.read_bytes()

    def test_settings_are_checked_before_a_model_is_loaded(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="`count`: the file of `latents` says how many"):
            audiate.generate_folder("nothing", tmp_path, count=3, latents="z.npy")
        with pytest.raises(InputError, match="`seed`"):
            audiate.generate_folder("nothing", tmp_path, seed=-1)


class TestInvertFolder:
    def test_one_call_from_python(self, small_models: Path, tmp_path: Path) -> None:
        clips = tones(tmp_path / "clips")
        report = invert_quickly(small_models, tmp_path / "clips", tmp_path / "out")
        assert report.results.keys() == {"0", "1", "2"}
        assert re.match(r"3 clips inverted: \d+\.\d dB log-spectral distance", report.summary())
        with np.load(tmp_path / "out" / "latents.npz") as table:
            for name, latent in zip(table["names"], table["latents"], strict=True):
                assert (latent == np.load(tmp_path / "out" / f"{name}.npy")).all()
        alone = audiate.inverter(small_models / "gan", "encoder", encoder=small_models / "encoder")
        run = InversionWork(audiate.SpecGAN.from_pretrained(small_models / "gan"), lambda: alone)
        found = alone(run.read(clips[1]).waveform.unsqueeze(0))
        np.testing.assert_allclose(np.load(tmp_path / "out" / "1.npy"), found.latent[0], atol=1e-4)
        assert report.results["1"].loss == pytest.approx(found.loss.item(), rel=1e-4)

    def test_the_fingerprint_is_computed_once(
        self, small_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from audiate.folders import invert as folder
        from audiate.inversion import build
        from audiate.models.fingerprint import fingerprint

        count = []

        def counted(generator: Any) -> tuple[float, ...]:
            count.append(1)
            return fingerprint(generator)

        monkeypatch.setattr(folder, "fingerprint", counted)
        monkeypatch.setattr(build, "fingerprint_of", counted)
        invert_quickly(small_models, tones(tmp_path, 1), tmp_path / "out")
        assert len(count) == 1

    def test_a_lost_table_is_made_of_the_latents_that_are_there(
        self, small_models: Path, tmp_path: Path
    ) -> None:
        clips, out = tones(tmp_path), tmp_path / "out"
        invert_quickly(small_models, clips[:2], out)
        (out / "latents.npz").unlink()
        report = invert_quickly(small_models, clips, out)
        assert list(report.new) == ["2"]
        assert np.load(out / "latents.npz")["names"].tolist() == ["0", "1", "2"]

    def test_what_the_user_changed_is_kept(self, small_models: Path, tmp_path: Path) -> None:
        (clip,) = tones(tmp_path, 1)
        invert_quickly(small_models, clip, tmp_path / "out")
        (tmp_path / "out" / "0.png").write_text("a note")
        assert list(invert_quickly(small_models, clip, tmp_path / "out").new) == []
        write_tone(clip, hertz=1000)  # it is to be done again
        with pytest.raises(InputError, match=r"0\.png is there already and was changed since"):
            invert_quickly(small_models, clip, tmp_path / "out")

    def test_another_classifier_of_the_same_name_needs_another_folder(
        self, small_models: Path, tmp_path: Path
    ) -> None:
        (clip,), models = tones(tmp_path, 1), tmp_path / "classifier"
        for seed in (0, 1):
            torch.manual_seed(seed)
            DigitClassifier(DigitClassifierConfig(num_samples=4096)).save_pretrained(models)
            if seed:
                with pytest.raises(InputError, match="with another `classifier`; name another"):
                    invert_quickly(small_models, clip, tmp_path / "out", classifier=models)
            else:
                invert_quickly(small_models, clip, tmp_path / "out", classifier=models)

    @pytest.mark.parametrize("settings", [{"seed": -1}, {"samples": 2.5}, {"rounds": "many"}])
    def test_numbers_of_edits_are_checked(self, tmp_path: Path, settings: dict[str, Any]) -> None:
        with pytest.raises(InputError, match=f"`{next(iter(settings))}`"):
            edit_folder(tmp_path, tmp_path / "out", {"pitch": 1.0}, **settings)

    def test_commands_do_not_share_a_folder(
        self,
        drawer: AudioToImageModel,
        small_models: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (clip,) = tones(tmp_path, 1)
        out = tmp_path / "out"
        invert_quickly(small_models, clip, out)
        with pytest.raises(InputError, match="holds the results of `audiate invert`; name another"):
            audiate.draw_folder(clip, out, model=drawer)
        before = {path: path.read_bytes() for path in out.rglob("*.*")}
        made = ["generate", str(small_models / "gan"), "--out", str(out)]
        assert main([*made, "--latents", str(out / "0.npy")]) == 2
        assert "holds the results of `audiate invert`; name another" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in out.rglob("*.*")} == before

    def test_a_bad_minimum_hints_at_restarts(self, tmp_path: Path) -> None:
        result = ClipResult(
            loss=0.5, silent_loss=0.8, mse=0, ssim=0, log_spectral_distance=0, digit_before=None,
            digit_after=None, evaluations=1, seconds=0.1, duration=1.0,
        )  # fmt: skip
        clips = {
            "bad": ClipRecord(result=result),
            "good": ClipRecord(result=replace(result, loss=0.3)),
            "encoder": ClipRecord(result=replace(result, silent_loss=None)),
            "earlier": ClipRecord(result=result),
        }
        report = InversionReport(
            tmp_path, clips, ["bad", "good", "encoder"], Initialization(None, False)
        )
        (note,) = report.notes(seconds=1.02)
        assert note.startswith("1 of 3 clips ended in a bad minimum")
        assert "`restarts=10`" in note
        longer, _ = report.notes(seconds=0.9)
        assert "3 of 3 clips are longer" in longer

    def test_lengths_are_told_in_one_line_and_not_below_50_ms(
        self, small_models: Path, tmp_path: Path
    ) -> None:
        for seconds in (0.1, 0.24, 0.25, 0.26, 0.3, 0.5, 0.6):  # the generator makes 0.256
            write_tone(tmp_path / "clips" / f"{seconds}.wav", seconds=seconds, rate=16_000)
        report = invert_quickly(small_models, tmp_path / "clips", tmp_path / "out")
        (note,) = report.notes(seconds=0.256)
        assert "makes 0.26 s; 2 of 7 clips are longer" in note

    def test_gradients_know_the_loss_of_silence(self, small_models: Path, tmp_path: Path) -> None:
        report = invert_quickly(
            small_models, tones(tmp_path, 1), tmp_path / "out", method="gradient", encoder=None,
            max_iterations=1,
        )  # fmt: skip
        assert (report.results["0"].silent_loss or 0) > 0

    def test_without_an_encoder_a_way_that_works_is_named(self, tmp_path: Path) -> None:
        (clip,) = tones(tmp_path, 1)
        drum = audiate.wrap(
            torch.nn.Sequential(torch.nn.Linear(4, 4096), torch.nn.Tanh()),
            latent_dim=4,
            sample_rate=8000,
        )
        with pytest.raises(InputError, match=r"audiate\.train_encoder\(generator, folder\) in Py"):
            audiate.invert_folder(clip, tmp_path / "out", generator=drum, method="encoder")
        with pytest.raises(InputError, match="`audiate train latent-encoder --generator"):
            audiate.invert_folder(
                clip, tmp_path / "out", generator=small_specgan(), method="encoder"
            )
        report = audiate.invert_folder(
            clip, tmp_path / "out", generator=drum, method="evolution", max_iterations=2
        )
        assert list(report.new) == ["0"]


class TestFindClips:
    def test_results_of_commands_are_passed_over(
        self, drawer: AudioToImageModel, small_models: Path, tmp_path: Path
    ) -> None:
        tones(tmp_path, 2)
        out = tmp_path / "out" / "invert"
        invert_quickly(small_models, tmp_path, out)
        found = find_clips([tmp_path], tmp_path / "out" / "draw")
        assert [name for name, _ in found] == ["0", "1"]
        named = find_clips([out], tmp_path / "out" / "draw")  # by its own name it is searched
        assert [name for name, _ in named] == ["0", "1", "heard/0", "heard/1"]

    def test_one_file_has_one_place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tones(tmp_path / "clips", 1)
        monkeypatch.chdir(tmp_path)
        ways: list[str | Path] = [
            "clips/0.wav",
            "./clips/0.wav",
            "clips/../clips/0.wav",
            tmp_path / "clips",
        ]
        assert len(find_clips(ways, Path("out"))) == 1
        with pytest.raises(InputError, match="no clips given"):
            find_clips([], Path("out"))


_SLOW = """
import os, signal, sys, time
import torch
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
torch.set_num_threads(1)
from audiate.folders.invert import InversionWork
from audiate.folders import invert as folder
folder._LOOKED_UP = 3
compute, write, calls = InversionWork.compute, folder.save_wav, 0
def slow(self, items):
    global calls
    calls += 1
    if calls == 2 and sys.argv[1] == "search":
        print("now", flush=True)
        time.sleep(60)
    return compute(self, items)
def slow_write(*arguments, **settings):
    if calls == 1 and sys.argv[1] == "write":
        os.write(1, b"now\\n")
        time.sleep(0.5)
    write(*arguments, **settings)
InversionWork.compute, folder.save_wav = slow, slow_write
from audiate.cli import main
sys.exit(main(sys.argv[2:]))
"""


class TestSignals:
    @pytest.mark.parametrize(
        ("moment", "number"), [("search", signal.SIGINT), ("write", signal.SIGTERM)]
    )
    def test_what_is_done_is_kept(
        self, small_models: Path, tmp_path: Path, number: signal.Signals, moment: str
    ) -> None:
        tones(tmp_path / "clips", 7)
        command = self.command(small_models, tmp_path)
        begun = subprocess.Popen(
            [sys.executable, "-c", _SLOW, moment, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert begun.stdout is not None
        assert begun.stdout.readline() == "now\n"
        begun.send_signal(number)
        _, error = begun.communicate(timeout=60)
        assert begun.returncode == 130, error
        assert "stopped after 3 of 7 clips, and saved" in error
        record = json.loads((tmp_path / "out" / "report.json").read_text())["clips"]
        assert [name for name, clip in record.items() if clip["modified"]] == ["0", "1", "2"]
        assert np.load(tmp_path / "out" / "latents.npz")["names"].tolist() == ["0", "1", "2"]
        assert main(command) == 0
        assert len(list((tmp_path / "out").glob("*.npy"))) == 7

    def test_a_kill_loses_nothing_that_is_recorded(
        self, small_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tones(tmp_path / "clips", 7)
        command = self.command(small_models, tmp_path)
        begun = subprocess.Popen(
            [sys.executable, "-c", _SLOW, "search", *command], stdout=subprocess.PIPE, text=True
        )
        assert begun.stdout is not None
        assert begun.stdout.readline() == "now\n"
        begun.kill()
        begun.communicate(timeout=60)
        # A file that was being written just then is ours, too.
        (tmp_path / "out" / "5.png").write_text("half a picture")
        assert main(command) == 0
        assert "4 clips inverted (3 were there already)" in capsys.readouterr().out

    def command(self, small_models: Path, tmp_path: Path) -> list[str]:
        models = [f"--{each}={small_models / name}" for each, name in
                  (("generator", "gan"), ("encoder", "encoder"))]  # fmt: skip
        flags = ["--method", "encoder", "--classifier", "none", "--out", str(tmp_path / "out")]
        return ["invert", str(tmp_path / "clips"), *models, *flags]


@pytest.mark.parametrize("command", ["draw", "say"])
def test_without_a_usable_file_there_is_no_sheet_and_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.wav" if command == "draw" else tmp_path / "bad.png"
    bad.write_bytes(b"no such thing")
    for _ in range(2):  # the second finds the record of the first
        assert main([command, str(bad), "--out", str(tmp_path / "out")]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.json"]


def test_names_that_are_no_unicode_have_a_digest() -> None:
    assert digest_of_names(["\udcff"]) != digest_of_names(["\udcfe"])
    assert digest_of_names(["7 seven"]) == "1 recordings 8d860eca29f5"
