"""Networks. Each file is one model; `MODELS` maps the type stored on disk to its class."""

from __future__ import annotations

from audiate.models.drawer import Drawer
from audiate.models.flow import LatentFlow
from audiate.models.generator import AudioGAN, Generator
from audiate.models.inverse import InverseMapping
from audiate.models.latent import LatentDrawer, Posterior
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel, Provenance
from audiate.models.resnet import DigitClassifier, DigitClassifierConfig
from audiate.models.specgan import SpecGAN, SpecGANConfig
from audiate.models.vae import VAE
from audiate.models.vaegan import VAEGAN
from audiate.models.wavegan import WaveGAN, WaveGANConfig

MODELS: dict[str, type[PretrainedModel]] = {
    cls.model_type: cls
    for cls in (
        LeNet,
        VAE,
        VAEGAN,
        LatentFlow,
        DigitClassifier,
        WaveGAN,
        SpecGAN,
        InverseMapping,
    )
}

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
    "Posterior",
    "PretrainedModel",
    "Provenance",
    "SpecGAN",
    "SpecGANConfig",
    "WaveGAN",
    "WaveGANConfig",
]
