"""Evaluation of a codec, alone or in a flow, on recordings of speakers that it never heard."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from audiate.audio.files import fit_length, to_peak
from audiate.audio.pitch import praat_f0, require_praat
from audiate.audio.spectrograms import Spectrogram
from audiate.evaluation.clips import read_validation
from audiate.evaluation.independent import (
    MOST_JUDGED,
    JudgeTable,
    SoundsToJudge,
    judge_sounds,
    number_judged,
)
from audiate.metrics.reconstruction import (
    log_spectral_distance,
    mel_distance,
    structural_similarity,
)
from audiate.models.codec import BLOCK_LENGTH, F0_HOP_LENGTH, Codec
from audiate.models.speech_flow import SpeechFlow
from audiate.utils.batching import in_batches
from audiate.utils.reports import Report, make_table, percent

_BATCH = 32
_SECONDS = 1.024


@dataclass(frozen=True)
class CodecReport(Report):
    """Scores of recordings that a codec gives back.

    Attributes:
        model: Name of the codec.
        clips: Number of recordings.
        numbers_a_second: Number of values of latents for a second of sound.
        mel_distance: Mean of `audiate.metrics.reconstruction.mel_distance` over the clips, in dB.
        log_spectral_distance: Mean over the clips, in dB.
        ssim: Mean structural similarity of levels.
        f0_error: Median difference of F0, in cents, over the frames that are voiced in both.
        voicing_right: Share of the frames that are voiced in both, or in neither.
        encoded_a_second: Clips of 1.024 s that are encoded in a second.
        decoded_a_second: Clips that are decoded in a second.
        judges: Scores by judges that audiate did not train, or None.

    """

    model: str
    clips: int
    numbers_a_second: float
    mel_distance: float
    log_spectral_distance: float
    ssim: float
    f0_error: float
    voicing_right: float
    encoded_a_second: float
    decoded_a_second: float
    judges: JudgeTable | None

    def parts(self) -> Iterator[Table | str]:
        """Return the table of the judges, that of our measures, and a note."""
        if self.judges is not None:
            yield from self.judges.parts()
        table = make_table(
            f"{self.model}: {self.clips} recordings of speakers that it never heard",
            *("mel distance (dB)", "LSD (dB)", "SSIM of levels", "F0 (cents)", "voicing right (%)"),
            *("numbers a second", "encoded a second", "decoded a second"),
        )
        table.add_row(
            f"{self.mel_distance:.2f}",
            f"{self.log_spectral_distance:.2f}",
            f"{self.ssim:.3f}",
            f"{self.f0_error:.1f}",
            percent(self.voicing_right),
            f"{self.numbers_a_second:g}",
            f"{self.encoded_a_second:.0f}",
            f"{self.decoded_a_second:.0f}",
        )
        yield table
        yield (
            "Mel distance is that of levels in 80 mel bands; LSD, the log-spectral distance, "
            "counts it as an error, too, that noise is another noise of the same level. F0 and "
            "voicing are compared by Praat, whose F0 the codec was trained with. Speeds are those "
            "of clips of 1.024 s, a batch at a time."
        )


@torch.inference_mode()
def evaluate_codec(
    name: str, model: Codec | SpeechFlow, root: Path, *, judged: int = MOST_JUDGED
) -> CodecReport:
    """Encode and decode the validation clips for reports, of speakers that no training used.

    Args:
        name: Name of the model, for the report.
        model: The codec; or a flow, whose codec is scored, and through which the clips go,
            backwards and forwards again, for a row of the judges.
        root: Data folder.
        judged: Largest number of clips that the judges of `audiate.evaluation.independent` listen
            to; with 0, they do not.

    Raises:
        InputError: The data is missing, or Praat is not installed.

    """
    require_praat()  # before work that takes minutes
    judged = number_judged(judged)
    codec = model.codec if isinstance(model, SpeechFlow) else model
    rate, num_samples = codec.config.sample_rate, round(_SECONDS * codec.config.sample_rate)
    num_samples -= num_samples % BLOCK_LENGTH
    waveforms, digits, _ = read_validation(root, rate, num_samples, "reports")
    clips = to_peak(waveforms.unsqueeze(1))
    began = time.monotonic()
    latents = in_batches(
        lambda part: codec.encode(part.to(codec.device)).mu.cpu(), clips, _BATCH, "encoding clips"
    )
    encoded = time.monotonic()
    given = in_batches(
        lambda part: codec.decode(part.to(codec.device)).cpu(), latents, _BATCH, "decoding clips"
    )
    decoded = time.monotonic()
    sets = [
        SoundsToJudge("clips", clips, rate, digits),
        SoundsToJudge("codec", given, rate, digits, clips),
    ]
    if isinstance(model, SpeechFlow):
        back = in_batches(
            lambda part: model(model.recover(part.to(model.device))).cpu(),
            fit_length(clips, model.num_samples),
            _BATCH,
            "following the flow backwards and forwards",
        )
        sets.append(SoundsToJudge("flow, backwards and forwards", back, rate, digits, clips))
    f0_error, voicing_right = _compare_f0(given[:, 0], clips[:, 0], rate)
    levels = Spectrogram()
    return CodecReport(
        name,
        len(clips),
        codec.config.latent_channels * rate / BLOCK_LENGTH,
        mel_distance(given[:, 0], clips[:, 0], rate).mean().item(),
        log_spectral_distance(given[:, 0], clips[:, 0]).mean().item(),
        structural_similarity(levels(given[:, 0]), levels(clips[:, 0]), 1.0).mean().item(),
        f0_error,
        voicing_right,
        len(clips) / (encoded - began),
        len(clips) / (decoded - encoded),
        judge_sounds(sets, root, most=judged),
    )


def _compare_f0(output: Tensor, target: Tensor, sample_rate: int) -> tuple[float, float]:
    """Median difference in cents, and share of frames whose voicing is the same."""
    find = partial(praat_f0, sample_rate=sample_rate, hop_length=F0_HOP_LENGTH)
    one, other = (np.stack([find(clip) for clip in clips]) for clips in (output, target))
    both = (one > 0) & (other > 0)
    cents = 1200 * np.abs(np.log2(one[both] / other[both]))
    return float(np.median(cents)), float(((one > 0) == (other > 0)).mean())
