"""Fit the digit score of a latent flow, whose other weights stay as they are.

Usage: python scripts/fit_digit_score.py MODEL SOUNDS OUT [DATA]

SOUNDS holds fit/KIND/ and choice/KIND/ with sound files; kinds that begin with "digit" are digits.
The offset is chosen on the latter, whose speakers and words are others. Digits of Speech Commands
and FSDD, what is made of them (backwards, broken off, two in a row), and computed sounds come on
top.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import audiate
from audiate.audio.files import load_audio
from audiate.audio.words import split_words
from audiate.data.digits import load_fsdd, load_speech_commands, read_clips, validation_part
from audiate.data.sources import data_root
from audiate.models.digit_score import DigitScore
from audiate.models.latent_flow import LatentFlow
from audiate.models.residual import SoundNetwork
from audiate.training.batches import one_cycle

REFUSED = 0.02
"""Share of the digits for choices that are refused."""
EPOCHS, BATCH, PEAK, NOISE, DROPOUT = 40, 256, 2e-3, 0.2, 0.4


class Sound(NamedTuple):
    """A waveform (samples,) at the model's rate, and its kind."""

    waveform: Tensor
    kind: str


def main() -> None:
    """Fit, choose the offset, and save."""
    name, sounds, out, *data = sys.argv[1:]
    torch.manual_seed(0)
    flow, root = audiate.load(name, LatentFlow), data_root(Path(data[0]) if data else None)
    rate = flow.features.config.sample_rate
    fit, choice = (read(root, Path(sounds) / part, part, rate) for part in ("fit", "choice"))
    score = train(moments(flow, fit), [each.kind for each in fit])
    choose_offset(score, moments(flow, choice), [each.kind for each in choice])
    attach(flow, score).save_pretrained(out, storage="int8")


def read(root: Path, folder: Path, part: str, rate: int) -> list[Sound]:
    """All sounds of a part."""
    clips = load_speech_commands(root, "train" if part == "fit" else "validation")
    clips = [*clips, *load_fsdd(root)] if part == "fit" else validation_part(clips, "choices")
    digits = read_clips(clips, rate).recordings
    found = [Sound(each, "digit") for each in digits]
    found += [Sound(each.flip(0), "backwards") for each in digits[::4]]
    words = [max(split_words(each[None], rate), key=len).flatten() for each in digits[::2]]
    for one, two in zip(words[::2], words[1::2], strict=False):
        found.append(Sound(torch.cat([one, two]), "two digits"))
        share = 0.35 + 0.15 * torch.rand(1).item()
        found.append(Sound(one[: round(share * len(one))], "broken off"))
        found.append(Sound(two[-round(share * len(two)) :], "broken off"))
    found += [Sound(computed(rate), "computed") for _ in range(len(digits) // 6)]
    for path in sorted(folder.glob("*/*.*")):
        found.append(Sound(load_audio(path, rate)[0].flatten(), path.parent.name))
    return found


def computed(rate: int) -> Tensor:
    """A noise, a tone, a chord or a sweep."""
    times = torch.arange(int(rate * (0.3 + 0.9 * torch.rand(1).item()))) / rate
    noise = torch.randn(len(times)) * (-30 * torch.rand(1) ** 3 * times).exp()
    lowest, count = 80 * 10 ** torch.rand(1), int(torch.randint(1, 5, (1,)))
    notes = lowest * 2 ** (torch.randint(0, 13, (count,)) / 12)
    rise = (torch.rand(1) < 0.3) * (2 * torch.rand(1) - 0.7) * times
    overtones = torch.arange(1, 9)
    waves = torch.sin(2 * torch.pi * notes[:, None, None] * overtones[:, None] * times * (1 + rise))
    tones = (waves / overtones[:, None] ** (0.5 + 2 * torch.rand(1))).sum((0, 1))
    share = torch.rand(1) ** 2 if torch.rand(1) < 0.6 else 1
    sound = share * noise / noise.abs().max() + (1 - share) * tones / tones.abs().max()
    return 0.5 * sound


@torch.inference_mode()
def moments(flow: LatentFlow, sounds: list[Sound]) -> Tensor:
    """The features (count, n) that a score takes."""
    spectrograms = flow.features.many([each.waveform for each in sounds])
    return torch.cat([flow.condition_network.moments(each) for each in spectrograms.split(256)])


def train(features: Tensor, kinds: list[str]) -> DigitScore:
    """Train a score on features (count, n); kinds weigh the same, and digits as all the rest."""
    digits = torch.tensor([kind.startswith("digit") for kind in kinds])
    sizes = Counter(kinds)
    weights = torch.tensor([1 / sizes[kind] for kind in kinds])
    for side in (digits, ~digits):
        weights[side] /= 2 * weights[side].mean() * side.float().mean()
    mean, scale = features.mean(0), features.std(0) + 1e-6
    features = (features - mean) / scale
    score = DigitScore(SoundNetwork.moments_dim)
    drop = torch.nn.Dropout(DROPOUT)
    adam = torch.optim.AdamW(score.parameters(), weight_decay=0.05)
    total, step = EPOCHS * -(-len(kinds) // BATCH), 0
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(kinds)).split(BATCH):
            adam.param_groups[0]["lr"] = one_cycle(step, total, PEAK)
            inputs = features[rows]
            inputs = drop(inputs + NOISE * torch.randn_like(inputs))
            hidden = drop(score[1](score[0](inputs)))
            logits = score[3](score[2](hidden))
            loss = F.binary_cross_entropy_with_logits(
                logits, digits[rows].float(), weights[rows], reduction="mean"
            )
            adam.zero_grad()
            loss.backward()
            adam.step()
            step += 1
    with torch.no_grad():  # the score takes features as they are
        score[0].weight /= scale
        score[0].bias -= score[0].weight @ mean
    return score


@torch.no_grad()
def choose_offset(score: DigitScore, features: Tensor, kinds: list[str]) -> None:
    """Move a score so that `REFUSED` of the digits among the clips are below 0."""
    digits = torch.tensor([kind.startswith("digit") for kind in kinds])
    score[2].bias -= score(features[digits]).quantile(REFUSED)
    refused = score(features[~digits]) < 0
    print(f"refused for the choice: {100 * refused.float().mean():.1f} % of {len(refused)}")


def attach(flow: LatentFlow, score: DigitScore) -> LatentFlow:
    """The model with the score."""
    flow.config = replace(flow.config, digit_score=True)
    flow.digit_score = score
    return flow


if __name__ == "__main__":
    main()
