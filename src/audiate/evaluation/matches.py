"""Retrieval, correspondence and linear probes of models that match sounds and images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor, nn

from audiate.data.digits import (
    LabelledRecordings,
    load_mnist,
    load_validation_words,
    numbers_of_speakers,
)
from audiate.data.pairs import list_pairs
from audiate.evaluation.trained import recipe_of
from audiate.folders.match import Scores, score_all
from audiate.metrics.classification import bootstrap_interval, in_percent
from audiate.models.dual_encoder import DualEncoder
from audiate.training.recipes.paired import MatchRecipe
from audiate.utils.batching import in_batches
from audiate.utils.progress import working
from audiate.utils.reports import Report, make_table, percent

_IMAGES = 1_000  # out of which an image is to be found
_PROBED = 10_000  # images that a linear probe is fitted to
_DECAY = 1e-3  # of a linear probe's weights


@dataclass(frozen=True)
class Retrieval:
    """Retrieval by class: an image of the same digit is right.

    Attributes:
        sounds: Number of sounds.
        images: Number of images.
        image_at_1: Share of the sounds whose best image shows the digit that is said.
        image_at_1_interval: Its 95 % bootstrap interval: over speakers of voices never heard, over
            recordings otherwise.
        image_at_1_by_digit: The same share for the sounds of each digit, averaged over digits.
        image_at_1_by_digit_interval: Its 95 % bootstrap interval.
        image_at_10: Share of the ten best images that do so.
        sound_at_1: Share of the images of whose digit the best sound is.
        sound_at_10: Share of the ten best sounds that are.
        correspondence: Share of pairs that are classified right, half of them of one digit, half
            drawn at random, of which a tenth is of one digit as well: 0.95 is the best that can be.
        correspondence_of_others: The same, where the other half is of different digits.

    """

    sounds: int
    images: int
    image_at_1: float
    image_at_1_interval: tuple[float, float]
    image_at_1_by_digit: float
    image_at_1_by_digit_interval: tuple[float, float]
    image_at_10: float
    sound_at_1: float
    sound_at_10: float
    correspondence: float
    correspondence_of_others: float


@dataclass(frozen=True)
class MatchReport(Report):
    """Scores of a model that matches sounds and images.

    Attributes:
        model: Name of the model.
        tests: Retrieval, by the name of the test.
        linear_probes: Accuracy of linear classifiers on the vectors, by what they classify.
        linear_probe_intervals: Their 95 % bootstrap intervals, likewise.

    """

    model: str
    tests: dict[str, Retrieval]
    linear_probes: dict[str, float]
    linear_probe_intervals: dict[str, tuple[float, float]]

    def parts(self) -> Iterator[Table | str]:
        """Return tables of retrieval, correspondence and linear probes."""
        table = make_table(
            f"{self.model}: retrieval and correspondence (%), by class",
            *("test", "sounds", "images", "sound → image, at 1", "mean of digits", "at 10"),
            *("image → sound, at 1", "at 10", "corre- spondence", "of other digits"),
        )
        for name, each in self.tests.items():
            others = (
                *(each.image_at_10, each.sound_at_1, each.sound_at_10),
                *(each.correspondence, each.correspondence_of_others),
            )
            table.add_row(
                *(name, f"{each.sounds:,}", f"{each.images:,}"),
                in_percent(each.image_at_1, each.image_at_1_interval, 1),
                in_percent(each.image_at_1_by_digit, each.image_at_1_by_digit_interval, 1),
                *map(percent, others),
            )
        yield table
        probes = make_table("Linear classifiers on the vectors", "test", "accuracy %")
        for name, share in self.linear_probes.items():
            probes.add_row(name, in_percent(share, self.linear_probe_intervals[name]))
        yield probes
        yield (
            "An image or sound that is found is right if it is of the same digit: within a digit, "
            "sounds and images are paired at random, so no single one is the right one. "
            "Correspondence is the share of pairs that are classified right, half of which belong "
            "together. The others are drawn at random, so a tenth of them is of one digit, too, "
            "and 95 % is the best that can be; in the last column, they are of other digits. "
            "Brackets hold 95 % bootstrap intervals: over speakers of voices never heard, which "
            "are the validation clips for reports, and over items otherwise."
        )


def evaluate_matches(name: str, model: DualEncoder, root: Path) -> MatchReport:
    """Retrieve MNIST's test images by held-out sounds, and the other way round.

    Args:
        name: Name of the model, for the report.
        model: The model, which names its recipe and thereby the held-out recordings.
        root: Data folder.

    Raises:
        InputError: The data is missing, or the recipe is not known.

    """
    recipe = recipe_of(model, name, MatchRecipe)
    rate = model.features.config.sample_rate
    with working("reading pairs and validation clips"):
        test, train = load_mnist(root, "test"), load_mnist(root, "train")
        listed = list_pairs(root, speech_commands=recipe.speech_commands)
        pairs = listed.read(
            sample_rate=rate, seed=recipe.seed, held_out_speaker=recipe.held_out_speaker
        )
        words = load_validation_words(root, rate, "reports")
    known = LabelledRecordings(
        pairs.test.recordings,
        torch.tensor([clip.label for clip in pairs.test_clips]),
        numbers_of_speakers(pairs.test_clips),
    )

    def embed(network: Callable[[Tensor], Tensor], items: Tensor) -> Tensor:
        return in_batches(network, items, 500, "embedding", model.device)

    images = test.images.float() / 255
    retrieval, vectors = {}, {}
    # The speakers of test recordings were trained on, so recordings are what chance chose there.
    tests = {
        "test recordings": (known, torch.arange(len(known.labels))),
        "voices never heard": (words, words.voices),
    }
    for label, (recordings, groups) in tests.items():
        spectrograms = model.features.many(recordings.recordings)
        scores = score_all(model, spectrograms, images[:_IMAGES])
        retrieval[label] = retrieve(scores, recordings.labels, test.labels[:_IMAGES], groups)
        vectors[label] = embed(model.embed_sounds, spectrograms)
    # Digits of train recordings are known by the images that are paired with them.
    labels = torch.zeros(len(pairs.train.recordings), dtype=torch.int64)
    labels[pairs.train.heard] = train.labels
    used = torch.unique(pairs.train.heard)
    spoken = model.features.many([pairs.train.recordings[i] for i in used.tolist()])
    sounds = fit_probe(embed(model.embed_sounds, spoken), labels[used])
    written = embed(model.embed_images, train.images[:_PROBED].float() / 255)
    pictures = fit_probe(written, train.labels[:_PROBED])
    found = pictures(embed(model.embed_images, images))
    probed = {"MNIST test images": (found == test.labels, torch.arange(len(found)))}
    for label, (recordings, groups) in tests.items():
        probed[label] = sounds(vectors[label]) == recordings.labels, groups
    probes = {label: right.double().mean().item() for label, (right, _) in probed.items()}
    intervals = {label: bootstrap_interval(*each) for label, each in probed.items()}
    return MatchReport(name, retrieval, probes, intervals)


def retrieve(
    found: Scores, spoken: Tensor, written: Tensor, groups: Tensor | None = None
) -> Retrieval:
    """Score what is found by scores of all pairs.

    Args:
        found: As `audiate.folders.match.score_all` gives them.
        spoken: Digits (sounds,).
        written: Digits (images,).
        groups: Groups (sounds,) that the intervals resample. By default, each sound is one.

    """
    scores, same = found.scores, spoken.unsqueeze(1) == written
    best = same.gather(1, scores.topk(10, 1).indices).double()
    best_sounds = same.gather(0, found.calibrated_scores.topk(10, 0).indices).double()
    groups = torch.arange(len(spoken)) if groups is None else groups
    of_digits = [best[spoken == digit, 0].mean() for digit in torch.unique(spoken)]
    # Half of the pairs are of one digit; digits weigh alike, however many recordings they have.
    weights = 1.0 / torch.bincount(spoken, minlength=10).clamp_min(1)[spoken].double().unsqueeze(1)
    weights = weights.expand_as(scores)
    matched = scores > 0
    right = _share(matched[same], weights[same])
    others = _share(~matched[~same], weights[~same])
    return Retrieval(
        sounds=len(spoken),
        images=len(written),
        image_at_1=best[:, 0].mean().item(),
        image_at_1_interval=bootstrap_interval(best[:, 0] > 0, groups),
        image_at_1_by_digit=torch.stack(of_digits).mean().item(),
        image_at_1_by_digit_interval=bootstrap_interval(best[:, 0] > 0, groups, labels=spoken),
        image_at_10=best.mean().item(),
        sound_at_1=best_sounds[0].mean().item(),
        sound_at_10=best_sounds.mean().item(),
        correspondence=(right + _share(~matched, weights)) / 2,
        correspondence_of_others=(right + others) / 2,
    )


def _share(right: Tensor, weights: Tensor) -> float:
    return ((right * weights).sum() / weights.sum()).item()


def fit_probe(vectors: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """Fit a linear classifier by logistic regression.

    Args:
        vectors: (count, dim).
        labels: (count,), int64.

    Returns:
        A function from vectors (batch, dim) to labels (batch,).

    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        inputs = vectors.clone()
        layer = nn.Linear(inputs.shape[1], int(labels.max()) + 1)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        search = torch.optim.LBFGS(layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            search.zero_grad()
            found = nn.functional.cross_entropy(layer(inputs), labels)
            total: Tensor = found + _DECAY * layer.weight.square().mean()
            total.backward()  # type: ignore[no-untyped-call]
            return total

        search.step(loss)  # type: ignore[no-untyped-call]
    return lambda vectors: layer(vectors).argmax(1)
