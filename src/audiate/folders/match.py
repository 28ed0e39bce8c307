"""Rank pictures for sounds, and sounds for pictures."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from audiate.audio.files import load_audio
from audiate.data.folders import PICTURES, find_files
from audiate.data.images import load_image
from audiate.data.sounds import find_clips
from audiate.errors import InputError, check_range
from audiate.folders.runner import Notify, replacing_outputs
from audiate.folders.sheet import SHEET_NAME
from audiate.models.dual_encoder import DualEncoder
from audiate.models.fingerprint import digest
from audiate.models.hub import DEFAULT_DUAL_ENCODER
from audiate.models.pretrained import load
from audiate.utils.filesystem import as_unicode, short_names, writing
from audiate.utils.plots import Panel, PanelRow, image_panel, save_panels, sound_panel
from audiate.utils.progress import counted, tracked

RANKS_NAME = "ranks.csv"
_SHEET_ROWS, _SHEET_FOUND = 50, 10
_BATCH = 200


@dataclass(frozen=True)
class Matches:
    """Scores of all pairs of sounds and pictures.

    Attributes:
        sounds: Names of the sounds.
        images: Names of the pictures.
        scores: (sounds, images): logarithms of how much likelier each two are together than each by
            itself.
        calibrated_scores: (sounds, images), by which images choose sounds: an unclear sound has no
            high one (`audiate.models.dual_encoder.DualEncoder.calibrated_scores`).

    """

    sounds: Sequence[str]
    images: Sequence[str]
    scores: Tensor
    calibrated_scores: Tensor

    def __repr__(self) -> str:
        return f"Matches of {counted(len(self.sounds), 'sound')} and " + counted(
            len(self.images), "picture"
        )

    def images_of(self, sound: int, top: int) -> list[int]:
        """Numbers of the pictures that belong to a sound, the best ones first."""
        return _best(self.scores[sound], top)

    def sounds_of(self, image: int, top: int) -> list[int]:
        """Numbers of the sounds that belong to a picture, the best ones first."""
        return _best(self.calibrated_scores[:, image], top)


def _best(scores: Tensor, top: int) -> list[int]:
    found: list[int] = scores.topk(min(top, len(scores))).indices.tolist()
    return found


def match_folders(
    sounds: str | Path | Sequence[str | Path],
    images: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | DualEncoder = DEFAULT_DUAL_ENCODER,
    top: int = 10,
    notify: Notify | None = None,
) -> Matches:
    """Rank pictures for every sound and sounds for every picture, and write both to a folder.

    Writes ``ranks.csv``, a line for each sound and each of its ``top`` pictures, then likewise for
    each picture and its sounds, with the scores and the calibrated scores of `Matches` in turn;
    ``sheet.png``, the first 50 of either with what they found; and ``report.json``, the record of
    these files.

    Args:
        sounds: Sound files, or folders of them.
        images: Picture files, or folders of them.
        out: The folder, which is made where it is missing. What an earlier call has written there
            is replaced, and nothing else.
        model: The model that matches, or its name, folder or hub id.
        top: Number of pictures for each sound, and of sounds for each picture.
        notify: It is called with the error of each file that cannot be used.

    Raises:
        InputError: There are no sounds, no pictures or no such model, or the folder cannot be
            written or holds something else.

    """
    check_range("`top`", top, 1, 10_000)
    out, model = Path(out), load(model, DualEncoder)
    given = [each if not isinstance(each, (str, Path)) else [each] for each in (sounds, images)]

    def read_sound(path: Path) -> Tensor:
        waveform, rate = load_audio(path)
        return model.preprocess(waveform, sample_rate=rate)

    def read_picture(path: Path) -> Tensor:
        return model.preprocess_image(load_image(path))

    notify = notify or (lambda _: None)
    settings = {"model": digest(model), "top": str(top)}
    with replacing_outputs(out, "match", settings, {}, (RANKS_NAME, SHEET_NAME)) as stage:
        found = _read(find_clips(given[0], out), read_sound, "reading sounds", notify)
        pictured = find_files(given[1], out, PICTURES)
        shown = _read(pictured, read_picture, "reading pictures", notify)
        if not found or not shown:
            what = "`sounds`" if not found else "`images`"
            raise InputError(f"{what}: none of these files can be used; name others")
        spectrograms, pictures = (torch.stack(list(each.values())) for each in (found, shown))
        scores = score_all(model, spectrograms, pictures)
        matches = Matches(list(found), list(shown), *scores)
        _write_ranks(matches, top, stage / RANKS_NAME)
        bands = model.features.config
        hertz = bands.f_min, bands.f_max
        _write_sheet(matches, spectrograms, pictures, hertz, stage / SHEET_NAME)
    return matches


class Scores(NamedTuple):
    """Scores of all pairs of sounds and images, as `Matches` has them."""

    scores: Tensor
    calibrated_scores: Tensor


@torch.inference_mode()
def score_all(model: DualEncoder, spectrograms: Tensor, images: Tensor) -> Scores:
    """Scores (sounds, images), on the CPU, of all pairs of spectrograms and images.

    Args:
        model: The model that matches.
        spectrograms: (sounds, n_mels, frames), as `DualEncoder.preprocess` gives them.
        images: (images, 28, 28) in [0, 1].

    """
    pictures = torch.cat(
        [model.embed_images(part.to(model.device)) for part in torch.split(images, _BATCH)]
    )
    scores, calibrated = [], []
    for part in torch.split(spectrograms, _BATCH):
        embedded = model.embed_changed(part.to(model.device))
        scores.append(model.scores(embedded.vectors[0], pictures).cpu())
        calibrated.append(model.calibrated_scores(embedded, pictures).cpu())
    return Scores(torch.cat(scores), torch.cat(calibrated))


def _read(
    files: Sequence[tuple[str, Path]],
    read: Callable[[Path], Tensor],
    what: str,
    notify: Notify,
) -> dict[str, Tensor]:
    """Read files, by path; one that cannot be used is reported and left out."""
    found = {}
    for _, path in tracked(files, what):
        try:
            found[as_unicode(path)] = read(path)
        except InputError as error:
            named = error if str(path) in str(error) else InputError(f"{path}: {error}")
            notify(named)
    return found


def _write_ranks(matches: Matches, top: int, path: Path) -> None:
    with writing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["given", "file", "rank", "found", "score"])
        sounds, images, calibrated = matches.sounds, matches.images, matches.calibrated_scores.T
        for kind, given, found, find, scores in (
            ("sound", sounds, images, matches.images_of, matches.scores),
            ("image", images, sounds, matches.sounds_of, calibrated),
        ):
            for number, name in enumerate(given):
                for rank, other in enumerate(find(number, top), 1):
                    score = f"{scores[number, other].item():.3f}"
                    table.writerow([kind, name, rank, found[other], score])


def _write_sheet(
    matches: Matches,
    spectrograms: Tensor,
    images: Tensor,
    hertz: tuple[float, float],
    path: Path,
) -> None:
    def image_of(number: int) -> Panel:
        return image_panel(images[number : number + 1])

    def sound_of(number: int) -> Panel:
        return sound_panel(spectrograms[number], hertz=hertz)

    rows = [
        PanelRow(title, [given(number), *map(other, find(number, _SHEET_FOUND))])
        for names, given, other, find in (
            (matches.sounds, sound_of, image_of, matches.images_of),
            (matches.images, image_of, sound_of, matches.sounds_of),
        )
        for number, title in enumerate(short_names(list(map(Path, names[:_SHEET_ROWS]))))
    ]
    save_panels(rows, path)
