"""`audiate train RECIPE`: every setting of the recipe is a flag."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import OmitArgPrefixes, Suppress, subcommand

from audiate.errors import Interrupted
from audiate.training.options import RunOptions
from audiate.training.recipes import ENTRIES
from audiate.training.recipes.base import Entry, Recipe


@dataclass(frozen=True)
class Training:
    """One recipe with its settings."""

    recipe: OmitArgPrefixes[Recipe]
    run_options: OmitArgPrefixes[RunOptions] = field(default_factory=RunOptions)
    data_dir: Path | None = None
    """Folder of the data sets. Default: AUDIATE_DATA, else the cache that `audiate data` fills."""
    name: Suppress[str] = ""

    def run(self) -> int:
        """Train, and return the exit status, which is 130 after Ctrl-C."""
        from audiate.data.installed import data_root
        from audiate.training.loop import run_recipe

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


def _command(name: str, entry: Entry) -> Any:
    """The subcommand that trains by a recipe."""
    training = Training(entry.recipe, name=name)
    return Annotated[Training, subcommand(name, default=training, description=entry.description)]


if TYPE_CHECKING:
    Trainings = Training
else:
    Trainings = reduce(or_, (_command(name, entry) for name, entry in ENTRIES.items()))
    """One subcommand for each line in the table of recipes."""
