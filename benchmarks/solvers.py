"""Accuracy and variety of flow-digits by the solver that follows its flow, and the time it takes.

    AUDIATE_DATA=data python -m benchmarks.solvers

Prints a table in Markdown. It needs the data (AUDIATE_DATA, or the user's cache) and takes some
minutes.
"""

from dataclasses import replace
from time import perf_counter

import torch

from audiate.data.sources import data_root
from audiate.evaluation.drawings import evaluate_drawings, read_test_pairs
from audiate.models.configs import Solver
from audiate.models.hub import WRITTEN_CLASSIFIER
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load

SOLVERS: tuple[tuple[Solver, int], ...] = (
    ("euler", 10),
    ("midpoint", 5),
    ("heun", 5),
    ("midpoint", 20),
)


def main() -> None:
    """Score the shipped model with several solvers."""
    model = LatentFlow.from_pretrained("flow-digits")
    classifier = load(WRITTEN_CLASSIFIER, LeNet)
    pairs = read_test_pairs("flow-digits", model, data_root(None))
    print("| solver | steps | accuracy % | Fréchet | precision | recall | coverage | ms |")
    print("|---|---|---|---|---|---|---|---|")
    for solver, steps in SOLVERS:
        model.config = replace(model.config, solver=solver, steps=steps)
        report = evaluate_drawings("flow-digits", model, classifier, pairs)
        begun = perf_counter()
        model.draw_batch(torch.rand(8, 48, 48))
        milliseconds = 1000 * (perf_counter() - begun)
        seen = report.diversity
        print(
            f"| {solver} | {steps} | {100 * report.sampled.accuracy:.2f} "
            f"| {seen.frechet_distance:.2f} | {seen.precision:.3f} | {seen.recall:.3f} "
            f"| {seen.coverage:.3f} | {milliseconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
