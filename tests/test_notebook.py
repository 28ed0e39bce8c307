"""Images and sounds as a notebook displays them."""

from __future__ import annotations

import io
from base64 import b64decode

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

import audiate
from audiate.errors import InputError
from audiate.models.audio_to_image import AudioToImageModel
from audiate.utils.notebook import Display
from audiate.utils.reports import render


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
    flow = audiate.load("flow-digits")
    assert repr(flow) == "LatentFlow: 6.1 M parameters, log-mel 48x48 → image 28x28"


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
