"""Acoustic measures of words: duration, intensity, F0, formants, spectral moments, voice onset.

They are computed by Praat (Boersma and Weenink), through praat-parselmouth (Jadoul et al. 2018), an
extra of the package.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiate.audio.pitch import F0_CEILING, F0_FLOOR, require_praat
from audiate.errors import InputError

Array = NDArray[np.float64]

MAX_FORMANT_HZ = 5_000.0
"""Upper limit of five formants, in Hz. Praat's manual: 5,000 for adult men, 5,500 for women."""

_STEP = 0.005  # seconds between frames of F0 and of formants
_EDGE_STEP = 0.001  # seconds between frames of power, by which a word is found
_BELOW_PEAK_DB = 30.0  # what is quieter than this below the loudest does not begin or end a word
_LEAST_VOICED = 3  # frames that a mean F0 needs
_STEADY = 0.05  # seconds of a steady state
# Praat's defaults: window in seconds, pre-emphasis from this frequency in Hz, deviations within
# which a sample counts fully, iterations, tolerance.
_ROBUST_FORMANTS = (0.025, 50.0, 1.5, 5, 1e-6)
_SHORTEST_ONSET, _LONGEST_ONSET = 0.012, 0.15  # seconds between burst and voice
_RISE_DB = 12.0  # by which a burst is louder than what lies 10 ms before it
_LOUD_BURST_DB = 45.0  # how far a burst may lie below the loudest


@dataclass(frozen=True)
class Measures:
    """Acoustic measures of a clip. What cannot be measured, such as the F0 of noise, is NaN.

    Attributes:
        duration: Length of the word, in seconds: from the first to the last millisecond within
            30 dB of the loudest.
        intensity: Mean intensity of the word, in dB of full scale (a square wave of full scale has
            0 dB).
        f0_mean: Mean F0 over voiced frames, in Hz.
        f0_range: Its 5th to 95th percentile, in semitones.
        f0_slope: Slope of a straight line through F0, in semitones a second.
        voiced: Share of the word's frames that are voiced.
        f1, f2, f3: Formants at the steady state, in Hz: the median over the 50 voiced milliseconds
            in which F1 and F2 move least. Where F1 is less than twice F0, as in *i* and *u* of a
            high voice, F1 is drawn to the nearest harmonic, and may be off by 30 %.
        centre: First spectral moment of the word, in Hz: its centre of gravity.
        deviation: Second moment: standard deviation of frequency, in Hz.
        skewness: Third moment, normalised.
        kurtosis: Fourth moment, normalised, minus 3.
        onset: Voice onset time, in seconds: from a stop's burst to the first voiced frame; NaN
            where the word does not begin with a stop's burst before a voice.

    """

    duration: float
    intensity: float
    f0_mean: float
    f0_range: float
    f0_slope: float
    voiced: float
    f1: float
    f2: float
    f3: float
    centre: float
    deviation: float
    skewness: float
    kurtosis: float
    onset: float


MEASURES = tuple(each.name for each in fields(Measures))
"""Names of all measures."""

UNITS = {
    "duration": "s", "intensity": "dB", "f0_mean": "Hz", "f0_range": "st", "f0_slope": "st/s",
    "voiced": "", "f1": "Hz", "f2": "Hz", "f3": "Hz", "centre": "Hz", "deviation": "Hz",
    "skewness": "", "kurtosis": "", "onset": "s",
}  # fmt: skip
"""Their units."""


@dataclass(frozen=True)
class Track:
    """F0 over time.

    Attributes:
        times: (frames,), in seconds.
        f0: (frames,), in Hz; NaN where the sound is not voiced.

    """

    times: Array
    f0: Array


def measure(waveform: Tensor | NDArray[np.floating], sample_rate: int) -> Measures:
    """Measure a clip.

    Args:
        waveform: (samples,) in [-1, 1].
        sample_rate: Its sample rate, in Hz.

    Raises:
        InputError: The clip is silent or shorter than 0.05 s, or praat-parselmouth is missing.

    """
    samples = check_measurable(waveform, sample_rate)
    begin, end = _word(samples, sample_rate)
    word = samples[round(begin * sample_rate) : round(end * sample_rate)]
    track = f0_track(samples, sample_rate)
    spoken = (track.times >= begin) & (track.times <= end)
    times, f0 = track.times[spoken], track.f0[spoken]
    voiced = np.isfinite(f0)
    return Measures(
        end - begin,
        _intensity(word),
        *_f0_line(times[voiced], f0[voiced]),
        float(voiced.mean()) if len(voiced) else 0.0,
        *_formants(samples, sample_rate, times[voiced]),
        *_moments(word, sample_rate),
        _onset(samples, sample_rate, begin, times[voiced]),
    )


def measure_one(name: str, waveform: Tensor | NDArray[np.floating], sample_rate: int) -> float:
    """Measure one of `MEASURES`, and compute no more than it needs; else as `measure`.

    Raises:
        InputError: As for `measure`.

    """
    samples = check_measurable(waveform, sample_rate)
    if name not in ("duration", "intensity", "f0_mean"):
        return float(getattr(measure(samples, sample_rate), name))
    begin, end = _word(samples, sample_rate)
    if name == "duration":
        return end - begin
    if name == "intensity":
        return _intensity(samples[round(begin * sample_rate) : round(end * sample_rate)])
    track = f0_track(samples, sample_rate)
    f0 = track.f0[(track.times >= begin) & (track.times <= end)]
    voiced = f0[np.isfinite(f0)]
    return float(voiced.mean()) if len(voiced) >= _LEAST_VOICED else np.nan


def check_measurable(waveform: Tensor | NDArray[np.floating], sample_rate: int) -> Array:
    """Samples (samples,) around zero, of a clip that can be measured.

    Raises:
        InputError: The clip is silent or shorter than 0.05 s.

    """
    samples = np.asarray(waveform, dtype=np.float64)
    if samples.ndim != 1:
        raise InputError(f"a clip to measure has the shape (samples,), not {samples.shape}")
    if len(samples) < 0.05 * sample_rate:
        seconds = len(samples) / sample_rate
        raise InputError(f"it lasts {seconds:.3f} s, and 0.05 s are the least that can be measured")
    if not np.ptp(samples) > 1e-4:  # a constant is no sound
        raise InputError("it is silent, so there is nothing to measure")
    # A constant offset is no sound. The median finds it, where voice is pulses of one sign, too.
    around_zero: Array = samples - np.median(samples)
    return around_zero


def _f0_line(times: Array, f0: Array) -> tuple[float, float, float]:
    """Mean F0, in Hz, its range, in semitones, and its slope, in semitones a second."""
    if len(f0) < _LEAST_VOICED:
        return np.nan, np.nan, np.nan
    semitones = 12 * np.log2(f0 / 100)
    span = np.subtract(*np.percentile(semitones, [95, 5]))
    return float(f0.mean()), float(span), float(np.polyfit(times, semitones, 1)[0])


def _intensity(word: Array) -> float:
    return float(10 * np.log10(np.square(word).mean() + 1e-20))


def f0_track(samples: NDArray[np.floating], sample_rate: int) -> Track:
    """Track F0 of a clip (samples,), every 5 ms, by Praat's autocorrelation (Boersma 1993).

    Raises:
        InputError: praat-parselmouth is missing.

    """
    praat = require_praat()
    sound = praat.Sound(np.asarray(samples, dtype=np.float64), sampling_frequency=sample_rate)
    if sound.duration < 3.1 / F0_FLOOR:
        return Track(np.zeros(0), np.zeros(0))
    pitch = sound.to_pitch_ac(time_step=_STEP, pitch_floor=F0_FLOOR, pitch_ceiling=F0_CEILING)
    f0 = pitch.selected_array["frequency"]
    return Track(pitch.xs(), np.where(f0 > 0, f0, np.nan))


def _levels(samples: Array, sample_rate: int, seconds: float) -> tuple[Array, float]:
    """Power, in dB, in each millisecond, averaged over so many seconds, and its step in seconds."""
    step = max(round(_EDGE_STEP * sample_rate), 1)
    count = len(samples) // step
    power = np.square(samples[: count * step]).reshape(count, step).mean(1)
    width = max(round(seconds / _EDGE_STEP), 1)
    smooth = np.convolve(power, np.ones(width) / width, mode="same")
    return 10 * np.log10(smooth + 1e-14), step / sample_rate


def _word(samples: Array, sample_rate: int) -> tuple[float, float]:
    """The word's beginning and end, in seconds."""
    levels, step = _levels(samples, sample_rate, 0.005)
    loud = np.flatnonzero(levels >= levels.max() - _BELOW_PEAK_DB)
    return float(loud[0] * step), float(min((loud[-1] + 1) * step, len(samples) / sample_rate))


def _formants(samples: Array, sample_rate: int, voiced: Array) -> tuple[float, float, float]:
    """F1 to F3 at the steady state, in Hz, given the times of voiced frames.

    They are found by robust linear prediction (Lee 1988), in which the samples at the pulses of the
    voice weigh less: plain linear prediction of a high voice finds harmonics in place of formants.

    On synthesised vowels of sharp pulses at 100 to 260 Hz, all three hold within 5 %. Of soft
    pulses (Rosenberg 1971), F2 and F3 do, and F1 within 10 % where it is at least twice F0. Below
    that, as in *i* and *u* of a high voice, there is at most one harmonic under F1, which is then
    drawn to the nearest harmonic: it may be off by 30 %, to either side.
    """
    nothing = (np.nan, np.nan, np.nan)
    width = round(_STEADY / _STEP)
    if len(voiced) < width:
        return nothing
    praat = require_praat()
    sound = praat.Sound(samples, sampling_frequency=sample_rate)
    highest = min(MAX_FORMANT_HZ, sample_rate / 2)
    most = 5.0 if highest == MAX_FORMANT_HZ else 4.0
    found = praat.praat.call(
        sound, "To Formant (robust)...", _STEP, most, highest, *_ROBUST_FORMANTS
    )
    values = np.array([[found.get_value_at_time(n, t) for n in (1, 2, 3)] for t in voiced])
    together = np.arange(width) + np.arange(len(voiced) - width + 1)[:, None]
    spans = voiced[together[:, -1]] - voiced[together[:, 0]] < 1.5 * _STEADY
    windows = values[together]
    usable = spans & np.isfinite(windows[:, :, :2]).all((1, 2))
    if not usable.any():
        return nothing
    moving = (windows[:, :, :2].std(1) / np.abs(windows[:, :, :2].mean(1))).sum(1)
    steady = windows[np.where(usable, moving, np.inf).argmin()]
    return tuple(  # type: ignore[return-value]
        float(np.nanmedian(each)) if np.isfinite(each).any() else np.nan for each in steady.T
    )


def _moments(word: Array, sample_rate: int) -> tuple[float, float, float, float]:
    """The four spectral moments of a word, weighted by power (Forrest et al. 1988)."""
    power = np.square(np.abs(np.fft.rfft(word - word.mean())))
    hertz = np.fft.rfftfreq(len(word), 1 / sample_rate)
    share = power / power.sum()
    centre = float(share @ hertz)
    second, third, fourth = (float(share @ (hertz - centre) ** order) for order in (2, 3, 4))
    spread = max(second, 1e-12) ** 0.5
    return centre, spread, third / spread**3, fourth / spread**4 - 3


def _onset(samples: Array, sample_rate: int, begin: float, voiced: Array) -> float:
    """Voice onset time, in seconds, after a burst; NaN without a burst before the voice."""
    if not len(voiced):
        return np.nan
    levels, step = _levels(samples, sample_rate, 0.002)
    # Praat's frames are wide, so the voice begins where power does, near the first voiced frame.
    first = _voice_begins(samples, sample_rate, float(voiced[0]))
    early = max(int((max(begin - 0.02, 0)) / step), 0)
    late = int(first / step)
    rise = np.full(len(levels), -np.inf)
    rise[10:] = levels[10:] - levels[:-10]
    loud = (rise >= _RISE_DB) & (levels >= levels.max() - _LOUD_BURST_DB)
    bursts = np.flatnonzero(loud[early : late + 1])
    if not len(bursts):
        return np.nan
    delay = first - (early + bursts[0]) * step
    return float(delay) if _SHORTEST_ONSET <= delay <= _LONGEST_ONSET else np.nan


def _voice_begins(samples: Array, sample_rate: int, near: float) -> float:
    """The moment near the first voiced frame at which low frequencies set in, in seconds."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / sample_rate) > F0_CEILING] = 0
    low = np.fft.irfft(spectrum, len(samples))
    levels, step = _levels(low, sample_rate, 0.003)
    first, last = max(int((near - 0.02) / step), 0), min(int((near + 0.04) / step), len(levels))
    around = levels[first:last]
    loud = np.flatnonzero(around >= around.max() - 8) if len(around) else np.zeros(0, dtype=int)
    return (first + int(loud[0])) * step if len(loud) else near
