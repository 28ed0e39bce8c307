"""Names, folders and hub ids; and what is wrong with a bad one."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from conftest import peak_megabytes
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import load_file, save_file

import audiate
from audiate.errors import InputError
from audiate.models.hub import shipped_models
from audiate.models.lenet import LeNet
from audiate.models.storage import MAX_PARAMETERS


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return LeNet().save_pretrained(tmp_path / "lenet")


def complaint(source: str | Path, revision: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        audiate.load(source, revision=revision)
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
    assert "`resume`" in complaint(tmp_path)


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

    def snapshot_download(repo_id: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repo_id, revision, set(allow_patterns)))
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    files = {"config.json", "model.safetensors", "README.md"}
    assert isinstance(audiate.load("someone/lenet"), LeNet)
    assert isinstance(audiate.load("someone/lenet@v1.0"), LeNet)
    assert isinstance(audiate.load("someone/lenet", revision="v1.0"), LeNet)
    assert asked == [("someone/lenet", revision, files) for revision in (None, "v1.0", "v1.0")]
    assert "is no hub id; leave `revision` out" in complaint("lenet-mnist", revision="v1.0")
    assert "is no hub id" in complaint(saved, revision="v1.0")


@pytest.mark.parametrize(
    ("error", "token", "expected"),
    [
        (GatedRepoError, None, "is gated; ask for access at https://huggingface.co/someone/lenet"),
        (
            RepositoryNotFoundError,
            None,
            "is private, or there is none; log in with `hf auth login`",
        ),
        (RepositoryNotFoundError, "hf_x", "your account may not read it; check its spelling"),
        (RevisionNotFoundError, None, "has no revision v1.0; give a branch, a tag or a commit"),
    ],
)
def test_gated_private_and_mistyped_ids_are_told_apart(
    error: type[HfHubHTTPError],
    token: str | None,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def snapshot_download(*_: object, **__: object) -> str:
        response = SimpleNamespace(headers={}, request=None, status_code=401)
        raise error("401 Client Error", response=response)  # type: ignore[arg-type]

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: token)
    assert expected in complaint("someone/lenet@v1.0")


def test_a_model_is_pushed_with_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Api:
        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
            made.append((repo_id, private, exist_ok))

        def create_branch(self, repo_id: str, *, branch: str, exist_ok: bool) -> None:
            made.append((repo_id, branch, exist_ok))

        def upload_folder(self, *, repo_id: str, folder_path: str, revision: str | None) -> str:
            made.append((repo_id, revision))
            Path(folder_path).rename(tmp_path / "pushed")
            Path(folder_path).mkdir()
            return "https://huggingface.co/someone/lenet/commit/1"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    model = LeNet()
    address = model.push_to_hub("someone/lenet", private=True, revision="v1")
    assert address == "https://huggingface.co/someone/lenet/commit/1"
    assert made == [
        ("someone/lenet", True, True), ("someone/lenet", "v1", True), ("someone/lenet", "v1"),
    ]  # fmt: skip
    again = audiate.load(tmp_path / "pushed").state_dict()
    assert all(torch.equal(again[name], weight) for name, weight in model.state_dict().items())
    card = (tmp_path / "pushed" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: ")
    assert "pipeline_tag: image-classification" in card
    assert 'audiate.load("someone/lenet")' in card


def test_loading_draws_no_random_numbers(saved: Path) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    audiate.load(saved)
    assert torch.equal(torch.rand(3), expected)


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*_: object, **__: object) -> str:
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


class TestStrangers:
    """Folders that ask for more time or memory than there is."""

    def config(self, folder: Path, model_type: str, **fields: object) -> Path:
        folder.mkdir(exist_ok=True)
        config = {"model_type": model_type, "config": fields, "provenance": {}}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")
    def test_a_giant_is_refused_before_it_is_built(self, tmp_path: Path) -> None:
        folders = [
            self.config(tmp_path / model_type, model_type, dim=1024, latent_dim=100_000)
            for model_type in ("wavegan", "specgan")
        ]
        told = f"over the {MAX_PARAMETERS:,} that are loaded; take a smaller"
        begun = time.monotonic()
        assert all(told in complaint(folder) for folder in folders)
        assert time.monotonic() - begun < 10
        code = (
            "import sys, audiate; from audiate.errors import InputError\n"
            "for folder in sys.argv[1:]:\n"
            "    try: audiate.load(folder)\n"
            "    except InputError: pass"
        )
        assert peak_megabytes(code, *folders) < 1000

    @pytest.mark.parametrize(
        ("model_type", "fields"),
        [
            ("specgan", {"num_samples": 10_000_000, "n_fft": 2**20, "bands": "mel"}),
            ("specgan", {"size": 64, "num_samples": 2**22, "n_fft": 2**17, "bands": "mel"}),
            ("digit-classifier", {"num_samples": 10_000_000}),
            ("latent-encoder", {"num_samples": 2**23}),
            ("latent-encoder", {"num_samples": 2**21, "spectrogram": "real"}),
            ("vae", {"features": {"n_fft": 2**16, "window_length": 2**16, "hop_length": 1}}),
            ("wavegan", {"classes": 1, "names": ["\x1b[31mred"]}),
            ("latent-encoder", {"generator": "a\rb"}),
        ],
    )
    def test_a_config_beyond_its_limits(
        self, tmp_path: Path, model_type: str, fields: dict[str, object]
    ) -> None:
        begun = time.monotonic()
        message = complaint(self.config(tmp_path / "stranger", model_type, **fields))
        assert "does not describe a" in message
        assert message.isprintable()
        assert time.monotonic() - begun < 2

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_a_pipe_does_not_hang(self, saved: Path, name: str) -> None:
        (saved / name).unlink()
        os.mkfifo(saved / name)
        assert "no regular file" in complaint(saved)

    def test_a_type_or_recipe_that_controls_the_terminal(self, saved: Path) -> None:
        config = json.loads((saved / "config.json").read_text())
        for changed in ({"model_type": "\x1b[2J"}, {"provenance": {"recipe": "\x1b[2J"}}):
            (saved / "config.json").write_text(json.dumps({**config, **changed}))
            assert complaint(saved).isprintable()

    def test_weights_with_a_giant_header(self, saved: Path) -> None:
        (saved / "model.safetensors").write_bytes((2**26).to_bytes(8, "little") + b"{}")
        assert "its header is too long" in complaint(saved)

    def test_weights_are_copied_in_parts(
        self, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audiate.models.storage._PART", 100)
        for storage in ("float32", "int8"):
            torch.manual_seed(0)
            model = LeNet()
            model.save_pretrained(saved, storage=storage)
            for name, weight in audiate.load(saved).state_dict().items():
                bound = 1e-2 if storage == "int8" else 0.0
                torch.testing.assert_close(weight, model.state_dict()[name], atol=bound, rtol=0)
