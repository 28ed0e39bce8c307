"""One training step of the VAE: our loop and recipe against plain float32 PyTorch."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from statistics import median

import torch
import torch.nn.functional as F

from audiate.data.pairs import Pairs
from audiate.models.vae import VAE
from audiate.training.launch import launch
from audiate.training.loop import update
from audiate.training.recipes.drawing import VAERecipe
from audiate.training.tasks.vae_task import VAETask

BATCH = 128
STEPS = 10
ROUNDS = 3


def made_up_pairs() -> Pairs:
    """As many recordings as FSDD has to train on, of its median length, and 6,000 images."""
    generator = torch.Generator().manual_seed(0)
    return Pairs(
        images=torch.randint(256, (6000, 28, 28), generator=generator).to(torch.uint8),
        recordings=list(torch.randn(1800, 3120, generator=generator)),
        heard=torch.randint(1800, (6000,), generator=generator),
        sample_rate=8000,
    )


def plain() -> Callable[[], None]:
    """The same network, loss and batch size as a first script would have them: float32, Adam.

    Its batch lies ready: no augmentation, no averaging of images.
    """
    torch.manual_seed(0)
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    spectrograms, images = torch.rand(BATCH, 48, 48), torch.rand(BATCH, 28, 28)

    def step() -> None:
        logits, (mu, logvar) = model(spectrograms, torch.randn(BATCH, 64))
        reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        divergence = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
        optimizer.zero_grad()
        ((reconstruction + divergence) / BATCH).backward()
        optimizer.step()

    return step


def ours(images_per_recording: int) -> Callable[[], None]:
    """A step of the training loop, data preparation and augmentation included."""
    recipe = VAERecipe(batch_size=BATCH, images_per_recording=images_per_recording)
    task = VAETask(recipe, made_up_pairs(), *launch("cpu"))
    steps = count(1)

    def step() -> None:
        (stage,) = task.stages(next(steps))
        update(task, stage, "bf16")

    return step


CONTESTANTS: dict[str, Callable[[], Callable[[], None]]] = {
    "plain float32 PyTorch": plain,
    "audiate, 1 image a recording": lambda: ours(1),
    "audiate, 16 images a recording": lambda: ours(16),
}


def seconds_of(step: Callable[[], None]) -> float:
    """Median seconds of a step, after two to warm up."""
    times = []
    for _ in range(STEPS + 2):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    return median(times[2:])


def main() -> None:
    # A process each, since how one sets up its memory would be the other's gain.
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(ROUNDS):
        for name in CONTESTANTS:
            command = [sys.executable, "-m", "benchmarks.vae_step", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds[name].append(float(done.stdout))
    base = median(seconds["plain float32 PyTorch"])
    print(f"One training step of the VAE, batch {BATCH}, {torch.get_num_threads()} threads:")
    for name, values in seconds.items():
        value = median(values)
        print(f"  {name:<32} {value * 1e3:6.0f} ms   {base / value:4.2f}x as fast")


if __name__ == "__main__":
    print(seconds_of(CONTESTANTS[sys.argv[1]]()))
