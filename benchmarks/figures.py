"""The three figures with which docs/results.md opens, drawn of the numbers in its tables."""

from __future__ import annotations

import re
from pathlib import Path

from matplotlib.figure import Figure

DOCS = Path(__file__).parent.parent / "docs"
NUMBER = r"\**([\d.]+)"
REFERENCES = ("real", "any", "another", "the nearest", "silence")
"""First words of bars that are grey: what a bar is to be compared with."""
CODEC = r"^\*\*By the \[codec\].*understood "

FIGURES = {
    "results-drawings.png": {
        "Drawings read as what was said, %": {
            "latent flow": rf"^\| latent flow, sampled, five .*? \| . \| {NUMBER}",
            "VAE": rf"^\| VAE, images .*? \| 93.7 % \| {NUMBER}",
            "VAE-GAN": rf"^\| VAE-GAN, alpha .*? \| 79 % \| {NUMBER}",
        },
        "Variety of handwriting (coverage)": {
            "real handwriting": rf"^\| as many MNIST train images .*?\| {NUMBER}",
            "latent flow": rf"^\| latent flow, five midpoint steps \| {NUMBER}",
            "VAE": rf"^\| VAE, sampled \(the floor\) \| {NUMBER}",
            "VAE-GAN": rf"^\| VAE-GAN, sampled \| {NUMBER}",
        },
    },
    "results-sounds.png": {
        "Words understood, %": {
            "real recordings": rf"^\| real train clips, even .*? \| {NUMBER}",
            "pictures said": rf"^\| 500 MNIST test images, said .*? \| {NUMBER}",
            "speech-digits": rf"^\| `speech-digits`, trained .*? \| {NUMBER}",
            "WaveGAN": rf"^\| `wavegan-digits`, trained .*? \| {NUMBER}",
            "SpecGAN": rf"^\| `specgan-digits`, trained .*? \| {NUMBER}",
            "silence": rf"^\| silence \| {NUMBER}, 0 \| 2",
        },
    },
    "results-inversion.png": {
        "Words understood, %": {
            "real recordings": rf"^\| the clips; silence \| {NUMBER} \[.*?, 1; 0.0 ",
            "speech-digits, exact": rf"`--method exact`\): {NUMBER} %",
            "speech-digits, its codec": CODEC + NUMBER,
            "any clip of the same word": rf"^\| lookup: any train clip .*? \| {NUMBER}",
            "WaveGAN, search": rf"^\| search, without training \| {NUMBER}",
            "the nearest train clip": rf"^\| nearest: the train clip .*? \| {NUMBER}",
            "silence": rf"^\| the clips; silence \| .*?, 1; {NUMBER} \[",
        },
        "Likeness of the voice (cosine)": {
            "speech-digits": CODEC + r".*\n?.*?voice kept ([\d.]+)",
            "another take of the speaker": rf"it is {NUMBER} of one speaker and word",
            "another speaker": rf", {NUMBER} of two speakers",
            "WaveGAN, search": r"^\| search, without training \|(?:[^|]*\|){3} ([\d.]+)",
        },
    },
}


def values(text: str, patterns: dict[str, str]) -> dict[str, str]:
    """The numbers of the results that patterns find, one each."""
    found = {name: re.search(pattern, text, re.MULTILINE) for name, pattern in patterns.items()}
    if missing := [name for name, match in found.items() if match is None]:
        raise SystemExit(f"docs/results.md has no row for {', '.join(missing)} any more")
    return {name: match[1] for name, match in found.items() if match}


def main() -> None:
    """Draw the figures into docs/."""
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    for name, panels in FIGURES.items():
        figure = Figure(figsize=(7.4, 2.4), layout="constrained")
        for at, (title, patterns) in enumerate(panels.items(), 1):
            axes = figure.add_subplot(1, len(panels), at)
            bars = values(text, patterns)
            colors = ["#9a9aa6" if each.startswith(REFERENCES) else "#3b3fb8" for each in bars]
            drawn = axes.barh(list(bars), list(map(float, bars.values())), color=colors)
            axes.bar_label(drawn, list(bars.values()), padding=3, fontsize=8)
            axes.set_title(title, loc="left", fontsize=9)
            axes.invert_yaxis()
            axes.margins(x=0.2)
            axes.tick_params(left=False, bottom=False, labelbottom=False, labelsize=8)
            axes.spines[:].set_visible(False)
        figure.savefig(DOCS / name, dpi=200)


if __name__ == "__main__":
    main()
