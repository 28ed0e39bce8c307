"""Train the audio-to-image VAE on pairs of recordings and images."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from audiate.data.pairs import Pairs
from audiate.metrics.distribution import spread_of
from audiate.models.configs import VAEConfig
from audiate.models.residual import standardise
from audiate.models.vae import VAE
from audiate.training.batches import linear_warmup, of_epochs, scheduled
from audiate.training.losses import bernoulli_nll, gaussian_kl
from audiate.training.recipes.drawing import VAERecipe
from audiate.training.task import NotYet, Shard, Stage
from audiate.training.tasks.paired_batches import (
    Batches,
    DrawingTask,
    begun,
    mean_image,
    prepare_pairs,
    sized,
)

_IMAGES_OF_MEAN = 16
_ALIKE = 0.3  # spread of drawings, relative to the mean images of recordings
_COLLAPSED_KL = 0.1  # nats; ten digits take ln 10 = 2.3


class VAETask(DrawingTask):
    """Reconstruct the image from the recording it is paired with, and keep q(z|x) near the prior.

    The evidence lower bound of Kingma & Welling 2014, except that the decoded image is of another
    modality than the encoded spectrogram.

    Many images are paired with each recording. The log-likelihood is linear in the image, so for
    one z the sum over K of them is K times that of their mean: with `images_per_recording` = K,
    one pass of the networks does the work of K passes.
    """

    model: VAE

    def __init__(self, recipe: VAERecipe, pairs: Pairs, device: torch.device, shard: Shard) -> None:
        torch.manual_seed(recipe.seed)
        model = VAE(sized(VAEConfig(), pairs))
        if recipe.initialisation == "he":
            initialise(model)
        model = begun(model, recipe, device)
        self._recipe = recipe
        self._batches = Batches(
            recipe, pairs, model, shard, recordings=recipe.batch_size, change="mildly"
        )
        adam = torch.optim.AdamW(model.parameters(), weight_decay=recipe.weight_decay, fused=True)
        pace = of_epochs(recipe.epochs, self._batches)
        super().__init__(*pace, model, {"vae": model}, {"vae": adam}, shard)

    def stages(self, step: int) -> Sequence[Stage]:
        """One update of encoder and decoder."""
        recipe = self._recipe
        rate = scheduled(recipe.schedule, step, self.steps, recipe.learning_rate)
        warmup = recipe.kl_warmup_epochs * self.steps_per_epoch
        weights = {"reconstruction": 1.0, "kl": linear_warmup(step, warmup, recipe.kl_weight)}
        return [Stage("vae", lambda: self._losses(step), weights, rate)]

    def _losses(self, step: int) -> Mapping[str, Tensor]:
        pairs = self._batches.pairs(step)
        images = mean_image(self._batches.images(pairs, self._recipe.images_per_recording))
        spectrograms = self._batches.spectrograms(pairs)
        noise = torch.randn(len(pairs), VAE.latent_dim)
        logits, posterior = self.model(spectrograms, noise.to(self.device))
        return {
            "reconstruction": bernoulli_nll(logits.float(), images.to(self.device)).mean(),
            "kl": gaussian_kl(*(part.float() for part in posterior)).mean(),
        }

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        """Report a z that does not depend on the sound, a dead encoder, or equal drawings."""
        if means["kl"] > _COLLAPSED_KL:
            if (spread := self._spread()) > _ALIKE:
                return None
            return NotYet(
                f"all drawings are alike: they differ {spread:.2f} times as much as the images of "
                f"the recordings. Raise `epochs`"
            )
        why = ""
        if dead := self._dead_layer():
            why = (
                f"No unit of the encoder's layer {dead} responds to any clip, so it can learn no "
                f"more: begin again with another `seed`, or a lower `learning_rate`. "
            )
        return (
            f"posterior collapse: q(z|x) holds {means['kl']:.3f} nats, so every clip draws the "
            f"same picture. {why}Raise `kl_warmup_epochs`, lower `kl_weight`, or use "
            f"`initialisation=he`"
        )

    @torch.no_grad()
    def _spread(self) -> float:
        """Spread of the mean drawings of some recordings over that of their images."""
        pairs = self._batches.pairs(0)
        recordings = self._batches.heard[pairs]
        spectrograms = self._batches.sounds.spectrograms(recordings).to(self.device)
        images = mean_image(self._batches.images(pairs, _IMAGES_OF_MEAN))
        drawn: Tensor = spread_of(self.model.mean_images(spectrograms).float())
        return (drawn.cpu() / spread_of(images)).item()

    @torch.no_grad()
    def _dead_layer(self) -> int | None:
        """Number of the encoder's first layer whose ReLUs are 0 for every recording of a batch."""
        recordings = self._batches.heard[self._batches.pairs(0)]
        spectrograms = self._batches.sounds.spectrograms(recordings).to(self.device)
        alive = alive_units(self.model, spectrograms)
        return alive.index(0) + 1 if 0 in alive else None


prepare = partial(prepare_pairs, task=VAETask)


@torch.no_grad()
def alive_units(model: VAE, spectrograms: Tensor) -> list[float]:
    """For each ReLU of the encoder, the share of its units that are above 0 for any spectrogram.

    A layer of which no unit is passes no gradient, so that neither it nor any layer before it
    learns: its ReLUs are dead.

    Args:
        model: The VAE.
        spectrograms: (batch, 48, 48), as `VAE.encode` takes them.

    """
    hidden, alive = standardise(spectrograms), []
    for layer in model.encoder:
        hidden = layer(hidden)
        if isinstance(layer, nn.ReLU):
            above = (hidden > 0).any(0)
            units = above.flatten(1).any(1) if above.dim() > 1 else above
            alive.append(units.float().mean().item())
    return alive


def initialise(model: VAE) -> None:
    """Set weights that keep signals at their size (He et al. 2015), and a sharp q(z|x).

    With PyTorch's own initialisation z hardly depends on the sound, noise drowns the rest, and
    the decoder learns to do without z before the encoder has learnt to use it.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.ConvTranspose2d):
            # Of a 4x4 kernel with stride 2, four taps meet in each output pixel.
            nn.init.normal_(layer.weight, std=(4 * layer.in_channels) ** -0.5)
        else:
            continue
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    nn.init.normal_(model.mu.weight, std=model.mu.in_features**-0.5)
    nn.init.normal_(model.logvar.weight, std=1e-3)
    nn.init.constant_(model.logvar.bias, -4.0)
    with torch.no_grad():
        last = model.decoder[-1]
        assert isinstance(last, nn.ConvTranspose2d)
        last.weight.mul_(0.4)  # begin with grey rather than with random black and white
