"""Reading sound, and the log-mel spectrogram, against librosa and closed forms."""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from conftest import write_tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiate.audio.files import (
    Recording,
    add_noise,
    file_form,
    fit_length,
    is_silent,
    load_audio,
    prepare_speech,
    resample,
    spans_of,
)
from audiate.audio.log_mel import LogMel, at_times
from audiate.audio.spectrograms import mel_filters
from audiate.errors import InputError


def tone(hertz: float, seconds: float, rate: int = 8000) -> torch.Tensor:
    time = torch.arange(round(seconds * rate)) / rate
    return 0.5 * torch.sin(2 * torch.pi * hertz * time)


@pytest.mark.parametrize("ratio", [20.0, 0.0])
def test_noise_has_the_power_asked_for(ratio: float) -> None:
    clean = tone(440, 2.0)
    generator = torch.Generator().manual_seed(0)
    noise = add_noise(clean, ratio, generator=generator) - clean
    measured = 10 * (clean.square().mean() / noise.square().mean()).log10()
    assert measured.item() == pytest.approx(ratio, abs=0.2)
    again = add_noise(clean, ratio, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(again - clean, noise)


class TestLoadAudio:
    @pytest.mark.parametrize(
        ("suffix", "subtype", "tolerance"),
        [
            ("wav", "PCM_16", 1e-4),
            ("wav", "PCM_24", 1e-6),
            ("wav", "FLOAT", 1e-7),
            ("wav", "PCM_U8", 1e-2),
            ("flac", "PCM_16", 1e-4),
            ("aiff", "PCM_16", 1e-4),
            ("ogg", "VORBIS", 0.1),
            ("mp3", "MPEG_LAYER_III", 0.1),
        ],
    )
    def test_every_format_gives_the_samples_back(
        self, tmp_path: Path, suffix: str, subtype: str, tolerance: float
    ) -> None:
        samples = tone(440, 0.5, 16_000)
        path = tmp_path / f"clip.{suffix}"
        soundfile.write(path, samples.numpy(), 16_000, subtype=subtype)
        waveform, rate = load_audio(path)
        assert rate == 16_000
        assert waveform.dtype == torch.float32
        assert len(waveform) >= len(samples)  # an mp3 ends in padding
        assert (waveform[: len(samples)] - samples).abs().mean() < tolerance

    @pytest.mark.parametrize("channels", [1, 2, 7])
    def test_channels_are_averaged(self, tmp_path: Path, channels: int) -> None:
        samples = np.random.default_rng(0).uniform(-0.9, 0.9, (800, channels)).astype(np.float32)
        soundfile.write(tmp_path / "clip.wav", samples, 8000, subtype="FLOAT")
        waveform, _ = load_audio(tmp_path / "clip.wav")
        np.testing.assert_allclose(waveform.numpy(), samples.mean(1), atol=1e-6)

    def test_channels_that_cancel_are_not_lost(self, tmp_path: Path) -> None:
        samples = tone(440, 0.2).numpy()
        soundfile.write(tmp_path / "x.wav", np.stack([samples, -samples], 1), 8000, subtype="FLOAT")
        np.testing.assert_allclose(load_audio(tmp_path / "x.wav")[0].abs(), np.abs(samples))

    def test_floats_beyond_one_are_scaled_down(self, tmp_path: Path) -> None:
        samples = 3 * tone(440, 0.2).numpy()
        soundfile.write(tmp_path / "loud.wav", samples, 8000, subtype="FLOAT")
        waveform, _ = load_audio(tmp_path / "loud.wav")
        np.testing.assert_allclose(waveform.numpy(), samples / np.abs(samples).max(), atol=1e-6)

    @pytest.mark.parametrize("suffix", ["wav", "aiff", "mp3", "flac", "ogg"])
    def test_truncated_files_are_named(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"cut.{suffix}"
        soundfile.write(path, tone(440, 2.0, 16_000).numpy(), 16_000)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=f"cut.{suffix}: (truncated|cannot be read)"):
            load_audio(path)

    def test_a_wav_that_was_streamed_is_fine(self, tmp_path: Path) -> None:
        path = write_tone(tmp_path / "stream.wav")
        content = bytearray(path.read_bytes())
        content[4:8] = content[40:44] = (
            b"\xff\xff\xff\xff"  # sizes unknown when the header went out
        )
        path.write_bytes(content)
        waveform, _ = load_audio(path)
        assert len(waveform) == 3200

    def test_bad_files_each_say_what_to_do(self, tmp_path: Path) -> None:
        (tmp_path / "empty.wav").touch()
        (tmp_path / "text.wav").write_text("not a sound\n" * 20)
        soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
        soundfile.write(tmp_path / "nan.wav", np.full(800, np.nan), 8000, subtype="FLOAT")
        for name, complaint in {
            "missing.wav": "no such file",
            ".": "is a folder; name the sound files in it",
            "empty.wav": "the file is empty; copy it again",
            "text.wav": "cannot be read as sound .* convert it",
            "none.wav": "holds no samples",
            "nan.wav": "NaN or infinite samples",
        }.items():
            with pytest.raises(InputError, match=complaint) as caught:
                load_audio(tmp_path / name)
            assert str(caught.value).startswith(str(tmp_path / name))
            assert "\n" not in str(caught.value)

    def test_three_hours_are_refused_without_being_read(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "long.wav", np.zeros(3 * 3600 * 100, np.int16), 100)
        with pytest.raises(InputError, match=r"lasts 3\.0 h, over 60 s; cut out"):
            load_audio(tmp_path / "long.wav")


class TestLimits:
    def test_a_minute_at_ten_megahertz_is_refused_without_being_read(self, tmp_path: Path) -> None:
        path = tmp_path / "fast.wav"
        header(path, rate=10_000_000, frames=590_000_000)
        for load in (load_audio, partial(load_audio, sample_rate=16_000, channels=1)):
            with pytest.raises(InputError, match=r"fast\.wav: 590,000,000 samples are over the 67"):
                load(path)

    def test_what_would_become_too_large_is_refused(self, tmp_path: Path) -> None:
        path = write_tone(tmp_path / "tone.wav", seconds=8)
        with pytest.raises(InputError, match=r"tone\.wav: 80,000,000 samples are over"):
            load_audio(path, 10_000_000)
        with pytest.raises(InputError, match="samples are over"):
            load_audio(path, 1_000_000, channels=9)
        with pytest.raises(InputError, match=r"at 10,000,000 Hz, 80,000,000 samples are over"):
            resample(torch.zeros(64_000), 8000, 10_000_000)

    @pytest.mark.parametrize("rate", [1, 99, 10_000_001])
    def test_one_range_of_sample_rates(self, tmp_path: Path, rate: int) -> None:
        path = tmp_path / "odd.wav"
        header(path, rate=rate, frames=50)
        for load in (load_audio, file_form, partial(load_audio, sample_rate=16_000, channels=1)):
            with pytest.raises(InputError, match=rf"odd\.wav: sample rate {rate}: give 100 to"):
                load(path)
        with pytest.raises(InputError, match=f"sample_rate {rate}: give 100 to"):
            load_audio(write_tone(tmp_path / "tone.wav"), rate)

    def test_less_than_a_sample_is_left(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "short.wav", np.ones(3), 1_000_000)
        waveform, _ = load_audio(tmp_path / "short.wav", 100)
        assert is_silent(waveform)
        with pytest.raises(InputError, match="too short to hold a word"):
            prepare_speech(torch.ones(3), 1_000_000, 8000)
        assert fit_length(load_audio(tmp_path / "short.wav", 100, channels=2)[0], 50).shape == (
            2,
            50,
        )

    def test_the_loudest_part_of_a_long_clip(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waveform = torch.rand(2, 1000, generator=torch.Generator().manual_seed(0))
        whole = fit_length(waveform, 300)
        energies = waveform.double().square().sum(0).unfold(0, 300, 1).sum(1)
        begin = int(energies.argmax())
        assert torch.equal(whole, waveform[:, begin : begin + 300])
        monkeypatch.setattr("audiate.audio.files._BLOCK", 7)
        assert torch.equal(fit_length(waveform, 300), whole)


def header(path: Path, *, rate: int, frames: int) -> None:
    """Write a wav of bytes whose samples are all silent, and not on the disk."""
    fields = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    riff = b"WAVEfmt " + fields + b"data" + struct.pack("<I", frames)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(riff) + frames) + riff)
    with path.open("r+b") as file:
        file.truncate(len(riff) + 8 + frames)


class TestResample:
    @pytest.mark.parametrize(("before", "after"), [(44_100, 8000), (8000, 16_000), (22_050, 8000)])
    def test_a_tone_stays_the_same_tone(self, before: int, after: int) -> None:
        resampled = resample(tone(440, 1.0, before), before, after)
        assert abs(len(resampled) - after) <= 1
        middle = slice(after // 10, -after // 10)
        expected = tone(440, 1.0, after)[: len(resampled)]
        assert (resampled[middle] - expected[middle]).abs().max() < 1e-3

    def test_what_the_new_rate_cannot_hold_is_gone(self) -> None:
        assert resample(tone(5000, 1.0, 16_000), 16_000, 8000)[800:-800].abs().max() < 1e-3


class TestPrepareSpeech:
    @pytest.mark.parametrize(
        ("waveform", "complaint"),
        [
            (torch.zeros(8000), "is silent"),
            (torch.full((8000,), 0.5), "is silent"),
            (torch.zeros(0, 8000), "is empty"),
            (torch.full((8000,), torch.nan), "NaN"),
            (tone(440, 0.003), "lasts 3 ms, too short"),
            (tone(440, 61), "lasts 61 s, over the 60 s"),
            (torch.zeros(2, 3, 4), "expected floats"),
            (torch.ones(8000, dtype=torch.int16), "expected floats"),
            (torch.zeros(0), "is empty"),
        ],
    )
    def test_what_is_no_speech_is_refused(self, waveform: torch.Tensor, complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            prepare_speech(waveform, 8000, 8000)

    @pytest.mark.parametrize("rate", [0, -8000, float("nan"), float("inf")])
    def test_a_rate_must_be_one(self, rate: float) -> None:
        with pytest.raises(InputError, match=f"sample_rate {rate}: give 100 to"):
            prepare_speech(tone(440, 1), rate, 8000)  # type: ignore[arg-type]

    def test_arrays_of_any_layout_are_taken(self) -> None:
        array = tone(440, 0.5).numpy()
        backwards = prepare_speech(array[::-1], 8000, 8000)
        np.testing.assert_array_equal(backwards.flip(0).numpy(), array)
        foreign = prepare_speech(array.astype(">f4"), 8000, 8000)
        np.testing.assert_array_equal(foreign.numpy(), array)

    def test_arrays_and_channels_are_taken(self) -> None:
        stereo = np.stack([tone(440, 0.5).numpy(), tone(440, 0.5).numpy()])
        assert torch.equal(prepare_speech(stereo, 8000, 8000), tone(440, 0.5))


class TestLogMel:
    def test_filters_are_librosas(self) -> None:
        expected = librosa.filters.mel(
            sr=8000, n_fft=512, n_mels=48, fmin=60, fmax=4000, htk=True, norm=None
        )
        filters = mel_filters(8000, 512, 48, f_min=60, f_max=4000)
        np.testing.assert_allclose(filters.numpy(), expected, atol=1e-5)
        assert (filters.sum(1) > 0).all()

    def test_power_is_librosas(self) -> None:
        noise = torch.randn(4000, generator=torch.Generator().manual_seed(0))
        expected = librosa.feature.melspectrogram(
            y=noise.numpy(), sr=8000, n_fft=512, win_length=256, hop_length=40, n_mels=48,
            fmin=60, fmax=4000, htk=True, norm=None, pad_mode="constant",
        )  # fmt: skip
        power = LogMel().mel_power(noise.unsqueeze(0), torch.tensor([4000]))[0].numpy()
        np.testing.assert_allclose(power, expected, rtol=1e-3, atol=1e-4)

    def test_a_tone_lights_its_own_band(self) -> None:
        bands = LogMel()(tone(1000, 0.5).unsqueeze(0))[0].mean(1)
        centres = librosa.mel_frequencies(50, fmin=60, fmax=4000, htk=True)[1:-1]
        assert bands.argmax() == np.abs(centres - 1000).argmin()

    @pytest.fixture
    def word(self) -> torch.Tensor:
        """Something with a beginning, a middle and an end: a rising, swelling tone."""
        time = torch.linspace(0, 1, 3200)
        return (
            0.5
            * torch.sin(2 * torch.pi * (400 + 600 * time) * time * 0.4)
            * (torch.pi * time).sin()
        )

    def test_range_and_shape(self, word: torch.Tensor) -> None:
        spectrogram = LogMel()(torch.stack([word, word.flip(0)]))
        assert spectrogram.shape == (2, 48, 48)
        assert spectrogram.min() >= 0
        assert spectrogram.max() == 1

    @given(gain=st.floats(0.001, 1.0))
    @settings(max_examples=10, deadline=None)
    def test_level_does_not_matter(self, gain: float) -> None:
        x = tone(700, 0.3).unsqueeze(0)
        torch.testing.assert_close(LogMel()(gain * x), LogMel()(x), atol=1e-3, rtol=0)

    @given(before=st.integers(0, 50), after=st.integers(0, 8000))
    @settings(max_examples=10, deadline=None)
    def test_silence_around_does_not_matter(self, before: int, after: int) -> None:
        x = tone(700, 0.3) * torch.hann_window(2400)
        silence = (before * 40, after)  # a whole number of hops, else the frames lie elsewhere
        padded = torch.nn.functional.pad(x, silence)
        spectrograms = [LogMel()(y.unsqueeze(0)) for y in (x, padded)]
        assert (spectrograms[0] - spectrograms[1]).abs().mean() < 0.01

    @pytest.mark.parametrize("decibels", [40, 30, 20])
    def test_words_are_found_in_noise(self, word: torch.Tensor, decibels: float) -> None:
        clip = torch.nn.functional.pad(word, (4000, 4000))
        noise = torch.randn(len(clip), generator=torch.Generator().manual_seed(0))
        loudness = word.square().mean().sqrt() * 10 ** (-decibels / 20)
        features = LogMel()
        power = features.mel_power((clip + loudness * noise)[None], torch.tensor([len(clip)]))
        first, last = (features.find_words(power)[0] * 40).tolist()
        assert abs(first - 4000) < 600  # samples; the word swells slowly
        assert abs(last - 7200) < 600

    def test_pace_hardly_matters(self, word: torch.Tensor) -> None:
        time = torch.linspace(0, 1, 6400)
        slow = (
            0.5
            * torch.sin(2 * torch.pi * (400 + 600 * time) * time * 0.8)
            * (torch.pi * time).sin()
        )
        difference = LogMel()(word.unsqueeze(0)) - LogMel()(slow.unsqueeze(0))
        assert difference.abs().mean() < 0.05

    def test_a_batch_is_its_clips_one_by_one(self, word: torch.Tensor) -> None:
        clips = [word, tone(900, 0.8), tone(300, 0.2)]
        torch.testing.assert_close(
            LogMel().many(clips), torch.cat([LogMel()(c.unsqueeze(0)) for c in clips])
        )

    def test_it_is_differentiable(self, word: torch.Tensor) -> None:
        features = LogMel().double()
        x = (word[:400].double() + 0.01).requires_grad_()
        weights = torch.linspace(-1, 1, 48 * 48, dtype=torch.double).view(48, 48)

        def score(y: torch.Tensor) -> torch.Tensor:
            weighted: torch.Tensor = features(y.unsqueeze(0)) * weights
            return weighted.sum()

        (gradient,) = torch.autograd.grad(score(x), x)
        direction = torch.randn(400, dtype=torch.double, generator=torch.Generator().manual_seed(0))
        step = 1e-8 * direction
        slope = (score(x + step) - score(x - step)) / 2
        torch.testing.assert_close(slope, gradient @ step, rtol=1e-3, atol=0)

    def test_interpolation_is_linear_and_zero_outside(self) -> None:
        ramp = torch.arange(10.0).view(1, 1, 10)
        times = torch.tensor([[0.0, 2.5, 8.25, -3.0, 12.0]])
        assert at_times(ramp, times).flatten().tolist() == [0.0, 2.5, 8.25, 0.0, 0.0]


def test_why_a_recording_cannot_be_cut_is_told() -> None:
    with pytest.raises(InputError, match=r"a.wav: cannot be read as sound \(Format not recogni"):
        spans_of(Recording("a.wav", b"no sound"), 1.0)
