"""Fit the digit score of a latent flow, whose other weights stay as they are.

Usage: python scripts/fit_digit_score.py MODEL SOUNDS OUT [DATA]

SOUNDS is what `make_other_sounds.py` makes: fit/KIND/ and choice/KIND/ with sound files; kinds that
begin with "digit" are digits. The offset is chosen on the latter, whose speakers and words are
others. Digits of Speech Commands and FSDD, what is made of them (backwards, broken off, two in a
row), and computed sounds come on top. It takes four minutes on a core.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import audiate
from audiate.audio.files import load_audio
from audiate.audio.words import split_words
from audiate.data.digits import (
    load_fsdd,
    load_speech_commands,
    read_clips,
    split_at_random,
    validation_part,
)
from audiate.data.sources import data_root
from audiate.models.digit_score import DigitScore
from audiate.models.latent_flow import LatentFlow
from audiate.training.batches import one_cycle

REFUSED = 0.02
"""Share of the digits for choices that are refused."""
EPOCHS, BATCH, PEAK, DROPOUT = 12, 128, 2e-3, 0.3
VERSIONS = 3  # of each sound: as it is, and varied


class Sound(NamedTuple):
    """A waveform (samples,) at the model's rate, and its kind."""

    waveform: Tensor
    kind: str


class Features(NamedTuple):
    """What a score takes of sounds: (count, 64, 12, 12) in half precision, and (count, n)."""

    middle: Tensor
    moments: Tensor


def main() -> None:
    """Fit, choose the offset, and save."""
    name, sounds, out, *data = sys.argv[1:]
    torch.manual_seed(0)
    flow, root = audiate.load(name, LatentFlow), data_root(Path(data[0]) if data else None)
    rate = flow.features.config.sample_rate
    fit, choice = (list(read(root, Path(sounds) / part, part, rate)) for part in ("fit", "choice"))
    spectrograms = flow.features.many([each.waveform for each in fit])
    versions = [spectrograms, *(vary(spectrograms) for _ in range(VERSIONS - 1))]
    score = train([features(flow, each) for each in versions], [each.kind for each in fit])
    heard = features(flow, flow.features.many([each.waveform for each in choice]))
    choose_offset(score, heard, [each.kind for each in choice])
    attach(flow, score).save_pretrained(out, storage="int8")


def read(root: Path, folder: Path, part: str, rate: int) -> Iterator[Sound]:
    """All sounds of a part."""
    if part == "fit":
        sources = [load_speech_commands(root, "train"), split_at_random(load_fsdd(root), 0)[0]]
    else:
        sources = [validation_part(load_speech_commands(root, "validation"), "choices")]
    digits: list[Tensor] = []
    for number, clips in enumerate(sources):
        kept = read_clips(clips, rate)
        digits += kept.recordings
        for digit, label in zip(kept.recordings, kept.labels.tolist(), strict=True):
            yield Sound(digit, f"digit {label} of {number}")
    yield from (Sound(each.flip(0), "backwards") for each in digits)
    yield from (Sound(broken(each), "beginning") for each in digits)
    yield from (Sound(broken(each.flip(0)).flip(0), "end") for each in digits[::4])
    words = [max(split_words(each[None], rate), key=len).flatten() for each in digits]
    order = torch.randperm(len(words)).tolist()
    for one, two in zip(order[::4], order[1::4], strict=False):
        yield Sound(torch.cat([words[one], words[two]]), "two digits")
    yield from (Sound(computed(rate), "computed") for _ in range(len(digits) // 2))
    for path in sorted(folder.glob("*/*.*")):
        yield Sound(load_audio(path, rate)[0].flatten(), path.parent.name)


def broken(digit: Tensor) -> Tensor:
    """The beginning of a clip (samples,), which holds a fifth to two fifths of its energy."""
    passed = digit.double().square().cumsum(0)
    share = 0.2 + 0.2 * torch.rand(1).item()
    return digit[: int(torch.searchsorted(passed, share * passed[-1])) + 1]


def computed(rate: int) -> Tensor:
    """A noise, a tone, a chord or a sweep, which stays, fades, or swells and fades."""
    times = torch.arange(int(rate * (0.3 + 0.9 * torch.rand(1).item()))) / rate
    noise = torch.randn(len(times)) * (-30 * torch.rand(1) ** 3 * times).exp()
    lowest, count = 80 * 10 ** torch.rand(1), int(torch.randint(1, 5, (1,)))
    notes = lowest * 2 ** (torch.randint(0, 13, (count,)) / 12)
    rise = (torch.rand(1) < 0.3) * (2 * torch.rand(1) - 0.7) * times
    overtones = torch.arange(1, 9)
    waves = torch.sin(2 * torch.pi * notes[:, None, None] * overtones[:, None] * times * (1 + rise))
    tones = (waves / overtones[:, None] ** (0.5 + 4.5 * torch.rand(1))).sum((0, 1))
    share = torch.rand(1) ** 2 if torch.rand(1) < 0.6 else torch.rand(1).round()
    sound = share * noise / noise.abs().max() + (1 - share) * tones / tones.abs().max()
    swell = torch.sin(torch.pi * times / times[-1]).clamp_min(0) ** (3 * torch.rand(1))
    fade = (-6 * torch.rand(1) * times).exp()
    return 0.5 * sound * [1, swell, fade][int(torch.randint(3, ()))]


def vary(spectrograms: Tensor) -> Tensor:
    """Another voice, speed, microphone and room: of spectrograms (count, 48, 48), as many."""
    count, bands, _ = spectrograms.shape
    scales = 1 + 0.06 * torch.randn(2, count)
    shifts = torch.stack([0.04 * torch.randn(count), 0.06 * torch.randn(count)])
    maps = torch.zeros(count, 2, 3)
    maps[:, 0, 0], maps[:, 1, 1] = scales
    maps[:, 0, 2], maps[:, 1, 2] = shifts
    grid = F.affine_grid(maps, [count, 1, *spectrograms.shape[1:]], align_corners=False)
    moved = F.grid_sample(spectrograms.unsqueeze(1), grid, align_corners=False)[:, 0]
    tilt = 0.1 * torch.randn(count, 1, 1) * torch.linspace(-1, 1, bands)[:, None]
    noise = (torch.rand(count, 1, 1) < 0.5) * 10 ** (-(1 + 4.5 * torch.rand(count, 1, 1)))
    power = 10 ** (6 * (moved + tilt - 1)) + noise * torch.rand(count, bands, 1).exp()
    levels = 1 + power.clamp_min(1e-6).log10() / 6
    return (levels + 1 - levels.amax((1, 2), keepdim=True)).clamp(0, 1)


@torch.inference_mode()
def features(flow: LatentFlow, spectrograms: Tensor) -> Features:
    """The features that a score takes."""
    parts = [flow.condition_network.features(each) for each in spectrograms.split(256)]
    middles, moments = zip(*parts, strict=True)
    return Features(torch.cat([each.half() for each in middles]), torch.cat(moments))


def train(versions: list[Features], kinds: list[str]) -> DigitScore:
    """Train a score; large kinds weigh less a sound than small ones, digits as all the rest."""
    digits = torch.tensor([kind.startswith("digit") for kind in kinds])
    sizes = Counter(kinds)
    weights = torch.tensor([sizes[kind] ** -0.5 for kind in kinds])
    for side in (digits, ~digits):
        weights[side] /= 2 * weights[side].mean() * side.float().mean()
    mean, scale = (make(versions[0].moments, 0) for make in (torch.mean, torch.std))
    score, drop = DigitScore(), torch.nn.Dropout(DROPOUT)
    score.head[0].register_forward_pre_hook(lambda _, inputs: drop(inputs[0]))
    adam = torch.optim.AdamW(score.parameters(), weight_decay=0.05)
    total, step = EPOCHS * -(-len(kinds) // BATCH), 0
    for epoch in range(EPOCHS):
        losses = 0.0
        for rows in torch.randperm(len(kinds)).split(BATCH):
            adam.param_groups[0]["lr"] = one_cycle(step, total, PEAK)
            middle, moments = (each[rows] for each in versions[int(torch.randint(VERSIONS, ()))])
            logits = score(middle.float(), (moments - mean) / (scale + 1e-6))
            loss = F.binary_cross_entropy_with_logits(logits, digits[rows].float(), weights[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
            step, losses = step + 1, losses + loss.item()
        print(f"epoch {epoch + 1} of {EPOCHS}: {losses * EPOCHS / total:.3f}", flush=True)
    score.head[0]._forward_pre_hooks.clear()
    with torch.no_grad():  # the score takes moments as they are
        first, count = score.head[0], len(mean)
        first.weight[:, -count:] /= scale + 1e-6
        first.bias -= first.weight[:, -count:] @ mean
    return score.eval()


@torch.no_grad()
def choose_offset(score: DigitScore, heard: Features, kinds: list[str]) -> None:
    """Move a score so that `REFUSED` of the real digits among the clips are below 0."""
    parts = zip(heard.middle.split(256), heard.moments.split(256), strict=True)
    scores = torch.cat([score(middle.float(), moments) for middle, moments in parts])
    real = torch.tensor([kind.startswith("digit ") for kind in kinds])
    lowest = scores[real].sort().values
    refused = round(REFUSED * len(lowest))
    offset = lowest[refused - 1 : refused + 1].mean()  # midway between one refused and one kept
    score.head[2].bias -= offset
    for kind, count in Counter(kinds).items():
        rows = torch.tensor([each == kind for each in kinds])
        share = 100 * (scores[rows] < offset).float().mean()
        print(f"refused for the choice, {kind}: {share:.1f} % of {count}")


def attach(flow: LatentFlow, score: DigitScore) -> LatentFlow:
    """The model with the score."""
    flow.config = replace(flow.config, digit_score=True)
    flow.digit_score = score
    return flow


if __name__ == "__main__":
    main()
