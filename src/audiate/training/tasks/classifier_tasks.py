"""Train the classifiers of spoken and of written digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.data.sounds import SoundSet
from audiate.models.resnet import DigitClassifier
from audiate.training.batches import EvenOrder, one_cycle
from audiate.training.perturb import masked, perturbed
from audiate.training.task import Shard, Stage, Task

if TYPE_CHECKING:
    from audiate.training.recipes import DigitClassifierRecipe
from math import pi

from audiate.data.digits import LabelledImages
from audiate.models.lenet import LeNet
from audiate.training.batches import EpochOrder

if TYPE_CHECKING:
    from audiate.training.recipes import LeNetRecipe


class DigitClassifierTask(Task):
    """Minimise the cross-entropy on spoken digits, equally frequent and changed at random."""

    model: DigitClassifier

    def __init__(
        self, recipe: DigitClassifierRecipe, sounds: SoundSet, device: torch.device, shard: Shard
    ) -> None:
        torch.manual_seed(recipe.seed)
        model = DigitClassifier(recipe.network).to(device)
        self._recipe, self._sounds = recipe, sounds
        self._order = EvenOrder(sounds.labels, sounds.sources, recipe.batch_size, recipe.seed)
        per_epoch = max(len(sounds.labels) // recipe.batch_size, 1)
        super().__init__(
            seed=recipe.seed,
            steps=recipe.epochs * per_epoch,
            steps_per_epoch=per_epoch,
            batch_size=recipe.batch_size,
            model=model,
            modules={"classifier": model},
            optimizers={
                "classifier": torch.optim.AdamW(
                    model.parameters(), weight_decay=recipe.weight_decay, fused=True
                )
            },
            shard=shard,
        )

    def stages(self, step: int) -> Sequence[Stage]:
        """One update."""
        rate = one_cycle(step, self.steps, self._recipe.learning_rate)
        return [Stage("classifier", lambda: self._losses(step), {"cross_entropy": 1.0}, rate)]

    def _losses(self, step: int) -> Mapping[str, Tensor]:
        index = self.shard.take(self._order.batch(step))
        waveforms = self._sounds.waveforms(index).mean(1)
        changed = perturbed(waveforms, self._sounds.sample_rate).to(self.device)
        spectrograms = self.model.spectrogram(changed)
        seen = masked(spectrograms, hide_faint=self._recipe.network.spectrogram == "log")
        labels = self._sounds.labels[index].to(self.device)
        logits = self.model.network(seen).float()
        right = (logits.argmax(1) == labels).float().mean()
        return {"cross_entropy": F.cross_entropy(logits, labels), "accuracy": right}


class LeNetTask(Task):
    """Minimise the cross-entropy on randomly distorted digits."""

    def __init__(
        self, recipe: LeNetRecipe, digits: LabelledImages, device: torch.device, shard: Shard
    ) -> None:
        torch.manual_seed(recipe.seed)
        model = LeNet().to(device)
        self._recipe, self._digits = recipe, digits
        self._order = EpochOrder(len(digits.labels), recipe.batch_size, recipe.seed)
        per_epoch = self._order.steps_per_epoch
        super().__init__(
            seed=recipe.seed,
            steps=recipe.epochs * per_epoch,
            steps_per_epoch=per_epoch,
            batch_size=self._order.batch_size,
            model=model,
            modules={"lenet": model},
            optimizers={
                "lenet": torch.optim.AdamW(
                    model.parameters(), weight_decay=recipe.weight_decay, fused=True
                )
            },
            shard=shard,
        )

    def stages(self, step: int) -> Sequence[Stage]:
        """One update."""
        rate = one_cycle(step, self.steps, self._recipe.learning_rate)
        return [Stage("lenet", lambda: self._losses(step), {"cross_entropy": 1.0}, rate)]

    def _losses(self, step: int) -> Mapping[str, Tensor]:
        index = self.shard.take(self._order.batch(step))
        images = distort(self._digits.images[index].float() / 255).to(self.device)
        labels = self._digits.labels[index].to(self.device)
        logits = self.modules["lenet"](images)
        return {"cross_entropy": F.cross_entropy(logits, labels)}


def distort(images: Tensor) -> Tensor:
    """Rotate (±12°), scale (±12 %), shear (±0.15) and shift (±1.7 pixels) each image at random.

    Args:
        images: (batch, 28, 28) in [0, 1].

    Returns:
        Images of the same shape and range.

    """
    count = len(images)

    def uniform(limit: float) -> Tensor:
        return (2 * torch.rand(count) - 1) * limit

    angle, shear = uniform(12 * pi / 180), uniform(0.15)
    width, height = 1 + uniform(0.12), 1 + uniform(0.12)
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([cos * width, (shear * cos - sin) * height, uniform(0.12)], -1),
        torch.stack([sin * width, (shear * sin + cos) * height, uniform(0.12)], -1),
    ]
    where = F.affine_grid(torch.stack(rows, 1), [count, 1, 28, 28], align_corners=False)
    moved = F.grid_sample(images.unsqueeze(1), where, align_corners=False)
    return moved.squeeze(1)
