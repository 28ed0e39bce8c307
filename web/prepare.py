"""Writes what the page is built from into web/public/assets: models, clips, and a manifest.

Usage: python web/prepare.py. Models are exported again where weights or code have changed since.
"""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx.external_data_helper import set_external_data
from torch import Tensor

import audiate
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
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
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
CODE = [
    Path(__file__),
    *(file for room in ("audio", "export", "models") for file in (PACKAGE / room).glob("*.py")),
]
LARGE = 1024  # bytes
_SIDE = 5  # rows and columns of the map
_SCALE = 32  # of its latents, which are stored as whole numbers
_TRIED = 8  # sounds of each word, of which the clearest are taken
_SWAPS = 10_000


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
    if any(written) or not (ASSETS / "map.json").exists():
        write_map(ASSETS / "map.json")
    drawer, sayer = audiate.load(DEFAULT_AUDIO_TO_IMAGE), audiate.load(DEFAULT_IMAGE_TO_AUDIO)
    manifest: dict[str, Any] = {
        "sampleRate": RATE,
        "models": MODELS,
        "noise": drawer.latent_dim,
        "voiceNoise": sayer.latent_dim,
        "voiceGuidance": sayer.config.guidance,
        "guidance": drawer.config.guidance,
        "words": DIGIT_WORDS,
        "clips": [clip.stem for clip in clips],
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
    if role == "listener":
        coarsen(path)
    return True


def coarsen(path: Path) -> None:
    """Round a file's 8-bit weights to even numbers: with seven bits, a seventh less to download."""
    model = onnx.load(path)
    for weight in model.graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.int8:
            even = (2 * np.round(values / 2)).clip(-126, 126).astype(np.int8)
            weight.CopyFrom(onnx.numpy_helper.from_array(even, weight.name))
    onnx.save(model, path)


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
def write_map(path: Path) -> None:
    """Write 25 clear sounds of the generator, all ten words among them, as the page's map.

    Their latents are of no label, as that of a visitor's sound is; so one can be heard from the
    other's place.
    """
    generator, drawer = (
        load(DEFAULT_GENERATOR, SpeechFlow),
        load(DEFAULT_AUDIO_TO_IMAGE, LatentFlow),
    )
    random, words = torch.Generator().manual_seed(0), len(DIGIT_WORDS)
    labels = torch.arange(words).repeat(_TRIED)
    noise = torch.randn(len(labels), generator.latent_dim - words, generator=random)
    named = torch.cat([F.one_hot(labels, words), noise], 1)
    latents = torch.cat([generator.recover(generator(part)) for part in named.split(20)])
    latents = (_SCALE * latents).round()
    sounds = torch.cat([generator(part / _SCALE) for part in latents.split(20)])[:, 0]
    heard = load(SPOKEN_CLASSIFIER, DigitClassifier)(sounds).softmax(1)
    sure = heard.gather(1, labels.unsqueeze(1)).flatten()
    chosen: list[int] = []
    for word in range(words):
        best = sure.where(labels == word, -1).argsort(descending=True)
        chosen += best[: len(range(word, _SIDE**2, words))].tolist()
    spectra = torch.stack([drawer.preprocess(sounds[at][None], sample_rate=RATE) for at in chosen])
    conditions = drawer.condition(spectra)
    drawings = drawer.images_from(spectra, torch.zeros(len(chosen), 1, drawer.latent_dim))
    order = neighbourly(F.normalize(conditions))
    rows = {
        "words": [DIGIT_WORDS[int(labels[chosen[at]])] for at in order],
        "latents": latents[chosen][order].int().tolist(),
        "conditions": (100 * conditions[order]).int().tolist(),
        "drawings": (255 * drawings[order].flatten(1)).int().tolist(),
    }
    content = {"size": _SIDE, "scale": _SCALE, **rows}
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def neighbourly(vectors: Tensor) -> list[int]:
    """Order unit vectors (25, n) into the rows of a square so that neighbours are alike.

    Two of them change places wherever that makes neighbours more alike.
    """
    places = torch.cartesian_prod(*[torch.arange(float(_SIDE))] * 2)
    near, alike = (torch.cdist(places, places) < 1.5).numpy(), (vectors @ vectors.T).numpy()
    source = np.random.default_rng(0)
    order, most = np.arange(_SIDE**2), -np.inf
    for _ in range(_SWAPS):
        tried = order.copy()
        one, other = source.choice(len(order), 2, replace=False)
        tried[[one, other]] = tried[[other, one]]
        found = (alike[np.ix_(tried, tried)] * near).sum()
        if found >= most:
            order, most = tried, found
    return [int(at) for at in order]


if __name__ == "__main__":
    main()
