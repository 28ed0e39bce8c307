"""`audiate evaluate`: the papers' tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from audiate.cli.common import DataDir, Device, Group, Model, keywords
from audiate.errors import InputError, check_range
from audiate.models.hub import (
    DEFAULT_AUDIO_TO_IMAGE,
    DEFAULT_IMAGE_TO_AUDIO,
    ENCODED_GENERATOR,
    SPOKEN_CLASSIFIER,
    WRITTEN_CLASSIFIER,
)

if TYPE_CHECKING:
    from audiate.utils.reports import FigureReport


@dataclass(frozen=True, kw_only=True)
class _Common:
    """Settings of every evaluation."""

    json: bool = False
    """Print JSON instead of tables."""
    device: Device = "auto"
    data_dir: DataDir = None


@dataclass(frozen=True)
class EvaluateModel(_Common):
    """Score a model by the protocol of the paper that it comes from.

    An audio-to-image model is scored by the accuracy of LeNet-5 on the images that it draws for the
    10,000 test pairs, and by how varied these images are beside the MNIST test images. LeNet-5
    itself is scored by its accuracy on the MNIST test images.

    Sounds are scored first by judges that audiate did not train: a speech recogniser, DNSMOS, and
    voicing by Praat, beside real clips and silence.

    A generator of spoken digits is scored by the Inception Score and the Fréchet distance of its
    clips in the classifier of spoken digits, beside those of real clips. That classifier itself is
    scored by its accuracy on the Speech Commands validation clips.

    A codec of speech is scored by what comes back of recordings of speakers that it never heard,
    and a flow of sound likewise with --protocol voices.

    An image-to-audio model is scored by two classifiers on what it says for MNIST's test images,
    and by the sounds' Inception Score and Fréchet distance. A dual encoder is scored by retrieval
    between held-out sounds and images, and by linear classifiers on its vectors.
    """

    model: Model
    """Name of a shipped model, folder of a run or a model, or Hugging Face hub id."""
    protocol: Literal["paper", "speakers", "voices", "refusal"] = "paper"
    """Protocol of the test. paper: on the recordings that its training left out, a tenth of all,
    chosen at random. speakers: the model's recipe is trained again without each speaker in turn,
    and tested on that speaker, audio-to-image models also with noise; finished trainings are
    reused. voices: on the Speech Commands validation clips, clean and with noise. refusal: how many
    of these clips, and of sounds that are no digits, flow-digits refuses. The classifier of spoken
    digits has paper and speakers; all other models have paper alone."""
    seeds: int = 1
    """Number of trainings of an audio-to-image model, with the protocol paper. The recipe is
    trained again with each of the next SEEDS - 1 seeds, each with its own split and pairing, and
    the mean is reported."""
    classifier: str | None = None
    """Name or folder of the classifier of the drawings (default: lenet-mnist), or of the
    generated clips (default: digits-resnet18)."""
    count: int | None = None
    """Number of clips of a generator (default: 5,000), or of MNIST's test images that an
    image-to-audio model says (default: 1,000)."""
    judged: int | None = None
    """Largest number of sounds of each kind that independent judges listen to (default: 500; 0:
    none). They need audiate[judges]."""
    judge: Path | None = None
    """File that holds another classifier, TorchScript (.pt) or ONNX (.onnx). It scores a generator
    by Fréchet distance, IS, mIS and AM. It maps waveforms (batch, samples) of one second to logits
    (batch, classes), and may give features as a second output. TorchScript is a program: take it
    only from those whom you trust."""
    judge_rate: int = 16_000
    """Sample rate of the waveforms that the classifier in that file takes, in Hz."""
    others: Path | None = None
    """Folder with a folder of sounds for each kind of sound that is no digit, with the protocol
    refusal. Folders that are named as a digit are left out, and each kind has at most 100 clips."""
    runs: Path = Path("runs/evaluate")
    """Folder for the models that are trained on the way."""

    def __post_init__(self) -> None:
        check_range("`seeds`", self.seeds, 1, 100)

    def run(self) -> int:
        """Evaluate and print; return the exit status."""
        if self.model in EVALUATE.commands and not Path(self.model).is_dir():
            raise InputError(
                f"{self.model}: no such model; the subcommand goes before all flags, as in "
                f"`audiate evaluate {self.model} --json`"
            )
        from audiate.data.sources import data_root
        from audiate.evaluation.model import evaluate_model

        options = keywords(self, "json", "data_dir", "model")
        report = evaluate_model(self.model, root=data_root(self.data_dir), **options)
        print(report.to_json() if self.json else report.to_text())
        return 0


@dataclass(frozen=True)
class EvaluateInversion(_Common):
    """Score how well the latents of clips are recovered (tables 1 and 2 of Keyes et al. 2020).

    Clips are inverted by each method. Judges that audiate did not train listen to the outputs
    first; then these are scored by Inception Score, MSE, SSIM, accuracy and time. The published
    values stand in the same table, and trivial outputs: silence, and train clips that are looked up
    by their label or by their levels.
    """

    generator: str = ENCODED_GENERATOR
    """Generator whose latents are recovered: name of a shipped model, folder, or hub id."""
    encoder: str | None = None
    """Encoder of that generator: folder of a run, or hub id. Default: the shipped one."""
    classifier: str = SPOKEN_CLASSIFIER
    """Name or folder of the classifier of spoken digits, which also guides the methods ours,
    search and refined."""
    source: Literal["synthesized", "real"] = "synthesized"
    """Clips that are inverted. synthesized: the generator's own clips. real: recordings."""
    protocol: Literal["paper", "default"] = "paper"
    """Protocol of the test. paper: SSIM compares the real parts of spectrograms, as the paper's
    program does. default: SSIM compares levels. Real clips are those of speakers that were in no
    training."""
    methods: Annotated[tuple[str, ...] | None, arg(metavar="METHOD ...")] = None
    """Methods that are scored, any of gradient, encoder, hybrid, ours, unguided, search and
    refined. The default is all of them, without encoder where there is none; hybrid and ours then
    begin with a search."""
    count: int = 500
    """Number of clips."""
    max_iterations: int = 1_000
    """Largest number of iterations of the method gradient (published: 50,000). It also bounds
    hybrid and ours where it is less than --hybrid-iterations, and refined where it is less than its
    40."""
    hybrid_iterations: int = 200
    """Largest number of iterations of hybrid and ours (published: 200). WaveGAN's own clips are
    recovered exactly only after some hundred more."""
    restarts: int = 1
    """Number of latents of a search from which refined begins, and ours where it begins with a
    search. Fewer and fewer of them go on, and the best one is kept."""
    judged: int = 500
    """Largest number of clips of each row that independent judges listen to (0: none). They need
    audiate[judges]."""
    figure: Path | None = None
    """PNG file for the figure. Default: out/inversion-SOURCE.png."""

    def run(self) -> int:
        """Evaluate, print, and draw the figure; return the exit status."""
        from audiate.data.sources import data_root
        from audiate.evaluation.inversion import InversionProtocolSettings, evaluate_inversion
        from audiate.models.generator import GeneratorModel
        from audiate.models.pretrained import load
        from audiate.models.resnet import DigitClassifier
        from audiate.utils.devices import resolve_device
        from audiate.utils.reports import check_figure

        figure = self.figure or Path(f"out/inversion-{self.source}.png")
        check_figure(figure)
        outer = ("json", "device", "data_dir", "generator", "classifier", "figure")
        settings = InversionProtocolSettings(**keywords(self, *outer))
        generator = load(self.generator, GeneratorModel, device=resolve_device(self.device))
        report = evaluate_inversion(
            self.generator,
            generator,
            self.classifier,
            load(self.classifier, DigitClassifier),
            data_root(self.data_dir),
            settings,
        )
        return _show(report, figure, as_json=self.json)


@dataclass(frozen=True)
class EvaluateTradeoff(_Common):
    """Score VAE-GANs with more and less weight on reconstruction, by accuracy against coverage.

    Coverage is the share of the MNIST test images with a drawing near them. The shipped models are
    scored as well. The result is a table and a figure. VAE-GANs that do not exist yet are trained
    first; all five take about 70 minutes on one core.
    """

    classifier: str = WRITTEN_CLASSIFIER
    """Name or folder of the classifier of the drawings."""
    runs: Path = Path("runs/evaluate")
    """Folder for the VAE-GANs. Finished trainings are reused."""
    figure: Path = Path("out/tradeoff.png")
    """PNG file for the figure."""

    def run(self) -> int:
        """Train what is missing, evaluate, print, and draw the figure; return the exit status."""
        from audiate.data.sources import data_root
        from audiate.evaluation.tradeoff import evaluate_tradeoff
        from audiate.evaluation.trained import TrainingPlace
        from audiate.models.lenet import LeNet
        from audiate.models.pretrained import load
        from audiate.utils.reports import check_figure

        check_figure(self.figure)
        place = TrainingPlace(data_root(self.data_dir), self.runs, self.device)
        report = evaluate_tradeoff(load(self.classifier, LeNet), place)
        return _show(report, self.figure, as_json=self.json)


@dataclass(frozen=True)
class EvaluateRoundTrip(_Common):
    """Score sound to image to sound, and image to sound to image.

    Pairs that `audiate imagine` samples are scored as well. Judges that audiate did not train
    listen to all sounds first. LeNet-5 classifies images; the classifier of spoken digits and a
    second classifier classify sounds. The result is a table and a figure.
    """

    drawer: str = DEFAULT_AUDIO_TO_IMAGE
    """Latent flow: name of a shipped model, folder, or hub id."""
    sayer: str = DEFAULT_IMAGE_TO_AUDIO
    """Image-to-audio model: name of a shipped model, folder, or hub id."""
    classifier: str = SPOKEN_CLASSIFIER
    """Name or folder of the classifier of spoken digits."""
    count: int = 300
    """Number of MNIST's test images that are said, and of pairs that are imagined."""
    judged: int = 500
    """Largest number of sounds of each row that independent judges listen to (0: none). They need
    audiate[judges]."""
    seed: int = 0
    """Seed of sounds and images."""
    figure: Path = Path("out/roundtrip.png")
    """PNG file for the figure."""

    def __post_init__(self) -> None:
        check_range("`count`", self.count, 100, 10_000)
        check_range("`judged`", self.judged, 0, 10_000)
        check_range("`seed`", self.seed, 0, 2**63 - 1)

    def run(self) -> int:
        """Evaluate, print, and draw the figure; return the exit status."""
        from audiate.data.sources import data_root
        from audiate.evaluation.roundtrip import evaluate_roundtrip
        from audiate.models.audio_to_image import AudioToImageModel
        from audiate.models.image_to_audio import ImageToAudioModel
        from audiate.models.lenet import LeNet
        from audiate.models.pretrained import load
        from audiate.models.resnet import DigitClassifier
        from audiate.utils.devices import resolve_device
        from audiate.utils.reports import check_figure

        check_figure(self.figure)
        device = resolve_device(self.device)
        report = evaluate_roundtrip(
            (self.drawer, self.sayer),
            load(self.drawer, AudioToImageModel, device=device),
            load(self.sayer, ImageToAudioModel, device=device),
            load(self.classifier, DigitClassifier).to(device),
            load(WRITTEN_CLASSIFIER, LeNet).to(device),
            data_root(self.data_dir),
            count=self.count,
            judged=self.judged,
            seed=self.seed,
        )
        return _show(report, self.figure, as_json=self.json)


def _show(report: FigureReport, figure: Path, *, as_json: bool) -> int:
    report.save_figure(figure)
    print(report.to_json() if as_json else f"{report.to_text()}\nfigure: {figure}")
    return 0


EVALUATE = Group(
    """Print the papers' tables.

    `audiate evaluate NAME` is short for `audiate evaluate model NAME`.
    """,
    {
        "model": EvaluateModel,
        "inversion": EvaluateInversion,
        "tradeoff": EvaluateTradeoff,
        "roundtrip": EvaluateRoundTrip,
    },
    default="model",
)
