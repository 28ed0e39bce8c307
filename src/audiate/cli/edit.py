"""`audiate edit`: change the pitch, loudness, duration or digit of clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from audiate.cli.common import Classifier, Clips, Device, keywords, print_error
from audiate.cli.own import OwnGenerator
from audiate.errors import check_range, printable
from audiate.models.hub import DEFAULT_GENERATOR, SPOKEN_CLASSIFIER

if TYPE_CHECKING:
    from audiate.phonetics.editing import Change, EditResult


@dataclass(frozen=True)
class EditCommand:
    """Change the pitch, loudness, duration or digit of each clip.

    By default, a codec takes the clip apart into F0 (the pitch), voicing and filters, changes F0
    and length, and makes the sound again. The voice stays the same, and clips may last up to a
    minute.

    With other generators, and with --digit, the clip is inverted as by `audiate invert`. Its latent
    is moved along directions that are estimated from samples of the generator. The sound is
    measured, and the latent moved on, until the change is reached. The digit is kept, unless
    --digit names another. OUT/<clip>.npy and OUT/latents.npz hold edited latents.

    Writes for each clip OUT/<clip>.wav, OUT/<clip>-before.wav (the sound without a change) and
    OUT/<clip>.png (recording, and both sounds); and OUT/report.json, with the measured, wanted and
    missed values. Changes are counted from the recording. A gain that was needed for the loudness
    is reported. Clips that were edited before are skipped, so the same command goes on after an
    interruption. It needs praat-parselmouth: pip install "audiate[measures]".
    """

    clips: Clips
    pitch: str | None = None
    """Change of the mean F0 in semitones, as in +4st."""
    loudness: str | None = None
    """Change of the intensity in decibels, as in -6dB."""
    duration: str | None = None
    """Ratio of durations, as in 1.2."""
    digit: str | None = None
    """Another digit, as in seven or 7, where the labels of the generator are digits."""
    generator: str = DEFAULT_GENERATOR
    """A shipped model's name, the folder of a run or a model, or a Hugging Face hub id; or a
    generator of your own: package.module:make, an .onnx file or a TorchScript file."""
    method: Literal["tracks", "exact", "encoder", "search", "hybrid"] | None = None
    """tracks: by the codec of a flow of sound, such as speech-digits. It is their default.
    The others find the clip's latent as `audiate invert` does; hybrid is the default for other
    generators, and for --digit."""
    classifier: Classifier = SPOKEN_CLASSIFIER
    """The classifier of spoken digits that checks that the digit is kept. none: no classifier, for
    other sounds."""
    samples: int = 400
    """Number of the generator's sounds that are measured to find directions."""
    rounds: int = 6
    """Number of corrections by measurements."""
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
        from audiate.phonetics.edit_folder import edit_folder
        from audiate.utils.filesystem import as_unicode
        from audiate.utils.progress import counted, note

        changes = self._changes()
        report = edit_folder(
            **keywords(self, "pitch", "loudness", "duration", "generator", "device", "own"),
            changes=changes,
            generator=self.own.open(self.generator, device=self.device),
            name=self.generator,
            notify=print_error,
        )
        results = {name: clip.result for name, clip in report.clips.items() if clip.result}
        for name, result in results.items():
            print(f"{printable(as_unicode(name))}: {_line(result)}")
        if len(report.errors) < len(report.clips):
            print(f"{report.counted('edited')}: see {self.out}")
        if unvoiced := sum(any(map(_is_unvoiced, each.changes)) for each in results.values()):
            note(
                f"{unvoiced} of {counted(len(results), 'clip')} cannot be given a pitch, as "
                f"too little is voiced; leave `pitch` out for such sounds"
            )
        if missed := sum(bool(_missed(each)) for each in results.values()):
            note(
                f"{missed} of {counted(len(results), 'clip')} did not come out as asked for; a "
                f"smaller change, or another `method` with more `rounds`, may help"
            )
        return 2 if report.errors else 0

    def _changes(self) -> dict[str, float]:
        """The change of each attribute, in its unit; it is checked before a model is loaded."""
        from audiate.phonetics.edit_folder import check_edit
        from audiate.phonetics.editing import parse_change

        asked = {"pitch": self.pitch, "loudness": self.loudness, "duration": self.duration}
        changes = {name: parse_change(name, text) for name, text in asked.items() if text}
        check_edit(changes, self.digit)
        return changes


def _line(result: EditResult) -> str:
    """A line about the changes that an edit has reached."""
    from audiate.phonetics.measures import LEAST_VOICED

    parts = []
    for change in result.changes:
        part, remarks = f"{change.attribute} {_difference(change, change.after)}", []
        if _is_unvoiced(change):
            sounds = {"recording": change.recording, "edited sound": change.after}
            whispers = " and of the ".join(name for name, value in sounds.items() if value is None)
            remarks.append(f"less than {100 * LEAST_VOICED:.0f} % of the {whispers} is voiced")
        elif change.attribute in _missed(result):
            remarks.append(f"missed: {_difference(change, change.wanted)} was asked for")
        if change.attribute == "loudness" and result.gain:
            remarks.append(f"with a gain of {result.gain:+.1f} dB")
        parts.append(f"{part} ({'; '.join(remarks)})" if remarks else part)
    if result.digit is not None:
        other = f" (missed: {result.wanted_digit} was to be said)"
        parts.append(f"read as {result.digit}{other if 'digit' in result.missed else ''}")
    return ", ".join(parts)


def _is_unvoiced(change: Change) -> bool:
    """Whether it is a change of pitch of a sound that has none, before or after."""
    return change.attribute == "pitch" and None in (change.recording, change.after)


def _missed(result: EditResult) -> set[str]:
    """Return the attributes that missed what was asked for, but for pitch without a voice."""
    return set(result.missed) - {c.attribute for c in result.changes if _is_unvoiced(c)}


def _difference(change: Change, value: float | None) -> str:
    """The difference of a value from the clip's, with its unit, as changes are asked for."""
    if value is None or change.base is None:
        return "cannot be measured"
    if change.attribute == "duration":
        return f"x {2 ** (value - change.base):.2f}"
    return f"{value - change.base:+.2f} {'st' if change.attribute == 'pitch' else 'dB'}"
