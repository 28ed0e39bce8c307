"""Scores of generators by a classifier that a file holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiate.cli import main
from audiate.errors import InputError
from audiate.evaluation.judge_file import FileJudge, evaluate_by_file
from audiate.models.wrap import wrap


class Loudest(nn.Module):
    """Logits of the pitch in steps of 300 Hz from 200 Hz on, and the pitch in kHz as feature."""

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        bins = torch.fft.rfft(waveforms).abs().argmax(1)
        pitch = bins.unsqueeze(1) * 16000.0 / waveforms.shape[1]
        steps = torch.arange(10).unsqueeze(0) * 300.0 + 200.0
        return -((pitch - steps) / 50.0).square(), torch.cat([pitch, 2 * pitch], 1) / 1000


class Logits(nn.Module):
    """Logits alone, of the digit 0 or 1."""

    def forward(self, waveforms: Tensor) -> Tensor:
        return torch.stack([waveforms.amax(1), waveforms.amin(1)], 1)


class Weighted(nn.Module):
    """Logits by weights that could be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, waveforms: Tensor) -> Tensor:
        levels: Tensor = self.layer(torch.stack([waveforms.amax(1), waveforms.amin(1)], 1))
        return levels


class OneNumber(nn.Module):
    def forward(self, waveforms: Tensor) -> Tensor:
        return waveforms.mean(1)


def save(module: nn.Module, path: Path) -> Path:
    torch.jit.script(module).save(path)  # type: ignore[no-untyped-call]
    return path


def sing(z: Tensor) -> Tensor:
    """Tones of the ten pitches, at 8,000 Hz."""
    hertz = 200 + 300 * (torch.arange(len(z)) % 10)
    return 0.5 * torch.sin(2 * torch.pi * hertz.unsqueeze(1) * torch.arange(8000) / 8000)


def test_weights_that_could_be_trained_judge_as_well(shared_data: Path, tmp_path: Path) -> None:
    judge = FileJudge(save(Weighted(), tmp_path / "judge.pt"))
    generator = wrap(sing, latent_dim=3, sample_rate=8000)
    report = evaluate_by_file("choir", generator, judge, shared_data, count=20, splits=2)
    assert 1 <= report.sets[0].inception.mean <= 3


def test_a_choir_of_ten_pitches(shared_data: Path, tmp_path: Path) -> None:
    judge = FileJudge(save(Loudest(), tmp_path / "judge.pt"))
    generator = wrap(sing, latent_dim=3, sample_rate=8000)
    report = evaluate_by_file("choir", generator, judge, shared_data, count=200, splits=2)
    generated, train, validation = report.sets
    assert generated.inception.mean == pytest.approx(10, abs=0.1)
    assert generated.am_score < 0.1
    assert generated.modified_inception_score > 1e6  # quite sure, and all differ
    assert generated.frechet_distance is not None
    assert generated.frechet_distance < 0.1
    assert train.frechet_distance is not None
    assert train.frechet_distance < 0.01
    assert (generated.n, train.n, validation.n) == (200, 215, 10)
    values = json.loads(report.to_json())
    assert values["sets"][0]["am_score"] == generated.am_score
    assert "mIS" in report.to_text()


def test_features_are_optional(shared_data: Path, tmp_path: Path) -> None:
    judge = FileJudge(save(Logits(), tmp_path / "judge.pt"))
    generator = wrap(sing, latent_dim=3, sample_rate=8000)
    report = evaluate_by_file("choir", generator, judge, shared_data, count=20, splits=2)
    assert report.sets[0].frechet_distance is None
    assert 1 <= report.sets[0].inception.mean <= 2


def test_onnx_gives_what_pytorch_gives(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    inputs, outputs = (
        [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", size])]
        for name, size in (("x", "samples"), ("y", 2))
    )
    nodes = [
        make.make_node("ReduceMax", ["x"], ["a"], axes=[1], keepdims=1),
        make.make_node("ReduceMin", ["x"], ["b"], axes=[1], keepdims=1),
        make.make_node("Concat", ["a", "b"], ["y"], axis=1),
    ]
    graph = make.make_graph(nodes, "judge", inputs, outputs)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "judge.onnx")
    clips = torch.randn(60, 8000, generator=torch.Generator().manual_seed(0))
    logits, features = FileJudge(tmp_path / "judge.onnx", 8000).classify(clips, "clips")
    assert features is None
    assert torch.equal(logits, Logits()(clips))


@pytest.mark.parametrize("name", ["judge.pt", "judge.onnx"])
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    name: str, shared_data: Path, tmp_path: Path, small_models: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / name
    words = ["evaluate", str(small_models / "gan"), "--judge", str(path), "--count", "100"]
    assert main([*words, "--data-dir", str(shared_data)]) == 2
    assert f"{path}: no such file" in capsys.readouterr().err
    path.write_bytes(np.arange(100).tobytes())
    assert main([*words, "--data-dir", str(shared_data)]) == 2
    error = capsys.readouterr().err.strip()
    assert f"{path}: cannot be read as" in error
    assert "\n" not in error


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    path = save(OneNumber(), tmp_path / "judge.pt")
    with pytest.raises(InputError, match=r"gave \(3,\) for waveforms \(3, 16000\); give logits"):
        FileJudge(path)
    with pytest.raises(InputError, match=r"give TorchScript \(.pt\) or ONNX"):
        FileJudge(path.rename(tmp_path / "judge.bin"))
    with pytest.raises(InputError, match="`judge_rate`"):
        FileJudge(path, 0)
