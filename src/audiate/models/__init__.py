"""Networks. Each file is one model; `MODELS` maps the type stored on disk to its class."""

from __future__ import annotations

from audiate.models.drawer import Drawer
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel, Provenance
from audiate.models.vae import VAE, Posterior

MODELS: dict[str, type[PretrainedModel]] = {cls.model_type: cls for cls in (LeNet, VAE)}

__all__ = ["MODELS", "VAE", "Drawer", "LeNet", "Posterior", "PretrainedModel", "Provenance"]
