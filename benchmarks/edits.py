"""Edits of pitch by several kinds of directions: how near they come, and whether the digit stays.

    python -m benchmarks.edits --count 24 --source synthesised
    python -m benchmarks.edits --count 24 --source real

Each clip's latent is moved such that its mean F0 is to rise by four semitones: once along a random
direction, one of closed-form factorisation, a principal component, and the ridge regression's, and
as `audiate edit` does it, with what is measured. Real clips are those of speakers that the
generator has not heard; their latents are found by its encoder first. `audiate edit` counts the
change from the recording; single moves are counted from the recovered sound, or from the recording
where no F0 can be measured in that sound.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiate.audio.files import to_peak
from audiate.data.sources import data_root
from audiate.errors import InputError
from audiate.evaluation.clips import choose_evenly, validation_clips
from audiate.inversion.build import inverter
from audiate.models.generator import Generator
from audiate.models.hub import DEFAULT_GENERATOR, SPOKEN_CLASSIFIER
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.phonetics.directions import Method, attribute_of, directions, sample_attribute
from audiate.phonetics.editing import Editor, EditTarget
from audiate.utils.progress import tracked
from audiate.utils.reports import make_table, render

SEMITONES = 4.0
METHODS: tuple[Method, ...] = ("random", "factorisation", "components", "ridge")


class Clip(NamedTuple):
    """A clip to edit: its latent (latent_dim,) and its recording, where it is a real one."""

    latent: Tensor
    recording: Tensor | None


class Row(NamedTuple):
    """An edit: its error in semitones, whether the digit stayed, and how far the latent moved."""

    error: float
    kept: bool
    moved: float


def clips_of(source: str, generator: Generator, count: int) -> list[Clip]:
    """Synthesised or real clips."""
    if source == "synthesised":
        z = generator.sample_latent(count, generator=torch.Generator().manual_seed(1))
        return [Clip(each, None) for each in z]
    size = {"sample_rate": generator.sample_rate, "num_samples": generator.num_samples}
    clips, labels = validation_clips(data_root(None), **size)
    chosen = choose_evenly(labels, count, 0)
    recordings = to_peak(clips[chosen].unsqueeze(1))
    latents = inverter(generator, "encoder")(recordings).latent
    return [Clip(*each) for each in zip(latents, recordings, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", default=DEFAULT_GENERATOR)
    parser.add_argument("--source", choices=["synthesised", "real"], default="synthesised")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--samples", type=int, default=400)
    settings = parser.parse_args()
    generator = load(settings.generator, Generator)
    classifier = load(SPOKEN_CLASSIFIER, DigitClassifier)
    pitch = attribute_of("pitch")
    samples = sample_attribute(generator, pitch, count=settings.samples)
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
            row = Row(error, edit.word == heard(editor, latent), moved)
            rows.setdefault(name, []).append(row)
    print(report(settings.source, rows, left_out))


def pitch_of(editor: Editor, latent: Tensor) -> float:
    """The mean F0, in semitones, of the sound before an edit."""
    with torch.inference_mode():
        waveform = editor.generator(latent[None])[0]
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
