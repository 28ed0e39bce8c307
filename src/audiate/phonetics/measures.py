"""Acoustic measures of words: duration, intensity, F0, formants, spectral moments, voice onset.

They are computed by Praat (Boersma and Weenink), through praat-parselmouth (Jadoul et al. 2018), an
extra of the package.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiate.audio.pitch import F0_CEILING, F0_FLOOR, require_praat
from audiate.errors import InputError

Array = NDArray[np.float64]

MIDDLE = 0.05
"""Seconds of a vowel's middle, over which formants are averaged."""

F0Range = tuple[float, float]
"""Floor and ceiling of F0, in Hz."""

_STEP = 0.005  # seconds between frames of F0 and of formants
_EDGE_STEP = 0.001  # seconds between frames of power, by which a word is found
_BELOW_PEAK_DB = 30.0  # what is quieter than this below the loudest does not begin or end a word
_LEAST_STRETCH = 0.05  # seconds without a break that a voice needs: less is found in noise, too
_VOWEL_DB = 3.0  # what is quieter than this below a vowel's loudest does not belong to it
_VOICES = (120.0, 200.0)  # Hz of F0: a man's and a woman's
_CEILINGS = (5_000.0, 5_500.0)  # Hz of five formants, for a man and a woman, by Praat's manual
# Praat's defaults: window in seconds, pre-emphasis from this frequency in Hz, deviations within
# which a sample counts fully, iterations, tolerance.
_ROBUST_FORMANTS = (0.025, 50.0, 1.5, 5, 1e-6)
_SHORTEST_ONSET, _LONGEST_ONSET = 0.012, 0.15  # seconds between burst and voice
_RISE_DB = 12.0  # by which a burst is louder than what lies 10 ms before it
_CLEAR_RISE_DB = 36.0  # that of a burst that is certain
_CLEAR_GAP = 0.03  # seconds from a burst to the voice that are certain
_CLEAR = 0.75  # confidence from which on a burst is taken for a stop's
_LOUD_BURST_DB = 45.0  # how far a burst may lie below the loudest


@dataclass(frozen=True)
class Measures:
    """Acoustic measures of a clip. What cannot be measured, such as the F0 of noise, is NaN.

    F0, formants and onset need a voice: `_LEAST_STRETCH` of it without a break.

    Attributes:
        begin: The word's beginning in the clip, in seconds.
        duration: Length of the word, in seconds: from the first to the last millisecond within
            30 dB of the loudest.
        intensity: Mean intensity of the word, in dB of full scale (a square wave of full scale has
            0 dB).
        f0_mean: Mean F0 over voiced frames, in Hz.
        f0_median: Its median, in Hz.
        f0_range: Its 5th to 95th percentile, in semitones.
        f0_slope: Slope of a straight line through F0, in semitones a second.
        f0_floor, f0_ceiling: The range in which F0 was looked for in this clip, in Hz.
        voiced: Share of the word's frames within 30 dB of the loudest that are voiced.
        vowel: Time of the vowel's middle in the clip, in seconds: of the voiced stretch that has
            the loudest frame, the part within 3 dB of it.
        f1, f2, f3: Formants there, in Hz: medians over 50 ms. Where F1 is less than twice F0, as in
            *i* and *u* of a high voice, F1 is drawn to the nearest harmonic, and may be off by
            30 %.
        formant_ceiling: The limit below which five formants were looked for, in Hz.
        centre: First spectral moment of the word, in Hz: its centre of gravity.
        deviation: Second moment: standard deviation of frequency, in Hz.
        skewness: Third moment, normalised.
        kurtosis: Fourth moment, normalised, minus 3.
        onset: Voice onset time, in seconds: from a stop's burst to the first voiced frame; NaN
            where there is no burst before a voice, or none that is clear.
        onset_confidence: Of the burst, from 0 to 1: how steeply it rises (12 to 36 dB in 10 ms),
            how far above what precedes it (the same), how long before the voice (10 to 30 ms); the
            least of the three. NaN where there is no burst.

    """

    begin: float
    duration: float
    intensity: float
    f0_mean: float
    f0_median: float
    f0_range: float
    f0_slope: float
    f0_floor: float
    f0_ceiling: float
    voiced: float
    vowel: float
    f1: float
    f2: float
    f3: float
    formant_ceiling: float
    centre: float
    deviation: float
    skewness: float
    kurtosis: float
    onset: float
    onset_confidence: float


LEAST_VOICED = 0.3
"""Share of a word below which it is a whisper, in the main."""

MEASURES = tuple(each.name for each in fields(Measures))
"""Names of all measures."""

UNITS = {
    "begin": "s", "duration": "s", "intensity": "dB", "f0_mean": "Hz", "f0_median": "Hz",
    "f0_range": "st", "f0_slope": "st/s", "f0_floor": "Hz", "f0_ceiling": "Hz", "voiced": "",
    "vowel": "s", "f1": "Hz", "f2": "Hz", "f3": "Hz", "formant_ceiling": "Hz", "centre": "Hz",
    "deviation": "Hz", "skewness": "", "kurtosis": "", "onset": "s", "onset_confidence": "",
}  # fmt: skip
"""Their units."""


@dataclass(frozen=True)
class Track:
    """F0 over time.

    Attributes:
        times: (frames,), in seconds.
        f0: (frames,), in Hz; NaN where the sound is not voiced.
        floor, ceiling: The range in which it was looked for, in Hz.

    """

    times: Array
    f0: Array
    floor: float
    ceiling: float

    def within(self, begin: float, end: float) -> Track:
        """The frames from one time to another, in seconds."""
        inside = (self.times >= begin) & (self.times <= end)
        return replace(self, times=self.times[inside], f0=self.f0[inside])

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Whether each frame is voiced, (frames,)."""
        return np.isfinite(self.f0)

    @property
    def stretches(self) -> list[Array]:
        """Times of voiced frames, those of each stretch without a break by themselves."""
        times = self.times[self.voiced]
        found = np.split(times, np.flatnonzero(np.diff(times) > 1.5 * _STEP) + 1)
        return [each for each in found if len(each) * _STEP >= _LEAST_STRETCH]


def measure(
    waveform: Tensor | NDArray[np.floating],
    sample_rate: int,
    *,
    f0: F0Range | None = None,
    formant_ceiling: float | None = None,
    stop: bool | None = None,
    span: tuple[float, float] | None = None,
) -> Measures:
    """Measure a clip.

    Args:
        waveform: (samples,) in [-1, 1].
        sample_rate: Its sample rate, in Hz.
        f0: As of `f0_track`.
        formant_ceiling: The limit below which five formants are looked for, in Hz. The default
            follows the voice: 5,000 where F0 is 120 Hz or lower, 5,500 from 200 Hz on, and between.
        stop: Whether the word begins with a stop, so that its voice onset is measured. None
            measures it where the burst is clear, that is where the confidence is 0.75 or more.
        span: Where the word or segment begins and ends, in seconds. The default is what lies
            within 30 dB of the loudest.

    Raises:
        InputError: The clip is silent or shorter than 0.05 s, or praat-parselmouth is missing.

    """
    samples = check_measurable(waveform, sample_rate)
    begin, end = span or _word(samples, sample_rate)
    word = samples[round(begin * sample_rate) : round(end * sample_rate)]
    if span is not None:
        check_measurable(word, sample_rate)
    track = f0_track(samples, sample_rate, f0).within(begin, end)
    mean, median, wide, slope = _f0_line(track)
    if formant_ceiling is None:
        formant_ceiling = float(np.interp(np.log(median), np.log(_VOICES), _CEILINGS))
    middle = _vowel_middle(samples, sample_rate, track)
    return Measures(
        begin,
        end - begin,
        _intensity(word),
        mean,
        median,
        wide,
        slope,
        track.floor,
        track.ceiling,
        _share(samples, sample_rate, track),
        middle,
        *_formants(samples, sample_rate, middle, formant_ceiling),
        formant_ceiling,
        *_moments(word, sample_rate),
        *_onset(samples, sample_rate, begin, track, stop),
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
    return _f0_line(f0_track(samples, sample_rate).within(begin, end))[0]


def voice_of(waveform: Tensor | NDArray[np.floating], sample_rate: int) -> tuple[float, float]:
    """``f0_mean`` and ``voiced`` of a clip alone; else as `measure`."""
    samples = check_measurable(waveform, sample_rate)
    track = f0_track(samples, sample_rate).within(*_word(samples, sample_rate))
    return _f0_line(track)[0], _share(samples, sample_rate, track)


def _share(samples: Array, sample_rate: int, track: Track) -> float:
    levels, step = _levels(samples, sample_rate, 0.005)
    there = np.minimum((track.times / step).astype(int), len(levels) - 1)
    loud = levels[there] >= levels.max() - _BELOW_PEAK_DB
    return float(track.voiced[loud].mean()) if loud.any() else 0.0


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


def _f0_line(track: Track) -> tuple[float, float, float, float]:
    """Mean and median F0, in Hz, its range, in semitones, and its slope, in semitones a second."""
    if not track.stretches:
        return np.nan, np.nan, np.nan, np.nan
    times, f0 = track.times[track.voiced], track.f0[track.voiced]
    semitones = 12 * np.log2(f0 / 100)
    span = float(np.subtract(*np.percentile(semitones, [95, 5])))
    slope = float(np.polyfit(times, semitones, 1)[0])
    return float(f0.mean()), float(np.median(f0)), span, slope


def _intensity(word: Array) -> float:
    return float(10 * np.log10(np.square(word).mean() + 1e-20))


def f0_track(samples: NDArray[np.floating], sample_rate: int, f0: F0Range | None = None) -> Track:
    """Track F0 of a clip (samples,), every 5 ms, by Praat's autocorrelation (Boersma 1993).

    Args:
        samples: The clip.
        sample_rate: Its sample rate, in Hz.
        f0: Floor and ceiling, in Hz. The default takes two passes (De Looze and Hirst 2008): one
            from 60 to 600 Hz, and one from 0.75 times the lower to 1.5 times the upper quartile of
            what the first has found, so that most errors of an octave are left out.

    Raises:
        InputError: praat-parselmouth is missing.

    """
    praat = require_praat()
    sound = praat.Sound(np.asarray(samples, dtype=np.float64), sampling_frequency=sample_rate)
    track = _tracked(sound, *(f0 or (F0_FLOOR, F0_CEILING)))
    if f0 is not None or not track.voiced.any():
        return track
    return _tracked(sound, *f0_range(track.f0))


def f0_range(f0: Array) -> F0Range:
    """The range of a voice by F0 (frames,), in Hz, of a first pass (De Looze and Hirst 2008)."""
    low, high = np.nanpercentile(f0, [25, 75])
    return max(0.75 * float(low), F0_FLOOR), min(1.5 * float(high), F0_CEILING)


def _tracked(sound: Any, floor: float, ceiling: float) -> Track:
    """Track F0 of a sound of Praat's between floor and ceiling, in Hz."""
    if sound.duration < 3.1 / floor:
        return Track(np.zeros(0), np.zeros(0), floor, ceiling)
    pitch = sound.to_pitch_ac(time_step=_STEP, pitch_floor=floor, pitch_ceiling=ceiling)
    f0 = pitch.selected_array["frequency"]
    return Track(pitch.xs(), np.where(f0 > 0, f0, np.nan), floor, ceiling)


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


def _vowel_middle(samples: Array, sample_rate: int, track: Track) -> float:
    """Time of the middle of the vowel, in seconds; NaN without a voice."""
    if not track.stretches:
        return np.nan
    levels, step = _levels(samples, sample_rate, 0.03)
    last = len(levels) - 1
    loud = [levels[np.minimum((each / step).astype(int), last)] for each in track.stretches]
    vowel = int(np.argmax([each.max() for each in loud]))
    own = loud[vowel] >= loud[vowel].max() - _VOWEL_DB
    first, end = np.flatnonzero(own)[[0, -1]]
    return float(track.stretches[vowel][[first, end]].mean())


def _formants(
    samples: Array, sample_rate: int, middle: float, ceiling: float
) -> tuple[float, float, float]:
    """F1 to F3 around a time, in Hz: medians over 50 ms.

    They are found by robust linear prediction (Lee 1988), in which the samples at the pulses of the
    voice weigh less: plain linear prediction of a high voice finds harmonics in place of formants.

    On synthesised vowels of sharp pulses at 100 to 260 Hz, all three hold within 5 %. Of soft
    pulses (Rosenberg 1971), F2 and F3 do, and F1 within 10 % where it is at least twice F0. Below
    that, as in *i* and *u* of a high voice, there is at most one harmonic under F1, which is then
    drawn to the nearest harmonic: it may be off by 30 %, to either side.
    """
    if np.isnan(middle):
        return np.nan, np.nan, np.nan
    praat = require_praat()
    sound = praat.Sound(samples, sampling_frequency=sample_rate)
    highest = min(ceiling, sample_rate / 2)
    most = round(10 * highest / ceiling) / 2  # Praat takes halves of a formant, too
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # frames that are not optimised are taken as they are
        found = praat.praat.call(
            sound, "To Formant (robust)...", _STEP, most, highest, *_ROBUST_FORMANTS
        )
    times = middle + np.arange(-MIDDLE / 2, MIDDLE / 2 + 1e-9, _STEP)
    f1, f2, f3 = (_median([found.get_value_at_time(n, t) for t in times]) for n in (1, 2, 3))
    return f1, f2, f3


def _median(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else np.nan


def _moments(word: Array, sample_rate: int) -> tuple[float, float, float, float]:
    """The four spectral moments of a word, weighted by power (Forrest et al. 1988)."""
    power = np.square(np.abs(np.fft.rfft(word - word.mean())))
    hertz = np.fft.rfftfreq(len(word), 1 / sample_rate)
    share = power / power.sum()
    centre = float(share @ hertz)
    second, third, fourth = (float(share @ (hertz - centre) ** order) for order in (2, 3, 4))
    spread = max(second, 1e-12) ** 0.5
    return centre, spread, third / spread**3, fourth / spread**4 - 3


def _onset(
    samples: Array, sample_rate: int, begin: float, track: Track, stop: bool | None
) -> tuple[float, float]:
    """Voice onset time, in seconds, after a burst, and its confidence; NaN without a burst."""
    if not track.stretches or stop is False:
        return np.nan, np.nan
    levels, step = _levels(samples, sample_rate, 0.002)
    # Praat's frames are wide, so the voice begins where power does, near the first voiced frame.
    first = _voice_begins(samples, sample_rate, float(track.stretches[0][0]))
    early, late = max(int((begin - 0.02) / step), 0), int(first / step)
    rise = np.full(len(levels), -np.inf)
    rise[10:] = levels[10:] - levels[:-10]
    loud = (rise >= _RISE_DB) & (levels >= levels.max() - _LOUD_BURST_DB)
    bursts = np.flatnonzero(loud[early : late + 1])
    if not len(bursts):
        return np.nan, np.nan
    burst = early + int(bursts[0])
    delay = first - burst * step
    if not _SHORTEST_ONSET <= delay <= _LONGEST_ONSET:
        return np.nan, np.nan
    height = levels[burst : burst + 12].max() - np.median(levels[max(burst - 40, 0) : burst - 7])
    steep = rise[burst : burst + 10].max()
    found = (min(steep, height) - _RISE_DB) / (_CLEAR_RISE_DB - _RISE_DB)
    confidence = float(np.clip(min(found, (delay - 0.01) / (_CLEAR_GAP - 0.01)), 0, 1))
    return (delay if stop or confidence >= _CLEAR else np.nan), confidence


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
