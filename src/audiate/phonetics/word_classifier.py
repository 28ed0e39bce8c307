"""A small classifier of a user's own words, trained on labelled clips in about a minute."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.data.sounds import SoundSet
from audiate.errors import InputError
from audiate.metrics.classification import accuracy
from audiate.models.code_network import WordCodeNetwork
from audiate.training.augment import augmented
from audiate.utils.batching import in_batches
from audiate.utils.progress import tracked

NONE = "none of these"
"""Name of the class that noise, silence and cut words are sorted into."""

_BATCH = 128
_OTHERS = 3  # clips of that class for each clip of a word, in the mean
_CUT = (0.1, 0.3)  # share of a word's energy that is left of a cut one
_HELD_OUT = 5  # every fifth clip is tested on
_PART = 100
_LEARNING_RATE = 2e-3


class WordClassifier(nn.Module):
    """A classifier of a user's own words.

    It is the small network of `WordCodeNetwork` on words that are stretched to one length, trained
    with labels, and shares nothing with a generator's Q-network. What is none of the words, such
    as noise or half a word, is a class of its own, the last one.

    Attributes:
        names: The words, and `NONE`.
        sample_rate: Sample rate of its clips, in Hz.
        num_samples: Number of samples of a clip.
        accuracy: Share of the held-out clips that it reads right.
        refused: Share of noise, silence and cut words of held-out clips that it reads as `NONE`.

    """

    def __init__(self, names: tuple[str, ...], sample_rate: int, num_samples: int) -> None:
        super().__init__()
        self.names = (*names, NONE)
        self.sample_rate, self.num_samples = sample_rate, num_samples
        self.network = WordCodeNetwork(sample_rate, len(self.names))
        self.accuracy = self.refused = float("nan")

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits (batch, words) of waveforms (batch, samples) at its sample rate."""
        logits: Tensor = self.network(self.network.power(waveforms.unsqueeze(1)))
        return logits


def train_word_classifier(sounds: SoundSet, seed: int = 0, *, steps: int = 500) -> WordClassifier:
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
        order = torch.randperm(len(sounds.labels))
        tested, learnt = order[::_HELD_OUT], order[torch.arange(len(order)) % _HELD_OUT > 0]
        power, labels = _described(network, sounds, learnt)
        words = network.features.find_words(power)
        # What is no word is learnt as often as one word is.
        weight = torch.ones(len(labels))
        weight[labels == len(sounds.names)] /= _OTHERS * len(sounds.names)
        optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=1e-2)
        for _ in tracked(range(steps), "training a classifier of the words"):
            rows = weight.multinomial(_BATCH, replacement=True)
            changed = augmented(network.features, power[rows], words[rows])
            hidden = F.dropout(network.embed(changed), 0.3)
            loss = F.cross_entropy(network.head(hidden), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        power, labels = _described(network, sounds, tested)
        with torch.inference_mode():
            read = network(power).argmax(1)
        said = labels < len(sounds.names)
        classifier.accuracy = accuracy(read[said], labels[said])
        classifier.refused = accuracy(read[~said], labels[~said])
    return classifier.eval()


def _described(network: WordCodeNetwork, sounds: SoundSet, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mel power and labels of some clips (n,), followed by those of clips that are no words."""

    def read(part: Tensor) -> Tensor:
        return network.power(sounds.waveforms(part))

    def no_word(part: Tensor) -> Tensor:
        return network.power(others(sounds.waveforms(part)))

    power = in_batches(read, rows, _PART, "reading the words")
    parts = [
        power,
        *(in_batches(no_word, rows, _PART, "making what is no word") for _ in range(_OTHERS)),
    ]
    none = torch.full((_OTHERS * len(rows),), len(sounds.names))
    return torch.cat(parts), torch.cat([sounds.labels[rows], none])


def others(waveforms: Tensor) -> Tensor:
    """Make sounds that are none of the words: noise, silence and cut words, a third each.

    Noise is a burst of random colour, length and attack; silence is faint steady noise; a cut word
    is its beginning or its end, with a tenth to three tenths of its energy.

    Args:
        waveforms: Clips (batch, channels, samples) of words.

    """
    batch, _, samples = waveforms.shape
    time = torch.arange(samples) / samples
    slope = torch.empty(batch, 1).uniform_(-1.5, 0.5)
    hertz = torch.arange(1, samples // 2 + 2)
    spectrum = torch.fft.rfft(torch.randn(batch, samples)) * hertz**slope
    noise = torch.fft.irfft(spectrum, samples)
    begin, length, attack = (torch.rand(batch, 1) for _ in range(3))
    end = begin / 2 + 0.05 + 0.95 * length
    burst = ((time - begin / 2) / (0.001 + attack / 5)).clamp(0, 1) * ((end - time) * 50).clamp(
        0, 1
    )
    noise = noise / noise.abs().amax(1, keepdim=True)
    energy = waveforms.square().mean(1).cumsum(1)
    share = energy / energy[:, -1:].clamp_min(1e-12)
    least, most = _CUT
    kept = least + (most - least) * torch.rand(batch, 1)
    first = torch.rand(batch, 1) < 0.5
    cut = waveforms * torch.where(first, share < kept, share > 1 - kept).unsqueeze(1)
    kind = torch.randint(3, (batch, 1, 1))
    sounds = torch.where(kind == 0, (noise * burst).unsqueeze(1), 1e-3 * noise.unsqueeze(1))
    return torch.where(kind == 2, cut, sounds.expand_as(cut))
