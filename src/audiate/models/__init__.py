"""Networks. Each file is one model; a new file is found by itself."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from audiate.configs import DigitClassifierConfig, SpecGANConfig, WaveGANConfig
from audiate.models.drawer import Drawer
from audiate.models.flow import LatentFlow
from audiate.models.generator import AudioGAN, Generator
from audiate.models.inverse import InverseMapping
from audiate.models.latent import LatentDrawer, Posterior
from audiate.models.lenet import LeNet
from audiate.models.listener import Listener
from audiate.models.matcher import Matcher
from audiate.models.pretrained import PretrainedModel, load
from audiate.models.resnet import DigitClassifier
from audiate.models.sayer import Sayer
from audiate.models.specgan import SpecGAN
from audiate.models.storage import Provenance
from audiate.models.vae import VAE
from audiate.models.vaegan import VAEGAN
from audiate.models.wavegan import WaveGAN

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

MODELS: dict[str, type[PretrainedModel]] = PretrainedModel.known
"""Every model's class by its type, as it is stored on disk."""

__all__ = [
    "MODELS",
    "VAE",
    "VAEGAN",
    "AudioGAN",
    "DigitClassifier",
    "DigitClassifierConfig",
    "Drawer",
    "Generator",
    "InverseMapping",
    "LatentDrawer",
    "LatentFlow",
    "LeNet",
    "Listener",
    "Matcher",
    "Posterior",
    "PretrainedModel",
    "Provenance",
    "Sayer",
    "SpecGAN",
    "SpecGANConfig",
    "WaveGAN",
    "WaveGANConfig",
    "load",
]
