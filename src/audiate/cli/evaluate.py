"""`audiate evaluate`: the papers' tables."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from audiate.cli.generate import DEFAULT_GENERATOR
from audiate.errors import InputError, check_range

TRADEOFF = "tradeoff"
INVERSION = "inversion"


_OF_INVERSION = {"generator", "encoder", "source", "methods", "max_iterations"}


@dataclass(frozen=True)
class Evaluate:
    """Score a model as the papers do.

    A drawing model: LeNet-5's accuracy on images drawn from the 10,000 test pairs, for the model's
    one best image and for samples, per digit; and how varied the samples are beside the MNIST test
    images. LeNet-5 itself: its accuracy on those.

    A generator of spoken digits: Inception Score and Fréchet distance by the judge of spoken
    digits, beside those of real clips. That judge itself: its accuracy on the validation clips of
    Speech Commands; with --protocol speakers, on each FSDD speaker that it was trained without.

    `audiate evaluate inversion`: tables 1 and 2 of the paper on latent recovery: clips, synthesized
    by --generator or real ones, inverted by gradients, by the encoder, by both, and by our own
    method; Inception Score, MSE, SSIM, accuracy and time, beside the paper's.

    `audiate evaluate tradeoff`: accuracy against coverage (the share of test images with a drawing
    near them) of VAE-GANs with more and less weight on reconstruction, beside the shipped models,
    as a table and a figure. VAE-GANs that are not there are trained first: all five take about 70
    minutes on one core.
    """

    model: Positional[Annotated[str, arg(metavar="MODEL|inversion|tradeoff")]]
    """A shipped model's name, a run's or a model's folder, a Hugging Face hub id, or
    inversion or tradeoff."""
    protocol: Literal["paper", "default", "speakers", "voices"] = "paper"
    """paper: recordings split 90/10 at random. speakers: the model's recipe is trained anew
    without each speaker in turn, and tested on that speaker, with added noise as well; finished
    trainings are reused. voices: the Speech Commands validation clips, clean and noisy. default,
    for inversion: real clips of speakers that nobody has heard, and SSIM of levels."""
    seeds: int = 1
    """With the paper protocol: also train the recipe with the next SEEDS - 1 seeds, each with its
    own split and pairing, and report the mean."""
    json: bool = False
    """Print JSON in place of tables."""
    judge: str | None = None
    """Who reads the drawings, or hears the generated speech. Default: lenet-mnist, a LeNet-5, or
    digits-resnet18, a ResNet-18."""
    count: int | None = None
    """Clips that a generator is to make (default: 5,000), or that are inverted (500)."""
    generator: str = DEFAULT_GENERATOR
    """Whose latents inversion recovers: a shipped model's name, a folder, or a hub id."""
    encoder: str | None = None
    """Of that generator: a run's folder, or a hub id. Default: the shipped one."""
    source: Literal["synthesized", "real"] = "synthesized"
    """The clips that inversion is tried on."""
    methods: str = "gradient+encoder+hybrid+ours"
    """Of inversion, with + between them."""
    max_iterations: int = 1_000
    """Of inversion by gradients alone (published: 50,000), and of hybrids where it is less than
    their 200."""
    runs: Path = Path("runs/evaluate")
    """Folder for the models that are trained on the way."""
    figure: Path | None = None
    """Where tradeoff or inversion draws its figure. Default: out/tradeoff.png, or
    out/inversion-SOURCE.png."""
    data_dir: Path | None = None
    """Folder with the data sets. Default: AUDIATE_DATA, else the cache `audiate data` fills."""

    def run(self) -> int:
        """Evaluate and print; the exit status."""
        check_range("--seeds", self.seeds, 1, 100)
        if self.seeds > 1 and self.protocol != "paper":
            raise InputError(f"--seeds: not with --protocol {self.protocol}; leave one of them out")
        if self.model == TRADEOFF:
            if self.seeds > 1 or self.protocol != "paper":
                raise InputError("tradeoff: takes no --seeds and no --protocol; leave them out")
            self._check_no_inversion()
            return self._tradeoff(self.figure or Path("out/tradeoff.png"))
        if self.model == INVERSION:
            return self._inversion(self.figure or Path(f"out/inversion-{self.source}.png"))
        self._check_no_inversion()
        if self.protocol == "default":
            raise InputError("--protocol default: is of `audiate evaluate inversion`; leave it out")
        if self.figure is not None:
            raise InputError("--figure: tradeoff and inversion draw one; leave it out")
        from audiate.datasets.installed import data_root
        from audiate.evaluate import evaluate

        report = evaluate(
            self.model,
            root=data_root(self.data_dir),
            protocol=self.protocol,
            seeds=self.seeds,
            judge=self.judge,
            count=5000 if self.count is None else self.count,
            runs=self.runs,
        )
        print(report.to_json() if self.json else report.to_text())
        return 0

    def _check_no_inversion(self) -> None:
        for field in fields(self):
            if field.name in _OF_INVERSION and getattr(self, field.name) != field.default:
                flag = field.name.replace("_", "-")
                raise InputError(f"--{flag}: is of `audiate evaluate inversion`; leave it out")

    def _inversion(self, figure: Path) -> int:
        from audiate.cli.generate import load_generator
        from audiate.datasets.installed import data_root
        from audiate.evaluate import LISTENER, load_listener
        from audiate.evaluate.figures import check_figure
        from audiate.evaluate.inversion import evaluate_inversion

        if self.protocol not in ("paper", "default") or self.seeds > 1:
            raise InputError("inversion: takes --protocol paper or default, and no --seeds")
        check_figure(figure)
        report = evaluate_inversion(
            self.generator,
            load_generator(self.generator),
            self.judge or LISTENER,
            load_listener(self.judge),
            data_root(self.data_dir),
            encoder=self.encoder,
            source=self.source,
            protocol=self.protocol,
            count=500 if self.count is None else self.count,
            methods=self.methods.split("+"),
            max_iterations=self.max_iterations,
        )
        report.save_figure(figure)
        print(report.to_json() if self.json else f"{report.to_text()}\nfigure: {figure}")
        return 0

    def _tradeoff(self, figure: Path) -> int:
        from audiate.datasets.installed import data_root
        from audiate.evaluate import load_reader
        from audiate.evaluate.figures import check_figure
        from audiate.evaluate.tradeoff import tradeoff

        check_figure(figure)
        report = tradeoff(load_reader(self.judge), data_root(self.data_dir), self.runs)
        report.save_figure(figure)
        print(report.to_json() if self.json else f"{report.to_text()}\nfigure: {figure}")
        return 0
