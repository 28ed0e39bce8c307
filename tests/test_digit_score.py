"""Sounds that are no digits are refused, the same way wherever a clip is heard."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import onnxruntime
import pyarrow.parquet as pq
import pytest
import torch
from conftest import Command

import audiate
from audiate.audio.files import save_wav
from audiate.cli.demo import CLIPS_FOLDER
from audiate.errors import InputError
from audiate.evaluation.model import evaluate_model
from audiate.evaluation.refusal import RefusalReport
from audiate.models.digit_score import DigitScore
from audiate.models.latent_flow import LatentFlow

RATE = 16_000
SEVEN = CLIPS_FOLDER / "seven-rms.flac"


@pytest.fixture(scope="module")
def chord(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A major chord, of which eight confident digits would be drawn."""
    times = torch.arange(RATE) / RATE
    notes = [torch.sin(2 * torch.pi * 220 * 2 ** (step / 12) * times) for step in (0, 4, 7)]
    path = tmp_path_factory.mktemp("sounds") / "chord.wav"
    save_wav(path, torch.stack(notes).sum(0)[None] / 4, RATE)
    return path


@torch.inference_mode()
def test_the_score_sees_the_middle_and_the_end() -> None:
    score = DigitScore().eval()
    weights = dict(score.named_parameters())
    for name, weight in weights.items():
        weight.fill_(1.0 if "body.1.weight" in name or "shortcut.1.weight" in name else 0.0)
    torch.nn.init.dirac_(weights["trunk.0.shortcut.0.weight"])  # what is above 0 is passed on
    weights["head.0.weight"].fill_(0.01)
    weights["head.2.weight"].fill_(1 / 64)
    weights["head.2.bias"].fill_(-8)
    middle, moments = torch.ones(2, 64, 12, 12), torch.ones(2, 768)
    middle[0], moments[0] = 2, 3
    middle[1], moments[1] = -2, -3
    # 64 units each hold a hundredth of six moments of 64 channels and of 768 others, or 0.
    expected = torch.tensor([0.01 * (6 * 64 * 2 + 768 * 3) - 8, -8])
    torch.testing.assert_close(score(middle, moments), expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_clips_of_a_batch_do_not_change_each_other() -> None:
    sounds = torch.rand(5, 48, 48, generator=torch.Generator().manual_seed(0))
    flow = audiate.load("flow-digits", LatentFlow)
    together = flow.digit_scores(sounds)
    assert together is not None
    alone = [flow.digit_scores(each[None]) for each in sounds]
    for score, one in zip(together, alone, strict=True):
        assert one is not None
        assert one.item() == pytest.approx(score.item(), abs=1e-4)


def test_drawing_warns_and_draws_all_the_same(chord: Path) -> None:
    flow = audiate.load("flow-digits", LatentFlow)
    waveform, rate = audiate.load_audio(chord)
    with pytest.warns(UserWarning, match=r"probably no spoken digit \(score -") as caught:
        images = flow.draw(waveform, sample_rate=rate, samples=2)
    assert caught[0].filename == __file__
    flow.digit_score = None  # as in weights without one
    with warnings.catch_warnings(action="error"):
        assert torch.equal(flow.draw(waveform, sample_rate=rate, samples=2), images)


def test_commands_warn_and_record(chord: Path, audiate_here: Command, tmp_path: Path) -> None:
    done = audiate_here("draw", chord, SEVEN, "--samples", "2", "--device", "cpu")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("audiate: warning: chord.wav: probably no spoken digit (score -")
    clips = json.loads((tmp_path / "out" / "draw" / "report.json").read_text())["clips"]
    assert clips["chord"]["digit_score"] < 0 < clips["seven-rms"]["digit_score"]
    bulk = {}
    for command in ("classify", "draw"):
        done = audiate_here("bulk", command, chord, SEVEN, "--out", command, "--device", "cpu")
        assert done.returncode == 0, done.stderr
        rows = pq.read_table(tmp_path / command / "rows").to_pylist()
        bulk[command] = {Path(row["source"]).stem: row["digit_score"] for row in rows}
        assert bulk[command]["chord"] < 0 < bulk[command]["seven-rms"]
    for name, score in bulk["draw"].items():
        assert score == pytest.approx(clips[name]["digit_score"], abs=1e-3)


def test_a_walk_and_another_digit_warn(chord: Path, audiate_here: Command) -> None:
    done = audiate_here("generate", "--walk", chord, SEVEN, "--count", "2", "--device", "cpu")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"audiate: warning: {chord}: probably no spoken digit (score -")
    pytest.importorskip("parselmouth")
    edit = ["edit", chord, SEVEN, "--digit", "3", "--method", "exact", "--classifier", "none"]
    done = audiate_here(*edit, "--samples", "20", "--rounds", "0", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    warnings_ = [line for line in done.stderr.splitlines() if "probably" in line]
    (line,) = warnings_
    assert line.startswith("audiate: warning: chord.wav: probably no spoken digit (score -")


@torch.inference_mode()
def test_the_graph_gives_the_score(chord: Path, page_files: Path) -> None:
    session = onnxruntime.InferenceSession(page_files / "drawer.onnx")
    flow = audiate.load("flow-digits", LatentFlow)
    for path in (chord, SEVEN):
        waveform, rate = audiate.load_audio(path, RATE)
        given = {"waveform": waveform.numpy(), "noise": torch.zeros(1, 32).numpy()}
        given["guidance"] = torch.tensor(1.0).numpy()
        score = flow.digit_scores(flow.preprocess(waveform, sample_rate=rate)[None])
        assert score is not None
        (found,) = session.run(["digit_score"], given)
        assert found == pytest.approx(score.item(), abs=1e-2)


def test_most_other_sounds_are_refused_and_few_digits(
    real_data: Path, chord: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "broken.wav").write_text("no sound", encoding="utf-8")
    (tmp_path / "music" / "chord.wav").symlink_to(chord)
    (tmp_path / "seven").symlink_to(CLIPS_FOLDER)  # digits, which are left out
    report = evaluate_model("flow-digits", root=real_data, protocol="refusal", others=tmp_path)
    assert isinstance(report, RefusalReport)
    assert set(report.kinds) == {"backwards", "beginnings", "chords", "music", "noise"}
    assert (report.kinds["music"].clips, report.kinds["music"].share) == (1, 1)
    named = capsys.readouterr().err  # what cannot be used, and the rest is done
    assert "broken.wav: " in named
    assert f"{tmp_path / 'empty'}: " in named
    assert report.digits.share <= 0.03
    assert report.others.share >= 0.9
    told = " ".join(report.to_text().split())
    assert "no digits" in told
    assert "beginnings are their first parts alone, with a third of their energy" in told


def test_a_model_without_a_score_says_which_have_one(real_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="vae-fsdd: has no digit scores; flow-digits has"):
        evaluate_model("vae-fsdd", root=real_data, protocol="refusal")
    with pytest.raises(InputError, match="`others`: is for `protocol` refusal"):
        evaluate_model("flow-digits", root=real_data, others=tmp_path)
