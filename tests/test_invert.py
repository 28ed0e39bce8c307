"""`audiate invert` and `audiate compare`, as a user runs them, with small models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from conftest import Command, interrupt_second_batch, small_specgan, write_tone
from test_editing import Singer
from torch import Tensor

from audiate.audio.files import is_hit, one_shot, save_wav
from audiate.cli import main
from audiate.cli.demo import CLIPS_FOLDER
from audiate.cli.invert import parse_duration
from audiate.data.sounds import find_sounds, list_folder
from audiate.errors import InputError
from audiate.evaluation.comparison import classifier_of
from audiate.folders.generate import generate_folder
from audiate.folders.invert import InversionWork, classifier_for, invert_folder, says_digits
from audiate.metrics.reconstruction import score_clips
from audiate.models.hub import SPOKEN_CLASSIFIER
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.specgan import SpecGAN
from audiate.models.storage import Provenance
from audiate.utils.filesystem import alone


@pytest.fixture
def flags(small_models: Path) -> list[str]:
    return ["--generator", str(small_models / "gan"), "--encoder", str(small_models / "encoder")]


@pytest.fixture
def quick(flags: list[str]) -> list[str]:
    return [*flags, "--method", "encoder", "--classifier", "none"]


def sounds(folder: Path) -> Path:
    for number, seconds in enumerate((0.2, 0.1)):
        write_tone(folder / f"tone{number}.wav", hertz=300 + 200 * number, seconds=seconds)
    write_tone(folder / "more" / "tone0.flac", seconds=0.2, rate=16_000)
    return folder


class TestInvert:
    def test_it_writes_what_it_says(
        self, audiate: Command, flags: list[str], tmp_path: Path
    ) -> None:
        clips = sounds(tmp_path / "clips")
        done = audiate("invert", clips, *flags, "--method", "encoder", "--out", "back")
        assert done.returncode == 0, done.stderr
        assert "dB log-spectral distance" in done.stdout
        written = {
            p.relative_to(tmp_path / "back").as_posix() for p in (tmp_path / "back").rglob("*.*")
        }
        stems = ("tone0", "tone1", "more/tone0")
        assert written == {f"{stem}{end}" for stem in stems for end in (".wav", ".npy", ".png")} | {
            f"heard/{stem}.wav" for stem in stems
        } | {"report.json", "latents.npz"}
        report = json.loads((tmp_path / "back" / "report.json").read_text())
        entry = report["clips"]["more/tone0"]
        assert entry.keys() == {
            "source", "modified", "files", "error", "loss", "silent_loss", "mse", "ssim",
            "log_spectral_distance", "digit_before", "digit_after", "evaluations", "seconds",
            "duration",
        }  # fmt: skip
        gan = SpecGAN.from_pretrained(flags[1])
        latent = torch.from_numpy(np.load(tmp_path / "back" / "more" / "tone0.npy"))
        samples, rate = soundfile.read(tmp_path / "back" / "more" / "tone0.wav")
        assert rate == gan.sample_rate
        with torch.no_grad():
            np.testing.assert_allclose(samples, gan(latent[None])[0, 0], atol=1e-4)

    def test_what_it_scores_is_what_compare_scores(
        self, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clips, out = sounds(tmp_path / "clips"), tmp_path / "back"
        assert main(["invert", str(clips), *flags, "--method", "encoder", "--out", str(out)]) == 0
        capsys.readouterr()
        assert main(["compare", str(out / "heard"), str(out), "--json"]) == 0
        compared = json.loads(capsys.readouterr().out)
        assert compared["unmatched"] == []
        for name, entry in json.loads((out / "report.json").read_text())["clips"].items():
            scores = compared["clips"][name]
            assert scores["mse"] == pytest.approx(entry["mse"], rel=1e-3)
            assert scores["ssim"] == pytest.approx(entry["ssim"], abs=1e-3)
            assert scores["digit_after"] == entry["digit_after"]

    def test_what_is_no_digit_does_not_count_as_one_that_is_kept(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
        soundfile.write(tmp_path / "noise.wav", noise, 16_000)
        out = tmp_path / "out"
        seven = str(CLIPS_FOLDER / "seven-rms.flac")
        assert main(["invert", str(tmp_path / "noise.wav"), seven, "--out", str(out)]) == 0
        assert ", 1 of 1 spoken digit kept; see" in capsys.readouterr().out
        clips = json.loads((out / "report.json").read_text())["clips"]
        assert clips["noise"]["digit_before"] is None
        assert clips["seven-rms"]["digit_before"] == 7

    def test_without_a_classifier_no_digits_are_compared(
        self, quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As of a generator of other words, whose inversion leaves the classifier out."""
        clip, out = write_tone(tmp_path / "tone.wav"), tmp_path / "out"
        assert main(["invert", str(clip), *quick, "--out", str(out)]) == 0
        for pair in ((out / "heard", out), (clip, out / "tone.wav")):
            capsys.readouterr()
            assert main(["compare", *map(str, pair), "--json"]) == 0
            said = capsys.readouterr()
            assert json.loads(said.out)["agreement"] is None
            assert f"--classifier {SPOKEN_CLASSIFIER} compares them" in said.err

    def test_digits_are_compared_where_a_record_names_a_classifier(self, tmp_path: Path) -> None:
        """Be it that of the outputs, or that of the targets in ``heard``."""
        report, target = tmp_path / "found" / "report.json", tmp_path / "found" / "heard"
        target.mkdir(parents=True)
        for record, expected in (
            ({"settings": {"classifier": "60040504"}}, SPOKEN_CLASSIFIER),
            ({"settings": {"classifier": "none"}}, None),
            ({"settings": {"model": "wavegan-digits"}}, None),
            ([], None),
        ):
            report.write_text(json.dumps(record))
            assert classifier_of(target, tmp_path / "again") == expected
            assert classifier_of(tmp_path / "clips", report.parent) == expected

    def test_a_latent_is_said_again(
        self, flags: list[str], quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clip, out, gan = write_tone(tmp_path / "tone.wav"), tmp_path / "out", flags[1]
        assert main(["invert", str(clip), *quick, "--out", str(out)]) == 0
        said = ["generate", gan, "--out", str(tmp_path / "again"), "--latents"]
        assert main([*said, str(out / "tone.npy")]) == 0
        assert "1 sound into" in capsys.readouterr().out
        once, again = (soundfile.read(p)[0] for p in (out / "tone.wav", tmp_path / "again/000.wav"))
        np.testing.assert_allclose(once, again, atol=1e-4)
        np.save(tmp_path / "wrong.npy", np.zeros((2, 13)))
        assert main([*said, str(tmp_path / "wrong.npy")]) == 2
        complaint = "wrong.npy: holds (2, 13) numbers, and this model's latents are (count, 12)"
        assert complaint in capsys.readouterr().err
        assert main([*said, str(clip)]) == 2
        assert "tone.wav: cannot be read as latents" in capsys.readouterr().err
        np.save(tmp_path / "wrong.npy", np.zeros(12, np.complex64))
        assert main([*said, str(tmp_path / "wrong.npy")]) == 2
        assert "wrong.npy: cannot be read as latents (no array of real" in capsys.readouterr().err
        np.save(tmp_path / "wrong.npy", np.full(12, 1e300))
        assert main([*said, str(tmp_path / "wrong.npy")]) == 2
        assert "holds NaN or infinite numbers" in capsys.readouterr().err

    def test_no_clip_is_overwritten_and_none_of_its_own_inverted(
        self,
        quick: list[str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        clip = write_tone(tmp_path / "tone.wav")
        before = clip.read_bytes()
        for clips in ("tone.wav", "."):
            assert main(["invert", clips, *quick, "--out", "."]) == 2
            assert "--out .: tone.wav is one of the clips" in capsys.readouterr().err
        assert clip.read_bytes() == before
        for _ in range(2):
            assert main(["invert", ".", *quick]) == 0
            assert json.loads(Path("out/invert/report.json").read_text())["clips"].keys() == {
                "tone"
            }

    def test_an_odd_name_stays_in_the_folder(self, quick: list[str], tmp_path: Path) -> None:
        clip = write_tone(tmp_path / "tone.wav").rename(tmp_path / "..wav")
        report = write_tone(tmp_path / "report.wav")
        out = str(tmp_path / "out")
        assert main(["invert", str(clip), str(report), *quick, "--out", out]) == 0
        assert {p.name for p in (tmp_path / "out").glob("*.wav")} == {"clip.wav", "report.wav"}
        assert {p.name for p in tmp_path.iterdir()} == {"..wav", "report.wav", "out"}

    def test_a_clip_in_a_folder_named_heard_has_a_place_of_its_own(
        self, quick: list[str], tmp_path: Path
    ) -> None:
        clips, out = tmp_path / "clips", tmp_path / "out"
        write_tone(clips / "tone.wav")
        write_tone(clips / "heard" / "tone.wav", hertz=700)
        assert main(["invert", str(clips), *quick, "--out", str(out)]) == 0
        names = json.loads((out / "report.json").read_text())["clips"].keys()
        assert names == {"tone", "heard-2/tone"}
        written = set(names) | {f"heard/{name}" for name in names}
        assert len(written) == 4
        assert {
            path.relative_to(out).with_suffix("").as_posix() for path in out.rglob("*.wav")
        } == written

    def test_interrupted_and_gone_on(
        self,
        quick: list[str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for number in range(3):
            write_tone(tmp_path / "clips" / f"{number}.wav")
        given = ["invert", str(tmp_path / "clips"), *quick, "--out", str(tmp_path / "out")]
        compute, calls = InversionWork.compute, 0

        def stopped(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return compute(*arguments)

        monkeypatch.setattr("audiate.folders.invert._LOOKED_UP", 2)
        interrupt_second_batch(monkeypatch, InversionWork)
        assert main(given) == 130
        assert "stopped after 2 of 3 clips" in capsys.readouterr().err
        assert main(given) == 0
        assert "1 clip inverted (2 were there already)" in capsys.readouterr().out

    def test_other_weights_by_the_same_name_need_another_folder(
        self, small_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clip = write_tone(tmp_path / "tone.wav")
        shutil.copytree(small_models, tmp_path / "models")
        gan, encoder = tmp_path / "models" / "gan", tmp_path / "models" / "encoder"
        command = ["invert", str(clip), "--generator", str(gan), "--encoder", str(encoder)]
        command += ["--method", "encoder", "--classifier", "none", "--out", str(tmp_path / "out")]
        assert main(command) == 0
        model = LatentEncoder.from_pretrained(encoder)
        torch.manual_seed(5)
        LatentEncoder(model.config).save_pretrained(encoder)
        assert main(command) == 2
        assert (
            "holds the results of `audiate invert` with another --encoder;"
            in capsys.readouterr().err
        )

    def test_one_clip_that_fails_does_not_stop_the_rest(
        self,
        flags: list[str],
        quick: list[str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from audiate.inversion.encoder import EncoderInverter

        clips = sounds(tmp_path / "clips")
        invert = EncoderInverter.__call__

        def fussy(self: EncoderInverter, target: torch.Tensor, init: Any = None) -> Any:
            if (target.abs().sum((1, 2)) == worst).any():
                raise InputError("not this one")
            return invert(self, target, init)

        run = InversionWork(SpecGAN.from_pretrained(flags[1]), lambda: invert)  # type: ignore[arg-type,return-value]
        worst = run.read(clips / "tone1.wav").waveform.abs().sum()
        monkeypatch.setattr(EncoderInverter, "__call__", fussy)
        command = ["invert", str(clips), *quick]
        assert main([*command, "--out", str(tmp_path / "out")]) == 2
        captured = capsys.readouterr()
        assert "tone1.wav: not this one" in captured.err
        assert "2 clips inverted" in captured.out
        (clips / "tone0.wav").unlink()  # gone since, though the report knows it
        command = ["invert", str(clips / "tone0.wav"), *command[2:]]
        assert main([*command, "--out", str(tmp_path / "out")]) == 2
        assert "no such file" in capsys.readouterr().err

    def test_nothing_that_is_not_its_own_is_overwritten(
        self, quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one, other = (write_tone(tmp_path / name / "tone.wav") for name in ("one", "other"))
        out = tmp_path / "out"
        out.mkdir()
        (out / "tone.png").write_text("a picture")
        command = ["invert", *quick, "--out", str(out)]
        assert main([*command, str(one)]) == 2
        assert "tone.png is there already" in capsys.readouterr().err
        assert {path.name for path in out.iterdir()} == {"tone.png"}
        (out / "tone.png").unlink()
        assert main([*command, str(one)]) == 0
        first = (out / "tone.npy").read_bytes()
        assert (
            main([*command, str(other), str(other), str(one)]) == 0
        )  # of one name, from elsewhere
        assert "1 clip inverted (1 was there already)" in capsys.readouterr().out
        report = json.loads((out / "report.json").read_text())["clips"]
        assert {name: entry["source"] for name, entry in report.items()} == {
            "tone": str(one),
            "tone-2": str(other),
        }
        assert (out / "tone.npy").read_bytes() == first

    def test_a_folder_is_one_inversions_at_a_time(
        self, quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ["invert", str(write_tone(tmp_path / "tone.wav")), *quick, "--out"]
        with alone(tmp_path / "out" / ".audiate.lock", ""):
            assert main([*command, str(tmp_path / "out")]) == 2
        assert "another audiate command is writing there" in capsys.readouterr().err
        assert main([*command, str(tmp_path / "out")]) == 0

    def test_it_goes_on_where_it_stopped(
        self, quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clips, out = sounds(tmp_path / "clips"), tmp_path / "back"
        command = ["invert", *quick, "--out", str(out)]
        assert main([*command, str(clips / "tone0.wav")]) == 0
        first = (out / "tone0.wav").stat().st_mtime_ns
        assert main([*command, str(clips / "tone0.wav"), str(clips / "tone1.wav")]) == 0
        assert "1 clip inverted (1 was there already)" in capsys.readouterr().out
        assert (out / "tone0.wav").stat().st_mtime_ns == first
        write_tone(clips / "tone0.wav", hertz=700)  # another sound by that name
        assert main([*command, str(clips / "tone0.wav")]) == 0
        assert (out / "tone0.wav").stat().st_mtime_ns != first

    def test_other_settings_need_another_folder(
        self, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clip = write_tone(tmp_path / "tone.wav")
        command = [
            "invert",
            str(clip),
            *flags,
            "--classifier",
            "none",
            "--out",
            str(tmp_path / "back"),
        ]
        assert main([*command, "--method", "encoder"]) == 0
        assert main([*command, "--budget", "50ms"]) == 2
        assert "with another --budget, --method;" in capsys.readouterr().err
        (tmp_path / "back" / "report.json").write_text("{")
        assert main([*command, "--method", "encoder"]) == 2
        assert "report.json: is no record of this version" in capsys.readouterr().err
        (tmp_path / "back" / "report.json").write_text('{"settings": {}, "clips": {"tone": {}}}')
        assert main([*command, "--method", "encoder"]) == 2
        assert "report.json: is no record of this version" in capsys.readouterr().err

    @pytest.mark.parametrize("method", ["gradient", "hybrid"])
    def test_methods(
        self, small_models: Path, flags: list[str], tmp_path: Path, method: str
    ) -> None:
        clip = write_tone(tmp_path / "tone.wav")
        found = {}
        for name in ("encoder", method):
            given = flags[:2] if name == "gradient" else flags  # gradients use no encoder
            command = ["invert", str(clip), *given, "--method", name, "--classifier", "none"]
            assert main([*command, "--out", str(tmp_path / name)]) == 0
            found[name] = json.loads((tmp_path / name / "report.json").read_text())["clips"]["tone"]
        assert found[method]["loss"] < found["encoder"]["loss"]
        assert found[method]["evaluations"] > 10

    def test_one_by_one_a_clip_does_not_depend_on_the_others(
        self, flags: list[str], tmp_path: Path
    ) -> None:
        clips = sounds(tmp_path / "clips")
        command = ["--classifier", "none", "--max-iterations", "3", "--deterministic"]
        paths = sorted(clips.glob("*.wav"))
        for name, given in (("all", paths), ("one", paths[-1:])):
            out = ["--out", str(tmp_path / name)]
            assert main(["invert", *map(str, given), *flags, *command, *out]) == 0
        latent = f"{paths[-1].stem}.npy"
        assert np.array_equal(
            np.load(tmp_path / "all" / latent), np.load(tmp_path / "one" / latent)
        )
        assert main(["invert", *map(str, paths), *flags, "--budget", "1s", "--deterministic"]) == 2

    def test_a_budget(
        self, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clip = write_tone(tmp_path / "tone.wav")
        command = [
            "invert",
            str(clip),
            *flags,
            "--classifier",
            "none",
            "--out",
            str(tmp_path / "out"),
        ]
        assert main([*command, "--budget", "2s"]) == 0
        entry = json.loads((tmp_path / "out" / "report.json").read_text())["clips"]["tone"]
        assert entry["evaluations"] > 1
        assert entry["seconds"] < 4
        assert main([*command[:-1], str(tmp_path / "less"), "--budget", "1ms"]) == 0
        assert "--budget 0.001 s: a clip took" in capsys.readouterr().err

    def test_bad_clips_are_named_and_the_others_inverted(
        self, quick: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clips = tmp_path / "clips"
        write_tone(clips / "good.wav")
        write_tone(clips / "long.wav", seconds=1.5)
        soundfile.write(clips / "silent.wav", np.zeros(4000), 8000)
        (clips / "text.wav").write_text("no sound")
        soundfile.write(clips / "short.wav", np.ones(1), 48_000)
        out = tmp_path / "out"
        command = ["invert", str(clips), *quick]
        assert main([*command, "--out", str(out)]) == 2
        captured = capsys.readouterr()
        assert "silent.wav: is silent" in captured.err
        assert "text.wav: cannot be read as sound" in captured.err
        assert "short.wav: " in captured.err
        assert (
            "the generator makes 0.26 s; 2 of 2 clips are longer: the part with the most energy "
            "was taken\n"
        ) in captured.err
        assert "2 clips inverted" in captured.out
        report = json.loads((out / "report.json").read_text())["clips"]
        assert "is silent" in report["silent"]["error"]
        assert report["silent"]["files"] == {}
        assert report["long"]["error"] is None

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ([], "no clips given"),
            (["CLIP", "--budget", "soon"], "--budget soon: give a time for each clip"),
            (["CLIP", "--generator", "vae-fsdd"], "a VAE does not generate sound"),
            (
                ["CLIP", "--generator", "GAN", "--start", "encoder"],
                "no encoder is shipped for this generator",
            ),
            (["CLIP", "--method", "search", "--start", "both"], "--start: --method search has its"),
            (["CLIP", "--encoder", "lenet-mnist"], "is no encoder"),
            (["CLIP", "--classifier", "vae-fsdd"], "classifies no spoken digits"),
            (["EMPTY"], "holds no sound file"),
            (["CLIP", "--restarts", "0"], "--restarts 0"),
            (["CLIP", "--restarts", "3", "--budget", "1s"], "--restarts: a budget goes on for"),
            (
                ["CLIP", "--max-iterations", "3", "--budget", "1s"],
                "--max-iterations: a budget goes on for",
            ),
            (
                ["CLIP", "--max-iterations", "3", "--method", "encoder"],
                "--max-iterations: --method encoder has no iterations",
            ),
            (
                ["CLIP", "--encoder", "lenet-mnist", "--method", "gradient"],
                "--encoder: --method gradient uses none",
            ),
            (["CLIP", "--latent-dim", "7"], "--latent-dim 7: speech-digits has 522; leave"),
            (["CLIP", "--generator", "GAN", "--generator-rate", "7"], "--generator-rate 7: "),
            (
                ["CLIP", "--restarts", "3", "--method", "encoder"],
                "--restarts: --method encoder",
            ),
            (["CLIP", "--budget", "1s", "--method", "encoder"], "--method: a budget chooses"),
            (
                ["CLIP", "--method", "gradient", "--objective", "paper", "--classifier", "none"],
                "--objective paper: needs a classifier",
            ),
            (["CLIP", "--max-iterations", "-1"], "max_iterations -1"),
        ],
    )
    def test_bad_arguments(
        self,
        small_models: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        complaint: str,
    ) -> None:
        (tmp_path / "empty").mkdir()
        stand_for = {
            "CLIP": str(write_tone(tmp_path / "tone.wav")),
            "GAN": str(small_models / "gan"),
            "EMPTY": str(tmp_path / "empty"),
        }
        given = [stand_for.get(argument, argument) for argument in arguments]
        assert main(["invert", *given, "--out", str(tmp_path / "out")]) == 2
        assert complaint in capsys.readouterr().err

    def test_durations(self) -> None:
        assert [parse_duration(text) for text in ("50ms", "1s", "2 min", "1.5s")] == [
            0.05, 1, 120, 1.5,
        ]  # fmt: skip
        for text in ("0s", "-1s", "5", "s", ""):
            with pytest.raises(InputError, match="`budget`"):
                parse_duration(text)


class Kit(Singer):
    """One drum, whatever the latent; its hits begin with the clip."""

    def __call__(self, z: Tensor, /) -> Tensor:
        return drum(4096).expand(len(z), 1, -1)


def drum(samples: int) -> Tensor:
    time = torch.arange(samples) / 8000
    return (0.5 * torch.sin(2 * torch.pi * 200 * time) * torch.exp(-60 * time))[None]


def test_hits_begin_with_the_clip_and_shared_latents_are_told(tmp_path: Path) -> None:
    for name in ("kick", "bell"):
        save_wav(tmp_path / "hits" / f"{name}.wav", drum(2000), 8000)
    given = {"generator": Kit(), "classifier": None, "method": "search"}
    report = invert_folder(tmp_path / "hits", tmp_path / "out", **given)  # type: ignore[arg-type]
    heard, _ = soundfile.read(tmp_path / "out" / "heard" / "kick.wav")
    assert np.abs(heard[:80]).max() > 0.5  # 10 ms
    (told,) = [line for line in report.notes(seconds=0.512) if "share a latent" in line]
    assert told.startswith("2 of 2 clips share a latent with another, such as bell, kick")
    shutil.copytree(tmp_path / "hits", tmp_path / "copies")
    again = invert_folder(tmp_path / "copies", tmp_path / "out", **given)  # type: ignore[arg-type]
    assert any(line.startswith("4 of 4 clips share") for line in again.notes(seconds=0.512))
    (folder,) = {path.parent for path in find_sounds(tmp_path / "hits")}
    sounds = list_folder(folder).read(num_samples=4096)
    assert sounds.waveforms(torch.arange(2))[..., :80].abs().amax(2).min() > 0.4
    assert not is_hit(torch.ones(1, 8000), 8000)


def test_one_shots_begin_with_their_onset_at_one_peak(tmp_path: Path) -> None:
    class Late(Singer):
        def __call__(self, z: Tensor, /) -> Tensor:
            hits = F.pad(drum(2000), (1500, 596)).expand(len(z), 1, -1)
            return hits * torch.linspace(0.01, 1, len(z)).view(-1, 1, 1)

    generate_folder(Late(), tmp_path / "kit", count=3, trim=True)
    for path in sorted((tmp_path / "kit").glob("*.wav")):
        samples, rate = soundfile.read(path)
        assert np.abs(samples).max() == pytest.approx(0.9, abs=0.01)
        assert int((np.abs(samples) > 0.09).argmax()) < 0.005 * rate
        assert len(samples) < 2000


def test_one_shots_set_in_at_once() -> None:
    """What swells for a few milliseconds before an onset is cut off; a slow swell stays."""
    rate, fading = 44_100, torch.exp(-torch.arange(9000) / 900)
    tone = torch.sin(torch.arange(9000) / 5)
    for before, after in ((0, 0), (200, 0), (2000, 1770)):  # 5 ms are 220 samples
        swell = 0.3 * torch.linspace(0.03, 1, before) * tone[:before]
        hit = torch.cat([torch.zeros(500), swell, fading * tone])[None]
        shot = one_shot(hit, rate)[0]
        assert shot[0] == 0
        loud = int((shot.abs() > 0.5).nonzero()[0])
        assert after <= loud <= after + 30
        assert shot.abs().max() == pytest.approx(0.9)


def test_silence_around_a_sound_is_not_compared() -> None:
    hit, other = F.pad(drum(2000), (0, 30_000)), F.pad(0.3 * torch.randn(1, 2000), (0, 30_000))
    (short,) = score_clips(other[None, :, :4096], hit[None, :, :4096], 8000, None)
    (long,) = score_clips(other[None], hit[None], 8000, None)
    assert long.ssim == pytest.approx(short.ssim, abs=0.05)
    assert long.log_spectral_distance == pytest.approx(short.log_spectral_distance, rel=0.1)


@pytest.mark.parametrize(("data", "kept"), [("words", False), ("fsdd", True)])
def test_digits_are_read_where_a_generator_says_digits(data: str, kept: bool) -> None:
    model = small_specgan(latent_dim=6)
    assert says_digits(model) is None
    model.provenance = Provenance("specgan", {"data": [data]})
    assert says_digits(model) is kept
    assert classifier_for(model, "digits-resnet18") == ("digits-resnet18" if kept else None)


class TestCompare:
    def test_two_files(self, audiate: Command, tmp_path: Path) -> None:
        write_tone(tmp_path / "one.wav")
        samples, rate = soundfile.read(tmp_path / "one.wav")
        soundfile.write(tmp_path / "two.flac", 0.5 * samples, rate)
        done = audiate("compare", "one.wav", "two.flac", "--json", "--classifier", "none")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["mse"] == pytest.approx((0.5 * samples).var(), rel=1e-3)
        assert 0 < report["ssim"] < 1
        assert 1 < report["log_spectral_distance"] < 6.1  # a gain, but not of what is silent
        assert report["agreement"] is None
        assert report["n"] == 1

    def test_the_same_sound_has_nothing_wrong_with_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("a", "b"):
            write_tone(tmp_path / "one" / f"{name}.wav")
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        write_tone(tmp_path / "two" / "c.wav")
        folders = [str(tmp_path / "one"), str(tmp_path / "two")]
        assert main(["compare", *folders, "--json", "--classifier", SPOKEN_CLASSIFIER]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["mse"], report["log_spectral_distance"], report["agreement"]) == (0, 0, 1)
        assert report["ssim"] == pytest.approx(1)
        assert report["clips"].keys() == {"a", "b"}
        assert report["unmatched"] == ["c"]
        assert (report["padded"], report["failed"]) == ([], {})
        assert main(["compare", *folders, "--classifier", SPOKEN_CLASSIFIER]) == 0
        assert "100.0 % the same" in capsys.readouterr().out
        assert main(["compare", *folders]) == 0
        said = capsys.readouterr()
        assert "the same" not in said.out
        assert "digits are not compared" in said.err

    def test_a_loud_file_is_taken_as_it_is(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        samples, rate = soundfile.read(write_tone(tmp_path / "one.wav"))
        soundfile.write(tmp_path / "loud.wav", 3 * samples, rate, subtype="FLOAT")
        files = [str(tmp_path / name) for name in ("one.wav", "loud.wav")]
        assert main(["compare", *files, "--json", "--classifier", "none"]) == 0
        mse = json.loads(capsys.readouterr().out)["mse"]
        assert mse == pytest.approx(((2 * samples) ** 2).mean(), rel=1e-3)

    def test_one_pair_that_fails_does_not_stop_the_rest(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for folder, seconds in (("one", 0.4), ("two", 0.2)):
            write_tone(tmp_path / folder / "good.wav", seconds=seconds)
            write_tone(tmp_path / folder / "bad.wav")
        (tmp_path / "two" / "bad.wav").write_text("no sound")
        folders = [str(tmp_path / folder) for folder in ("one", "two")]
        assert main(["compare", *folders, "--classifier", "none"]) == 2
        captured = capsys.readouterr()
        assert "bad.wav: cannot be read as sound" in captured.err
        assert "the shorter one padded with zeros: 1 (good)" in captured.out

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["one.wav", "nothing"], "nothing: no such file or folder"),
            (["one.wav", "folder"], "give two files, or two folders"),
            (["folder", "other"], "holds no file of a name that is in"),
            (["one.wav", "short.wav"], ""),
            (["short.wav", "short.wav"], "short.wav: clips of 80 samples: give at least"),
            (["twins", "folder"], "two files of one name"),
        ],
    )
    def test_bad_input(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        complaint: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        write_tone(Path("one.wav"))
        write_tone(Path("short.wav"), seconds=0.01)
        write_tone(Path("folder/a.wav"))
        write_tone(Path("other/b.wav"))
        write_tone(Path("twins/a.wav"))
        write_tone(Path("twins/a.flac"))
        status = main(["compare", *arguments, "--classifier", "none"])
        assert status == (2 if complaint else 0)
        assert complaint in capsys.readouterr().err
