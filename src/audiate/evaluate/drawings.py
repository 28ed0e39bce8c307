"""Drawing models scored: what LeNet-5 reads, and how the images compare with real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio import add_noise
from audiate.datasets.clips import LabelledRecordings, read_clips
from audiate.datasets.fsdd import load_fsdd, split_by_speaker
from audiate.datasets.mnist import LabelledImages, load_mnist
from audiate.datasets.pairs import PairedDigits, load_pairs
from audiate.datasets.speech_commands import load_validation_words
from audiate.errors import InputError
from audiate.evaluate.reports import (
    Diversity,
    DrawingReport,
    HearingReport,
    JudgeReport,
    Score,
)
from audiate.metrics import (
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    frechet_distance,
    neighbourhoods,
    pixel_spread,
)
from audiate.models import Drawer, LeNet, Provenance
from audiate.training.recipes import RECIPES, DrawingRecipe

NOISE_DB = (20, 10, 0)
"""Ratios of signal to noise, in dB, at which hearing is tested beside clean sound."""

_BATCH = 500
_DRAWINGS = 4  # of each recording, where hearing is tested


def recipe_of(provenance: Provenance, name: str) -> DrawingRecipe:
    """The recipe that a drawing model was trained by.

    Raises:
        InputError: It does not say, or this version does not know that recipe.

    """
    known = RECIPES.get(provenance.recipe)
    try:
        if isinstance(known, DrawingRecipe):
            return type(known)(**provenance.settings)
    except TypeError:
        pass  # settings of another version of the recipe
    raise InputError(
        f"{name}: does not say by which recipe it was trained, so its test recordings are not "
        f"known; evaluate a model that `audiate train` made"
    )


@torch.inference_mode()
def evaluate_drawings(name: str, model: Drawer, judge: LeNet, root: Path) -> DrawingReport:
    """Draw an image for each of the 10,000 test pairs; read them, and compare them with MNIST's.

    The test recordings are those that the model's own recipe left out of training.
    """
    recipe = recipe_of(model.provenance, name)
    pairs = _pairs_of(model, recipe, root)
    heard, labels = pairs.test.heard, pairs.test_labels
    spectrograms = model.features.many(pairs.test.recordings)
    generator = torch.Generator().manual_seed(recipe.seed)
    # The best image is the same for all pairs of a recording.
    best = judge(model.mean_images(spectrograms)).argmax(1)[heard]
    images = torch.cat(
        [
            model.sample_images(spectrograms[index], 1, generator=generator)[:, 0]
            for index in torch.split(heard, _BATCH)
        ]
    )
    real = LabelledImages(pairs.test.images, labels)
    speaker = recipe.held_out_speaker
    return DrawingReport(
        model=name,
        test=f"speaker {speaker}" if speaker else f"split {recipe.seed}",
        mean=score_of(best, labels, heard),
        sampled=score_of(_read(judge, images), labels, heard),
        diversity=diversity(judge, real, images, labels),
        diversity_per_digit=_per_digit(judge, real, images, labels),
        n=len(heard),
        recordings=len(torch.unique(heard)),
    )


@torch.inference_mode()
def examples(name: str, model: Drawer, root: Path, count: int) -> Tensor:
    """Drawings (count, 10, 28, 28) of the digits 0 to 9, each of one test recording."""
    recipe = recipe_of(model.provenance, name)
    pairs = _pairs_of(model, recipe, root)
    firsts = [int((pairs.test_labels == digit).nonzero()[0]) for digit in range(10)]
    heard = [pairs.test.recordings[index] for index in pairs.test.heard[firsts].tolist()]
    generator = torch.Generator().manual_seed(recipe.seed)
    spectrograms = model.features.many(heard)
    return model.sample_images(spectrograms, count, generator=generator).transpose(0, 1)


@torch.inference_mode()
def diversity(judge: LeNet, real: LabelledImages, images: Tensor, labels: Tensor) -> Diversity:
    """Compare images (count, 28, 28) in [0, 1] of digits ``labels`` (count,) with real ones."""
    truth = _embed(judge, real.images.float() / 255)
    drawn = _embed(judge, images)
    near = neighbourhoods(truth, drawn)
    return Diversity(
        frechet_distance=frechet_distance(truth, drawn),
        precision=near.precision,
        recall=near.recall,
        density=near.density,
        coverage=near.coverage,
        pixel_spread=pixel_spread(images, labels),
    )


def _pairs_of(model: Drawer, recipe: DrawingRecipe, root: Path) -> PairedDigits:
    """The pairs whose test recordings a model's training left out."""
    return load_pairs(
        root,
        sample_rate=model.features.config.sample_rate,
        seed=recipe.seed,
        held_out_speaker=recipe.held_out_speaker,
    )


def _per_digit(
    judge: LeNet, real: LabelledImages, images: Tensor, labels: Tensor
) -> list[Diversity]:
    each = []
    for digit in range(10):
        its_own = real.labels == digit
        truth = LabelledImages(real.images[its_own], real.labels[its_own])
        each.append(diversity(judge, truth, images[labels == digit], labels[labels == digit]))
    return each


def ceiling(judge: LeNet, root: Path) -> tuple[Diversity, list[Diversity]]:
    """As many MNIST train images as there are test images, measured alike; then, of each digit."""
    train, test = load_mnist(root, "train"), load_mnist(root, "test")
    order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(0))
    some = order[: len(test.labels)]
    overall = diversity(judge, test, train.images[some].float() / 255, train.labels[some])
    counts = torch.bincount(test.labels, minlength=10).tolist()
    alike = torch.cat(
        [order[train.labels[order] == digit][:count] for digit, count in enumerate(counts)]
    )
    images = train.images[alike].float() / 255
    return overall, _per_digit(judge, test, images, train.labels[alike])


def evaluate_hearing(
    name: str, model: Drawer, judge: LeNet, test: str, words: LabelledRecordings
) -> HearingReport:
    """Draw recordings, clean and with white noise, and read the drawings.

    Args:
        name: The model's.
        model: The model.
        judge: The LeNet-5 that reads.
        test: What the recordings are, for people.
        words: The recordings, at the model's sample rate, and their digits.

    """
    conditions: dict[str, Sequence[Tensor]] = {"clean": words.recordings}
    for ratio in NOISE_DB:
        generator = torch.Generator().manual_seed(ratio)
        conditions[f"{ratio} dB"] = [
            add_noise(recording, ratio, generator=generator) for recording in words.recordings
        ]
    mean, sampled = {}, {}
    for condition, recordings in conditions.items():
        mean[condition], sampled[condition] = _hear(model, judge, recordings, words.labels)
    counts = torch.bincount(words.labels, minlength=10).tolist()
    return HearingReport(name, test, counts, mean, sampled)


@torch.inference_mode()
def _hear(
    model: Drawer, judge: LeNet, recordings: Sequence[Tensor], labels: Tensor
) -> tuple[Score, Score]:
    """Scores of the best and of sampled images."""
    spectrograms = model.features.many(recordings)
    generator = torch.Generator().manual_seed(0)
    drawn = [
        model.sample_images(part, _DRAWINGS, generator=generator).flatten(0, 1)
        for part in torch.split(spectrograms, _BATCH // _DRAWINGS)
    ]
    best = [model.mean_images(part) for part in torch.split(spectrograms, _BATCH)]
    groups = torch.arange(len(labels))
    return (
        score_of(_read(judge, torch.cat(best)), labels, groups),
        score_of(
            _read(judge, torch.cat(drawn)),
            labels.repeat_interleave(_DRAWINGS),
            groups.repeat_interleave(_DRAWINGS),
        ),
    )


def speaker_words(model: Drawer, speaker: str, root: Path) -> LabelledRecordings:
    """All recordings of a speaker of FSDD, at the model's sample rate."""
    _, clips = split_by_speaker(load_fsdd(root), speaker)
    return read_clips(clips, model.features.config.sample_rate)


def evaluate_voices(name: str, model: Drawer, judge: LeNet, root: Path) -> HearingReport:
    """Draw and read the Speech Commands validation clips."""
    words = load_validation_words(root, model.features.config.sample_rate)
    return evaluate_hearing(name, model, judge, "Speech Commands validation clips", words)


@torch.inference_mode()
def evaluate_judge(name: str, model: LeNet, root: Path) -> JudgeReport:
    """LeNet-5's accuracy on the 10,000 MNIST test images."""
    images, labels = load_mnist(root, "test")
    read = _read(model, images.float() / 255)
    return JudgeReport(name, score_of(read, labels, torch.arange(len(labels))), len(labels))


def _read(judge: LeNet, images: Tensor) -> Tensor:
    return torch.cat([judge(batch).argmax(1) for batch in torch.split(images, _BATCH)])


def _embed(judge: LeNet, images: Tensor) -> Tensor:
    return torch.cat([judge.embed(batch) for batch in torch.split(images, _BATCH)])


def score_of(predictions: Tensor, labels: Tensor, groups: Tensor) -> Score:
    """Accuracy of predictions of ``labels``, all (count,); the interval resamples ``groups``."""
    confusion = confusion_matrix(predictions, labels)
    return Score(
        accuracy=accuracy(predictions, labels),
        interval=bootstrap_interval(predictions == labels, groups),
        per_digit=[
            row[digit].item() / total if (total := int(row.sum())) else None
            for digit, row in enumerate(confusion)
        ],
        confusion=confusion.tolist(),
    )
