"""Pairs of your own: sub-folders with sounds and images of one thing, or a CSV of pairs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from audiate.audio import is_silent, load_audio
from audiate.datasets.clips import digest_of_names
from audiate.datasets.folders import PICTURES, files_below
from audiate.datasets.pairs import Pairs
from audiate.datasets.sounds import find_sounds
from audiate.errors import InputError
from audiate.images import load_image, shrink
from audiate.progress import tracked

_COLUMNS = ("sound", "image")
_MAX_PAIRS = 1_000_000


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
        """A few words that tell these files from others."""
        names = [
            f"{number} {path.name}"
            for number, (sounds, images) in enumerate(self.groups)
            for path in (*sounds, *images)
        ]
        return digest_of_names(names)

    def read(self, *, sample_rate: int, seed: int = 0) -> Pairs:
        """Read the files, and pair every image with a sound of its group, drawn with replacement.

        Images are brought to 28x28 in grey, whatever size they have, by `audiate.images.shrink`.

        Args:
            sample_rate: Bring sounds to this rate, in Hz.
            seed: Determines the pairing.

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
            pictures.append((shrink(load_image(path)) * 255).round().to(torch.uint8))
            images[path] = number
        shown, heard = [], []
        for own_sounds, own_images in self.groups:
            picks = torch.randint(len(own_sounds), (len(own_images),), generator=random).tolist()
            shown += [images[path] for path in own_images]
            heard += [sounds[own_sounds[pick]] for pick in picks]
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
            f"{place}: holds {len(folders)} sub-folders; give two or more, each with sounds and "
            f"images of the same thing, or there is nothing to be told apart"
        )
    groups = [(find_sounds(folder), files_below(folder, PICTURES)) for folder in folders]
    return ListedOwnPairs(groups, place)


def _rows(table: Path) -> list[tuple[list[Path], list[Path]]]:
    """The pairs of a CSV file."""
    root = table.parent.resolve()
    groups = []
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
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
        raise InputError(f"{table}: holds {len(groups)} pairs; give two or more")
    return groups
