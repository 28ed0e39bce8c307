"""Warn of recordings that are probably no spoken digits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from audiate.audio.files import load_audio
from audiate.errors import InputError
from audiate.models.digit_score import no_digit
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import load
from audiate.utils.progress import note


@torch.inference_mode()
def warn_of_no_digits(recordings: Iterable[tuple[str, Path]]) -> None:
    """Print a line for each recording with a digit score below 0, by the name beside its path."""
    flow = None
    for name, path in recordings:
        flow = flow or load(DEFAULT_AUDIO_TO_IMAGE, LatentFlow)
        try:
            waveform, rate = load_audio(path)
            scores = flow.digit_scores(flow.preprocess(waveform, sample_rate=rate).unsqueeze(0))
        except InputError:  # it holds no word at all, which its own command tells
            continue
        if scores is not None and scores.item() < 0:
            note(f"warning: {name}: {no_digit(scores.item())}")
