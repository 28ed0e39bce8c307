"""`audiate compare`: scores of anyone's reconstructions."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class Compare:
    """Score reconstructions against their originals.

    Two sound files, or two folders whose files are matched by name, whatever their suffixes; they
    are taken as they are, and begin together. Prints per clip, and in the mean: MSE of the samples;
    SSIM of the spectrograms' real parts, with the range of each pair (Keyes et al. 2020); the
    log-spectral distance in dB; and the digit that the judge hears, before and after. In folders, a
    pair that cannot be scored is named on standard error, and the exit status is 2.
    """

    target: Positional[Annotated[Path, arg(metavar="TARGET")]]
    """The original, or a folder of originals."""
    output: Positional[Annotated[Path, arg(metavar="OUTPUT")]]
    """The reconstruction, or a folder of them."""
    json: bool = False
    """Print JSON in place of a table."""
    judge: str = "digits-resnet18"
    """The judge of spoken digits; none: do without."""

    def run(self) -> int:
        """Compare and print; the exit status."""
        from audiate.evaluate import load_listener
        from audiate.evaluate.comparison import compare

        judge = None if self.judge == "none" else load_listener(self.judge)
        report = compare(self.target, self.output, judge)
        for problem in report.failed.values():
            print(f"audiate: error: {problem}", file=sys.stderr)
        print(report.to_json() if self.json else report.to_text())
        return 2 if report.failed else 0
