"""Train a model that says images: a flow from images to latents of a generator."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import pad

from audiate.audio.files import prepare_speech
from audiate.audio.log_mel import LogMel
from audiate.audio.spectrograms import Spectrogram
from audiate.data.pairs import Pairs
from audiate.errors import InputError
from audiate.inversion.candidates import candidates_folder
from audiate.models.configs import ImageToAudioConfig
from audiate.models.dual_encoder import ChangedSounds, DualEncoder
from audiate.models.fingerprint import digest, fingerprint
from audiate.models.generator import AudioGAN
from audiate.models.image_to_audio import ImageToAudioModel, to_normal
from audiate.models.pretrained import load
from audiate.training.augment import changed_images
from audiate.training.batches import EpochOrder, one_cycle
from audiate.training.recipes.paired import SayRecipe
from audiate.training.task import EpochTask, Shard, Sound, Stage
from audiate.training.tasks.latent_flow_task import flow_loss
from audiate.training.tasks.paired_batches import prepare_pairs, to_unit
from audiate.utils.filesystem import replacing
from audiate.utils.plots import side_by_side
from audiate.utils.progress import tracked

_UNCONDITIONAL = 0.1  # share of conditions that are left out, so that guidance is possible
_BATCH = 500
_PREVIEWED = 8
_VERSION = 1  # of the way in which sounds are made and kept
_SEED = 0x5A7  # no usual one: clips generated with the same seed would be learnt
_GENERATED = 50


class SayTask(EpochTask):
    """Train the flow of an `ImageToAudioModel` by conditional flow matching.

    An image's latent is drawn among those of the generator's sounds, by how much likelier the image
    is with each sound than by itself, as a `DualEncoder` scores at worst of slight changes of the
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
        self._sounds = ChangedSounds(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))
        trained = [*model.velocity.parameters(), model.null_condition]
        adam = torch.optim.AdamW(trained, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        super().__init__(recipe.epochs, self._order, model, "flow", {"flow": adam}, shard)

    def begin_step(self, step: int) -> None:  # noqa: ARG002
        """Put the dual encoder, which is not trained, into eval mode."""
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
            scores = self._matcher.calibrated_scores(self._sounds, seen_clean).T
            likely = (self._recipe.sharpness * scores.float()).softmax(1)
            latents = self._normal[likely.multinomial(1).squeeze(1)]
            seen = changed_images(images) if self._recipe.augment else images
            condition = self.model.condition(seen.to(self.device))
        dropped = (torch.rand(len(images), 1) < _UNCONDITIONAL).to(self.device)
        # Without an image, latents are those of the prior, of which there is no end.
        latents = torch.where(dropped, torch.randn(latents.shape).to(self.device), latents)
        condition = torch.where(dropped, self.model.null_condition, condition)
        return {"flow": flow_loss(self.model, latents, condition)}

    def preview(self) -> Tensor:
        """Images, each above the spectrogram of its sound."""
        images, waveforms = self._said()
        levels = Spectrogram()(waveforms[:, 0].mean(1)).transpose(1, 2).flip(1)
        wide = pad(images, (0, levels.shape[2] - images.shape[2]))
        return side_by_side(torch.cat([wide, levels], 1))

    def preview_sound(self) -> Sound:
        """The sounds of these images, one after the other."""
        waveforms = self._said()[1][:, 0]
        return Sound(waveforms.transpose(0, 1).flatten(1), self.model.generator.sample_rate)

    def _said(self) -> tuple[Tensor, Tensor]:
        chosen = torch.arange(_PREVIEWED) * len(self._images) // _PREVIEWED
        images = to_unit(self._images[chosen])
        return images, self.model.say_batch(images, samples=1)[1]


prepare = partial(prepare_pairs, task=SayTask)


@dataclass(frozen=True)
class GeneratedSounds:
    """Latents of a generator, with the spectrograms of their sounds.

    Attributes:
        latents: (count, latent_dim), drawn from the prior.
        spectrograms: (count, n_mels, frames), uint8.

    """

    latents: Tensor
    spectrograms: Tensor


def generated_sounds(generator: AudioGAN, features: LogMel, count: int) -> GeneratedSounds:
    """Read the sounds of a generator from the cache folder, or make them and keep them there.

    Silent ones are left out, so there may be fewer than ``count``.

    Raises:
        InputError: All sounds are silent.

    """
    name = digest((_VERSION, digest(generator.generator), asdict(features.config), count))
    path = candidates_folder() / f"{name}-heard.safetensors"
    with suppress(OSError, SafetensorError, TypeError):  # none there, or a damaged file
        stored = GeneratedSounds(**load_file(path))
        whole = len(stored.latents) == len(stored.spectrograms)
        if whole and stored.latents.shape[1:] == (generator.latent_dim,):
            return stored
    made = _make(generator, features, count)
    # Where they cannot be written, they are made again the next time.
    with suppress(OSError, SafetensorError), replacing(path) as partial:
        save_file({name: each.contiguous() for name, each in vars(made).items()}, partial)
    return made


@torch.no_grad()
def _make(generator: AudioGAN, features: LogMel, count: int) -> GeneratedSounds:
    random = torch.Generator().manual_seed(_SEED)
    latents = generator.sample_latent(count, generator=random)
    kept, spectrograms = [], []
    parts = torch.split(latents, _GENERATED)
    what = "generating sounds, once for this generator"
    for part in tracked(parts, what, weights=[len(part) for part in parts]):
        waveforms = []
        for latent, waveform in zip(part, generator(part), strict=True):
            try:
                rate = features.config.sample_rate
                waveforms.append(prepare_speech(waveform, generator.sample_rate, rate))
            except InputError:  # silent
                continue
            kept.append(latent.cpu())
        if waveforms:
            spectrograms.append((features.many(waveforms) * 255).round().to(torch.uint8).cpu())
    if not kept:
        raise InputError("`generator`: all of its sounds are silent; train it longer")
    return GeneratedSounds(torch.stack(kept), torch.cat(spectrograms))
