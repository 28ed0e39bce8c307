"""Choose the guidance of flow-digits on one part of the validation clips, and report on the other.

    AUDIATE_DATA=data python -m benchmarks.guidance
    AUDIATE_DATA=data python -m benchmarks.guidance --pairs

The choice is the guidance of the highest accuracy on `choices`, of sampled images of clean clips;
of those that tie, the least, which draws the most varied images. Without ``--pairs`` it takes less
than a minute; with it, the test pairs are drawn as well, for accuracy and coverage on known voices.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from audiate.data.sources import data_root
from audiate.evaluation.drawings import evaluate_drawings, read_test_pairs
from audiate.evaluation.noise import evaluate_voices
from audiate.metrics.classification import Score
from audiate.models.hub import WRITTEN_CLASSIFIER
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load
from audiate.utils.reports import make_table, percent, render

NAME = "flow-digits"
STRENGTHS = (1.0, 1.25, 1.5, 2.0)


def main(*, pairs: bool = False) -> None:
    model = load(NAME, LatentFlow)
    classifier = load(WRITTEN_CLASSIFIER, LeNet)
    root = data_root(None)
    known = read_test_pairs(NAME, model, root) if pairs else None
    table = make_table(
        f"{NAME}: accuracy (%) of sampled images of clean validation clips",
        *("guidance", "choices", "reports", "reports, mean of digits"),
        *(("test pairs", "coverage", "recall", "Fréchet") if known else ()),
    )
    chosen: dict[float, Score] = {}
    for strength in STRENGTHS:
        model.config = replace(model.config, guidance=strength)
        scores = [
            evaluate_voices(NAME, model, classifier, root, part).sampled["clean"]
            for part in ("choices", "reports")
        ]
        chosen[strength] = scores[0]
        cells = [scores[0].in_percent(), scores[1].in_percent(), scores[1].digits_in_percent()[0]]
        if known:
            report = evaluate_drawings(NAME, model, classifier, known)
            seen = report.diversity
            cells += [
                *(percent(report.sampled.accuracy, ".2f"), f"{seen.coverage:.3f}"),
                *(f"{seen.recall:.3f}", f"{seen.frechet_distance:.1f}"),
            ]
        table.add_row(f"{strength:g}", *cells)
    best = max(chosen, key=lambda strength: (chosen[strength].accuracy, -strength))
    print(render(table, f"Chosen on the part for choices: guidance {best:g}."))


if __name__ == "__main__":
    main(pairs="--pairs" in sys.argv[1:])
