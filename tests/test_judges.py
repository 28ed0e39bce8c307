"""Judges that audiate did not train, against the packages themselves, and on real clips."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from audiate.data.digits import load_fsdd
from audiate.data.sources import DIGIT_WORDS
from audiate.errors import InputError
from audiate.evaluation import independent
from audiate.evaluation.clips import read_validation
from audiate.evaluation.independent import (
    SoundsToJudge,
    judge_sounds,
    number_judged,
    voice_cosines,
)
from audiate.metrics import judges
from audiate.metrics.judges import (
    NUM_SAMPLES,
    SAMPLE_RATE,
    Judges,
    SpeechQuality,
    WordRecognizer,
    f0_track,
    judge_clips,
    same_second,
    trimmed,
    voicing,
)

MISSING = [name for name in judges._MODULES if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge in this process alone, and by DNSMOS a single clip of each set."""
    monkeypatch.setattr(independent, "judge_clips", partial(judge_clips, quality=1, processes=1))


def buzz(hertz: float, seconds: float = 0.5, rate: int = SAMPLE_RATE) -> Tensor:
    """A sawtooth, which has all harmonics of its F0."""
    time = torch.arange(round(seconds * rate)) / rate
    return 0.4 * (2 * (hertz * time % 1) - 1)


class TestSameSecond:
    def test_silence_and_level_around_a_word_make_no_difference(self) -> None:
        word = buzz(150)
        loud = torch.cat([torch.zeros(5_000), word, torch.zeros(900)])
        quiet = torch.cat([torch.full((17,), 1e-4), 0.1 * word])
        torch.testing.assert_close(same_second(loud, SAMPLE_RATE), same_second(quiet, SAMPLE_RATE))

    def test_a_word_is_centred_at_one_peak(self) -> None:
        clip = same_second(buzz(150), SAMPLE_RATE)
        assert clip.shape == (NUM_SAMPLES,)
        assert clip.abs().max() == pytest.approx(0.9)
        inside = clip.nonzero()
        assert abs(int(inside[0]) - (NUM_SAMPLES - 1 - int(inside[-1]))) <= 1

    def test_longer_clips_keep_their_middle_and_silence_is_empty(self) -> None:
        assert trimmed(buzz(150, 3.0, 8_000), 8_000).shape == (NUM_SAMPLES,)
        assert trimmed(torch.zeros(100), SAMPLE_RATE).shape == (0,)
        assert not same_second(torch.zeros(0), SAMPLE_RATE).any()


class TestPraat:
    @pytest.mark.parametrize("hertz", [80, 150, 400])
    def test_the_f0_of_a_buzz(self, hertz: float) -> None:
        found = f0_track(same_second(buzz(hertz), SAMPLE_RATE))
        voiced = found[found > 0]
        assert np.median(voiced) == pytest.approx(hertz, rel=0.01)
        assert len(voiced) * judges.F0_STEP == pytest.approx(0.5, abs=0.05)

    def test_a_voice_is_voiced_and_noise_is_not(self) -> None:
        noise = torch.randn(8_000, generator=torch.Generator().manual_seed(0))
        assert voicing(trimmed(buzz(150), SAMPLE_RATE)) > 0.95
        assert voicing(trimmed(noise, SAMPLE_RATE)) < 0.1
        assert voicing(torch.zeros(0)) == 0


def test_dnsmos_scores_as_its_package_does() -> None:
    dnsmos: Any = pytest.importorskip("speechmos.dnsmos")
    random = torch.Generator().manual_seed(0)
    clip = 0.3 * buzz(130, 1.024) + 0.05 * torch.randn(NUM_SAMPLES, generator=random)
    repeated = clip.repeat(9)[:144_160]  # the package averages over windows of longer sounds
    expected = dnsmos.run(repeated.numpy(), SAMPLE_RATE)["sig_mos"]
    assert SpeechQuality()(clip) == pytest.approx(float(expected), abs=1e-4)


def test_words_that_the_dictionary_does_not_know_are_named() -> None:
    assert WordRecognizer(["Candle", "monkey"]).words == ["candle", "monkey"]
    with pytest.raises(InputError, match="qwrtz: not in pocketsphinx's dictionary"):
        WordRecognizer(["monkey", "qwrtz"])
    with pytest.raises(InputError, match="no word"):
        WordRecognizer([])


def test_a_judge_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> object:
        return None if name == "speechmos" else object()

    monkeypatch.setattr(judges, "find_spec", find_spec)
    with pytest.raises(InputError, match=r"need speechmos; .*pip install \"audiate\[judges\]\""):
        judge_clips(torch.zeros(1, 1, 100), SAMPLE_RATE, ["one"])


def test_tables_do_without_judges_that_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(judges, "find_spec", lambda name: None)
    assert number_judged(500) == 0
    assert "the table of these judges is left out" in capsys.readouterr().err
    assert number_judged(0) == 0
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("in_process")
def test_sounds_are_judged_beside_real_clips_and_silence(real_data: Path) -> None:
    clips = [clip for clip in load_fsdd(real_data) if clip.speaker == "jackson"][::40]
    waveforms = torch.stack([_second(clip.path) for clip in clips])[:, None]
    digits = torch.tensor([clip.label for clip in clips])
    real = SoundsToJudge("real", waveforms, SAMPLE_RATE, digits)
    noisy = waveforms + 0.001 * torch.randn_like(waveforms)
    whisper = torch.randn_like(waveforms) * 0.1
    table = judge_sounds(
        [
            real,
            SoundsToJudge("kept", noisy, SAMPLE_RATE, digits, waveforms),
            SoundsToJudge("noise", whisper, SAMPLE_RATE, digits, waveforms),
        ]
    )
    assert table is not None
    clean, kept, noise, silence = table.rows
    assert clean.understood >= 0.7
    assert clean.interval[0] < clean.understood < clean.interval[1]
    assert kept.voice is not None
    assert noise.voice is not None
    assert kept.voice > 0.85 > noise.voice
    assert kept.f0_error == pytest.approx(0, abs=5)
    assert noise.understood <= 0.4
    assert noise.voiced < 0.1 < clean.voiced
    assert (silence.what, silence.understood, silence.voiced) == ("silence", 0, 0)
    text = " ".join(str(part) for part in table.parts() if isinstance(part, str))
    assert "None of these judges guides" in text


def _second(path: Path) -> Tensor:
    from audiate.audio.files import load_audio

    return same_second(*load_audio(path))


def test_several_processes_judge_as_one_does(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = torch.stack([_second(clip.path) for clip in load_fsdd(real_data)[:200:50]])[:, None]
    one = judge_clips(clips, SAMPLE_RATE, DIGIT_WORDS, quality=1, processes=1)
    again = judge_clips(clips, SAMPLE_RATE, DIGIT_WORDS, quality=1)  # as they were kept
    assert [each.word for each in again] == [each.word for each in one]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    two = judge_clips(clips, SAMPLE_RATE, DIGIT_WORDS, quality=1, processes=2)
    for each, other in zip(one, two, strict=True):
        assert (each.word, each.voiced) == (other.word, other.voiced)
        np.testing.assert_allclose(each.voice, other.voice, atol=1e-5)
        np.testing.assert_allclose(each.signal, other.signal)
    assert [np.isnan(each.signal) for each in two] == [False, True, True, True]


def test_a_second_signal_leaves_nothing_behind(tmp_path: Path) -> None:
    """It comes while the first one is served, and all that processes share is given back."""
    script = tmp_path / "judge.py"
    script.write_text(
        "import torch\n"
        "from audiate.metrics import judges\n"
        "from audiate.utils.filesystem import terminated_like_interrupted\n"
        "def begun(items, what):\n"
        "    print(what, flush=True)\n"
        "    return items\n"
        "if __name__ == '__main__':\n"
        "    judges.tracked = begun\n"
        "    with terminated_like_interrupted():\n"
        "        judges.judge_clips(torch.rand(99, 1, 16000), 16000, ['no', 'yes'], processes=2)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        _, told = process.communicate()
    assert told.endswith("KeyboardInterrupt\n")
    assert "leaked" not in told


def test_pocketsphinx_understands_real_clips(real_data: Path) -> None:
    waveforms, digits, _ = read_validation(real_data, SAMPLE_RATE, 16_384)
    recognizer = WordRecognizer(DIGIT_WORDS)
    found = [recognizer(trimmed(clip, SAMPLE_RATE)) for clip in waveforms]
    right = [word == DIGIT_WORDS[digit] for word, digit in zip(found, digits, strict=True)]
    assert np.mean(right) >= 0.9


def test_resemblyzer_tells_voices_apart(real_data: Path) -> None:
    other_word, same_word, strangers = voice_cosines(real_data).values()
    assert same_word > other_word + 0.05 > strangers + 0.1


def test_silence_is_judged_too() -> None:
    judgement = Judges(["one", "two"])(torch.zeros(1_000), SAMPLE_RATE, quality=False)
    assert (judgement.word, judgement.voiced) == ("", 0)
    assert np.isnan(judgement.voice).all()
    assert np.isnan(judgement.signal)
