"""The configuration of each network, as plain values.

Nothing here imports torch, so that the command line can offer these values as flags at once.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

from audiate.audio.config import SPECTROGRAM_SIZE, LogMelConfig, SpectrogramKind, check_sample_rate
from audiate.errors import InputError, check_range
from audiate.models.hub import DEFAULT_GENERATOR

PictureKind = Literal["digits", "whole"]

Solver = Literal["euler", "midpoint", "heun", "rk4"]

Bands = Literal["linear", "mel", "published"]

InputKind = Literal["mel", "log", "real"]

MAX_NETWORK_SAMPLES = 2**20
"""Limit of a clip's samples for networks whose layers grow with it: 65 s at 16,000 Hz."""

MAX_GENERATED_SAMPLES = 2**22
"""Limit of a generator's clip, in samples: 95 s at 44,100 Hz."""

WAVEGAN_STRIDES = {
    16_384: (4, 4, 4, 4, 4),
    32_768: (4, 4, 4, 4, 4, 2),
    65_536: (4, 4, 4, 4, 4, 4),
}
"""The strides of WaveGAN's layers, by the number of samples that it generates."""


@dataclass(frozen=True)
class SpeechModelConfig:
    """Settings of every model of spoken words, which are those of its front end.

    Raises `InputError` if the front end does not make spectrograms of 48x48.
    """

    features: LogMelConfig = field(default_factory=LogMelConfig)

    def __post_init__(self) -> None:
        check_range("n_mels", self.features.n_mels, SPECTROGRAM_SIZE, SPECTROGRAM_SIZE)
        check_range("frames", self.features.frames, SPECTROGRAM_SIZE, SPECTROGRAM_SIZE)


@dataclass(frozen=True)
class DualEncoderConfig(SpeechModelConfig):
    """Settings of the dual encoder, whose networks are fixed and whose front end is not.

    Raises `InputError` where a value is out of range.

    Attributes:
        pictures: The part of a picture that the network takes. ``digits``: the digit that is found
            in it. ``whole``: all of it, as of pairs of your own.
        references: Number of train images whose vectors are kept, by which scores are calibrated.

    """

    pictures: PictureKind = "digits"
    references: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("pictures", self.pictures, PictureKind)
        check_range("references", self.references, 0, 10**5)


MIN_SIZE, MAX_SIZE, SIZE_STEP = 28, 64, 4
"""Limits of the height and width of a drawn image, in pixels, and what they are a multiple of."""


@dataclass(frozen=True, kw_only=True)
class DrawingConfig(SpeechModelConfig):
    """Settings of models that draw images of any size, in grey or in colour.

    Raises `InputError` where a value is out of range.

    Attributes:
        image_size: Height and width of an image, in pixels: a multiple of 4.
        image_channels: 1 for grey, 3 for red, green and blue.

    """

    image_size: int = MIN_SIZE
    image_channels: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image(self.image_size, self.image_channels)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image: (height, width) in grey, (3, height, width) in colour."""
        square = (self.image_size, self.image_size)
        return square if self.image_channels == 1 else (self.image_channels, *square)


@dataclass(frozen=True)
class VAEConfig(DrawingConfig):
    """Settings of the VAE, whose network is the paper's for grey images of 28x28."""


@dataclass(frozen=True)
class VAEGANConfig(SpeechModelConfig):
    """Settings of the VAE-GAN, whose networks are fixed by the paper and whose front end is not."""


@dataclass(frozen=True)
class LatentFlowConfig(DrawingConfig):
    """Settings of a latent flow. Its own may be changed after the training, too.

    Raises `InputError` where a value is out of range.

    Attributes:
        steps: Number of steps from noise to drawing.
        guidance: Weight of p(image | sound) against p(image). 1 samples from the former; more
            makes images easier to read and less varied (Ho & Salimans 2022, who call it 1 + w).
        solver: Kind of the steps. ``midpoint`` and ``heun`` take twice as long as ``euler``.
        digit_score: Whether the weights hold a `DigitScore`.

    """

    steps: int = 5
    guidance: float = 1.5
    solver: Solver = "midpoint"
    digit_score: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("solver", self.solver, Solver)
        check_range("steps", self.steps, 1, 1000)
        check_range("guidance", self.guidance, 0, 100)


@dataclass(frozen=True)
class LeNetConfig:
    """Settings of LeNet-5, of which there are none."""


@dataclass(frozen=True)
class DigitClassifierConfig:
    """Configuration of the classifier of spoken digits.

    Raises `InputError` where a value is out of range.
    """

    spectrogram: SpectrogramKind = "log"
    """Kind of spectrogram that the network takes. log: levels in decibels. real: the real part of
    the transform, as in the paper."""
    sample_rate: int = 16_000
    """Sample rate of a clip, in Hz."""
    num_samples: int = 16_384
    """Number of samples of a clip. Clips of another length are cut or padded beforehand."""

    def __post_init__(self) -> None:
        _check_choice("`spectrogram`", self.spectrogram, SpectrogramKind)
        check_sample_rate(self.sample_rate, "`sample_rate`")
        check_range("`num_samples`", self.num_samples, 256, MAX_NETWORK_SAMPLES)


@dataclass(frozen=True)
class AudioGANSizes:
    """Sizes that WaveGAN and SpecGAN have in common, and that do not depend on the data.

    Raises `InputError` where a value is out of range.
    """

    dim: int = 64
    """Width of the networks: number of channels of the discriminator's first layer. Published:
    64."""
    latent_dim: int = 100
    """Number of values in a latent. Published: 100."""
    num_samples: int = 16_384
    """Number of samples of a clip. WaveGAN makes 16,384, 32,768 or 65,536. 0: as long as the files
    of a folder are, and 16,384 for spoken digits."""
    channels: int = 1
    """Number of channels of a clip: 1 for mono, 2 for stereo. 0: as many as the files of a folder
    have, and 1 for spoken digits."""
    batch_norm: bool = False
    """Normalise the generator's hidden layers (Ioffe and Szegedy 2015). Published: no."""

    def __post_init__(self) -> None:
        check_range("`dim`", self.dim, 1, 1024)
        check_range("`latent_dim`", self.latent_dim, 1, 100_000)
        check_range("`channels`", self.channels, 0, 2)
        if self.num_samples:
            check_range("`num_samples`", self.num_samples, 256, MAX_GENERATED_SAMPLES)


CodeKind = Literal["none", "one-hot", "binary"]

CodeNetworkKind = Literal["none", "published", "words"]

MAX_CODES = 256
"""Limit of the number of codes, one-hot or binary."""

_CODE_OR_LABEL = "code: the first entries are a code or tell a label, never both"


@dataclass(frozen=True)
class CodeConfig:
    """The code that the first entries of a latent are, in a ciwGAN or fiwGAN (Beguš 2021).

    Raises `InputError` where a value is out of range.

    Attributes:
        kind: none: all entries are uniform in [-1, 1]. one-hot: one of the first ``size`` entries
            is 1, the others are 0 (ciwGAN). binary: each of them is 0 or 1 (fiwGAN).
        size: Number of entries that are the code.
        network: The network that recovers the code from the sound, the Q-network. published: the
            discriminator's architecture. words: a small network on spectrograms in which the word
            fills every frame. none: it is not kept.
        judged: Whether the discriminator is given the code of a clip (Miyato and Koyama 2018).

    """

    kind: CodeKind = "none"
    size: int = 0
    network: CodeNetworkKind = "none"
    judged: bool = False

    def __post_init__(self) -> None:
        _check_choice("code kind", self.kind, CodeKind)
        _check_choice("code network", self.network, CodeNetworkKind)
        least = {"none": 0, "one-hot": 2, "binary": 1}[self.kind]
        most = {"none": 0, "one-hot": MAX_CODES, "binary": MAX_CODES.bit_length() - 1}[self.kind]
        check_range("code size", self.size, least, most)

    @property
    def count(self) -> int:
        """Number of codes; 0 without any."""
        return 2**self.size if self.kind == "binary" else self.size


@dataclass(frozen=True)
class AudioGANConfig(AudioGANSizes):
    """Configuration that WaveGAN and SpecGAN have in common: their sizes, and facts of the data.

    Raises `InputError` where a value is out of range.
    """

    sample_rate: int = 16_000
    """Sample rate of the sound, in Hz."""
    classes: int = 0
    """Number of labels that sounds have; see `audiate.models.AudioGAN`. Published: 0."""
    names: tuple[str, ...] = ()
    """Names of the labels: as many as there are classes, or none."""
    label_sharpness: float = 20.0
    """Factor of the softmax by which the largest of the first ``classes`` entries of z chooses the
    label, when sound is generated. In training it is 20, so that the choice has gradients."""
    discriminator: bool = True
    """Whether the discriminator is kept with the generator. Only training needs it."""
    code: CodeConfig = field(default_factory=CodeConfig)
    """The code that the first entries of a latent are. Published by Donahue et al.: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("channels", self.channels, 1, 2)
        check_range("num_samples", self.num_samples, 1, MAX_GENERATED_SAMPLES)
        if self.code.count and self.classes:
            raise InputError(_CODE_OR_LABEL)
        check_range("code size", self.code.size, 0, self.latent_dim)
        if len(self.names) not in (0, self.classes):
            raise InputError(f"names: {len(self.names)} of them for {self.classes} classes")
        _check_printable("names", self.names)
        check_sample_rate(self.sample_rate, "`sample_rate`")
        check_range("classes", self.classes, 0, self.latent_dim)
        check_range("label_sharpness", self.label_sharpness, 0, 10**6)


@dataclass(frozen=True)
class WaveGANSizes(AudioGANSizes):
    """Sizes of WaveGAN's networks, which generate 16,384, 32,768 or 65,536 samples.

    Raises `InputError` where a value is out of range.
    """

    phase_shuffle: int = 2
    """Largest shift of the discriminator's activations, in samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("`phase_shuffle`", self.phase_shuffle, 0, 60)
        if self.num_samples not in (0, *WAVEGAN_STRIDES):
            known = ", ".join(f"{length:,}" for length in WAVEGAN_STRIDES)
            raise InputError(f"`num_samples` {self.num_samples:,}: WaveGAN makes one of {known}")


@dataclass(frozen=True)
class WaveGANConfig(WaveGANSizes, AudioGANConfig):
    """Configuration of a trained WaveGAN: its sizes, and facts of the data."""


@dataclass(frozen=True)
class SpecGANSizes(AudioGANSizes):
    """Sizes of SpecGAN's networks and of the spectrograms they make.

    The defaults are the paper's, but for `bands`, which are to be ``published``.

    Raises `InputError` where a value is out of range, or the values do not fit each other.
    """

    size: Literal[64, 128] = 128
    """Number of frames of a spectrogram, and of its bands."""
    bands: Bands = "linear"
    """Kind of bands. linear: all frequencies of the transform but the highest. mel: mel bands.
    published: as linear, but magnitudes rather than power, in frames that begin at each hop."""
    n_fft: int = 256
    """Length of the Fourier transform, in samples. 0: about four times the distance of frames."""
    kernel: Literal[4, 5] = 5
    """Size of the convolutions' kernels, in frames and in bands."""
    iterations: int = 16
    """Number of iterations of the algorithm that finds the phases (Griffin and Lim)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("`iterations`", self.iterations, 1, 10_000)
        _check_choice("`size`", self.size, Literal[64, 128])
        _check_choice("`kernel`", self.kernel, Literal[4, 5])
        _check_choice("`bands`", self.bands, Bands)
        if not self.num_samples:
            return  # the rest is checked when the length is known
        check_range("`num_samples`", self.num_samples, 64 * self.size, MAX_GENERATED_SAMPLES)
        if self.num_samples % self.size:
            raise InputError(f"`num_samples` {self.num_samples}: give a multiple of {self.size}")
        self._check_transform(self.num_samples // self.size)

    def _check_transform(self, hop_length: int) -> None:
        if not self.n_fft:
            return
        if self.n_fft < 2 * hop_length:
            raise InputError(
                f"`n_fft` {self.n_fft}: frames are {hop_length} samples apart, as {self.size} of "
                f"them share {self.num_samples:,} samples, and must overlap by half; give "
                f"{2 * hop_length} or more, or fewer `num_samples`"
            )
        longest = max(2 * hop_length, min(16 * hop_length, 2**16))
        check_range("`n_fft`", self.n_fft, 2 * hop_length, longest)
        if self.n_fft > 2**16:
            raise InputError(f"`num_samples` {self.num_samples}: too many for {self.size} frames")
        if self.bands != "mel" and self.n_fft != 2 * self.size:
            raise InputError(
                f"`n_fft` {self.n_fft}: {self.size} linear bands come of {2 * self.size} samples"
            )
        if self.bands == "published" and self.n_fft != 2 * hop_length:
            raise InputError(
                f"`num_samples` {self.num_samples}: {self.size} published bands are of clips of "
                f"{self.size**2} samples; give that, or `bands=linear`"
            )


@dataclass(frozen=True)
class SpecGANConfig(SpecGANSizes, AudioGANConfig):
    """Configuration of a trained SpecGAN: its sizes, and facts of the data."""


@dataclass(frozen=True)
class LatentEncoderConfig:
    """Settings of an encoder: its input, and the generator whose latents it gives.

    Raises `InputError` where a value is out of range.

    Attributes:
        latent_dim: Number of entries of a latent.
        sample_rate: Sample rate of a clip, in Hz.
        num_samples: Number of samples of a clip.
        channels: Number of channels, 1 or 2, of which the encoder takes the mean.
        spectrogram: Kind of spectrogram. ``mel``: 64 frames of 64 mel bands. ``real``: the paper's
            real part, 128 frames of 129 bins for a clip of 16,384 samples. ``log``: the levels of
            those.
        generator: Name of the generator that is inverted, for messages.
        fingerprint: Numbers by which that generator is recognised, of `audiate.models.fingerprint`.

    """

    latent_dim: int = 100
    sample_rate: int = 16_000
    num_samples: int = 16_384
    channels: int = 1
    spectrogram: InputKind = "mel"
    generator: str = ""
    fingerprint: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_range("latent_dim", self.latent_dim, 1, 10**6)
        check_sample_rate(self.sample_rate)
        _check_choice("spectrogram", self.spectrogram, InputKind)
        # The mel spectrogram has one size, whatever the clip's.
        limit = MAX_GENERATED_SAMPLES if self.spectrogram == "mel" else MAX_NETWORK_SAMPLES
        check_range("num_samples", self.num_samples, 256, limit)
        check_range("channels", self.channels, 1, 2)
        _check_printable("generator", [self.generator])


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of the codec.

    Raises `InputError` where a value is out of range.
    """

    sample_rate: int = 16_000
    """Sample rate of the sound, in Hz."""
    width: int = 256
    """Number of channels of the hidden layers."""
    latent_channels: int = 16
    """Number of values of a latent, of which there is one for each 512 samples."""

    def __post_init__(self) -> None:
        check_sample_rate(self.sample_rate, "`sample_rate`")
        check_range("`width`", self.width, 8, 4096)
        check_range("`latent_channels`", self.latent_channels, 2, 1024)


@dataclass(frozen=True, kw_only=True)
class CodecFlowConfig:
    """Settings of every flow over the latents of a codec; some may be changed after the training.

    Raises `InputError` where a value is out of range.

    Attributes:
        num_samples: Number of samples of a clip, a multiple of 1,024.
        width: Number of channels of the velocity network, a multiple of 64.
        blocks: Number of its blocks.
        dropout: Share of what each block adds that is left out in training.
        steps: Number of steps from noise to latents, which may be changed.
        guidance: Weight of the condition, as in `LatentFlowConfig`, which may be changed.
        solver: Kind of the steps, which may be changed.

    """

    num_samples: int = 16_384
    width: int = 320
    blocks: int = 5
    dropout: float = 0.1
    steps: int = 5
    guidance: float = 1.5
    solver: Solver = "rk4"

    def __post_init__(self) -> None:
        check_range("`num_samples`", self.num_samples, 1024, MAX_NETWORK_SAMPLES)
        check_range("`width`", self.width, 64, 4096)
        for name, multiple in (("num_samples", 1024), ("width", 64)):
            if getattr(self, name) % multiple:
                raise InputError(f"`{name}` {getattr(self, name)}: give a multiple of {multiple:,}")
        check_range("`blocks`", self.blocks, 1, 64)
        check_range("`dropout`", self.dropout, 0, 0.9)
        _check_choice("solver", self.solver, Solver)
        check_range("steps", self.steps, 1, 1000)
        check_range("guidance", self.guidance, 0, 100)


@dataclass(frozen=True)
class SpeechFlowConfig(CodecFlowConfig):
    """Settings of a latent flow of sound.

    Raises `InputError` where a value is out of range.

    Attributes:
        codec: Sizes of the codec that is part of the model.
        classes: Number of labels that sounds have.
        names: Names of the labels: as many as there are classes, or none.
        code: The code that the first entries of a latent are, in place of labels.

    """

    codec: CodecConfig = field(default_factory=CodecConfig)
    classes: int = 0
    names: tuple[str, ...] = ()
    code: CodeConfig = field(default_factory=CodeConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("classes", self.classes, 0, 10_000)
        if len(self.names) not in (0, self.classes):
            raise InputError(f"names: {len(self.names)} of them for {self.classes} classes")
        _check_printable("names", self.names)
        if self.code.kind == "binary":
            raise InputError("code kind binary: codes of a flow are one-hot")
        if self.code.count and self.classes:
            raise InputError(_CODE_OR_LABEL)


@dataclass(frozen=True)
class ImageToAudioConfig(CodecFlowConfig):
    """Settings of a model that says images.

    Raises `InputError` where a value is out of range.

    Attributes:
        codec: Name, folder or hub id of the codec, or of a flow of sound that holds it.
        network: Sizes of that codec.
        fingerprint: As in `LatentEncoderConfig`, of the codec.
        pictures: As in `DualEncoderConfig`.

    """

    codec: str = DEFAULT_GENERATOR
    network: CodecConfig = field(default_factory=CodecConfig)
    fingerprint: tuple[float, ...] = ()
    pictures: PictureKind = "digits"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_printable("codec", [self.codec])
        _check_choice("pictures", self.pictures, PictureKind)


def check_image(size: int, channels: int) -> None:
    """Refuse a size or a number of channels of images that no model draws."""
    check_range("`image_size`", size, MIN_SIZE, MAX_SIZE)
    if size % SIZE_STEP:
        raise InputError(f"`image_size` {size}: give a multiple of {SIZE_STEP}")
    if channels not in (1, 3):
        raise InputError(f"`image_channels` {channels}: give 1 for grey, or 3 for colour")


def _check_choice(name: str, value: object, choices: object) -> None:
    """Refuse a value that is none of a `Literal`'s."""
    *others, last = map(str, get_args(choices))
    if value not in get_args(choices):
        raise InputError(f"{name} {value!r}: give {', '.join(others)} or {last}")


def _check_printable(name: str, values: tuple[str, ...] | list[str]) -> None:
    """Refuse text that would control a terminal it is printed to."""
    for value in values:
        if not value.isprintable():
            raise InputError(f"{name} {value!r}: give printable characters alone")
