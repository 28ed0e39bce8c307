"""How far formants hold: on vowels whose formants are known, and from take to take of a word.

    python -m benchmarks.formants
    AUDIATE_DATA=data python -m benchmarks.formants --takes

Vowels are pulses of a voice through resonances: sharp pulses, and soft ones whose F1 is harder to
find, as fewer harmonics lie near it.
"""

from __future__ import annotations

import argparse

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import lfilter

from audiate.audio.files import load_audio
from audiate.data.sources import SPEAKERS, data_root
from audiate.phonetics.measures import measure
from audiate.utils.reports import make_table, render

Array = NDArray[np.float64]

F0 = (100, 140, 180, 220, 260, 300)
RATE = 16_000
CLOSE_VOWELS = {"close i": (280, 2250, 2900, 3500, 4500), "u": (310, 870, 2250, 3500, 4500)}
VOWELS = {
    "i": (300, 2200, 2900, 3500, 4500),
    "a": (700, 1200, 2500, 3500, 4500),
    "e": (500, 1500, 2500, 3500, 4500),
}


def vowel(
    hertz: float, formants: tuple[int, ...] = VOWELS["a"], seconds: float = 0.4, slope: float = 0.0
) -> Array:
    """Pulses through resonances (Klatt 1980), between 0.2 s of silence; slope in st a second."""
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    cycles = np.cumsum(hertz * 2 ** (slope * (time - seconds / 2) / 12)) / RATE
    sound = (np.diff(np.floor(cycles), prepend=-1) > 0).astype(float)
    sound = lfilter([1], [1, -0.96], sound)
    for formant in formants:
        radius = np.exp(-np.pi * (60 + 0.04 * formant) / RATE)
        feedback = [1, -2 * radius * np.cos(2 * np.pi * formant / RATE), radius**2]
        sound = lfilter([sum(feedback)], feedback, sound)
    sound *= np.minimum(1, np.minimum(np.arange(count), count - 1 - np.arange(count)) / 160)
    return np.pad(0.5 * sound / np.abs(sound).max(), 3200)


def soft_vowel(hertz: float, formants: tuple[int, ...]) -> Array:
    """The derivative of Rosenberg's (1971) pulses through resonances, made at twice the rate."""
    rate = 2 * RATE
    phase = np.arange(rate // 4) * hertz / rate % 1
    opening, closing = 0.4, 0.16
    fall = np.cos(np.pi / 2 * (phase - opening) / closing)
    rise = 0.5 - 0.5 * np.cos(np.pi * phase / opening)
    flow = np.where(phase < opening, rise, np.where(phase < opening + closing, fall, 0))
    sound = np.diff(flow, prepend=0)
    for formant in formants:
        radius = np.exp(-np.pi * (60 + 0.04 * formant) / rate)
        feedback = [1, -2 * radius * np.cos(2 * np.pi * formant / rate), radius**2]
        sound = lfilter([sum(feedback)], feedback, sound)
    sound = soxr.resample(sound, rate, RATE)
    count = len(sound)
    sound *= np.minimum(1, np.minimum(np.arange(count), count - 1 - np.arange(count)) / 160)
    return np.pad(0.5 * sound / np.abs(sound).max(), 3200)


def errors(soft: bool) -> Array:
    """Relative errors (vowels, F0, 3) of F1 to F3."""
    found = []
    for formants in (VOWELS | CLOSE_VOWELS).values():
        make = soft_vowel if soft else vowel
        each = [measure(make(hertz, formants), RATE) for hertz in F0]
        found.append([np.array([m.f1, m.f2, m.f3]) / formants[:3] - 1 for m in each])
    return np.array(found)


def takes() -> tuple[int, int]:
    """Words of a voice of FSDD of which three takes differ by 150 Hz in F1 or 300 in F2, of all."""
    folder = data_root(None) / "fsdd" / "recordings"
    apart = cells = 0
    for voice in SPEAKERS:
        for digit in range(10):
            clips = [load_audio(folder / f"{digit}_{voice}_{take}.wav") for take in (5, 15, 25)]
            found = [measure(waveform, rate) for waveform, rate in clips]
            spread = np.ptp([[each.f1, each.f2] for each in found], 0)
            cells += bool(np.isfinite(spread).all())
            apart += bool(spread[0] > 150 or spread[1] > 300)
    return apart, cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--takes", action="store_true", help="three takes of each word of FSDD")
    if parser.parse_args().takes:
        print(
            "F1 or F2 of three takes differ by more than 150 or 300 Hz: {} of {}".format(*takes())
        )
        return
    names = [f"{name} {f1:,}" for name, (f1, *_) in (VOWELS | CLOSE_VOWELS).items()]
    for soft in (False, True):
        found = 100 * errors(soft)
        table = make_table(
            f"Error of F1, in %, of {'soft' if soft else 'sharp'} pulses by F0 in Hz",
            *("vowel and F1", *map(str, F0), "F2, worst", "F3, worst"),
        )
        for name, row in zip(names, found, strict=True):
            worst = np.abs(row[:, 1:]).max(0)
            table.add_row(name, *(f"{e:+.0f}" for e in row[:, 0]), *(f"{e:.1f}" for e in worst))
        print(render(table))


if __name__ == "__main__":
    main()
