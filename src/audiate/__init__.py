"""Turn recorded sound into latent vectors, and those into images or sound."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from audiate.version import __version__

os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")  # see `audiate.utils.devices`

if TYPE_CHECKING:
    from audiate.audio.files import fit_length, load_audio, save_wav
    from audiate.audio.log_mel import LogMel
    from audiate.data.images import load_image
    from audiate.errors import InputError
    from audiate.folders.draw import draw_folder
    from audiate.folders.generate import generate_folder
    from audiate.folders.imagine import imagine
    from audiate.folders.invert import invert_folder
    from audiate.folders.match import match_folders
    from audiate.folders.say import say_folder
    from audiate.inversion.build import inverter
    from audiate.inversion.inverter import Inversion
    from audiate.models.generator import Generator
    from audiate.models.latent_encoder import LatentEncoder
    from audiate.models.lenet import LeNet
    from audiate.models.pretrained import load
    from audiate.models.resnet import DigitClassifier
    from audiate.models.specgan import SpecGAN
    from audiate.models.vae import VAE
    from audiate.models.wavegan import WaveGAN
    from audiate.models.wrap import wrap, wrap_onnx, wrap_torchscript
    from audiate.phonetics.directions import directions
    from audiate.training.tasks.latent_encoder_task import train_encoder
    from audiate.utils.notebook import play, show

_HOME = {
    "DigitClassifier": "audiate.models.resnet",
    "Generator": "audiate.models.generator",
    "InputError": "audiate.errors",
    "LeNet": "audiate.models.lenet",
    "LogMel": "audiate.audio.log_mel",
    "SpecGAN": "audiate.models.specgan",
    "VAE": "audiate.models.vae",
    "WaveGAN": "audiate.models.wavegan",
    "Inversion": "audiate.inversion.inverter",
    "LatentEncoder": "audiate.models.latent_encoder",
    "directions": "audiate.phonetics.directions",
    "draw_folder": "audiate.folders.draw",
    "fit_length": "audiate.audio.files",
    "generate_folder": "audiate.folders.generate",
    "invert_folder": "audiate.folders.invert",
    "inverter": "audiate.inversion.build",
    "load": "audiate.models.pretrained",
    "load_audio": "audiate.audio.files",
    "imagine": "audiate.folders.imagine",
    "load_image": "audiate.data.images",
    "match_folders": "audiate.folders.match",
    "play": "audiate.utils.notebook",
    "save_wav": "audiate.audio.files",
    "say_folder": "audiate.folders.say",
    "show": "audiate.utils.notebook",
    "train_encoder": "audiate.training.tasks.latent_encoder_task",
    "wrap": "audiate.models.wrap",
    "wrap_onnx": "audiate.models.wrap",
    "wrap_torchscript": "audiate.models.wrap",
}

__all__ = [
    "VAE",
    "DigitClassifier",
    "Generator",
    "InputError",
    "Inversion",
    "LatentEncoder",
    "LeNet",
    "LogMel",
    "SpecGAN",
    "WaveGAN",
    "__version__",
    "directions",
    "draw_folder",
    "fit_length",
    "generate_folder",
    "imagine",
    "invert_folder",
    "inverter",
    "load",
    "load_audio",
    "load_image",
    "match_folders",
    "play",
    "save_wav",
    "say_folder",
    "show",
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
