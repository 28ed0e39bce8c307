"""A training of each family, killed at random changes of its files, and resumed: the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from audiate.models.codec import Codec
from audiate.models.configs import CodecConfig
from audiate.models.dual_encoder import DualEncoder

TESTS = Path(__file__).parent.parent

# A process of its own, as a process that has trained cannot be forked.
_KILLED = """
import random, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from conftest import tiny_sources
from test_kills import in_child
from audiate.cli import main
from audiate.data.sources import SOURCES

SOURCES.update(tiny_sources())
place, most, *words = sys.argv[1:]

def train(out):
    again = ["--resume"] if out.exists() else []
    assert main([*words, "--save-every", "0", "--out", str(out), *again]) == 0

count = in_child(train, Path(place) / "whole")
assert count > 10
for moment in random.Random(0).sample(range(1, count + 1), min(int(most), count)):
    out = Path(place) / f"killed-{{moment}}"
    in_child(train, out, moment)
    in_child(train, out)
"""

_PAIRS = "--epochs 1 --batch-size 100 --images-per-recording 1 --no-speech-commands"
_GAN = "--steps 3 --batch-size 8 --dim 2 --preview-every 2"
_SOUNDS = "--num-samples 4096 --n-fft 256 --iterations 2"
FAMILIES = {
    "lenet": "--epochs 2 --batch-size 200",
    "vae": _PAIRS,
    "vaegan": _PAIRS,
    "latent-flow": _PAIRS,
    "match": _PAIRS,
    "say": f"{_PAIRS} --codec CODEC --matcher MATCH --width 64 --blocks 1",
    "wavegan": _GAN,
    "specgan": f"{_GAN} {_SOUNDS}",
    "ciwgan": f"{_GAN} --codes 2",
    "fiwgan-spectrogram": f"{_GAN} {_SOUNDS} --bits 2",
    "codec": "--steps 3 --batch-size 4 --width 8 --latent-channels 4 --preview-every 2",
    "speech-flow": "--steps 3 --batch-size 8 --codec CODEC --width 64 --blocks 1 --preview-every 2",
    "coded-flow": "--steps 3 --batch-size 8 --codec CODEC --codes 2 --width 64 --blocks 1"
    " --variants 1 --preview-every 2",
    "latent-encoder": "--steps 3 --batch-size 4 --generator GAN --classifier CLASSIFIER"
    " --preview-every 2",
    "digit-classifier": "--epochs 1 --batch-size 200 --num-samples 4096",
}


@pytest.fixture(scope="module")
def models(small_models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small models that were never trained, by their names in the flags above."""
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    Codec(CodecConfig(width=8, latent_channels=4)).save_pretrained(folder / "codec")
    DualEncoder().save_pretrained(folder / "match")
    found = {"CODEC": folder / "codec", "MATCH": folder / "match"}
    return {**found, "GAN": small_models / "gan", "CLASSIFIER": small_models / "classifier"}


def outcome(folder: Path) -> dict[str, object]:
    """What a training has written, but for times: weights and moments, log, previews."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith("tensorboard"):
            found[name] = path.read_bytes() if path.suffix in (".jsonl", ".png", ".wav") else None
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_that_was_killed_is_resumed_to_the_same_bits(
    family: str,
    models: dict[str, Path],
    tiny_root: Path,
    place: Path,
    request: pytest.FixtureRequest,
) -> None:
    slow = request.config.getoption("--runslow")
    if family != "lenet" and not slow:
        pytest.skip("trained with --runslow")
    words = [str(models.get(word, word)) for word in FAMILIES[family].split()]
    script = _KILLED.format(paths=[str(TESTS), str(TESTS.parent)])
    done = subprocess.run(
        [sys.executable, "-c", script, str(place), "6" if slow else "1", "train", family,
         "--data-dir", str(tiny_root), *words],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    logs = "".join(path.read_text()[-2000:] for path in place.glob("*.log"))
    assert done.returncode == 0, done.stderr[-2000:] + logs
    expected = outcome(place / "whole")
    killed = [path for path in place.glob("killed-*") if path.is_dir()]
    assert killed
    for folder in killed:
        found = outcome(folder)
        assert list(found) == list(expected), folder.name
        for name in expected:
            assert found[name] == expected[name], f"{folder.name}/{name}"
            if name.endswith(".safetensors"):
                one, other = load_file(folder / name), load_file(place / "whole" / name)
                assert one.keys() == other.keys()
                assert all(torch.equal(one[key], other[key]) for key in one), f"{folder}/{name}"
