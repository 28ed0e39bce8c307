"""Joint models of the `multivae` package, over images and the latents of a codec of sound.

JNF adds normalising flows to a VAE in a second stage; the others are VAEs.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from audiate.errors import InputError
from benchmarks.joint_models import SOUND, Made, Make, Material, Voice, passing, set_rate

LATENT = 32
OWN = 16  # latents of one side alone, where a model has such
WIDTH = 512
EPOCHS = 20  # into which the time is divided for the package, which anneals and changes stages
FLATTENED = 64 * 7 * 7
SCALE = 0.5  # standard deviation of the sound decoder's normal distribution


class Encoder(nn.Module):
    """The encoder of one side: a mean and a logarithm of variance."""

    def __init__(self, side: str, own: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.style_dim = LATENT, own
        if side == "image":
            self.body = nn.Sequential(
                *(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU()),
                *(nn.Flatten(), nn.Linear(FLATTENED, WIDTH), nn.ReLU()),
            )
        else:
            self.body = nn.Sequential(
                *(nn.Linear(SOUND, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()),
                *(nn.Linear(WIDTH, WIDTH), nn.ReLU()),
            )
        self.heads = nn.ModuleList(nn.Linear(WIDTH, n) for n in (LATENT, LATENT, own, own) if n)

    def forward(self, x: Tensor) -> Any:
        from multivae.models.base import ModelOutput

        hidden = self.body(x)
        names = "embedding", "log_covariance", "style_embedding", "style_log_covariance"
        found = zip(names, self.heads, strict=False)
        return ModelOutput(**{name: head(hidden) for name, head in found})


class Decoder(nn.Module):
    """The decoder of one side: logits of pixels, or scaled latents of the codec."""

    def __init__(self, side: str, own: int = 0) -> None:
        super().__init__()
        self.latent_dim = LATENT + own
        first = nn.Linear(self.latent_dim, WIDTH), nn.ReLU()
        if side == "image":
            self.body = nn.Sequential(
                *(*first, nn.Linear(WIDTH, FLATTENED), nn.ReLU(), nn.Unflatten(1, (64, 7, 7))),
                *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU()),
                nn.ConvTranspose2d(32, 1, 4, 2, 1),
            )
        else:
            self.body = nn.Sequential(
                *(*first, nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()),
                nn.Linear(WIDTH, SOUND),
            )

    def forward(self, z: Tensor) -> Any:
        from multivae.models.base import ModelOutput

        found = self.body(z.flatten(0, -2))
        return ModelOutput(reconstruction=found.view(*z.shape[:-1], *found.shape[1:]))


def build(name: str) -> Any:
    """One of the package's models, with encoders and decoders of its own for both sides.

    Raises:
        InputError: The package is not installed.

    """
    try:
        from multivae import models
        from pythae.models.nn import BaseDecoder, BaseEncoder
    except ImportError as error:
        raise InputError(
            f"{name} needs the package multivae ({error}); in an environment of its own, pip "
            f"install multivae, or leave it out with --only"
        ) from error
    # The package takes none but heirs of these two, which are not there without it.
    encoder: Any = type("SideEncoder", (Encoder, BaseEncoder), {})
    decoder: Any = type("SideDecoder", (Decoder, BaseDecoder), {})
    # Grey levels are no outcomes of a Bernoulli distribution; their cross-entropy is usual here.
    torch.distributions.Distribution.set_default_validate_args(False)
    own = OWN if name == "MMVAEPlus" else 0
    settings: dict[str, Any] = {
        "n_modalities": 2,
        "latent_dim": LATENT,
        "input_dims": {"image": (1, 28, 28), "sound": (SOUND,)},
        "decoders_dist": {"image": "bernoulli", "sound": "normal"},
        "decoder_dist_params": {"sound": {"scale": SCALE}},
    }
    if name in ("MMVAE", "MMVAEPlus"):
        settings |= {"K": 1, "prior_and_posterior_dist": "laplace_with_softmax"}
    if name in ("MVAE", "JNF"):
        settings["warmup"] = EPOCHS // 2  # of its annealing, or of its first stage
    if own:
        settings["modalities_specific_dim"] = own
    return getattr(models, name)(
        getattr(models, f"{name}Config")(**settings),
        encoders={side: encoder(side, own) for side in ("image", "sound")},
        decoders={side: decoder(side, own) for side in ("image", "sound")},
    )


def of_package(name: str) -> Make:
    """Make the function that trains one of the package's models, and samples."""

    def make(train: Material, test: Material, voice: Voice, minutes: float) -> Made:
        from multivae.data.datasets.base import MultimodalBaseDataset

        torch.manual_seed(0)
        model, batches = build(name).train(), train.batches()
        begun, stages = time.process_time(), 2 if name == "JNF" else 1
        for stage in range(stages):
            optimizer = torch.optim.Adam(model.parameters())
            for share in passing(minutes / stages):
                set_rate(optimizer, share, 1e-3)
                images, sounds = next(batches)
                batch = MultimodalBaseDataset({"image": images.unsqueeze(1), "sound": sounds})
                epoch, part = divmod(EPOCHS * (stage + share) / stages, 1)
                loss = model(batch, epoch=1 + int(epoch), batch_ratio=part).loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        used, count = time.process_time() - begun, len(test.pairs.heard)
        with torch.inference_mode():
            model.eval()
            both = MultimodalBaseDataset({"image": test.images.unsqueeze(1), "sound": test.sounds})
            joint = model.decode(model.generate_from_prior(count), modalities="all")
            drawn = model.predict(both, cond_mod="sound", gen_mod="image")["image"]
            said = model.predict(both, cond_mod="image", gen_mod="sound")["sound"]
        return Made(
            joint["image"].view(count, 28, 28).sigmoid(),
            voice.decode(joint["sound"].view(count, SOUND)),
            drawn.view(count, 28, 28).sigmoid(),
            voice.decode(said.view(count, SOUND)),
            used / 60,
        )

    return make
