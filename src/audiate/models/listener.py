"""The base class of all models that hear a spoken word in a clip."""

from __future__ import annotations

import torch
from torch import Tensor

from audiate.audio import Waveform, prepare_speech
from audiate.features import LogMel
from audiate.models.pretrained import PretrainedModel


class Listener(PretrainedModel):
    """A network that takes the log-mel spectrogram of a spoken word.

    Attributes:
        features: Makes spectrograms of waveforms; a subclass sets it.

    """

    features: LogMel

    @torch.inference_mode()
    def hear(self, waveform: Waveform, *, sample_rate: int) -> Tensor:
        """The spectrogram (n_mels, frames) in [0, 1] that the network sees of a clip.

        Args:
            waveform: (samples,) or (channels, samples), floating point.
            sample_rate: In Hz; any.

        Raises:
            InputError: The clip is silent, too short or too long, or holds NaN; or another argument
                is out of range.

        """
        speech = prepare_speech(waveform, sample_rate, self.features.config.sample_rate)
        spectrogram: Tensor = self.features(speech.to(self.device).unsqueeze(0))
        return spectrogram[0].cpu()
