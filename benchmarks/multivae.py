"""Five joint models of the `multivae` package on our pairs, beside our models: coherence, variety.

``python -m benchmarks.multivae [MINUTES] [COUNT]`` trains each of MVAE, MMVAE, MoPoE, MVTCAE and
MMVAE+ for so many minutes of processor time (3 by default) on the train pairs of split 0, as
spectrograms of 48x48 and images of 28x28, and scores COUNT samples of each, and of ours. It needs
``pip install multivae``, which wants an environment of its own.

The conditions are not alike: ours were trained for about three hours, the generator among them, and
a network of ours judges sounds. Coherence is judged in one way for all: LeNet-5 reads images, and a
sound is heard by the latent flow's condition network, whose drawing LeNet-5 reads. Ours say
waveforms, which are heard as recordings are.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from audiate.data.pairs import PairedDigits, load_pairs
from audiate.data.sources import data_root
from audiate.errors import InputError
from audiate.evaluation.said_images import say_each
from audiate.folders.imagine import imagine
from audiate.metrics.distribution import frechet_distance, neighbourhoods
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.hub import WRITTEN_CLASSIFIER
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load
from audiate.utils.reports import make_table, render

LATENT = 32
OWN = 16  # of MMVAE+'s latents of one side alone
BATCH = 128
NAMES = ("MVAE", "MMVAE", "MoPoE", "MVTCAE", "MMVAEPlus")


@dataclass(frozen=True)
class Samples:
    """What a model makes: of nothing, of sounds and of images, in the order of the test pairs."""

    joint_images: Tensor
    joint_sounds: Tensor
    images_of_sounds: Tensor
    sounds_of_images: Tensor


class Encoder(nn.Module):
    """The encoder of one side: three convolutions, and a mean and a logarithm of variance."""

    def __init__(self, size: int, *, own: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.style_dim = LATENT, own
        flat = 64 * (size // 4) ** 2
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(flat, 256), nn.ReLU()),
        )
        self.heads = nn.ModuleList(nn.Linear(256, n) for n in (LATENT, LATENT, own, own) if n)

    def forward(self, x: Tensor) -> Any:
        from multivae.models.base import ModelOutput

        found = [head(self.body(x)) for head in self.heads]
        if len(found) == 2:
            return ModelOutput(embedding=found[0], log_covariance=found[1])
        return ModelOutput(
            embedding=found[0],
            log_covariance=found[1],
            style_embedding=found[2],
            style_log_covariance=found[3],
        )


class Decoder(nn.Module):
    """The decoder of one side: two transposed convolutions, to levels in [0, 1] or to logits."""

    def __init__(self, size: int, *, own: int = 0, logits: bool = False) -> None:
        super().__init__()
        self.latent_dim = LATENT + own
        small = size // 4
        self.body = nn.Sequential(
            *(nn.Linear(self.latent_dim, 256), nn.ReLU(), nn.Linear(256, 64 * small**2), nn.ReLU()),
            nn.Unflatten(1, (64, small, small)),
            *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1)),
            nn.Identity() if logits else nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Any:
        from multivae.models.base import ModelOutput

        found = self.body(z.flatten(0, -2))
        return ModelOutput(reconstruction=found.view(*z.shape[:-1], *found.shape[1:]))


def build(name: str) -> Any:
    """One of the package's models, with encoders and decoders of its own for both sides."""
    from multivae import models
    from pythae.models.nn import BaseDecoder, BaseEncoder

    # The package takes none but heirs of these two, which are not there without it.
    encoder: Any = type("SideEncoder", (Encoder, BaseEncoder), {})
    decoder: Any = type("SideDecoder", (Decoder, BaseDecoder), {})
    own = OWN if name == "MMVAEPlus" else 0
    sides = {"image": 28, "sound": 48}
    settings: dict[str, Any] = {
        "n_modalities": 2,
        "latent_dim": LATENT,
        "input_dims": {side: (1, size, size) for side, size in sides.items()},
        "decoders_dist": {"image": "bernoulli", "sound": "laplace"},
        "decoder_dist_params": {"sound": {"scale": 0.1}},
    }
    if name == "MMVAE":
        settings |= {"K": 1, "prior_and_posterior_dist": "laplace_with_softmax"}
    if name == "MMVAEPlus":
        settings |= {"K": 1, "modalities_specific_dim": own}
    config = getattr(models, f"{name}Config")(**settings)
    return getattr(models, name)(
        config,
        encoders={side: encoder(size, own=own) for side, size in sides.items()},
        decoders={  # the package's Bernoulli takes logits
            side: decoder(size, own=own, logits=side == "image") for side, size in sides.items()
        },
    )


def train(model: Any, pairs: PairedDigits, spectrograms: Tensor, minutes: float) -> int:
    """Train for so many minutes of processor time, and return the number of steps."""
    from multivae.data.datasets.base import MultimodalBaseDataset

    model.train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    random = torch.Generator().manual_seed(0)
    begun, step = time.process_time(), 0
    while time.process_time() - begun < 60 * minutes:
        index = torch.randint(len(pairs.train.images), (BATCH,), generator=random)
        batch = MultimodalBaseDataset(
            {
                "image": pairs.train.images[index].float().unsqueeze(1) / 255,
                "sound": spectrograms[pairs.train.heard[index]].unsqueeze(1),
            }
        )
        loss = model(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
    return step


@torch.inference_mode()
def samples_of(model: Any, images: Tensor, sounds: Tensor) -> Samples:
    """What one of the package's models makes of the test pairs."""
    from multivae.data.datasets.base import MultimodalBaseDataset

    model.eval()
    both = MultimodalBaseDataset({"image": images.unsqueeze(1), "sound": sounds.unsqueeze(1)})
    joint = model.decode(model.generate_from_prior(len(images)), modalities="all")

    def across(given: str, wanted: str) -> Tensor:
        found = model.predict(both, cond_mod=given, gen_mod=wanted)[wanted]
        return found.reshape(len(images), *found.shape[-2:])  # type: ignore[no-any-return]

    return Samples(
        joint["image"].reshape(-1, 28, 28).sigmoid(),
        joint["sound"].reshape(-1, 48, 48),
        across("sound", "image").sigmoid(),
        across("image", "sound"),
    )


@torch.inference_mode()
def ours(drawer: AudioToImageModel, images: Tensor, sounds: Tensor) -> Samples:
    """What our models make of the test pairs."""
    sayer = load("say-digits", ImageToAudioModel)
    rate = sayer.sample_rate

    def hear(waveforms: Tensor) -> Tensor:
        heard = torch.zeros(len(waveforms), 48, 48)
        for row, waveform in enumerate(waveforms):
            try:
                heard[row] = drawer.preprocess(waveform, sample_rate=rate)
            except InputError:  # silent
                continue
        return heard

    pairs = imagine(len(images), seed=0, drawer=drawer, sayer=sayer)
    random = torch.Generator().manual_seed(0)
    return Samples(
        pairs.images,
        hear(pairs.waveforms),
        drawer.sample_images(sounds, 1, generator=random)[:, 0],
        hear(say_each(sayer, images, 0)),
    )


@torch.inference_mode()
def scores(
    made: Samples,
    drawer: AudioToImageModel,
    reader: LeNet,
    real: tuple[Tensor, Tensor],
    labels: Tensor,
) -> list[float]:
    """Coherence (%): joint, sound → image, image → sound; distance and coverage of each side."""

    def read(images: Tensor) -> Tensor:
        return reader(images).argmax(1)  # type: ignore[no-any-return]

    def hear(sounds: Tensor) -> Tensor:
        return read(drawer.mean_images(sounds.clamp(0, 1)))

    def share(right: Tensor) -> float:
        return 100 * right.double().mean().item()

    images, sounds = real
    image_features: Callable[[Tensor], Tensor] = reader.embed
    found = [
        share(read(made.joint_images) == hear(made.joint_sounds)),
        share(read(made.images_of_sounds) == labels),
        share(hear(made.sounds_of_images) == labels),
    ]
    for features, own, others in (
        (image_features, images, made.joint_images),
        (drawer.latents, sounds, made.joint_sounds.clamp(0, 1)),
    ):
        one, other = features(own), features(others)
        found += [frechet_distance(one, other), neighbourhoods(one, other).coverage]
    return found


def main(minutes: float = 3.0, count: int = 500) -> None:
    drawer, reader = load("flow-digits", AudioToImageModel), load(WRITTEN_CLASSIFIER, LeNet)
    # Grey levels are no outcomes of a Bernoulli distribution; their cross-entropy is usual here.
    torch.distributions.Distribution.set_default_validate_args(False)
    torch.manual_seed(0)
    pairs = load_pairs(data_root(None), sample_rate=8000, seed=0)
    with torch.inference_mode():
        spectrograms = drawer.features.many(pairs.train.recordings).clone()
        heard = drawer.features.many(pairs.test.recordings)
    images = pairs.test.images[:count].float() / 255
    sounds = heard[pairs.test.heard[:count]]
    labels = pairs.test_labels[:count]
    table = make_table(
        f"{count} test pairs of split 0; {minutes:g} minutes of processor time each",
        *("model", "steps", "joint %", "sound → image %", "image → sound %"),
        *("images: Fréchet", "coverage", "sounds: Fréchet", "coverage"),
    )
    rows: list[tuple[str, str, Samples]] = []
    for name in NAMES:
        torch.manual_seed(0)
        model = build(name)
        steps = train(model, pairs, spectrograms, minutes)
        rows.append((name, f"{steps:,}", samples_of(model, images, sounds)))
        print(f"{name}: {steps} steps", file=sys.stderr)
    rows.append(("audiate", "shipped", ours(drawer, images, sounds)))
    for name, steps_, made in rows:
        found = scores(made, drawer, reader, (images, sounds), labels)
        digits = (1, 1, 1, 1, 3, 1, 3)
        cells = (f"{value:.{places}f}" for value, places in zip(found, digits, strict=True))
        table.add_row(name, steps_, *cells)
    print(render(table))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*(kind(each) for kind, each in zip((float, int), given, strict=False)))
