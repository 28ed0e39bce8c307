"""`audiate evaluate`: the papers' tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from audiate.errors import check_range


@dataclass(frozen=True)
class Evaluate:
    """Score a model as the papers do.

    A drawing model: LeNet-5's accuracy on images drawn from the 10,000 test pairs, for the mean
    of q(z|x) and for a sample, per digit. LeNet-5 itself: its accuracy on the MNIST test images.
    """

    model: Positional[str]
    """A shipped model's name, a run's or a model's folder, or a Hugging Face hub id."""
    protocol: Literal["paper", "speakers"] = "paper"
    """paper: recordings split 90/10 at random. speakers: the model's recipe is trained anew
    without each speaker in turn, and tested on that speaker; finished trainings are reused."""
    seeds: int = 1
    """With the paper protocol: also train the recipe with the next SEEDS - 1 seeds, each with its
    own split and pairing, and report the mean."""
    json: bool = False
    """Print JSON in place of tables."""
    judge: str = "lenet-mnist"
    """The LeNet-5 that reads the drawings."""
    runs: Path = Path("runs/evaluate")
    """Folder for the models that are trained on the way."""
    data_dir: Path | None = None
    """Folder with the data sets. Default: AUDIATE_DATA, else the cache `audiate data` fills."""

    def run(self) -> int:
        """Evaluate and print; the exit status."""
        check_range("--seeds", self.seeds, 1, 100)
        from audiate.datasets.sources import data_root
        from audiate.evaluate import evaluate

        report = evaluate(
            self.model,
            root=data_root(self.data_dir),
            protocol=self.protocol,
            seeds=self.seeds,
            judge=self.judge,
            runs=self.runs,
        )
        print(report.to_json() if self.json else report.to_text())
        return 0
