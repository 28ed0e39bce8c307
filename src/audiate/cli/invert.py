"""`audiate invert`: the latent of a sound, and the sound that a generator makes of it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from audiate.cli.generate import DEFAULT_GENERATOR, load_generator
from audiate.errors import InputError, Interrupted, check_range

if TYPE_CHECKING:
    from torch import Tensor

    from audiate.inversion import Inverter, Objective
    from audiate.models import AudioGAN, DigitClassifier

REPORT_NAME = "report.json"
HEARD_FOLDER = "heard"
_BATCH = 32
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}


@dataclass(frozen=True)
class Invert:
    """Find the latent with which a generator says a clip again.

    Writes for each clip OUT/<clip>.wav, the sound given back; OUT/<clip>.npy, its latent;
    OUT/<clip>.png, waveforms and spectrograms before and after; and OUT/report.json, which tells of
    each clip the loss, MSE, SSIM, the judge's digit before and after, evaluations and seconds.

    Folders are searched. Clips are brought to the generator's sample rate and length, and to one
    peak level; OUT/heard/<clip>.wav is what became of them, for `audiate compare OUT/heard OUT`.
    `audiate generate --latents OUT/<clip>.npy` says a latent again. What is there already is not
    done again, so the same command goes on after an interruption. A clip that cannot be used is
    named on standard error, the others are inverted, and the exit status is 2.
    """

    clips: Positional[Annotated[tuple[Path, ...], arg(metavar="CLIP...")]]
    """Sound files, or folders of them."""
    generator: str = DEFAULT_GENERATOR
    """A shipped model's name, a run's or a model's folder, or a Hugging Face hub id."""
    method: Literal["encoder", "gradient", "hybrid", "evolution"] = "hybrid"
    """encoder: one look, the fastest. gradient: L-BFGS from a random latent. hybrid: L-BFGS from
    where the encoder looked. evolution: CMA-ES, without gradients."""
    budget: str | None = None
    """Time for each clip, as in 50ms, 1s or 10s: the best that fits in, in place of --method."""
    encoder: str | None = None
    """The generator's encoder: a run's folder or a hub id. Default: the shipped one."""
    judge: str = "digits-resnet18"
    """The judge of spoken digits, who also guides gradients. none: do without, for other sounds."""
    restarts: int = 1
    """Starts of gradients, of which the best is kept; not with --budget."""
    objective: Literal["speech", "paper", "plain"] = "speech"
    """What gradients and evolution minimise. speech: ours. paper: that of the paper's programs.
    plain: the paper's equation 1, spectrograms alone."""
    max_iterations: int | None = None
    """Of L-BFGS. Default: 200 for hybrid, 1,000 for gradient; published: 200 and 50,000."""
    seed: int = 0
    """Of random starts."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU if there is one."""
    out: Path = Path("out")
    """Folder for all that is written; made where it is missing."""

    def __post_init__(self) -> None:
        check_range("--restarts", self.restarts, 1, 10_000)
        if self.max_iterations is not None:
            check_range("--max-iterations", self.max_iterations, 0, 10**9)
        if self.budget is not None and self.restarts > 1:
            raise InputError(
                "--restarts: a budget makes as many starts as fit; leave one of them out"
            )
        check_range("--seed", self.seed, 0, 2**63 - 1)

    def run(self) -> int:
        """Invert every clip; the exit status."""
        if not self.clips:
            raise InputError("no clips given; name sound files, as in `audiate invert seven.wav`")
        from audiate.evaluate import load_listener
        from audiate.inversion import find_encoder, inverter
        from audiate.models.inverse import fingerprint

        budget = None if self.budget is None else parse_duration(self.budget)
        sources = find_clips(self.clips, self.out)
        generator = load_generator(self.generator).to(self._device())
        judge = None if self.judge == "none" else load_listener(self.judge)
        encoder = None
        looks = self.method in ("encoder", "hybrid") or budget is not None
        if looks or self.encoder is not None:
            encoder = find_encoder(generator, self.encoder)
        guide = judge
        if judge is not None and judge.sample_rate != generator.sample_rate:
            guide = None  # it still hears what comes of it
        invert = inverter(
            generator,
            self.method,
            encoder=encoder,
            judge=guide,
            objective=self._objective(guide, generator.sample_rate),
            budget=budget,
            restarts=self.restarts,
            max_iterations=self.max_iterations,
            seed=self.seed,
        )
        settings = {
            name: str(value)
            for name, value in asdict(self).items()
            if name not in ("clips", "out", "device") and value is not None
        }
        settings["generator"] += f" ({_digest(fingerprint(generator))})"
        if encoder is not None:
            shown = self.encoder or encoder.config.generator
            settings["encoder"] = f"{shown} ({_digest(encoder.network.head.weight.tolist())})"
        report = Report(self.out / REPORT_NAME, settings)
        batch = 1 if budget is not None else _BATCH
        done = invert_clips(generator, invert, judge, sources, report, batch)
        print(report.summary(sources, done))
        return 2 if report.failed(sources) else 0

    def _device(self) -> str:
        import torch

        if self.device == "cuda" and not torch.cuda.is_available():
            raise InputError("--device cuda: no CUDA device here; use --device cpu")
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device

    def _objective(self, guide: DigitClassifier | None, sample_rate: int) -> Objective | None:
        from audiate.inversion import paper_objective, plain_objective

        if self.objective == "plain":
            return plain_objective()
        if self.objective == "speech":
            return None
        if guide is None:
            raise InputError(
                "--objective paper: needs a judge of the generator's sample rate; give --judge, or "
                "--objective plain"
            )
        return paper_objective(guide, sample_rate)


def _digest(numbers: object) -> str:
    """Of what a model is, to know it by."""
    return hashlib.sha256(repr(numbers).encode()).hexdigest()[:8]


def parse_duration(text: str) -> float:
    """Seconds in 50ms, 1s or 2min.

    Raises:
        InputError: It is no such thing.

    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(ms|s|min)", text.strip())
    if match is None or float(match[1]) == 0:
        raise InputError(f"--budget {text}: give a time for each clip, as in 50ms, 1s or 2min")
    return float(match[1]) * _UNITS[match[2]]


def find_clips(given: tuple[Path, ...], out: Path) -> dict[str, Path]:
    """Sound files by the name, without a suffix, that what is written for each will have.

    A folder's files keep their place below it; what an earlier run has left in ``out`` is passed
    over. Where names clash, later ones are numbered.

    Raises:
        InputError: A folder holds no sounds, or a clip would be overwritten.

    """
    from audiate.datasets.sounds import find_sounds

    found: dict[str, Path] = {}
    taken: set[str] = set()
    for path in given:
        inside = [path]
        if path.is_dir():
            inside = find_sounds(path)
            if path.resolve() in out.resolve().parents:
                inside = [each for each in inside if out.resolve() not in each.resolve().parents]
        for clip in inside:
            place = clip.relative_to(path).parent if path.is_dir() else Path()
            stem = (place / (clip.stem.strip(".") or "clip")).as_posix()
            name, number = stem, 1
            while name.casefold() in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name.casefold())
            found[name] = clip
    clips = {clip.resolve() for clip in found.values()}
    for name in found:
        for folder in (out, out / HEARD_FOLDER):
            if written_at(folder, name, ".wav").resolve() in clips:
                raise InputError(
                    f"--out {out}: {written_at(folder, name, '.wav')} is one of the clips, and "
                    f"would be overwritten; name another folder"
                )
    return found


def written_at(folder: Path, name: str, end: str) -> Path:
    """The file of a clip's name, which may hold dots, and an ending."""
    return folder / f"{name}{end}"


@dataclass
class Report:
    """`report.json`: the settings, and what came of each clip; written after every batch."""

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

    def is_done(self, name: str, source: Path) -> bool:
        """Whether this very file was inverted before, and all is still there."""
        entry = self.clips.get(name, {})
        return (
            "error" not in entry
            and entry.get("source") == str(source)
            and entry.get("modified") == _modified(source) is not None
            and all(
                written_at(self.path.parent, name, end).exists() for end in (".wav", ".npy", ".png")
            )
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
        return f"{done} clips inverted{before}: SSIM {mean:.3f}{same}; see {self.path}"


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
        report.clips[name] = {"source": str(sources[name])}
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
