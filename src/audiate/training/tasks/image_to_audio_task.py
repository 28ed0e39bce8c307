"""Train a model that says images: a flow from images to latents of a codec."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from audiate.audio.files import fit_length
from audiate.audio.spectrograms import levels_of
from audiate.data.pairs import Pairs
from audiate.data.sounds import SoundSet, at_speeds, in_16_bits
from audiate.models.audio_to_image import Posterior
from audiate.models.codec import Codec
from audiate.models.configs import ImageToAudioConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.fingerprint import weight_fingerprint
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.pretrained import load
from audiate.models.speech_flow import load_codec
from audiate.training.augment import changed_images
from audiate.training.batches import EpochOrder, of_epochs, one_cycle
from audiate.training.initial import begin_with
from audiate.training.recipes.paired import SayRecipe
from audiate.training.task import Prepared, Shard, Sound, Stage, Task, renew_average
from audiate.training.tasks.latent_flow_task import flow_loss
from audiate.training.tasks.paired_batches import prepare_pairs, to_unit
from audiate.training.tasks.speech_flow_task import encode_clips
from audiate.utils.plots import side_by_side

_UNCONDITIONAL = 0.1  # share of conditions that are left out, so that guidance is possible
_DIGIT_SAMPLES = 16_384
_LENGTHS = 4_096, 65_536  # limits of the samples of a clip of pairs of one's own
_PREVIEWED = 8


def prepare(recipe: SayRecipe, root: Path) -> Prepared:
    """Find the codec, and the pairs that a recipe names.

    Raises:
        InputError: There is no such codec, or data are missing or damaged.

    """
    codec = load_codec(recipe.codec)
    task = partial(SayTask, codec=codec)
    return prepare_pairs(recipe, root, task, sample_rate=codec.config.sample_rate)


class SayTask(Task):
    """Train the flow of an `ImageToAudioModel` by `flow_loss`; the codec stays as it is.

    A step takes images, and of each the codec's latents of the recording that it is paired with, at
    one of several speeds. The condition network is the image encoder of a `DualEncoder`, which is
    not trained further and sees each image changed at random. The model that a run writes holds the
    moving average of the velocity network's weights.
    """

    model: ImageToAudioModel

    def __init__(
        self, recipe: SayRecipe, pairs: Pairs, device: torch.device, shard: Shard, *, codec: Codec
    ) -> None:
        torch.manual_seed(recipe.seed)
        matcher = load(recipe.matcher, DualEncoder)
        config = ImageToAudioConfig(
            recipe.codec,
            codec.config,
            weight_fingerprint(codec),
            pictures="whole" if recipe.pairs else "digits",
            num_samples=_longest(pairs) if recipe.pairs else _DIGIT_SAMPLES,
            width=recipe.width,
            blocks=recipe.blocks,
            dropout=recipe.dropout,
            guidance=recipe.guidance,
        )
        model = ImageToAudioModel(config)
        begin_with(model, recipe.init)
        model.image_encoder.load_state_dict(matcher.image_encoder.state_dict())
        model.to(device)
        model.use(codec.to(device))
        self._recipe, self._images, self._heard = recipe, pairs.images, pairs.heard
        self._velocity = deepcopy(model.velocity)
        self._order = EpochOrder(
            len(pairs.images), recipe.batch_size, recipe.seed, recipe.least_steps
        )
        sounds, self._speeds = _at_speeds(pairs, recipe, config.num_samples)
        self._posterior = encode_clips(
            codec, sounds, 1, shift=min(recipe.shift, config.num_samples // 4), seed=recipe.seed
        )
        model.scale.measure(Posterior(*(each.to(device) for each in self._posterior)))
        adam = torch.optim.AdamW(
            [*self._velocity.parameters(), model.null_condition],
            betas=(0.9, 0.99),
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        modules = {"model": model, "velocity": self._velocity}
        pace = of_epochs(recipe.epochs, self._order)
        super().__init__(*pace, model, modules, {"flow": adam}, shard)

    def begin_step(self, step: int) -> None:  # noqa: ARG002
        """Put the image encoder, which is not trained, into eval mode."""
        self.model.image_encoder.eval()

    def stages(self, step: int) -> Sequence[Stage]:
        """One update of the velocity network."""
        rate = one_cycle(step, self.steps, self._recipe.learning_rate, warmup=0.05)
        return [Stage("flow", lambda: self._losses(step), {"flow": 1.0}, rate)]

    def _losses(self, step: int) -> Mapping[str, Tensor]:
        chosen = self.shard.take(self._order.batch(step))
        images = to_unit(self._images[chosen])
        if self._recipe.augment:
            images = changed_images(images)
        speed = torch.randint(self._speeds, (len(chosen),))
        clip = self._heard[chosen] * self._speeds + speed
        posterior = Posterior(*(each[clip] for each in self._posterior))
        latents = posterior.sample(torch.randn(posterior.mu.shape)).to(self.device)
        with torch.no_grad():
            condition = self.model.condition(images.to(self.device))
        dropped = (torch.rand(len(images), 1) < _UNCONDITIONAL).to(self.device)
        condition = torch.where(dropped, self.model.null_condition, condition)
        flat = self.model.scale.flatten(latents)
        return {"flow": flow_loss(self._velocity, flat, condition)}

    def end_step(self, step: int) -> None:
        """Renew the moving average of the weights."""
        renew_average(self.model.velocity, self._velocity, step, self._recipe.average_halflife)

    def preview(self) -> Tensor:
        """Images, each above the spectrogram of its sound."""
        images, waveforms = self._said()
        levels = levels_of(waveforms[:, 0, 0]).flip(1)
        wide = pad(images, (0, levels.shape[2] - images.shape[2]))
        return side_by_side(torch.cat([wide, levels], 1))

    def preview_sound(self) -> Sound:
        """The sounds of these images, one after the other."""
        return Sound(self._said()[1].reshape(1, -1), self.model.sample_rate)

    def _said(self) -> tuple[Tensor, Tensor]:
        chosen = torch.arange(_PREVIEWED) * len(self._images) // _PREVIEWED
        images = to_unit(self._images[chosen])
        return images, self.model.say_batch(images, samples=1)[1]


def _longest(pairs: Pairs) -> int:
    """Number of samples, a multiple of 1,024, that the longest of the recordings fills."""
    longest = max(len(recording) for recording in pairs.recordings)
    least, most = _LENGTHS
    return min(max(-(-longest // 1024) * 1024, least), most)


def _at_speeds(pairs: Pairs, recipe: SayRecipe, num_samples: int) -> tuple[SoundSet, int]:
    """Each recording at all speeds, one after the other, as clips; and the number of speeds."""
    rate = pairs.sample_rate
    clips = [
        in_16_bits(fit_length(played, num_samples))
        for recording in pairs.recordings
        for played in at_speeds(recording.unsqueeze(0), rate, recipe.speed_perturbation)
    ]
    samples, gains = zip(*clips, strict=True)
    nothing = torch.zeros(len(clips), dtype=torch.long)
    sounds = SoundSet(
        torch.stack(samples), nothing, nothing, ("",), rate, gains=torch.tensor(gains)
    )
    return sounds, 1 + len(recipe.speed_perturbation)
