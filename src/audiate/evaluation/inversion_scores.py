"""Scores of the outputs of inversion, by two opinions on what is said."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from audiate.audio.spectrograms import Spectrogram
from audiate.errors import InputError
from audiate.evaluation.inversion_report import SPLITS, InversionProtocol, MethodScores
from audiate.metrics.distribution import distance_from_prior, inception_score
from audiate.metrics.reconstruction import (
    classifier_input,
    log_spectral_distance,
    mean_squared_error,
    structural_similarity,
)
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.lenet import LeNet
from audiate.models.resnet import DigitClassifier
from audiate.utils.progress import tracked

_BATCH = 64


@dataclass(frozen=True)
class Scorer:
    """Scores outputs of some clips by two opinions.

    One opinion is that of the classifier, which also guides ``ours``. The other one guides no
    method: the drawer draws the output, and the classifier of written digits reads the drawing.

    Attributes:
        classifier: The classifier of spoken digits.
        drawer: The drawer of the second opinion.
        written_classifier: The classifier that reads the drawings.
        sample_rate: Sample rate of the clips, in Hz.
        target: The clips, (count, channels, samples), on the CPU.
        spoken: The digits that are spoken in the clips, (count,), int64.
        protocol: The protocol, which says what SSIM compares.
        prior: Latents (n, latent_dim) of the prior.

    """

    classifier: DigitClassifier
    drawer: AudioToImageModel
    written_classifier: LeNet
    sample_rate: int
    target: Tensor
    spoken: Tensor
    protocol: InversionProtocol
    prior: Tensor

    def score(
        self,
        method: str,
        output: Tensor,
        latent: Tensor | None = None,
        evaluations: float = 0.0,
        seconds: float = 0.0,
    ) -> MethodScores:
        """Score the outputs (count, channels, samples) of a method, on the CPU, and the latents."""
        distances = (
            mean_squared_error(output, self.target).mean().item(),
            self._ssim(output),
            log_spectral_distance(output.mean(1), self.target.mean(1)).mean().item(),
            None if latent is None else self.distance_from_prior(latent),
        )
        return self._with_digits(method, output, distances, evaluations, seconds)

    def score_clips(self) -> MethodScores:
        """Score the clips themselves."""
        return self._with_digits("clips", self.target, (None, None, None, None), 0.0, 0.0)

    def distance_from_prior(self, latent: Tensor) -> float:
        """Mean distance of latents (count, latent_dim) from the prior."""
        return distance_from_prior(latent, self.prior).mean().item()

    def _with_digits(
        self,
        method: str,
        output: Tensor,
        distances: tuple[float | None, float | None, float | None, float | None],
        evaluations: float,
        seconds: float,
    ) -> MethodScores:
        logits = classify_clips(self.classifier, output, self.sample_rate)
        return MethodScores(
            method,
            inception_score(logits, splits=SPLITS),
            *distances,
            (logits.argmax(1) == self.spoken).double().mean().item(),
            (
                draw_and_read(self.drawer, self.written_classifier, output, self.sample_rate)
                == self.spoken
            )
            .double()
            .mean()
            .item(),
            evaluations,
            seconds,
        )

    def _ssim(self, output: Tensor) -> float:
        spectrogram = Spectrogram("real" if self.protocol == "paper" else "log")
        span = None if self.protocol == "paper" else 1.0

        def seen(waveforms: Tensor) -> Tensor:
            found: Tensor = spectrogram(waveforms.mean(1)).double()
            return found

        pairs = zip(torch.split(output, _BATCH), torch.split(self.target, _BATCH), strict=True)
        each = [structural_similarity(seen(one), seen(other), span) for one, other in pairs]
        return torch.cat(each).mean().item()


@torch.inference_mode()
def draw_and_read(
    drawer: AudioToImageModel, written_classifier: LeNet, waveforms: Tensor, sample_rate: int
) -> Tensor:
    """Return the digits (count,) that are read in drawings of clips; -1 where no word is heard.

    Args:
        drawer: Draws one image of each clip.
        written_classifier: Reads the drawings.
        waveforms: (count, channels, samples), on the CPU.
        sample_rate: Sample rate of the clips, in Hz.

    """
    digits = torch.full((len(waveforms),), -1)
    for row in tracked(range(len(waveforms)), "drawing clips"):
        try:
            heard = drawer.preprocess(waveforms[row], sample_rate=sample_rate)
        except InputError:  # the clip is silent
            continue
        spectrogram = heard.unsqueeze(0).to(drawer.device)
        digits[row] = written_classifier(drawer.mean_images(spectrogram)).argmax()
    return digits


@torch.inference_mode()
def classify_clips(classifier: DigitClassifier, waveforms: Tensor, sample_rate: int) -> Tensor:
    """Return logits (count, 10), on the CPU, of waveforms (count, channels, samples)."""
    logits = [
        classifier(
            classifier_input(part.mean(1), sample_rate, classifier).to(classifier.device)
        ).cpu()
        for part in tracked(torch.split(waveforms, _BATCH), "classifying clips")
    ]
    return torch.cat(logits)
