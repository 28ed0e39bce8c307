"""Training an encoder from sound to the latent of a generator."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from audiate.audio import to_peak
from audiate.datasets.sounds import SoundSet
from audiate.errors import InputError
from audiate.hub import load_as
from audiate.inversion.common import latent_bounds
from audiate.inversion.objectives import LevelTerm, PerceptualTerm, Term
from audiate.models import DigitClassifier, Generator, InverseMapping, SpecGAN
from audiate.models.generator import generate
from audiate.models.inverse import InverseMappingConfig, fingerprint
from audiate.pictures import grid
from audiate.spectra import Spectrogram
from audiate.training.batches import EvenOrder
from audiate.training.recipes import InverseMappingRecipe
from audiate.training.schedules import one_cycle
from audiate.training.seeds import generator as seeded
from audiate.training.task import Heard, Phase, Shard, Task

_SHOWN = 8
# What begins late does so from here on, and fully from there on, as shares of the steps: waveforms
# are compared, as phases lead astray before levels are nearly right, and statistics settle.
_LATE_FROM, _LATE_FULL = 0.3, 0.5
_DEAF_SPREAD = 0.05  # of the deviation of the prior's latents


class InverseMappingTask(Task):
    """Keyes et al. 2020, section 4.1: a batch of real clips, then one of synthesised clips.

    Of real clips only the sound given back can be compared; of synthesised ones the latent as
    well. Where no gradients flow through the generator, only the latent is.
    """

    model: InverseMapping

    def __init__(
        self,
        recipe: InverseMappingRecipe,
        generator: Generator,
        judge: DigitClassifier | None,
        sounds: SoundSet,
        device: torch.device,
        shard: Shard,
    ) -> None:
        """Set it up; ``generator`` and ``judge`` are put on the device, in eval mode, and frozen.

        Raises:
            InputError: There are fewer clips in a batch than processes.

        """
        if recipe.batch_size < shard.world_size:
            raise InputError(
                f"--batch-size {recipe.batch_size}: too few for {shard.world_size} processes"
            )
        torch.manual_seed(recipe.seed)
        self._recipe, self._sounds, self._generator = recipe, sounds, generator
        self._order = EvenOrder(sounds.labels, sounds.sources, recipe.batch_size, recipe.seed)
        for frozen in (generator, judge):
            if isinstance(frozen, nn.Module):
                frozen.to(device).eval().requires_grad_(False)
        model = InverseMapping(
            InverseMappingConfig(
                latent_dim=generator.latent_dim,
                sample_rate=generator.sample_rate,
                num_samples=generator.num_samples,
                channels=generator.channels,
                spectrogram=recipe.spectrogram,
                generator=recipe.generator,
                fingerprint=fingerprint(generator),
            )
        )
        if recipe.init is not None:
            _adopt(model, recipe.init)
        elif judge is not None and recipe.initialisation == "judge":
            model.begin_as(judge)
        model.to(device)
        self._perceptual: Term | None = None
        if judge is not None:
            self._perceptual = PerceptualTerm(
                judge,
                generator.sample_rate,
                recipe.blocks.split("+"),
                normalised=recipe.normalise_blocks,
            )
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        super().__init__(
            seed=recipe.seed,
            steps=recipe.steps,
            steps_per_epoch=min(recipe.preview_every, recipe.steps),
            model=model,
            modules={"encoder": model},
            optimizers={"encoder": optimizer},
            shard=shard,
        )
        z = generator.sample_latent(64, generator=seeded(recipe.seed, 1))
        self._scale = z.std().item()
        self._bounds = latent_bounds(generator)
        self._norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
        with torch.no_grad():
            drawn = generate(generator, z[: _SHOWN // 2])
        real = EvenOrder(sounds.labels, sounds.sources, _SHOWN // 2, recipe.seed).batch(0)
        self._shown = torch.cat([self._real(real).to(drawn), drawn])

    def phases(self, step: int) -> Sequence[Phase]:
        """An update for each batch."""
        if self._recipe.settle and self._share(step) == 1:
            for norm in self._norms:
                norm.eval()
        rate = self._recipe.learning_rate
        if self._recipe.schedule == "one-cycle":
            rate = one_cycle(step, self.steps, rate, warmup=0.05)
        weights = self._weights(step)
        real = {f"real_{name}": weight for name, weight in weights.items() if name != "waveform"}
        if real and self._recipe.outside_weight and self._bounds is not None:
            real["real_outside"] = self._recipe.outside_weight
        phases = [
            Phase(
                "encoder",
                lambda: self._synthesised_losses(weights.keys()),
                {"latent": 1.0, **weights},
                rate,
            )
        ]
        if real:
            compared = weights.keys() - {"waveform"}
            before = Phase("encoder", lambda: self._real_losses(step, compared), real, rate)
            phases.insert(0, before)
        return phases

    def _weights(self, step: int) -> dict[str, float]:
        """Of what is compared of sounds at this step."""
        recipe = self._recipe
        weights: dict[str, float] = {}
        if not self._generator.differentiable:
            return weights
        if recipe.level_weight:
            weights["levels"] = recipe.level_weight
        share = self._share(step)
        if recipe.waveform_weight and share > 0 and not isinstance(self._generator, SpecGAN):
            weights["waveform"] = recipe.waveform_weight * share
        if self._perceptual is not None and step % recipe.perceptual_every == 0:
            weights["perceptual"] = recipe.perceptual_weight * recipe.perceptual_every
        return weights

    def _share(self, step: int) -> float:
        """From 0 to 1: how much of what begins late counts at a step."""
        if self._recipe.init is not None:
            return 1.0
        share = (step / self.steps - _LATE_FROM) / (_LATE_FULL - _LATE_FROM)
        return min(max(share, 0.0), 1.0)

    def _real_losses(self, step: int, names: Collection[str]) -> Mapping[str, Tensor]:
        index = self.shard.take(self._order.batch(step))
        target = self._real(index).to(self.device)
        latent = self.model(target).float()
        losses = self._compared(latent, target, names)
        if self._bounds is not None:
            # Real sounds would have themselves said by latents that the generator has never met.
            losses["outside"] = (latent - latent.clamp(*self._bounds)).square().mean()
        return {f"real_{name}": loss for name, loss in losses.items()}

    def _synthesised_losses(self, names: Collection[str]) -> Mapping[str, Tensor]:
        share = -(-self._recipe.batch_size // self.shard.world_size)
        z = self._generator.sample_latent(share)
        with torch.no_grad():
            target = generate(self._generator, z).float()
        found = self.model(target).float()
        return {"latent": (found - z).square().mean(), **self._compared(found, target, names)}

    def _compared(
        self, latent: Tensor, target: Tensor, names: Collection[str]
    ) -> dict[str, Tensor]:
        """How far what latents give is from the target."""
        generator, losses = self._generator, {}
        if isinstance(generator, SpecGAN):
            drawn = generator.generator(latent)
            if "levels" in names:
                # What its networks make can be compared without finding phases, the slow part.
                losses["levels"] = (drawn.float() - generator.analyse(target)).abs().mean()
            output = None
            if "perceptual" in names:
                output = generator.synthesise(drawn, through_phases=False)
        else:
            output = generate(generator, latent).float() if names else None
            if output is not None and "levels" in names:
                losses["levels"] = _distance(LevelTerm(), output, target)
            if output is not None and "waveform" in names:
                power = target.square().mean((1, 2)).clamp_min(1e-8)
                losses["waveform"] = ((output - target).square().mean((1, 2)) / power).mean()
        if output is not None and self._perceptual is not None and "perceptual" in names:
            losses["perceptual"] = _distance(self._perceptual, output, target)
        return losses

    def _real(self, index: Tensor) -> Tensor:
        return to_peak(self._sounds.waveforms(index))

    def preview(self) -> Tensor:
        """Spectrograms: four real clips, four synthesised; below each, what is given back."""
        levels = Spectrogram()(torch.cat([self._shown, self._given_back()]).mean(1).cpu())
        return grid(levels.transpose(1, 2).flip(1), _SHOWN)

    def listen(self) -> Heard:
        """The same clips, each followed by what is given back."""
        pairs = torch.stack([self._shown, self._given_back()], 1).flatten(0, 1)
        return Heard(pairs.transpose(0, 1).flatten(1).cpu(), self._generator.sample_rate)

    def _given_back(self) -> Tensor:
        return generate(self._generator, self.model(self._shown)).float()

    def diagnose(self, means: Mapping[str, float]) -> str | None:  # noqa: ARG002
        """An encoder that does not listen."""
        spread = self.model(self._shown).std(0).mean().item() / self._scale
        if spread < _DEAF_SPREAD:
            return (
                f"deaf: latents of different clips differ {spread:.2f} times as much as the "
                f"prior's, so the encoder does not listen. Lower --learning-rate"
            )
        return None


def _adopt(model: InverseMapping, source: str) -> None:
    """Take over the weights of another encoder.

    Raises:
        InputError: There is no such encoder, or it hears or tells something else.

    """
    before = load_as(source, InverseMapping, "is no encoder; give another --init")
    for name in ("latent_dim", "sample_rate", "num_samples", "channels", "spectrogram"):
        there, here = getattr(before.config, name), getattr(model.config, name)
        if there != here:
            raise InputError(f"--init {source}: {name} is {there} there and {here} here")
    model.load_state_dict(before.state_dict())


def _distance(term: Term, output: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = term.features(target)
    return term.distance(term.features(output), wanted).mean()
