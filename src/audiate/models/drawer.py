"""What every model that draws what was said has in common."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from audiate.audio import Waveform, prepare_speech
from audiate.errors import check_range
from audiate.features import LogMel, LogMelConfig
from audiate.models.pretrained import PretrainedModel

SPECTROGRAM_SIZE = 48
"""Mel bands, and frames, of the spectrograms that our drawing models see, as in the paper."""


def check_spectrogram_size(features: LogMelConfig) -> None:
    """A front end must make spectrograms of 48x48.

    Raises:
        InputError: It does not.

    """
    check_range("n_mels", features.n_mels, SPECTROGRAM_SIZE, SPECTROGRAM_SIZE)
    check_range("frames", features.frames, SPECTROGRAM_SIZE, SPECTROGRAM_SIZE)


def standardise(spectrogram: Tensor) -> Tensor:
    """Spectrograms (batch, 48, 48) as a network's input (batch, 1, 48, 48), channels last.

    Centred and scaled by the mean and deviation of FSDD's spectrograms.
    """
    standardised = (spectrogram.unsqueeze(1) - 0.4) / 0.25
    return standardised.contiguous(memory_format=torch.channels_last)


class Drawer(PretrainedModel):
    """A network that turns the log-mel spectrogram of a spoken word into images.

    A subclass sets `features`, its own front end, and says how images are sampled from it.
    """

    features: LogMel
    image_size: int = 28

    @abstractmethod
    def sample_images(
        self, spectrogram: Tensor, samples: int, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw from p(image | sound).

        Args:
            spectrogram: (batch, n_mels, frames), as `features` makes it.
            samples: Images for each spectrogram.
            generator: Source of all randomness; the global one by default.

        Returns:
            (batch, samples, 28, 28) in [0, 1], white on black.

        """

    @abstractmethod
    def mean_images(self, spectrogram: Tensor) -> Tensor:
        """The model's one best image of each sound: no noise, no variety.

        Args:
            spectrogram: (batch, n_mels, frames), as `features` makes it.

        Returns:
            (batch, 28, 28) in [0, 1].

        """

    @torch.inference_mode()
    def draw(
        self, waveform: Waveform, *, sample_rate: int, samples: int = 8, seed: int = 0
    ) -> Tensor:
        """Images of what is said in one clip.

        Args:
            waveform: (samples,) or (channels, samples), floating point.
            sample_rate: In Hz; any.
            samples: How many images.
            seed: The same clip and seed give the same images, whatever was drawn before.

        Returns:
            (samples, 28, 28) in [0, 1], white on black as in MNIST.

        Raises:
            InputError: The clip is silent, too short or too long, or holds NaN; or another argument
                is out of range.

        """
        check_range("samples", samples, 1, 10_000)
        check_range("seed", seed, 0, 2**63 - 1)
        spectrogram = self.hear(waveform, sample_rate=sample_rate).unsqueeze(0)
        generator = torch.Generator().manual_seed(seed)
        images = self.sample_images(spectrogram.to(self.device), samples, generator=generator)
        return images[0].cpu()

    @torch.inference_mode()
    def hear(self, waveform: Waveform, *, sample_rate: int) -> Tensor:
        """The spectrogram (n_mels, frames) in [0, 1] that the network sees of a clip.

        Arguments and errors are those of `draw`.
        """
        speech = prepare_speech(waveform, sample_rate, self.features.config.sample_rate)
        spectrogram: Tensor = self.features(speech.to(self.device).unsqueeze(0))
        return spectrogram[0].cpu()
