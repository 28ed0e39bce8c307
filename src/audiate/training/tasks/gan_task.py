"""Train WaveGAN and SpecGAN."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from PIL import Image
from torch import Tensor
from torch.optim.swa_utils import update_bn

from audiate.audio.files import to_peak
from audiate.audio.spectrograms import Spectrogram
from audiate.data.sounds import ListedSounds, SoundSet, list_sounds
from audiate.metrics.distribution import spread_of
from audiate.models.configs import AudioGANSizes, SpecGANConfig, SpecGANSizes
from audiate.models.generator import AudioGAN
from audiate.models.specgan import SpecGAN
from audiate.training.augment import shifted
from audiate.training.batches import EvenOrder, of_steps
from audiate.training.batches import generator as seeded
from audiate.training.initial import load_init
from audiate.training.losses import (
    discriminator_loss,
    gradient_penalty,
    non_saturating_loss,
    r1_penalty,
)
from audiate.training.recipes.gans import AudioGANRecipe, LabelledGANRecipe
from audiate.training.task import NotYet, Prepared, Shard, Sound, Stage, Task, renew_average
from audiate.training.tasks.gan_networks import build, set_levels, sized
from audiate.utils.plots import Axes, tiles
from audiate.utils.progress import note

R = TypeVar("R", bound=AudioGANRecipe)

_JUDGED = 64  # clips that alarms are based on
_SHOWN = 16
_TITLES = [f"sound {number}" for number in range(_SHOWN)]
_STANDING = 50  # batches of latents that statistics of the averaged weights are measured on
# Limits of the alarms:
_SILENT_RMS = 1e-3  # of full scale
_AWAKE = 500  # steps after which silence is an alarm; the moving average may need as many to sound
_CLIPPED = 0.05  # share of samples at full scale, of which real clips have hardly any
_COLLAPSED_SPREAD = 0.4  # relative to real clips
_WON = 0.995  # share of clips that the discriminator classifies as real or generated
_WON_DISTANCE = 1.25  # distance of scores over distance of clips, which is 1 with slope 1


def prepare_sounds(
    recipe: R, root: Path, task: Callable[[R, SoundSet, torch.device, Shard], Task]
) -> Prepared:
    """Find the sounds that a recipe names, which are read in the size of its networks.

    Args:
        recipe: The settings.
        root: Data folder.
        task: Builds the task from the recipe, the sounds, a device and a process's share.

    Raises:
        InputError: Data are missing or damaged.

    """
    listed = list_sounds(
        recipe.data, root, label_from=recipe.label_from, cut_words=recipe.cut_words
    )
    recipe = replace(recipe, network=fitted(recipe, listed))
    read = partial(
        listed.read,
        sample_rate=recipe.sample_rate,
        speeds=recipe.perturbation.speed_perturbation,
        num_samples=recipe.network.num_samples,
        channels=recipe.network.channels,
    )
    return Prepared(listed.digest, lambda *where: task(recipe, read(), *where))


def fitted(recipe: AudioGANRecipe, listed: ListedSounds) -> AudioGANSizes:
    """The sizes of the networks: those that the recipe leaves open suit the files, or `init`."""
    sizes = recipe.network
    if recipe.init is not None:
        before = load_init(recipe.init, AudioGAN).config
        if isinstance(sizes, SpecGANSizes) and isinstance(before, SpecGANConfig):
            sizes = replace(sizes, n_fft=sizes.n_fft or before.n_fft)
        return sized(sizes, before.channels, before.num_samples)
    form = listed.form()
    rate = recipe.sample_rate or form.rate
    found = sized(sizes, form.channels, round(form.seconds * rate))
    if listed.folder is not None:
        note(
            f"{listed.folder}: clips of {found.num_samples / rate:.2f} s ({found.num_samples:,} "
            f"samples) in {('mono', 'stereo')[found.channels - 1]} at {rate:,} Hz, as suits its "
            f"files; `num_samples`, `channels` and `sample_rate` set others"
        )
    return found


class AudioGANTask(Task):
    """Train a generator and a discriminator in turn.

    ``wgan-gp`` is the published recipe: Gulrajani et al. 2017, several critic updates for each
    update of the generator. ``r1`` is Goodfellow et al. 2014 with the gradient penalty of Mescheder
    et al. 2018, computed every so many steps (Karras et al. 2020, appendix B).

    The generator comes first in a step, since the clips that it generates then serve the
    discriminator's first update as well, except with ``wgan-gp``. The model that a run writes holds
    the moving average of the generator's weights.

    Without `use_labels` no label has any effect, on the draw of clips neither.

    Every process draws latents, labels and noise of the whole batch and takes its part. So several
    processes compute what one would, up to rounding, unless `batch_norm` is on: each process
    normalises by the statistics of its own part.
    """

    model: AudioGAN
    draws_whole_batches: ClassVar[bool] = True

    def __init__(
        self, recipe: AudioGANRecipe, sounds: SoundSet, device: torch.device, shard: Shard
    ) -> None:
        torch.manual_seed(recipe.seed)
        if not (isinstance(recipe, LabelledGANRecipe) and recipe.use_labels):
            sounds = replace(sounds, labels=torch.zeros_like(sounds.labels), names=("all",))
        self._recipe, self._sounds = recipe, sounds
        self._order = EvenOrder(sounds.labels, sounds.sources, recipe.batch_size, recipe.seed)
        model = build(recipe, sounds)
        if isinstance(model, SpecGAN) and recipe.init is None:
            every = torch.split(torch.arange(len(sounds.labels)), _JUDGED)
            set_levels(model, (self._waveforms(part) for part in every))
        model.to(device)
        live = deepcopy(model.generator) if recipe.average_halflife else model.generator
        self._generator = live
        self._drawn: tuple[Tensor, Tensor] | None = None  # generated in this step, and their labels
        self._generated: Tensor | None = None
        self._done = 0  # steps
        super().__init__(
            *of_steps(recipe),
            model,
            modules={"model": model} | ({} if live is model.generator else {"generator": live}),
            optimizers={
                name: torch.optim.Adam(
                    module.parameters(), betas=(recipe.adam_beta1, recipe.adam_beta2), fused=True
                )
                for name, module in (("generator", live), ("discriminator", model.discriminator))
            },
            shard=shard,
        )
        self._latents = model.sample_latent(_JUDGED, generator=seeded(recipe.seed, 1))
        real = EvenOrder(sounds.labels, sounds.sources, _JUDGED, recipe.seed).batch(0)
        self._real_spread = spread_of(_levels(self._waveforms(real)))

    def begin_step(self, step: int) -> None:  # noqa: ARG002
        """Forget the clips that were generated in the step before."""
        self._drawn = None

    def stages(self, step: int) -> Sequence[Stage]:
        """One update of the generator, then one or more of the discriminator."""
        recipe = self._recipe
        weights = {"discriminator": 1.0}
        penalised = step % recipe.penalty_every == 0
        if penalised:
            weights["penalty"] = recipe.penalty * recipe.penalty_every
        rate = recipe.learning_rate
        stages = [Stage("generator", self._generator_losses, {"generator": 1.0}, rate)]
        for turn in range(recipe.critic_updates):
            losses = partial(self._discriminator_losses, step, turn, penalised)
            stages.append(Stage("discriminator", losses, weights, rate))
        return stages

    def _generator_losses(self) -> Mapping[str, Tensor]:
        drawn, meant = self._draw()
        self._drawn = drawn.detach(), meant
        scores = self._scores(drawn, meant)
        wasserstein = self._recipe.loss == "wgan-gp"
        adversarial = (-scores if wasserstein else non_saturating_loss(scores)).mean()
        return {"generator": adversarial, **self._further_losses(drawn, meant)}

    def _further_losses(self, drawn: Tensor, meant: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Losses of the generator's output and its labels, beside the adversarial one."""
        return {}

    def _draw(self) -> tuple[Tensor, Tensor]:
        """The generator's output for this process's part of a batch of latents, and its labels."""
        z = self.shard.take(self.model.sample_latent(self._recipe.batch_size))
        return self._generator(z), self.model.labels_of(z)

    def _discriminator_losses(self, step: int, turn: int, penalised: bool) -> Mapping[str, Tensor]:
        if turn or self._recipe.loss == "wgan-gp":
            with torch.no_grad():
                drawn, meant = self._draw()
        else:
            assert self._drawn is not None, "the generator's stage comes first"
            drawn, meant = self._drawn
        order = step * self._recipe.critic_updates + turn
        with torch.no_grad():
            waveforms, labels = self._batch(order)
            real = self.model.analyse(waveforms)
        losses_of = self._wasserstein if self._recipe.loss == "wgan-gp" else self._non_saturating
        return losses_of(real, labels, drawn, meant, penalised)

    def _batch(self, order: int) -> tuple[Tensor, Tensor]:
        """Real clips, shifted at random, and their labels: this process's part of a batch."""
        index = self._order.batch(order)
        moved = shifted(self._waveforms(index), self._recipe.perturbation.shift)
        waveforms, labels = (self.shard.take(each) for each in (moved, self._sounds.labels[index]))
        return waveforms.to(self.device), labels.to(self.device)

    def _non_saturating(
        self, real: Tensor, labels: Tensor, drawn: Tensor, meant: Tensor, penalised: bool
    ) -> dict[str, Tensor]:
        real.requires_grad_(penalised)
        for_real, for_drawn = self._scores(real, labels), self._scores(drawn, meant)
        losses = {
            "discriminator": discriminator_loss(for_real, for_drawn).mean(),
            "told_apart": torch.cat([for_real > 0, for_drawn < 0]).float().mean(),
        }
        if penalised:
            losses["penalty"] = r1_penalty(for_real, real).mean()
        return losses

    def _wasserstein(
        self, real: Tensor, labels: Tensor, drawn: Tensor, meant: Tensor, penalised: bool
    ) -> dict[str, Tensor]:
        drawn = drawn.float()
        distance = self._scores(real, labels).mean() - self._scores(drawn, meant).mean()
        furthest = (real - drawn).square().flatten(1).sum(1).sqrt().mean()
        losses = {"discriminator": -distance, "told_apart": distance.detach() / furthest}
        if penalised:
            share = torch.rand(self._recipe.batch_size, *[1] * (real.dim() - 1))
            share = self.shard.take(share).to(real.device)
            between = (real + share * (drawn - real)).requires_grad_(True)
            losses["penalty"] = gradient_penalty(self._scores(between, labels), between).mean()
        return losses

    def _scores(self, seen: Tensor, labels: Tensor) -> Tensor:
        scores: Tensor = self.model.discriminator(seen, labels)
        return scores.float()

    def _waveforms(self, index: Tensor) -> Tensor:
        waveforms = self._sounds.waveforms(index)
        return to_peak(waveforms) if self._recipe.normalise else waveforms

    def end_step(self, step: int) -> None:
        """Renew the moving average, which is short at first, to forget the initial weights."""
        self._generated, self._done = None, step + 1
        if self._generator is not self.model.generator:
            renew_average(
                self.model.generator, self._generator, step, self._recipe.average_halflife
            )

    def end_epoch(self) -> None:
        """Measure the statistics of the averaged weights' batch norms.

        Those of the live generator belong to other weights. Brock et al. 2019 call statistics that
        are measured anew "standing".
        """
        if self._generator is self.model.generator:
            return
        random = seeded(self._recipe.seed, 2)
        size = self._recipe.batch_size
        latents = (self.model.sample_latent(size, generator=random) for _ in range(_STANDING))
        update_bn(latents, self.model.generator)
        self._generated = None

    def preview(self) -> Image.Image:
        """Spectrograms of 16 generated clips."""
        levels = _levels(self._samples()[:_SHOWN]).transpose(1, 2)
        rate = self.model.sample_rate
        return tiles(levels.cpu(), _TITLES, Axes(self.model.num_samples / rate, rate / 2))

    def preview_sound(self) -> Sound:
        """The same 16 clips, one after the other."""
        shown = self._samples()[:_SHOWN]
        return Sound(shown.transpose(0, 1).flatten(1).cpu(), self._sounds.sample_rate)

    def _samples(self) -> Tensor:
        """Waveforms of the latents that previews and alarms are based on, generated once a step."""
        if self._generated is None:
            self._generated = self.model(self._latents).float()
        return self._generated

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        """Report silence, clipping, a discriminator that has won, or clips that are all alike."""
        samples = self._samples()
        rms = samples.square().mean().sqrt().item()
        clipped = (samples.abs() > 0.999).float().mean().item()
        spread = (spread_of(_levels(samples)) / self._real_spread).item()
        remedy = "Lower `learning_rate`, or see what the clips hold; last-good, if there, is older"
        milder = "Raise `penalty`, or give it more clips"
        if rms < _SILENT_RMS and self._done >= min(_AWAKE, self.steps):
            return f"silence: the samples' level is {rms:.1g} of full scale. {remedy}"
        if clipped > _CLIPPED:
            return f"clipping: {100 * clipped:.0f} % of the samples are at full scale. {remedy}"
        if won := self._won(means["told_apart"]):
            return (
                f"the discriminator has won: {won}, so there is little to learn from it. {milder}"
            )
        if spread < _COLLAPSED_SPREAD:
            return NotYet(
                f"mode collapse: clips differ {spread:.2f} times as much as real ones. {remedy}"
            )
        return None

    def _won(self, lead: float) -> str | None:
        """A few words on the discriminator's lead, if it is too large."""
        if self._recipe.loss == "wgan-gp":
            words = f"it puts real and drawn clips {lead:.1f} times as far apart as they are"
            return words if lead >= _WON_DISTANCE else None
        return f"it tells {100 * lead:.1f} % of clips apart" if lead >= _WON else None


prepare = partial(prepare_sounds, task=AudioGANTask)


def _levels(waveforms: Tensor) -> Tensor:
    """Spectrograms (batch, frames, bins) in [0, 1] of waveforms (batch, channels, samples)."""
    levels: Tensor = Spectrogram().to(waveforms.device)(waveforms.mean(1))
    return levels
