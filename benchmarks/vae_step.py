"""One training step of the VAE: our loop and recipe against plain float32 PyTorch."""

from __future__ import annotations

from itertools import count

import torch
import torch.nn.functional as F

from audiate.datasets.pairs import Pairs
from audiate.models import VAE
from audiate.training.loop import launch, update
from audiate.training.recipes import VAERecipe
from audiate.training.task import Shard
from audiate.training.tasks.vae import VAETask
from benchmarks.timing import in_turns

BATCH = 128


def made_up_pairs() -> Pairs:
    """As many recordings as FSDD has to train on, of its median length, and 6,000 images."""
    generator = torch.Generator().manual_seed(0)
    return Pairs(
        images=torch.randint(256, (6000, 28, 28), generator=generator).to(torch.uint8),
        recordings=list(torch.randn(1800, 3120, generator=generator)),
        heard=torch.randint(1800, (6000,), generator=generator),
        sample_rate=8000,
    )


class Plain:
    """The same network, loss and batch size as a first script would have them: float32, Adam.

    Its batch lies ready: no augmentation, no averaging of images.
    """

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = VAE()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.spectrograms = torch.rand(BATCH, 48, 48)
        self.images = torch.rand(BATCH, 28, 28)

    def step(self) -> None:
        logits, (mu, logvar) = self.model(self.spectrograms, torch.randn(BATCH, 64))
        reconstruction = F.binary_cross_entropy_with_logits(logits, self.images, reduction="sum")
        divergence = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
        self.optimizer.zero_grad()
        ((reconstruction + divergence) / BATCH).backward()
        self.optimizer.step()


def main() -> None:
    plain = Plain()
    contestants = {"plain float32 PyTorch": plain.step}
    fabric = launch("cpu", "bf16")
    for images in (1, VAERecipe().images_per_recording):
        recipe = VAERecipe(batch_size=BATCH, images_per_recording=images)
        task = VAETask(recipe, made_up_pairs(), torch.device("cpu"), Shard())
        steps = count(1)

        def step(task: VAETask = task, steps: count[int] = steps) -> None:
            (phase,) = task.phases(next(steps))
            update(fabric, task, phase)

        contestants[f"audiate, {images} image{'s' * (images > 1)} a recording"] = step
    seconds = in_turns(contestants, rounds=15)
    base = seconds["plain float32 PyTorch"]
    print(f"One training step of the VAE, batch {BATCH}, {torch.get_num_threads()} threads:")
    for name, value in seconds.items():
        print(f"  {name:<32} {value * 1e3:6.0f} ms   {base / value:4.2f}x as fast")
