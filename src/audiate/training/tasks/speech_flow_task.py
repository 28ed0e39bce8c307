"""Train latent flows of sound, with labels or codes, on the latents of a codec."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import ceil
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from audiate.audio.files import to_peak
from audiate.audio.spectrograms import levels_of
from audiate.data.sounds import ListedSounds, SoundSet, list_sounds
from audiate.metrics.distribution import spread_of
from audiate.models.audio_to_image import Posterior
from audiate.models.codec import Codec
from audiate.models.configs import SpeechFlowConfig
from audiate.models.speech_flow import SpeechFlow, load_codec
from audiate.training.augment import shifted
from audiate.training.batches import EvenOrder, generator, of_steps, one_cycle
from audiate.training.initial import begin_with, load_init
from audiate.training.recipes.codecs import CodedFlowRecipe, SoundFlowRecipe, SpeechFlowRecipe
from audiate.training.task import NotYet, Prepared, Shard, Sound, Stage, Task, renew_average
from audiate.training.tasks.latent_flow_task import flow_loss
from audiate.training.tasks.word_groups import WordGroups, check_enough
from audiate.utils.plots import Axes, tiles
from audiate.utils.progress import note, tracked

_DIGIT_SAMPLES = 16_384
_LENGTHS = 4_096, 65_536  # limits of the samples of a clip of a folder
_UNCONDITIONAL = 0.3  # share of clips without their label
_CHUNK = 64
_MEASURED = 4_096  # latents of clips whose mean and deviation are measured
_WARMUP = 200  # steps
_SHOWN = 16
_COLLAPSED_SPREAD = 0.4  # relative to real clips


def prepare(recipe: SpeechFlowRecipe | CodedFlowRecipe, root: Path) -> Prepared:
    """Find the codec, and the sounds that a recipe names.

    Raises:
        InputError: There is no such codec, or data are missing or damaged.

    """
    listed = list_sounds(
        recipe.data, root, label_from=recipe.label_from, cut_words=recipe.cut_words
    )
    codec = load_codec(recipe.codec)
    num_samples = _length(recipe, listed, codec.config.sample_rate)

    def make_task(device: torch.device, shard: Shard) -> Task:
        sounds = listed.read(
            num_samples=num_samples,
            sample_rate=codec.config.sample_rate,
            speeds=recipe.speed_perturbation,
        )
        if isinstance(recipe, CodedFlowRecipe):
            return CodedFlowTask(recipe, codec, sounds, device, shard)
        return SpeechFlowTask(recipe, codec, sounds, device, shard)

    return Prepared(listed.digest, make_task)


def _length(recipe: SoundFlowRecipe, listed: ListedSounds, sample_rate: int) -> int:
    """Number of samples of a clip: that of `init` or of a spoken digit, or as suits a folder."""
    if recipe.init is not None:
        before: int = load_init(recipe.init, SpeechFlow).config.num_samples
        return before
    if listed.folder is None:
        return _DIGIT_SAMPLES
    least, most = _LENGTHS
    samples = ceil(listed.form().seconds * sample_rate / least) * least
    found = min(max(samples, least), most)
    note(f"{listed.folder}: clips of {found / sample_rate:.2f} s, as suits its files")
    return found


class SpeechFlowTask(Task):
    """Train the velocity network of a `SpeechFlow` by `flow_loss`; the codec stays as it is.

    All clips are encoded once. A step draws latents of their posteriors, so that the flow learns
    the latents that the codec's decoder was trained on. The model that a run writes holds the
    moving average of the weights.
    """

    model: SpeechFlow

    def __init__(
        self,
        recipe: SoundFlowRecipe,
        codec: Codec,
        sounds: SoundSet,
        device: torch.device,
        shard: Shard,
    ) -> None:
        torch.manual_seed(recipe.seed)
        labelled = isinstance(recipe, SpeechFlowRecipe) and recipe.use_labels
        names = sounds.names if labelled and len(sounds.names) > 1 else ()
        labels = sounds.labels if names else torch.zeros_like(sounds.labels)
        model = SpeechFlow(
            SpeechFlowConfig(
                codec.config,
                len(names),
                names,
                recipe.code,
                num_samples=sounds.samples.shape[2],
                width=recipe.width,
                blocks=recipe.blocks,
                dropout=recipe.dropout,
            )
        )
        begin_with(model, recipe.init, free=("velocity.of_condition.weight", "code_network."))
        model.codec.load_state_dict(codec.state_dict())
        model.to(device)
        self._recipe, self._labels = recipe, labels
        self._velocity = deepcopy(model.velocity)
        self._order = EvenOrder(labels, sounds.sources, recipe.batch_size, recipe.seed)
        self._posterior = encode_clips(
            model.codec,
            sounds,
            recipe.variants,
            shift=min(recipe.shift, sounds.samples.shape[2] // 4),
            seed=recipe.seed,
        )
        self._variants = len(self._posterior.mu) // len(labels)
        every = EvenOrder(labels, sounds.sources, _MEASURED, recipe.seed).batch(0)
        model.scale.measure(Posterior(*(each[every].to(device) for each in self._posterior)))
        super().__init__(
            *of_steps(recipe),
            model,
            modules={"model": model, "velocity": self._velocity},
            optimizers={
                "flow": torch.optim.AdamW(
                    self._velocity.parameters(),
                    betas=(0.9, 0.99),
                    weight_decay=recipe.weight_decay,
                    fused=True,
                )
            },
            shard=shard,
        )
        self._latents = model.sample_latent(_SHOWN, generator=generator(recipe.seed, 1))
        real = sounds.waveforms(EvenOrder(labels, sounds.sources, 64, recipe.seed).batch(0))
        self._real_spread = spread_of(levels_of(real[:, 0]))

    def stages(self, step: int) -> Sequence[Stage]:
        """One update of the velocity network."""
        rate = one_cycle(
            step, self.steps, self._recipe.learning_rate, warmup=min(_WARMUP / self.steps, 0.2)
        )
        return [Stage("flow", lambda: self._losses(step), {"flow": 1.0}, rate)]

    def _losses(self, step: int) -> Mapping[str, Tensor]:
        index = self.shard.take(self._order.batch(step))
        variant = torch.randint(self._variants, (len(index),)) * len(self._labels)
        posterior = Posterior(*(each[index + variant] for each in self._posterior))
        drawn = posterior.sample(torch.randn(posterior.mu.shape)).to(self.device)
        labels = torch.where(torch.rand(len(index)) < _UNCONDITIONAL, -1, self._labels[index])
        condition = self.model.condition(labels.to(self.device))
        if not self.model.label_dim:
            condition = torch.zeros_like(condition)
        return {"flow": flow_loss(self._velocity, self.model.scale.flatten(drawn), condition)}

    def end_step(self, step: int) -> None:
        """Renew the moving average of the weights."""
        renew_average(self.model.velocity, self._velocity, step, self._recipe.average_halflife)

    def preview(self) -> Image.Image:
        """Spectrograms of 16 generated clips."""
        levels = levels_of(self.model(self._latents)[:, 0])
        titles, rate = [f"sound {number}" for number in range(_SHOWN)], self.model.sample_rate
        return tiles(levels, titles, Axes(self.model.num_samples / rate, rate / 2))

    def preview_sound(self) -> Sound:
        """The same 16 clips, one after the other."""
        return Sound(self.model(self._latents).flatten(1).view(1, -1).cpu(), self.model.sample_rate)

    def diagnose(self, means: Mapping[str, float]) -> str | None:  # noqa: ARG002
        """Report clips that are all alike."""
        spread = spread_of(levels_of(self.model(self._latents)[:, 0])) / self._real_spread
        if spread < _COLLAPSED_SPREAD:
            return NotYet(
                f"the clips differ {spread:.2f} times as much as real ones. Train for more "
                f"`steps`, or see what the clips hold"
            )
        return None


class CodedFlowTask(SpeechFlowTask):
    """Train a flow whose condition is a code, without labels.

    The clips are sorted into groups of like words in the first step (`WordGroups`). A group's
    number is the code of its clips, and the Q-network is the one that has learnt the groups.
    """

    def __init__(
        self,
        recipe: CodedFlowRecipe,
        codec: Codec,
        sounds: SoundSet,
        device: torch.device,
        shard: Shard,
    ) -> None:
        check_enough(len(sounds.labels), recipe.codes, "or ask for fewer `codes`")
        super().__init__(recipe, codec, sounds, device, shard)
        self._coded, self._sounds, self._sorted = recipe, sounds, False
        self._groups = self.modules["groups"] = WordGroups(len(sounds.labels))
        self._latents = self.model.sample_latent(
            _SHOWN, generator=generator(recipe.seed, 1), labels=torch.arange(_SHOWN) % recipe.codes
        )

    def begin_step(self, step: int) -> None:
        """Sort the clips into groups, where that is not done yet."""
        super().begin_step(step)
        if self._sorted:
            return
        recipe, network = self._coded, self.model.code_network
        assert network is not None
        sounds, head = self._groups.sort(
            self._sounds, network, recipe.code, voices=recipe.voices, seed=recipe.seed
        )
        if head is not None:
            network.head.load_state_dict(head.state_dict())
        self._labels, self._sorted = sounds.labels, True
        self._order = EvenOrder(sounds.labels, sounds.sources, recipe.batch_size, recipe.seed)


@torch.no_grad()
def encode_clips(
    codec: Codec, sounds: SoundSet, variants: int, *, shift: int, seed: int
) -> Posterior:
    """Encode all clips several times, each time moved by another number of samples.

    Args:
        codec: The codec.
        sounds: The clips, which are brought to one peak.
        variants: How often each is encoded.
        shift: Largest number of samples by which a clip is moved.
        seed: Seed of the shifts.

    Returns:
        q(latents | clip) of (variants * clips, channels, frames), on the CPU: all clips once, then
        all of them again.

    """
    codec.eval()
    random = torch.random.get_rng_state()
    torch.manual_seed(seed)
    every = torch.split(torch.arange(len(sounds.labels)).repeat(variants), _CHUNK)
    parts = []
    for index in tracked(every, "encoding clips"):
        clips = shifted(to_peak(sounds.waveforms(index)), shift)
        parts.append([each.cpu() for each in codec.encode(clips.to(codec.device))])
    torch.random.set_rng_state(random)
    mu, logvar = (torch.cat(each) for each in zip(*parts, strict=True))
    return Posterior(mu, logvar)
