"""Pair recordings with images: spoken with written digits, or pairs of your own."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio.files import is_silent, load_audio
from audiate.data.digits import (
    Clip,
    LabelledImages,
    LabelledRecordings,
    digest_of_clips,
    digest_of_names,
    load_fsdd,
    load_mnist,
    load_speech_commands,
    read_clips,
    split_at_random,
    split_by_speaker,
)
from audiate.data.folders import PICTURES, files_below
from audiate.data.images import PictureForm, load_image, picture_form, shrink
from audiate.data.sounds import find_sounds
from audiate.errors import InputError
from audiate.utils.progress import counted, tracked


@dataclass(frozen=True)
class Pairs:
    """Images, each with a recording.

    Attributes:
        images: (count, 28, 28), uint8, or (count, [3,] height, width) of pairs of your own.
        recordings: Waveforms (samples,) at `sample_rate`.
        heard: (count,), int64, index into `recordings` for each image.
        sample_rate: In Hz.

    """

    images: Tensor
    recordings: list[Tensor]
    heard: Tensor
    sample_rate: int


@dataclass(frozen=True)
class PairedDigits:
    """Train and test pairs.

    Attributes:
        train: The pairs to train on.
        test: The pairs to test on.
        test_labels: Digits of the test images, for the final score.
        test_clips: The recordings of the test pairs.

    """

    train: Pairs
    test: Pairs
    test_labels: Tensor
    test_clips: list[Clip]


@dataclass(frozen=True)
class ListedPairs:
    """Recordings that were found but not yet read, to be paired with MNIST's images.

    Attributes:
        root: The data folder.
        clips: All recordings of FSDD.
        words: Train recordings of Speech Commands; empty if they are not used.

    """

    root: Path
    clips: list[Clip]
    words: list[Clip]

    @property
    def digest(self) -> str:
        """Digest of the recordings' names."""
        return digest_of_clips([*self.clips, *self.words])

    def read(
        self, *, sample_rate: int, seed: int = 0, held_out_speaker: str | None = None
    ) -> PairedDigits:
        """Pair every MNIST image with a recording of the same digit, drawn with replacement.

        60,000 train images get train recordings, 10,000 test images get test recordings; the
        recordings are those of FSDD, split 90/10 at random, or by speaker. Żelaszczyk 2020, "We
        apply the following procedure to combine MNIST with FSDD".

        With Speech Commands, about half of the train images of each digit that it has get one of
        its train recordings instead, so that neither data set drowns the other. The test pairs stay
        the same.

        Args:
            sample_rate: Bring recordings to this rate, in Hz.
            seed: Determines the split and the pairing.
            held_out_speaker: Test on this speaker of FSDD alone, train on the others.

        Raises:
            InputError: Data are missing or damaged, or there is no such speaker.

        """
        if held_out_speaker is None:
            train_clips, test_clips = split_at_random(self.clips, seed)
        else:
            train_clips, test_clips = split_by_speaker(self.clips, held_out_speaker)
        generator = torch.Generator().manual_seed(seed)
        train_images, test_images = load_mnist(self.root, "train"), load_mnist(self.root, "test")
        train = _align(train_images, train_clips, sample_rate, generator)
        test = _align(test_images, test_clips, sample_rate, generator)
        if self.words:  # drawn last, so that the test pairs are the same with and without them
            words = read_clips(self.words, sample_rate)
            train = _mix(train, train_images.labels, words, generator)
        return PairedDigits(train, test, test_images.labels, test_clips)


def list_pairs(root: Path, *, speech_commands: bool = False) -> ListedPairs:
    """Find the recordings to be paired with MNIST's images.

    Args:
        root: Data folder, as from `audiate.data.sources.data_root`.
        speech_commands: Train on the recordings of Speech Commands as well as on FSDD's.

    Raises:
        InputError: Recordings are missing or damaged.

    """
    clips, words = load_fsdd(root), []
    if speech_commands:
        try:
            words = load_speech_commands(root, "train")
        except InputError as error:
            raise InputError(f"{error}; or do without it: `speech_commands=False`") from error
    return ListedPairs(root, clips, words)


def load_pairs(
    root: Path,
    *,
    sample_rate: int,
    seed: int = 0,
    held_out_speaker: str | None = None,
    speech_commands: bool = False,
) -> PairedDigits:
    """Find and read pairs; see `list_pairs` and `ListedPairs.read`."""
    listed = list_pairs(root, speech_commands=speech_commands)
    return listed.read(sample_rate=sample_rate, seed=seed, held_out_speaker=held_out_speaker)


def _align(
    images: LabelledImages, clips: list[Clip], sample_rate: int, generator: torch.Generator
) -> Pairs:
    recordings = [load_audio(clip.path, sample_rate)[0] for clip in clips]
    heard = draw_same_label(images.labels, torch.tensor([c.label for c in clips]), generator)
    return Pairs(images.images, recordings, heard, sample_rate)


def _mix(
    pairs: Pairs, labels: Tensor, words: LabelledRecordings, generator: torch.Generator
) -> Pairs:
    """Pair each image whose digit is among ``words`` with one of them, at even odds."""
    toss = torch.rand(len(labels), generator=generator) < 0.5
    changed = toss & torch.isin(labels, words.labels)
    heard = pairs.heard.clone()
    heard[changed] = draw_same_label(labels[changed], words.labels, generator)
    heard[changed] += len(pairs.recordings)  # where the words begin
    return replace(pairs, recordings=[*pairs.recordings, *words.recordings], heard=heard)


def draw_same_label(labels: Tensor, choices: Tensor, generator: torch.Generator) -> Tensor:
    """Draw for each of ``labels`` the index of one of ``choices`` that is equal to it.

    Indices are drawn uniformly, with replacement. Labels and choices are (count,), int64, each of
    their own length.

    Raises:
        InputError: No choice is equal to one of the labels.

    """
    drawn = torch.empty_like(labels)
    for label in torch.unique(labels):
        same = (choices == label).nonzero().squeeze(1)
        if len(same) == 0:
            raise InputError(
                f"no recording of the digit {int(label)} on this side of the split; "
                f"try another `seed`"
            )
        wanted = labels == label
        pick = torch.randint(len(same), (int(wanted.sum()),), generator=generator)
        drawn[wanted] = same[pick]
    return drawn


_COLUMNS = ("sound", "image")
_MAX_PAIRS = 1_000_000
_LOOKED_AT = 100  # pictures, before all of them are read


@dataclass(frozen=True)
class ListedOwnPairs:
    """Sounds and images that belong together, found but not yet read.

    Attributes:
        groups: Sound files and image files, each of which belongs to any of the other side.
        root: The folder that they lie in.

    """

    groups: Sequence[tuple[Sequence[Path], Sequence[Path]]]
    root: Path

    @property
    def digest(self) -> str:
        """Digest of the files' names."""
        names = [
            f"{number} {path.name}"
            for number, (sounds, images) in enumerate(self.groups)
            for path in (*sounds, *images)
        ]
        return digest_of_names(names)

    def form(self) -> PictureForm:
        """The form of most pictures, in colour where any is, as far as some of them show.

        Raises:
            InputError: A picture cannot be read.

        """
        paths = list(dict.fromkeys(path for _, own in self.groups for path in own))
        forms = [picture_form(path) for path in paths[:: len(paths) // _LOOKED_AT + 1]]
        most = Counter((form.width, form.height) for form in forms).most_common(1)[0][0]
        return PictureForm(*most, any(form.colour for form in forms))

    def read(
        self, *, sample_rate: int, seed: int = 0, image_shape: tuple[int, ...] = (28, 28)
    ) -> Pairs:
        """Read the files, and pair every image with a sound of its group, drawn with replacement.

        Of a group with more sounds than images, every sound is paired with an image, in turn.

        Args:
            sample_rate: Bring sounds to this rate, in Hz.
            seed: Determines the pairing.
            image_shape: Bring images to this shape, by `audiate.data.images.shrink`.

        Raises:
            InputError: A file cannot be read, or is silent.

        """
        random = torch.Generator().manual_seed(seed)
        sounds = {path: 0 for own, _ in self.groups for path in own}
        images = {path: 0 for _, own in self.groups for path in own}
        recordings, pictures = [], []
        for number, path in enumerate(tracked(list(sounds), "reading sounds")):
            waveform, _ = load_audio(path, sample_rate)
            if is_silent(waveform):
                raise InputError(f"{path}: is silent; take it away")
            recordings.append(waveform)
            sounds[path] = number
        for number, path in enumerate(tracked(list(images), "reading pictures")):
            levels = shrink(load_image(path, colour=len(image_shape) == 3), image_shape)
            pictures.append((levels * 255).round().to(torch.uint8))
            images[path] = number
        shown, heard = [], []
        for own_sounds, own_images in self.groups:
            count = max(len(own_sounds), len(own_images))
            picks = torch.arange(count)
            if count == len(own_images):
                picks = torch.randint(len(own_sounds), (count,), generator=random)
            shown += [images[own_images[number % len(own_images)]] for number in range(count)]
            heard += [sounds[own_sounds[pick]] for pick in picks.tolist()]
        return Pairs(torch.stack(pictures)[shown], recordings, torch.tensor(heard), sample_rate)


def list_own_pairs(place: Path) -> ListedOwnPairs:
    """Find pairs of a user's own.

    Args:
        place: A folder, each sub-folder of which holds sounds and images of one thing, in any
            order; or a CSV file with the columns ``sound`` and ``image``, the paths of a pair,
            beside that file or below it.

    Raises:
        InputError: There is no such folder or file, or it holds no pairs.

    """
    if place.suffix.lower() == ".csv":
        return ListedOwnPairs(_rows(place), place.parent)
    if not place.is_dir():
        what = "is a file, but no .csv" if place.exists() else "no such folder or file"
        raise InputError(
            f"{place}: {what}; name with `pairs` a folder of sub-folders with sounds and images of "
            f"the same thing, or a .csv file of pairs"
        )
    folders = sorted(
        each for each in place.iterdir() if each.is_dir() and not each.name.startswith(".")
    )
    if len(folders) < 2:
        raise InputError(
            f"{place}: holds {counted(len(folders), 'sub-folder')}; give two or more, each with "
            f"sounds and images of the same thing, or there is nothing to distinguish"
        )
    groups = [(find_sounds(folder), files_below(folder, PICTURES)) for folder in folders]
    return ListedOwnPairs(groups, place)


def _rows(table: Path) -> list[tuple[list[Path], list[Path]]]:
    """Read the pairs of a CSV file."""
    root = table.parent.resolve()
    groups = []
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            rows = csv.DictReader(file, delimiter=";" if ";" in first else ",")
            if not set(_COLUMNS) <= set(rows.fieldnames or ()):
                raise InputError(f"{table}: give it the columns {' and '.join(_COLUMNS)}")
            for number, row in enumerate(rows, 2):
                paths = [root / (row[column] or "") for column in _COLUMNS]
                for path, column in zip(paths, _COLUMNS, strict=True):
                    if not path.resolve().is_relative_to(root) or not path.is_file():
                        raise InputError(
                            f"{table}, line {number}: {row[column]!r} is no {column} file beside "
                            f"the table or below it"
                        )
                groups.append(([paths[0]], [paths[1]]))
                if len(groups) > _MAX_PAIRS:
                    raise InputError(f"{table}: more than {_MAX_PAIRS:,} pairs; give fewer")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: cannot be read as a table ({error})") from error
    if len(groups) < 2:
        raise InputError(f"{table}: holds {counted(len(groups), 'pair')}; give two or more")
    return groups
