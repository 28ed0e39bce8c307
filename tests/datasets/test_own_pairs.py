"""Pairs of a user's own: folders and tables of sounds and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_tone
from PIL import Image

import audiate
from audiate.cli import main
from audiate.data.pairs import list_own_pairs
from audiate.errors import InputError
from audiate.evaluation.model import evaluate_model
from audiate.models.dual_encoder import DualEncoder


def picture(path: Path, level: int, size: tuple[int, int] = (60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.zeros((size[1], size[0]), np.uint8)
    levels[10:-10, 10:-10] = level
    Image.fromarray(levels).save(path)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Two kinds: low tones of several lengths with dim pictures, high ones with bright ones."""
    for kind, hertz, level in (("low", 300, 100), ("high", 2500, 255)):
        for number in range(3):
            write_tone(
                tmp_path / "pairs" / kind / f"{number}.wav",
                hertz=hertz + 20 * number, seconds=0.2 + 0.1 * number, rate=16_000,
            )  # fmt: skip
        for number in range(5):
            picture(tmp_path / "pairs" / kind / f"{number}.png", level)
    return tmp_path / "pairs"


def test_a_folder_of_kinds(own: Path) -> None:
    pairs = list_own_pairs(own).read(sample_rate=8000, seed=0)
    assert pairs.images.shape == (10, 28, 28)
    assert pairs.images.dtype == torch.uint8
    assert [len(each) for each in pairs.recordings] == 2 * [1600, 2400, 3200]
    bright = pairs.images.flatten(1).amax(1) > 200
    high = pairs.heard < 3  # "high" comes first in the alphabet
    assert torch.equal(bright, high)
    assert len(torch.unique(pairs.heard)) > 2
    other = list_own_pairs(own).read(sample_rate=8000, seed=1)
    assert not torch.equal(other.heard, pairs.heard)


def test_other_files_have_another_digest(own: Path) -> None:
    before = list_own_pairs(own).digest
    assert list_own_pairs(own).digest == before
    picture(own / "low" / "more.png", 9)
    assert list_own_pairs(own).digest != before


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_table_of_pairs(own: Path, separator: str) -> None:
    table = own / "pairs.csv"
    rows = "image,sound\nlow/0.png,low/1.wav\nhigh/2.png,low/1.wav\nlow/0.png,high/0.wav\n"
    table.write_text(rows.replace(",", separator))
    pairs = list_own_pairs(table).read(sample_rate=8000)
    assert pairs.images.shape == (3, 28, 28)
    assert torch.equal(pairs.images[0], pairs.images[2])
    assert pairs.heard.tolist() == [0, 0, 1]
    assert [len(each) for each in pairs.recordings] == [2400, 1600]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("sound,picture\na,b\n", "give it the columns sound and image"),
        ("sound,image\nlow/0.wav,low/0.png\n", "holds 1 pairs"),
        ("sound,image\nlow/0.wav,missing.png\n", "line 2: 'missing.png' is no image file"),
        ("sound,image\n../../etc/passwd,low/0.png\n", "line 2: .* is no sound file beside"),
        ("sound,image\nlow/0.wav\n", "line 2: None is no image file"),
        (b"sound,image\n\xff\xfe,b\n", "cannot be read as a table"),
    ],
)
def test_tables_that_are_wrong(own: Path, content: str | bytes, complaint: str) -> None:
    table = own / "pairs.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=complaint):
        list_own_pairs(table)


def test_folders_that_are_wrong(own: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder or file; name with `pairs`"):
        list_own_pairs(tmp_path / "missing")
    with pytest.raises(InputError, match=r"is a file, but no \.csv"):
        list_own_pairs(picture(tmp_path / "one.png", 9))
    with pytest.raises(InputError, match="holds 0 sub-folders"):
        list_own_pairs(own / "low")
    (own / "none").mkdir()
    picture(own / "none" / "0.png", 9)
    with pytest.raises(InputError, match="none: holds no sound file"):
        list_own_pairs(own)
    write_tone(own / "none" / "0.wav", hertz=0.0)  # silence
    with pytest.raises(InputError, match=r"0\.wav: is silent"):
        list_own_pairs(own).read(sample_rate=8000)


@pytest.mark.parametrize(
    ("recipe", "flags"),
    [
        ("vae", "--epochs 1"),
        ("vaegan", "--epochs 1"),
        ("latent-flow", "--epochs 2"),
        ("match", "--epochs 1 --ears none"),
    ],
)
def test_every_recipe_of_pairs_trains_on_them(
    recipe: str,
    flags: str,
    own: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("audiate.training.recipes.paired.LEAST_STEPS", 2)
    out = tmp_path / "run"
    more = ["--batch-size", "8", "--images-per-recording", "2", "--device", "cpu"]
    command = ["train", recipe, "--pairs", str(own), "--out", str(out), *flags.split(), *more]
    assert main(command) == 0
    assert "--model" in capsys.readouterr().out  # not `audiate evaluate`, which knows digits alone
    model = audiate.load(out)
    assert model.provenance.settings["pairs"] == str(own)
    assert (out / "previews" / "0000002.png").exists()  # 2 updates are an epoch, by 10 pairs in 8s
    again = [*command[:5], str(tmp_path / "again"), *command[6:], "--init", str(out)]
    assert main([*again, "--learning-rate", "0"]) == 0
    for begun, before in zip(
        audiate.load(tmp_path / "again").parameters(), model.parameters(), strict=True
    ):
        torch.testing.assert_close(begun, before)
    if isinstance(model, DualEncoder):
        assert model.config.pictures == "whole"
        seen = model.preprocess_image(audiate.load_image(own / "low" / "0.png"))
        assert (seen > 0.3).float().mean() < 0.5  # as it is, no digit made of it
    with pytest.raises(InputError, match="was trained on pairs of your own"):
        evaluate_model(str(out), root=tmp_path)
    assert main([*command, "--held-out-speaker", "theo"]) == 2
