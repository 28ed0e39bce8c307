"""Inversion: our batched L-BFGS against SciPy's, one clip after the other; and the encoder.

``python -m benchmarks.inversion wavegan-digits cuda`` for another generator, on a GPU.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from audiate import load
from audiate.errors import InputError
from audiate.inversion import (
    EncoderInverter,
    GradientInverter,
    Inversion,
    Inverter,
    find_encoder,
    plain_objective,
)
from audiate.models import AudioGAN

CLIPS = 64
ITERATIONS = 30  # of SciPy's; ours are to reach the same mean loss
MOST = 400


def timed(invert: Callable[[], Inversion]) -> tuple[float, Inversion]:
    """Seconds that it takes, and what it finds."""
    began = time.monotonic()
    found = invert()
    return time.monotonic() - began, found


def until(loss: float, generator: AudioGAN, target: Tensor) -> tuple[float, Inversion, int]:
    """Seconds of the batched engine until its mean loss is no higher, and its iterations.

    How many it takes is found out first, by doubling and halving; the last run alone is timed.
    """

    def run(iterations: int) -> Inversion:
        return GradientInverter(generator, max_iterations=iterations)(target)

    low, high = 0, 16
    while high < MOST and run(high).loss.mean().item() > loss:
        low, high = high, 2 * high
    while high - low > 1 + low // 16:
        middle = (low + high) // 2
        low, high = (middle, high) if run(middle).loss.mean().item() > loss else (low, middle)
    seconds, found = timed(lambda: run(high))
    if found.loss.mean().item() > loss:
        print(f"  not reached: a loss of {loss:.5f} in {high} iterations")
    return seconds, found, high


def main(name: str = "specgan-digits", device: str = "cpu") -> None:
    """Print what each takes."""
    generator = load(name, device=device)
    assert isinstance(generator, AudioGAN)
    z = generator.sample_latent(CLIPS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        target = generator(z)
    print(f"Inverting {CLIPS} clips of {name}, {device}, {torch.get_num_threads()} threads:")
    single: Inverter = GradientInverter(generator, engine="scipy", max_iterations=ITERATIONS)
    theirs, one = timed(lambda: single(target))
    ours, many, iterations = until(one.loss.mean().item(), generator, target)
    for label, seconds, found in (
        (f"SciPy, one by one, {ITERATIONS} iterations", theirs, one),
        (f"batched, {iterations} iterations", ours, many),
    ):
        print(
            f"  {label:<36} {seconds:6.1f} s    loss {found.loss.mean():.5f}    "
            f"{theirs / seconds:5.2f}x as fast"
        )
    try:
        look = EncoderInverter(
            generator, find_encoder(generator, None).to(device), plain_objective()
        )
    except InputError:
        return
    look(target)
    seconds, found = timed(lambda: look(target))
    gradient, reached, iterations = until(found.loss.mean().item(), generator, target)
    print(
        f"  encoder alone: {CLIPS / seconds:.0f} clips a second, loss {found.loss.mean():.5f}; "
        f"gradient to {reached.loss.mean():.5f} ({iterations} iterations): "
        f"{CLIPS / gradient:.2f} clips a second, {gradient / seconds:.0f}x as slow"
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
