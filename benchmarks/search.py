"""Clips a second that the search among random latents inverts, once its pool is sampled.

``python -m benchmarks.search wavegan-digits`` for another generator, ``... wavegan-digits cuda`` on
a GPU. Clips are the generator's own; what they hold makes no difference to the time.
"""

from __future__ import annotations

import sys

import torch

from audiate.inversion.search import SearchInverter
from audiate.models.generator import AudioGAN
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from benchmarks.inversion import now

CLIPS = 128
LIMIT = 20.0


def main(name: str = "wavegan-digits", device: str = "cpu") -> None:
    """Print how long the pool takes, and how many clips a second follow."""
    generator = load(name, device=device)
    assert isinstance(generator, AudioGAN)
    classifier = load("digits-resnet18", DigitClassifier).to(device)
    z = generator.sample_latent(CLIPS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        target = torch.cat([generator(part) for part in torch.split(z, 32)])
    began = now()
    search = SearchInverter(generator, classifier=classifier)
    ready = now()
    search(target[:32])
    times = []
    for _ in range(3):
        begun = now()
        search(target)
        times.append(now() - begun)
    print(f"{name}, {device}, {torch.get_num_threads()} threads:")
    print(f"  the pool is ready after {ready - began:.1f} s (sampled once, then read)")
    print(f"  {CLIPS / min(times):.1f} clips a second (limit {LIMIT:.0f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
