"""Names, folders and hub ids; and what is wrong with a bad one."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

import audiate
from audiate.errors import InputError
from audiate.hub import shipped_models
from audiate.models import LeNet


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return LeNet().save_pretrained(tmp_path / "lenet")


def complaint(source: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        audiate.load(source)
    message = str(caught.value)
    assert "\n" not in message
    assert str(source) in message
    return message


def test_a_runs_folder_is_its_models(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    saved.rename(tmp_path / "run" / "model")
    assert isinstance(audiate.load(tmp_path / "run"), LeNet)


def test_an_unknown_name_lists_the_known() -> None:
    message = complaint("no-such-model")
    assert "no such model" in message
    for name in shipped_models():
        assert name in message


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "no config.json" in complaint(tmp_path)
    (tmp_path / "settings.json").touch()
    assert "this training is not finished" in complaint(tmp_path)
    assert "--resume" in complaint(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"model_type": "lenet"}',
        "\x00",
        "[" * 100_000,
        '{"model_type": ["lenet"], "config": {}, "provenance": {}}',
    ],
)
def test_a_config_that_is_none(saved: Path, text: str) -> None:
    (saved / "config.json").write_text(text)
    assert "not a model configuration" in complaint(saved)


def test_a_type_from_the_future(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "model_type": "diffusion-9"}))
    assert "unknown model type 'diffusion-9'" in complaint(saved)


def test_a_config_with_foreign_fields(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "config": {"depth": 3}}))
    assert "does not describe a LeNet" in complaint(saved)


@pytest.mark.parametrize(
    "features",
    [
        3, None, {"n_fft": "512"}, {"n_fft": 10**9}, {"n_fft": -1}, {"frames": 12}, {"n_mels": 13},
        {"hop_length": 0}, {"window_length": 4096}, {"sample_rate": 0}, {"f_min": float("nan")},
        {"f_max": 1e9}, {"depth": 3}, {"margin": True},
    ],
)  # fmt: skip
def test_a_front_end_out_of_range(tmp_path: Path, features: object) -> None:
    config = {"model_type": "vae", "config": {"features": features}, "provenance": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "does not describe a VAE" in complaint(tmp_path)


@pytest.mark.parametrize("damage", ["no scale", "short scale", "integers"])
def test_eight_bits_without_their_scale(saved: Path, damage: str) -> None:
    LeNet().save_pretrained(saved, storage="int8")
    path = saved / "model.safetensors"
    weights = load_file(path)
    name = "classifier.0.weight"
    if damage == "no scale":
        del weights[name + "/scale"]
    elif damage == "short scale":
        weights[name + "/scale"] = weights[name + "/scale"][:-1].clone()
    else:
        weights[name] = weights[name].long()
    save_file(weights, path)
    assert f"of another shape or type, such as '{name}'" in complaint(saved)


def test_weights_missing(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    assert "no such weights file" in complaint(saved)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "header"])
def test_weights_damaged(saved: Path, damage: str) -> None:
    path = saved / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "empty": b"",
            "text": b"these are not weights at all",
            "header": b"\xff" * 8 + content[8:],
        }[damage]
    )
    assert "damaged" in complaint(saved)


def test_weights_of_another_network(saved: Path) -> None:
    path = saved / "model.safetensors"
    weights = load_file(path)
    weights["classifier.0.weight"] = torch.zeros(2, 2)
    weights["stranger"] = weights.pop("classifier.2.bias")
    save_file(weights, path)
    message = complaint(saved)
    for part in ("unknown, such as 'stranger'", "missing", "of another shape"):
        assert part in message


def test_weights_with_nan(saved: Path) -> None:
    path = saved / "model.safetensors"
    weights = load_file(path)
    weights["classifier.2.bias"][3] = torch.nan
    save_file(weights, path)
    assert "NaN" in complaint(saved)


def test_pickles_are_never_opened(saved: Path) -> None:
    torch.save(LeNet().state_dict(), saved / "pytorch_model.bin")
    (saved / "model.safetensors").unlink()
    assert "no such weights file" in complaint(saved)


def test_a_hub_id_is_downloaded(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot_download(repo_id: str, allow_patterns: list[str]) -> str:
        asked.append((repo_id, set(allow_patterns)))
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert isinstance(audiate.load("someone/lenet"), LeNet)
    assert asked == [("someone/lenet", {"config.json", "model.safetensors", "README.md"})]


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(repo_id: str, allow_patterns: list[str]) -> str:
        raise OSError("no route to host\nand a long story")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert "no route to host" in complaint("someone/lenet")


def test_a_folder_that_is_not_there_is_no_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert "no such model" in complaint("runs/mistyped")


def test_a_storage_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="storage 'int4': give one of float32"):
        LeNet().save_pretrained(tmp_path, storage="int4")  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot save the model there"):
        LeNet().save_pretrained(tmp_path / "file" / "model")
