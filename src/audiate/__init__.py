"""Turn recorded sound into latent vectors, and those into images or sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audiate.version import __version__

if TYPE_CHECKING:
    from audiate.audio import fit_length, load_audio
    from audiate.drawing import draw_folder
    from audiate.errors import InputError
    from audiate.features import LogMel
    from audiate.images import load_image
    from audiate.imagining import imagine
    from audiate.inversion import Inversion, invert_folder, inverter
    from audiate.matching import match_folders
    from audiate.models import (
        VAE,
        DigitClassifier,
        Generator,
        InverseMapping,
        LeNet,
        SpecGAN,
        WaveGAN,
        load,
    )
    from audiate.models.wrap import wrap, wrap_onnx, wrap_torchscript
    from audiate.saying import say_folder
    from audiate.steering import directions
    from audiate.training.encoders import train_encoder

_HOME = {
    "DigitClassifier": "audiate.models",
    "Generator": "audiate.models",
    "InputError": "audiate.errors",
    "LeNet": "audiate.models",
    "LogMel": "audiate.features",
    "SpecGAN": "audiate.models",
    "VAE": "audiate.models",
    "WaveGAN": "audiate.models",
    "Inversion": "audiate.inversion",
    "InverseMapping": "audiate.models",
    "directions": "audiate.steering",
    "draw_folder": "audiate.drawing",
    "fit_length": "audiate.audio",
    "invert_folder": "audiate.inversion",
    "inverter": "audiate.inversion",
    "load": "audiate.models",
    "load_audio": "audiate.audio",
    "imagine": "audiate.imagining",
    "load_image": "audiate.images",
    "match_folders": "audiate.matching",
    "say_folder": "audiate.saying",
    "train_encoder": "audiate.training.encoders",
    "wrap": "audiate.models.wrap",
    "wrap_onnx": "audiate.models.wrap",
    "wrap_torchscript": "audiate.models.wrap",
}

__all__ = [
    "VAE",
    "DigitClassifier",
    "Generator",
    "InputError",
    "InverseMapping",
    "Inversion",
    "LeNet",
    "LogMel",
    "SpecGAN",
    "WaveGAN",
    "__version__",
    "directions",
    "draw_folder",
    "fit_length",
    "imagine",
    "invert_folder",
    "inverter",
    "load",
    "load_audio",
    "load_image",
    "match_folders",
    "say_folder",
    "train_encoder",
    "wrap",
    "wrap_onnx",
    "wrap_torchscript",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that ``import audiate`` alone stays instant."""
    if name not in _HOME:
        raise AttributeError(f"module 'audiate' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
