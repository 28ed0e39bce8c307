"""Evaluation of the classifier of spoken digits, on speakers that it has not heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from audiate.data.sources import SPEAKERS
from audiate.evaluation.clips import speaker_clips, validation_clips
from audiate.evaluation.trained import TrainingPlace, recipe_of
from audiate.metrics.classification import Score, mean_of, score_of
from audiate.models.resnet import DigitClassifier
from audiate.training.recipes.classifiers import DigitClassifierRecipe
from audiate.utils.progress import tracked
from audiate.utils.reports import add_digit_columns, confusion_table, dump, make_table, render

VALIDATION = "Speech Commands validation"
"""Name of the test on the Speech Commands validation clips."""

_BATCH = 50


@dataclass(frozen=True)
class SpokenClassifierReport:
    """Accuracy of the classifier of spoken digits on speakers that it has not heard.

    Attributes:
        model: Name of the model.
        scores: Score in each test. A test is `VALIDATION`, or a speaker of FSDD whom a training of
            the recipe was done without.
        counts: Number of clips in each test.

    """

    model: str
    scores: Mapping[str, Score]
    counts: Mapping[str, int]

    def to_json(self) -> str:
        """Return the keys `accuracy`, which is the mean over tests, `n`, `tests` and more."""
        return dump(
            {
                "model": self.model,
                "accuracy": mean_of([score.accuracy for score in self.scores.values()]),
                "n": sum(self.counts.values()),
                "tests": {
                    test: {"n": self.counts[test], **asdict(score)}
                    for test, score in self.scores.items()
                },
            }
        )

    def to_text(self) -> str:
        """Return the scores and the confusion table."""
        table = make_table(
            f"{self.model}: accuracy (%) on speakers that it has not heard",
            *("test", "clips", "accuracy", "mean of digits"),
        )
        add_digit_columns(table)
        for test, score in self.scores.items():
            cells = score.in_percent(), *score.digits_in_percent()
            table.add_row(test, str(self.counts[test]), *cells)
        if len(self.scores) > 1:
            overall = mean_of([score.accuracy for score in self.scores.values()])
            table.add_row("mean", str(sum(self.counts.values())), f"{100 * overall:.2f}", "")
        confusion = torch.tensor([score.confusion for score in self.scores.values()]).sum(0)
        return render(table, confusion_table(confusion, "spoken digits"))


def evaluate_spoken_classifier(
    name: str, model: DigitClassifier, root: Path
) -> SpokenClassifierReport:
    """Score the classifier on the Speech Commands validation clips.

    Args:
        name: Name of the model, for the report.
        model: The classifier.
        root: Data folder.

    Raises:
        InputError: The data is missing or damaged.

    """
    waveforms, labels = validation_clips(
        root, sample_rate=model.sample_rate, num_samples=model.num_samples
    )
    score = _score(model, waveforms, labels)
    return SpokenClassifierReport(name, {VALIDATION: score}, {VALIDATION: len(labels)})


def evaluate_without_speakers(
    name: str, model: DigitClassifier, place: TrainingPlace
) -> SpokenClassifierReport:
    """Train the classifier's recipe without each speaker of FSDD, and test it on that speaker.

    Args:
        name: Name of the model, for the report.
        model: The classifier, which names its recipe.
        place: The data folder, and where the classifiers are trained.

    Raises:
        InputError: The data is missing, or the recipe is not known.
        Interrupted: A training was stopped by a signal, after its state was saved.

    """
    label = model.provenance.recipe
    recipe = recipe_of(model, name, DigitClassifierRecipe)
    scores: dict[str, Score] = {}
    counts: dict[str, int] = {}
    for speaker in SPEAKERS:
        classifier = place.train(
            label,
            replace(recipe, held_out_speaker=speaker),
            f"{label}-seed{recipe.seed}-without-{speaker}",
            DigitClassifier,
        )
        waveforms, labels = speaker_clips(
            place.root,
            speaker,
            sample_rate=classifier.sample_rate,
            num_samples=classifier.num_samples,
        )
        scores[speaker] = _score(classifier, waveforms, labels)
        counts[speaker] = len(labels)
    return SpokenClassifierReport(name, scores, counts)


def _score(classifier: DigitClassifier, waveforms: Tensor, labels: Tensor) -> Score:
    read = in_batches(classifier, waveforms, classifier.device, "classifying clips").argmax(1)
    return score_of(read, labels, torch.arange(len(labels)))


@torch.inference_mode()
def in_batches(
    function: Callable[[Tensor], Tensor], waveforms: Tensor, device: torch.device, what: str
) -> Tensor:
    """Apply a function to waveforms, 50 at a time, and show the progress.

    Args:
        function: From waveforms (batch, samples) to a tensor (batch, ...).
        waveforms: (count, samples), on the CPU.
        device: Device that the function takes its argument on.
        what: The work, as for `audiate.utils.progress.tracked`.

    Returns:
        The results (count, ...), on the CPU.

    """
    parts = tracked(torch.split(waveforms, _BATCH), what)
    return torch.cat([function(part.to(device)).cpu() for part in parts])
