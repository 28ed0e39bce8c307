"""Choose the guidance of speech-digits and say-digits, by a network that judges neither.

    AUDIATE_DATA=data python -m benchmarks.speech_guidance [--models NAMES] [--count 1000]

Draws as many sounds at each guidance, evenly by digit, and compares them with real train clips, in
the features of the sound encoder of match-digits, which learnt without labels. The choice is the
guidance of the least Fréchet distance. say-digits says MNIST train images.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
from torch import Tensor

from audiate.audio.files import resample
from audiate.data.digits import load_mnist
from audiate.data.sources import data_root
from audiate.evaluation.clips import choose_evenly, train_clips
from audiate.evaluation.said_images import say_each
from audiate.metrics.distribution import frechet_distance, neighbourhoods
from audiate.models.dual_encoder import DualEncoder
from audiate.models.hub import DEFAULT_DUAL_ENCODER, DEFAULT_GENERATOR, DEFAULT_IMAGE_TO_AUDIO
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.pretrained import load
from audiate.models.speech_flow import SpeechFlow
from audiate.utils.progress import tracked
from audiate.utils.reports import make_table, render

STRENGTHS = (1.0, 1.5, 2.0, 2.5, 3.0)
_BATCH = 50
_RATE = 16_000  # of the clips, in Hz
_SEED = 1  # evaluations draw by seed 0


def sounds_of(model: SpeechFlow | ImageToAudioModel, count: int) -> Tensor:
    """Draw waveforms (count, samples), as many of each digit."""
    if isinstance(model, SpeechFlow):
        random = torch.Generator().manual_seed(_SEED)
        z = model.sample_latent(count, generator=random, labels=torch.arange(count) % 10)
        return torch.cat(
            [model(part)[:, 0] for part in tracked(torch.split(z, _BATCH), "generating")]
        )
    images, labels = load_mnist(data_root(None), "train")
    chosen = choose_evenly(labels, count, _SEED)
    return say_each(model, images[chosen].float() / 255, _SEED)[:, 0]


def embed(matcher: DualEncoder, waveforms: Tensor, sample_rate: int) -> Tensor:
    """Vectors (count, 128) of waveforms (count, samples)."""
    features = matcher.features
    clips = [resample(clip, sample_rate, features.config.sample_rate) for clip in waveforms]
    return matcher.embed_sounds(features.many(clips))


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=[DEFAULT_GENERATOR, DEFAULT_IMAGE_TO_AUDIO])
    parser.add_argument("--count", type=int, default=1_000)
    settings = parser.parse_args()
    matcher = load(DEFAULT_DUAL_ENCODER, DualEncoder)
    clips = train_clips(data_root(None), _RATE, 16_384)
    every = choose_evenly(clips.labels, 2 * settings.count, _SEED)
    real, other = (
        embed(matcher, clips.waveforms(part)[:, 0], _RATE)
        for part in torch.split(every, settings.count)
    )
    title = f"{settings.count:,} sounds beside train clips, in features of match-digits"
    table = make_table(
        title, "sounds", "guidance", "Fréchet distance (thousandths)", "precision", "coverage"
    )

    def add(name: str, guidance: str, vectors: Tensor) -> float:
        distance, near = frechet_distance(real, vectors), neighbourhoods(real, vectors)
        scores = (f"{1000 * distance:.2f}", f"{near.precision:.3f}", f"{near.coverage:.3f}")
        table.add_row(name, guidance, *scores)
        return distance

    add("other train clips", "", other)
    choices = []
    for name in settings.models:
        model = load(name)
        assert isinstance(model, SpeechFlow | ImageToAudioModel)
        distances = {}
        for strength in STRENGTHS:
            model.config = replace(model.config, guidance=strength)
            vectors = embed(matcher, sounds_of(model, settings.count), model.sample_rate)
            distances[strength] = add(name, f"{strength:g}", vectors)
        best = min(distances, key=lambda strength: distances[strength])
        choices.append(f"Chosen of {name}: guidance {best:g}.")
    print(render(table, *choices))


if __name__ == "__main__":
    main()
