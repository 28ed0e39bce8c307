"""Generators of the user's own by a string: a function of a Python module, or a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import small_specgan
from torch import nn

from audiate.cli.own import OwnGenerator
from audiate.errors import InputError, with_flags
from audiate.models.custom import open_generator
from audiate.models.hub import find
from audiate.models.specgan import SpecGAN
from audiate.models.wrap import WrappedGenerator

SIZES: dict[str, Any] = {"latent_dim": 3, "generator_rate": 8000}

MODULE = """
import torch
from torch import nn

import audiate
import helper_of_own

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 90)

    def forward(self, z):
        return self.layer(z).tanh()

class Factory:
    network = Network()

class Protocol:
    latent_dim, sample_rate, num_samples, channels, differentiable = 2, 44_100, 8, 1, False
    def sample_latent(self, n, *, generator=None):
        return torch.zeros(n, 2)
    def __call__(self, z):
        return torch.zeros(len(z), 1, 8)

network, number, protocol = Network(), 5, Protocol()

def wrapped():
    return audiate.wrap(Network(), latent_dim=3, sample_rate=22_050)

def function():
    return lambda z: torch.tanh(z)

def training():
    return nn.Sequential(Network(), nn.Dropout(0.5))

def nothing():
    return None

def fails():
    raise RuntimeError("no weights\\nhere")

def exits():
    raise SystemExit(3)

def needs(argument):
    return Network()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with the package ``ownsounds``, whose module ``drums`` is `MODULE`."""
    (tmp_path / "ownsounds").mkdir()
    (tmp_path / "ownsounds" / "__init__.py").touch()
    (tmp_path / "ownsounds" / "drums.py").write_text(MODULE)
    (tmp_path / "ownsounds" / "broken.py").write_text("import nowhere_at_all")
    (tmp_path / "helper_of_own.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each not in ("", str(tmp_path))])
    before = [*sys.path]
    yield tmp_path
    assert sys.path == before
    for name in [
        each for each in sys.modules if each.split(".")[0] in ("ownsounds", "helper_of_own")
    ]:
        del sys.modules[name]


class TestPythonModules:
    @pytest.mark.parametrize("attribute", ["Network", "network", "Factory.network", "function"])
    def test_what_is_wrapped(self, here: Path, attribute: str) -> None:
        generator = open_generator(f"ownsounds.drums:{attribute}", prior="normal", **SIZES)
        assert isinstance(generator, WrappedGenerator)
        assert (generator.latent_dim, generator.sample_rate) == (3, 8000)
        assert generator.differentiable
        assert generator.prior == "normal"

    @pytest.mark.parametrize(
        ("attribute", "rate"), [("wrapped", 22_050), ("protocol", 44_100), ("Protocol", 44_100)]
    )
    def test_a_generator_is_taken_as_it_is(self, here: Path, attribute: str, rate: int) -> None:
        assert open_generator(f"ownsounds.drums:{attribute}").sample_rate == rate

    @pytest.mark.parametrize(
        ("source", "complaint"),
        [
            ("ownsounds.drums:Network", "say what it takes .* `latent_dim`.* and `generator_rate`"),
            ("ownsounds.flutes:make", "no module ownsounds.flutes in the current folder"),
            ("nosuchpackage.drums:make", "no module nosuchpackage in the current folder"),
            ("ownsounds.broken:make", "importing ownsounds.broken fails .*nowhere_at_all"),
            ("ownsounds.drums:", "name what the module has .* ownsounds.drums:make"),
            ("ownsounds.drums:make", "ownsounds.drums has no make; check its name"),
            ("ownsounds.drums:number", "is of type int; name a function without arguments"),
            ("ownsounds.drums:nothing", "returns the type NoneType; have it return a generator"),
            ("ownsounds.drums:fails", "fails .RuntimeError: no weights here"),
            ("ownsounds.drums:exits", "without arguments fails .SystemExit"),
            ("ownsounds.drums:needs", "without arguments fails .TypeError: .*argument"),
        ],
    )
    def test_what_is_refused(self, here: Path, source: str, complaint: str) -> None:
        with pytest.raises(InputError, match=complaint) as caught:
            open_generator(source)
        assert str(caught.value).startswith(f"{source}: ")
        assert "\n" not in str(caught.value)

    def test_training_mode(self, here: Path) -> None:
        with pytest.raises(InputError, match=r"drums:training: .*training mode.*`\.eval\(\)`"):
            open_generator("ownsounds.drums:training", **SIZES)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestFiles:
    @pytest.mark.parametrize("name", ["a.pt", "a.ts", "a.pth", "weights"])
    def test_torchscript(self, tmp_path: Path, name: str) -> None:
        module = nn.Sequential(nn.Linear(3, 90), nn.Dropout(0.5), nn.Tanh())
        torch.jit.script(module).save(str(tmp_path / name))  # type: ignore[no-untyped-call]
        generator = open_generator(str(tmp_path / name), **SIZES)
        assert (generator.num_samples, generator.differentiable) == (90, True)

    def test_onnx(self, tmp_path: Path) -> None:
        path = tmp_path / "a.onnx"
        torch.onnx.export(nn.Linear(3, 90), (torch.zeros(2, 3),), path, dynamo=False)
        generator = OwnGenerator(3, 8000).open(str(path))
        assert (generator.num_samples, generator.differentiable) == (90, False)

    def test_what_is_refused(self, tmp_path: Path) -> None:
        for name in ("x.onnx", "x.pt", "x.pth"):
            with pytest.raises(InputError, match=f"{name}: no such file"):
                open_generator(str(tmp_path / name), **SIZES)
        torch.save({"weight": torch.zeros(3)}, tmp_path / "state.pth")
        with pytest.raises(InputError, match=r"state\.pth: is no TorchScript file"):
            open_generator(str(tmp_path / "state.pth"), **SIZES)
        with pytest.raises(InputError, match=r"state\.pth: say what it takes .*generator_rate"):
            open_generator(str(tmp_path / "state.pth"), latent_dim=3)
        with pytest.raises(InputError, match=r"is a file.*`generator`, `latent_dim` and") as caught:
            find(tmp_path / "state.pth")
        assert "--generator, --latent-dim and --generator-rate" in with_flags(str(caught.value))


def test_sizes_that_a_generator_has_itself(here: Path, tmp_path: Path) -> None:
    small_specgan().save_pretrained(tmp_path / "gan")
    for source, own in (("ownsounds.drums:protocol", 2), (str(tmp_path / "gan"), 100)):
        assert open_generator(source, latent_dim=own).latent_dim == own
        with pytest.raises(InputError, match=f"`latent_dim` 7: .* has {own}; leave `latent_dim`"):
            open_generator(source, latent_dim=7)
        with pytest.raises(InputError, match=r"`generator_rate` 7: .*; leave `gener"):
            open_generator(source, generator_rate=7)


def test_our_own_models_by_folder_and_name(tmp_path: Path) -> None:
    small_specgan().save_pretrained(tmp_path / "gan")
    assert isinstance(open_generator(str(tmp_path / "gan")), SpecGAN)
    with pytest.raises(InputError, match="a LeNet does not generate sound"):
        open_generator("lenet-mnist")
    with pytest.raises(InputError, match=re.escape("nowhere: no such model")):
        open_generator("nowhere")
