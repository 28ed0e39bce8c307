"""Train the dual encoder of sounds and images."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.data.pairs import Pairs
from audiate.models.configs import DualEncoderConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import load
from audiate.training.augment import changed_images
from audiate.training.batches import of_epochs, one_cycle
from audiate.training.recipes.paired import MatchRecipe
from audiate.training.task import NotYet, Shard, Stage, Task
from audiate.training.tasks.paired_batches import Batches, begun, prepare_pairs, to_unit

_REFERENCES = 256  # images
_BLIND = 0.02  # nats by which correspondence is at least to be better than chance


class MatchTask(Task):
    """Train both encoders to score pairs that belong together above all others of a batch.

    Sounds of a batch and images of other sounds of it are samples of p(sound) p(image): some of
    them are of the same thing by chance, as often as they are in that product. So the best
    score is the logarithm of p(sound, image) / (p(sound) p(image)), and no pair is labelled
    wrongly (Gutmann and Hyvärinen 2010, for the loss ``correspondence``; van den Oord et al. 2018,
    for ``contrast``).
    """

    model: DualEncoder

    def __init__(
        self, recipe: MatchRecipe, pairs: Pairs, device: torch.device, shard: Shard
    ) -> None:
        torch.manual_seed(recipe.seed)
        config = DualEncoderConfig(
            pictures="whole" if recipe.pairs else "digits",
            references=min(_REFERENCES, len(pairs.images)),
        )
        model = DualEncoder(config)
        self._borrowed = recipe.ears != "none"
        if self._borrowed:
            flow = load(recipe.ears, LatentFlow)
            model.audio_encoder.load_state_dict(flow.condition_network.state_dict())
        model = begun(model, recipe, device)
        self._recipe, self._images = recipe, pairs.images
        self._batches = Batches(recipe, pairs, model, shard, least=2)
        model.audio_encoder.requires_grad_(not self._borrowed)
        trained = [p for p in model.parameters() if p.requires_grad]
        adam = torch.optim.AdamW(trained, weight_decay=recipe.weight_decay, fused=True)
        pace = of_epochs(recipe.epochs, self._batches)
        super().__init__(*pace, model, {"towers": model}, {"adam": adam}, shard)

    def begin_step(self, step: int) -> None:  # noqa: ARG002
        """Put an audio encoder of another model, which is not trained, into eval mode."""
        if self._borrowed:
            self.model.audio_encoder.eval()

    def stages(self, step: int) -> Sequence[Stage]:
        """One update of both encoders."""
        rate = one_cycle(step, self.steps, self._recipe.learning_rate)
        return [Stage("adam", lambda: self._losses(step), {"matching": 1.0}, rate)]

    def _losses(self, step: int) -> Mapping[str, Tensor]:
        pairs = self._batches.pairs(step)
        count = self._recipe.images_per_recording
        images = to_unit(self._batches.images(pairs, count)).flatten(0, 1)
        if self._recipe.augment:
            images = changed_images(images)
        scores = self.model(self._batches.spectrograms(pairs), images.to(self.device)).float()
        own = torch.eye(len(pairs), dtype=torch.bool).repeat_interleave(count, 1).to(self.device)
        loss = _contrast if self._recipe.loss == "contrast" else _correspondence
        return {"matching": loss(scores, own)}

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Keep the vectors of some images, by which the model measures how clear a sound is."""
        count = len(self.model.references)
        images = to_unit(self._images[torch.arange(count) * len(self._images) // count])
        training = self.model.training
        self.model.eval()
        self.model.references.copy_(self.model.embed_images(images.to(self.device)))
        self.model.train(training)

    def preview(self) -> Tensor:
        """The scores of sixteen sounds with images that are paired with them, as a picture."""
        pairs = torch.arange(16) * len(self._batches.heard) // 16
        scores = self.model(
            self._batches.sounds.spectrograms(self._batches.heard[pairs]).to(self.device),
            to_unit(self._batches.images(pairs, 1)).flatten(0, 1).to(self.device),
        )
        picture: Tensor = scores.sigmoid().repeat_interleave(16, 0).repeat_interleave(16, 1)
        return picture.cpu()

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        """Report encoders that score all pairs alike."""
        chance = 2 * torch.tensor(2.0).log().item()
        if self._recipe.loss != "correspondence" or means["matching"] < chance - _BLIND:
            return None
        return NotYet(
            "the encoders score all pairs alike. Raise `epochs`, or lower `learning_rate`, and "
            "check that sounds and images of a pair belong together"
        )


prepare = partial(prepare_pairs, task=MatchTask)


def _correspondence(scores: Tensor, own: Tensor) -> Tensor:
    """Cross-entropy of the classes of pairs: together or not, of which each weighs half."""
    return F.softplus(-scores[own]).mean() + F.softplus(scores[~own]).mean()


def _contrast(scores: Tensor, own: Tensor) -> Tensor:
    """Cross-entropy of each image's sound, and of each sound's images, in the batch."""
    sound = (scores.log_softmax(0) * own).sum(0).mean()
    image = (scores.log_softmax(1) * own).sum(1).mean() / own.sum(1).float().mean()
    return -(sound + image)
