"""What ships: small, documented, and clips in several voices."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

import audiate
from audiate.cli.demo import CLIPS_FOLDER
from audiate.models.hub import find, shipped_models, weights_folders

MIB = 2**20


def test_all_weights_together_stay_small() -> None:
    files = (path for folder in weights_folders() for path in folder.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in files]
    assert sum(sizes) < 95 * MIB
    assert max(sizes) < 50 * MIB


@pytest.mark.parametrize("name", shipped_models())
def test_each_has_a_card_and_says_how_it_was_made(name: str) -> None:
    folder = find(name)
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "model.safetensors",
    }  # fmt: skip
    provenance = audiate.load(name).provenance
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"audiate train {provenance.recipe}" in card
    inverts = provenance.recipe == "latent-encoder"
    assert f"audiate evaluate {'inversion' if inverts else name}" in card
    seed = provenance.settings["seed"]
    assert seed == 0 or f"--seed {seed}" in card
    head = dict(line.split(": ", 1) for line in card.split("---\n")[1].splitlines())
    assert head.keys() == {"license", "library_name", "pipeline_tag", "datasets", "tags"}
    assert head["library_name"] == "audiate"
    assert head["datasets"] not in ("", "[]")


def test_the_clips_are_ten_short_words_in_several_voices() -> None:
    clips = sorted(CLIPS_FOLDER.glob("*.flac"))
    assert {clip.stem.split("-")[0] for clip in clips} == {
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    }  # fmt: skip
    assert len({clip.stem.split("-", 1)[1] for clip in clips}) >= 4
    for clip in clips:
        info = soundfile.info(clip)
        assert 0.2 < info.duration < 1.5
        assert Path(clip).stat().st_size < 60_000
