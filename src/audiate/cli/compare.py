"""`audiate compare`: score reconstructions of clips."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from audiate.cli.common import Classifier, required
from audiate.errors import InputError
from audiate.models.hub import SPOKEN_CLASSIFIER


@dataclass(frozen=True)
class Compare:
    """Score reconstructions against their targets.

    Give two sound files, or two folders. Files in folders are matched by name; suffixes may differ.
    Each pair is compared as it is, from the beginning. For each clip,
    and as a mean, the command prints the MSE of the samples, the SSIM of the spectrograms' real
    parts with the range of each pair (Keyes et al. 2020), the log-spectral distance in dB, and the
    classifier's digits of the target and of the output. In folders, a pair that cannot
    be scored is named on standard error, and the exit status is 2.
    """

    target: Positional[Annotated[Path | None, required("TARGET")]] = None
    """The target, or a folder of targets."""
    output: Positional[Annotated[Path | None, required("OUTPUT")]] = None
    """The reconstruction, or a folder of reconstructions."""
    json: bool = False
    """Print JSON instead of a table."""
    classifier: Classifier = "auto"
    """Name or folder of the classifier of spoken digits. none: no digits are compared. auto: the
    shipped one where `audiate invert` or `audiate edit` made the sounds and used one, else none."""

    def run(self) -> int:
        """Compare and print; return the exit status."""
        if self.target is None or self.output is None:
            name = "target" if self.target is None else "output"
            raise InputError(f"no {name} given; name TARGET, then OUTPUT: files, or folders")
        from audiate.evaluation.comparison import classifier_of, compare
        from audiate.models.pretrained import load
        from audiate.models.resnet import DigitClassifier
        from audiate.utils.progress import note

        named = self.classifier
        if named == "auto":
            named = classifier_of(self.target, self.output)
            if named is None:
                note(
                    f"digits are not compared, as no record beside these sounds names a "
                    f"classifier; `classifier={SPOKEN_CLASSIFIER}` compares them"
                )
        classifier = None if named is None else load(named, DigitClassifier)
        report = compare(self.target, self.output, classifier)
        for problem in report.failed.values():
            print(f"audiate: error: {problem}", file=sys.stderr)
        print(report.to_json() if self.json else report.to_text())
        return 2 if report.failed else 0
