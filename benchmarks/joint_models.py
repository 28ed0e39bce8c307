"""Pairs with a codec's latents, and what is made of them: looked up among them, or by our models.

`benchmarks.multivae` compares all joint models. They know a sound by the latents of one frozen
codec, and speak through its decoder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from audiate.audio.files import fit_length, to_peak
from audiate.data.pairs import Pairs
from audiate.evaluation.said_images import say_each
from audiate.folders.imagine import imagine
from audiate.models.audio_to_image import Posterior
from audiate.models.hub import DEFAULT_GENERATOR
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import load
from audiate.models.speech_flow import LatentScale, load_codec
from audiate.training.batches import one_cycle
from audiate.training.launch import launch
from audiate.training.loop import train_step
from audiate.training.recipes.drawing import LatentFlowRecipe
from audiate.training.recipes.paired import MatchRecipe, SayRecipe
from audiate.training.task import Task
from audiate.training.tasks.dual_encoder_task import MatchTask
from audiate.training.tasks.image_to_audio_task import SayTask
from audiate.training.tasks.latent_flow_task import LatentFlowTask

NUM_SAMPLES = 16_384  # of a sound at 16 kHz
SOUND = 512  # latents of a sound
BATCH = 64
DRAWING, MATCHING = 0.5, 0.15  # shares of the minutes; the rest is for saying
DRAW = LatentFlowRecipe(
    batch_size=64,
    images_per_recording=2,
    condition_share=0.6,
    speech_commands=False,
    augment=False,
)
MATCH = MatchRecipe(speech_commands=False, augment=False)
SAY = SayRecipe(
    batch_size=32,
    width=128,
    blocks=4,
    dropout=0.0,
    speech_commands=False,
    augment=False,
    speed_perturbation=(),
    shift=0,
)
TIMED = 10  # steps, by which the length of a training is chosen

Make = Callable[["Material", "Material", "Voice", float], "Made"]
"""Trains a model on pairs for some minutes, and samples it beside test pairs."""


@dataclass(frozen=True)
class Made:
    """What a model makes: of nothing, of the test sounds, and of the test images.

    Attributes:
        images: (count, 28, 28) in [0, 1], imagined together with ``sounds``.
        sounds: (count, 1, samples).
        drawn: (count, 28, 28) in [0, 1], one of each test sound.
        said: (count, 1, samples), one of each test image.
        minutes: Processor time of the training.

    """

    images: Tensor
    sounds: Tensor
    drawn: Tensor
    said: Tensor
    minutes: float = 0.0


class Voice:
    """The codec of `speech-digits`, and a scale that makes its latents about standard normal."""

    def __init__(self) -> None:
        self.codec = load_codec(DEFAULT_GENERATOR)
        self.scale = LatentScale(self.codec.config.latent_channels)
        self.sample_rate = self.codec.config.sample_rate

    @torch.inference_mode()
    def encode(self, recordings: list[Tensor]) -> Posterior:
        """q(latents | recording) of recordings (samples,), by the codec's own scale."""
        clips = torch.stack([fit_length(each.unsqueeze(0), NUM_SAMPLES) for each in recordings])
        parts = [self.codec.encode(to_peak(part)) for part in torch.split(clips, 64)]
        return Posterior(*(torch.cat(each).clone() for each in zip(*parts, strict=True)))

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Waveforms (count, 1, samples) of scaled latents (count, 512)."""
        parts = [self.codec.decode(self.scale.unflatten(part)) for part in torch.split(latents, 32)]
        return torch.cat(parts).nan_to_num().clamp(-1, 1)


@dataclass(frozen=True)
class Material:
    """Pairs, and the codec's latents of their recordings.

    Attributes:
        pairs: Images, and recordings at the codec's sample rate.
        heard_by_ours: The same pairs, with recordings at the rate of our spectrograms.
        mean: Mean (recordings, 512) of q(latents | recording), scaled.
        deviation: Its standard deviation, likewise.

    """

    pairs: Pairs
    heard_by_ours: Pairs
    mean: Tensor
    deviation: Tensor

    @property
    def images(self) -> Tensor:
        """The images (count, 28, 28) in [0, 1]."""
        return self.pairs.images.float() / 255

    @property
    def sounds(self) -> Tensor:
        """Mean latents (count, 512) of the recording of each pair."""
        return self.mean[self.pairs.heard]

    def batches(self, size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and latents of random pairs, without end."""
        random = torch.Generator().manual_seed(0)
        while True:
            index = torch.randint(len(self.pairs.heard), (size,), generator=random)
            heard = self.pairs.heard[index]
            noise = torch.randn(size, SOUND, generator=random)
            latents = self.mean[heard] + self.deviation[heard] * noise
            yield self.pairs.images[index].float() / 255, latents


def passing(minutes: float) -> Iterator[float]:
    """The share that has passed of so many minutes of processor time, until all have."""
    begun = time.process_time()
    while (share := (time.process_time() - begun) / (60 * minutes)) < 1:
        yield share


def set_rate(optimizer: torch.optim.Optimizer, share: float, peak: float) -> None:
    """Set the learning rate of one cycle, by the share of the time that has passed."""
    for group in optimizer.param_groups:
        group["lr"] = one_cycle(round(10_000 * share), 10_000, peak)


def real(_: Material, test: Material, voice: Voice, __: float) -> Made:
    """The test pairs themselves, through the codec."""
    sounds = voice.decode(test.sounds)
    return Made(test.images, sounds, test.images, sounds)


def lookup(train: Material, test: Material, voice: Voice, _: float) -> Made:
    """Random train pairs; of a test side, the other side of the train pair with the nearest one."""
    random = torch.Generator().manual_seed(0)
    pairs, count = train.pairs, len(test.pairs.heard)
    chosen = torch.randperm(len(pairs.heard), generator=random)[:count]
    recording = torch.cdist(test.sounds, train.mean).argmin(1)
    drawn = []
    for number in recording.tolist():
        partners = (pairs.heard == number).nonzero().flatten()
        drawn.append(partners[torch.randint(len(partners), (), generator=random)])
    seen = torch.cdist(test.images.flatten(1), train.images.flatten(1)).argmin(1)
    return Made(
        train.images[chosen],
        voice.decode(train.mean[pairs.heard[chosen]]),
        train.images[torch.stack(drawn)],
        voice.decode(train.mean[pairs.heard[seen]]),
    )


def fit(task: Task, seconds: float, *, first_share: float = 0.0) -> float:
    """Train for so many seconds of processor time, as far as some steps tell how long all take.

    Args:
        task: The training.
        seconds: The time for it, that of these steps included.
        first_share: Share of the steps that belong to a first stage, whose steps are timed, too.

    Returns:
        The time that it took.

    """
    begun, each = time.process_time(), 0.0
    for share, first in ((first_share, 0), (1 - first_share, task.steps - TIMED)):
        if share:
            before = time.process_time()
            for step in range(first, first + TIMED):
                train_step(task, step)
            each += share * (time.process_time() - before) / TIMED
    left = seconds - (time.process_time() - begun)
    task.steps = max(int(left / each), 2)
    for step in range(task.steps):
        train_step(task, step)
    task.end_epoch()
    task.model.eval()
    return time.process_time() - begun


def ours(train: Material, test: Material, voice: Voice, minutes: float) -> Made:
    """Train our models one after the other on the same pairs, and sample.

    The condition network of each flow counts: the drawing model's is trained with it, and the
    saying model's is the image encoder of a dual encoder, which is trained before.
    """
    seconds = 60 * minutes
    draw = LatentFlowTask(DRAW, train.heard_by_ours, *launch("cpu"))
    used = fit(draw, DRAWING * seconds, first_share=DRAW.condition_share)
    with TemporaryDirectory() as folder:
        ears, matcher = Path(folder, "ears"), Path(folder, "matcher")
        draw.model.save_pretrained(ears)
        recipe = replace(MATCH, ears=str(ears))
        match = MatchTask(recipe, train.heard_by_ours, *launch("cpu"))
        used += fit(match, MATCHING * seconds)
        match.model.save_pretrained(matcher)
        # The recordings are encoded again here, which counts as little as for the others.
        saying = replace(SAY, matcher=str(matcher))
        say = SayTask(saying, train.pairs, *launch("cpu"), codec=voice.codec)
        used += fit(say, seconds - used)
        drawer, sayer = load(ears, LatentFlow), say.model
    count, random = len(test.pairs.heard), torch.Generator().manual_seed(0)
    with torch.inference_mode():
        pairs = imagine(count, drawer=drawer, sayer=sayer)
        spectrograms = drawer.features.many(test.heard_by_ours.recordings)[test.pairs.heard]
        drawn = drawer.sample_images(spectrograms, 1, generator=random)[:, 0]
        said = say_each(sayer, test.images, 0)
    return Made(pairs.images, pairs.waveforms, drawn, said, used / 60)
