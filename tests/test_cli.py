"""The commands, run as a user runs them."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import Command, small_specgan, write_tone
from PIL import Image
from test_images import seven

from audiate.cli import TABLE, main, parse
from audiate.cli import Command as TableCommand
from audiate.cli.data import DATA
from audiate.cli.demo import CLIPS_FOLDER
from audiate.cli.own import OwnGenerator
from audiate.data.latents import read_latents, save_table
from audiate.errors import InputError
from audiate.models.dual_encoder import DualEncoder
from audiate.models.specgan import SpecGAN
from audiate.models.wrap import wrap
from audiate.training.recipes import ENTRIES

COMMANDS = list(chain(*TABLE.values()))
SEVEN = CLIPS_FOLDER / "seven-rms.flac"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


class TestHelp:
    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("", "draw"),
            ("draw", "--samples"),
            ("train vae", "--kl-warmup-epochs"),
            ("train vae-paper", "100"),
            ("train lenet", "--weight-decay"),
            ("evaluate model", "--protocol"),
            ("data fetch", "--data-dir"),
            ("generate", "--interpolate"),
            ("train wavegan", "--phase-shuffle"),
            ("train specgan-paper", "wgan-gp"),
            ("train digit-classifier", "--held-out-speaker"),
            ("import-wavegan", "CKPT"),
            ("demo", "--out"),
        ],
    )
    def test_each_command_explains_itself(
        self, command: str, expected: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), "--help"])
        assert ended.value.code in (None, 0)
        assert expected in capsys.readouterr().out

    def test_the_overview_fits_on_a_screen(self, audiate: Command) -> None:
        lines = audiate("--help", COLUMNS="80").stdout.splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 80
        for command in COMMANDS:
            assert f"  {command.name:<15} {command.sentence}" in lines

    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
    def test_each_line_of_the_table_is_a_command(
        self, command: TableCommand, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            parse([command.name, "--help"])
        assert ended.value.code in (None, 0)
        shown = capsys.readouterr().out
        assert f"usage: audiate {command.name} " in shown
        assert "None" not in shown  # which is Python's word, not the shell's

    @pytest.mark.parametrize(("group", "names"), [("train", ENTRIES), ("data", DATA.commands)])
    def test_a_group_lists_its_commands(
        self, group: str, names: Iterable[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            parse([group, "--help"])
        shown = [
            line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "
        ]
        assert set(names) <= set(shown)

    def test_a_value_that_may_be_left_out_is_shown_by_its_kind(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            parse(["invert", "--help"])
        shown = capsys.readouterr().out
        assert "--max-iterations INT " in shown
        assert "--method {exact,encoder," in shown
        assert "(default: not given)" in shown
        assert parse(["invert", "a.wav", "--max-iterations", "7"]).settings.max_iterations == 7
        for words, told in (
            ("--max-iterations None", "give a whole"),
            ("--method None", "give one"),
        ):
            with pytest.raises(SystemExit):
                parse(["invert", "a.wav", *words.split()])
            assert f"{words}: {told}" in capsys.readouterr().err

    def test_only_the_module_of_the_command_is_imported(self) -> None:
        code = (
            "import sys; from audiate.cli import parse; parse(['draw', 'seven.wav'])\n"
            "print(*(name for name in sys.modules if name.startswith('audiate.cli.')))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert set(done.stdout.split()) == {"audiate.cli.common", "audiate.cli.draw"}

    def test_help_imports_no_torch(self) -> None:
        code = """
import sys
from audiate.cli import TABLE, parse
for words in [[each.name] for group in TABLE.values() for each in group] + [
    ["train", "vae"], ["evaluate", "model"], ["bulk", "encode"], ["data", "fetch"]
]:
    try:
        parse([*words, "--help"])
    except SystemExit:
        assert "torch" not in sys.modules, words
"""
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    def test_a_deleted_module_leaves_its_command_out(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        gone = TableCommand("bulk", "Process archives.", "no_such_module", "BULK")
        monkeypatch.setitem(TABLE, "archives", (gone,))
        for words, code in ((["--help"], 0), (["bulk", "encode"], 2)):
            with pytest.raises(SystemExit) as ended:
                parse(words)
            assert (ended.value.code or 0) == code
            printed = capsys.readouterr()
            assert "archives" not in printed.out
        assert "bulk: no such command" in printed.err

    @pytest.mark.parametrize(
        ("words", "nearest"),
        [("drw", "draw"), ("train vea", "vae"), ("bulk encod", "encode"), ("data ftch", "fetch")],
    )
    def test_an_error_names_the_nearest_command(
        self, words: str, nearest: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main(words.split())
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"audiate: error: {words}: no such command; did you mean {nearest}?")

    def test_version(self, audiate: Command) -> None:
        assert audiate("--version").stdout.startswith("audiate 0.")

    @pytest.mark.parametrize("arguments", [("no-such-command",), ("draw", "--no-such-flag"), ()])
    def test_what_is_misspelt_exits_with_2(
        self, audiate: Command, arguments: tuple[str, ...]
    ) -> None:
        done = audiate(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


class TestDraw:
    def test_it_writes_what_it_says(
        self, audiate: Command, audiate_here: Command, tmp_path: Path
    ) -> None:
        clip = shutil.copy(SEVEN, tmp_path / "my clip.flac")
        done = audiate("draw", clip, "--samples", "5", "--scale", "2", "--out", "pictures")
        assert done.returncode == 0, done.stderr
        assert done.stdout == ("my clip.flac: 7 (5 of 5)\n1 clip drawn: see pictures/sheet.png\n")
        record = json.loads((tmp_path / "pictures" / "report.json").read_text())
        assert record["clips"]["my clip"]["digits"] == [7] * 5
        without = audiate_here("draw", clip, "--classifier", "none", "--out", "unread")
        assert without.stdout == "1 clip drawn: see unread/sheet.png\n"
        record = json.loads((tmp_path / "unread" / "report.json").read_text())
        assert "digits" not in record["clips"]["my clip"]
        picture = Image.open(tmp_path / "pictures" / "my clip.png")
        assert picture.mode == "L"
        assert picture.size == (5 * 28 * 2, 28 * 2)
        strip = np.asarray(picture)
        assert np.median(strip) < 30  # black paper
        assert strip.max() > 200  # white ink
        assert Image.open(tmp_path / "pictures" / "sheet.png").mode == "RGB"

    def test_the_seed_decides(self, audiate_here: Command, tmp_path: Path) -> None:
        for out, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            audiate_here("draw", SEVEN, "--seed", seed, "--out", out)
        a, b, c = (pixels(tmp_path / out / "seven-rms.png") for out in "abc")
        assert a.shape == (28, 8 * 28)
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)

    def test_a_clip_is_drawn_alike_whatever_its_neighbours(
        self, audiate_here: Command, tmp_path: Path
    ) -> None:
        audiate_here("draw", SEVEN, "--out", "alone")
        audiate_here("draw", CLIPS_FOLDER / "two-female.flac", SEVEN, "--out", "second")
        alone, second = (pixels(tmp_path / f / "seven-rms.png") for f in ("alone", "second"))
        np.testing.assert_allclose(alone.astype(int), second, atol=1)  # but for rounding

    def test_bad_clips_are_named_and_the_others_drawn(
        self, audiate_here: Command, tmp_path: Path
    ) -> None:
        (tmp_path / "empty.wav").touch()
        (tmp_path / "text.wav").write_text("hello\n" * 50)
        whole = write_tone(tmp_path / "cut.wav", seconds=2.0).read_bytes()
        (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
        soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan), 8000, subtype="FLOAT")
        soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 8000)
        soundfile.write(tmp_path / "short.wav", np.ones(24) * 0.5, 8000)
        soundfile.write(tmp_path / "long.wav", np.zeros(3 * 3600 * 100, np.int16), 100)
        tone = soundfile.read(write_tone(tmp_path / "tone.wav"))[0]
        soundfile.write(tmp_path / "seven_channels.wav", np.stack([tone] * 7, 1), 8000)
        bad = [
            "missing.wav", "empty.wav", "text.wav", "cut.wav", "nan.wav",
            "silence.wav", "short.wav", "long.wav",
        ]  # fmt: skip
        done = audiate_here("draw", SEVEN, *bad, "seven_channels.wav", "--out", "out")
        assert done.returncode == 2
        *lines, tones = done.stderr.splitlines()
        assert tones.startswith("audiate: warning: seven_channels.wav: probably no spoken digit")
        assert len(lines) == len(bad), done.stderr
        for line, name in zip(lines, bad, strict=True):
            assert line.startswith(f"audiate: error: {name}: ")
        assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
            "latents.npz", "report.json", "seven-rms.png", "seven_channels.png", "sheet.png",
        ]  # fmt: skip

    def test_an_output_that_cannot_be_written(self, audiate_here: Command, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        done = audiate_here("draw", SEVEN, "--out", "file")
        assert done.returncode == 2
        assert "file: cannot be written" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ((), "no clips given"),
            ((str(SEVEN), "--samples", "0"), "--samples 0: give 1 to 1000"),
            ((str(SEVEN), "--samples", "1000000000"), "--samples 1000000000: give 1 to 1000"),
            ((str(SEVEN), "--scale", "99999999999999999999"), "give 1 to 64"),
            ((str(SEVEN), "--seed", "-1"), "--seed -1: give 0 to"),
            ((".",), ".: holds no sound file"),
            ((str(SEVEN), "--device", "cuda"), "--device cuda: no CUDA device here"),
            ((str(SEVEN), "--model", "nonsense"), "nonsense: no such model"),
            ((str(SEVEN), "--model", "lenet-mnist"), "lenet-mnist: a LeNet does not draw"),
        ],
    )
    def test_bad_arguments(
        self, audiate_here: Command, arguments: tuple[str, ...], complaint: str
    ) -> None:
        done = audiate_here("draw", *arguments)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert complaint in line

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
    def test_names_that_are_hard_to_handle(
        self, audiate: Command, audiate_here: Command, tmp_path: Path
    ) -> None:
        odd = tmp_path / os.fsdecode(b"b\xffd \xe4.flac")
        shutil.copy(SEVEN, odd)
        os.mkfifo(tmp_path / "pipe.wav")
        (tmp_path / "dangling.wav").symlink_to("nowhere")
        bad = ["pipe.wav", "dangling.wav", "z" * 300 + ".wav", "two\nlines.wav"]
        done = audiate("draw", *bad, odd, SEVEN, timeout=60)
        assert done.returncode == 2
        lines = done.stderr.splitlines()
        assert len(lines) == len(bad), done.stderr
        for line, name in zip(lines, bad, strict=True):
            assert line.startswith(f"audiate: error: {name.replace(chr(10), chr(92) + 'n')}: ")
        assert len(list((tmp_path / "out" / "draw").glob("*.png"))) == 3
        names = np.load(tmp_path / "out" / "draw" / "latents.npz")["names"].tolist()
        assert names == [odd.stem, "seven-rms"]
        again = audiate_here("draw", odd, SEVEN)
        assert "0 clips drawn (2 were there already)" in again.stdout


class TestGenerate:
    @pytest.fixture
    def gan(self, tmp_path: Path) -> Path:
        gan = small_specgan(classes=3, names=("kick", "snare drum", "hat"))
        return gan.save_pretrained(tmp_path / "gan")

    def test_it_writes_what_it_says(self, audiate_here: Command, gan: Path, tmp_path: Path) -> None:
        done = audiate_here("generate", gan, "--count", "3", "--out", "new")
        assert done.returncode == 0, done.stderr
        assert "3 sounds into new: see new/sheet.png" in done.stdout
        names = {path.name for path in (tmp_path / "new").iterdir()}
        assert names == {
            "000.wav", "001.wav", "002.wav", "latents.csv", "latents.npy",
            "report.json", "sheet.png",
        }  # fmt: skip
        z = np.load(tmp_path / "new" / "latents.npy")
        assert z.shape == (3, 100)
        model = SpecGAN.from_pretrained(gan)
        with torch.inference_mode():
            expected = model(torch.from_numpy(z))[:, 0]
        for number, waveform in enumerate(expected):
            samples, rate = soundfile.read(tmp_path / "new" / f"{number:03}.wav")
            assert rate == 16_000
            np.testing.assert_allclose(samples, waveform, atol=1e-4)

    def test_seeds_and_labels(self, gan: Path, tmp_path: Path) -> None:
        def latents(*flags: str) -> np.ndarray:
            assert main(["generate", str(gan), "--out", str(tmp_path / "new"), *flags]) == 0
            found: np.ndarray = np.load(tmp_path / "new" / "latents.npy")
            return found

        few, many, other = (
            latents("--count", count, "--seed", seed)
            for count, seed in (("2", "1"), ("5", "1"), ("2", "2"))
        )
        assert (few == many[:2]).all()
        assert not (few == other).any()
        for label in ("2", "hat"):
            assert (latents("--count", "6", "--label", label)[:, :3].argmax(1) == 2).all()

    def test_the_sounds_of_an_earlier_run_make_way(self, gan: Path, tmp_path: Path) -> None:
        flags = ["generate", str(gan), "--out", str(tmp_path / "new"), "--count"]
        assert main([*flags, "4"]) == 0
        (tmp_path / "new" / "mine.wav").touch()
        assert main([*flags, "2"]) == 0
        names = {path.name for path in (tmp_path / "new").glob("*.wav")}
        assert names == {"000.wav", "001.wav", "mine.wav"}

    def test_its_own_latents_are_generated_again_and_never_lost(
        self, gan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "new"
        assert main(["generate", str(gan), "--out", str(out), "--count", "3"]) == 0
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        again = ["generate", str(gan), "--out", str(out), "--latents", str(out / "latents.npy")]

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        for name in ("save_wav", "tiles"):
            with monkeypatch.context() as patch:
                patch.setattr(f"audiate.folders.generate.{name}", interrupted)
                assert main(again) == 130
            assert {path.name: path.read_bytes() for path in out.iterdir()} == before
        assert main(again) == 0
        assert (out / "latents.npy").read_bytes() == before["latents.npy"]

    @pytest.mark.parametrize("name", ["000.wav", "latents.npy", "sheet.png"])
    def test_a_file_of_somebody_else_is_never_replaced(
        self, gan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        out = tmp_path / "own"
        out.mkdir()
        (out / name).write_text("mine")
        assert main(["generate", str(gan), "--out", str(out)]) == 2
        assert f"{name} is there already" in capsys.readouterr().err
        assert {path.name: path.read_text() for path in out.iterdir()} == {name: "mine"}

    def test_a_table_of_latents_and_a_warning(
        self, gan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        save_table(
            {"a": np.zeros(100, np.float32), "b": np.full(100, 50, np.float32)},
            tmp_path / "latents.npz",
        )
        made = ["generate", str(gan), "--out", str(tmp_path / "new"), "--latents"]
        assert main([*made, str(tmp_path / "latents.npz")]) == 0
        captured = capsys.readouterr()
        assert "2 sounds into" in captured.out
        (line,) = captured.err.splitlines()
        assert "latents.npz: 1 of 2 latents lie far outside of the prior" in line

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
    def test_latents_that_claim_too_much_are_refused_at_once(self, tmp_path: Path) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 12)}
        )
        huge = tmp_path / "huge.npy"
        huge.write_bytes(header.getvalue())
        os.mkfifo(tmp_path / "pipe.npy")
        np.save(tmp_path / "cut.npy", np.zeros((9, 12)))
        (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-1])
        for path, reason in (
            (huge, "1,000,000,000 latents; at most 100,000"),
            (tmp_path / "pipe.npy", "is a pipe or a device"),
            (tmp_path / "cut.npy", "truncated"),
            (tmp_path / "missing.npy", "no such file"),
        ):
            with pytest.raises(InputError, match=reason):
                read_latents(path, 12)

    def test_any_generator_that_the_shell_can_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drum = wrap(
            torch.nn.Sequential(torch.nn.Linear(4, 4096), torch.nn.Tanh()),
            latent_dim=4,
            sample_rate=8000,
        )
        asked = []

        def opened(own: OwnGenerator, source: str, *, device: str) -> object:
            asked.append((own.latent_dim, source, device))
            return drum

        monkeypatch.setattr(OwnGenerator, "open", opened)
        out = str(tmp_path / "new")
        command = ["generate", "drum.onnx", "--latent-dim", "4", "--out", out, "--count", "2"]
        assert main([*command, "--device", "cpu"]) == 0
        assert asked == [(4, "drum.onnx", "cpu")]
        assert soundfile.info(tmp_path / "new" / "001.wav").samplerate == 8000
        assert main([*command, "--label", "1"]) == 2

    def test_a_walk_between_two_latents(self, gan: Path, tmp_path: Path) -> None:
        flags = ["generate", str(gan), "--out", str(tmp_path / "walk"), "--count", "5"]
        assert main([*flags, "--interpolate"]) == 0
        walk = np.load(tmp_path / "walk" / "latents.npy")
        np.testing.assert_allclose(np.diff(walk, 2, axis=0), 0, atol=1e-6)
        assert main(flags) == 0
        ends = np.load(tmp_path / "walk" / "latents.npy")[:2]
        np.testing.assert_allclose(walk[[0, -1]], ends)

    @pytest.mark.parametrize(
        ("flags", "complaint"),
        [
            (["vae-fsdd"], "vae-fsdd: a VAE does not generate sound"),
            (["nothing"], "nothing: no such model"),
            (
                ["GAN", "--label", "3"],
                "--label 3: this model knows labels 0 to 2 (kick, snare drum, hat)",
            ),
            (["GAN", "--interpolate", "--count", "1"], "--count: a walk has two ends"),
            (["GAN", "--count", "0"], "--count 0"),
            (["GAN", "--out", "GAN/config.json"], "config.json"),
        ],
    )
    def test_bad_arguments(
        self,
        gan: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        flags: list[str],
        complaint: str,
    ) -> None:
        out = ["--out", str(tmp_path / "out")] if "--out" not in flags else []
        assert main(["generate", *(f.replace("GAN", str(gan)) for f in flags), *out]) == 2
        error = capsys.readouterr().err.replace(str(gan), "GAN")
        assert complaint in error
        assert error.startswith("audiate: error: ")


class TestDemo:
    def test_ten_digits_are_drawn_and_read(self, audiate: Command, tmp_path: Path) -> None:
        done = audiate("demo")
        assert done.returncode == 0, done.stderr
        assert len(list((tmp_path / "out" / "demo").glob("*.png"))) == 11
        words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        for digit, word in enumerate(words):
            (line,) = [line for line in done.stdout.splitlines() if line.startswith(word)]
            read = line.split("read as ")[1].split()
            assert read.count(str(digit)) > len(read) / 2, line


class TestTrainAndEvaluate:
    @pytest.mark.parametrize(
        "command", ["train lenet", "train vae", "train latent-flow", "evaluate vae-fsdd"]
    )
    def test_without_data_they_say_how_to_get_it(
        self, audiate_here: Command, tmp_path: Path, command: str
    ) -> None:
        done = audiate_here(*command.split(), "--data-dir", tmp_path / "nothing")
        assert done.returncode == 2
        line = done.stderr.splitlines()[-1]
        assert "audiate data fetch" in line
        assert "Traceback" not in done.stderr

    def test_a_reader_may_leave_early(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "audiate", "data", "list"],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writing)
        assert done.returncode == 1
        assert done.stderr == b""

    def test_a_setting_out_of_range(self, audiate_here: Command) -> None:
        done = audiate_here("train", "vae", "--epochs", "0")
        assert done.returncode == 2
        assert "--epochs 0" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["match", "measure", "compare", "look", "edit"])
def test_a_name_need_not_be_unicode(audiate_here: Command, tmp_path: Path, command: str) -> None:
    """It is written with an escape, and never becomes that of another file."""
    clip = write_tone(tmp_path / "clips" / "tone.wav", seconds=0.5, rate=16_000)
    for name in (b"a\xff.wav", b"a\\xff.wav"):
        (tmp_path / "clips" / os.fsdecode(name)).write_bytes(clip.read_bytes())
    (tmp_path / "pictures").mkdir()
    Image.fromarray(seven()).save(tmp_path / "pictures" / "seven.png")
    if command == "match":
        DualEncoder().save_pretrained(tmp_path / "model")
        done = audiate_here("match", "clips", "pictures", "--model", "model")
        told = (tmp_path / "out" / "match" / "ranks.csv").read_text() if not done.returncode else ""
    elif command == "measure":
        pytest.importorskip("parselmouth")
        done = audiate_here("measure", "clips", "--tracks", "tracks.csv")
        told = (tmp_path / "out" / "measures.csv").read_text() + Path("tracks.csv").read_text()
    elif command == "look":
        done = audiate_here("data", "look", "clips")
        assert "copies of the same samples: " in (told := done.stdout)
        assert "\\xff.wav" in told
        return
    elif command == "edit":
        pytest.importorskip("parselmouth")
        done = audiate_here("edit", "clips", "--loudness", "+1dB", "--classifier", "none")
        told = done.stdout
    else:
        done = audiate_here("compare", "clips", "clips", "--classifier", "none", "--json")
        told = "\n".join(json.loads(done.stdout)["clips"])
    assert done.returncode == 0, done.stderr
    assert "a\\xff" in told
    assert "a\\x5cxff" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("generate --count ten", "--count ten: give a whole number"),
        ("draw --samples 1.5", "--samples 1.5: give a whole number"),
        ("train codec --learning-rate low", "--learning-rate low: give a number"),
        ("train codec --speed-perturbation x", "--speed-perturbation x: give a number"),
        ("generate --cuont 3 x", "--cuont: no such flag; did you mean --count?"),
        ("generate a b", "b: not expected here; leave it out, or name a folder"),
        ("match a b c d e f", "c, d, e and 1 more: not expected here; leave it out, or name"),
        ("invert --method best", "--method best: give one of encoder, evolution, "),
        ("draw --samples", "--samples: give a value"),
        ("data look", "FOLDER is missing"),
        ("evaluate lenet-mnist --protocol x", "--protocol x: give one of paper, refusal, "),
    ],
)
def test_a_bad_flag_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    with pytest.raises(SystemExit):
        main(words.split())
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"audiate: error: {words.split()[0]}")
    assert f": {told}" in line
    assert re.search(r"; `audiate [\w -]+ --help` explains its flags$", line)


def test_codes_leave_no_folder_where_nothing_is_found(
    audiate_here: Command, tmp_path: Path
) -> None:
    assert audiate_here("codes", "nothing").returncode == 2
    assert not (tmp_path / "out").exists()


def test_a_table_that_cannot_be_written_names_its_own_flag(audiate_here: Command) -> None:
    told = audiate_here("measure", "clips", "--out", "/proc/nowhere/measures.csv").stderr
    assert "name another with --out" in told


@pytest.mark.parametrize("more", [[], ["--against", "bad"]])
def test_a_file_that_cannot_be_measured_is_named_once(
    audiate_here: Command, tmp_path: Path, more: list[str]
) -> None:
    pytest.importorskip("parselmouth")
    write_tone(tmp_path / "bad" / "tone.wav", seconds=0.5)
    (tmp_path / "bad" / "text.wav").write_text("no sound")
    told = audiate_here("measure", "bad/text.wav").stderr
    assert told.count("text.wav") == 1, told
    told = audiate_here("measure", "bad", *more).stdout
    assert " ".join(told.split()).count("text.wav: cannot be measured (cannot be read") >= 1


def test_a_strict_training_stops_at_the_first_bad_file(
    audiate_here: Command, tmp_path: Path
) -> None:
    write_tone(tmp_path / "clips" / "a.wav")
    (tmp_path / "clips" / "b.wav").write_text("no sound")
    done = audiate_here("train", "wavegan", "--data", "clips", "--strict")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("audiate: error: clips/b.wav: cannot be read")
