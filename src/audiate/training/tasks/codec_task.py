"""Train the codec of speech."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from audiate.audio.pitch import F0_FLOOR, require_praat
from audiate.audio.spectrograms import levels_of
from audiate.data.sounds import SoundSet, list_sounds
from audiate.models.codec import F0_HOP_LENGTH, LAGS, Codec, everywhere, place_of_f0
from audiate.models.configs import SpecGANConfig
from audiate.models.specgan import SpecGAN
from audiate.training.batches import EvenOrder, of_steps, one_cycle
from audiate.training.initial import begin_with
from audiate.training.losses import LogMelDistance, gaussian_kl
from audiate.training.recipes.codecs import CodecRecipe
from audiate.training.task import Prepared, Shard, Sound, Stage, Task
from audiate.training.tasks.codec_discriminator import SpectrogramDiscriminators
from audiate.training.tasks.packed_words import PackedWords, find_f0
from audiate.utils.plots import Axes, tiles

_NUM_SAMPLES = 16_384
_WEIGHTS = {"levels": 1.0, "f0": 3.0, "voicing": 0.3, "pitch": 0.3}
_ADVERSARIAL = {"adversarial": 0.1, "features": 0.2}
_RATE_OF_DISCRIMINATORS = 0.2
_JUDGED_SAMPLES = 4_096  # samples of each clip that the discriminators judge
_WARMUP = 200  # steps
_SHOWN = 8
_LEAST_KL = 0.05  # nats
_SEARCHED_EVERY = 4  # steps between those in which clips are also heard with other phases
_SEARCHED = 0.3  # weight of the losses of such clips
_MIDDLE_LEVEL, _LEVELS = -10.5, 3.5  # nepers of power: all levels are within three deviations
_SMEAR = 0.06  # deviation of the noise on their spectrograms, of a range of 2


def prepare(recipe: CodecRecipe, root: Path) -> Prepared:
    """Find the sounds that a recipe names.

    Raises:
        InputError: Data are missing or damaged, or Praat is not installed.

    """
    require_praat()
    listed = list_sounds(recipe.data, root)

    def make_task(device: torch.device, shard: Shard) -> Task:
        sounds = listed.read(
            num_samples=_NUM_SAMPLES,
            sample_rate=recipe.network.sample_rate,
            speeds=recipe.speed_perturbation,
        )
        return CodecTask(recipe, sounds, device, shard)

    return Prepared(listed.digest, make_task)


class CodecTask(Task):
    """Give clips back: their levels, their F0 and their voicing, through few latents.

    While it is trained, clips are rendered with the F0 and the voicing that Praat finds; those of
    the decoder are compared with them. In the last part of the training, discriminators judge
    pieces of clips (hinge loss, and feature matching as in Kumar et al. 2019).

    In some steps the encoder also hears the clips as a generator of spectrograms would make them,
    with phases that were searched for, and is to find the latents of the clips: so the codec is a
    vocoder for such generators.
    """

    model: Codec

    def __init__(
        self, recipe: CodecRecipe, sounds: SoundSet, device: torch.device, shard: Shard
    ) -> None:
        torch.manual_seed(recipe.seed)
        model = Codec(recipe.network).to(device)
        begin_with(model, recipe.init)
        judges = SpectrogramDiscriminators().to(device)
        self._recipe, self._judges = recipe, judges
        self._distance = LogMelDistance(recipe.network.sample_rate).to(device)
        self._words = PackedWords(sounds, find_f0(sounds, F0_HOP_LENGTH))
        self._order = EvenOrder(sounds.labels, sounds.sources, 8 * recipe.batch_size, recipe.seed)
        self._searching = [_searching(recipe, bands).to(device) for bands in ("linear", "mel")]
        self._given: tuple[Tensor, Tensor] | None = None  # clips, and what was made of them
        self._first_judged = round(recipe.steps * (1 - recipe.adversarial_share))
        super().__init__(
            *of_steps(recipe),
            model,
            modules={"codec": model, "discriminators": judges},
            optimizers={
                name: torch.optim.AdamW(
                    module.parameters(), betas=(beta, 0.99), weight_decay=0.01, fused=True
                )
                for name, module, beta in (("codec", model, 0.9), ("discriminators", judges, 0.5))
            },
            shard=shard,
        )
        torch.manual_seed(recipe.seed)
        self._shown, _ = self._batch(0)

    def stages(self, step: int) -> Sequence[Stage]:
        """An update of the codec, and of the discriminators as soon as they take part."""
        recipe = self._recipe
        rate = one_cycle(
            step, self.steps, recipe.learning_rate, warmup=min(_WARMUP / self.steps, 0.2)
        )
        weights = {**_WEIGHTS, "kl": recipe.kl_weight}
        if step % _SEARCHED_EVERY == 0:
            weights["searched"] = _SEARCHED
        if step < self._first_judged:
            return [Stage("codec", lambda: self._losses(step, judged=False), weights, rate)]
        judging = _RATE_OF_DISCRIMINATORS * recipe.learning_rate
        judged = {**weights, **_ADVERSARIAL}
        return [
            Stage("codec", lambda: self._losses(step, judged=True), judged, rate),
            Stage("discriminators", self._discriminator_losses, {"discriminators": 1.0}, judging),
        ]

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Clips (batch, 1, samples) and their F0 (batch, frames): this process's part."""
        words: Iterator[int] = cycle(self._order.batch(step).tolist())
        count = len(self.shard.take(torch.arange(self._recipe.batch_size)))
        waveforms, f0 = self._words.clips(words.__next__, count)
        return waveforms.to(self.device), f0.to(self.device)

    def _losses(self, step: int, *, judged: bool) -> Mapping[str, Tensor]:
        clips, f0 = self._batch(step)
        voiced, octaves = (f0 > 0).float(), everywhere(f0).log2()
        features, logits = self.model.listen(clips)
        # In use, the encoder is given the F0 that the pitch network finds.
        posterior = self.model.encode_features(features, logits, f0 if step % 2 else None)
        noise = torch.randn(posterior.mu.shape).to(self.device)
        tracks = self.model.tracks(posterior.sample(noise))
        found = tracks.f0.log2()
        noise = torch.randn(clips.shape[0], clips.shape[2]).to(self.device)
        given = self.model.render(tracks._replace(f0=octaves.exp2()), voiced, noise)
        losses = {
            "levels": self._distance(given.squeeze(1), clips.squeeze(1)),
            "f0": ((found - octaves).abs() * voiced).sum() / voiced.sum().clamp_min(1),
            "voicing": F.binary_cross_entropy_with_logits(tracks.voicing, voiced),
            "pitch": _pitch_loss(logits, f0),
            "kl": gaussian_kl(*posterior).mean() / posterior.mu.shape[2],
        }
        if step % _SEARCHED_EVERY == 0:
            gan = self._searching[step // _SEARCHED_EVERY % len(self._searching)]
            losses["searched"] = self._searched_loss(gan, clips, f0, posterior.mu.detach())
        if judged:
            pieces = _pieces(torch.cat([clips, given], 1), _JUDGED_SAMPLES)
            real, made = pieces[:, 0].detach(), pieces[:, 1]
            self._given = real, made.detach()
            losses |= self._judges.for_generator(real, made)
        return losses

    def _searched_loss(self, gan: SpecGAN, clips: Tensor, f0: Tensor, latents: Tensor) -> Tensor:
        """The distance of what is found of clips with other phases from their latents and F0."""
        with torch.no_grad():
            drafts = gan.analyse(clips)
            drafts = drafts + _SMEAR * torch.randn(drafts.shape).to(drafts)
            heard = gan.render(drafts.clamp(-1, 1))
        features, logits = self.model.listen(heard)
        found = self.model.encode_features(features, logits).mu
        return F.smooth_l1_loss(found, latents) + _pitch_loss(logits, f0)

    def _discriminator_losses(self) -> Mapping[str, Tensor]:
        assert self._given is not None, "the codec's stage comes first"
        return {"discriminators": self._judges.loss(*self._given)}

    def preview(self) -> Image.Image:
        """Spectrograms of clips, and below them of what is made of them."""
        shown, rate = self._shown[:_SHOWN], self._recipe.network.sample_rate
        levels = levels_of(torch.cat([shown, self._given_back()])[:, 0])
        titles = [*(len(shown) * ["clip"]), *(len(shown) * ["given back"])]
        axes = Axes(shown.shape[-1] / rate, rate / 2)
        return tiles(levels, titles, axes, columns=len(shown))

    def preview_sound(self) -> Sound:
        """Clips, each followed by what is made of it."""
        both = torch.stack([self._shown[:_SHOWN], self._given_back()], 1)
        return Sound(both.flatten().unsqueeze(0).cpu(), self._recipe.network.sample_rate)

    def _given_back(self) -> Tensor:
        given: Tensor = self.model(self._shown[:_SHOWN])
        return given.float()

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        """Report sounds that do not depend on the clips, or latents that hold nothing."""
        if means["kl"] < _LEAST_KL:
            return (
                f"the latents hold {means['kl']:.2g} nats each, so all clips sound alike. Lower "
                f"`kl_weight` or `learning_rate`"
            )
        return None


def _searching(recipe: CodecRecipe, bands: Literal["linear", "mel"]) -> SpecGAN:
    """A generator of spectrograms, which is used for its search for phases alone."""
    config = SpecGANConfig(
        dim=1, sample_rate=recipe.network.sample_rate, bands=bands, discriminator=False
    )
    gan = SpecGAN(config).requires_grad_(requires_grad=False)
    gan.mean.fill_(_MIDDLE_LEVEL)
    gan.deviation.fill_(_LEVELS)
    return gan


def _pitch_loss(logits: Tensor, f0: Tensor) -> Tensor:
    """Cross-entropy between the pitch network and F0, blurred by one value (Kim et al. 2018)."""
    voiced = (f0 > 0).unsqueeze(1)
    places = torch.arange(LAGS, device=f0.device).view(1, -1, 1)
    distance = places - place_of_f0(f0.clamp_min(F0_FLOOR)).unsqueeze(1)
    values = (-0.5 * distance.square()).softmax(1) * voiced
    target = torch.cat([(~voiced).float(), values], 1)
    return -(target * logits.log_softmax(1)).sum(1).mean()


def _pieces(sounds: Tensor, length: int) -> Tensor:
    """A piece (batch, channels, length) of each of the sounds, at a random place."""
    begin = torch.randint(sounds.shape[2] - length + 1, (len(sounds),)).tolist()
    return torch.stack([each[:, at : at + length] for each, at in zip(sounds, begin, strict=True)])
