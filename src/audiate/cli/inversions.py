"""The clips of `audiate invert`: found, read, inverted in batches, reported, gone on with."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiate.errors import InputError, Interrupted

if TYPE_CHECKING:
    from torch import Tensor

    from audiate.inversion import Inverter
    from audiate.models import AudioGAN, DigitClassifier

REPORT_NAME = "report.json"
HEARD_FOLDER = "heard"
BATCH = 8
"""Clips of one batch on a CPU: more are a little faster, but an interruption loses a batch."""
GPU_BATCH = 64


def find_clips(given: tuple[Path, ...], out: Path) -> list[tuple[str, Path]]:
    """Sound files, each once, and for each the name, without a suffix, that it would like to have.

    A folder's files keep their place below it; what an earlier run has left in ``out`` is passed
    over.

    Raises:
        InputError: A folder holds no sounds.

    """
    from audiate.datasets.sounds import find_sounds

    found: dict[Path, str] = {}
    for path in given:
        inside = [path]
        if path.is_dir():
            inside = find_sounds(path)
            if path.resolve() in out.resolve().parents:
                inside = [each for each in inside if out.resolve() not in each.resolve().parents]
        for clip in inside:
            place = clip.relative_to(path).parent if path.is_dir() else Path()
            if place.parts and place.parts[0].casefold() == HEARD_FOLDER:
                # That is where what is heard goes.
                place = Path(f"{place.parts[0]}-2", *place.parts[1:])
            name = (place / (clip.stem.strip(".") or "clip")).as_posix()
            found.setdefault(clip.absolute(), name)
    return [(name, clip) for clip, name in found.items()]


def written_at(folder: Path, name: str, end: str) -> Path:
    """The file of a clip's name, which may hold dots, and an ending."""
    return folder / f"{name}{end}"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the folder ours for as long as this lasts.

    Raises:
        InputError: Another process writes there, or it cannot be written.

    """
    from filelock import FileLock, Timeout

    mark = folder / ".inverting"
    lock = FileLock(mark)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"--out {folder}: another inversion is writing there; wait for it, or name another "
            f"folder"
        ) from error
    except OSError as error:
        raise InputError(
            f"--out {folder}: cannot be written ({error.strerror or error}); name another folder"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows lets nobody remove it now
            mark.unlink()
        lock.release()


@dataclass
class Report:
    """`report.json`: the settings, and what came of each clip; written after every batch.

    Of a clip that is still to be inverted it tells the source alone.
    """

    path: Path
    settings: dict[str, str]
    clips: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take up what an earlier run has left.

        Raises:
            InputError: That run had other settings, or its report is damaged.

        """
        if not self.path.exists():
            return
        try:
            before = json.loads(self.path.read_text(encoding="utf-8"))
            settings, self.clips = before["settings"], before["clips"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path}: damaged ({error}); delete it, or choose another folder with --out"
            ) from error
        if settings != self.settings:
            differing = sorted(
                name
                for name in settings.keys() | self.settings.keys()
                if settings.get(name) != self.settings.get(name)
            )
            flags = ", ".join(f"--{name}" for name in differing)
            raise InputError(
                f"{self.path.parent}: holds an inversion with another {flags}; choose another "
                f"folder with --out, or delete that one"
            )

    def places(self, clips: list[tuple[str, Path]]) -> dict[str, Path]:
        """Clips by the name that what is written for each has, which is the same in every run.

        Of clips that would like one name, later ones are numbered.

        Raises:
            InputError: A clip would be overwritten, or a file that no inversion has written.

        """
        known = {entry["source"]: name for name, entry in self.clips.items()}
        taken = {name.casefold() for name in self.clips}
        found: dict[str, Path] = {}
        for stem, clip in clips:
            name, number = known.get(str(clip), stem), 1
            while str(clip) not in known and name.casefold() in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name.casefold())
            found[name] = clip
        sources = {clip.resolve() for clip in found.values()}
        for name in found:
            for path in self._written(name):
                if path.resolve() in sources:
                    raise InputError(
                        f"--out {self.path.parent}: {path} is one of the clips, and would be "
                        f"overwritten; name another folder"
                    )
                if name not in self.clips and path.exists():
                    raise InputError(
                        f"--out {self.path.parent}: {path} is there already, and no inversion of "
                        f"{found[name]} has written it; name another folder"
                    )
        return found

    def _written(self, name: str) -> list[Path]:
        """All that is written for a clip."""
        out = self.path.parent
        own = [written_at(out, name, end) for end in (".wav", ".npy", ".png")]
        return [*own, written_at(out / HEARD_FOLDER, name, ".wav")]

    def is_done(self, name: str, source: Path) -> bool:
        """Whether this very file was inverted before, and all is still there."""
        entry = self.clips.get(name, {})
        return (
            "error" not in entry
            and entry.get("source") == str(source)
            and entry.get("modified") == _modified(source) is not None
            and all(path.exists() for path in self._written(name))
        )

    def save(self) -> None:
        """Write it, whole or not at all.

        Raises:
            InputError: It cannot be written there.

        """
        from audiate.files import replace_text

        try:
            replace_text(
                self.path, json.dumps({"settings": self.settings, "clips": self.clips}, indent=2)
            )
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror or error}); choose another "
                f"folder with --out"
            ) from error

    def failed(self, sources: dict[str, Path]) -> bool:
        """Whether any of these could not be inverted."""
        return any("error" in self.clips.get(name, {}) for name in sources)

    def seconds(self, sources: dict[str, Path]) -> float:
        """What the slowest of these clips took."""
        entries = [self.clips.get(name, {}) for name in sources]
        return max((entry.get("seconds", 0.0) for entry in entries), default=0.0)

    def summary(self, sources: dict[str, Path], done: int) -> str:
        """A line for people about these clips."""
        entries = [self.clips.get(name, {"error": ""}) for name in sources]
        good = [entry for entry in entries if "error" not in entry]
        skipped = len(good) - done
        before = f" ({skipped} were there already)" if skipped else ""
        if not good:
            return f"0 clips inverted: see {self.path}"
        mean = sum(entry["ssim"] for entry in good) / len(good)
        judged = [entry for entry in good if entry["digit_before"] is not None]
        heard = [entry["digit_before"] == entry["digit_after"] for entry in judged]
        same = f", {100 * sum(heard) / len(heard):.0f} % say the same digit" if heard else ""
        clips = "clip" if done == 1 else "clips"
        return f"{done} {clips} inverted{before}: SSIM {mean:.3f}{same}; see {self.path}"


def invert_clips(
    generator: AudioGAN,
    invert: Inverter,
    judge: DigitClassifier | None,
    sources: dict[str, Path],
    report: Report,
    batch_size: int,
) -> int:
    """Invert what is not done yet; how many were."""
    from rich.console import Console
    from rich.progress import Progress

    todo = [name for name, source in sources.items() if not report.is_done(name, source)]
    for name in todo:
        report.clips[name] = {"source": str(sources[name])}
    report.save()  # so that what is written from here on is known as ours
    done = 0
    console = Console(stderr=True)
    with Progress(console=console, disable=len(todo) < 2 or not console.is_terminal) as progress:
        bar = progress.add_task("inverting", total=len(todo))
        try:
            for begin in range(0, len(todo), batch_size):
                names = todo[begin : begin + batch_size]
                done += _invert_batch(generator, invert, judge, names, sources, report)
                report.save()
                progress.advance(bar, len(names))
        except KeyboardInterrupt as stop:
            raise Interrupted(f"stopped after {done} of {len(todo)} clips") from stop
    return done


def _invert_batch(
    generator: AudioGAN,
    invert: Inverter,
    judge: DigitClassifier | None,
    names: list[str],
    sources: dict[str, Path],
    report: Report,
) -> int:
    import torch

    from audiate.audio import save_wav
    from audiate.evaluate.comparison import score_clips
    from audiate.files import save_array
    from audiate.pictures import save_before_and_after

    targets = {}
    for name in names:
        try:
            targets[name] = read_clip(generator, sources[name])
            report.clips[name]["modified"] = _modified(sources[name])
        except InputError as error:
            _note(report, name, f"{error}")
    if not targets:
        return 0
    target = torch.stack(list(targets.values()))
    began = time.monotonic()
    try:
        found = invert(target.to(generator.device))
    except InputError as error:
        if len(targets) == 1:
            (name,) = targets
            _note(report, name, f"{sources[name]}: {error}")
            return 0
        # One of them is to blame: each by itself.
        return sum(
            _invert_batch(generator, invert, judge, [name], sources, report) for name in targets
        )
    seconds = (time.monotonic() - began) / len(target)
    scores = score_clips(found.output, target, generator.sample_rate, judge)
    out = report.path.parent
    for row, name in enumerate(targets):
        output = found.output[row].cpu()
        save_wav(written_at(out, name, ".wav"), output, generator.sample_rate)
        save_wav(written_at(out / HEARD_FOLDER, name, ".wav"), target[row], generator.sample_rate)
        save_array(found.latent[row].cpu().numpy(), written_at(out, name, ".npy"))
        save_before_and_after(target[row].mean(0), output.mean(0), written_at(out, name, ".png"))
        report.clips[name] |= {
            "loss": found.loss[row].item(),
            **asdict(scores[row]),
            "evaluations": int(found.num_evals[row]),
            "seconds": round(seconds, 4),
        }
    return len(targets)


def _note(report: Report, name: str, error: str) -> None:
    """Tell what stands in the way of a clip, here and in the report."""
    report.clips[name]["error"] = error
    print(f"audiate: error: {error}", file=sys.stderr)


def read_clip(generator: AudioGAN, path: Path) -> Tensor:
    """A clip (channels, num_samples) as the generator would make it.

    Raises:
        InputError: It cannot be read, or is silent.

    """
    from audiate.audio import fit_length, is_silent, load_channels, to_peak

    waveform = load_channels(path, generator.channels, generator.sample_rate)
    if not waveform.numel():
        raise InputError(f"{path}: lasts not even a sample; record it again")
    if is_silent(waveform.flatten()):
        raise InputError(f"{path}: is silent, so there is nothing to recover; record it again")
    if waveform.shape[1] > generator.num_samples:
        seconds = generator.num_samples / generator.sample_rate
        print(
            f"audiate: {path}: lasts {waveform.shape[1] / generator.sample_rate:.2f} s, and the "
            f"generator makes {seconds:.2f} s; the part with the most energy is taken, so cut the "
            f"clip yourself to have another",
            file=sys.stderr,
        )
    return to_peak(fit_length(waveform, generator.num_samples))


def _modified(source: Path) -> int | None:
    try:
        return source.stat().st_mtime_ns
    except OSError:  # it is gone
        return None
