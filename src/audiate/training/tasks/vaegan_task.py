"""Train the audio-to-image VAE-GAN on pairs of recordings and images."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from audiate.data.pairs import Pairs
from audiate.metrics.distribution import spread_of
from audiate.models.audio_to_image import Posterior
from audiate.models.vaegan import VAEGAN
from audiate.training.batches import linear_warmup, of_epochs, scheduled
from audiate.training.losses import (
    bernoulli_nll,
    discriminator_loss,
    gaussian_kl,
    non_saturating_loss,
)
from audiate.training.recipes.drawing import VAEGANRecipe
from audiate.training.task import Shard, Stage
from audiate.training.tasks.paired_batches import (
    Batches,
    DrawingTask,
    begun,
    mean_image,
    prepare_pairs,
    to_unit,
)

_IMAGES_OF_MEAN = 16
# Limits of the alarms:
_IGNORED_KL = 0.3  # nats; ten digits take ln 10 = 2.3
_WON = 0.995  # share of images that the discriminator classifies as real or drawn
_COLLAPSED_SPREAD = 0.4  # relative to real images


class VAEGANTask(DrawingTask):
    """Draw images that a discriminator takes for real and that resemble those of the sound.

    Żelaszczyk 2020, "VAE-GAN": adversarial loss + alpha · reconstruction + beta · KL, of which the
    first is -log D(G(z)) here (Goodfellow et al. 2014, section 3). The paper does not say whether
    the others are sums or means. Here reconstruction is summed over pixels and the divergence over
    latent dimensions, in nats; beside them the adversarial loss weighs ten in our recipe, or
    drawings at the paper's alpha are as blurred as a VAE's. Generator and discriminator take turns.
    The generator comes first, since its drawings then serve the discriminator as well.

    Where alpha and beta are both 0, nothing says what z should be, and an encoder trained all the
    same makes it ever more alike until all drawings are one. That case is the plain GAN that the
    paper began with: z is drawn from the prior, and the encoder is cut off.
    """

    model: VAEGAN

    def __init__(
        self, recipe: VAEGANRecipe, pairs: Pairs, device: torch.device, shard: Shard
    ) -> None:
        torch.manual_seed(recipe.seed)
        model = VAEGAN()
        if recipe.initialisation == "scaled":
            initialise(model)
        conditional = bool(recipe.alpha or recipe.beta)
        if not conditional:
            nn.init.zeros_(model.mu.weight)
            nn.init.zeros_(model.logvar.weight)
        model = begun(model, recipe, device)
        self._recipe = recipe
        self._batches = Batches(recipe, pairs, model, shard)
        self._seen: tuple[Tensor, Tensor] | None = None  # real and drawn images of this step
        encoder = [model.encoder, model.mu, model.logvar] if conditional else []
        generator = nn.ModuleList([*encoder, model.decoder])
        betas = (recipe.adam_beta1, 0.999)
        optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(part.parameters(), betas=betas, fused=True)
            for name, part in (("generator", generator), ("discriminator", model.discriminator))
        }
        pace = of_epochs(recipe.epochs, self._batches)
        super().__init__(*pace, model, {"vaegan": model}, optimizers, shard)

    def begin_step(self, step: int) -> None:  # noqa: ARG002
        """Forget the images of the step before."""
        self._seen = None

    def stages(self, step: int) -> Sequence[Stage]:
        """One update of encoder and decoder, then one of the discriminator."""
        recipe = self._recipe
        rate = scheduled(recipe.schedule, step, self.steps, recipe.learning_rate)
        warmup = recipe.kl_warmup_epochs * self.steps_per_epoch
        weights = {
            "adversarial": recipe.adversarial_weight,
            "reconstruction": recipe.alpha,
            "kl": linear_warmup(step, warmup, recipe.beta),
        }
        return [
            Stage("generator", lambda: self._generator_losses(step), weights, rate),
            Stage("discriminator", self._discriminator_losses, {"discriminator": 1.0}, rate),
        ]

    def _generator_losses(self, step: int) -> Mapping[str, Tensor]:
        count = self._recipe.images_per_recording
        pairs = self._batches.pairs(step)
        # The likelihood is linear in the image: the mean of several makes its gradient steadier.
        images = self._batches.images(pairs, max(count, _IMAGES_OF_MEAN) if count > 1 else 1)
        real = to_unit(images[:, :count]).flatten(0, 1).to(self.device)
        target = mean_image(images).repeat_interleave(count, 0).to(self.device)
        spectrograms = self._batches.spectrograms(pairs)
        posterior = Posterior(*(part.float() for part in self.model.encode(spectrograms)))
        each = Posterior(*(part.repeat_interleave(count, 0) for part in posterior))
        noise = torch.randn(len(target), VAEGAN.latent_dim).to(self.device)
        logits = self.model.decode_logits(each.sample(noise)).float()
        drawn = logits.sigmoid()
        self._seen = real, drawn.detach()
        return {
            "adversarial": non_saturating_loss(self._scores_alone(drawn)).mean(),
            "reconstruction": bernoulli_nll(logits, target).mean(),
            "kl": gaussian_kl(*posterior).mean(),
            "spread": spread_of(drawn.detach()) / spread_of(real),
        }

    def _scores_alone(self, drawn: Tensor) -> Tensor:
        """The discriminator's logits, computed with its running statistics.

        With the statistics of the batch, its last norm would send no gradient back as soon as it
        classifies all images: their logits are then two points, and two points always normalise to
        the same.
        """
        self.model.discriminator.eval()
        logits = self.model.discriminate(self._noisy(drawn)).float()
        self.model.discriminator.train()
        return logits

    def _discriminator_losses(self) -> Mapping[str, Tensor]:
        assert self._seen is not None, "the generator's stage comes first"
        # In one batch: the norm takes away what a batch of only one kind has in common.
        images = self._noisy(torch.cat(self._seen))
        logits = self.model.discriminate(images).float()
        real, drawn = torch.tensor_split(logits, [len(self._seen[0])])
        told_apart = torch.cat([real > 0, drawn < 0]).float().mean()
        return {"discriminator": discriminator_loss(real, drawn).mean(), "told_apart": told_apart}

    def _noisy(self, images: Tensor) -> Tensor:
        """Add noise, so that real and drawn images overlap, and the discriminator cannot win.

        Instance noise, of Sønderby et al. 2017, "Amortised MAP inference for image
        super-resolution". Its level is constant here: if it falls, the discriminator wins.
        """
        return images + self._recipe.instance_noise * torch.randn(images.shape).to(images.device)

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        """Report a z that ignores the sound, a discriminator that has won, or alike drawings."""
        if means["kl"] < _IGNORED_KL:
            remedy = "Raise `alpha`" + (" or lower `beta`" if self._recipe.beta else "")
            return f"the drawings ignore the sound: q(z|x) holds {means['kl']:.3f} nats. {remedy}"
        if means["told_apart"] > _WON:
            return (
                f"the discriminator has won: it classifies {100 * means['told_apart']:.1f} % of "
                f"images, so there is little to learn from it. Lower `learning_rate`"
            )
        if means["spread"] < _COLLAPSED_SPREAD:
            return (
                f"mode collapse: the drawings of a batch differ {means['spread']:.2f} times as "
                f"much as real images. Lower `learning_rate`, or try another `seed`"
            )
        return None


prepare = partial(prepare_pairs, task=VAEGANTask)


def initialise(model: VAEGAN) -> None:
    """Set weights of deviation 0.02 (Radford et al. 2016), for a sharp q(z|x) and dark images.

    The last batch norm makes logits of mean 0 and deviation 1: grey images. A sixth of MNIST's
    pixels is bright and the rest black, and at Adam's pace it would take ten thousand steps or more
    until the norm's own scale and offset say so.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    inputs = model.mu.weight[0].numel()
    # Of normal values, the leaky ReLU's outputs have mean 0.32 and mean square 0.52.
    nn.init.normal_(model.mu.weight, std=(0.52 * inputs) ** -0.5)
    nn.init.constant_(model.logvar.weight, -4.0 / (0.32 * inputs))
    last = model.decoder[-1]
    assert isinstance(last, nn.BatchNorm2d)
    nn.init.constant_(last.weight, 4.0)
    nn.init.constant_(last.bias, -4.0)
