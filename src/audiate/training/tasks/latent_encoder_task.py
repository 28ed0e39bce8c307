"""Train an encoder from sound to the latent of a generator."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from audiate.audio.files import to_peak
from audiate.audio.spectrograms import Spectrogram
from audiate.data.sounds import SoundSet, list_sounds
from audiate.data.sources import data_root
from audiate.inversion.inverter import latent_bounds
from audiate.inversion.objectives import LevelTerm, PerceptualTerm, Term
from audiate.models.configs import LatentEncoderConfig
from audiate.models.fingerprint import digest, fingerprint
from audiate.models.gan_layers import SOFT
from audiate.models.generator import AudioGAN, DraftingGenerator, Generator, generate
from audiate.models.latent_encoder import LatentEncoder
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.training.augment import shifted
from audiate.training.batches import EvenOrder, of_steps, scheduled
from audiate.training.batches import generator as seeded
from audiate.training.initial import begin_with
from audiate.training.loop import fit
from audiate.training.options import RunOptions
from audiate.training.recipes.encoders import LatentEncoderRecipe
from audiate.training.task import Prepared, Shard, Sound, Stage, Task
from audiate.utils.plots import Axes, tiles

_SHOWN = 8
# The later part of training begins at the first of these shares of the steps, and is in full effect
# from the second on. In it waveforms are compared, as phases lead astray before levels are nearly
# right, and statistics settle.
_LATE_FROM, _LATE_FULL = 0.3, 0.5
_AWAKE = 50  # steps after which latents are to depend on the sound
_SAME = ("latent_dim", "sample_rate", "num_samples", "channels", "spectrogram")
_LEAST_SPREAD = 0.05  # share of the deviation of the prior's latents


def train_encoder(
    generator: str | Path | Generator,
    out: str | Path,
    *,
    resume: bool = False,
    data_dir: str | Path | None = None,
    quiet: bool = False,
    **settings: Any,
) -> LatentEncoder:
    """Train an encoder for any generator, as ``audiate train latent-encoder`` does for ours.

    For a generator that only runs forward, the latents of generated clips are learnt, and nothing
    else is compared.

    Args:
        generator: The generator to be inverted, or its name; `audiate.wrap` makes one of a module.
            If it is a module itself, it is put on the device, in eval mode, and its parameters are
            frozen.
        out: The run's folder, as for ``audiate train``.
        resume: Go on with the run in that folder.
        data_dir: Folder of the data sets, if ``data`` names some.
        quiet: Show no progress.
        **settings: Settings of `LatentEncoderRecipe`. For instance, ``data=("drums",)`` names a
            folder of real sounds, and ``perceptual_weight=0`` does without the classifier of
            spoken digits.

    Returns:
        The trained encoder.

    Raises:
        InputError: As for `audiate.training.loop.run_recipe`.
        TypeError: There is no setting of that name.

    """
    generator = load(generator, Generator)
    # The fingerprint keeps a run from being resumed with another generator.
    name = f"{type(generator).__name__}-{digest(fingerprint(generator))}"
    recipe = replace(LatentEncoderRecipe(generator=name), **settings)
    root = data_root(None if data_dir is None else Path(data_dir))
    options = RunOptions(Path(out), resume=resume)
    folder = fit("latent-encoder", recipe, prepare(recipe, root, generator), options, quiet=quiet)
    return LatentEncoder.from_pretrained(folder)


def prepare(
    recipe: LatentEncoderRecipe, root: Path, generator: Generator | None = None
) -> Prepared:
    """Train on the generator's clips and on real ones.

    Args:
        recipe: The settings.
        root: Data folder.
        generator: Generator to be inverted, in place of the one that the recipe names.

    Raises:
        InputError: Data are missing or damaged, or a model of that name is, or a perturbation is
            too large for the generator's clips.

    """
    listed = list_sounds(recipe.data, root)
    inverted = load(recipe.generator, Generator) if generator is None else generator
    recipe.perturbation.check_fits(inverted.num_samples)
    classifier = load(recipe.classifier, DigitClassifier) if recipe.perceptual_weight else None
    read = partial(
        listed.read,
        sample_rate=inverted.sample_rate,
        speeds=recipe.perturbation.speed_perturbation,
        num_samples=inverted.num_samples,
        channels=inverted.channels,
    )
    return Prepared(
        listed.digest,
        lambda *where: LatentEncoderTask(recipe, inverted, classifier, read(), *where),
    )


class LatentEncoderTask(Task):
    """Train an encoder on a batch of real clips, then on a batch of generated clips, in each step.

    This is Keyes et al. 2020, section 4.1. For real clips only the reconstructed sound can be
    compared; for generated clips the latent can be, too. If no gradients flow through the
    generator, only latents are compared, and labels if it has any.
    """

    model: LatentEncoder
    draws_whole_batches: ClassVar[bool] = True

    def __init__(
        self,
        recipe: LatentEncoderRecipe,
        generator: Generator,
        classifier: DigitClassifier | None,
        sounds: SoundSet,
        device: torch.device,
        shard: Shard,
    ) -> None:
        """Put ``generator`` and ``classifier`` on the device and in eval mode, and freeze them."""
        torch.manual_seed(recipe.seed)
        self._recipe, self._sounds, self._generator = recipe, sounds, generator
        self._order = EvenOrder(sounds.labels, sounds.sources, recipe.batch_size, recipe.seed)
        for frozen in (generator, classifier):
            if isinstance(frozen, nn.Module):
                frozen.to(device).eval().requires_grad_(False)
        model = _build(recipe, generator, classifier).to(device)
        self._done = 0  # steps
        self._perceptual: Term | None = None
        if classifier is not None:
            self._perceptual = PerceptualTerm(
                classifier, generator.sample_rate, recipe.blocks, normalised=recipe.normalise_blocks
            ).to(device)
        self._levels = LevelTerm().to(device)
        self._drafts = generator if isinstance(generator, DraftingGenerator) else None
        self._labelled: AudioGAN | None = None
        if isinstance(generator, AudioGAN) and generator.classes and recipe.label_weight:
            self._labelled = generator
        self._real_labels = _labels_of(sounds, self._labelled.names if self._labelled else ())
        super().__init__(
            *of_steps(recipe),
            model,
            modules={"encoder": model},
            optimizers={"encoder": torch.optim.Adam(model.parameters(), fused=True)},
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

    def begin_step(self, step: int) -> None:
        """In the later part of training, normalise by running statistics if the recipe says so."""
        self._done = step + 1
        if self._recipe.settle and self._late(step) == 1:
            for norm in self._norms:
                norm.eval()

    def stages(self, step: int) -> Sequence[Stage]:
        """An update on real clips, if these can be compared, then one on generated clips."""
        recipe = self._recipe
        rate = scheduled(recipe.schedule, step, self.steps, recipe.learning_rate, warmup=0.05)
        weights = self._weights(step)
        apart = {"waveform", "label"} if self._real_labels is None else {"waveform"}
        real = {f"real_{name}": weights[name] for name in weights if name not in apart}
        every = {"latent": 1.0, **weights}
        generated = Stage("encoder", lambda: self._generated_losses(weights.keys()), every, rate)
        if not real:
            return [generated]
        if recipe.outside_weight and self._bounds is not None:
            real["real_outside"] = recipe.outside_weight
        names = weights.keys() - apart
        return [Stage("encoder", lambda: self._real_losses(step, names), real, rate), generated]

    def _weights(self, step: int) -> dict[str, float]:
        """Weights of the distances between sounds, and of labels, at this step."""
        recipe = self._recipe
        weights: dict[str, float] = {}
        if self._labelled is not None:
            weights["label"] = recipe.label_weight
        if not self._generator.differentiable or step < recipe.latents_first * self.steps:
            return weights
        if recipe.level_weight:
            weights["levels"] = recipe.level_weight
        phases_matter = self._drafts is None or self._drafts.phases_matter
        if recipe.waveform_weight and self._late(step) > 0 and phases_matter:
            weights["waveform"] = recipe.waveform_weight * self._late(step)
        if self._perceptual is not None and step % recipe.perceptual_every == 0:
            weights["perceptual"] = recipe.perceptual_weight * recipe.perceptual_every
        return weights

    def _late(self, step: int) -> float:
        """The effect of the later part of training at a step, from 0 to 1."""
        if self._recipe.init is not None:
            return 1.0
        share = (step / self.steps - _LATE_FROM) / (_LATE_FULL - _LATE_FROM)
        return min(max(share, 0.0), 1.0)

    def _real_losses(self, step: int, names: Collection[str]) -> Mapping[str, Tensor]:
        index = self._order.batch(step)
        moved = shifted(self._real(index), self._recipe.perturbation.shift)
        target = self.shard.take(moved).to(self.device)
        latent = self.model(target).float()
        losses = self._compared(latent, target, names)
        if "label" in names and self._real_labels is not None:
            losses["label"] = self._label_loss(latent, self.shard.take(self._real_labels[index]))
        if self._bounds is not None:
            # Latents of real sounds would otherwise leave the range the generator was trained in.
            losses["outside"] = (latent - latent.clamp(*self._bounds)).square().mean()
        return {f"real_{name}": loss for name, loss in losses.items()}

    def _generated_losses(self, names: Collection[str]) -> Mapping[str, Tensor]:
        z = self.shard.take(self._generator.sample_latent(self._recipe.batch_size))
        with torch.no_grad():
            target = generate(self._generator, z).float()
        found = self.model(target).float()
        losses = {"latent": (found - z).square().mean(), **self._compared(found, target, names)}
        if self._labelled is not None:
            losses["label"] = self._label_loss(found, self._labelled.labels_of(z))
        return losses

    def _label_loss(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of labels (batch,), as the largest of some entries.

        A label of -1 is none of the generator's, and costs nothing.
        """
        assert self._labelled is not None
        logits = SOFT * latent[:, : self._labelled.classes]
        labels = labels.to(latent.device)
        total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
        return total / len(labels)

    def _compared(
        self, latent: Tensor, target: Tensor, names: Collection[str]
    ) -> dict[str, Tensor]:
        """Distances called ``names`` between the sounds of latents and the target."""
        losses: dict[str, Tensor] = {}
        left = set(names) - {"label"}
        if not left:
            return losses
        if self._drafts is None:
            output = generate(self._generator, latent).float()
        else:
            draft = self._drafts.draft(latent)
            levels = self._drafts.level_distance(draft, target) if "levels" in left else None
            if levels is not None:
                losses["levels"] = levels.mean()
                left.remove("levels")
                if not left:
                    return losses
            output = self._drafts.render(draft, through_phases=False).float()
        if "levels" in left:
            losses["levels"] = _distance(self._levels, output, target)
        if "waveform" in left:
            power = target.square().mean((1, 2)).clamp_min(1e-8)
            losses["waveform"] = ((output - target).square().mean((1, 2)) / power).mean()
        if self._perceptual is not None and "perceptual" in left:
            losses["perceptual"] = _distance(self._perceptual, output, target)
        return losses

    def _real(self, index: Tensor) -> Tensor:
        return to_peak(self._sounds.waveforms(index))

    def preview(self) -> Image.Image:
        """Spectrograms of four real and four generated clips, each above its reconstruction."""
        levels = Spectrogram()(torch.cat([self._shown, self._reconstructed()]).mean(1).cpu())
        kinds = [kind for kind in ("real", "generated") for _ in range(_SHOWN // 2)]
        titles = [*kinds, *(_SHOWN * ["recovered"])]
        rate = self._generator.sample_rate
        axes = Axes(self._generator.num_samples / rate, rate / 2)
        return tiles(levels.transpose(1, 2), titles, axes, columns=_SHOWN)

    def preview_sound(self) -> Sound:
        """The same clips, each followed by its reconstruction."""
        pairs = torch.stack([self._shown, self._reconstructed()], 1).flatten(0, 1)
        return Sound(pairs.transpose(0, 1).flatten(1).cpu(), self._generator.sample_rate)

    def _reconstructed(self) -> Tensor:
        return generate(self._generator, self.model(self._shown)).float()

    def diagnose(self, means: Mapping[str, float]) -> str | None:  # noqa: ARG002
        """Report an encoder whose latents do not depend on the sound."""
        spread = self.model(self._shown).std(0).mean().item() / self._scale
        if spread < _LEAST_SPREAD and self._done >= min(_AWAKE, self.steps):
            return (
                f"deaf: latents of different clips differ {spread:.2f} times as much as the "
                f"prior's, so they do not depend on the sound. Lower `learning_rate`"
            )
        return None


def _labels_of(sounds: SoundSet, names: tuple[str, ...]) -> Tensor | None:
    """Labels (count,) as a generator's ``names`` number them, else -1; None if all would be -1."""
    numbers = [names.index(name) if name in names else -1 for name in sounds.names]
    return torch.tensor(numbers)[sounds.labels] if max(numbers, default=-1) >= 0 else None


def _build(
    recipe: LatentEncoderRecipe, generator: Generator, classifier: DigitClassifier | None
) -> LatentEncoder:
    """The encoder with its initial weights."""
    model = LatentEncoder(
        LatentEncoderConfig(
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
        begin_with(model, recipe.init, _SAME)
    elif classifier is not None and recipe.initialisation == "classifier":
        model.start_from(classifier)
    return model


def _distance(term: Term, output: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        features = term.features(target)
    return term.distance(term.features(output), features).mean()
