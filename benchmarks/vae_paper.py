"""Why the VAE by the paper's settings draws one picture for all with most seeds, or does not.

    AUDIATE_DATA=data python -m benchmarks.vae_paper

Trains `vae-paper` for 120 steps with several seeds and changes, and tells for each how many units
of the encoder's second convolution respond to any clip of a batch. Where none does, no gradient
passes any more: what is drawn can never depend on the sound.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from audiate.data.pairs import load_pairs
from audiate.data.sources import data_root
from audiate.models.vae import VAE
from audiate.training.launch import launch
from audiate.training.loop import train_step
from audiate.training.options import Precision
from audiate.training.recipes.drawing import VAE_PAPER
from audiate.training.tasks.vae_task import alive_units, prepare
from audiate.utils.progress import tracked
from audiate.utils.reports import make_table, render

CHANGES: dict[str, dict[str, Any]] = {
    "seed 0": {},
    "seed 1": {"seed": 1},
    "seed 2": {"seed": 2},
    "seed 3": {"seed": 3},
    "seed 0, --initialisation he": {"initialisation": "he"},
    "seed 0, --kl-warmup-epochs 1": {"kl_warmup_epochs": 1.0},
    "seed 0, --learning-rate 1e-4": {"learning_rate": 1e-4},
}


def alive_after(
    steps: int, precision: Precision, changes: dict[str, Any], recordings: list[Tensor]
) -> tuple[float, float]:
    """The share of units that respond after some steps, and the divergence in nats."""
    recipe = replace(VAE_PAPER, epochs=1, **changes)
    task = prepare(recipe, data_root(None)).make_task(*launch("cpu"))
    assert isinstance(task.model, VAE)
    divergence = torch.zeros(())
    for step in range(steps):
        divergence = train_step(task, step, precision)[0]["kl"]
    spectrograms = task.model.features.many(recordings)
    return alive_units(task.model, spectrograms)[1], float(divergence)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=120)
    settings = parser.parse_args()
    columns = ("run", "units that respond (%)", "divergence (nats)")
    table = make_table(f"vae-paper after {settings.steps} steps", *columns)
    runs: list[tuple[str, Precision, dict[str, Any]]]
    runs = [(name, "float32", changes) for name, changes in CHANGES.items()]
    runs.append(("seed 0, --precision bf16", "bf16", {}))
    pairs = load_pairs(data_root(None), sample_rate=8000, seed=0)
    for name, precision, changes in tracked(runs, "training"):
        alive, divergence = alive_after(
            settings.steps, precision, changes, pairs.train.recordings[:500]
        )
        table.add_row(name, f"{100 * alive:.0f}", f"{divergence:.4f}")
    print(render(table))


if __name__ == "__main__":
    main()
