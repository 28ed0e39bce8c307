"""`audiate train`: train a model by a recipe, whose settings are flags."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, field

from tyro.conf import OmitArgPrefixes, Suppress

from audiate.cli.common import DataDir, Group
from audiate.errors import Interrupted
from audiate.training.options import RunOptions
from audiate.training.recipes import ENTRIES
from audiate.training.recipes.base import Recipe


@dataclass(frozen=True)
class Training:
    """A recipe with its settings."""

    recipe: OmitArgPrefixes[Recipe]
    run_options: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    data_dir: DataDir = None
    threads: int | None = None
    """Number of threads on the CPU. Default: one for each idle core."""
    name: Suppress[str] = ""
    description: Suppress[str] = ""

    def run(self) -> int:
        """Train, and return the exit status, which is 130 after Ctrl-C."""
        # Heeded when PyTorch is imported: threads that wait do not keep a busy core from others.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from audiate.data.sources import data_root
        from audiate.training.loop import run_recipe
        from audiate.utils.devices import use_threads

        use_threads(self.threads)
        root = data_root(self.data_dir)
        try:
            model = run_recipe(self.name, self.recipe, root, self.run_options)
        except Interrupted as stopped:
            flags = [argument for argument in sys.argv[1:] if argument != "--resume"]
            again = shlex.join(["audiate", *flags, "--resume"])
            print(f"{stopped}, and saved. To go on: {again}", file=sys.stderr)
            return 130
        out = str(self.run_options.folder(self.name))
        words = ENTRIES[self.name].next_command(self.recipe, out)
        print(f"model written to {model}; next: audiate {shlex.join(words)}")
        return 0


TRAIN = Group(
    "Train a model by a recipe. Every setting of the recipe is a flag.",
    {
        name: Training(entry.recipe, name=name, description=entry.description)
        for name, entry in ENTRIES.items()
    },
    noun="RECIPE",
)
