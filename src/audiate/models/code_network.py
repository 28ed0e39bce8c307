"""Codes in latents, and a small Q-network that recovers them from aligned words."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.audio.config import LogMelConfig
from audiate.audio.log_mel import LogMel
from audiate.audio.stft import full_precision
from audiate.errors import check_range
from audiate.models.configs import CodeConfig

_BANDS, _FRAMES = 32, 24  # size of the network's input, after means over neighbours
_HIDDEN = (256, 128)


def encode_codes(code: CodeConfig, numbers: Tensor) -> Tensor:
    """Entries (batch, size) of z for the numbers (batch,), int64, of codes.

    A binary code is its number in base two, with the highest digit first: code 6 of three bits is
    (1, 1, 0).
    """
    if code.kind == "one-hot":
        return F.one_hot(numbers, code.size).float()
    places = torch.arange(code.size - 1, -1, -1, device=numbers.device)
    return ((numbers.unsqueeze(1) >> places) & 1).float()


def decode_codes(code: CodeConfig, entries: Tensor) -> Tensor:
    """Numbers (batch,), int64, of the codes that are nearest to entries (batch, size) of z."""
    if code.kind == "one-hot":
        return entries.argmax(1)
    places = torch.arange(code.size - 1, -1, -1, device=entries.device)
    return ((entries > 0.5).long() << places).sum(1)


def code_names(code: CodeConfig) -> list[str]:
    """Names of all codes, in the order of their numbers: 0, 1, 2 ..., or 000, 001, 010 ..."""
    if code.kind == "binary":
        return [f"{number:0{code.size}b}" for number in range(code.count)]
    return [str(number) for number in range(code.count)]


def word_front_end(sample_rate: int) -> LogMel:
    """The front end that finds a word and stretches it.

    Raises:
        InputError: The sample rate, in Hz, is below 1,000 or above 192,000.

    """
    check_range("`sample_rate` of words", sample_rate, 1000, 192_000)
    window = max(round(0.032 * sample_rate), 16)
    n_fft = max(1 << (window - 1).bit_length(), 256)
    return LogMel(
        LogMelConfig(
            sample_rate=sample_rate,
            n_fft=n_fft,
            window_length=window,
            hop_length=max(round(0.008 * sample_rate), 1),
            n_mels=48,
            frames=48,
            f_min=min(60.0, sample_rate / 100),
            f_max=min(5000.0, sample_rate / 2),
        )
    )


class WordCodeNetwork(nn.Module):
    """A Q-network on spectrograms in which the word fills every frame.

    Level, silence and speed do not reach it, so it cannot recover a code that the generator hides
    in them; and it is small enough to cost little beside the discriminator. It has two hidden
    layers, and takes levels relative to the clip's peak, at mean 0 and deviation 1 in each clip.

    Args:
        sample_rate: Sample rate of the clips, in Hz.
        size: Number of entries of the code.

    """

    def __init__(self, sample_rate: int, size: int) -> None:
        super().__init__()
        self.features = word_front_end(sample_rate)
        wide, narrow = _HIDDEN
        self.layers = nn.Sequential(
            *(nn.Linear(_BANDS * _FRAMES, wide, bias=False), nn.LayerNorm(wide), nn.ReLU()),
            *(nn.Linear(wide, narrow, bias=False), nn.LayerNorm(narrow), nn.ReLU()),
        )
        self.head = nn.Linear(narrow, size)

    @full_precision
    def power(self, waveforms: Tensor) -> Tensor:
        """Mel power (batch, bands, frames) of waveforms (batch, channels, samples)."""
        mono = waveforms.float().mean(1)
        lengths = torch.full((len(mono),), mono.shape[1], device=mono.device)
        return self.features.mel_power(mono, lengths)

    def embed(self, words: Tensor) -> Tensor:
        """Hidden values (batch, 128), at least 0, of words (batch, bands, frames) in [0, 1]."""
        inputs = F.adaptive_avg_pool2d(words.float().unsqueeze(1), (_BANDS, _FRAMES)).flatten(1)
        spread = inputs.std(1, keepdim=True)
        hidden: Tensor = self.layers((inputs - inputs.mean(1, keepdim=True)) / (spread + 1e-3))
        return hidden

    def read(self, words: Tensor) -> Tensor:
        """Logits (batch, code size) of words (batch, bands, frames) in [0, 1]."""
        logits: Tensor = self.head(self.embed(words))
        return logits

    def forward(self, power: Tensor) -> Tensor:
        """Logits (batch, code size) of mel power (batch, bands, frames)."""
        return self.read(self.features.view(power, self.features.find_words(power)))
