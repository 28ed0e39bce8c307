"""Coverage that real clips of spoken digits reach of other real clips, at several counts.

    AUDIATE_DATA=data python -m benchmarks.coverage

The train clips are classified once, in two to three minutes on one core; the rest takes seconds. No
count may fall below the limit, or the coverage of a generator would say less of the generator than
of the reference.
"""

from __future__ import annotations

import sys
import time

import torch

from audiate.data.sources import DIGIT_SETS, data_root
from audiate.evaluation.clips import disjoint_halves, train_clips
from audiate.evaluation.sound_scores import choose_parts
from audiate.metrics.distribution import (
    Fidelity,
    frechet_distance,
    kernel_distance,
    neighbourhoods,
)
from audiate.models.hub import SPOKEN_CLASSIFIER
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.utils.batching import in_batches
from audiate.utils.reports import make_table, render

COUNTS = (500, 2_000, 5_000)
LIMIT = 0.93


@torch.inference_mode()
def main() -> int:
    began = time.monotonic()
    classifier = load(SPOKEN_CLASSIFIER, DigitClassifier)
    sounds = train_clips(data_root(None), classifier.sample_rate, classifier.num_samples)
    waveforms = sounds.waveforms(torch.arange(len(sounds.labels))).mean(1)
    features = in_batches(classifier.embed, waveforms, 50, "classifying train clips")
    strata = sounds.labels * len(DIGIT_SETS) + sounds.sources
    table = make_table(
        f"Real clips of disjoint choices, by {SPOKEN_CLASSIFIER}",
        *("count", "parts", "clips in each", *Fidelity._fields),
    )
    least = 1.0
    for count in COUNTS:
        parts = choose_parts(sounds.labels, strata, count, seed=0)
        found = [neighbourhoods(features[one], features[other]) for one, other in parts]
        means = torch.tensor(found).mean(0).tolist()
        table.add_row(
            *(f"{count:,}", str(len(parts)), f"{len(parts[0][0]):,}"),
            *(f"{each:.3f}" for each in means),
        )
        least = min(least, Fidelity(*means).coverage)
    halves = disjoint_halves(strata, 0)
    one, other = (features[half] for half in halves)
    known, others = (strata[half] for half in halves)
    distance = frechet_distance(one, other, real_strata=known, fake_strata=others)
    kernel = kernel_distance(one, other, real_strata=known, fake_strata=others)
    print(
        render(
            table,
            f"Halves of the train clips: Fréchet distance {distance:.2f}, KID {kernel.value:.4f} ± "
            f"{kernel.error:.4f}. All in {time.monotonic() - began:.0f} s. "
            f"Least coverage {least:.3f} (limit {LIMIT}).",
        )
    )
    return 0 if least >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
