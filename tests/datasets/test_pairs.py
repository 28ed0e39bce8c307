"""FSDD, MNIST and their pairing, with and without Speech Commands; made-up data and real."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiate.data.digits import Clip, load_fsdd, load_mnist, split_at_random, split_by_speaker
from audiate.data.pairs import PairedDigits, Pairs, draw_same_label, load_pairs
from audiate.data.sources import DIGIT_WORDS, SOURCES, SPEAKERS, State, inspect
from audiate.errors import InputError


def clips(count: int = 200) -> list[Clip]:
    return [
        Clip(Path(f"{i % 10}_{SPEAKERS[i % 4]}_{i}.wav"), i % 10, SPEAKERS[i % 4])
        for i in range(count)
    ]


class TestSplits:
    @given(seed=st.integers(0, 2**31))
    @settings(max_examples=20, deadline=None)
    def test_at_random_is_a_partition_into_90_and_10(self, seed: int) -> None:
        train, test = split_at_random(clips(), seed)
        assert (len(train), len(test)) == (180, 20)
        assert Counter(train) + Counter(test) == Counter(clips())

    def test_seeds_give_other_splits(self) -> None:
        assert split_at_random(clips(), 0) == split_at_random(clips(), 0)
        assert split_at_random(clips(), 0) != split_at_random(clips(), 1)

    def test_by_speaker_leaves_just_him_out(self) -> None:
        train, test = split_by_speaker(clips(), "theo")
        assert {clip.speaker for clip in test} == {"theo"}
        assert {clip.speaker for clip in train} == set(SPEAKERS) - {"theo"}
        assert len(train) + len(test) == 200

    def test_a_speaker_who_is_not_there(self) -> None:
        with pytest.raises(InputError, match="nobody: no such speaker; there are jackson"):
            split_by_speaker(clips(), "nobody")


class TestPairing:
    @given(seed=st.integers(0, 1000))
    @settings(max_examples=20, deadline=None)
    def test_a_pair_has_one_digit(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(10, (500,), generator=generator)
        choices = torch.arange(40) % 10
        drawn = draw_same_label(labels, choices, generator)
        assert torch.equal(choices[drawn], labels)

    def test_every_recording_is_as_likely(self) -> None:
        labels = torch.zeros(40_000, dtype=torch.int64)
        drawn = draw_same_label(labels, torch.tensor([0, 1, 0, 0, 0]), torch.Generator())
        counts = torch.bincount(drawn, minlength=5)
        assert counts[1] == 0
        # Four deviations of a binomial count of mean 10,000.
        assert (counts[[0, 2, 3, 4]] - 10_000).abs().max() < 4 * (40_000 * 0.25 * 0.75) ** 0.5

    def test_training_sees_no_label(self) -> None:
        assert {field.name for field in fields(Pairs)} == {
            "images", "recordings", "heard", "sample_rate",
        }  # fmt: skip

    def test_made_up_data(self, tiny_data: Path) -> None:
        pairs = load_pairs(tiny_data, sample_rate=8000, seed=0)
        assert len(pairs.train.images) == len(pairs.train.heard) == 400
        assert len(pairs.test.images) == len(pairs.test.heard) == len(pairs.test_labels) == 100
        assert (len(pairs.train.recordings), len(pairs.test.recordings)) == (360, 40)
        heard = [pairs.test_clips[i].label for i in pairs.test.heard.tolist()]
        assert heard == pairs.test_labels.tolist()

    def test_made_up_data_without_a_speaker(self, tiny_data: Path) -> None:
        pairs = load_pairs(tiny_data, sample_rate=4000, held_out_speaker="nicolas")
        assert {clip.speaker for clip in pairs.test_clips} == {"nicolas"}
        assert (len(pairs.train.recordings), len(pairs.test.recordings)) == (300, 100)
        assert len(pairs.train.recordings[0]) == 400  # 0.1 s


def digits_of_recordings(labels: torch.Tensor, pairs: Pairs) -> dict[int, set[int]]:
    """What digits were paired with each recording."""
    digits: dict[int, set[int]] = {}
    for recording, label in zip(pairs.heard.tolist(), labels.tolist(), strict=True):
        digits.setdefault(recording, set()).add(label)
    return digits


def shares(labels: torch.Tensor, pairs: Pairs, first_word: int) -> torch.Tensor:
    """What share of each digit's images is heard with a recording of Speech Commands."""
    words = (pairs.heard >= first_word).double()
    return torch.stack([words[labels == digit].mean() for digit in range(10)])


def assert_same_test(one: PairedDigits, other: PairedDigits) -> None:
    assert torch.equal(one.test.images, other.test.images)
    assert torch.equal(one.test.heard, other.test.heard)
    assert torch.equal(one.test_labels, other.test_labels)
    assert one.test_clips == other.test_clips
    for mine, its in zip(one.test.recordings, other.test.recordings, strict=True):
        assert torch.equal(mine, its)


class TestWithSpeechCommands:
    @pytest.mark.parametrize("speaker", [None, "theo"])
    @pytest.mark.parametrize("seed", [0, 3])
    def test_test_pairs_are_the_same(self, tiny_data: Path, seed: int, speaker: str | None) -> None:
        plain, mixed = (
            load_pairs(
                tiny_data,
                sample_rate=8000,
                seed=seed,
                held_out_speaker=speaker,
                speech_commands=both,
            )
            for both in (False, True)
        )
        assert_same_test(plain, mixed)
        assert torch.equal(plain.train.images, mixed.train.images)
        first = len(plain.train.recordings)
        assert len(mixed.train.recordings) == first + 30  # not the validation clips
        kept = mixed.train.heard < first
        assert torch.equal(plain.train.heard[kept], mixed.train.heard[kept])

    def test_a_pair_has_one_digit_and_both_sets_are_heard(self, tiny_data: Path) -> None:
        labels = load_mnist(tiny_data, "train").labels
        pairs = load_pairs(tiny_data, sample_rate=8000, speech_commands=True).train
        assert all(len(digits) == 1 for digits in digits_of_recordings(labels, pairs).values())
        # Five deviations of the share of 400 fair tosses.
        assert abs((pairs.heard >= 360).double().mean() - 0.5) < 5 * 0.5 / 400**0.5
        assert {len(recording) for recording in pairs.recordings} == {800}  # 0.1 s at 8 kHz

    def test_a_digit_of_one_data_set_alone_is_heard_from_that(self, tiny_data: Path) -> None:
        for word in DIGIT_WORDS[3:]:
            for path in (tiny_data / "speech_commands" / word).iterdir():
                path.unlink()
        labels = load_mnist(tiny_data, "train").labels
        pairs = load_pairs(tiny_data, sample_rate=8000, speech_commands=True).train
        share = shares(labels, pairs, 360)
        assert (share[:3] > 0.1).all()
        assert (share[3:] == 0).all()

    def test_many_clips_of_a_digit_do_not_drown_the_other_set(
        self, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        eight = tiny_data / "speech_commands" / "eight"
        content = (eight / "0a1b2c3d_nohash_0.flac").read_bytes()
        for number in range(1, 200):
            (eight / f"0a1b2c3d_nohash_{number}.flac").write_bytes(content)
        images = load_mnist(tiny_data, "train")
        labels = images.labels.repeat(25)  # 1,000 of each digit
        many = images._replace(images=images.images.repeat(25, 1, 1), labels=labels)
        monkeypatch.setattr("audiate.data.pairs.load_mnist", lambda *_: many)
        pairs = load_pairs(tiny_data, sample_rate=8000, speech_commands=True).train
        # Five deviations of the share of 1,000 fair tosses.
        assert (shares(labels, pairs, 360) - 0.5).abs().max() < 5 * 0.5 / 1000**0.5
        counts = torch.bincount(pairs.heard, minlength=len(pairs.recordings))[360:]
        # Of each other digit, three recordings share some 500 images evenly.
        others = counts[counts > 50]
        assert len(others) == 27
        assert (others - 500 / 3).abs().max() < 5 * (500 / 3) ** 0.5

    def test_a_silent_clip_is_not_heard(self, tiny_data: Path) -> None:
        path = tiny_data / "speech_commands" / "zero" / "0a1b2c3d_nohash_0.flac"
        soundfile.write(path, np.zeros(1600), 16_000)
        pairs = load_pairs(tiny_data, sample_rate=8000, speech_commands=True).train
        assert len(pairs.recordings) == 360 + 29
        assert all(recording.abs().max() > 0.1 for recording in pairs.recordings)

    def test_without_a_copy(self, tiny_data: Path) -> None:
        (tiny_data / "speech_commands" / "validation_list.txt").unlink()
        load_pairs(tiny_data, sample_rate=8000)
        with pytest.raises(InputError, match=r"no validation_list\.txt.*fetch speech_commands"):
            load_pairs(tiny_data, sample_rate=8000, speech_commands=True)


class TestBadData:
    def test_missing(self, tmp_path: Path) -> None:
        for load in (load_fsdd, lambda root: load_mnist(root, "train")):
            with pytest.raises(InputError, match="audiate data fetch"):
                load(tmp_path)

    def test_half_of_the_recordings(self, tiny_data: Path) -> None:
        for path in sorted((tiny_data / "fsdd" / "recordings").iterdir())[::2]:
            path.unlink()
        with pytest.raises(InputError, match=r"200 of 400 recordings.*audiate data fetch fsdd"):
            load_fsdd(tiny_data)

    @pytest.mark.parametrize("damage", ["cut", "text", "short"])
    def test_damaged_images(self, tiny_data: Path, damage: str) -> None:
        path = tiny_data / "mnist" / "train-images-idx3-ubyte.gz"
        content = path.read_bytes()
        path.write_bytes(
            {
                "cut": content[:-100],
                "text": b"not gzip",
                "short": gzip.compress(gzip.decompress(content)[:-5]),
            }[damage]
        )
        with pytest.raises(InputError, match=r"train-images.*damaged.*audiate data fetch mnist"):
            load_mnist(tiny_data, "train")


class TestRealData:
    def test_fsdd_is_2000_recordings_evenly(self, real_data: Path) -> None:
        found = load_fsdd(real_data)
        assert len(found) == 2000
        assert set(Counter((clip.label, clip.speaker) for clip in found).values()) == {50}

    def test_the_split_of_the_shipped_weights_has_not_moved(self, real_data: Path) -> None:
        """The shipped model never heard these clips; another split would test it on its own."""
        _, test = split_at_random(load_fsdd(real_data), 0)
        names = "\n".join(clip.path.name for clip in test)
        assert hashlib.sha256(names.encode()).hexdigest()[:16] == "0b75ce9d9d4817a2"

    def test_mnist(self, real_data: Path) -> None:
        images, labels = load_mnist(real_data, "train")
        assert images.shape == (60_000, 28, 28)
        assert torch.bincount(labels).tolist()[:3] == [5923, 6742, 5958]
        assert labels[:5].tolist() == [5, 0, 4, 1, 9]

    def test_pairs_of_the_paper(self, real_data: Path) -> None:
        pairs = load_pairs(real_data, sample_rate=8000, seed=0)
        assert (len(pairs.train.heard), len(pairs.test.heard)) == (60_000, 10_000)
        assert (len(pairs.train.recordings), len(pairs.test.recordings)) == (1800, 200)

    def test_the_pairs_of_the_shipped_weights_have_not_moved(self, real_data: Path) -> None:
        plain = load_pairs(real_data, sample_rate=8000, seed=0)
        drawn = plain.train.heard.numpy().tobytes() + plain.test.heard.numpy().tobytes()
        assert hashlib.sha256(drawn).hexdigest()[:16] == "e4fc2ddfba8e3411"

    def test_pairs_with_speech_commands(self, real_data: Path) -> None:
        if inspect(SOURCES["speech_commands"], real_data).state is State.ABSENT:
            pytest.skip("there is no speech_commands/ beside fsdd/ and mnist/")
        plain = load_pairs(real_data, sample_rate=8000, seed=0)
        mixed = load_pairs(real_data, sample_rate=8000, seed=0, speech_commands=True)
        assert_same_test(plain, mixed)
        labels = load_mnist(real_data, "train").labels
        assert all(
            len(digits) == 1 for digits in digits_of_recordings(labels, mixed.train).values()
        )
        # Five deviations of the share of the fewest, 5,421 fives.
        assert (shares(labels, mixed.train, 1800) - 0.5).abs().max() < 5 * 0.5 / 5421**0.5
