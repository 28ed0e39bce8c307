"""Generate sounds from random latents, or from given ones, into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiate.audio.files import one_shot, save_wav
from audiate.audio.spectrograms import Spectrogram
from audiate.data.folders import command_of
from audiate.data.latents import (
    Latents,
    check_entries,
    clip_names,
    parse_set,
    parse_sweep,
    read_latents,
    read_stop,
    save_csv,
    swept,
    titles_of,
    walked,
)
from audiate.data.sounds import SUFFIXES
from audiate.errors import InputError, about, check_range
from audiate.folders.invert import read_target, says_digits
from audiate.folders.latent_choice import MAX_SOUNDS, LatentChoice
from audiate.folders.no_digits import warn_of_no_digits
from audiate.folders.runner import BATCH_SIZE, name_of, numbered, replacing_outputs
from audiate.folders.sheet import SHEET_NAME
from audiate.inversion.build import inverter
from audiate.inversion.inverter import probe_prior
from audiate.models.code_network import code_names
from audiate.models.configs import CodeConfig
from audiate.models.generator import Generator, GeneratorModel, device_of, generate
from audiate.models.hub import DEFAULT_GENERATOR
from audiate.models.pretrained import load
from audiate.models.speech_flow import SpeechFlow, load_codec
from audiate.models.vocoder import Vocoded
from audiate.utils.filesystem import save_array
from audiate.utils.plots import Axes, save_image, tiles
from audiate.utils.progress import note, tracked

LATENTS_NAME = "latents.npy"
TABLE_NAME = "latents.csv"
_COLUMNS = 8  # of a sheet
_MOST_COLUMNS = 16  # of the sheet of a sweep
_MARGIN = 0.1  # of the prior's width: latents beyond its bounds by more are worth a warning


def generate_folder(
    model: str | Path | Generator = DEFAULT_GENERATOR,
    out: str | Path = "out/generate",
    *,
    count: int | None = None,
    seed: int = 0,
    label: str | int | None = None,
    interpolate: bool = False,
    walk: Sequence[str | Path] = (),
    latents: str | Path | None = None,
    set: Sequence[str] = (),
    sweep: Sequence[str] = (),
    vocoder: str | Path | None = None,
    trim: bool = False,
    device: str | torch.device = "cpu",
    name: str | None = None,
) -> Tensor:
    """Generate sounds, and write them to a folder, where they replace earlier sounds.

    Writes ``000.wav``, ``001.wav`` and so on, or the names of clips that ``latents`` holds;
    ``latents.npy``, their latents, and ``latents.csv``, the same as text; ``sheet.png``, labelled
    spectrograms (the first 64, or 256 of a sweep); and ``report.json``, the record of these files.
    The same model and seed give the same sounds, and the first ones stay when ``count`` grows.

    Args:
        model: A shipped model's name, a folder, a hub id, or any `Generator`.
        out: The folder. Only files that an earlier call has written are replaced there.
        count: As of `LatentChoice`, like the seven after it.
        seed: Seed of random latents.
        label: Label of all sounds, by name or number.
        interpolate: Whether to walk between two random latents.
        walk: Files to walk between: of latents, or recordings, whose latents are found first.
        latents: File of latents, in place of random ones.
        set: Entries that are set, as in ``["0=1", "3=-2.5"]``.
        sweep: Entries that take several values, as in ``["3=-5:5:11"]``.
        vocoder: Codec that sounds pass, so that voices do not whisper; or None.
        trim: Whether silence around each sound is cut off, and all are brought to one peak.
        device: Where to load a model that is given by name: auto, cpu or cuda.
        name: Name of the model in the record.

    Returns:
        The latents (count, latent_dim) of the sounds, on the CPU.

    Raises:
        InputError: There is no such model, label or file, settings are out of range or do not go
            together, or the folder cannot be written or holds something else.

    """
    label = None if label is None else str(label)
    stops, file = tuple(map(str, walk)), None if latents is None else Path(latents)
    choice = LatentChoice(count, seed, label, interpolate, stops, file, tuple(set), tuple(sweep))
    name, model = name or name_of(model), load(model, Generator, device=device)
    z, titles, columns = _set_and_sweep(model, _choose(model, choice), choice)
    source = f"walk {' '.join(stops)}" if stops else file or f"seed {seed}"
    settings = {"model": name, "latents": str(source)} | ({"trim": "True"} if trim else {})
    settings |= {} if vocoder is None else {"vocoder": str(vocoder)}
    sounding = model if vocoder is None else Vocoded(model, load_codec(vocoder, "vocoder"))
    names = clip_names(file, len(z)) if file else None
    _write(model, sounding, z, Path(out), settings, names, titles, columns, choice.shown)
    return z


def _write(
    model: Generator,
    sounding: Generator,
    z: Tensor,
    out: Path,
    settings: Mapping[str, str],
    clips: Sequence[str] | None,
    titles: Sequence[str] | None,
    columns: int,
    most: int,
) -> None:
    """Write the sounds of latents and all other files, with at most so many sounds on the sheet.

    The model gives titles, ``sounding`` the sounds, and clips their names, or else numbers.
    """
    names = clips or numbered(len(z))
    files = {each: [f"{each}.wav"] for each in names}
    shared = (LATENTS_NAME, TABLE_NAME, SHEET_NAME)
    with replacing_outputs(out, "generate", settings, files, shared) as stage:
        save_array(z.numpy(), stage / LATENTS_NAME)
        codes = None
        if isinstance(model, GeneratorModel) and model.code.count:
            names_of = code_names(model.code)
            codes = [names_of[code] for code in model.labels_of(z).tolist()]
        save_csv(names, z.numpy(), stage / TABLE_NAME, codes)
        levels = _write_sounds(sounding, z, names, stage, most, trim="trim" in settings)
        heads = [f"sound {name}" if name.isdecimal() else name for name in names]
        shown = _titles(model, z[: len(levels)], heads, titles)
        axes = Axes(model.num_samples / model.sample_rate, model.sample_rate / 2)
        save_image(tiles(levels, shown, axes, columns=columns), stage / SHEET_NAME)


def _choose(model: Generator, choice: LatentChoice) -> Tensor:
    """Latents (count, latent_dim), on the CPU: a walk, given ones, or random ones."""
    if choice.walk:
        stops = _stops(model, choice.walk)
        return torch.from_numpy(walked(stops, choice.wanted, spherical=_is_normal(model)))
    if choice.latents is not None:
        return _read(model, choice.latents)
    source = torch.Generator().manual_seed(choice.seed)
    label = {}
    if choice.label is not None:
        label = {"labels": torch.tensor([_number_of(model, choice.label)])}
    count = 2 if choice.interpolate else choice.wanted
    # One by one, so that the first ones stay the same.
    z = torch.cat([model.sample_latent(1, generator=source, **label) for _ in range(count)])
    if choice.interpolate:
        ends = list(z.cpu().numpy())
        return torch.from_numpy(walked(ends, choice.wanted, spherical=_is_normal(model)))
    return z.cpu()


def _stops(model: Generator, names: Sequence[str]) -> list[Latents]:
    """The latents (latent_dim,) that a walk leads over: those of recordings are found first."""
    sounds = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    found: dict[str, Latents] = {}
    if sounds:
        with about("walk"):
            clips = torch.stack([read_target(Path(name), model).waveform for name in sounds])
        invert, each = inverter(model), torch.split(clips.to(device_of(model)), 1)
        latents = [invert(clip).latent for clip in tracked(each, "inverting recordings")]
        found = dict(zip(sounds, torch.cat(latents).detach().float().cpu().numpy(), strict=True))
        if says_digits(model):
            warn_of_no_digits((name, Path(name)) for name in found)
    with about("walk"):
        read = {name: read_stop(name, model.latent_dim) for name in names if name not in found}
    stops = [{**found, **read}[name] for name in names]
    for one, other, a, b in zip(names, names[1:], stops, stops[1:], strict=False):
        if np.array_equal(a, b):
            note(f"`walk`: {one} and {other} have the same latent, so all between them is equal")
    return stops


def _is_normal(model: Generator) -> bool:
    """Whether the prior is known to be normal."""
    return isinstance(model, SpeechFlow)


def _read(model: Generator, path: Path) -> Tensor:
    """Latents (count, latent_dim) of a file, with a note if they lie far outside of the prior.

    There is none about those of `audiate invert`, which give what was searched for wherever they
    are.
    """
    z = torch.from_numpy(read_latents(path, model.latent_dim))
    if any(command_of(folder) == "invert" for folder in path.resolve().parents):
        return z
    (lows, highs), _ = probe_prior(model)
    low, high = lows.min().item(), highs.max().item()
    margin = _MARGIN * (high - low)
    if far := int(((z < low - margin) | (z > high + margin)).any(1).sum()):
        note(
            f"{path}: {far} of {len(z)} latents lie far outside of the prior, whose numbers are "
            f"within {low:.1f} to {high:.1f}; these go up to {z.abs().max():.1f}, so "
            f"expect noise"
        )
    return z


def _set_and_sweep(
    model: Generator, z: Tensor, choice: LatentChoice
) -> tuple[Tensor, Sequence[str] | None, int]:
    """Set and sweep entries of latents.

    Returns:
        Latents (count, latent_dim); their titles, None without a sweep; and the number of columns
        of their sheet.

    """
    if not choice.set and not choice.sweep:
        return z, None, _COLUMNS
    sets = [parse_set(text, model.latent_dim) for text in choice.set]
    sweeps = [parse_sweep(text, model.latent_dim) for text in choice.sweep]
    check_entries(sets, sweeps)
    total = len(z) * prod(len(sweep.values) for sweep in sweeps)
    check_range("number of sounds", total, 1, MAX_SOUNDS)
    coded = _code_of(model).size
    if any(entry < coded for entry in [*(s[0] for s in sets), *(s.entry for s in sweeps)]):
        if choice.label is not None:
            raise InputError("`label`: `set` and `sweep` give the code already; leave one out")
        z = z.clone()
        z[:, :coded] = 0
    found = swept(z.numpy(), sets, sweeps)
    if not sweeps:
        return torch.from_numpy(found), None, _COLUMNS
    columns = min(len(sweeps[-1].values), _MOST_COLUMNS)
    return torch.from_numpy(found), titles_of(found, sweeps), columns


@torch.inference_mode()
def _write_sounds(
    model: Generator, z: Tensor, names: Sequence[str], folder: Path, most: int, *, trim: bool
) -> Tensor:
    """Write a wav for each latent, and return the spectrograms of at most so many sounds."""
    spectrogram, device = Spectrogram(), device_of(model)
    shown: list[Tensor] = []
    parts, paths = torch.split(z, BATCH_SIZE), (folder / f"{name}.wav" for name in names)
    for part in tracked(parts, "generating", weights=[len(part) for part in parts]):
        waveforms = generate(model, part.to(device)).cpu()
        for waveform, path in zip(waveforms, paths, strict=False):
            shot = one_shot(waveform, model.sample_rate) if trim else waveform
            save_wav(path, shot, model.sample_rate)
        if sum(map(len, shown)) < most:
            shown.append(spectrogram(waveforms.mean(1)).transpose(1, 2))
    return torch.cat(shown)[:most]


def _titles(
    model: Generator, z: Tensor, names: Sequence[str], titles: Sequence[str] | None
) -> list[str]:
    """The titles of sounds, as in "sound 000, code 5": names with their own titles or labels."""
    labels = _labels_of(model)[1]
    if titles is None and labels:
        assert isinstance(model, GeneratorModel)
        kind = "code" if model.code.count else "label"
        numbers = model.labels_of(z).tolist()
        titles = [f"{kind} {labels[label]}" if label >= 0 else "" for label in numbers]
    named = zip(names[: len(z)], titles or [""] * len(z), strict=False)
    return [f"{name}, {title}" if title else name for name, title in named]


def _number_of(model: Generator, label: str) -> int:
    """The number of a label, which may be given by name."""
    classes, names = _labels_of(model)
    if label in names:
        return names.index(label)
    if label.isdecimal() and int(label) < classes:
        return int(label)
    listed = f" ({', '.join(names)})" if names else ""
    known = f"labels 0 to {classes - 1}{listed}" if classes else "no labels"
    raise InputError(f"`label` {label}: this model knows {known}")


def _labels_of(model: Generator) -> tuple[int, Sequence[str]]:
    """The number of labels that a model knows, and their names; 0 for a model that is not ours.

    The codes of a model with codes are its labels.
    """
    if (code := _code_of(model)).count:
        return code.count, code_names(code)
    return (model.classes, model.names) if isinstance(model, GeneratorModel) else (0, ())


def _code_of(model: Generator) -> CodeConfig:
    """The code that a model's latents begin with; one of no entries for a model without codes."""
    return model.code if isinstance(model, GeneratorModel) else CodeConfig()
