"""Images and sounds as a notebook displays them."""

from __future__ import annotations

import io
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

import audiate
from audiate.errors import InputError
from audiate.folders.match import Matches
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.generator import Generator
from audiate.utils.notebook import Display
from audiate.utils.reports import Report, render


def contents(display: Display) -> list[bytes]:
    """What stands in the HTML, decoded."""
    parts = display._repr_html_().split("base64,")[1:]
    return [b64decode(part.split('"')[0]) for part in parts]


def test_images_stand_in_rows() -> None:
    images = torch.linspace(0, 1, 3).view(3, 1, 1).expand(3, 28, 20)
    shown = audiate.show(images, columns=2)
    assert repr(shown) == "3 images 28x20"
    picture = np.asarray(Image.open(io.BytesIO(contents(shown)[0])))
    assert picture.shape == (56, 40)
    assert [picture[0, 0], picture[0, 20], picture[28, 0], picture[28, 20]] == [0, 128, 255, 0]


def test_images_in_colour() -> None:
    images = torch.rand(2, 3, 28, 20)
    shown = audiate.show(images, colour=True)
    assert repr(shown) == "2 images 28x20"
    picture = np.asarray(Image.open(io.BytesIO(contents(shown)[0])))
    assert picture.shape == (28, 40, 3)
    np.testing.assert_allclose(picture[:, 20:] / 255, images[1].permute(1, 2, 0), atol=1 / 255)
    with pytest.raises(InputError, match="in colour, give"):
        audiate.show(images[:, 0], colour=True)


@pytest.mark.parametrize(("shape", "sounds"), [((800,), 1), ((2, 800), 1), ((3, 2, 800), 3)])
def test_sounds_are_played_as_they_are(shape: tuple[int, ...], sounds: int) -> None:
    waveforms = torch.rand(shape) * 2 - 1
    played = audiate.play(waveforms, 8000)
    assert repr(played).endswith("of 0.10 s")
    files = contents(played)
    assert len(files) == sounds
    for file, expected in zip(files, waveforms.reshape(sounds, -1, 800), strict=True):
        samples, rate = soundfile.read(io.BytesIO(file), always_2d=True)
        assert rate == 8000
        np.testing.assert_allclose(samples.T, expected, atol=1e-4)


def test_latents_are_rows_of_grey() -> None:
    shown = audiate.show(torch.tensor([[-2.0, 0.0, 2.0], [1.0, 0.0, 0.0]]))
    assert repr(shown) == "2 latents of 3"
    picture = np.asarray(Image.open(io.BytesIO(contents(shown)[0])))
    assert picture.tolist() == [[0, 128, 255], [191, 128, 128]]


def test_what_models_give_is_played_by_others(tmp_path: Path) -> None:
    """As `IPython.display.Audio` takes it: without a gradient, unless one is asked for."""
    generator = audiate.load("speech-digits", Generator)
    z = generator.sample_latent(1)
    waveforms = generator(z)
    assert np.array(waveforms[0].numpy(), dtype=float).shape == (1, generator.num_samples)
    assert generator(z.requires_grad_(True)).requires_grad
    audiate.save_wav(f"{tmp_path}/said.wav", waveforms[0], generator.sample_rate)
    stereo, rate = audiate.load_audio(f"{tmp_path}/said.wav", channels=2)
    assert rate == generator.sample_rate
    assert stereo.shape == (2, generator.num_samples)


def test_bad_shapes_are_told() -> None:
    for bad in (torch.zeros(3), torch.zeros(0, 28, 28)):
        with pytest.raises(InputError, match="give a tensor"):
            audiate.show(bad)
    with pytest.raises(InputError, match="give a tensor"):
        audiate.play(torch.zeros(1, 1, 1, 8), 8000)
    with pytest.raises(InputError, match="sample_rate 0"):
        audiate.play(torch.zeros(8), 0)


def test_models_and_inversions_show_themselves_on_one_line() -> None:
    found = audiate.Inversion(
        torch.zeros(2, 5), torch.zeros(2, 1, 8), torch.tensor([0.25, 0.75]), torch.ones(2)
    )
    assert repr(found) == "Inversion of 2 clips: latent 5, mean loss 0.5"
    assert repr(audiate.wrap(torch.nn.Linear(3, 90), latent_dim=3, sample_rate=8000)) == (
        "WrappedGenerator: latent 3 → 90 samples at 8,000 Hz"
    )
    matches = Matches(["a"], ["b"] * 99, torch.zeros(1, 99), torch.zeros(1, 99))
    assert repr(matches) == "Matches of 1 sound and 99 pictures"
    flow = audiate.load("flow-digits")
    assert repr(flow) == "LatentFlow: 6.1 M parameters, log-mel 48x48 → image 28x28"


def test_a_report_is_one_line() -> None:
    @dataclass(frozen=True)
    class Table(Report):
        name: str
        share: float
        scores: list[float]

        def parts(self) -> list[str]:
            return []

    assert repr(Table("x", 0.5, [0.1] * 999)) == "Table(name='x', share=0.5)"


def test_reports_are_text_in_a_notebook_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert render("12 [clips]") == "12 [clips]"


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="images of str: give a tensor"):
        audiate.show("picture.png")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"audiate\.play plays sounds"):
        audiate.show(torch.zeros(2, 1, 16_384))


def test_a_name_in_place_of_a_waveform_or_of_a_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"'seven\.wav': give a tensor; audiate\.load_audio"):
        AudioToImageModel.from_pretrained("flow-digits").draw("seven.wav", sample_rate=16_000)  # type: ignore[arg-type]
    for nothing in (None, ""):
        with pytest.raises(InputError, match="no model is named"):
            audiate.load(nothing)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="int: is no model of ours; give a shipped name such as"):
        audiate.load(3)  # type: ignore[call-overload]


def test_what_is_no_clip_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    for clip in (torch.zeros(2, 1, 100), "clip", torch.tensor(0.0)):
        with pytest.raises(InputError, match=r"waveform, .*: give a tensor \(samples,\)"):
            audiate.save_wav(path, clip, 8000)  # type: ignore[arg-type]
    for clip in (torch.zeros(1, 0), torch.tensor([0.0, torch.nan]), torch.ones(9).short()):
        with pytest.raises(InputError, match="give floats"):
            audiate.save_wav(path, clip, 8000)
    with pytest.raises(InputError, match="`sample_rate`"):
        audiate.save_wav(path, torch.zeros(100), -5)
    assert not path.exists()
