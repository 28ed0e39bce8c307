"""Clips of one length: digits of several data sets, and a user's own folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import write_tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiate.audio.files import fit_length, load_audio, save_wav
from audiate.data.sounds import (
    SoundSet,
    digit_clips,
    find_clips,
    find_sounds,
    list_folder,
    list_sounds,
)
from audiate.data.sources import DIGIT_SETS
from audiate.data.survey import survey
from audiate.errors import InputError
from audiate.training.batches import EvenOrder


class TestFitLength:
    @given(st.integers(1, 300), st.integers(1, 300))
    @settings(max_examples=60, deadline=None)
    def test_what_is_loud_is_kept(self, length: int, wanted: int) -> None:
        waveform = torch.zeros(1, length)
        waveform[0, length // 3] = 1
        fitted = fit_length(waveform, wanted)
        assert fitted.shape == (1, wanted)
        assert fitted.sum() == 1

    def test_a_short_clip_is_in_the_middle(self) -> None:
        assert fit_length(torch.ones(3), 8).tolist() == [0, 0, 1, 1, 1, 0, 0, 0]

    def test_of_a_long_clip_the_part_with_most_energy(self) -> None:
        waveform = torch.tensor([1.0, 0, 0, 2, 2, 0, 1])
        assert fit_length(waveform, 3).tolist() in ([0, 2, 2], [2, 2, 0])


class TestChannels:
    def test_mono_and_stereo(self, tmp_path: Path) -> None:
        time = np.arange(800) / 8000
        left, right = np.sin(2000 * time), 0.5 * np.sin(900 * time)
        soundfile.write(tmp_path / "two.wav", np.stack([left, right], 1), 8000, "FLOAT")
        stereo, _ = load_audio(tmp_path / "two.wav", channels=2)
        np.testing.assert_allclose(stereo, np.stack([left, right]), atol=1e-6)
        mono, _ = load_audio(tmp_path / "two.wav", channels=1)
        np.testing.assert_allclose(mono[0], (left + right) / 2, atol=1e-6)
        one = write_tone(tmp_path / "one.wav")
        assert torch.equal(*load_audio(one, 16_000, channels=2)[0])

    def test_what_is_saved_is_what_is_loaded(self, tmp_path: Path) -> None:
        waveform = torch.rand(2, 1000) * 2 - 1
        save_wav(tmp_path / "a" / "x.wav", waveform, 11_025)
        again, _ = load_audio(tmp_path / "a" / "x.wav", channels=2)
        torch.testing.assert_close(again, waveform, atol=1 / 32_000, rtol=0)
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"file.x\.wav: cannot be written"):
            save_wav(tmp_path / "file" / "x.wav", waveform, 11_025)


class TestDigits:
    def test_a_mixture(self, tiny_data: Path) -> None:
        listed = list_sounds(DIGIT_SETS, tiny_data)
        assert listed.digest.startswith("430 recordings ")
        sounds = listed.read(num_samples=4096)
        assert sounds.sample_rate == 16_000
        assert sounds.samples.shape == (430, 1, 4096)
        assert sounds.samples.dtype == torch.int16
        assert torch.bincount(sounds.sources).tolist() == [30, 400]
        assert torch.bincount(sounds.labels).tolist() == [43] * 10
        waveforms = sounds.waveforms(torch.tensor([0, 429]))
        assert waveforms.shape == (2, 1, 4096)
        assert 0.4 < waveforms.abs().max() <= 0.52
        # 0.1 s of sound in the middle of 0.256 s
        assert waveforms[..., :1000].abs().max() == 0

    def test_without_a_speaker(self, tiny_data: Path) -> None:
        (clips,) = digit_clips(tiny_data, ("fsdd",), "theo")
        assert {clip.speaker for clip in clips} == {"jackson", "nicolas", "yweweler"}

    def test_unknown_names(self, tiny_data: Path) -> None:
        with pytest.raises(InputError, match="`data` birds: is none of speech_com"):
            digit_clips(tiny_data, ("fsdd", "birds"))
        with pytest.raises(InputError, match="`data` fsdd birds: give one folder, or one or more"):
            list_sounds(("fsdd", "birds"), tiny_data)

    def test_the_digest_tells_copies_apart(self, tiny_data: Path) -> None:
        whole = list_sounds(DIGIT_SETS, tiny_data).digest
        assert list_sounds(DIGIT_SETS[::-1], tiny_data).digest == whole
        assert list_sounds(DIGIT_SETS, tiny_data, "theo").digest != whole
        next((tiny_data / "speech_commands" / "six").glob("0a*")).unlink()
        assert list_sounds(DIGIT_SETS, tiny_data).digest.startswith("429 recordings ")


def read(folder: Path, num_samples: int, sample_rate: int | None = None) -> SoundSet:
    listed = list_sounds((str(folder),), folder)
    return listed.read(num_samples=num_samples, sample_rate=sample_rate)


class TestSpeeds:
    def test_faster_is_shorter_and_higher(self, tmp_path: Path) -> None:
        write_tone(tmp_path / "tone.wav", hertz=1000, seconds=0.4, rate=16_000)
        listed = list_folder(tmp_path)
        sounds = listed.read(num_samples=16_000, speeds=(0.8, 1.25))
        assert sounds.samples.shape == (3, 1, 16_000)
        loud = [wave[0].abs().gt(0.05).nonzero() for wave in sounds.waveforms(torch.arange(3))]
        lengths = [(where[-1] - where[0]).item() for where in loud]
        for waveform, length, speed in zip(
            sounds.waveforms(torch.arange(3)), lengths, (1, 0.8, 1.25), strict=True
        ):
            assert length == pytest.approx(lengths[0] / speed, rel=0.02)
            peak = torch.fft.rfft(waveform[0]).abs().argmax().item()  # bins of 1 Hz
            assert peak == pytest.approx(1000 * speed, abs=2)

    def test_labels_and_sources_go_along(self, tiny_data: Path) -> None:
        clips = list_sounds(("fsdd",), tiny_data)
        one, two = clips.read(num_samples=4000), clips.read(num_samples=4000, speeds=(1.1,))
        assert torch.equal(two.labels, one.labels.repeat_interleave(2))
        assert torch.equal(two.sources, one.sources.repeat_interleave(2))
        assert torch.equal(two.samples[::2], one.samples)


class TestFolder:
    def test_sub_folders_are_labels(self, tmp_path: Path) -> None:
        for number, name in enumerate(("kick/a.wav", "kick/b.flac", "snare/deep/c.wav")):
            write_tone(tmp_path / name, hertz=100 * (number + 1), seconds=0.1)
        write_tone(tmp_path / "kick" / ".hidden.wav")
        (tmp_path / "notes.txt").write_text("no sound")
        sounds = read(tmp_path, num_samples=1024)
        assert sounds.names == ("kick", "snare")
        assert sounds.labels.tolist() == [0, 0, 1]
        assert sounds.sample_rate == 8000

    def test_without_sub_folders_there_is_one_label(self, tmp_path: Path) -> None:
        write_tone(tmp_path / "a.wav")
        assert read(tmp_path, num_samples=1024).names == (tmp_path.name,)

    def test_sounds_beside_sub_folders_are_a_label_of_that_name(self, tmp_path: Path) -> None:
        write_tone(tmp_path / "birds" / "a.wav")
        write_tone(tmp_path / "birds" / "owl" / "b.wav")
        assert read(tmp_path / "birds", num_samples=1024).names == ("birds", "owl")

    def test_a_sub_folder_of_silence_is_no_label(self, tmp_path: Path) -> None:
        write_tone(tmp_path / "kick" / "a.wav")
        save_wav(tmp_path / "hush" / "b.wav", torch.zeros(1000), 8000)
        with pytest.raises(InputError, match=r"hush: none of its sound files can be used"):
            read(tmp_path, num_samples=1024)

    def test_a_file_of_one_sample_is_no_sound(self, tmp_path: Path) -> None:
        write_tone(tmp_path / "a.wav", rate=16_000)
        save_wav(tmp_path / "b.wav", torch.ones(1), 48_000)
        sounds = read(tmp_path, num_samples=1024, sample_rate=16_000)
        assert len(sounds.labels) == 6  # a.wav in pieces

    def test_a_long_file_is_cut(self, tmp_path: Path) -> None:
        waveform = 0.1 * torch.randn(8000)
        waveform[2000:4000] = 0
        save_wav(tmp_path / "long.wav", waveform, 8000)
        sounds = read(tmp_path, num_samples=2000)
        assert len(sounds.labels) == 3  # of four, one is silent
        for part, begin in zip(sounds.waveforms(torch.arange(3)), (0, 4000, 6000), strict=True):
            torch.testing.assert_close(part[0], waveform[begin : begin + 2000], atol=1e-4, rtol=0)

    def test_mixed_rates(self, tmp_path: Path) -> None:
        write_tone(tmp_path / "a.wav", rate=8000)
        write_tone(tmp_path / "b.wav", rate=11_025)
        with pytest.raises(InputError, match=r"b\.wav: 11,025 Hz, but .*a\.wav has 8,000 Hz; give"):
            read(tmp_path, num_samples=1024)
        assert read(tmp_path, num_samples=1024, sample_rate=8000).sample_rate == 8000

    def test_no_sound(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds no sound file"):
            find_sounds(tmp_path)
        with pytest.raises(InputError, match=r"nowhere: no such folder"):
            find_sounds(tmp_path / "nowhere")
        save_wav(tmp_path / "quiet.wav", torch.zeros(1000), 8000)
        with pytest.raises(InputError, match="none of its sound files can be used"):
            read(tmp_path, num_samples=1024)
        (tmp_path / "broken.wav").write_bytes(b"no wav")
        with pytest.raises(InputError, match=r"1 of 2 files cannot be read: broken\.wav; mend"):
            read(tmp_path, num_samples=1024)

    def test_broken_files_are_told_and_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number in range(3):
            write_tone(tmp_path / f"{number}.wav")
        for number in range(7):
            (tmp_path / f"broken{number}.wav").write_bytes(b"no wav")
        for rate in (None, 8000):
            assert len(read(tmp_path, num_samples=1024, sample_rate=rate).samples) > 0
            told = capsys.readouterr().err
            assert "7 of 10 files cannot be read: broken0.wav, " in told
            assert "broken4.wav and 2 more; the others are used" in told
        told = survey(tmp_path).to_text()
        assert all(f"broken{number}.wav" in told for number in range(7))
        for number in range(3):
            (tmp_path / f"{number}.wav").unlink()
        with pytest.raises(InputError, match="7 of 7 files cannot be read"):
            read(tmp_path, num_samples=1024)

    def test_quiet_recordings_keep_their_precision(self, tmp_path: Path) -> None:
        quiet = 0.003 * np.sin(np.arange(1024) / 7).astype(np.float32)
        soundfile.write(tmp_path / "quiet.wav", quiet, 8000, subtype="FLOAT")
        write_tone(tmp_path / "tone.wav", rate=8000)
        found = read(tmp_path, num_samples=1024)
        clip = found.waveforms(torch.tensor([0]))[0, 0].numpy()
        noise = np.square(clip - quiet).mean() / np.square(quiet).mean()
        assert 10 * np.log10(noise) < -90  # rounded to 16 bits of full scale, it is -36 dB
        assert found.waveforms(torch.arange(2)).abs().amax((1, 2))[1] > 0.3

    def test_recordings_of_any_length_are_cut(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audiate.data.sounds._PART", 1.0)
        samples = np.random.default_rng(0).uniform(-0.5, 0.5, 41_000).astype(np.float32)
        soundfile.write(tmp_path / "long.wav", samples, 8000, subtype="FLOAT")
        found = read(tmp_path, num_samples=4000)
        whole = torch.cat(list(found.waveforms(torch.arange(10))[:, 0])).numpy()
        np.testing.assert_allclose(whole, samples[:40_000], atol=1e-4)
        assert list(survey(tmp_path).seconds) == [41_000 / 8000]


class TestEvenOrder:
    def test_labels_then_sources_then_clips_are_even(self) -> None:
        # Label 0: one clip of source 0 and 99 of source 1; label 1: 5 clips of source 1 alone.
        labels = torch.tensor([0] * 100 + [1] * 5)
        sources = torch.tensor([0] + [1] * 99 + [1] * 5)
        order = EvenOrder(labels, sources, 20_000, seed=0)
        counts = torch.bincount(order.batch(0), minlength=105) / 20_000
        assert counts[0].item() == pytest.approx(0.25, abs=0.02)
        assert counts[1:100].sum().item() == pytest.approx(0.25, abs=0.02)
        assert counts[1:100].max() < 0.006
        torch.testing.assert_close(counts[100:], torch.full((5,), 0.1), atol=0.01, rtol=0)

    def test_step_and_seed_say_it_all(self) -> None:
        labels = torch.arange(30) % 3
        first, again, other = (
            EvenOrder(labels, torch.zeros_like(labels), 8, seed=seed) for seed in (0, 0, 1)
        )
        assert torch.equal(first.batch(7), again.batch(7))
        assert not torch.equal(first.batch(7), first.batch(8))
        assert not torch.equal(first.batch(7), other.batch(7))


def test_files_that_are_passed_over_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tone(tmp_path / "clips" / "a.wav")
    for name in ("b.mid", "c.mid", "d.heic", "notes.txt", "e.png", ".hidden.mid"):
        (tmp_path / "clips" / name).write_bytes(b"something")
    assert [name for name, _ in find_clips([tmp_path / "clips"], tmp_path / "out")] == ["a"]
    told = capsys.readouterr().err
    assert told.endswith("clips: passed over 3 other files (.mid 2, .heic 1)\n")
    find_clips([tmp_path / "clips" / "a.wav"], tmp_path / "out")
    assert capsys.readouterr().err == ""
