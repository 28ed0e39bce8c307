"""Training a model that says images: a flow from images to latents of a generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from audiate.audio.spectrograms import Spectrogram
from audiate.data.pairs import Pairs
from audiate.models.configs import ImageToAudioConfig
from audiate.models.dual_encoder import ChangedSounds, DualEncoder
from audiate.models.fingerprint import fingerprint
from audiate.models.generator import AudioGAN
from audiate.models.image_to_audio import ImageToAudioModel, to_normal
from audiate.models.pretrained import load
from audiate.training.augment_images import changed_images
from audiate.training.batches import EpochOrder, one_cycle
from audiate.training.generated import generated_sounds
from audiate.training.task import Shard, Sound, Stage, Task
from audiate.training.tasks.inputs import to_unit
from audiate.training.tasks.latent_flow_task import flow_loss
from audiate.utils.plots import side_by_side

if TYPE_CHECKING:
    from audiate.training.recipes import SayRecipe

_UNSEEN = 0.1  # share of conditions that are left out, so that guidance is possible
_BATCH = 500
_PREVIEWED = 8


class SayTask(Task):
    """Train the flow of an `ImageToAudioModel` by conditional flow matching.

    An image's latent is drawn among those of the generator's sounds, by how much likelier the image
    is with each sound than by itself, as a `DualEncoder` tells at worst of slight changes of the
    sound (`DualEncoder.calibrated_scores`): p(z | image) is p(z) times that ratio. So pairs never
    run out, and no label is needed. The condition network is the image encoder, which sees each
    image changed at random.
    """

    model: ImageToAudioModel

    def __init__(self, recipe: SayRecipe, pairs: Pairs, device: torch.device, shard: Shard) -> None:
        torch.manual_seed(recipe.seed)
        generator = load(recipe.generator, AudioGAN, device=device)
        matcher = load(recipe.matcher, DualEncoder).to(device)
        config = ImageToAudioConfig(
            generator.latent_dim,
            recipe.generator,
            fingerprint(generator),
            guidance=recipe.guidance,
            candidates=recipe.candidates,
            pictures="whole" if recipe.pairs else "digits",
            references=matcher.config.references,
        )
        model = ImageToAudioModel(config)
        model.matcher.load_state_dict(matcher.state_dict())
        model.to(device)
        model.use(generator)
        self._recipe, self._images = recipe, pairs.images
        self._order = EpochOrder(len(pairs.images), recipe.batch_size, recipe.seed)
        sounds = generated_sounds(generator, matcher.features, recipe.pool)
        self._normal = to_normal(sounds.latents).to(device)
        self._matcher = model.matcher.eval()
        with torch.no_grad():
            parts = [
                self._matcher.embed_changed(to_unit(part).to(device))
                for part in torch.split(sounds.spectrograms, _BATCH)
            ]
        self._heard = ChangedSounds(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))
        super().__init__(
            seed=recipe.seed,
            steps=recipe.epochs * self._order.steps_per_epoch,
            steps_per_epoch=self._order.steps_per_epoch,
            batch_size=self._order.batch_size,
            model=model,
            modules={"flow": model},
            optimizers={
                "flow": torch.optim.AdamW(
                    [*model.velocity.parameters(), model.null_condition],
                    betas=(0.9, 0.99),
                    weight_decay=0.01,
                    fused=True,
                )
            },
            shard=shard,
        )

    def begin_step(self, step: int) -> None:
        """Have the matcher, which is finished, see as it does in use."""
        del step
        self.model.matcher.eval()

    def stages(self, step: int) -> Sequence[Stage]:
        """One update of the flow."""
        rate = one_cycle(step, self.steps, self._recipe.learning_rate, warmup=0.1)
        return [Stage("flow", lambda: self._losses(step), {"flow": 1.0}, rate)]

    def _losses(self, step: int) -> Mapping[str, Tensor]:
        images = to_unit(self._images[self.shard.take(self._order.batch(step))])
        with torch.no_grad():
            clean = images.to(self.device)
            seen_clean = self._matcher.embed_images(clean)
            scores = self._matcher.calibrated_scores(self._heard, seen_clean).T
            likely = (self._recipe.sharpness * scores.float()).softmax(1)
            latents = self._normal[likely.multinomial(1).squeeze(1)]
            seen = changed_images(images) if self._recipe.augment else images
            condition = self.model.condition(seen.to(self.device))
        unseen = (torch.rand(len(images), 1) < _UNSEEN).to(self.device)
        # Without an image, latents are those of the prior, of which there is no end.
        latents = torch.where(unseen, torch.randn(latents.shape).to(self.device), latents)
        condition = torch.where(unseen, self.model.null_condition, condition)
        return {"flow": flow_loss(self.model, latents, condition)}

    def preview(self) -> Tensor:
        """Images, each above the spectrogram of what is said."""
        images, waveforms = self._said()
        levels = Spectrogram()(waveforms[:, 0].mean(1)).transpose(1, 2).flip(1)
        tall = torch.zeros(len(images), 28, levels.shape[2])
        tall[:, :, : images.shape[2]] = images
        return side_by_side(torch.cat([tall, levels], 1))

    def preview_sound(self) -> Sound:
        """What is said of these images, one after the other."""
        waveforms = self._said()[1][:, 0]
        return Sound(waveforms.transpose(0, 1).flatten(1), self.model.generator.sample_rate)

    def _said(self) -> tuple[Tensor, Tensor]:
        chosen = torch.arange(_PREVIEWED) * len(self._images) // _PREVIEWED
        images = to_unit(self._images[chosen])
        return images, self.model.say_batch(images, samples=1)[1]
