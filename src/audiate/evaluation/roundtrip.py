"""From sound to image and back, from image to sound and back, and pairs out of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from audiate.audio.files import fit_length, resample
from audiate.audio.spectrograms import Spectrogram
from audiate.data.digits import load_mnist, load_validation_words
from audiate.errors import InputError, check_range
from audiate.evaluation.inversion_scores import classify_clips, draw_and_read
from audiate.evaluation.said_images import say_each
from audiate.evaluation.written_digits import read_digits
from audiate.folders.imagine import imagine
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.lenet import LeNet
from audiate.models.resnet import DigitClassifier
from audiate.utils.progress import working
from audiate.utils.reports import dump, make_table, render, save_figure

DEFAULT_COUNT = 300
"""Number of pairs that are imagined, and of images that are said, by default."""

_SHOWN = 10  # images and sounds of the figure, one of each digit


@dataclass(frozen=True)
class Way:
    """What survives on a way.

    Attributes:
        what: The way, as in "sound → image → sound".
        n: Number of items at its start.
        written: Share of the images that LeNet-5 reads as what was meant.
        heard: Share of the sounds that the classifier hears as what was meant.
        second_opinion: Share of the sounds whose drawing LeNet-5 reads as what was meant.
        whole: Share of the items of which both image and sound are right, by the classifier.

    """

    what: str
    n: int
    written: float
    heard: float
    second_opinion: float
    whole: float


@dataclass(frozen=True)
class Example:
    """Rows of the figure: spectrograms (frames, bins) and images (28, 28), one for each digit."""

    what: str
    panels: Sequence[Tensor]


@dataclass(frozen=True)
class RoundTripReport:
    """What survives on the ways between sounds and images.

    Attributes:
        drawer: Name of the model that draws.
        sayer: Name of the model that says.
        ways: What survives.
        examples: Rows of the figure.

    """

    drawer: str
    sayer: str
    ways: Sequence[Way]
    examples: Sequence[Example]

    def to_json(self) -> str:
        """Return the shares of each way."""
        ways = {way.what: asdict(way) for way in self.ways}
        return dump({"drawer": self.drawer, "sayer": self.sayer, "ways": ways})

    def to_text(self) -> str:
        """Return a table of the ways."""
        table = make_table(
            f"What survives (%), drawn by {self.drawer}, said by {self.sayer}",
            *("way", "n", "image read right", "sound heard right", "by the second opinion", "both"),
        )
        for way in self.ways:
            shares = (way.written, way.heard, way.second_opinion, way.whole)
            table.add_row(way.what, f"{way.n:,}", *(f"{100 * share:.1f}" for share in shares))
        note = (
            "Sounds are the Speech Commands validation clips, of speakers that nobody heard, and "
            "images are MNIST test images. Right is what the clip or the image means; of imagined "
            "pairs, it is what LeNet-5 reads in the image. The second opinion draws a sound and "
            "has LeNet-5 read the drawing."
        )
        return render(table, note)

    def save_figure(self, path: Path) -> None:
        """Draw the examples: a row for each step, a column for each digit.

        Raises:
            InputError: The file cannot be written.

        """
        rows = len(self.examples)
        figure, axes = plt.subplots(rows, _SHOWN, figsize=(10, 1.05 * rows + 0.2))
        try:
            for row, example in zip(axes, self.examples, strict=True):
                for place, panel in zip(row, example.panels, strict=True):
                    is_image = panel.shape == (28, 28)
                    shown = panel if is_image else panel.T
                    place.imshow(
                        shown.numpy(),
                        cmap="gray" if is_image else "inferno",
                        origin="upper" if is_image else "lower",
                        aspect="equal" if is_image else "auto",
                        vmin=0,
                        vmax=1,
                    )
                    place.set_xticks([])
                    place.set_yticks([])
                row[0].set_ylabel(
                    example.what, rotation=0, ha="right", va="center", fontsize=8, labelpad=8
                )
            figure.tight_layout(pad=0.3)
            save_figure(figure, path)
        finally:
            plt.close(figure)


@torch.inference_mode()
def evaluate_roundtrip(
    names: tuple[str, str],
    drawer: AudioToImageModel,
    sayer: ImageToAudioModel,
    classifier: DigitClassifier,
    reader: LeNet,
    root: Path,
    *,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
) -> RoundTripReport:
    """Go both ways and back, and imagine pairs, and see what survives.

    Args:
        names: Names of drawer and sayer, for the report.
        drawer: The model that draws.
        sayer: The model that says.
        classifier: The classifier of spoken digits.
        reader: The LeNet-5 that reads images.
        root: Data folder.
        count: Number of MNIST test images that are said, and of pairs that are imagined.
        seed: Seed of voices and hands.

    Raises:
        InputError: The data is missing, or a value is out of range.

    """
    check_range("`count`", count, 10, 10_000)
    judge = _Judge(classifier, drawer, sayer, reader, seed)
    test = load_mnist(root, "test")
    images, labels = test.images[:count].float() / 255, test.labels[:count]
    pairs = imagine(count, seed=seed, drawer=drawer, sayer=sayer)
    meant = read_digits(reader, pairs.images)
    ways = [
        judge.from_sounds(root),
        judge.from_images(images, labels),
        (
            judge.way("imagined pairs", pairs.images, pairs.waveforms, meant),
            [
                Example("imagined image", list(pairs.images[:_SHOWN])),
                Example("and sound", judge.levels(pairs.waveforms[:_SHOWN])),
            ],
        ),
    ]
    return RoundTripReport(
        *names, [way for way, _ in ways], [each for _, examples in ways for each in examples]
    )


@dataclass(frozen=True)
class _Judge:
    classifier: DigitClassifier
    drawer: AudioToImageModel
    sayer: ImageToAudioModel
    reader: LeNet
    seed: int

    @property
    def sample_rate(self) -> int:
        return self.sayer.generator.sample_rate

    def from_sounds(self, root: Path) -> tuple[Way, list[Example]]:
        """Draw the validation clips, and say the drawings."""
        rate = self.drawer.features.config.sample_rate
        with working("reading validation clips"):
            words = load_validation_words(root, rate)
        spectrograms = self.drawer.features.many(words.recordings)
        random = torch.Generator().manual_seed(self.seed)
        drawn = self.drawer.sample_images(spectrograms, 1, generator=random)[:, 0].cpu()
        said = say_each(self.sayer, drawn, self.seed)
        shown = _first_of_each(words.labels)
        heard = [_levels(words.recordings[index], rate) for index in shown]
        return self.way("sound → image → sound", drawn, said, words.labels), [
            Example("sound", heard),
            Example("→ image", list(drawn[shown])),
            Example("→ sound", self.levels(said[shown])),
        ]

    def from_images(self, images: Tensor, labels: Tensor) -> tuple[Way, list[Example]]:
        """Say images, and draw what is said."""
        said = say_each(self.sayer, images, self.seed)
        drawn = self.draw(said)
        shown = _first_of_each(labels)
        return self.way("image → sound → image", drawn, said, labels), [
            Example("image", list(images[shown])),
            Example("→ sound", self.levels(said[shown])),
            Example("→ image", list(drawn[shown])),
        ]

    def way(self, what: str, images: Tensor, waveforms: Tensor, meant: Tensor) -> Way:
        """Score images (n, 28, 28) and waveforms (n, channels, samples) that mean some digits."""
        written = read_digits(self.reader, images).cpu() == meant
        heard = classify_clips(self.classifier, waveforms, self.sample_rate).argmax(1) == meant
        second = draw_and_read(self.drawer, self.reader, waveforms, self.sample_rate) == meant
        shares = (each.double().mean().item() for each in (written, heard, second, written & heard))
        return Way(what, len(meant), *shares)

    def draw(self, waveforms: Tensor) -> Tensor:
        """Draw each sound once: (n, 28, 28); of a silent one, nothing."""
        images = torch.zeros(len(waveforms), 28, 28)
        for row, waveform in enumerate(waveforms):
            with suppress(InputError):  # silent
                images[row] = self.drawer.draw(
                    waveform, sample_rate=self.sample_rate, samples=1, seed=self.seed + row
                )[0]
        return images

    def levels(self, waveforms: Tensor) -> list[Tensor]:
        """Levels of what is said, waveforms (n, channels, samples)."""
        return [_levels(waveform.mean(0), self.sample_rate) for waveform in waveforms]


def _first_of_each(labels: Tensor) -> list[int]:
    """Number of the first item of each digit."""
    return [int((labels == digit).nonzero()[0]) for digit in range(_SHOWN)]


def _levels(waveform: Tensor, sample_rate: int) -> Tensor:
    """Levels (frames, bins) in [0, 1] of a clip of about a second."""
    second = fit_length(resample(waveform, sample_rate, 16_000), 16_384)
    found: Tensor = Spectrogram()(second.unsqueeze(0))[0]
    return found
