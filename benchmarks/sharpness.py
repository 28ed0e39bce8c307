"""How a generator with labels scores if the choice of the label is soft, or clear, in use.

    AUDIATE_DATA=data python -m benchmarks.sharpness wavegan-digits specgan-digits

The largest of the first entries of z chooses the label, by a softmax. Where two of them are nearly
alike, a soft choice mixes two words. The score is that of `audiate evaluate`; nothing is trained.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

from audiate.data.sources import data_root
from audiate.evaluation.generators import generate_sounds
from audiate.evaluation.sound_scores import score_sounds
from audiate.models.generator import AudioGAN
from audiate.models.hub import SPOKEN_CLASSIFIER
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.utils.reports import make_table, render

SHARPNESS = (20.0, 60.0, 200.0, 1000.0)


def with_sharpness(generator: AudioGAN, sharpness: float) -> AudioGAN:
    """The same generator with another factor of the softmax."""
    other = type(generator)(replace(generator.config, label_sharpness=sharpness))
    other.load_state_dict(generator.state_dict())
    return other.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("generators", nargs="*", default=["wavegan-digits"])
    parser.add_argument("--count", type=int, default=5_000)
    settings = parser.parse_args()
    classifier = load(SPOKEN_CLASSIFIER, DigitClassifier)
    columns = ("generator", "sharpness", "Inception Score", "Fréchet", "as meant (%)", "coverage")
    table = make_table(f"{settings.count:,} clips each, as digits-resnet18 hears them", *columns)
    for name in settings.generators:
        trained = load(name, AudioGAN)
        with torch.inference_mode():
            sets = [
                generate_sounds(
                    f"{each:g}", with_sharpness(trained, each), classifier, settings.count
                )
                for each in SHARPNESS
            ]
        for scores in score_sounds(sets, classifier, data_root(None))[: len(SHARPNESS)]:
            assert scores.agreement is not None
            table.add_row(
                name,
                scores.what,
                f"{scores.inception.mean:.2f} ± {scores.inception.std:.2f}",
                f"{scores.frechet_distance:.1f}",
                f"{100 * scores.agreement:.1f}",
                f"{scores.coverage:.3f}",
            )
    print(render(table))


if __name__ == "__main__":
    main()
