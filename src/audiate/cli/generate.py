"""`audiate generate`: generate sounds from random or given latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from tyro.conf import Positional, UseAppendAction, arg

from audiate.cli.common import Device
from audiate.cli.own import OwnGenerator
from audiate.errors import InputError, check_range
from audiate.models.hub import DEFAULT_GENERATOR
from audiate.utils.progress import note

if TYPE_CHECKING:
    from torch import Tensor

    from audiate.models.generator import Generator

SHEET_NAME = "sheet.png"
LATENTS_NAME = "latents.npy"
TABLE_NAME = "latents.csv"
_BATCH = 32
_SHEET_CLIPS = 64
_SWEPT_CLIPS = 256
_MOST_COLUMNS = 16
MAX_SOUNDS = 100_000
"""Limit of the number of sounds of one command."""
_MARGIN = 0.1  # of the prior's width: latents beyond its bounds by more are worth a warning


class Layout(NamedTuple):
    """The layout of a sheet of sounds.

    Attributes:
        columns: Number of sounds in a row.
        most: Number of sounds that are shown at most.
        titles: A title for each sound, beside its number; None gives it its label's name.

    """

    columns: int = 8
    most: int = _SHEET_CLIPS
    titles: Sequence[str] | None = None


_PLAIN = Layout()


@dataclass(frozen=True)
class Generate:
    """Generate sounds from random latents, or from latents that are set by hand.

    Writes OUT/000.wav, OUT/001.wav and so on; OUT/latents.npy with their latents (count, numbers)
    and OUT/latents.csv with the same as text; OUT/sheet.png with their spectrograms (the first 64,
    or 256 of a sweep), numbered, and labelled by the values of a sweep, or by labels or codes where
    the model has any; and OUT/report.json, the record of these files. The same model and seed give
    the same sounds, and when COUNT grows the first ones
    stay the same, but for rounding. The sounds of an earlier run in OUT are replaced once the new
    ones are complete. Files that this command has not written are never replaced.
    """

    model: Positional[Annotated[str, arg(metavar="MODEL")]] = DEFAULT_GENERATOR
    """A shipped model's name, the folder of a run or a model, or a Hugging Face hub id; or a
    generator of your own: package.module:make, an .onnx file or a TorchScript file."""
    count: int | None = None
    """Number of sounds; with --sweep, of latents that are swept. Default: 16, and 1 with --sweep.
    """
    seed: int = 0
    """Seed of the latents."""
    interpolate: bool = False
    """Walk in COUNT steps from the seed's first latent to its second, in place of new ones."""
    walk: tuple[str, ...] = ()
    """Walk in COUNT steps from the first latent of one file to that of the next, evenly over all
    files. walk.npy:7 is row 7 of a file."""
    latents: Path | None = None
    """Generate the sounds of the latents in this file, in place of random ones: an .npy file
    (count, numbers), an .npz file, or a .csv file, as `audiate invert` and this command write them.
    """
    label: str | None = None
    """Only sounds of this label, by name or number, where the model knows any: seven, or 7."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Set an entry of all latents by hand, as in --set 0=1 --set 3=-2.5. The prior does not bound
    it. Where a model has codes and one of their entries is set, the others are 0."""
    sweep: UseAppendAction[tuple[str, ...]] = ()
    """Let an entry take several values, as in --sweep 3=-5:5:11: eleven, from -5 to 5. Twice, it
    makes a grid, whose rows are those of the first."""
    device: Device = "auto"
    out: Path = Path("out/generate")
    """Folder for the sounds. It is made where it is missing."""
    own: OwnGenerator = field(default_factory=OwnGenerator)

    def __post_init__(self) -> None:
        if self.count is not None:
            check_range("`count`", self.count, 1, MAX_SOUNDS)
        check_range("`seed`", self.seed, 0, 2**63 - 1)
        if self.latents is not None and (self.interpolate or self.label is not None):
            raise InputError("`latents`: without `interpolate` and `label`; leave those out")
        if self.latents is not None and self.count is not None:
            raise InputError("`count`: the file of `latents` tells how many; leave one out")
        if self.walk and (self.interpolate or self.label is not None or self.latents is not None):
            raise InputError(
                "`walk`: without `interpolate`, `label` and `latents`; leave those out"
            )
        if len(self.walk) == 1:
            raise InputError(f"`walk` {self.walk[0]}: a walk has two ends; name another file")
        if len(self.sweep) > 2:
            raise InputError("`sweep`: two at most; a picture has two sides")
        if (self.interpolate or self.walk) and (self.count or 2) < 2:
            raise InputError("`count`: a walk has two ends; give 2 or more")

    def run(self) -> int:
        """Generate and write, and return the exit status."""
        from audiate.folders.runner import open_outputs

        settings = {
            "model": self.model,
            "latents": f"seed {self.seed}" if self.latents is None else str(self.latents),
        }
        model = self.own.open(self.model, device=self.device)
        z, layout = self._by_hand(model, self._latents(model))
        with open_outputs(
            self.out, "generate", settings, type(None), same_settings=False
        ) as outputs:
            files = {name: [f"{name}.wav"] for name in sound_names(len(z))}
            with outputs.staged(files, (LATENTS_NAME, TABLE_NAME, SHEET_NAME)) as stage:
                write_sounds(model, z, stage, layout)
        some = f" (the first {layout.most})" if len(z) > layout.most else ""
        sounds = "1 sound" if len(z) == 1 else f"{len(z)} sounds"
        print(f"{sounds} into {self.out}: see {self.out / SHEET_NAME}{some}")
        return 0

    def _latents(self, model: Generator) -> Tensor:
        """Latents (count, latent_dim): given ones, a walk, or random ones."""
        import torch

        from audiate.data.latents import read_stop, walked

        if self.walk:
            stops = [read_stop(stop, model.latent_dim) for stop in self.walk]
            return torch.from_numpy(walked(stops, self._wanted))
        return self._given_latents(model) if self.latents else self._random_latents(model)

    @property
    def _wanted(self) -> int:
        """Number of latents before they are swept."""
        return self.count or (1 if self.sweep else 16)

    def _by_hand(self, model: Generator, z: Tensor) -> tuple[Tensor, Layout]:
        """Latents with entries set by hand, and the layout of their sheet."""
        import torch

        from audiate.data.latents import check_entries, parse_set, parse_sweep, swept, titles_of

        if not self.set and not self.sweep:
            return z, _PLAIN
        sets = [parse_set(text, model.latent_dim) for text in self.set]
        sweeps = [parse_sweep(text, model.latent_dim) for text in self.sweep]
        check_entries(sets, sweeps)
        total = len(z) * prod(len(sweep.values) for sweep in sweeps)
        check_range("number of sounds", total, 1, MAX_SOUNDS)
        coded = _code_size(model)
        if any(entry < coded for entry in [*(s[0] for s in sets), *(s.entry for s in sweeps)]):
            if self.label is not None:
                raise InputError("`label`: `set` and `sweep` give the code already; leave one out")
            z = z.clone()
            z[:, :coded] = 0
        found = swept(z.numpy(), sets, sweeps)
        if not sweeps:
            return torch.from_numpy(found), _PLAIN
        columns = min(len(sweeps[-1].values), _MOST_COLUMNS)
        layout = Layout(columns, _SWEPT_CLIPS, titles_of(found, sweeps))
        return torch.from_numpy(found), layout

    def _given_latents(self, model: Generator) -> Tensor:
        """Latents (count, latent_dim) of the file; there is a warning if they are far out."""
        import torch

        from audiate.data.latents import read_latents
        from audiate.inversion.inverter import probe_prior

        assert self.latents is not None
        z = torch.from_numpy(read_latents(self.latents, model.latent_dim))
        (low, high), _ = probe_prior(model)
        margin = _MARGIN * (high - low)
        outside = (z < (low - margin).cpu()) | (z > (high + margin).cpu())
        if far := int(outside.any(1).sum()):
            note(
                f"{self.latents}: {far} of {len(z)} latents lie far outside of the prior, whose "
                f"numbers are within {low.min():.1f} to {high.max():.1f}; these go up to "
                f"{z.abs().max():.1f}, so expect noise"
            )
        return z

    def _random_latents(self, model: Generator) -> Tensor:
        """Draw latents (count, latent_dim) one by one, so that the first ones stay the same."""
        import torch

        count = 2 if self.interpolate else self._wanted
        source = torch.Generator().manual_seed(self.seed)
        label = {} if self.label is None else {"labels": torch.tensor([_label(model, self.label)])}
        z = torch.cat([model.sample_latent(1, generator=source, **label) for _ in range(count)])
        if self.interpolate:
            share = torch.linspace(0, 1, self._wanted, device=z.device).unsqueeze(1)
            z = z[:1] + share * (z[1:] - z[:1])
        return z.cpu()


def _label(model: Generator, label: str) -> int:
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
    from audiate.models.code_network import code_names
    from audiate.models.generator import AudioGAN

    if not isinstance(model, AudioGAN):
        return 0, ()
    code = model.config.code
    return (code.count, code_names(code)) if code.count else (model.classes, model.names)


def _code_size(model: Generator) -> int:
    """The number of entries of z that are a code."""
    from audiate.models.generator import AudioGAN

    return model.config.code.size if isinstance(model, AudioGAN) else 0


def sound_names(count: int) -> list[str]:
    """Names of so many sounds: 000, 001 and so on."""
    digits = max(len(str(count - 1)), 3)
    return [f"{number:0{digits}}" for number in range(count)]


def write_sounds(model: Generator, z: Tensor, folder: Path, layout: Layout = _PLAIN) -> None:
    """Write a wav for each latent (count, latent_dim), the latents, and the sheet.

    Args:
        model: The generator.
        z: Latents (count, latent_dim), on the CPU.
        folder: The folder to write to.
        layout: The layout of the sheet.

    Raises:
        InputError: The folder cannot be written.

    """
    import torch

    from audiate.audio.files import save_wav
    from audiate.audio.spectrograms import Spectrogram
    from audiate.data.latents import save_csv
    from audiate.models.generator import device_of, generate
    from audiate.utils.filesystem import save_array
    from audiate.utils.plots import save_tiles
    from audiate.utils.progress import tracked

    save_array(z.numpy(), folder / LATENTS_NAME)
    names = sound_names(len(z))
    save_csv(names, z.numpy(), folder / TABLE_NAME)
    see, where = Spectrogram(), device_of(model)
    shown: list[Tensor] = []
    batches = list(zip(torch.split(z, _BATCH), _split(names, _BATCH), strict=True))
    sizes = [len(own) for _, own in batches]
    with torch.inference_mode():
        for part, own in tracked(batches, "generating", weights=sizes):
            waveforms = generate(model, part.to(where)).cpu()
            for name, waveform in zip(own, waveforms, strict=True):
                save_wav(folder / f"{name}.wav", waveform, model.sample_rate)
            if sum(map(len, shown)) < layout.most:
                shown.append(see(waveforms.mean(1)).transpose(1, 2))
    titles = _titles(model, z[: layout.most], names, layout.titles)
    tiles = torch.cat(shown)[: layout.most]
    save_tiles(tiles, titles, folder / SHEET_NAME, columns=layout.columns)


def _titles(
    model: Generator, z: Tensor, names: Sequence[str], titles: Sequence[str] | None
) -> list[str]:
    """The titles of sounds: their names, each with its own title or its label."""
    labels = _labels_of(model)[1]
    if titles is None and labels:
        titles = [labels[label] for label in model.labels_of(z).tolist()]  # type: ignore[attr-defined]
    if titles is None:
        return list(names[: len(z)])
    return [f"{name} {title}" for name, title in zip(names, titles, strict=False)][: len(z)]


def _split(names: Sequence[str], size: int) -> list[Sequence[str]]:
    return [names[begin : begin + size] for begin in range(0, len(names), size)]
