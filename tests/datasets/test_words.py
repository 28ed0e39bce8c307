"""Words that are cut at silences, and what file names tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch

from audiate.audio.words import split_words
from audiate.data.folders import NamedFile, NamePattern
from audiate.data.sounds import list_sounds
from audiate.errors import InputError

RATE = 8000


def words_at(*places: tuple[float, float], seconds: float = 3.0) -> torch.Tensor:
    """Tones from and to so many seconds, in weak noise."""
    sound = 0.001 * torch.randn(1, int(seconds * RATE), generator=torch.Generator().manual_seed(0))
    time = torch.arange(sound.shape[1]) / RATE
    for begin, end in places:
        inside = (time >= begin) & (time < end)
        sound[:, inside] += 0.5 * torch.sin(2 * torch.pi * 440 * time[inside])
    return sound


def test_words_are_parted_by_silence_and_held_together_over_short_ones() -> None:
    sound = words_at((0.3, 0.7), (1.2, 1.4), (1.5, 1.8), (2.5, 2.52))
    found = split_words(sound, RATE)
    lengths = [word.shape[1] / RATE for word in found]
    assert lengths == pytest.approx([0.5, 0.7], abs=0.05)  # each with 0.05 s on both sides


def test_a_recording_without_words_stays_as_it_is() -> None:
    sound = torch.zeros(2, RATE)
    (found,) = split_words(sound, RATE)
    assert torch.equal(found, sound)


class TestNames:
    def test_words_and_voices(self) -> None:
        pattern = NamePattern("{word}_{voice}*")
        assert pattern.read(Path("x/candle_speaker1.wav")).word == "candle"
        assert NamePattern("{voice}-{word}").read(Path("ann-kick.flac")) == NamedFile("kick", "ann")
        assert NamePattern("{word}_*").read(Path("a.b_c_d.wav")) == NamedFile("a.b", None)

    def test_a_name_that_does_not_fit_is_named(self) -> None:
        with pytest.raises(InputError, match=r"candle\.wav: its name does not fit"):
            NamePattern("{word}_*").read(Path("candle.wav"))

    @pytest.mark.parametrize("pattern", ["*", "{voice}_*", "{word}{word}", "{word}_{speaker}"])
    def test_a_pattern_without_one_word_is_refused(self, pattern: str) -> None:
        with pytest.raises(InputError, match="label_from"):
            NamePattern(pattern)

    def test_a_flat_folder_is_labelled_by_its_names(self, tmp_path: Path) -> None:
        for name in ("a_x_1", "a_y_1", "b_x_1"):
            sound = words_at((0.2, 0.5), (1.5, 1.8))
            soundfile.write(tmp_path / f"{name}.wav", sound[0].numpy(), RATE)
        listed = list_sounds(
            (str(tmp_path),), tmp_path, label_from="{word}_{voice}_*", cut_words=True
        )
        sounds = listed.read(num_samples=4096)
        assert sounds.names == ("a", "b")
        assert sounds.labels.tolist() == [0, 0, 0, 0, 1, 1]
        assert sounds.voices is not None
        assert sounds.voices.tolist() == [0, 0, 1, 1, 0, 0]

    def test_data_sets_have_labels_of_their_own(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is for a folder"):
            list_sounds(("fsdd",), tmp_path, label_from="{word}_*")
