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
from audiate.data.images import picture_form, shrink
from audiate.data.pairs import list_own_pairs
from audiate.errors import InputError
from audiate.evaluation.model import evaluate_model
from audiate.export.graphs import graph_of
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.configs import LatentFlowConfig, VAEConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.latent_flow import LatentFlow
from audiate.models.vae import VAE
from audiate.utils.serialization import from_plain


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


def test_every_sound_of_a_kind_is_heard(own: Path) -> None:
    for path in own.glob("*/[2-9].png"):
        path.unlink()
    pairs = list_own_pairs(own).read(sample_rate=8000)
    assert sorted(pairs.heard.tolist()) == list(range(6))  # 3 sounds of each kind, 2 pictures
    bright = pairs.images.flatten(1).amax(1) > 200
    assert torch.equal(bright, pairs.heard < 3)


def colour(own: Path) -> Path:
    """The pairs with pictures in colour: those of low tones are red, those of high ones blue."""
    for path in own.glob("*/*.png"):
        ink = (255, 0, 0) if path.parent.name == "low" else (0, 0, 255)
        Image.new("RGB", (40, 36), ink).save(path)
    return own


@pytest.mark.parametrize(
    ("recipe", "flags"), [("vae", "--epochs 1"), ("latent-flow", "--epochs 2")]
)
def test_images_have_the_size_and_the_colours_of_the_pictures(
    recipe: str,
    flags: str,
    own: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("audiate.training.recipes.paired.LEAST_STEPS", 25)
    out, drawn = tmp_path / "run", tmp_path / "drawn"
    command = [*f"train {recipe} --pairs {colour(own)} --out {out} {flags}".split()]
    more = ["--batch-size", "8", "--images-per-recording", "2", "--device", "cpu"]
    assert main([*command, *more]) == 0
    told = capsys.readouterr().err
    assert "images of 40x40 in colour, as suits its pictures; --image-size and" in told
    model = audiate.load(out, AudioToImageModel)
    assert repr(model).endswith("log-mel 48x48 → image 40x40 in colour")
    waveform, rate = audiate.load_audio(own / "low" / "1.wav")
    assert model.draw(waveform, sample_rate=rate, samples=2).shape == (2, 3, 40, 40)
    with Image.open(out / "previews" / "0000025.png") as preview:
        assert (preview.mode, preview.height % 40) == ("RGB", 0)
    assert main(["draw", str(own), "--model", str(out), "--samples", "2", "--out", str(drawn)]) == 0
    with Image.open(drawn / "low" / "1.png") as picture, Image.open(drawn / "sheet.png") as sheet:
        assert (picture.mode, picture.size, sheet.mode) == ("RGB", (80, 40), "RGB")
    graph = graph_of(model)
    assert graph.module(*graph.inputs.values())[0].shape == (3, 3, 40, 40)
    if recipe == "vae":  # a flow takes longer to learn
        red, _, blue = np.moveaxis(np.asarray(Image.open(drawn / "low" / "1.png"), float), -1, 0)
        assert red.mean() > blue.mean() + 60
    else:
        with pytest.raises(InputError, match="`drawer`: draws images of another form"):
            audiate.imagine(1, drawer=model)


@pytest.mark.parametrize("size", range(28, 65, 4))
def test_networks_of_every_size(size: int) -> None:
    for channels, shape in ((1, (size, size)), (3, (3, size, size))):
        sizes = {"image_size": size, "image_channels": channels}
        with torch.device("meta"):  # shapes alone
            vae = VAE(from_plain(VAEConfig, sizes))
            assert vae.decode_logits(torch.rand(2, vae.latent_dim)).shape == (2, *shape)
            flow = LatentFlow(from_plain(LatentFlowConfig, sizes))
            assert flow.decode_logits(torch.rand(2, flow.latent_dim)).shape == (2, *shape)
            assert flow.encode_images(torch.rand(2, *shape)).mu.shape == (2, flow.latent_dim)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("--image-size 30", "--image-size 30: give a multiple of 4"),
        ("--image-size 68", "--image-size 68"),
        ("--image-channels 2", "--image-channels 2: give 1 for grey, or 3 for colour"),
        ("--image-size 32 --pairs=", "written digits are grey images of 28x28"),
    ],
)
def test_images_that_no_model_draws(
    flags: str, complaint: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [] if "--pairs=" in flags else ["--pairs", str(own)]
    assert main(["train", "vae", *pairs, *flags.replace("--pairs=", "").split()]) == 2
    assert complaint in capsys.readouterr().err


def test_pictures_keep_their_colours(tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    half = np.zeros((8, 16, 4), np.uint8)
    half[:, :8] = (255, 128, 0, 255)  # the other half is transparent
    Image.fromarray(half).save(path)
    image = shrink(audiate.load_image(path, colour=True), (3, 32, 32))
    assert image.shape == (3, 32, 32)
    torch.testing.assert_close(image[:, 16, 5], torch.tensor([1, 128 / 255, 0]))
    torch.testing.assert_close(image[:, 16, 27], torch.ones(3))
    assert picture_form(path) == (16, 8, True)
    grey = shrink(np.full((4, 4), 0.25, np.float32), (3, 28, 28))
    torch.testing.assert_close(grey, torch.full((3, 28, 28), 0.25))


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
        ("sound,image\nlow/0.wav,low/0.png\n", "holds 1 pair; give"),
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


def test_pictures_that_are_all_alike_do_not_end_a_training(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiate.training.recipes.paired.LEAST_STEPS", 2)
    for path in own.glob("*/*.png"):
        picture(path, 5)
    flags = ["--epochs", "2", "--batch-size", "8", "--images-per-recording", "2", "--device", "cpu"]
    command = ["train", "latent-flow", "--pairs", str(own), "--out", str(tmp_path / "run")]
    assert main([*command, *flags]) == 0
