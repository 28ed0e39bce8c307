"""Inversion by search among random latents."""

import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.audio.spectrograms import MelSpectrogram
from audiate.errors import check_range
from audiate.inversion.candidates import Descriptors, open_candidates
from audiate.inversion.encoder import EncoderInverter
from audiate.inversion.inverter import BATCH
from audiate.inversion.objectives import Objective
from audiate.inversion.settings import NUM_CANDIDATES
from audiate.metrics.reconstruction import classifier_input
from audiate.models.fingerprint import Fingerprint, digest
from audiate.models.fingerprint import fingerprint as fingerprint_of
from audiate.models.generator import Generator, device_of
from audiate.models.resnet import DigitClassifier

# Weights of the distances, beside 1 for the cosine distance of the classifier's features. With more
# weight on levels, words are lost; with less, their time and their voice are.
_LEVEL_WEIGHT, _WORD_WEIGHT = 2.0, 0.1

# Without a classifier.
_SOUNDING = 0.25  # level of a frame that sounds: 60 dB below the peak
_SILENT_WEIGHT = 0.03  # of a frame that does not
_ONSET_WEIGHT = 4.0  # of a rise of the mean level by 1


class SearchInverter(EncoderInverter):
    """Take the random latent whose sound is nearest to the clip.

    Sounds are compared by mel levels and, with a classifier, by its features and probabilities.
    Without one, levels count most where the clip sounds and where it sets in. A search needs no
    encoder, no gradients and no training. The latents are sampled once for each generator and
    classifier, and kept in the user's cache folder.
    """

    def __init__(
        self,
        generator: Generator,
        objective: Objective | None = None,
        *,
        classifier: DigitClassifier | None = None,
        size: int = NUM_CANDIDATES,
        batch_size: int = BATCH,
        fingerprint: Fingerprint | None = None,
    ) -> None:
        """Read the candidates, or sample them; that takes as long as to generate ``size`` clips.

        Args:
            generator: Any generator.
            objective: Measures the loss, and nothing else; by default `plain_objective`.
            classifier: A classifier of spoken digits, on the generator's device, in whose features
                sounds are compared beside their mel levels. Sounds other than speech do without.
            size: Number of candidates.
            batch_size: Number of clips in a batch.
            fingerprint: The generator's, where it is known already.

        Raises:
            InputError: A value is out of range.
            Interrupted: Ctrl-C was pressed while latents were sampled; that part is kept.

        """
        check_range("size", size, 1, 10**6)
        super().__init__(generator, self._first, objective, batch_size=batch_size)
        self.bounds, self.classifier = None, classifier  # candidates are the prior's
        mel = MelSpectrogram(generator.sample_rate, generator.num_samples)
        self._mel = mel.to(device_of(generator))
        own = fingerprint_of(generator) if fingerprint is None else fingerprint
        weights = None if classifier is None else digest(classifier.network.head.weight.tolist())
        key = ([f"{power:.3g}" for power in own], weights)
        self.candidates = open_candidates(generator, self._describe, size, key)

    def _first(self, target: Tensor) -> Tensor:
        return self.nearest(target)[:, 0]

    @torch.no_grad()
    def nearest(self, target: Tensor, count: int = 1) -> Tensor:
        """The nearest candidates, (batch, count, latent_dim), in the order of distance.

        Args:
            target: Waveforms (batch, channels, num_samples).
            count: Number of latents for each of them, at most that of the candidates.

        """
        own, other = self.candidates.descriptors, self._describe(target)
        if other.features is None:
            parts = [self._distance(each, own.levels) for each in other.levels]
            distance = torch.stack(parts)
        else:
            distance = torch.cdist(other.levels, own.levels, p=1) / own.levels.shape[1]
        if other.features is not None and other.words is not None:
            assert own.features is not None
            assert own.words is not None
            distance = _LEVEL_WEIGHT * distance + 1 - other.features @ own.features.T
            distance -= _WORD_WEIGHT * other.words.exp() @ own.words.T
        nearest = distance.topk(min(count, len(self.candidates)), largest=False).indices
        return self.candidates.latents[nearest]

    def _distance(self, target: Tensor, candidates: Tensor) -> Tensor:
        """Distances (count,) of levels (count, frames * bands) from those of a clip.

        Frames in which the clip sounds count most, and its onsets more: most of a drum is silence,
        by which a cowbell and a kick are alike.
        """
        frames = target.view(self._mel.size, -1)
        loud = frames.amax(1)
        rise = F.pad(frames.mean(1), (1, 0)).diff().clamp_min(0)
        weight = torch.where(loud > _SOUNDING, 1.0, _SILENT_WEIGHT) + _ONSET_WEIGHT * rise
        weight = (weight / weight.mean()).repeat_interleave(frames.shape[1])
        return ((candidates - target).abs() @ weight) / len(weight)

    def _describe(self, waveforms: Tensor) -> Descriptors:
        """Descriptors of waveforms (batch, channels, samples)."""
        levels = self._mel(waveforms.mean(1)).flatten(1)
        if self.classifier is None:
            return Descriptors(levels, None, None)
        clips = classifier_input(waveforms, self.generator.sample_rate, self.classifier)
        features = self.classifier.embed(clips.to(self.classifier.device))
        words = self.classifier.classify(features).log_softmax(1)
        return Descriptors(levels, F.normalize(features, dim=1), words)
