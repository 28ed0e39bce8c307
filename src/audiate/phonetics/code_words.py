"""What the codes of a generator stand for: which words come out, how often, and together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from audiate.audio.files import to_peak
from audiate.errors import InputError, check_range
from audiate.metrics.reconstruction import classifier_input
from audiate.models.code_network import WordCodeNetwork, code_names
from audiate.models.generator import AudioGAN, generate
from audiate.models.resnet import DigitClassifier
from audiate.phonetics.codes_report import CodesReport
from audiate.phonetics.word_classifier import WordClassifier, hear
from audiate.training.discovery import LEAST_IN_GROUP, discover, sort_clips
from audiate.utils.progress import tracked

MOST_PAIRED = 16
"""Largest number of entries of a code whose pairs are tried out."""

_BATCH = 50

SpeechModel = Callable[[Tensor], Tensor]
"""From waveforms (batch, channels, samples) of the generator to the numbers (batch,) of words."""


def digit_listener(classifier: DigitClassifier, sample_rate: int) -> SpeechModel:
    """A listener that tells spoken digits in waveforms at ``sample_rate``, in Hz."""

    def listen(waveforms: Tensor) -> Tensor:
        clips = classifier_input(waveforms, sample_rate, classifier)
        logits: Tensor = classifier(clips.to(classifier.device))
        return logits.argmax(1).cpu()

    return listen


def word_listener(listener: WordClassifier, sample_rate: int) -> SpeechModel:
    """A listener that tells a user's own words in waveforms at ``sample_rate``, in Hz."""
    return lambda waveforms: hear(listener, waveforms, sample_rate)


@torch.inference_mode()
def evaluate_codes(
    name: str,
    model: AudioGAN,
    words: Sequence[str],
    listener: SpeechModel | None,
    listener_name: str,
    *,
    count: int = 100,
    seed: int = 0,
) -> CodesReport:
    """Generate samples of every code, and tell which words they are.

    Args:
        name: Name of the generator, for the report.
        model: A generator with codes.
        words: Names of the words that the listener tells apart.
        listener: Tells the words; None to sort the samples into as many groups of like sounds as
            there are codes, which are named A, B and so on.
        listener_name: Its name, for the report.
        count: Number of samples for each code.
        seed: Seed of the latents.

    Raises:
        InputError: The model has no codes.

    """
    code = model.config.code
    if not code.count:
        raise InputError(
            f"{name}: has no codes; `audiate train ciwgan` and `audiate train fiwgan` train "
            f"generators with codes"
        )
    check_range("`count`", count, 1 if listener else LEAST_IN_GROUP, 10_000)
    source = torch.Generator().manual_seed(seed)
    meant = torch.arange(code.count).repeat_interleave(count)
    z = model.sample_latent(len(meant), generator=source, labels=meant).cpu()
    waveforms = _sounds(model, z)
    if listener is None:
        words = [_letters(number) for number in range(code.count)]
        heard, listener = _sorted_alike(model, waveforms, code.count, seed)
    else:
        heard = torch.cat([listener(part) for part in torch.split(waveforms, _BATCH)])
    counts = torch.bincount(meant * len(words) + heard, minlength=code.count * len(words))
    recovered = None
    if model.code_network is not None:
        parts = torch.split(waveforms, _BATCH)
        read = torch.cat([model.codes_of(part.to(model.device)).cpu() for part in parts])
        recovered = (read == meant).double().view(code.count, count).mean(1).tolist()
    pairs = _pairs(model, listener, len(words), min(count, 20), seed)
    return CodesReport(
        name,
        listener_name,
        code_names(code),
        words,
        counts.view(code.count, len(words)),
        recovered,
        pairs,
        one_sound=code.size == model.config.latent_dim,
    )


def _sounds(model: AudioGAN, z: Tensor) -> Tensor:
    """Waveforms of latents (count, latent_dim), on the CPU."""
    parts = torch.split(z, _BATCH)
    sizes = [len(part) for part in parts]
    found = [
        generate(model, part.to(model.device)).cpu()
        for part in tracked(parts, "generating sounds", weights=sizes)
    ]
    return torch.cat(found)


def _pairs(
    model: AudioGAN, listener: SpeechModel, words: int, count: int, seed: int
) -> Tensor | None:
    """Counts (entries, entries, words) with two entries of the code at 1 and the others 0."""
    size = model.config.code.size
    if not 2 <= size <= MOST_PAIRED:
        return None
    z = model.sample_latent(count, generator=torch.Generator().manual_seed(seed)).cpu()
    z[:, :size] = 0
    both = [(one, other) for one in range(size) for other in range(one + 1)]
    rows = []
    for entries in both:
        row = z.clone()
        row[:, list(entries)] = 1
        rows.append(row)
    waveforms = _sounds(model, torch.cat(rows))
    heard = torch.cat([listener(part) for part in torch.split(waveforms, _BATCH)])
    table = torch.zeros(size, size, words, dtype=torch.int64)
    for (one, other), words_of in zip(both, torch.split(heard, count), strict=True):
        table[one, other] = table[other, one] = torch.bincount(words_of, minlength=words)
    return table


def _sorted_alike(
    model: AudioGAN, waveforms: Tensor, count: int, seed: int
) -> tuple[Tensor, SpeechModel]:
    """Groups (n,) of like sounds, which no label tells, and what sorts more sounds into them."""
    config = model.config
    with torch.inference_mode(mode=False):
        network = WordCodeNetwork(config)
        found = discover(
            network, to_peak(waveforms.clone()), count, seed, torch.zeros(len(waveforms)).long()
        )
        return found.groups, lambda more: sort_clips(network, found.head, to_peak(more))


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB and so on."""
    text = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        text = chr(ord("A") + place) + text
    return text
