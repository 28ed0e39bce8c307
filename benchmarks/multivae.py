"""Joint models of sound and image on the same pairs, for the same minutes, by other judges.

    AUDIATE_DATA=data python -m benchmarks.multivae --minutes 5 --count 300

Every model is trained on the train pairs of split 0 for so many
minutes of processor time, all its parts counted. The codec, whose latents all of them know sounds
by and speak through, was trained before, and is the same for all. Each makes one sample of
nothing, of every test sound and of every test image; none chooses among candidates.

No model has used a judge: LeNet-5 reads images, pocketsphinx hears sounds, DNSMOS scores their
quality. Fréchet distance and coverage are those of LeNet-5's features, against 1,000 test images,
and of `digits-resnet18`'s, against the test recordings.

The models of the package need `pip install multivae`, in an environment of its own; the others run
without it (`--only real lookup joint-flow audiate`). A row that is finished is kept in `--out`, so
an interrupted run goes on where it stopped. `--tune` scores pairs that are held out of the train
pairs of another split, by which settings may be chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from audiate.audio.config import LogMelConfig
from audiate.data.digits import load_mnist
from audiate.data.pairs import Pairs, draw_same_label, load_pairs
from audiate.data.sources import DIGIT_WORDS, data_root
from audiate.errors import InputError
from audiate.metrics.classification import wilson_interval
from audiate.metrics.distribution import frechet_distance, neighbourhoods
from audiate.metrics.judges import (
    SpeechQuality,
    WordRecognizer,
    require_judges,
    same_second,
    trimmed,
)
from audiate.metrics.reconstruction import classifier_input
from audiate.models.audio_to_image import Posterior
from audiate.models.hub import SPOKEN_CLASSIFIER, WRITTEN_CLASSIFIER
from audiate.models.lenet import LeNet
from audiate.models.pretrained import load
from audiate.models.resnet import DigitClassifier
from audiate.utils.progress import tracked
from audiate.utils.reports import make_table, render
from benchmarks.joint_flow import joint_flow
from benchmarks.joint_models import Made, Make, Material, Voice, lookup, ours, real
from benchmarks.joint_vaes import of_package

PACKAGE = "MVAE", "MMVAE", "MoPoE", "MVTCAE", "MMVAEPlus", "JNF"
MODELS: dict[str, Make] = {
    "real": real,
    "lookup": lookup,
    **{name: of_package(name) for name in PACKAGE},
    "joint-flow": joint_flow,
    "audiate": ours,
}
"""What makes each row, by its name."""

HELD_OUT = 10_000  # train images by which settings are chosen
TUNED = 10  # the split of the recordings, likewise
REFERENCES = 1_000  # test images
SCORED = 50  # sounds whose quality DNSMOS scores


def pairs_at(sample_rate: int, *, tune: bool) -> tuple[Pairs, Pairs, Tensor]:
    """Train pairs, test pairs and digits of the test pairs; all of the train images if ``tune``."""
    root = data_root(None)
    pairs = load_pairs(root, sample_rate=sample_rate, seed=TUNED if tune else 0)
    train, test = pairs.train, pairs.test
    if not tune:
        return train, test, pairs.test_labels
    labels = load_mnist(root, "train").labels[-HELD_OUT:]
    said = torch.tensor([clip.label for clip in pairs.test_clips])
    heard = draw_same_label(labels, said, torch.Generator().manual_seed(0))
    test = replace(test, images=train.images[-HELD_OUT:], heard=heard)
    train = replace(train, images=train.images[:-HELD_OUT], heard=train.heard[:-HELD_OUT])
    return train, test, labels


def materials(voice: Voice, *, tune: bool) -> tuple[Material, Material, Tensor]:
    """Train and test pairs with the codec's latents, scaled by those of train recordings."""
    *pairs, labels = pairs_at(voice.sample_rate, tune=tune)
    *ours, _ = pairs_at(LogMelConfig.sample_rate, tune=tune)
    found = [voice.encode(each.recordings) for each in pairs]
    voice.scale.measure(found[0])
    train, test = (
        Material(one, other, *_scaled(voice, posterior))
        for one, other, posterior in zip(pairs, ours, found, strict=True)
    )
    return train, test, labels


def _scaled(voice: Voice, posterior: Posterior) -> tuple[Tensor, Tensor]:
    """Mean and deviation (recordings, 512) of scaled latents."""
    zero = voice.scale.flatten(torch.zeros_like(posterior.mu))
    deviation = voice.scale.flatten((0.5 * posterior.logvar).exp()) - zero
    return voice.scale.flatten(posterior.mu), deviation


def first(material: Material, count: int) -> Material:
    """The first pairs of some, with all their recordings."""
    pairs, ours = (
        replace(each, images=each.images[:count], heard=each.heard[:count])
        for each in (material.pairs, material.heard_by_ours)
    )
    return replace(material, pairs=pairs, heard_by_ours=ours)


class Judges:
    """What reads images and hears sounds, and the test material that variety is measured by."""

    def __init__(self, voice: Voice, test: Material) -> None:
        require_judges()
        self.rate = voice.sample_rate
        self.lenet = load(WRITTEN_CLASSIFIER, LeNet)
        self.classifier = load(SPOKEN_CLASSIFIER, DigitClassifier)
        self.recognizer, self.quality = WordRecognizer(DIGIT_WORDS), SpeechQuality()
        self.images = self.lenet.embed(first(test, REFERENCES).images)
        self.sounds = self.embed(voice.decode(test.mean))

    def embed(self, waveforms: Tensor) -> Tensor:
        """Features (count, dim) of waveforms (count, 1, samples)."""
        clips = classifier_input(waveforms, self.rate, self.classifier)
        return torch.cat([self.classifier.embed(part) for part in torch.split(clips, 50)])

    def read(self, images: Tensor) -> list[int]:
        """Digits of images (count, 28, 28)."""
        found: list[int] = self.lenet(images).argmax(1).tolist()
        return found

    def hear(self, waveforms: Tensor) -> list[int]:
        """Digits of waveforms (count, 1, samples); -1 where no digit is recognised."""
        numbers = {word: number for number, word in enumerate(DIGIT_WORDS)}
        words = (trimmed(each[0], self.rate) for each in tracked(list(waveforms), "hearing sounds"))
        return [numbers.get(self.recognizer(each), -1) if len(each) else -1 for each in words]

    def scores(self, made: Made, labels: Tensor) -> dict[str, Any]:
        """What the judges make of each sample, and the variety of the imagined ones."""
        features = self.lenet.embed(made.images), self.embed(made.sounds)
        variety = {
            what: [frechet_distance(own, other), neighbourhoods(own, other).coverage]
            for what, own, other in zip(
                ("images", "sounds"), (self.images, self.sounds), features, strict=True
            )
        }
        clips = (same_second(each[0], self.rate) for each in made.said[:SCORED])
        signal = [self.quality(clip) for clip in clips if bool(clip.any())]
        return {
            "minutes": made.minutes,
            "read": self.read(made.images),
            "heard": self.hear(made.sounds),
            "drawn": self.read(made.drawn),
            "said": self.hear(made.said),
            "digits": labels.tolist(),
            "signal": sum(signal) / max(len(signal), 1),
            **variety,
        }


def row(name: str, kept: dict[str, Any]) -> list[str]:
    """The cells of a model's row."""

    def alike(one: str, other: str) -> str:
        pairs = list(zip(kept[one], kept[other], strict=True))
        right = sum(a == b for a, b in pairs)
        low, high = wilson_interval(right, len(pairs))
        return f"{100 * right / len(pairs):.0f} [{100 * low:.0f}, {100 * high:.0f}]"

    cells = [alike("read", "heard"), alike("drawn", "digits"), alike("said", "digits")]
    variety = [
        cell
        for what in ("images", "sounds")
        for cell in (f"{kept[what][0]:.1f}", f"{kept[what][1]:.2f}")
    ]
    return [name, f"{kept['minutes']:.1f}", *cells, f"{kept['signal']:.2f}", *variety]


def table_of(names: Sequence[str], minutes: float, count: int, folder: Path) -> Table:
    """The table of the rows that are kept in a folder."""
    table = make_table(
        f"{count} test pairs; {minutes:g} minutes of processor time each",
        *("model", "minutes", "imagined pair alike %", "sound → image %", "image → sound %"),
        *("signal", "images: Fréchet", "coverage", "sounds: Fréchet", "coverage"),
    )
    for name in names:
        table.add_row(*row(name, json.loads((folder / f"{name}.json").read_text())))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of processor time, each")
    parser.add_argument("--count", type=int, default=500, help="of test pairs")
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), metavar="NAME")
    parser.add_argument("--tune", action="store_true", help="score pairs that choose settings")
    parser.add_argument("--out", type=Path, default=Path("out/multivae"))
    settings = parser.parse_args()
    what = f"{settings.minutes:g}-minutes-{settings.count}{'-tune' * settings.tune}"
    folder: Path = settings.out / what
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in settings.only if not (folder / f"{name}.json").exists()]
    if missing:
        torch.set_num_threads(1)  # so that processor time is time
        voice = Voice()
        train, whole, labels = materials(voice, tune=settings.tune)
        test, labels = first(whole, settings.count), labels[: settings.count]
        with torch.inference_mode():
            judges = Judges(voice, whole)
    for name in missing:
        print(f"{name} ...", file=sys.stderr)
        try:
            made = MODELS[name](train, test, voice, settings.minutes)
        except InputError as error:
            raise SystemExit(str(error)) from error
        with torch.inference_mode():
            kept = judges.scores(made, labels)
        (folder / f"{name}.json").write_text(json.dumps(kept))
        print(*row(name, kept), sep=" | ", file=sys.stderr)
    print(render(table_of(settings.only, settings.minutes, settings.count, folder)))


if __name__ == "__main__":
    main()
