"""Writes what the page is built from into web/public/assets: models, clips, and a manifest.

Usage: python web/prepare.py. Models are exported again where weights or code have changed since.
"""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx.external_data_helper import set_external_data

import audiate
from audiate.audio.spectrograms import MelSpectrogram
from audiate.cli.demo import CLIPS_FOLDER
from audiate.data.sources import DIGIT_WORDS
from audiate.export import export, export_scores
from audiate.models.hub import (
    DEFAULT_AUDIO_TO_IMAGE,
    DEFAULT_GENERATOR,
    DEFAULT_IMAGE_TO_AUDIO,
    SPOKEN_CLASSIFIER,
    WRITTEN_CLASSIFIER,
    find,
)
from audiate.models.pretrained import load
from audiate.models.speech_flow import SpeechFlow

ASSETS = Path(__file__).parent / "public" / "assets"
RATE = 16_000
MODELS = {
    "drawer": DEFAULT_AUDIO_TO_IMAGE,
    "reader": WRITTEN_CLASSIFIER,
    "encoder": DEFAULT_GENERATOR,
    "generator": DEFAULT_GENERATOR,
    "listener": SPOKEN_CLASSIFIER,
    "sayer": DEFAULT_IMAGE_TO_AUDIO,
}
HEARS = {"drawer", "encoder", "listener"}
SHARE = ("encoder", "generator", "sayer")  # models that have weights in common
PACKAGE = Path(audiate.__file__).parent
CODE = [file for room in ("audio", "export", "models") for file in (PACKAGE / room).glob("*.py")]
LARGE = 1024  # bytes
_SAMPLED = 200  # latents from which the map's directions are found


def main() -> None:
    """Write all files."""
    ASSETS.mkdir(parents=True, exist_ok=True)
    written = [write_model(role, name) for role, name in MODELS.items()]
    shared = ASSETS / "voice.bin"
    if any(written) or not shared.exists():
        share_weights([ASSETS / f"{role}.onnx" for role in SHARE], shared)
    if not (ASSETS / "scores.onnx").exists():
        export_scores(ASSETS / "scores.onnx", sample_rate=RATE)
    clips = sorted(CLIPS_FOLDER.glob("*.flac"), key=digit)
    for clip in clips:
        shutil.copy(clip, ASSETS)
    generator = load(DEFAULT_GENERATOR, SpeechFlow)
    drawer, sayer = audiate.load(DEFAULT_AUDIO_TO_IMAGE), audiate.load(DEFAULT_IMAGE_TO_AUDIO)
    manifest: dict[str, Any] = {
        "sampleRate": RATE,
        "models": MODELS,
        "noise": drawer.latent_dim,
        "voiceNoise": sayer.latent_dim,
        "guidance": drawer.config.guidance,
        "words": DIGIT_WORDS,
        "clips": [clip.stem for clip in clips],
        "map": directions(generator),
    }
    (ASSETS / "manifest.json").write_text(json.dumps(manifest))
    size = sum(path.stat().st_size for path in ASSETS.iterdir())
    print(f"{ASSETS}: {size / 2**20:.1f} MiB")


def digit(clip: Path) -> int:
    """The digit that a shipped clip's name begins with."""
    return DIGIT_WORDS.index(clip.stem.split("-")[0])


def write_model(role: str, name: str) -> bool:
    """Export a shipped model, unless that was done after its weights and the code changed.

    Returns:
        Whether it was written.

    """
    path, weights = ASSETS / f"{role}.onnx", find(name) / "model.safetensors"
    changed = max(each.stat().st_mtime for each in (weights, *CODE))
    if path.exists() and path.stat().st_mtime > changed:
        return False
    print(f"exporting {name}", flush=True)
    rate = RATE if role in HEARS else None
    export(audiate.load(name), path, sample_rate=rate, backwards=role == "encoder")
    return True


def share_weights(models: list[Path], shared: Path) -> None:
    """Move large weights of models into one file beside them, in which each stands once."""
    loaded = [onnx.load(path) for path in models]
    places: dict[bytes, int] = {}
    content = bytearray()
    for model in loaded:
        for weight in model.graph.initializer:
            data = weight.raw_data
            if len(data) < LARGE:
                continue
            key = sha256(data).digest()
            if key not in places:
                content += bytes(-len(content) % 8)  # as types are aligned
                places[key] = len(content)
                content += data
            set_external_data(weight, shared.name, places[key], len(data))
            weight.ClearField("raw_data")
    shared.write_bytes(content)
    for path, model in zip(models, loaded, strict=True):
        path.write_bytes(model.SerializeToString())


@torch.inference_mode()
def directions(generator: SpeechFlow) -> list[list[float]]:
    """Two vectors (2, latent_dim) along which the generator's sounds differ most.

    They are the regressions of latents on the two first principal components of mel levels, as
    long as latents of the prior are.
    """
    z = generator.sample_latent(_SAMPLED, generator=torch.Generator().manual_seed(0))
    see = MelSpectrogram(generator.sample_rate, generator.num_samples)
    levels = torch.cat([see(generator(part).mean(1)).flatten(1) for part in torch.split(z, 50)])
    left, sizes, _ = torch.linalg.svd(levels - levels.mean(0), full_matrices=False)
    scores = left[:, :2] * sizes[:2]
    found = torch.linalg.lstsq(scores, z).solution
    found = found * generator.latent_dim**0.5 / found.norm(dim=1, keepdim=True)
    return [[round(number, 5) for number in row] for row in found.tolist()]


if __name__ == "__main__":
    main()
