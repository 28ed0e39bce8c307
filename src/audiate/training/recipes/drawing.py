"""Settings that the recipes of all drawing models share."""

from __future__ import annotations

from dataclasses import dataclass

from audiate.training.recipes.paired import PairedRecipe


@dataclass(frozen=True)
class DrawingRecipe(PairedRecipe):
    """Settings that the trainings of all drawing models have in common."""

    def next_command(self, out: str) -> list[str]:
        """The words of a command that a user may try: `draw` with pairs of their own."""
        return ["draw", "CLIP", "--model", out] if self.pairs else super().next_command(out)
