"""What the codes of a generator stand for: which words come out, how often, and together."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table
from torch import Tensor

from audiate.audio import to_peak
from audiate.errors import InputError, check_range
from audiate.evaluation.report import dump, make_table, render, save_figure
from audiate.models import AudioGAN, DigitClassifier
from audiate.models.codes import WordCodeNetwork, code_names
from audiate.models.generator import generate
from audiate.progress import tracked
from audiate.scores import classifier_input
from audiate.training.discovery import discover
from audiate.training.listening import WordListener, hear

PURE = 0.9
"""Share of a code's samples that must be one word for the code to stand for it."""

MOST_PAIRED = 16
"""Largest number of entries of a code whose pairs are tried out."""

_BATCH = 50

Listener = Callable[[Tensor], Tensor]
"""From waveforms (batch, channels, samples) of the generator to the numbers (batch,) of words."""


@dataclass(frozen=True)
class CodesReport:
    """What the codes of a generator stand for.

    Attributes:
        model: Name of the generator.
        listener: What tells the words, for people.
        codes: Names of the codes.
        words: Names of the words.
        counts: (codes, words): how often each word came out for each code.
        recovered: Share (codes,) of each code's samples that the Q-network hears as that code; None
            where the model was kept without it.
        pairs: For each two entries of the code, both of which are 1: the most frequent word and its
            share. Empty where there are too many entries.

    """

    model: str
    listener: str
    codes: Sequence[str]
    words: Sequence[str]
    counts: Tensor
    recovered: Sequence[float] | None
    pairs: Sequence[Sequence[tuple[str, float]]]

    @property
    def shares(self) -> Tensor:
        """Share (codes, words) of each code's samples that are each word."""
        return self.counts.double() / self.counts.sum(1, keepdim=True).clamp_min(1)

    @property
    def pure(self) -> int:
        """Number of codes whose samples are one word in nine cases of ten."""
        return int((self.shares.amax(1) >= PURE).sum())

    @property
    def information(self) -> float:
        """What a code tells of the word, in bits: their mutual information in the samples."""
        joint = self.counts.double() / self.counts.sum()
        apart = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
        return float(torch.where(joint > 0, joint * (joint / apart).log2(), 0.0).sum())

    def to_json(self) -> str:
        """Return all values."""
        return dump(
            {
                "model": self.model,
                "listener": self.listener,
                "codes": list(self.codes),
                "words": list(self.words),
                "counts": self.counts.tolist(),
                "pure_codes": self.pure,
                "distinct_words": self._distinct(),
                "mutual_information_bits": self.information,
                "recovered": self.recovered,
                "pairs": [[list(cell) for cell in row] for row in self.pairs],
            }
        )

    def _distinct(self) -> int:
        shares = self.shares
        return len(set(shares.argmax(1)[shares.amax(1) >= PURE].tolist()))

    def to_text(self) -> str:
        """Return the two-way table, what it adds up to, and the table of pairs."""
        per_code = int(self.counts.sum(1).max())
        table = make_table(
            f"{self.model}: words (%) of {per_code} samples for each code, by {self.listener}",
            *("code", "word", *self.words),
        )
        if self.recovered is not None:
            table.add_column("Q recovers", justify="right")
        for number, share in enumerate(self.shares):
            cells = [f"{100 * value:.0f}" if value >= 0.005 else "·" for value in share.tolist()]
            word = self.words[int(share.argmax())] if share.max() >= PURE else "-"
            q = [] if self.recovered is None else [f"{100 * self.recovered[number]:.1f}"]
            table.add_row(self.codes[number], word, *cells, *q)
        back = self.counts.double() / self.counts.sum(0).clamp_min(1)
        cells = [f"{self.codes[int(c.argmax())]}: {100 * c.max():.0f}" for c in back.T]
        table.add_row("share of the word that is of", "", *cells)
        note = (
            f"{self.pure} of {len(self.codes)} codes are one word in {100 * PURE:.0f} % of the "
            f"samples or more; these are {self._distinct()} different words. A code tells "
            f"{self.information:.2f} bits of the word. The last row tells for each word which code "
            f"it most often comes from."
        )
        if self.recovered is not None:
            mean = sum(self.recovered) / len(self.recovered)
            note += f" The Q-network recovers the code of {100 * mean:.1f} % of the samples."
        parts: list[Table | str] = [table, note]
        if self.pairs:
            pairs = make_table(
                "Two entries of the code at 1 together: the most frequent word, and its share (%)",
                *("", *map(str, range(len(self.pairs)))),
            )
            for number, row in enumerate(self.pairs):
                pairs.add_row(str(number), *(f"{word} {100 * share:.0f}" for word, share in row))
            parts.append(pairs)
        return render(*parts)

    def to_csv(self) -> str:
        """Return the counts: a row for each code, a column for each word."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["code", *self.words])
        for code, counts in zip(self.codes, self.counts.tolist(), strict=True):
            rows.writerow([code, *counts])
        return text.getvalue()

    def save_figure(self, path: Path) -> None:
        """Draw the two-way table as a PNG file.

        Raises:
            InputError: The file cannot be written.

        """
        from matplotlib.figure import Figure

        size = 2.5 + 0.5 * len(self.words), 1.6 + 0.4 * len(self.codes)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(self.shares.numpy(), vmin=0, vmax=1, cmap="magma", aspect="auto")
        axes.set_xticks(range(len(self.words)), self.words, rotation=45, ha="right")
        axes.set_yticks(range(len(self.codes)), self.codes)
        axes.set_xlabel("word that is heard")
        axes.set_ylabel("code")
        figure.colorbar(image, label="share of the code's samples")
        save_figure(figure, path)


def digit_listener(classifier: DigitClassifier, sample_rate: int) -> Listener:
    """A listener that tells spoken digits in waveforms at ``sample_rate``, in Hz."""

    def listen(waveforms: Tensor) -> Tensor:
        clips = classifier_input(waveforms, sample_rate, classifier)
        logits: Tensor = classifier(clips.to(classifier.device))
        return logits.argmax(1).cpu()

    return listen


def word_listener(listener: WordListener, sample_rate: int) -> Listener:
    """A listener that tells a user's own words in waveforms at ``sample_rate``, in Hz."""
    return lambda waveforms: hear(listener, waveforms, sample_rate)


@torch.inference_mode()
def evaluate_codes(
    name: str,
    model: AudioGAN,
    words: Sequence[str],
    listener: Listener | None,
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
            f"{name}: has no codes; `audiate train ciwgan` and `fiwgan` train generators with codes"
        )
    check_range("`count`", count, 1, 10_000)
    source = torch.Generator().manual_seed(seed)
    meant = torch.arange(code.count).repeat_interleave(count)
    z = model.sample_latent(len(meant), generator=source, labels=meant).cpu()
    waveforms = _sounds(model, z)
    if listener is None:
        words = [_letters(number) for number in range(code.count)]
        heard = _sorted_alike(model, waveforms, code.count, seed)
    else:
        heard = torch.cat([listener(part) for part in torch.split(waveforms, _BATCH)])
    counts = torch.bincount(meant * len(words) + heard, minlength=code.count * len(words))
    recovered = None
    if model.code_network is not None:
        parts = torch.split(waveforms, _BATCH)
        read = torch.cat([model.codes_of(part.to(model.device)).cpu() for part in parts])
        recovered = (read == meant).double().view(code.count, count).mean(1).tolist()
    pairs = [] if listener is None else _pairs(model, listener, words, min(count, 20), seed)
    return CodesReport(
        name,
        listener_name,
        code_names(code),
        words,
        counts.view(code.count, len(words)),
        recovered,
        pairs,
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
    model: AudioGAN, listener: Listener, words: Sequence[str], count: int, seed: int
) -> list[list[tuple[str, float]]]:
    """The most frequent word, and its share, with two entries of the code at 1 and the others 0."""
    size = model.config.code.size
    if not 2 <= size <= MOST_PAIRED:
        return []
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
    table = [[("", 0.0)] * size for _ in range(size)]
    for (one, other), words_of in zip(both, torch.split(heard, count), strict=True):
        often = torch.bincount(words_of, minlength=len(words))
        cell = words[int(often.argmax())], float(often.max()) / count
        table[one][other] = table[other][one] = cell
    return table


def _sorted_alike(model: AudioGAN, waveforms: Tensor, count: int, seed: int) -> Tensor:
    """Groups (n,) of like sounds, which no label tells."""
    config = model.config
    with torch.inference_mode(mode=False):
        network = WordCodeNetwork(config)
        return discover(
            network, to_peak(waveforms.clone()), count, seed, torch.zeros(len(waveforms)).long()
        ).groups


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB and so on."""
    text = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        text = chr(ord("A") + place) + text
    return text
