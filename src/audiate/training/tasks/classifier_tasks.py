"""Train the classifiers of spoken and of written digits."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.data.digits import LabelledImages, load_mnist
from audiate.data.sounds import SoundSet, digit_clips, list_digits
from audiate.data.sources import require
from audiate.models.lenet import LeNet
from audiate.models.pretrained import PretrainedModel
from audiate.models.resnet import DigitClassifier
from audiate.training.augment import distorted, masked, perturbed
from audiate.training.batches import EpochOrder, EvenOrder, of_epochs, one_cycle
from audiate.training.initial import begin_with
from audiate.training.recipes.classifiers import DigitClassifierRecipe, LeNetRecipe
from audiate.training.task import Prepared, Shard, Stage, Task


def prepare(recipe: DigitClassifierRecipe | LeNetRecipe, root: Path) -> Prepared:
    """Train on MNIST, or on the data sets of spoken digits that the recipe names.

    Raises:
        InputError: Data are missing or damaged.

    """
    if isinstance(recipe, LeNetRecipe):
        require("mnist", root)
        return Prepared(
            "mnist", lambda *where: LeNetTask(recipe, load_mnist(root, "train"), *where)
        )
    clips = list_digits(digit_clips(root, recipe.data, recipe.held_out_speaker))
    network = recipe.network
    read = partial(clips.read, sample_rate=network.sample_rate, num_samples=network.num_samples)
    return Prepared(clips.digest, lambda *where: DigitClassifierTask(recipe, read(), *where))


class _ClassifierTask(Task):
    """Minimise the cross-entropy of labels by AdamW and a one-cycle learning rate."""

    def __init__(
        self,
        recipe: DigitClassifierRecipe | LeNetRecipe,
        order: EpochOrder | EvenOrder,
        make_model: Callable[[], PretrainedModel],
        name: str,
        device: torch.device,
        shard: Shard,
    ) -> None:
        torch.manual_seed(recipe.seed)
        model = make_model().to(device)
        begin_with(model, recipe.init)
        self._order, self._peak, self._name = order, recipe.learning_rate, name
        optimizer = torch.optim.AdamW(
            model.parameters(), weight_decay=recipe.weight_decay, fused=True
        )
        pace = of_epochs(recipe.epochs, order)
        super().__init__(*pace, model, {name: model}, {name: optimizer}, shard)

    def stages(self, step: int) -> Sequence[Stage]:
        """One update."""
        rate = one_cycle(step, self.steps, self._peak)
        return [Stage(self._name, lambda: self._losses(step), {"cross_entropy": 1.0}, rate)]

    def _losses(self, step: int) -> Mapping[str, Tensor]:
        index = self.shard.take(self._order.batch(step))
        logits, labels = self._logits_and_labels(index)
        right = (logits.argmax(1) == labels).float().mean()
        return {"cross_entropy": F.cross_entropy(logits, labels), "accuracy": right}

    @abstractmethod
    def _logits_and_labels(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, 10) and labels (batch,) of items by number (batch,)."""


class DigitClassifierTask(_ClassifierTask):
    """Classify spoken digits, which are equally frequent and changed at random."""

    model: DigitClassifier

    def __init__(
        self, recipe: DigitClassifierRecipe, sounds: SoundSet, device: torch.device, shard: Shard
    ) -> None:
        self._sounds, self._hide_faint = sounds, recipe.network.spectrogram == "log"
        order = EvenOrder(sounds.labels, sounds.sources, recipe.batch_size, recipe.seed)
        make_model = partial(DigitClassifier, recipe.network)
        super().__init__(recipe, order, make_model, "classifier", device, shard)

    def _logits_and_labels(self, index: Tensor) -> tuple[Tensor, Tensor]:
        waveforms = self._sounds.waveforms(index).mean(1)
        changed = perturbed(waveforms, self._sounds.sample_rate).to(self.device)
        seen = masked(self.model.spectrogram(changed), hide_faint=self._hide_faint)
        return self.model.network(seen).float(), self._sounds.labels[index].to(self.device)


class LeNetTask(_ClassifierTask):
    """Classify written digits that are distorted at random."""

    model: LeNet

    def __init__(
        self, recipe: LeNetRecipe, digits: LabelledImages, device: torch.device, shard: Shard
    ) -> None:
        self._digits = digits
        order = EpochOrder(len(digits.labels), recipe.batch_size, recipe.seed)
        super().__init__(recipe, order, LeNet, "lenet", device, shard)

    def _logits_and_labels(self, index: Tensor) -> tuple[Tensor, Tensor]:
        images = distorted(self._digits.images[index].float() / 255).to(self.device)
        return self.model(images), self._digits.labels[index].to(self.device)
