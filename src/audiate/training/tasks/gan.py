"""Training WaveGAN and SpecGAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor

from audiate.audio import to_peak
from audiate.datasets.sounds import SoundSet
from audiate.errors import InputError
from audiate.losses import (
    discriminator_loss,
    gradient_penalty,
    non_saturating_loss,
    r1_penalty,
)
from audiate.metrics import spread_of
from audiate.models import AudioGAN, SpecGAN
from audiate.pictures import grid
from audiate.spectra import Spectrogram
from audiate.training.batches import EvenOrder
from audiate.training.recipes import AudioGANRecipe
from audiate.training.seeds import generator as seeded
from audiate.training.task import Heard, Phase, Shard, Task
from audiate.training.tasks.gan_networks import build, set_levels

_HEARD = 64  # samples that alarms judge by
_SHOWN = 16
_SILENT_RMS = 1e-3
_CLIPPED = 0.05  # of samples at full scale; real clips have hardly any
_COLLAPSED_SPREAD = 0.4  # of what real clips have
_WON = 0.995  # of clips are known for real or drawn
_WON_DISTANCE = 1.25  # of the distance between real and drawn clips; with slope 1 it would be 1


class _Health(NamedTuple):
    """Of some generated clips: loudness, share of samples at full scale, and how they differ."""

    rms: float
    clipped: float
    spread: float


class AudioGANTask(Task):
    """A generator and a discriminator take turns.

    ``wgan-gp`` is the published recipe: Gulrajani et al. 2017, several critic updates for each of
    the generator. ``r1`` is Goodfellow et al. 2014 with the gradient penalty of Mescheder et al.
    2018, computed every so many steps (Karras et al. 2020, appendix B); the drawings that the
    generator was judged by serve the discriminator as well.

    The model that a run writes holds the moving average of the generator's weights.
    """

    model: AudioGAN

    def __init__(
        self, recipe: AudioGANRecipe, sounds: SoundSet, device: torch.device, shard: Shard
    ) -> None:
        if recipe.batch_size < shard.world_size:
            raise InputError(
                f"--batch-size {recipe.batch_size}: too few for {shard.world_size} processes"
            )
        torch.manual_seed(recipe.seed)
        self._recipe, self._sounds = recipe, sounds
        self._order = EvenOrder(sounds.labels, sounds.sources, recipe.batch_size, recipe.seed)
        model = build(recipe, sounds)
        if isinstance(model, SpecGAN) and recipe.init is None:
            every = torch.split(torch.arange(len(sounds.labels)), _HEARD)
            set_levels(model, (self._waveforms(part) for part in every))
        model.to(device)
        live = deepcopy(model.generator) if recipe.average_halflife else model.generator
        self._generator = live
        self._drawn = self._meant = torch.empty(0)
        self._heard: Tensor | None = None
        super().__init__(
            seed=recipe.seed,
            steps=recipe.steps,
            steps_per_epoch=min(recipe.preview_every, recipe.steps),
            model=model,
            modules={"model": model} | ({} if live is model.generator else {"generator": live}),
            optimizers={
                name: torch.optim.Adam(
                    module.parameters(),
                    betas=(recipe.adam_beta1, recipe.adam_beta2),
                    fused=True,
                )
                for name, module in (("generator", live), ("discriminator", model.discriminator))
            },
            shard=shard,
        )
        self._latents = model.sample_latent(_HEARD, generator=seeded(recipe.seed, 1))
        real = EvenOrder(sounds.labels, sounds.sources, _HEARD, recipe.seed).batch(0)
        self._real_spread = spread_of(_levels(self._waveforms(real)))

    def phases(self, step: int) -> Sequence[Phase]:
        """One update of the generator and one or more of the discriminator."""
        recipe = self._recipe
        weights = {"discriminator": 1.0}
        penalised = step % recipe.penalty_every == 0
        if penalised:
            weights["penalty"] = recipe.penalty * recipe.penalty_every
        rate = recipe.learning_rate
        return [
            Phase("generator", self._generator_losses, {"generator": 1.0}, rate),
            *(
                Phase(
                    "discriminator",
                    lambda turn=turn: self._discriminator_losses(step, turn, penalised),  # type: ignore[misc]
                    weights,
                    rate,
                )
                for turn in range(recipe.critic_updates)
            ),
        ]

    def _generator_losses(self) -> Mapping[str, Tensor]:
        drawn, meant = self._draw()
        self._drawn, self._meant = drawn.detach(), meant
        scores = self._judge(drawn, meant)
        wasserstein = self._recipe.objective == "wgan-gp"
        loss = -scores if wasserstein else non_saturating_loss(scores)
        return {"generator": loss.mean()}

    def _draw(self) -> tuple[Tensor, Tensor]:
        """What the generator puts out for latents from the prior, and the labels they mean."""
        share = -(-self._recipe.batch_size // self.shard.world_size)
        z = self.model.sample_latent(share)
        return self._generator(z), self.model.labels_of(z)

    def _discriminator_losses(self, step: int, turn: int, penalised: bool) -> Mapping[str, Tensor]:
        if turn:  # the first turn's are those that the generator was judged by
            with torch.no_grad():
                self._drawn, self._meant = self._draw()
        order = step * self._recipe.critic_updates + turn
        index = self.shard.take(self._order.batch(order))
        with torch.no_grad():
            waveforms = self._waveforms(index).to(self.device)
            # Fourier transforms have no bf16.
            with torch.autocast(self.device.type, enabled=False):
                real = self.model.analyse(waveforms)
        labels = self._sounds.labels[index].to(self.device)
        if self._recipe.objective == "wgan-gp":
            return self._wasserstein(real, labels, penalised)
        return self._non_saturating(real, labels, penalised)

    def _non_saturating(self, real: Tensor, labels: Tensor, penalised: bool) -> dict[str, Tensor]:
        real.requires_grad_(penalised)
        for_real = self._judge(real, labels)
        for_drawn = self._judge(self._drawn, self._meant)
        told_apart = torch.cat([for_real > 0, for_drawn < 0]).float().mean()
        losses = {
            "discriminator": discriminator_loss(for_real, for_drawn[: len(for_real)]).mean(),
            "told_apart": told_apart,
        }
        if penalised:
            losses["penalty"] = r1_penalty(for_real, real).mean()
        return losses

    def _wasserstein(self, real: Tensor, labels: Tensor, penalised: bool) -> dict[str, Tensor]:
        drawn = self._drawn[: len(real)].float()
        distance = (
            self._judge(real, labels).mean() - self._judge(drawn, self._meant[: len(real)]).mean()
        )
        furthest = (real - drawn).square().flatten(1).sum(1).sqrt().mean()
        losses = {"discriminator": -distance, "told_apart": distance.detach() / furthest}
        if penalised:
            share = torch.rand(len(real), *[1] * (real.dim() - 1)).to(real.device)
            between = (real + share * (drawn - real)).requires_grad_(True)
            losses["penalty"] = gradient_penalty(self._judge(between, labels), between).mean()
        return losses

    def _judge(self, seen: Tensor, labels: Tensor) -> Tensor:
        scores: Tensor = self.model.discriminator(seen, labels)
        return scores.float()

    def _waveforms(self, index: Tensor) -> Tensor:
        waveforms = self._sounds.waveforms(index)
        return to_peak(waveforms) if self._recipe.normalise else waveforms

    def end_step(self, step: int) -> None:
        """Renew the moving average; at the beginning it is short, to forget the initial weights."""
        self._heard = None
        halflife = min(self._recipe.average_halflife, 0.1 * step)
        if self._generator is not self.model.generator:
            keep = 0.5 ** (1 / halflife) if halflife else 0.0
            with torch.no_grad():
                averages: list[Tensor] = list(self.model.generator.parameters())
                live: list[Tensor] = list(self._generator.parameters())
                torch._foreach_lerp_(averages, live, 1 - keep)
                statistics = zip(
                    self.model.generator.buffers(), self._generator.buffers(), strict=True
                )
                for average, own in statistics:
                    average.copy_(own)

    def preview(self) -> Tensor:
        """Spectrograms of 16 samples, low frequencies below."""
        levels = _levels(self._samples()[:_SHOWN])
        return grid(levels.transpose(1, 2).flip(1), _SHOWN // 2).cpu()

    def listen(self) -> Heard:
        """The same 16 samples, one after the other."""
        heard = self._samples()[:_SHOWN]
        return Heard(heard.transpose(0, 1).flatten(1).cpu(), self._sounds.sample_rate)

    def _samples(self) -> Tensor:
        """Waveforms of the latents that are looked at, generated once a look."""
        if self._heard is None:
            self._heard = self.model(self._latents).float()
        return self._heard

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        """Silence, clipping, a discriminator that has won, samples all alike."""
        health = self._health()
        remedy = "Lower --learning-rate, or see what the clips hold; last-good, if there, is older"
        milder = "Raise --penalty, or give it more clips"
        if health.rms < _SILENT_RMS:
            return f"silence: the samples' level is {health.rms:.1g} of full scale. {remedy}"
        if health.clipped > _CLIPPED:
            return (
                f"clipping: {100 * health.clipped:.0f} % of the samples are at full scale. {remedy}"
            )
        if won := self._won(means["told_apart"]):
            return (
                f"the discriminator has won: {won}, so there is little to learn from it. {milder}"
            )
        if health.spread < _COLLAPSED_SPREAD:
            return (
                f"mode collapse: clips differ {health.spread:.2f} times as much as real ones. "
                f"{remedy}"
            )
        return None

    def _won(self, told_apart: float) -> str | None:
        """How far the discriminator is ahead, if it is too far."""
        if self._recipe.objective == "wgan-gp":
            if told_apart < _WON_DISTANCE:
                return None
            return f"it puts real and drawn clips {told_apart:.1f} times as far apart as they are"
        if told_apart < _WON:
            return None
        return f"it tells {100 * told_apart:.1f} % of clips apart"

    def _health(self) -> _Health:
        heard = self._samples()
        return _Health(
            rms=heard.square().mean().sqrt().item(),
            clipped=(heard.abs() > 0.999).float().mean().item(),
            spread=(spread_of(_levels(heard)) / self._real_spread).item(),
        )


def _levels(waveforms: Tensor) -> Tensor:
    """Spectrograms (batch, frames, bins) in [0, 1] of waveforms (batch, channels, samples)."""
    levels: Tensor = Spectrogram().to(waveforms.device)(waveforms.mean(1))
    return levels
