"""Words of the samples of each code of a generator, and of pairs of entries of the code."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.files import to_peak
from audiate.errors import InputError, check_range
from audiate.metrics.classification import confusion_matrix
from audiate.metrics.judges import in_dictionary, judge_clips
from audiate.metrics.reconstruction import classifier_input
from audiate.models.code_network import WordCodeNetwork, code_names
from audiate.models.generator import GeneratorModel, generate
from audiate.models.resnet import DigitClassifier
from audiate.phonetics.codes_report import CodesReport
from audiate.phonetics.word_classifier import NONE, WordClassifier
from audiate.training.discovery import LEAST_IN_GROUP, discover, sort_clips
from audiate.utils.batching import in_batches
from audiate.utils.progress import note

MOST_PAIRED = 16
"""Largest number of entries of a code whose pairs are tried out."""

_BATCH = 50

Classify = Callable[[Tensor], Tensor]
"""From waveforms (batch, channels, samples) of the generator to probabilities (batch, words)."""


def classify_by(classifier: DigitClassifier | WordClassifier, sample_rate: int) -> Classify:
    """Make a function that classifies waveforms at ``sample_rate``, in Hz, as digits or words."""

    def classify(waveforms: Tensor) -> Tensor:
        clips = classifier_input(waveforms, sample_rate, classifier)
        logits: Tensor = classifier(clips.to(classifier.device))
        return logits.softmax(1).cpu()

    return classify


@torch.inference_mode()
def evaluate_codes(
    name: str,
    model: GeneratorModel,
    words: Sequence[str],
    classify: Classify | None,
    classifier_name: str,
    *,
    count: int = 100,
    judged: int = 20,
    seed: int = 0,
) -> CodesReport:
    """Generate samples of every code, and classify them as words.

    Args:
        name: Name of the generator.
        model: A generator with codes.
        words: Names of the words that ``classify`` gives the probabilities of.
        classify: Classifies sounds as words; None to sort the samples into groups of like sounds,
            as many as codes, named A, B and so on.
        classifier_name: Its name, for the report.
        count: Number of samples for each code.
        judged: Largest number of them that pocketsphinx listens to.
        seed: Seed of the latents.

    Raises:
        InputError: The model has no codes.

    """
    code = model.code
    if not code.count:
        raise InputError(
            f"{name}: has no codes; ciwgan-digits has, and `audiate train coded-flow` trains more"
        )
    check_range("`count`", count, 1 if classify else LEAST_IN_GROUP, 10_000)
    source = torch.Generator().manual_seed(seed)
    meant = torch.arange(code.count).repeat_interleave(count)
    z = model.sample_latent(len(meant), generator=source, labels=meant).cpu()
    waveforms = _sounds(model, z)
    confident = classify is not None
    if classify is None:  # the groups have no words, and are 1 or 0
        judged = 0
        words, read, classify = _sorted_alike(model, waveforms, code.count, seed)
    else:
        read = in_batches(classify, waveforms, _BATCH, "classifying sounds")
    sure, size = read.amax(1).double(), max(code.count, len(words))
    counts = confusion_matrix(read.argmax(1), meant, size)[: code.count, : len(words)]
    return CodesReport(
        name,
        classifier_name,
        code_names(code),
        words,
        counts,
        _recovered(model, waveforms, meant.view(code.count, count)),
        _understood(waveforms, model.sample_rate, counts, words, judged),
        _pairs(model, classify, len(words), min(count, 20), seed),
        one_sound=code.size == model.latent_dim,
        confidence=sure.view(code.count, count).mean(1).tolist() if confident else None,
    )


def _recovered(model: GeneratorModel, waveforms: Tensor, meant: Tensor) -> list[float] | None:
    """The share of sounds of each code (codes, count) whose code the Q-network recovers, if any."""
    if model.code_network is None:
        return None
    codes = in_batches(model.codes_of, waveforms, _BATCH, "recovering codes", model.device)
    shares: list[float] = (codes.view_as(meant) == meant).double().mean(1).tolist()
    return shares


def _understood(
    waveforms: Tensor, sample_rate: int, counts: Tensor, words: Sequence[str], judged: int
) -> list[float | None] | None:
    """Compute the share of samples that pocketsphinx recognises as their code's most frequent word.

    Args:
        waveforms: (codes * samples of a code, channels, samples).
        sample_rate: Their sample rate, in Hz.
        counts: (codes, words): how often the classifier reads each word.
        words: The words.
        judged: Largest number of samples of each code.

    Returns:
        The share of each code, None where its word is not in the dictionary; None for all where
        there is no sample, the judges are not installed or know less than two words, of which the
        latter are noted.

    """
    if not judged:
        return None
    some = waveforms.view(len(counts), -1, *waveforms.shape[1:])[:, :judged]
    expected = [words[index] for index in counts.argmax(1).tolist()]
    said = [word for word in words if word != NONE]
    try:
        known = in_dictionary(said)
        if len(known) < 2:
            raise InputError(f"{', '.join(said)}: not in pocketsphinx's dictionary of English")
        found = judge_clips(some.flatten(0, 1), sample_rate, known, quality=0)
    except InputError as error:
        note(f"{error}; the column of pocketsphinx is left out")
        return None
    heard = np.array([each.word for each in found]).reshape(some.shape[:2])
    return [
        float((row == word.lower()).mean()) if word in known else None
        for row, word in zip(heard, expected, strict=True)
    ]


def _sounds(model: GeneratorModel, z: Tensor) -> Tensor:
    """Generate waveforms, on the CPU, of latents (count, latent_dim)."""
    return in_batches(partial(generate, model), z, _BATCH, "generating sounds", model.device)


def _pairs(
    model: GeneratorModel, classify: Classify, words: int, count: int, seed: int
) -> Tensor | None:
    """Count words (entries, entries, words) with two entries of the code at 1 and the others 0."""
    size = model.code.size
    if not 2 <= size <= MOST_PAIRED:
        return None
    z = model.sample_latent(count, generator=torch.Generator().manual_seed(seed)).cpu()
    z[:, :size] = 0
    both = [(one, other) for one in range(size) for other in range(one + 1)]
    rows = z.repeat(len(both), 1, 1)
    for row, entries in zip(rows, both, strict=True):
        row[:, list(entries)] = 1
    waveforms = _sounds(model, rows.flatten(0, 1))
    found = in_batches(classify, waveforms, _BATCH, "classifying sounds").argmax(1)
    table = torch.zeros(size, size, words, dtype=torch.int64)
    for (one, other), words_of in zip(both, torch.split(found, count), strict=True):
        table[one, other] = table[other, one] = torch.bincount(words_of, minlength=words)
    return table


def _sorted_alike(
    model: GeneratorModel, waveforms: Tensor, count: int, seed: int
) -> tuple[list[str], Tensor, Classify]:
    """Find groups of like sounds without labels: their names, those of the sounds, and a sorter.

    The last two give groups (n, groups): 1 for that of a sound, and 0 for the others.
    """
    with torch.inference_mode(mode=False):
        network = WordCodeNetwork(model.sample_rate, count)
        found = discover(
            network, to_peak(waveforms.clone()), count, seed, torch.zeros(len(waveforms)).long()
        )

        def classify(more: Tensor) -> Tensor:
            return F.one_hot(sort_clips(network, found.head, to_peak(more)), count)

        names = [_letters(number) for number in range(count)]
        return names, F.one_hot(found.groups, count), classify


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB and so on."""
    text = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        text = chr(ord("A") + place) + text
    return text
