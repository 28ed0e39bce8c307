"""What guidance does: accuracy and coverage of flow-digits, and accuracy on voices it never heard.

Prints a table in Markdown. Needs the data (AUDIATE_DATA or the user's cache); takes some minutes.
"""

from __future__ import annotations

from dataclasses import replace

from audiate.datasets.installed import data_root
from audiate.evaluate.drawings import evaluate_drawings, evaluate_voices
from audiate.models import LatentFlow, LeNet


def main() -> None:
    """Score the shipped model at several strengths of guidance."""
    model = LatentFlow.from_pretrained("flow-digits")
    judge = LeNet.from_pretrained("lenet-mnist")
    root = data_root()
    print("| guidance | accuracy % | coverage | recall | Fréchet distance | new voices % |")
    print("|---|---|---|---|---|---|")
    for guidance in (1.0, 1.5, 2.0, 3.0):
        model.config = replace(model.config, guidance=guidance)
        report = evaluate_drawings("flow-digits", model, judge, root)
        voices = evaluate_voices("flow-digits", model, judge, root)
        seen = report.diversity
        print(
            f"| {guidance:g} | {100 * report.sampled.accuracy:.2f} | {seen.coverage:.3f} "
            f"| {seen.recall:.3f} | {seen.frechet_distance:.1f} "
            f"| {100 * voices.sampled['clean'].accuracy:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
