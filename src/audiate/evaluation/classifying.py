"""Digits in images and sounds, as classifiers that audiate trained read them."""

import torch
from torch import Tensor

from audiate.errors import InputError
from audiate.metrics.reconstruction import classifier_input
from audiate.models.audio_to_image import AudioToImageModel
from audiate.models.lenet import LeNet
from audiate.models.resnet import DigitClassifier
from audiate.utils.batching import in_batches
from audiate.utils.progress import tracked


def read_digits(classifier: LeNet, images: Tensor) -> Tensor:
    """Classify images (count, 28, 28) in [0, 1]: digits (count,), on the CPU."""
    return in_batches(
        lambda part: classifier(part).argmax(1), images, 500, "reading images", classifier.device
    )


def classify_clips(classifier: DigitClassifier, waveforms: Tensor, sample_rate: int) -> Tensor:
    """Compute logits (count, 10), on the CPU, of waveforms (count, channels, samples)."""
    device = classifier.device
    return in_batches(
        lambda part: classifier(classifier_input(part, sample_rate, classifier).to(device)),
        waveforms,
        64,
        "classifying clips",
    )


@torch.no_grad()
def second_classifier(
    model: AudioToImageModel, classifier: LeNet, waveforms: Tensor, sample_rate: int
) -> Tensor:
    """Draw an image of each clip, and classify the images: digits (count,); -1 for silent clips.

    It shares no weights with the classifier of spoken digits, and guides no method.

    Args:
        model: The model that draws.
        classifier: Reads the drawings.
        waveforms: (count, channels, samples), on the CPU.
        sample_rate: Sample rate of the clips, in Hz.

    """
    digits = torch.full((len(waveforms),), -1)
    for row in tracked(range(len(waveforms)), "drawing clips"):
        try:
            spectrogram = model.preprocess(waveforms[row], sample_rate=sample_rate)
        except InputError:  # the clip is silent
            continue
        images = model.mean_images(spectrogram.unsqueeze(0).to(model.device))
        digits[row] = classifier(images).argmax()
    return digits
