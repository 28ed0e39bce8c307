"""Acoustic measures of sounds whose F0, formants, duration and onset are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from numpy.typing import NDArray

from audiate.audio.files import save_wav
from audiate.audio.words import split_words
from audiate.cli import main
from audiate.data.latents import read_latents, save_csv
from audiate.errors import InputError
from benchmarks.formants import CLOSE_VOWELS, RATE, VOWELS, soft_vowel, vowel

pytest.importorskip("parselmouth")

from audiate.phonetics.measure_folder import MeasureOptions, measure_folder
from audiate.phonetics.measures import MEASURES, UNITS, f0_track, measure, measure_one
from audiate.phonetics.measures_report import cohens_d


def stop(onset: float) -> np.ndarray:
    """A burst of 8 ms, then weak noise, then a vowel, which begins at 0.2 s."""
    sound, source = vowel(120, seconds=0.3), np.random.default_rng(0)
    begin, end, burst = 3200 - int(onset * RATE), 3200, int(0.008 * RATE)
    sound[begin:end] += 0.005 * source.normal(size=end - begin)
    sound[begin : begin + burst] += 0.15 * source.normal(size=burst)
    return sound


def hiss(seconds: float) -> NDArray[np.float64]:
    """A weak fricative over a background, then a vowel, which begins at 0.2 s."""
    sound, count = vowel(120, seconds=0.3), int(seconds * RATE)
    source = np.random.default_rng(0)
    sound[3200 - count : 3200] += 0.02 * source.normal(size=count)
    return sound + 3e-3 * source.normal(size=len(sound))


def glide() -> NDArray[np.float64]:
    """A loud vowel whose formants move, around 0.3 s, then a faint one that does not."""
    loud = [vowel(120, (650 + 20 * k, 1200, 2500, 3500, 4500), 0.04)[3200:-3200] for k in range(6)]
    faint = 0.15 * vowel(120, VOWELS["i"], 0.3)[3200:]
    return np.concatenate([np.zeros(2880), *loud, faint])


class TestKnownSounds:
    @pytest.mark.parametrize("hertz", [90, 120, 180, 240])
    def test_f0_within_one_percent_and_duration_within_ten_milliseconds(self, hertz: int) -> None:
        found = measure(vowel(hertz), RATE)
        assert found.f0_mean == pytest.approx(hertz, rel=0.01)
        assert found.duration == pytest.approx(0.4, abs=0.01)
        assert found.f0_range < 0.2
        assert found.voiced > 0.9

    @pytest.mark.parametrize("offset", [-0.05, 0.2])
    def test_a_constant_offset_changes_nothing(self, offset: float) -> None:
        sound = 0.2 * vowel(120)
        expected, found = measure(sound, RATE), measure(sound + offset, RATE)
        assert found.duration == pytest.approx(expected.duration, abs=1e-6)
        assert found.intensity == pytest.approx(expected.intensity, abs=1e-3)
        word = torch.from_numpy(np.concatenate([sound, np.zeros(RATE), sound]))[None]
        pair = [split_words(each, RATE) for each in (word, word + offset)]
        assert [len(part) for part in pair] == [2, 2]
        for one, other in zip(*pair, strict=True):
            torch.testing.assert_close(one, other - offset)

    @pytest.mark.parametrize("hertz", [100, 140, 180, 220, 260])
    @pytest.mark.parametrize("name", VOWELS)
    def test_formants_within_five_percent(self, name: str, hertz: float) -> None:
        found = measure(vowel(hertz, VOWELS[name]), RATE)
        assert (found.f1, found.f2, found.f3) == pytest.approx(VOWELS[name][:3], rel=0.05)

    @pytest.mark.parametrize("hertz", [100, 180, 240])
    @pytest.mark.parametrize("name", [*VOWELS, *CLOSE_VOWELS])
    def test_how_far_formants_of_a_soft_voice_hold(self, name: str, hertz: float) -> None:
        formants = {**VOWELS, **CLOSE_VOWELS}[name]
        found = measure(soft_vowel(hertz, formants), RATE)
        assert (found.f2, found.f3) == pytest.approx(formants[1:3], rel=0.05)
        # Less than two harmonics lie under a lower F1, which is drawn to one of them.
        assert found.f1 == pytest.approx(formants[0], rel=0.1 if formants[0] >= 2 * hertz else 0.3)

    def test_the_slope_and_range_of_f0(self) -> None:
        found = measure(vowel(120, slope=15.0), RATE)
        assert found.f0_slope == pytest.approx(15, rel=0.05)
        assert found.f0_range == pytest.approx(0.9 * 15 * 0.4, rel=0.1)

    @pytest.mark.parametrize("onset", [0.03, 0.06, 0.09])
    def test_voice_onset_within_ten_milliseconds(self, onset: float) -> None:
        assert measure(stop(onset), RATE).onset == pytest.approx(onset, abs=0.01)

    @pytest.mark.parametrize("seconds", [0.05, 0.1, 0.14])
    def test_a_fricative_is_no_stop(self, seconds: float) -> None:
        found = measure(hiss(seconds), RATE)
        assert np.isnan(found.onset)
        assert not found.onset_confidence >= 0.75
        assert measure(hiss(seconds), RATE, stop=True).onset > 0
        assert np.isnan(measure(stop(0.06), RATE, stop=False).onset)
        assert measure(stop(0.06), RATE).onset_confidence > 0.9

    def test_f0_is_found_in_two_passes(self) -> None:
        shrill = 0.5 * np.sin(2 * np.pi * 500 * np.arange(RATE // 10) / RATE)
        sound = np.concatenate([vowel(110, seconds=0.3)[:-3200], shrill])
        found = measure(sound, RATE)
        assert found.f0_mean == pytest.approx(110, rel=0.05)
        assert (found.f0_floor, found.f0_ceiling) == pytest.approx((82.5, 165), rel=0.02)
        assert found.f0_median == pytest.approx(110, rel=0.01)
        wide = measure(sound, RATE, f0=(75, 600))
        assert wide.f0_mean > 130
        assert (wide.f0_floor, wide.f0_ceiling) == (75, 600)

    def test_formants_are_those_of_the_vowels_middle(self) -> None:
        found = measure(glide(), RATE)
        assert found.vowel == pytest.approx(0.3, abs=0.03)
        assert (found.f1, found.f2) == pytest.approx((700, 1200), rel=0.05)

    def test_the_ceiling_of_formants_follows_the_voice(self) -> None:
        ceilings = [measure(vowel(hertz), RATE).formant_ceiling for hertz in (100, 150, 220)]
        assert ceilings[0] == pytest.approx(5000, abs=1)
        assert 5000 < ceilings[1] < ceilings[2] == 5500
        assert measure(vowel(100), RATE, formant_ceiling=5200).formant_ceiling == 5200

    def test_a_whistle_has_the_pitch_that_is_asked_for(self) -> None:
        bird = 0.5 * np.sin(2 * np.pi * 3000 * np.arange(RATE // 2) / RATE)
        assert measure(bird, RATE).f0_mean != pytest.approx(3000, rel=0.01)
        assert measure(bird, RATE, f0=(500, 8000)).f0_mean == pytest.approx(3000, rel=0.01)

    def test_a_vowel_has_no_voice_onset_time(self) -> None:
        assert np.isnan(measure(vowel(120), RATE).onset)

    def test_intensity_is_the_level_of_the_word(self) -> None:
        tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
        one, padded = measure(tone, RATE), measure(np.pad(tone, RATE // 2), RATE)
        assert one.intensity == pytest.approx(20 * np.log10(0.5 / 2**0.5), abs=0.05)
        assert padded.intensity == pytest.approx(one.intensity, abs=0.2)
        assert measure(0.1 * tone, RATE).intensity == pytest.approx(one.intensity - 20, abs=0.05)

    def test_moments_of_white_noise_and_of_a_tone(self) -> None:
        noise = measure(0.1 * np.random.default_rng(0).normal(size=RATE), RATE)
        assert noise.centre == pytest.approx(4000, rel=0.03)
        assert noise.deviation == pytest.approx(8000 / 12**0.5, rel=0.03)
        assert noise.skewness == pytest.approx(0, abs=0.1)
        assert noise.kurtosis == pytest.approx(-1.2, abs=0.1)
        tone = measure(0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), RATE)
        assert tone.centre == pytest.approx(1000, rel=0.01)

    def test_the_track_is_voiced_where_the_vowel_is(self) -> None:
        track = f0_track(vowel(120), RATE)
        voiced = track.times[np.isfinite(track.f0)]
        assert (voiced.min(), voiced.max()) == pytest.approx((0.2, 0.6), abs=0.03)

    def test_what_holds_no_word_is_refused(self) -> None:
        for samples in (np.zeros(RATE), np.ones(100), np.ones((2, RATE))):
            with pytest.raises(InputError, match=r"silent|0.05 s|shape"):
                measure(samples, RATE)


def test_one_measure_is_the_same_as_among_all() -> None:
    sound = vowel(140, seconds=0.2)
    every = measure(sound, RATE)
    for name in ("duration", "intensity", "f0_mean", "f2"):
        assert measure_one(name, sound, RATE) == pytest.approx(getattr(every, name))


def test_cohens_d() -> None:
    one, other = np.array([1.0, 2, 3, np.nan]), np.array([3.0, 4, 5])
    assert cohens_d(one, other) == pytest.approx(-2)
    assert np.isnan(cohens_d(one[:1], other))


def test_every_measure_has_a_unit() -> None:
    assert set(UNITS) == set(MEASURES)


def test_the_command_measures_two_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, base in (("made", 150), ("real", 100)):
        Path(folder).mkdir()
        for take in range(3):
            soundfile.write(f"{folder}/{take}.wav", vowel(base + take, seconds=0.2), RATE)
    words = [
        "measure",
        "made",
        "--against",
        "real",
        "--out",
        "m.csv",
        "--tracks",
        "f0.csv",
        "--json",
        "--f0",
        "75:400",
    ]
    assert main([*words, "--out", "m.csv"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["made"]["f0_mean"]["mean"] == pytest.approx(151, rel=0.01)
    assert found["cohens_d"]["f0_mean"] > 10
    with Path("m.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["clip"] for row in rows] == ["0", "1", "2"] * 2
    assert {row["f0_floor"] for row in rows} == {"75"}
    assert Path("f0.csv").read_text().startswith("clip,seconds,f0\n")
    assert Path("m.png").stat().st_size > 1000
    Path("mine.csv").write_text("precious\n")
    assert main([*words, "--same-peak"]) == 0
    same = json.loads(capsys.readouterr().out)
    assert same["made"]["f0_mean"] == pytest.approx(found["made"]["f0_mean"], rel=1e-3)
    assert same["made"]["intensity"]["mean"] > found["made"]["intensity"]["mean"] + 3
    assert main(["measure", "made", "--out", "mine.csv"]) == 2
    assert Path("mine.csv").read_text() == "precious\n"


def test_folders_of_different_rates_are_measured_at_the_lowest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sound = vowel(140, seconds=0.3)
    for folder, rate in (("low", RATE), ("high", 2 * RATE)):
        Path(folder).mkdir()
        samples = soxr.resample(sound, RATE, rate)
        soundfile.write(f"{folder}/0.wav", samples, rate)
    # Files that are not used decide nothing.
    soundfile.write("high/silent.wav", np.zeros(4000), 8000)
    Path("low/broken.wav").write_bytes(b"no sound")
    words = ["measure", "high", "--against", "low", "--out", "m.csv", "--tracks", "f0.csv"]
    assert main(words) == 2
    rows = Path("f0.csv").read_text().splitlines()[1:]
    assert {row.split(",")[0] for row in rows} == {"0"}
    told = " ".join(capsys.readouterr().out.split())
    assert f"All clips are measured at {RATE:,} Hz" in told
    with Path("m.csv").open() as file:
        high, low = csv.DictReader(file)
    for name in ("f0_mean", "f1", "f2", "f3", "centre"):
        assert float(high[name]) == pytest.approx(float(low[name]), rel=0.02)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "."], "--out .: is a folder; name a CSV file"),
        (["--out", "q.csv", "--tracks", "./q.csv"], "--tracks q.csv: is the file of --out, too"),
        (["--tracks", "mine.csv"], "name another with --tracks"),
    ],
)
def test_measures_go_to_files_of_their_own(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("precious\n")
    soundfile.write("0.wav", vowel(140, seconds=0.3), RATE)
    assert main(["measure", "0.wav", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (np.zeros(100), "it lasts 0.0"),
        (np.full(RATE, 0.3), "it is silent"),
        (np.zeros((2, RATE)), "has the shape"),
    ],
)
def test_what_cannot_be_measured_is_told(samples: NDArray[np.float64], told: str) -> None:
    with pytest.raises(InputError, match=told):
        measure(samples, RATE)


def test_a_constant_beside_a_sound_is_left_out() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE // 2) / RATE)
    assert measure(tone + 0.3, RATE).centre == pytest.approx(200, rel=0.02)


def test_a_folder_that_whispers_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("made", "real"):
        Path(folder).mkdir()
    for take in range(6):
        soundfile.write(f"real/{take}.wav", vowel(110 + take, seconds=0.2), RATE)
        noise = 0.1 * np.random.default_rng(take).normal(size=RATE // 2)
        hum = 0.3 * np.sin(2 * np.pi * (300 + take) * np.arange(800 * (take < 2)) / RATE)
        soundfile.write(f"made/{take}.wav", np.concatenate([noise, hum]), RATE)
    words = ["measure", "made", "--against", "real", "--out", "m.csv"]
    assert main(words) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "made whispers" in told
    assert "of 6 have no voice of 50 ms" in told
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert np.isnan(found["cohens_d"]["f0_mean"])
    assert not np.isnan(found["cohens_d"]["centre"])


def test_words_and_voices_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words").mkdir()
    for word in ("a", "i"):
        for voice, hertz in (("low", 100), ("high", 200)):
            for take in range(2):
                sound = vowel(hertz + 2 * take, VOWELS[word], seconds=0.2)
                soundfile.write(f"words/{word}_{voice}_{take}.wav", sound, RATE)
    words = ["measure", "words", "--label-from", "{word}_{voice}_*", "--out", "m.csv"]
    assert main([*words, "--textgrids", "grids", "--onset-words", "a"]) == 0
    told = capsys.readouterr().out
    assert "words by word" in told
    assert "words by voice" in told
    with Path("m-groups.csv").open() as file:
        rows = {(row["group"], row["measure"]): row for row in csv.DictReader(file)}
    high = rows["high", "f0_mean"]
    assert float(high["low"]) < 201 < float(high["high"])
    assert float(high["p"]) < 0.05
    assert int(rows["a", "f1"]["n"]) == 4
    # What it writes, it reads: the vowels' middles in place of the words.
    for path in Path("words").glob("*.wav"):
        grid = Path("grids", f"{path.stem}.TextGrid")
        grid.rename(path.with_suffix(".TextGrid"))
    assert main(["measure", "words", "--tier", "vowel", "--out", "vowels.csv"]) == 0
    with Path("vowels.csv").open() as file:
        segments = list(csv.DictReader(file))
    assert {row["word"] for row in segments} == {"a", "i"}
    told = " ".join(capsys.readouterr().out.split())
    assert "begin and vowel are times from the clip's start" in told
    for row in segments:
        begin, end, middle = (float(row[name]) for name in ("begin", "duration", "vowel"))
        assert 0 < begin < middle < begin + end
    assert all(float(row["duration"]) == pytest.approx(0.05, abs=0.002) for row in segments)
    assert main(["measure", "words", "--tier", "none", "--out", "none.csv"]) == 2
    assert "tiers with labels: vowel, word" in capsys.readouterr().err


def test_the_range_of_f0_is_that_of_the_voice(tmp_path: Path) -> None:
    """A clip in which all of the first pass is mistaken is measured as the voice's others are."""
    shrill = 0.5 * np.sin(2 * np.pi * 500 * np.arange(RATE // 4) / RATE)
    for take, sound in enumerate([vowel(110), vowel(115), vowel(112), shrill]):
        soundfile.write(tmp_path / f"a_low_{take}.wav", sound, RATE)
    group = measure_folder(tmp_path, options=MeasureOptions(label_from="{word}_{voice}_*"))
    assert {row.measures.f0_ceiling for row in group.rows} == {group.rows[0].measures.f0_ceiling}
    assert group.values[:, MEASURES.index("f0_mean")].max() < 180
    alone = measure_folder(tmp_path)
    assert alone.values[:, MEASURES.index("f0_mean")].max() == pytest.approx(500, rel=0.01)


def test_sounds_of_codes_are_measured_by_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = []
    for number in range(4):
        save_wav(Path(f"{number:03}.wav"), torch.from_numpy(vowel(100 + 50 * number))[None], RATE)
        rows.append(f"{number:03}")
    save_csv(rows, np.zeros((4, 2), np.float32), Path("latents.csv"), ["0", "1", "0", "1"])
    assert read_latents(Path("latents.csv"), 2).shape == (4, 2)
    group = measure_folder(tmp_path)
    assert [row.code for row in group.rows] == ["0", "1", "0", "1"]
    assert set(group.sorted_by("code")) == {"0", "1"}
