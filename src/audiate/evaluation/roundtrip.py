"""Round trips: sound to image to sound, image to sound to image, and imagined pairs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from audiate.audio.files import fit_length, resample
from audiate.audio.spectrograms import Spectrogram
from audiate.data.digits import load_mnist, load_validation_words
from audiate.errors import InputError, check_range
from audiate.evaluation.classifying import classify_clips, read_digits, second_classifier
from audiate.evaluation.independent import (
    MOST_JUDGED,
    JudgeTable,
    SoundsToJudge,
    judge_beside_real,
    number_judged,
)
from audiate.evaluation.said_images import say_each
from audiate.folders.imagine import imagine
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.lenet import LeNet
from audiate.models.resnet import DigitClassifier
from audiate.utils.progress import working
from audiate.utils.reports import FigureReport, make_table, percent

DEFAULT_COUNT = 300
"""Number of pairs that are imagined, and of images that are said, by default."""

_SHOWN = 10  # images and sounds of the figure, one of each digit


@dataclass(frozen=True)
class Route:
    """Scores of a route, such as sound → image → sound.

    Attributes:
        what: Name of the route.
        n: Number of items at its start.
        image: Share of the images that LeNet-5 reads as the right digit.
        sound: Share of the sounds that the classifier of spoken digits reads as the right digit.
        second_classifier: Share of the sounds whose drawing LeNet-5 reads as the right digit.
        both: Share of the items of which image and sound are right, the latter by the classifier.

    """

    what: str
    n: int
    image: float
    sound: float
    second_classifier: float
    both: float


@dataclass(frozen=True)
class Example:
    """A row of the figure: spectrograms (frames, bins) or images (28, 28), one for each digit."""

    what: str
    panels: Sequence[Tensor]


@dataclass(frozen=True)
class RoundTripReport(FigureReport):
    """Scores of round trips between sounds and images.

    Attributes:
        audio_to_image: Name of the model that draws.
        image_to_audio: Name of the model that says.
        routes: Scores of each route.
        judges: Scores of the sounds by judges that audiate did not train, or None.
        examples: Rows of the figure.

    """

    audio_to_image: str
    image_to_audio: str
    routes: Sequence[Route]
    judges: JudgeTable | None
    examples: Sequence[Example]

    def values(self) -> Mapping[str, Any]:
        """Return the names of the models, and the shares of each route."""
        return {
            "audio_to_image": self.audio_to_image,
            "image_to_audio": self.image_to_audio,
            "routes": {route.what: route for route in self.routes},
            "judges": self.judges,
        }

    def parts(self) -> Iterator[Table | str]:
        """Return the table of the judges, and one of the routes."""
        if self.judges is not None:
            yield from self.judges.parts()
        table = make_table(
            f"Right digits (%), drawn by {self.audio_to_image}, said by {self.image_to_audio}",
            *("route", "n", "images", "sounds", "sounds, by the second classifier", "both"),
        )
        for route in self.routes:
            shares = (route.image, route.sound, route.second_classifier, route.both)
            table.add_row(route.what, f"{route.n:,}", *map(percent, shares))
        yield table
        yield (
            "Sounds are those Speech Commands validation clips that are kept for reports, of "
            "held-out speakers, and images are MNIST test images. The right digit is that of the "
            "clip or the image; of imagined pairs, it is what LeNet-5 reads in the image. The "
            "second classifier draws a sound and has LeNet-5 read the drawing."
        )

    def figure(self) -> Figure:
        """Draw the examples: a row for each step, a column for each digit."""
        rows = len(self.examples)
        figure = Figure(figsize=(10, 1.05 * rows + 0.2))
        axes = figure.subplots(rows, _SHOWN)
        for row, example in zip(axes, self.examples, strict=True):
            for place, panel in zip(row, example.panels, strict=True):
                if panel.shape == (28, 28):
                    place.imshow(panel.numpy(), cmap="gray", vmin=0, vmax=1)
                else:
                    style = {"cmap": "inferno", "origin": "lower", "aspect": "auto"}
                    place.imshow(panel.T.numpy(), vmin=0, vmax=1, **style)
                place.set_xticks([])
                place.set_yticks([])
            label = row[0].set_ylabel(example.what, fontsize=8, labelpad=8)
            label.set(rotation=0, ha="right", va="center")
        figure.tight_layout(pad=0.3)
        return figure


@torch.inference_mode()
def evaluate_roundtrip(
    names: tuple[str, str],
    audio_to_image: AudioToImageModel,
    image_to_audio: ImageToAudioModel,
    classifier: DigitClassifier,
    reader: LeNet,
    root: Path,
    *,
    count: int = DEFAULT_COUNT,
    judged: int = MOST_JUDGED,
    seed: int = 0,
) -> RoundTripReport:
    """Score sound → image → sound, image → sound → image, and imagined pairs.

    Args:
        names: Names of both models, for the report.
        audio_to_image: The model that draws.
        image_to_audio: The model that says.
        classifier: The classifier of spoken digits.
        reader: The LeNet-5 that reads images.
        root: Data folder.
        count: Number of MNIST test images that are said, and of pairs that are imagined.
        judged: Largest number of clips of each row that the judges of
            `audiate.evaluation.independent` listen to; with 0, they do not.
        seed: Seed of voices and hands.

    Raises:
        InputError: The data is missing, or a value is out of range.

    """
    check_range("`count`", count, 10, 10_000)
    judged = number_judged(judged)
    trip = _RoundTrip(classifier, audio_to_image, image_to_audio, reader, seed)
    test = load_mnist(root, "test")
    images, labels = test.images[:count].float() / 255, test.labels[:count]
    made = [trip.from_sounds(root), trip.from_images(images, labels), trip.imagined(count)]
    sets = [each.sounds(trip.sample_rate) for each in made]
    return RoundTripReport(
        *names,
        [trip.score(each) for each in made],
        judge_beside_real(sets, root, 16_000, 16_384, judged, seed),
        [example for each in made for example in each.examples],
    )


class _Made(NamedTuple):
    """Images (n, 28, 28) and waveforms (n, channels, samples) of a route.

    ``digits`` (n,) are those that both mean.
    """

    what: str
    images: Tensor
    waveforms: Tensor
    digits: Tensor
    examples: Sequence[Example]

    def sounds(self, sample_rate: int) -> SoundsToJudge:
        """Return the waveforms in random order, for judges."""
        order = torch.randperm(len(self.digits), generator=torch.Generator().manual_seed(0))
        return SoundsToJudge(self.what, self.waveforms[order], sample_rate, self.digits[order])


@dataclass(frozen=True)
class _RoundTrip:
    """The models of a round trip, and the classifiers that score it."""

    classifier: DigitClassifier
    audio_to_image: AudioToImageModel
    image_to_audio: ImageToAudioModel
    reader: LeNet
    seed: int

    @property
    def sample_rate(self) -> int:
        return self.image_to_audio.sample_rate

    def from_sounds(self, root: Path) -> _Made:
        """Draw the validation clips, and say the drawings."""
        rate = self.audio_to_image.features.config.sample_rate
        with working("reading validation clips"):
            words = load_validation_words(root, rate, "reports")
        spectrograms = self.audio_to_image.features.many(words.recordings)
        random = torch.Generator().manual_seed(self.seed)
        drawn = self.audio_to_image.sample_images(spectrograms, 1, generator=random)[:, 0].cpu()
        said = say_each(self.image_to_audio, drawn, self.seed)
        shown = _first_of_each(words.labels)
        examples = [
            Example("sound", [_levels(words.recordings[index], rate) for index in shown]),
            Example("→ image", list(drawn[shown])),
            Example("→ sound", self.levels(said[shown])),
        ]
        return _Made("sound → image → sound", drawn, said, words.labels, examples)

    def from_images(self, images: Tensor, labels: Tensor) -> _Made:
        """Say images, and draw what is said; of a silent sound, nothing."""
        said = say_each(self.image_to_audio, images, self.seed)
        drawn = torch.zeros(len(said), 28, 28)
        for row, waveform in enumerate(said):
            with suppress(InputError):  # silent
                drawn[row] = self.audio_to_image.draw(
                    waveform, sample_rate=self.sample_rate, samples=1, seed=self.seed + row
                )[0]
        shown = _first_of_each(labels)
        examples = [
            Example("image", list(images[shown])),
            Example("→ sound", self.levels(said[shown])),
            Example("→ image", list(drawn[shown])),
        ]
        return _Made("image → sound → image", drawn, said, labels, examples)

    def imagined(self, count: int) -> _Made:
        """Imagine pairs; the digit of a pair is what LeNet-5 reads in its image."""
        pairs = imagine(
            count, seed=self.seed, drawer=self.audio_to_image, sayer=self.image_to_audio
        )
        digits = read_digits(self.reader, pairs.images)
        examples = [
            Example("imagined image", list(pairs.images[:_SHOWN])),
            Example("and sound", self.levels(pairs.waveforms[:_SHOWN])),
        ]
        return _Made("imagined pairs", pairs.images, pairs.waveforms, digits, examples)

    def score(self, made: _Made) -> Route:
        """Score the images and the waveforms of a route."""
        what, images, waveforms, digits, _ = made
        rate = self.sample_rate
        image = read_digits(self.reader, images) == digits
        sound = classify_clips(self.classifier, waveforms, rate).argmax(1) == digits
        second = second_classifier(self.audio_to_image, self.reader, waveforms, rate) == digits
        shares = (share.double().mean().item() for share in (image, sound, second, image & sound))
        return Route(what, len(digits), *shares)

    def levels(self, waveforms: Tensor) -> list[Tensor]:
        """Compute levels (frames, bins) of waveforms (n, channels, samples)."""
        return [_levels(waveform.mean(0), self.sample_rate) for waveform in waveforms]


def _first_of_each(labels: Tensor) -> list[int]:
    """Find the first item of each digit."""
    return [int((labels == digit).nonzero()[0]) for digit in range(_SHOWN)]


def _levels(waveform: Tensor, sample_rate: int) -> Tensor:
    """Compute levels (frames, bins) in [0, 1] of a clip of about a second."""
    second = fit_length(resample(waveform, sample_rate, 16_000), 16_384)
    found: Tensor = Spectrogram()(second.unsqueeze(0))[0]
    return found
