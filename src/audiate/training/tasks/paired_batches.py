"""Batches of recordings, and of the images that are paired with them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from audiate.audio.config import LogMelConfig
from audiate.audio.log_mel import LogMel
from audiate.data.pairs import ListedOwnPairs, Pairs, list_own_pairs, list_pairs
from audiate.errors import InputError
from audiate.models.audio_to_image import AudioToImageModel, SpeechModel
from audiate.models.configs import MAX_SIZE, MIN_SIZE, SIZE_STEP, DrawingConfig
from audiate.models.pretrained import PretrainedModel
from audiate.training.augment import augmented, augmented_in_noise
from audiate.training.batches import EpochOrder
from audiate.training.initial import begin_with
from audiate.training.recipes.drawing import SizedRecipe
from audiate.training.recipes.paired import PairedRecipe
from audiate.training.task import Prepared, Shard, Task
from audiate.utils.plots import grid
from audiate.utils.progress import note

_CHUNK = 100
_PREVIEW_RECORDINGS = 16
_PREVIEW_SAMPLES = 4

Change = Literal["not", "mildly", "in noise"]
R = TypeVar("R", bound=PairedRecipe)
M = TypeVar("M", bound=PretrainedModel)
C = TypeVar("C", bound=DrawingConfig)


def prepare_pairs(
    recipe: R,
    root: Path,
    task: Callable[[R, Pairs, torch.device, Shard], Task],
    *,
    sample_rate: int = LogMelConfig.sample_rate,
) -> Prepared:
    """Pair recordings of FSDD, and of Speech Commands if asked for, with MNIST.

    With `pairs`, these take their place.

    Args:
        recipe: The settings.
        root: Data folder.
        task: Builds the task from the recipe, the pairs, a device and a process's share.
        sample_rate: Bring recordings to this rate, in Hz.

    Raises:
        InputError: Data are missing or damaged.

    """
    if recipe.pairs is not None:
        own = list_own_pairs(Path(recipe.pairs))
        shape = fitted_shape(recipe, own) if isinstance(recipe, SizedRecipe) else (28, 28)
        read = partial(own.read, sample_rate=sample_rate, seed=recipe.seed, image_shape=shape)
        return Prepared(own.digest, lambda *where: task(recipe, read(), *where))
    listed = list_pairs(root, speech_commands=recipe.speech_commands)

    def make_task(device: torch.device, shard: Shard) -> Task:
        pairs = listed.read(
            sample_rate=sample_rate, seed=recipe.seed, held_out_speaker=recipe.held_out_speaker
        )
        return task(recipe, pairs.train, device, shard)

    return Prepared(listed.digest, make_task)


def fitted_shape(recipe: SizedRecipe, own: ListedOwnPairs) -> tuple[int, ...]:
    """The shape of images: what the recipe leaves open suits the pictures."""
    form = own.form()
    longer = max(form.width, form.height) // SIZE_STEP * SIZE_STEP
    size = recipe.image_size or min(max(longer, MIN_SIZE), MAX_SIZE)
    colour = recipe.image_channels == 3 or (not recipe.image_channels and form.colour)
    if not (recipe.image_size and recipe.image_channels):
        note(
            f"{recipe.pairs}: images of {size}x{size} in {'colour' if colour else 'grey'}, as "
            f"suits its pictures; `image_size` and `image_channels` set others"
        )
    return (3, size, size) if colour else (size, size)


def sized(config: C, pairs: Pairs) -> C:
    """The settings of a model that draws images like those of pairs."""
    *colour, _, size = pairs.images.shape[1:]
    return replace(config, image_size=size, image_channels=colour[0] if colour else 1)


def begun(model: M, recipe: PairedRecipe, device: torch.device) -> M:
    """Give a model the weights of `init`, and put it on the device.

    Its kernels get the layout in which convolutions are fastest.
    """
    begin_with(model, recipe.init)
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # missing in its stubs


class MelRecordings:
    """Recordings stored as mel power, so that each batch is augmented anew at little cost."""

    def __init__(self, features: LogMel, recordings: Sequence[Tensor]) -> None:
        self.count = len(recordings)
        self._features = features
        longest = max(len(waveform) for waveform in recordings)
        frames = longest // features.config.hop_length + 1
        self._power = torch.zeros(self.count, features.config.n_mels, frames)
        for begin in range(0, self.count, _CHUNK):
            chunk = list(recordings[begin : begin + _CHUNK])
            lengths = torch.tensor([len(waveform) for waveform in chunk])
            power = features.mel_power(pad_sequence(chunk, batch_first=True), lengths)
            self._power[begin : begin + len(chunk), :, : power.shape[-1]] = power
        self._words = features.find_words(self._power)

    def spectrograms(self, recordings: Tensor, changed: Change = "not") -> Tensor:
        """Spectrograms (batch, n_mels, frames) of recordings by number (batch,)."""
        power, words = self._power[recordings], self._words[recordings]
        match changed:
            case "not":
                return self._features.view(power, words)
            case "mildly":
                return augmented(self._features, power, words)
            case "in noise":
                return augmented_in_noise(self._features, power)


class ImagesOfRecordings:
    """The images that are paired with each recording."""

    def __init__(self, pairs: Pairs) -> None:
        self._images, self._recordings = pairs.images, pairs.heard
        self._by_recording = pairs.heard.argsort(stable=True)
        self._counts = torch.bincount(pairs.heard, minlength=len(pairs.recordings))
        self._begins = self._counts.cumsum(0) - self._counts

    def several(self, pairs: Tensor, count: int) -> Tensor:
        """Each pair's image and ``count`` - 1 more images of its recording, drawn at random.

        Args:
            pairs: Numbers of pairs (batch,).
            count: Number of images for each.

        Returns:
            (batch, count, [3,] height, width), uint8.

        """
        own = self._images[pairs].unsqueeze(1)
        if count == 1:
            return own
        recordings = self._recordings[pairs]
        draw = torch.rand(len(pairs), count - 1) * self._counts[recordings].unsqueeze(1)
        others = self._by_recording[self._begins[recordings].unsqueeze(1) + draw.long()]
        return torch.cat([own, self._images[others]], 1)


class Batches:
    """Batches of a few recordings, each with several of the images that are paired with it.

    Args:
        recipe: The settings.
        pairs: Recordings and images.
        model: The model, whose front end makes the spectrograms.
        shard: The part of every batch that this process takes.
        recordings: Number of recordings in a batch. By default, as many as images of
            `images_per_recording` for each make up `batch_size`.
        least: Number of recordings that a batch is to hold for every process.
        change: How recordings are changed, if the recipe says so.

    Raises:
        InputError: A batch holds too few recordings.

    """

    def __init__(
        self,
        recipe: PairedRecipe,
        pairs: Pairs,
        model: SpeechModel,
        shard: Shard,
        *,
        recordings: int | None = None,
        least: int = 1,
        change: Change = "in noise",
    ) -> None:
        batch = min(recipe.batch_size, len(pairs.heard))
        if recordings is None:
            recordings = max(batch // recipe.images_per_recording, 1)
        if recordings < least * shard.world_size:
            raise InputError(
                f"a batch holds {recordings} recordings, too few for {shard.world_size} "
                f"processes; raise `batch_size` or lower `images_per_recording`"
            )
        self.seed = recipe.seed
        self.steps_per_epoch = max(len(pairs.heard) // batch, recipe.least_steps)
        self.sounds = MelRecordings(LogMel(model.features.config), pairs.recordings)
        self.images, self.heard = ImagesOfRecordings(pairs).several, pairs.heard
        self._order = EpochOrder(len(pairs.heard), recordings, recipe.seed)
        self.batch_size = self._order.batch_size  # recordings
        self._shard, self._device = shard, model.device
        self._change: Change = change if recipe.augment else "not"

    def pairs(self, step: int) -> Tensor:
        """Numbers of pairs (recordings,), this process's part: one for each recording."""
        return self._shard.take(self._order.batch(step))

    def spectrograms(self, pairs: Tensor) -> Tensor:
        """Spectrograms (recordings, n_mels, frames), changed at random if the recipe says so."""
        return self.sounds.spectrograms(self.heard[pairs], self._change).to(self._device)


def to_unit(images: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]."""
    return images.float() / 255


def mean_image(images: Tensor) -> Tensor:
    """The mean (batch, ...) in [0, 1] of images (batch, count, ...), uint8."""
    return images.float().sum(1) / (255 * images.shape[1])


class DrawingTask(Task):
    """A training of a model that draws recordings, by `Batches` of pairs."""

    model: AudioToImageModel
    _batches: Batches

    def preview(self) -> Tensor:
        """A picture with two recordings a row: for each the mean image, then four samples."""
        sounds = self._batches.sounds
        recordings = torch.arange(_PREVIEW_RECORDINGS) * sounds.count // _PREVIEW_RECORDINGS
        spectrograms = sounds.spectrograms(recordings).to(self.device)
        means = self.model.mean_images(spectrograms).unsqueeze(1)
        samples = self.model.sample_images(spectrograms, _PREVIEW_SAMPLES)
        return grid(torch.cat([means, samples], 1).flatten(0, 1), 2 * (1 + _PREVIEW_SAMPLES)).cpu()
