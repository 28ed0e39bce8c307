"""The recipe of the model that says images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiate.errors import check_range
from audiate.hub import DEFAULT_GENERATOR, DEFAULT_MATCHER
from audiate.training.recipes.common import ENDLESS, Entry
from audiate.training.recipes.paired import PairedRecipe

if TYPE_CHECKING:
    import torch

    from audiate.datasets.pairs import Pairs
    from audiate.training.task import Shard, Task


@dataclass(frozen=True)
class SayRecipe(PairedRecipe):
    """A flow from images to latents of a generator of sound; it uses no label."""

    epochs: int = 6
    """Number of passes over the train images."""
    batch_size: int = 128
    """Number of images in a batch."""
    images_per_recording: int = 1
    """Has no effect here: it is the matcher that has learnt from recordings."""
    learning_rate: float = 2e-3
    """Peak of the learning rate."""
    generator: str = DEFAULT_GENERATOR
    """Generator whose latents are learnt: a shipped model's name, the folder of a run or a model,
    or a Hugging Face hub id."""
    matcher: str = DEFAULT_MATCHER
    """Model that tells which of the generator's sounds belong to an image: a shipped name, a folder
    or a hub id, as `audiate train match` makes it. Its image tower is the condition network."""
    pool: int = 6_000
    """Number of the generator's sounds that images are paired with. They are made once for each
    generator, and kept in the user's cache folder."""
    sharpness: float = 3.0
    """Preference for sounds that clearly belong to the image. 1 pairs an image with sounds as the
    matcher finds them likely; more leaves out those that are hard to understand."""
    guidance: float = 2.0
    """Guidance of the finished model, which may be changed after the training, too."""
    candidates: int = 3
    """Number of sounds that the finished model makes for each one that it says: that which belongs
    best to the image is kept. This may be changed after the training, too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("`pool`", self.pool, 2, 10**6)
        check_range("`sharpness`", self.sharpness, 0, ENDLESS)
        check_range("`guidance`", self.guidance, 0, 100)
        check_range("`candidates`", self.candidates, 1, 1000)

    def next_command(self, out: str) -> list[str]:
        """The words of the command that says a picture."""
        return ["say", "PICTURE", "--model", out]

    def task(self, pairs: Pairs, device: torch.device, shard: Shard) -> Task:
        """Build the task on the images of these pairs."""
        from audiate.training.tasks.say import SayTask

        return SayTask(self, pairs, device, shard)


RECIPES = {
    "say": Entry(SayRecipe(), "Many voices for a written digit, by latents of a generator."),
}
