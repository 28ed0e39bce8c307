"""The results of inverting a folder: one for each clip, and lines about all of them."""

from __future__ import annotations

from dataclasses import dataclass

from audiate.inversion.starts import Starts
from audiate.outputs import REPORT_NAME
from audiate.pipeline import FolderReport

_BAD = 0.5  # of the loss of silence: more is a bad minimum
_NEARLY = 0.05  # seconds by which a clip may be longer or shorter before it is worth a word


@dataclass(frozen=True)
class ClipResult:
    """The result of an inversion for one clip.

    Attributes:
        loss: Value of the objective at the latent that was found.
        silent_loss: Value of the objective for silence in place of the output; None where no
            gradients are followed, and where only levels are compared.
        mse: Mean squared difference of samples.
        ssim: Structural similarity of the real parts of spectrograms, at most 1.
        log_spectral_distance: In dB.
        digit_before: The digit that the classifier hears in the clip; None without a classifier.
        digit_after: The digit that it hears in the output.
        evaluations: Number of runs of the generator.
        seconds: Time of the search, in seconds; clips of one batch share it evenly.
        duration: Length of the clip before it was cut or padded, in seconds.

    """

    loss: float
    silent_loss: float | None
    mse: float
    ssim: float
    log_spectral_distance: float
    digit_before: int | None
    digit_after: int | None
    evaluations: int
    seconds: float
    duration: float


@dataclass(frozen=True)
class InversionReport(FolderReport[ClipResult]):
    """The result of `invert_folder` for all clips.

    Attributes:
        starts: What the inversion began with.

    """

    starts: Starts

    @property
    def results(self) -> dict[str, ClipResult]:
        """Results by the name of the clip, of those that could be inverted."""
        clips = self.clips.items()
        return {name: clip.result for name, clip in clips if clip.result and clip.error is None}

    def summary(self) -> str:
        """A line about all clips."""
        results = list(self.results.values())
        where = f"see {self.folder / REPORT_NAME}"
        if not results:
            return f"0 clips inverted: {where}"
        mean = sum(each.log_spectral_distance for each in results) / len(results)
        same = [r.digit_before == r.digit_after for r in results if r.digit_before is not None]
        share = f", {100 * sum(same) / len(same):.0f} % say the same digit" if same else ""
        return f"{self.counted('inverted')}: {mean:.1f} dB log-spectral distance{share}; {where}"

    def notes(self, *, seconds: float, budget: float | None = None) -> list[str]:
        """Lines about what may surprise, for the clips that were inverted in this call.

        Args:
            seconds: Length of the generator's clips.
            budget: Seconds that were allowed for each clip.

        """
        new = [result for name, result in self.results.items() if name in self.new]
        longer = sum(each.duration > seconds + _NEARLY for each in new)
        shorter = sum(each.duration < seconds - _NEARLY for each in new)
        found = []
        if longer or shorter:
            found.append(
                f"the generator makes {seconds:.2f} s; clips that are longer, of which the part "
                f"with the most energy was taken: {longer} of {len(new)}; clips that are shorter, "
                f"to which zeros were added: {shorter} of {len(new)}"
            )
        bad = sum(
            each.silent_loss is not None and each.loss > _BAD * each.silent_loss for each in new
        )
        if bad:
            found.append(
                f"{bad} of {len(new)} clips ended in a bad minimum, above half of the loss of "
                f"silence: try more iterations, or several starts, as in `restarts=10`"
            )
        slowest = max((each.seconds for each in new), default=0.0)
        if budget is not None and slowest > 1.1 * budget:
            found.append(
                f"`budget` {budget:g} s: a clip took {slowest:.2f} s, as {self.starts.described} "
                f"whatever the budget"
            )
        return found
