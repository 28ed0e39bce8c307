"""Training the classifier of spoken digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.datasets.sounds import SoundSet
from audiate.models import DigitClassifier
from audiate.training.batches import EvenOrder
from audiate.training.perturb import masked, perturbed
from audiate.training.schedules import one_cycle
from audiate.training.task import Shard, Stage, Task

if TYPE_CHECKING:
    from audiate.training.recipes import DigitClassifierRecipe


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
