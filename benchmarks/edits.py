"""Edits of pitch by several kinds of directions: how near they come, and whether the digit stays.

    python -m benchmarks.edits --count 24 --source synthesised
    python -m benchmarks.edits --count 24 --source real

Each clip's latent is moved such that its mean F0 is to rise by four semitones: once along a random
direction, one of closed-form factorisation, a principal component, and the ridge regression's, and
with what is measured, as `audiate edit` does it for generators other than flows. Real clips are
those of speakers that the generator has not heard; their latents are found by its encoder first.
`audiate edit` counts the change from the recording; single moves are counted from the recovered
sound, or from the recording where no F0 can be measured in that sound.

Beside them stand the tracks of the codec of speech-digits, by which `audiate edit` changes
recordings by default, and what needs no model: the recording with its periods overlapped and added
at another pace, by Praat. Judges that audiate did not train listen to recordings and edits.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiate.audio.files import to_peak
from audiate.audio.pitch import F0_CEILING, F0_FLOOR, require_praat
from audiate.data.sources import data_root
from audiate.errors import InputError
from audiate.evaluation.classifying import classify_clips
from audiate.evaluation.clips import choose_evenly, read_validation
from audiate.evaluation.independent import MOST_JUDGED, SoundsToJudge, judge_sounds, number_judged
from audiate.inversion.build import inverter
from audiate.models.generator import Generator
from audiate.models.hub import DEFAULT_GENERATOR, ENCODED_GENERATOR, SPOKEN_CLASSIFIER
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.models.speech_flow import load_codec
from audiate.phonetics.directions import Method, attribute_of, directions, sample_attribute
from audiate.phonetics.editing import Editor, EditTarget
from audiate.phonetics.track_editing import edit_tracks
from audiate.utils.progress import tracked
from audiate.utils.reports import make_table, render

SEMITONES = 4.0
TRACKS = f"none: the tracks of {DEFAULT_GENERATOR} (audiate edit)"
OVERLAP_ADD = "none: Praat's overlap-add of the recording"
METHODS: tuple[Method, ...] = ("random", "factorisation", "components", "ridge")


class Clip(NamedTuple):
    """A clip to edit: its latent (latent_dim,) and its recording, where it is a real one."""

    latent: Tensor
    recording: Tensor | None


class Row(NamedTuple):
    """An edit: its error in semitones, whether the digit stayed, how far the latent moved.

    ``moved`` is NaN where there is no latent. ``waveform``: (channels, samples).
    """

    error: float
    kept: bool
    moved: float
    waveform: Tensor
    recording: Tensor | None


def clips_of(source: str, generator: Generator, count: int) -> list[Clip]:
    """Synthesised or real clips."""
    if source == "synthesised":
        z = generator.sample_latent(count, generator=torch.Generator().manual_seed(1))
        return [Clip(each, None) for each in z]
    size = generator.sample_rate, generator.num_samples
    clips, labels, _ = read_validation(data_root(None), *size)
    chosen = choose_evenly(labels, count, 0)
    recordings = to_peak(clips[chosen].unsqueeze(1))
    latents = inverter(generator, "encoder")(recordings).latent
    return [Clip(*each) for each in zip(latents, recordings, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", default=ENCODED_GENERATOR)
    parser.add_argument("--source", choices=["synthesised", "real"], default="synthesised")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--samples", type=int, default=400)
    settings = parser.parse_args()
    generator = load(settings.generator, Generator)
    classifier = load(SPOKEN_CLASSIFIER, DigitClassifier)
    pitch = attribute_of("pitch")
    samples = sample_attribute(generator, pitch, count=settings.samples)
    codec = load_codec(DEFAULT_GENERATOR)
    clips = clips_of(settings.source, generator, settings.count)
    deviation = float(samples.z.std())
    rows: dict[str, list[Row]] = {}
    left_out = 0
    editors: dict[str, Editor] = {
        method: Editor(
            generator,
            [EditTarget(directions(generator, pitch, method=method, samples=samples), SEMITONES)],
            classifier,
            rounds=0,
        )
        for method in METHODS
    }
    best = EditTarget(directions(generator, pitch, samples=samples), SEMITONES)
    editors["ridge, then measured (audiate edit)"] = Editor(generator, [best], classifier)
    for latent, recording in tracked(clips, "editing clips"):
        for name, editor in editors.items():
            try:
                edit = editor(latent, recording=recording)
            except InputError:
                left_out += name == METHODS[0]
                continue
            begun = edit.before["pitch"]
            if name in METHODS and np.isfinite(found := pitch_of(editor, latent)):
                begun = found
            error = abs(edit.after["pitch"] - begun - SEMITONES)
            moved = float((edit.latent - latent).square().mean().sqrt()) / deviation
            kept = edit.word == heard(editor, latent)
            row = Row(error, kept, moved, sound_of(editor, edit.latent), recording)
            rows.setdefault(name, []).append(row)
        if recording is not None:
            rate = generator.sample_rate
            by_tracks = edit_tracks(codec, recording[None], semitones=SEMITONES)[0]
            for name, shifted in ((TRACKS, by_tracks), (OVERLAP_ADD, overlap_add(recording, rate))):
                rows.setdefault(name, []).append(row_of(shifted, recording, rate, classifier))
    print(report(settings.source, rows, left_out))
    if settings.source == "real":
        judged = number_judged(MOST_JUDGED)
        table = judge_sounds(to_judge(rows, generator, classifier), data_root(None), most=judged)
        print("" if table is None else "\n" + render(*table.parts()))


def overlap_add(recording: Tensor, rate: int) -> Tensor:
    """Shift the pitch of a recording (channels, samples) by Praat, without any model."""
    praat = require_praat()
    sound = praat.Sound(recording.mean(0).double().numpy(), rate)
    manipulation = praat.praat.call(sound, "To Manipulation", 0.01, F0_FLOOR, F0_CEILING)
    tier = praat.praat.call(manipulation, "Extract pitch tier")
    factor = 2 ** (SEMITONES / 12)
    praat.praat.call(tier, "Multiply frequencies", sound.xmin, sound.xmax, factor)
    praat.praat.call([tier, manipulation], "Replace pitch tier")
    shifted = praat.praat.call(manipulation, "Get resynthesis (overlap-add)")
    return torch.from_numpy(shifted.values).float()


def row_of(waveform: Tensor, recording: Tensor, rate: int, classifier: DigitClassifier) -> Row:
    """The row of a recording whose pitch was shifted without a latent of the generator."""
    measure = attribute_of("pitch").measure
    error = abs(measure(waveform.mean(0), rate) - measure(recording.mean(0), rate) - SEMITONES)
    digits = classify_clips(classifier, torch.stack([waveform, recording]), rate).argmax(1)
    return Row(error, bool(digits[0] == digits[1]), float("nan"), waveform, recording)


def to_judge(
    rows: dict[str, list[Row]], generator: Generator, classifier: DigitClassifier
) -> list[SoundsToJudge]:
    """The recordings, and the edits of each kind, with the digits that the classifier reads."""
    sets = []
    for name, found in rows.items():
        recordings = torch.stack([row.recording for row in found if row.recording is not None])
        digits = classify_clips(classifier, recordings, generator.sample_rate).argmax(1)
        made = torch.stack([row.waveform for row in found])
        sets.append(SoundsToJudge(name, made, generator.sample_rate, digits, recordings))
    every = max(sets, key=lambda each: len(each.digits))
    assert every.target is not None
    return [every._replace(what="recordings", waveforms=every.target, target=None), *sets]


def sound_of(editor: Editor, latent: Tensor) -> Tensor:
    """The sound (channels, samples) of a latent."""
    with torch.inference_mode():
        return editor.generator(latent[None])[0].cpu()


def pitch_of(editor: Editor, latent: Tensor) -> float:
    """The mean F0, in semitones, of the sound before an edit."""
    waveform = sound_of(editor, latent)
    return attribute_of("pitch").measure(waveform.mean(0), editor.generator.sample_rate)


def heard(editor: Editor, latent: Tensor) -> int:
    """The digit that the classifier hears before an edit."""
    assert editor.classifier is not None
    with torch.inference_mode():
        waveform = editor.generator(latent[None])
        return int(editor.classifier(waveform.mean(1)).argmax())


def report(source: str, rows: dict[str, list[Row]], left_out: int) -> str:
    """A table of median errors, kept digits, and moves in deviations of the prior."""
    title = f"pitch {SEMITONES:+.0f} st, {source} clips"
    columns = ("direction", "clips", "median error (st)", "digit kept (%)", "median move (sd)")
    table = make_table(title, *columns)
    for name, found in rows.items():
        errors = np.array([row.error for row in found])
        errors = np.where(np.isfinite(errors), errors, np.inf)
        kept = 100 * np.mean([row.kept for row in found])
        moved = np.median([row.moved for row in found])
        middle = f"{np.median(errors):.2f}"
        table.add_row(name, str(len(found)), middle, f"{kept:.0f}", f"{moved:.2f}")
    note = f"{left_out} clips are left out, since no F0 can be measured in them before the edit."
    return render(table, note)


if __name__ == "__main__":
    main()
