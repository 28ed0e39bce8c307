"""A dual encoder: sounds and images in one space, where they are compared."""

from math import log
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiate.data.images import Picture
from audiate.models.audio_to_image import SpeechModel
from audiate.models.configs import DualEncoderConfig
from audiate.models.hub import DEFAULT_DUAL_ENCODER
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import see_picture
from audiate.models.residual import ImageNetwork, SoundNetwork

_LATER = 3  # frames by which a sound is moved
_LENGTHS = (1.1, 0.9)
_PITCHES = (1.06, 0.95)  # factors by which the mel axis is stretched
_FAINTER = 0.92


class ChangedSounds(NamedTuple):
    """Vectors of sounds as they are and changed slightly, from `DualEncoder.embed_changed`.

    Attributes:
        vectors: (changes, sounds, embedding_dim), each of length 1.
        usual: (changes, sounds): the logarithm of each one's mean density ratio with the reference
            images; 0 where the model has none.

    """

    vectors: Tensor
    usual: Tensor


class DualEncoder(SpeechModel):
    """Scores how well a sound and an image belong together.

    An audio encoder and an image encoder make vectors of length 1. The cosine of two vectors,
    scaled and shifted, is the logarithm of how much likelier the two are together than each by
    itself, log p(sound, image) / (p(sound) p(image)).
    Arandjelović and Zisserman 2017 learn sight and sound by their correspondence alone, and compare
    vectors of two encoders in 2018. The audio encoder is a network of the same kind as the latent
    flow's condition network, whose weights it may have. The vectors of some train images are kept
    as *references*: an unclear sound has high scores with many of them.
    """

    model_type: ClassVar[str] = "dual-encoder"
    config_class: ClassVar[type] = DualEncoderConfig
    pipeline_tag: ClassVar[str] = "feature-extraction"
    refusal: ClassVar[str] = f"does not match sounds and images; {DEFAULT_DUAL_ENCODER} does"
    embedding_dim: ClassVar[int] = 128

    def __init__(self, config: DualEncoderConfig | None = None) -> None:
        super().__init__(config)
        self.audio_encoder = SoundNetwork(LatentFlow.condition_dim)
        self.audio_head = nn.Sequential(
            nn.ReLU(), nn.Linear(LatentFlow.condition_dim, self.embedding_dim)
        )
        self.image_encoder = ImageNetwork(self.embedding_dim)
        self.log_scale = nn.Parameter(torch.tensor(log(5.0)))
        self.shift = nn.Parameter(torch.tensor(-2.0))
        self.references: Tensor
        vectors = torch.zeros(self.config.references, self.embedding_dim, device="cpu")
        # A model without references stores nothing of them.
        self.register_buffer("references", vectors, persistent=len(vectors) > 0)

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words."""
        return f"log-mel 48x48, image 28x28 → {self.embedding_dim}"

    def preprocess_image(self, picture: Picture) -> Tensor:
        """The network's input of a picture: an image (28, 28) in [0, 1].

        Raises:
            InputError: The picture holds no digit or several, or is too large, or none.

        """
        return see_picture(picture, self.config.pictures)

    def embed_sounds(self, spectrograms: Tensor) -> Tensor:
        """Vectors (batch, embedding_dim) of length 1 of spectrograms (batch, 48, 48)."""
        return F.normalize(self.audio_head(self.audio_encoder(spectrograms)), dim=1)

    def embed_images(self, images: Tensor) -> Tensor:
        """Vectors (batch, embedding_dim) of length 1 of images (batch, 28, 28) in [0, 1]."""
        return F.normalize(self.image_encoder(images), dim=1)

    def scores(self, sounds: Tensor, images: Tensor) -> Tensor:
        """Scores (sounds, images) of all pairs of vectors: logarithms of density ratios.

        Args:
            sounds: Vectors (sounds, embedding_dim), as `embed_sounds` gives them.
            images: Vectors (images, embedding_dim), as `embed_images` gives them.

        """
        return self.log_scale.exp() * sounds @ images.T + self.shift

    def embed_changed(self, spectrograms: Tensor) -> ChangedSounds:
        """Vectors of spectrograms (batch, 48, 48) as they are, and after six slight changes."""
        vectors = torch.stack([self.embed_sounds(each) for each in _slightly_changed(spectrograms)])
        if not len(self.references):
            return ChangedSounds(vectors, vectors.new_zeros(vectors.shape[:2]))
        ratios = self.scores(vectors, self.references)
        return ChangedSounds(vectors, ratios.logsumexp(2) - log(len(self.references)))

    def calibrated_scores(self, sounds: ChangedSounds, images: Tensor) -> Tensor:
        """Scores (sounds, images) by which an image chooses among sounds.

        A sound that may be one thing or another has a high score with images of both. So each score
        is taken against the sound's mean density ratio with the reference images, which makes of it
        the logarithm of p(image | sound) / p(image) whatever the training has left wrong (the
        inverted softmax of Smith et al. 2017); and of the sound and its slight changes, the lowest
        score counts, as a clear sound stays what it is.

        Args:
            sounds: As `embed_changed` gives them.
            images: Vectors (images, embedding_dim), as `embed_images` gives them.

        """
        scores = self.scores(sounds.vectors, images) - sounds.usual.unsqueeze(2)
        return scores.amin(0)

    def forward(self, spectrograms: Tensor, images: Tensor) -> Tensor:
        """Scores (sounds, images) of all pairs of spectrograms and images."""
        return self.scores(self.embed_sounds(spectrograms), self.embed_images(images))


def _slightly_changed(spectrograms: Tensor) -> list[Tensor]:
    """Spectrograms (batch, n_mels, frames); then later, longer, shorter, higher, lower, fainter."""
    later = F.pad(spectrograms[:, :, :-_LATER], (_LATER, 0))
    longer = [_stretched(spectrograms, factor) for factor in _LENGTHS]
    higher = [_stretched(spectrograms.transpose(1, 2), factor) for factor in _PITCHES]
    others = [each.transpose(1, 2).contiguous() for each in higher]
    return [spectrograms, later, *longer, *others, _FAINTER * spectrograms]


def _stretched(spectrograms: Tensor, factor: float) -> Tensor:
    """Spectrograms (batch, rows, columns), stretched along columns, whose number stays."""
    columns = spectrograms.shape[2]
    stretched = F.interpolate(spectrograms, scale_factor=factor, mode="linear")[:, :, :columns]
    return F.pad(stretched, (0, columns - stretched.shape[2]))
