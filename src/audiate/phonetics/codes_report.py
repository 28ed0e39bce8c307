"""Report of the words that the codes of a generator stand for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from rich.table import Table
from torch import Tensor

from audiate.utils.reports import FigureReport, csv_text, make_table, percent

PURE = 0.9
"""Share of a code's samples that must be one word for the code to stand for it."""

UNDERSTOOD = 0.8
"""Share of a code's samples that pocketsphinx must recognise as its word."""


@dataclass(frozen=True)
class CodesReport(FigureReport):
    """The words that the codes of a generator stand for.

    Attributes:
        model: Name of the generator.
        classifier: Name of the classifier of words.
        codes: Names of the codes.
        words: Names of the words.
        counts: (codes, words): how often each word came out for each code.
        recovered: Share (codes,) of each code's samples that the Q-network classifies as that code;
            None where the model was kept without it.
        understood: Share (codes,) of each code's samples that pocketsphinx, which audiate did not
            train, recognises as the word that the classifier reads most often, or None for a word
            that its dictionary has not; None for all where it did not listen.
        pair_counts: (entries, entries, words): how often each word came out where two entries of
            the code are 1 together; on the diagonal, one alone. None where there are too many.
        one_sound: Whether the code is the whole latent, so that all samples of a code are alike.
        confidence: Mean probability (codes,) that the classifier gives to the word that it reads;
            None where sounds are sorted into groups.

    """

    model: str
    classifier: str
    codes: Sequence[str]
    words: Sequence[str]
    counts: Tensor
    recovered: Sequence[float] | None
    understood: Sequence[float | None] | None
    pair_counts: Tensor | None
    one_sound: bool = False
    confidence: Sequence[float] | None = None

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
        """The mutual information of code and word in the samples, in bits."""
        joint = self.counts.double() / self.counts.sum()
        apart = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
        return float(torch.where(joint > 0, joint * (joint / apart).log2(), 0.0).sum())

    @property
    def pairs(self) -> Sequence[Sequence[tuple[str, float]]]:
        """The most frequent word of each two entries of the code, and its share."""
        if self.pair_counts is None:
            return []
        shares, words = (self.pair_counts / self.pair_counts.sum(2, keepdim=True)).max(2)
        return [
            [(self.words[word], share) for word, share in zip(*row, strict=True)]
            for row in zip(words.tolist(), shares.double().tolist(), strict=True)
        ]

    @property
    def distinct_words(self) -> int:
        """Number of different words that pure codes stand for."""
        return len(set(self.shares.argmax(1)[self.shares.amax(1) >= PURE].tolist()))

    def values(self) -> Mapping[str, Any]:
        """Return all values."""
        return {
            "model": self.model,
            "classifier": self.classifier,
            "codes": self.codes,
            "words": self.words,
            "counts": self.counts,
            "pure_codes": self.pure,
            "distinct_words": self.distinct_words,
            "mutual_information_bits": self.information,
            "recovered": self.recovered,
            "understood": self.understood,
            "confidence": self.confidence,
            "one_sound_per_code": self.one_sound,
            "pairs": self.pairs,
            "pair_counts": self.pair_counts,
        }

    def parts(self) -> Iterator[Table | str]:
        """Return tables of what pocketsphinx hears and of codes and words, and that of pairs."""
        if self.understood is not None:
            yield from self._understood_parts(self.understood)
        yield self._words_table()
        note = (
            f"{self.pure} of {len(self.codes)} codes are one word in {100 * PURE:.0f} % of the "
            f"samples or more; these are {self.distinct_words} different words. A code has "
            f"{self.information:.2f} bits of information on the word. The last row shows for each "
            f"word which code it most often comes from."
        )
        if self.recovered is not None:
            mean = sum(self.recovered) / len(self.recovered)
            note += f" The Q-network recovers the code of {percent(mean)} % of the samples."
        if self.one_sound:
            note += (
                " Note: the code is the whole latent, so a code has one sound only, and each share "
                "is that of this one sound."
            )
        yield note
        if self.pairs:
            pairs = make_table(
                "Two entries of the code, numbered from 0, at 1 together: the most frequent word, "
                "and its share (%)",
                *("entry", *map(str, range(len(self.pairs)))),
            )
            for number, row in enumerate(self.pairs):
                pairs.add_row(str(number), *(f"{word} {100 * share:.0f}" for word, share in row))
            yield pairs

    def _understood_parts(self, understood: Sequence[float | None]) -> Iterator[Table | str]:
        """Return the table of what pocketsphinx hears in each code, and a note."""
        table = make_table(
            f"{self.model}: understood by pocketsphinx, which audiate did not train",
            *("code", "word", "understood (%)"),
        )
        words = [self.words[index] for index in self.counts.argmax(1).tolist()]
        for row in zip(self.codes, words, map(percent, understood), strict=True):
            table.add_row(*row)
        table.add_section()
        known = [share for share in understood if share is not None]
        table.add_row("all", "", percent(sum(known) / len(known) if known else None))
        table.add_row("by chance", "", percent(1 / len(self.words)))
        table.add_row("silence", "", percent(0.0))
        yield table
        clear = sum(share >= UNDERSTOOD for share in known)
        yield (
            f"The share of a code's samples that pocketsphinx recognises as the word that "
            f"{self.classifier} reads most often in it: {clear} of {len(known)} codes reach "
            f"{100 * UNDERSTOOD:.0f} %. Of real FSDD and Speech Commands clips, it recognises some "
            f"80 % (`audiate evaluate` of a generator prints how many)."
        )

    def _words_table(self) -> Table:
        per_code = int(self.counts.sum(1).max())
        table = make_table(
            f"{self.model}: words (%) of {per_code} samples for each code, by {self.classifier}",
            *("code", "word", *self.words),
        )
        if self.confidence is not None:
            table.add_column("confidence", justify="right")
        if self.recovered is not None:
            table.add_column("Q recovers", justify="right")
        for number, share in enumerate(self.shares):
            cells = [percent(value, ".0f") if value >= 0.005 else "·" for value in share.tolist()]
            word = self.words[int(share.argmax())] if share.max() >= PURE else "-"
            last = [c[number] for c in (self.confidence, self.recovered) if c is not None]
            table.add_row(self.codes[number], word, *cells, *map(percent, last))
        back = self.counts.double() / self.counts.sum(0).clamp_min(1)
        cells = [
            f"{self.codes[int(c.argmax())]}: {100 * c.max():.0f}" if c.max() > 0 else "-"
            for c in back.T
        ]
        table.add_row("share of the word that is of", "", *cells)
        return table

    def to_csv(self) -> str:
        """Return the counts: a row for each code, a column for each word."""
        counts = zip(self.codes, self.counts.tolist(), strict=True)
        return csv_text([["code", *self.words], *([code, *row] for code, row in counts)])

    def pairs_to_csv(self) -> str:
        """Return the counts of pairs: a row for each two entries, a column for each word."""
        table = [] if self.pair_counts is None else self.pair_counts.tolist()
        rows = (
            [entry, other, *counts]
            for entry, row in enumerate(table)
            for other, counts in enumerate(row[: entry + 1])
        )
        return csv_text([["entry", "other_entry", *self.words], *rows])

    def figure(self) -> Figure:
        """Draw both tables."""
        wide = 2.5 + 0.5 * len(self.words)
        tall = [1.6 + 0.4 * len(self.codes)]
        if self.pairs:
            wide = max(wide, 2.5 + 0.9 * len(self.pairs))
            tall.append(1.6 + 0.4 * len(self.pairs))
        figure = Figure(figsize=(wide, sum(tall)), layout="constrained")
        first, *others = figure.subplots(len(tall), height_ratios=tall, squeeze=False)[:, 0]
        image = first.imshow(self.shares.numpy(), vmin=0, vmax=1, cmap="magma", aspect="auto")
        first.set_xticks(range(len(self.words)), self.words, rotation=45, ha="right")
        first.set_yticks(range(len(self.codes)), self.codes)
        first.set_xlabel("word, by the classifier")
        first.set_ylabel("code")
        figure.colorbar(image, label="share of the code's samples")
        for axes in others:
            figure.colorbar(self._draw_pairs(axes), label="share of the most frequent word")
        return figure

    def _draw_pairs(self, axes: Axes) -> AxesImage:
        """Draw the table of two entries, with the most frequent word in each place."""
        shares = [[share for _, share in row] for row in self.pairs]
        image = axes.imshow(shares, vmin=0, vmax=1, cmap="magma", aspect="auto")
        for place, row in enumerate(self.pairs):
            for other, (word, share) in enumerate(row):
                ink = "black" if share > 0.6 else "white"
                axes.text(other, place, word, ha="center", va="center", color=ink, fontsize=8)
        axes.set_xticks(range(len(shares)))
        axes.set_yticks(range(len(shares)))
        axes.set_xlabel("entry of the code at 1")
        axes.set_ylabel("other entry at 1")
        return image
