"""`audiate edit`: a clip said again at another pitch, loudness, length, or with another digit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from audiate.cli.common import Clips, Device, print_error
from audiate.cli.own import OwnGenerator
from audiate.errors import InputError, check_range
from audiate.hub import DEFAULT_GENERATOR, SPOKEN_CLASSIFIER

if TYPE_CHECKING:
    from torch import Tensor

    from audiate.editing import Edit, Editor
    from audiate.inversion import Inverter
    from audiate.models import Generator

REPORT_NAME = "edits.json"


@dataclass(frozen=True)
class EditCommand:
    """Say a clip again with another pitch, loudness, duration or digit.

    The clip's latent is found (as by `audiate invert`), moved along directions in which samples of
    the generator change, and moved further by what is measured in the sound, until it has changed
    by what was asked for. The digit is kept, unless --digit names another. Writes for each clip
    OUT/<clip>.wav, OUT/<clip>-before.wav (the sound of the latent that was found), OUT/<clip>.npy
    (the latent), OUT/<clip>.png (before and after), and OUT/edits.json, which tells what was
    measured. Latents reach little of another loudness, as generators are trained on clips of one
    level; a gain does the rest, and stands in edits.json. It needs praat-parselmouth:
    pip install "audiate[measures]".
    """

    clips: Clips
    pitch: str | None = None
    """Change of the mean F0 in semitones, as in +4st."""
    loudness: str | None = None
    """Change of the intensity in decibels, as in -6dB."""
    duration: str | None = None
    """Ratio of durations, as in 1.2."""
    digit: str | None = None
    """Digit to say instead, as in seven or 7, where the generator's labels tell digits."""
    generator: str = DEFAULT_GENERATOR
    """A shipped model's name, the folder of a run or a model, or a Hugging Face hub id; or a
    generator of your own: package.module:make, an .onnx file or a TorchScript file."""
    method: Literal["encoder", "search", "hybrid"] = "hybrid"
    """How the clip's latent is found; see `audiate invert`."""
    classifier: str = SPOKEN_CLASSIFIER
    """Classifier of spoken digits, by which the digit is kept. none does without, for other sounds.
    """
    samples: int = 400
    """Number of the generator's sounds that are measured to find directions."""
    rounds: int = 6
    """Number of steps that are corrected by what is measured."""
    seed: int = 0
    """Seed of the samples and of the search."""
    device: Device = "auto"
    out: Path = Path("out/edit")
    """Folder for all that is written. It is made where it is missing."""
    own: OwnGenerator = field(default_factory=OwnGenerator)

    def __post_init__(self) -> None:
        check_range("`samples`", self.samples, 20, 10**6)
        check_range("`rounds`", self.rounds, 0, 1000)
        check_range("`seed`", self.seed, 0, 2**63 - 1)

    def run(self) -> int:
        """Edit every clip, and return the exit status, 2 where a clip cannot be edited."""
        from audiate.datasets.sounds import find_clips
        from audiate.outputs import open_outputs
        from audiate.progress import note, tracked

        changes = self._changes()
        clips = dict(find_clips(self.clips, self.out))
        if not all(path.exists() for path in clips.values()):
            missing = next(path for path in clips.values() if not path.exists())
            raise InputError(f"{missing}: no such file")
        generator = self.own.open(self.generator, device=self.device)
        editor, invert = self._tools(generator, changes)
        settings = {"generator": self.generator, **{k: str(v) for k, v in changes.items()}}
        files = {name: _files(name) for name in clips}
        told: dict[str, dict[str, object]] = {}
        with (
            open_outputs(self.out, "edit", settings, type(None), same_settings=False) as outputs,
            outputs.staged(files, (REPORT_NAME,)) as stage,
        ):
            for name, path in tracked(list(clips.items()), "editing clips"):
                try:
                    told[name] = self._edit(path, stage / name, generator, editor, invert)
                except InputError as error:
                    print_error(InputError(f"{path}: {error}"))
                    told[name] = {"error": str(error)}
                    del files[name]
            stage.mkdir(parents=True, exist_ok=True)
            (stage / REPORT_NAME).write_text(json.dumps(told, indent=1), encoding="utf-8")
        for name, found in told.items():
            print(f"{name}: {_line(found)}")
        print(f"written to {self.out}")
        if missed := sum(bool(found.get("missed")) for found in told.values()):
            note(
                f"{missed} of {len(clips)} clips did not come out as asked for; a smaller change, "
                "more `rounds`, or another `method` may help"
            )
        return 2 if len(files) < len(clips) else 0

    def _changes(self) -> dict[str, float]:
        """The change of each attribute, in its unit."""
        from audiate.editing import parse_change

        asked = {"pitch": self.pitch, "loudness": self.loudness, "duration": self.duration}
        changes = {name: parse_change(name, text) for name, text in asked.items() if text}
        if not changes and self.digit is None:
            raise InputError("nothing to edit; give `pitch`, `loudness`, `duration` or `digit`")
        return changes

    def _tools(self, generator: Generator, changes: dict[str, float]) -> tuple[Editor, Inverter]:
        from audiate.editing import Editor, Wish
        from audiate.inversion import as_classifier, inverter
        from audiate.steering import directions

        classifier = None if self.classifier == "none" else as_classifier(self.classifier)
        wishes = [
            Wish(directions(generator, name, count=self.samples, seed=self.seed), change)
            for name, change in changes.items()
        ]
        editor = Editor(generator, wishes, classifier, rounds=self.rounds, seed=self.seed)
        most = 60 if self.method == "hybrid" else None
        return editor, inverter(
            generator, self.method, classifier=classifier, max_iterations=most, seed=self.seed
        )

    def _edit(
        self, path: Path, place: Path, generator: Generator, editor: Editor, invert: Inverter
    ) -> dict[str, object]:
        """Edit one clip, write its files, and return what was measured."""
        from audiate.audio import fit_length, load_channels, save_wav, to_peak
        from audiate.files import save_array
        from audiate.models.generator import device_of
        from audiate.pictures import save_before_and_after

        clip = load_channels(path, generator.channels, generator.sample_rate)
        target = to_peak(fit_length(clip, generator.num_samples))[None].to(device_of(generator))
        found = invert(target)
        latent, word = self._said_otherwise(generator, found.latent[0].detach().cpu())
        edit = editor(latent, word, target[0])
        place.parent.mkdir(parents=True, exist_ok=True)
        wav, before, numbers, picture = _files(place.name)
        save_wav(place.with_name(wav), edit.waveform, generator.sample_rate)
        said = found.output[0].detach().cpu()
        save_wav(place.with_name(before), said, generator.sample_rate)
        save_array(edit.latent[None].numpy(), place.with_name(numbers))
        save_before_and_after(said.mean(0), edit.waveform.mean(0), place.with_name(picture))
        return _told(edit)

    def _said_otherwise(self, generator: Generator, latent: Tensor) -> tuple[Tensor, int | None]:
        """The latent of the digit that was asked for, and its number."""
        from audiate.datasets.sources import DIGIT_WORDS
        from audiate.editing import say_another

        if self.digit is None:
            return latent, None
        words = {
            **{word: n for n, word in enumerate(DIGIT_WORDS)},
            **{str(n): n for n in range(10)},
        }
        if self.digit not in words:
            raise InputError(f"`digit` {self.digit}: give one of {', '.join(DIGIT_WORDS)}")
        return say_another(generator, latent, words[self.digit]), words[self.digit]


def _files(name: str) -> list[str]:
    return [f"{name}.wav", f"{name}-before.wav", f"{name}.npy", f"{name}.png"]


def _told(edit: Edit) -> dict[str, object]:
    return {
        "before": dict(edit.before),
        "after": dict(edit.after),
        "wanted": dict(edit.wanted),
        "missed": list(edit.missed),
        "gain_db": edit.gain,
        "digit": edit.word,
    }


def _line(found: dict[str, object]) -> str:
    """What was measured, for people."""
    before, after, wanted = (found.get(name) for name in ("before", "after", "wanted"))
    if not isinstance(before, dict) or not isinstance(after, dict) or not isinstance(wanted, dict):
        return f"not edited ({found.get('error')})"
    missed = found.get("missed")
    assert isinstance(missed, list)
    parts = []
    for name, first in before.items():
        part = f"{name} {_change(name, after[name] - first)}"
        if name in missed:
            part += f" (missed: {_change(name, wanted[name] - first)} was asked for)"
        parts.append(part)
    gain = found.get("gain_db")
    if isinstance(gain, float) and gain:
        parts.append(f"of which {gain:+.1f} dB by a gain")
    if found.get("digit") is not None:
        other = " (missed: another was to be said)" if "digit" in missed else ""
        parts.append(f"heard as {found['digit']}{other}")
    return ", ".join(parts)


def _change(name: str, value: float) -> str:
    """A change of an attribute with its unit, as it is asked for."""
    if value != value:
        return "cannot be measured"
    if name == "duration":
        return f"x {2**value:.2f}"
    return f"{value:+.2f} {'st' if name == 'pitch' else 'dB'}"
