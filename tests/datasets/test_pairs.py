"""FSDD, MNIST and their pairing, on made-up data and on the real."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiate.datasets.fsdd import SPEAKERS, Clip, load_fsdd, split_at_random, split_by_speaker
from audiate.datasets.mnist import load_mnist
from audiate.datasets.pairs import Pairs, draw_same_label, load_pairs
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
