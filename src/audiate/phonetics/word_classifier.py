"""A small classifier of a user's own words, trained on labelled clips in about a minute."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.data.sounds import SoundSet
from audiate.errors import InputError
from audiate.metrics.classification import accuracy
from audiate.models.code_network import WordCodeNetwork
from audiate.models.configs import CodeConfig, WaveGANConfig
from audiate.training.augment import augmented
from audiate.utils.batching import in_batches
from audiate.utils.progress import tracked

_BATCH = 128
_HELD_OUT = 5  # every fifth clip is tested on
_PART = 100
_LEARNING_RATE = 2e-3


class WordClassifier(nn.Module):
    """A classifier of a user's own words.

    It is the small network of `WordCodeNetwork` on words that are stretched to one length, trained
    with labels, and shares nothing with a generator's Q-network.

    Attributes:
        names: The words.
        sample_rate: Sample rate of its clips, in Hz.
        num_samples: Number of samples of a clip.
        accuracy: Share of the held-out clips that it reads right.

    """

    def __init__(self, names: tuple[str, ...], sample_rate: int, num_samples: int) -> None:
        super().__init__()
        self.names = names
        self.sample_rate, self.num_samples = sample_rate, num_samples
        size = max(len(names), 2)
        code = CodeConfig("one-hot", size, "words")
        self.network = WordCodeNetwork(
            WaveGANConfig(sample_rate=sample_rate, latent_dim=size, code=code)
        )
        self.accuracy = float("nan")

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits (batch, words) of waveforms (batch, samples) at its sample rate."""
        logits: Tensor = self.network(self.network.power(waveforms.unsqueeze(1)))
        return logits


def train_word_classifier(sounds: SoundSet, seed: int = 0, *, steps: int = 400) -> WordClassifier:
    """Train a classifier of words on labelled clips, and test it on a fifth of them.

    Args:
        sounds: The clips.
        seed: Seed of the initial weights, of the order of clips and of their changes.
        steps: Number of updates.

    Raises:
        InputError: All clips have one label, or there are less than ten of them.

    """
    if len(sounds.names) < 2 or len(sounds.labels) < 10:
        raise InputError(
            f"{len(sounds.labels)} clips with {len(sounds.names)} label: a classifier needs ten "
            f"clips and two words; put them into sub-folders, or give `label_from`"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = WordClassifier(sounds.names, sounds.sample_rate, sounds.samples.shape[2])
        network = classifier.network
        every = torch.arange(len(sounds.labels))
        power = in_batches(
            lambda part: network.power(sounds.waveforms(part)), every, _PART, "reading the words"
        )
        words = network.features.find_words(power)
        order = torch.randperm(len(every))
        tested, learnt = order[::_HELD_OUT], order[torch.arange(len(order)) % _HELD_OUT > 0]
        optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=1e-2)
        for _ in tracked(range(steps), "training a classifier of the words"):
            rows = learnt[torch.randint(len(learnt), (_BATCH,))]
            changed = augmented(network.features, power[rows], words[rows])
            hidden = F.dropout(network.embed(changed), 0.3)
            loss = F.cross_entropy(network.head(hidden), sounds.labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.inference_mode():
            read = network.read(network.features.view(power[tested], words[tested])).argmax(1)
        classifier.accuracy = accuracy(read, sounds.labels[tested])
    return classifier.eval()
