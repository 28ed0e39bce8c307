"""Train the latent flow on pairs of recordings and images."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from audiate.data.pairs import Pairs
from audiate.metrics.distribution import spread_of
from audiate.models.audio_to_image import Posterior
from audiate.models.configs import LatentFlowConfig
from audiate.models.latent_flow import LatentFlow
from audiate.training.batches import of_epochs, one_cycle
from audiate.training.losses import bernoulli_nll, gaussian_kl
from audiate.training.recipes.drawing import LatentFlowRecipe
from audiate.training.task import NotYet, Shard, Stage
from audiate.training.tasks.paired_batches import (
    Batches,
    DrawingTask,
    begun,
    mean_image,
    prepare_pairs,
    sized,
    to_unit,
)

_IMAGE_KL = 0.05  # weight of the autoencoder's prior: latents of about unit size, sharp images
_IMAGES_TO_CODE = 4  # images of each recording that the autoencoder learns from in a step
_UNCONDITIONAL = 0.1  # share of conditions that are left out, so that guidance is possible
_LEAST_SPREAD = 0.1  # share of the spread of the mean images of ten digits


class LatentFlowTask(DrawingTask):
    """Train a condition network and an autoencoder of images, then the flow.

    The condition network draws the mean of the images that are paired with a recording: as their
    likelihood is linear in the image, that is all that a single drawing can learn of them. The flow
    is trained by conditional flow matching, see `flow_loss`; the condition is left out now and then
    (Ho & Salimans 2022).
    """

    model: LatentFlow

    def __init__(
        self, recipe: LatentFlowRecipe, pairs: Pairs, device: torch.device, shard: Shard
    ) -> None:
        torch.manual_seed(recipe.seed)
        model = begun(LatentFlow(sized(LatentFlowConfig(), pairs)), recipe, device)
        self._recipe = recipe
        self._batches = Batches(recipe, pairs, model, shard, least=2)
        trained = {
            "condition": [*model.condition_network.parameters(), *model.archetype.parameters()],
            "autoencoder": [*model.image_encoder.parameters(), *model.image_decoder.parameters()],
            "flow": [*model.velocity.parameters(), model.null_condition],
        }
        optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.AdamW(
                parameters,
                betas=(0.9, 0.99 if name == "flow" else 0.999),
                weight_decay=recipe.weight_decay if name == "condition" else 0.01,
                fused=True,
            )
            for name, parameters in trained.items()
        }
        pace = of_epochs(recipe.epochs, self._batches)
        super().__init__(*pace, model, {"flow": model}, optimizers, shard)

    def stages(self, step: int) -> Sequence[Stage]:
        """Updates of the condition network and the autoencoder, or, later on, of the flow."""
        recipe = self._recipe
        first = min(max(round(self.steps * recipe.condition_share), 1), self.steps - 1)
        if step >= first:
            rate = one_cycle(step - first, self.steps - first, recipe.learning_rate, warmup=0.1)
            return [Stage("flow", lambda: self._flow_losses(step), {"flow": 1.0}, rate)]
        rate = one_cycle(step, first, recipe.learning_rate)
        drawing, weights = {"mean_image": 1.0}, {"reconstruction": 1.0, "image_kl": _IMAGE_KL}
        return [
            Stage("condition", lambda: self._condition_losses(step), drawing, 1.5 * rate),
            Stage("autoencoder", lambda: self._autoencoder_losses(step), weights, rate),
        ]

    def _condition_losses(self, step: int) -> Mapping[str, Tensor]:
        pairs = self._batches.pairs(step)
        images = self._batches.images(pairs, self._recipe.images_per_recording)
        target = mean_image(images).to(self.device)
        condition = self.model.condition(self._batches.spectrograms(pairs))
        logits = self.model.mean_logits(condition).float()
        return {
            "mean_image": bernoulli_nll(logits, target).mean(),
            "spread": spread_of(logits.detach().sigmoid()) / spread_of(target).clamp_min(1e-3),
        }

    def _autoencoder_losses(self, step: int) -> Mapping[str, Tensor]:
        count = min(_IMAGES_TO_CODE, self._recipe.images_per_recording)
        images, posterior = self._encoded(self._batches.pairs(step), count)
        noise = torch.randn(len(images), LatentFlow.latent_dim).to(self.device)
        logits = self.model.decode_logits(posterior.sample(noise)).float()
        return {
            "reconstruction": bernoulli_nll(logits, images).mean(),
            "image_kl": gaussian_kl(*posterior).mean(),
        }

    def _encoded(self, pairs: Tensor, count: int) -> tuple[Tensor, Posterior]:
        """Images (batch, [3,] height, width), ``count`` of each recording, and their latents."""
        images = to_unit(self._batches.images(pairs, count)).flatten(0, 1).to(self.device)
        return images, Posterior(*(part.float() for part in self.model.encode_images(images)))

    def _flow_losses(self, step: int) -> Mapping[str, Tensor]:
        pairs = self._batches.pairs(step)
        count = self._recipe.images_per_recording
        with torch.no_grad():  # both are finished: as they will be when they draw
            self.model.eval()
            images, posterior = self._encoded(pairs, count)
            condition = self.model.condition(self._batches.spectrograms(pairs))
            self.model.train()
        latents = posterior.sample(torch.randn(len(images), LatentFlow.latent_dim).to(self.device))
        dropped = (torch.rand(len(images), 1) < _UNCONDITIONAL).to(self.device)
        condition = condition.repeat_interleave(count, 0)
        condition = torch.where(dropped, self.model.null_condition, condition)
        return {"flow": flow_loss(self.model, latents, condition)}

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        """Report a condition network whose output is the same for every sound."""
        if means.get("spread", 1.0) > _LEAST_SPREAD:
            return None
        return NotYet(
            f"the condition network does not depend on the sound: its mean images vary "
            f"{means['spread']:.2f} times as much as those of the recordings. Raise `epochs`, or "
            f"lower `learning_rate`"
        )


prepare = partial(prepare_pairs, task=LatentFlowTask)


def flow_loss(
    velocity: Callable[[Tensor, Tensor, Tensor], Tensor], latents: Tensor, condition: Tensor
) -> Tensor:
    """The loss of conditional flow matching on straight paths, a mean over all entries.

    At x_t = (1 - t) noise + t latent, the velocity is to be latent - noise (Lipman et al. 2023, eq.
    23 with sigma_min = 0). Times are drawn logit-normal (Esser et al. 2024).

    Args:
        velocity: Gives velocities of latents, times (batch,) and conditions.
        latents: (batch, latent_dim).
        condition: (batch, condition_dim).

    """
    noise = torch.randn(latents.shape).to(latents.device)
    times = torch.randn(len(latents)).sigmoid().to(latents.device)
    between = torch.lerp(noise, latents, times.unsqueeze(1))
    found = velocity(between, times, condition).float()
    return (found - (latents - noise)).square().mean()
