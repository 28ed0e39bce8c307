"""`audiate codes`: find the words that the codes of a generator stand for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audiate.cli.common import Device, Model
from audiate.errors import InputError, check_range

if TYPE_CHECKING:
    from audiate.models.generator import GeneratorModel
    from audiate.phonetics.code_words import Classify

FIGURE_NAME = "codes.png"


@dataclass(frozen=True)
class Codes:
    """Find the words that the codes of a generator stand for, and how codes interact.

    Generates COUNT sounds of every code and classifies them: by a classifier that is trained on
    labelled recordings (--data), by that of spoken digits, or without one, in which case similar
    sounds are grouped. Prints a table of codes and words, and one of the words that come out
    where two entries of the code are set together, and writes them to OUT: codes.txt, codes.csv
    and codes-pairs.csv (counts of the two tables), codes.json (all values) and codes.png.

    They are written at the end. A command that was interrupted begins anew, but clips that
    pocketsphinx has judged to the last one are not judged again.
    """

    model: Model
    """Folder of a run or a model, or a Hugging Face hub id."""
    data: Path | None = None
    """Folder of labelled recordings, in sub-folders or with --label-from, on which a classifier of
    the words is trained in about a minute. The codes themselves were learnt without labels."""
    label_from: str | None = None
    """Pattern of the names of these recordings, as in '{word}_*' for candle_speaker1.wav."""
    cut_words: bool = False
    """Cut each of these recordings at silences, into words."""
    listener: str | None = None
    """Classifier of the sounds, in place of one that is trained: digits-resnet18, or its folder.
    none: group similar sounds into as many groups as there are codes; sounds of two entries are
    then assigned to these. Default: digits-resnet18 where the generator was trained on spoken
    digits, else none."""
    count: int = 100
    """Number of sounds for each code."""
    judged: int = 20
    """Number of sounds for each code, at most, that the recogniser pocketsphinx listens to (0:
    none). No part of audiate was trained with it. It needs audiate[judges]."""
    seed: int = 0
    """Seed of the latents, and of the classifier."""
    device: Device = "auto"
    out: Path = Path("out/codes")
    """Folder for the tables and the figure. It is made where it is missing."""

    def __post_init__(self) -> None:
        check_range("`count`", self.count, 1, 10_000)
        check_range("`judged`", self.judged, 0, 10_000)
        check_range("`seed`", self.seed, 0, 2**63 - 1)
        if self.data is not None and self.listener is not None:
            raise InputError("`listener`: one is trained on `data`; leave one of them out")
        if self.data is None and (self.label_from is not None or self.cut_words):
            raise InputError("`label_from`: reads the labels of `data`; name that folder, too")

    def run(self) -> int:
        """Generate, classify, print and write; return the exit status."""
        from audiate.folders.runner import check_outputs, replacing_outputs
        from audiate.models.generator import GeneratorModel
        from audiate.models.pretrained import load
        from audiate.phonetics.code_words import evaluate_codes
        from audiate.utils.devices import resolve_device

        settings = {"model": self.model, "seed": str(self.seed), "count": str(self.count)}
        names = ("codes.txt", "codes.csv", "codes-pairs.csv", "codes.json", FIGURE_NAME)
        check_outputs(self.out, "codes", names)
        model = load(self.model, GeneratorModel, device=resolve_device(self.device))
        words, classify, named = self._classifier(model)
        report = evaluate_codes(
            self.model,
            model,
            words,
            classify,
            named,
            count=self.count,
            judged=self.judged,
            seed=self.seed,
        )
        print(report.to_text())
        with replacing_outputs(self.out, "codes", settings, {}, names) as stage:
            stage.mkdir(parents=True, exist_ok=True)
            text, values = f"{report.to_text()}\n", f"{report.to_json()}\n"
            contents = (text, report.to_csv(), report.pairs_to_csv(), values)
            for name, content in zip(names, contents, strict=False):
                (stage / name).write_text(content, encoding="utf-8")
            report.save_figure(stage / FIGURE_NAME)
        print(f"figure: {self.out / FIGURE_NAME}")
        return 0

    def _classifier(self, model: GeneratorModel) -> tuple[tuple[str, ...], Classify | None, str]:
        """Return the words, a function that classifies sounds, and its name for the report."""
        from audiate.data.sources import DIGIT_WORDS
        from audiate.folders.invert import says_digits
        from audiate.models.hub import SPOKEN_CLASSIFIER
        from audiate.models.pretrained import load
        from audiate.models.resnet import DigitClassifier
        from audiate.phonetics.code_words import classify_by

        if self.data is not None:
            from audiate.data.sounds import list_sounds
            from audiate.phonetics.word_classifier import train_word_classifier

            listed = list_sounds(
                (str(self.data),), Path(), label_from=self.label_from, cut_words=self.cut_words
            )
            sounds = listed.read(num_samples=model.num_samples, sample_rate=model.sample_rate)
            own = train_word_classifier(sounds, self.seed)
            name = (
                f"a classifier of {self.data} ({100 * own.accuracy:.0f} % of held-out clips; "
                f"{100 * own.refused:.0f} % of noise, silence and cut words are refused)"
            )
            return own.names, classify_by(own, model.sample_rate), name
        chosen = self.listener or (SPOKEN_CLASSIFIER if says_digits(model) else "none")
        if chosen == "none":
            return (), None, "groups of like sounds"
        classifier = load(chosen, DigitClassifier).to(model.device)
        return DIGIT_WORDS, classify_by(classifier, model.sample_rate), chosen
