"""Recognise recordings that are probably no spoken digits, and warn of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from math import inf
from pathlib import Path

import torch
from torch import Tensor

from audiate.audio.files import load_audio
from audiate.errors import InputError
from audiate.models.digit_score import no_digit
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import load
from audiate.utils.progress import note


@cache
def _flow() -> LatentFlow:
    return load(DEFAULT_AUDIO_TO_IMAGE, LatentFlow)


@torch.inference_mode()
def digit_score(waveform: Tensor, sample_rate: int) -> float:
    """The digit score of a waveform (channels, samples); minus infinity where it holds no word."""
    try:
        inputs = _flow().preprocess(waveform, sample_rate=sample_rate)
    except InputError:
        return -inf
    scores = _flow().digit_scores(inputs.unsqueeze(0))
    assert scores is not None
    return scores.item()


def warn_of_no_digits(recordings: Iterable[tuple[str, Path]]) -> None:
    """Print a line for each recording with a digit score below 0, by the name beside its path."""
    for name, path in recordings:
        if (score := digit_score(*load_audio(path))) < 0:
            note(f"warning: {name}: {no_digit(score)}")
