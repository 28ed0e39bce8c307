"""The digits of Speech Commands: splits, partial copies, damage; made-up folders and real data."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
import soundfile
import torch
from conftest import WORD_SPEAKERS, make_tiny_words, write_tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiate.data.digits import (
    Clip,
    load_speech_commands,
    load_validation_words,
    read_clips,
    validation_part,
)
from audiate.data.sources import DIGIT_WORDS, SOURCES, State, inspect
from audiate.errors import InputError

Split = Literal["train", "validation", "test"]


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """The folder of a made-up copy: four clips of each digit, no test list."""
    return make_tiny_words(tmp_path)


def make_copy(
    root: Path, names: list[str], *, validation: list[str], testing: list[str] | None = None
) -> Path:
    """A copy with these clips, as "one/0a_nohash_0.flac", and lists; return its folder."""
    folder = root / "speech_commands"
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.5 * np.sin(np.arange(1600) / 5), 16_000)
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "validation_list.txt").write_text("\n".join(validation) + "\n")
    if testing is not None:
        (folder / "testing_list.txt").write_text("\n".join(testing) + "\n")
    return folder


def names(clips: list[Clip]) -> list[str]:
    return [f"{clip.path.parent.name}/{clip.path.name}" for clip in clips]


class TestSplits:
    def test_the_lists_decide_for_wav_and_flac(self, tmp_path: Path) -> None:
        make_copy(
            tmp_path,
            [
                "two/0a_nohash_0.wav",
                "two/0b_nohash_0.flac",
                "nine/0c_nohash_3.flac",
                "nine/0d_nohash_0.wav",
                "bed/0d_nohash_0.wav",
            ],
            validation=["bed/ff_nohash_0.wav", "two/0b_nohash_0.wav"],
            testing=["nine/0c_nohash_3.wav"],
        )
        found = {split: load_speech_commands(tmp_path, split) for split in get_args(Split)}
        assert {split: names(clips) for split, clips in found.items()} == {
            "train": ["nine/0d_nohash_0.wav", "two/0a_nohash_0.wav"],
            "validation": ["two/0b_nohash_0.flac"],
            "test": ["nine/0c_nohash_3.flac"],
        }
        assert [(clip.label, clip.speaker) for clip in found["train"]] == [(9, "0d"), (2, "0a")]

    def test_a_speaker_in_a_list_is_not_trained_on(self, tmp_path: Path) -> None:
        make_copy(
            tmp_path,
            ["one/0a_nohash_0.flac", "one/0a_nohash_1.flac", "one/0b_nohash_0.flac"],
            validation=["one/0a_nohash_0.wav"],
        )
        assert names(load_speech_commands(tmp_path, "train")) == ["one/0b_nohash_0.flac"]
        assert names(load_speech_commands(tmp_path, "validation")) == ["one/0a_nohash_0.flac"]

    @given(
        clips=st.sets(
            st.tuples(st.sampled_from(DIGIT_WORDS), st.integers(0, 5), st.integers(0, 2)),
            min_size=1,
            max_size=30,
        ),
        fates=st.lists(st.sampled_from(get_args(Split)), min_size=6, max_size=6),
    )
    @settings(max_examples=25, deadline=None)
    def test_splits_are_a_partition_without_common_speakers(
        self, clips: set[tuple[str, int, int]], fates: list[Split]
    ) -> None:
        paths = {
            f"{word}/{speaker}_nohash_{index}": fates[speaker] for word, speaker, index in clips
        }
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            # What is in a file shows when it is read, not when the clips are listed.
            for path in paths:
                file = root / "speech_commands" / f"{path}.flac"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
            listed = {s: [f"{p}.wav" for p, fate in paths.items() if fate == s] for s in fates}
            # A list is never empty: it names clips of words that are not digits, too.
            make_copy(
                root,
                [],
                validation=["bed/ff_nohash_0.wav", *listed.get("validation", [])],
                testing=["bed/fe_nohash_0.wav", *listed.get("test", [])],
            )
            speakers: list[str] = []
            found: list[str] = []
            for split in get_args(Split):
                if split not in paths.values():
                    with pytest.raises(InputError, match=f"holds no {split} clip"):
                        load_speech_commands(root, split)
                    continue
                part = load_speech_commands(root, split)
                assert part == sorted(part, key=lambda clip: clip.path)
                assert {paths[n.removesuffix(".flac")] for n in names(part)} == {split}
                assert all(DIGIT_WORDS[clip.label] == clip.path.parent.name for clip in part)
                found += names(part)
                speakers += {clip.speaker for clip in part}
        assert sorted(found) == sorted(f"{path}.flac" for path in paths)
        assert len(speakers) == len(set(speakers))

    def test_a_clip_in_both_formats_is_one(self, tmp_path: Path) -> None:
        make_copy(
            tmp_path,
            ["one/0a_nohash_0.wav", "one/0a_nohash_0.flac"],
            validation=["bed/ff_nohash_0.wav"],
        )
        assert names(load_speech_commands(tmp_path, "train")) == ["one/0a_nohash_0.flac"]

    def test_no_test_list_matters_for_the_test_split_alone(self, words: Path) -> None:
        assert len(load_speech_commands(words.parent, "train")) == 30
        validation = load_speech_commands(words.parent, "validation")
        assert [clip.speaker for clip in validation] == [WORD_SPEAKERS[-1]] * 10
        with pytest.raises(InputError, match=r"holds no test clip.*audiate data fetch speech_comm"):
            load_speech_commands(words.parent, "test")


class TestReading:
    def test_validation_words(self, words: Path) -> None:
        recordings, labels, voices = load_validation_words(words.parent, 8000)
        assert voices.tolist() == [0] * 10
        # In the order of the paths: eight, five, four, nine, one, seven, six, three, two, zero.
        assert labels.tolist() == [8, 5, 4, 9, 1, 7, 6, 3, 2, 0]
        for waveform, label in zip(recordings, labels.tolist(), strict=True):
            assert waveform.shape == (800,)
            peak = torch.fft.rfft(waveform).abs().argmax() * 10.0  # 0.1 s: bins of 10 Hz
            assert abs(peak - (200 + 300 * label + 30)) <= 10

    @pytest.mark.parametrize("level", [0.0, 0.3])
    def test_silence_is_left_out(self, tmp_path: Path, level: float) -> None:
        folder = make_copy(tmp_path, ["one/0a_nohash_0.wav"], validation=["bed/ff_nohash_0.wav"])
        (folder / "two").mkdir()
        soundfile.write(folder / "two" / "0a_nohash_0.wav", np.full(1600, level), 16_000)
        clips = load_speech_commands(tmp_path, "train")
        assert [clip.label for clip in clips] == [1, 2]
        recordings, labels, _ = read_clips(clips, 16_000)
        assert (len(recordings), labels.tolist()) == (1, [1])

    def test_what_is_quiet_is_kept(self, tmp_path: Path) -> None:
        path = write_tone(tmp_path / "quiet.wav", rate=16_000)
        samples, rate = soundfile.read(path)
        soundfile.write(path, 0.004 * samples, rate)
        assert len(read_clips([Clip(path, 0, "0a")], 8000).recordings) == 1

    def test_a_damaged_clip_is_named(self, words: Path) -> None:
        path = words / "one" / f"{WORD_SPEAKERS[-1]}_nohash_0.flac"
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(InputError, match=rf"{path.name}: (truncated|cannot be read)"):
            load_validation_words(words.parent, 8000)


class TestParts:
    """Validation clips by speakers, some of whom say rare digits."""

    clips = [  # noqa: RUF012
        Clip(Path(f"w/{speaker}_{digit}.wav"), digit, f"{speaker:02x}")
        for speaker in range(40)
        for digit in range(10)
        if digit < 6 or speaker % 10 == digit
    ]

    def test_no_speaker_is_in_both_and_no_clip_in_none(self) -> None:
        one, other = (validation_part(self.clips, part) for part in ("choices", "reports"))
        assert not {clip.speaker for clip in one} & {clip.speaker for clip in other}
        assert sorted(map(str, one + other)) == sorted(map(str, self.clips))

    def test_every_digit_is_in_both(self) -> None:
        one, other = (validation_part(self.clips, part) for part in ("choices", "reports"))
        for digit in range(10):
            counts = [sum(clip.label == digit for clip in each) for each in (one, other)]
            assert abs(counts[0] - counts[1]) <= 1

    def test_their_order_does_not_matter(self) -> None:
        there, back = validation_part(self.clips, "reports"), self.clips[::-1]
        assert validation_part(back, "reports") == there[::-1]

    def test_one_speaker_reports_alone(self, words: Path) -> None:
        assert len(load_validation_words(words.parent, 8000, "reports").recordings) == 10
        with pytest.raises(InputError, match="validation clips are of one speaker"):
            load_validation_words(words.parent, 8000, "choices")


class TestBadData:
    def test_absent(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"is absent in .*audiate data fetch speech_commands"):
            load_speech_commands(tmp_path, "train")

    def test_clips_without_the_validation_list(self, words: Path) -> None:
        (words / "validation_list.txt").unlink()
        with pytest.raises(InputError, match=r"40 of 38,908 recordings, no validation_list\.txt"):
            load_speech_commands(words.parent, "train")

    def test_the_list_without_clips(self, words: Path) -> None:
        for word in DIGIT_WORDS:
            shutil.rmtree(words / word)
        with pytest.raises(InputError, match=r"is incomplete in .* \(0 of 38,908 recordings"):
            load_speech_commands(words.parent, "train")

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"one/0a_nohash_0.wav\n<html>", "<html> is not the name of a clip"),
            (b"one/0a_nohash_0.wav\n../x.wav", "../x.wav is not the name of a clip"),
            (b"fLaC\x00\xff", "cannot be read"),
        ],
    )
    def test_a_damaged_list(self, words: Path, content: bytes, problem: str) -> None:
        (words / "validation_list.txt").write_bytes(content)
        with pytest.raises(InputError) as caught:
            load_speech_commands(words.parent, "train")
        assert f"validation_list.txt: {problem}" in str(caught.value)
        assert f"speech_commands --data-dir {words.parent}`" in str(caught.value)

    def test_a_blank_list(self, words: Path) -> None:
        (words / "validation_list.txt").write_text("\n")
        with pytest.raises(InputError, match=r"damaged in .* \(validation_list.txt is empty\)"):
            load_speech_commands(words.parent, "train")

    def test_folders_may_be_links(self, words: Path, tmp_path: Path) -> None:
        count = len(load_speech_commands(words.parent, "train"))
        (words / "two").rename(tmp_path / "elsewhere")
        (words / "two").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        assert len(load_speech_commands(words.parent, "train")) == count
        assert inspect(SOURCES["speech_commands"], words.parent).state is State.USABLE

    def test_silence_alone_is_refused(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
        with pytest.raises(InputError, match=r"a\.wav: silent"):
            read_clips([Clip(tmp_path / "a.wav", 0, "0a")], 8000)

    def test_line_ends_of_windows_are_no_damage(self, words: Path) -> None:
        path = words / "validation_list.txt"
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
        assert len(load_speech_commands(words.parent, "validation")) == 10


@pytest.fixture
def part(real_data: Path) -> Path:
    """The folder of real data, if it has that part of Speech Commands that we know by number."""
    status = inspect(SOURCES["speech_commands"], real_data)
    if status.state in (State.ABSENT, State.WHOLE):
        pytest.skip(f"not the 3,026 clips of Speech Commands in {status.folder}: {status.detail}")
    return real_data


class TestRealData:
    """Those 3,026 clips that the tests know, of 38,908."""

    def test_the_copy_is_usable(self, part: Path) -> None:
        status = inspect(SOURCES["speech_commands"], part)
        assert status.state is State.USABLE
        assert status.detail == "3,026 of 38,908 recordings, no testing_list.txt"

    def test_clips_and_speakers(self, part: Path) -> None:
        train = load_speech_commands(part, "train")
        validation = load_speech_commands(part, "validation")
        # 13 clips that no list names are by speakers in the validation list.
        assert (len(train), len(validation)) == (3026 - 294 - 13, 294)
        assert not {clip.speaker for clip in train} & {clip.speaker for clip in validation}
        heard = Counter(clip.label for clip in validation)
        assert [heard[digit] for digit in range(10)] == [50, 47, 3, 4, 4, 45, 6, 6, 125, 4]
        kept = Counter(clip.label for clip in train)
        assert [kept[digit] for digit in range(10)] == [
            456, 463, 19, 18, 17, 459, 15, 16, 1239, 17,
        ]  # fmt: skip

    def test_few_train_clips_are_the_publishers_test_clips(self, part: Path) -> None:
        """Without their test list, what tells is the rule by which they made it (their README)."""

        def percentage(speaker: str) -> float:
            bucket = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % 2**27
            return bucket * 100 / (2**27 - 1)

        parts = [percentage(clip.speaker) for clip in load_speech_commands(part, "train")]
        assert sum(10 <= part < 20 for part in parts) == 3

    def test_validation_words(self, part: Path) -> None:
        recordings, labels, voices = load_validation_words(part, 8000)
        assert len(recordings) == len(labels) == 294
        assert len(torch.unique(voices)) == 108
        assert all(3000 < len(recording) <= 8000 for recording in recordings)
        assert all(recording.abs().max() <= 1 for recording in recordings)

    def test_both_parts_of_the_validation_clips_have_every_digit(self, part: Path) -> None:
        clips = load_speech_commands(part, "validation")
        one, other = (validation_part(clips, name) for name in ("choices", "reports"))
        for digit in range(10):
            counts = [sum(clip.label == digit for clip in each) for each in (one, other)]
            assert min(counts) >= 1
            assert abs(counts[0] - counts[1]) <= max(1, 0.2 * sum(counts))
        assert abs(len(one) - len(other)) < 10
