"""Accuracy and coverage of flow-digits, and its accuracy on unheard voices, by the guidance.

Prints a table in Markdown. It needs the data (AUDIATE_DATA, or the user's cache) and takes some
minutes.
"""

from __future__ import annotations

from dataclasses import replace

from audiate.evaluation.audio_to_image import evaluate_drawings, read_test_pairs

from audiate.data.sources import data_root
from audiate.evaluation.noise import evaluate_voices
from audiate.models.hub import WRITTEN_CLASSIFIER
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load


def main() -> None:
    """Score the shipped model at several strengths of guidance."""
    model = LatentFlow.from_pretrained("flow-digits")
    classifier = load(WRITTEN_CLASSIFIER, LeNet)
    root = data_root()
    pairs = read_test_pairs("flow-digits", model, root)
    print("| guidance | accuracy % | coverage | recall | Fréchet distance | new voices % |")
    print("|---|---|---|---|---|---|")
    for guidance in (1.0, 1.5, 2.0, 3.0):
        model.config = replace(model.config, guidance=guidance)
        report = evaluate_drawings("flow-digits", model, classifier, pairs)
        voices = evaluate_voices("flow-digits", model, classifier, root)
        seen = report.diversity
        print(
            f"| {guidance:g} | {100 * report.sampled.accuracy:.2f} | {seen.coverage:.3f} "
            f"| {seen.recall:.3f} | {seen.frechet_distance:.1f} "
            f"| {100 * voices.sampled['clean'].accuracy:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
