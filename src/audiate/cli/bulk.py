"""`audiate bulk`: process archives of clips, in one process or on Ray Data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Fixed, Positional, Suppress

from audiate.cli.common import Classifier, Device, Group, print_error, several
from audiate.cli.own import OwnGenerator
from audiate.errors import InputError
from audiate.inversion.settings import InversionSettings
from audiate.models.hub import DEFAULT_AUDIO_TO_IMAGE, DEFAULT_GENERATOR, SPOKEN_CLASSIFIER

if TYPE_CHECKING:
    from audiate.bulk import Job

_MOST_LISTED = 50  # failures that are printed; all are in the rows

Sources = Positional[
    Annotated[
        tuple[str, ...],
        several(
            "SOURCE...",
            "Folders, patterns such as 'clips/*.flac' or shard-{000..099}.tar, lists of names "
            "(.txt), tar and zip files, Parquet files with a column of sounds; paths or URLs.",
        ),
    ]
]


@dataclass(frozen=True)
class _Bulk(ABC):
    source: Sources
    out: str
    """Folder or URL of the output. All workers must be able to write there."""
    engine: Literal["auto", "local", "ray"] = "auto"
    """local: this process alone. ray: Ray Data. auto: Ray Data with --workers or --address."""
    workers: int | None = None
    """Number of models that work at once. On Ray, the default is one for each GPU, or each core."""
    address: str | None = None
    """Address of a Ray cluster, such as auto or ray://head:10001. The default is this machine."""
    long: Literal["refuse", "cut"] = "refuse"
    """cut: recordings of at least 1.5 times the model's length are cut into clips of that length,
    each with a row. refuse: a recording that `audiate draw` or `audiate invert` would refuse is
    refused."""
    column: str | None = None
    """Column of the sounds in Parquet files. Default: audio or another usual name, else the first
    that holds sounds."""
    retry_failed: bool = False
    """Process clips again that could not be used in an earlier run."""
    device: Device = "auto"

    @abstractmethod
    def _job(self) -> Job:
        """The job that processes each clip."""

    def run(self) -> int:
        """Process all clips, print a summary, and return the exit status."""
        from audiate.bulk import run_bulk

        names = [each.name for each in fields(_Bulk) if each.name not in ("source", "out")]
        options = {name: getattr(self, name) for name in names}
        report = run_bulk(self._job(), self.source, self.out, **options)
        failures = report.totals.failures
        for error in list(failures.values())[:_MOST_LISTED]:
            print_error(InputError(error))
        if (more := len(failures) - _MOST_LISTED) > 0:
            reason = "more could not be used; the column error has the reasons"
            print_error(InputError(f"{more:,} {reason}"))
        print("\n".join(report.summary()))
        return 2 if failures else 0


@dataclass(frozen=True)
class Encode(_Bulk):
    """Encode each clip into a latent.

    Writes OUT/rows/*.parquet, with a row for each clip: id, source, sha256, duration, latent
    (float16), seconds, model, and error where the clip could not be used. pandas, polars, DuckDB
    and `datasets` read them as they are.

    The same command goes on after an interruption of any kind, also where a worker or the whole
    machine was killed: every clip has one row. Files that were added or changed since are
    processed; other settings need another folder. A clip that cannot be used gets a row with the
    reason, is named on standard error, and makes the exit status 2.
    """

    model: str = DEFAULT_AUDIO_TO_IMAGE
    """An audio-to-image model, whose latents without noise are used, or the encoder of a generator,
    such as specgan-digits-encoder, or a flow of sound such as speech-digits: a shipped name, a
    folder, or a Hugging Face hub id."""

    def _job(self) -> Job:
        from audiate.bulk import EncodeJob

        return EncodeJob(self.model)


@dataclass(frozen=True)
class Classify(_Bulk):
    """Classify the digit that is spoken in each clip.

    Writes rows as `audiate bulk encode` does, with digit and probabilities in place of the latent.
    """

    model: str = SPOKEN_CLASSIFIER
    """A classifier of spoken digits: a shipped model's name, a folder, or a hub id."""

    def _job(self) -> Job:
        from audiate.bulk import ClassifyJob

        return ClassifyJob(self.model)


@dataclass(frozen=True)
class BulkDraw(_Bulk):
    """Draw the spoken digit of each clip, as `audiate draw` does.

    Writes rows as `audiate bulk encode` does, with the digits that LeNet-5 reads in the drawings;
    and with --pictures OUT/pictures/*.tar, where each picture has the id of its row as its name.
    """

    model: str = DEFAULT_AUDIO_TO_IMAGE
    """A shipped model's name, a folder, or a Hugging Face hub id."""
    samples: int = 8
    """Number of images for each clip."""
    seed: int = 0
    """Seed of the images, as of `audiate draw`."""
    scale: int = 1
    """Factor by which the images are enlarged."""
    pictures: bool = False
    """Keep the pictures, in tar files."""

    def _job(self) -> Job:
        from audiate.bulk import DrawJob

        return DrawJob(self.model, self.samples, self.seed, self.scale, self.pictures)


@dataclass(frozen=True)
class UntimedSettings(InversionSettings):
    """The method, and its settings."""

    budget: Fixed[Suppress[None]] = None


@dataclass(frozen=True)
class BulkInvert(_Bulk):
    """Find the latent from which a generator reconstructs each clip, as `audiate invert` does.

    Writes rows as `audiate bulk encode` does, with the loss, scores and digits of
    `audiate invert`; and with --sounds OUT/sounds/*.tar, where each reconstruction has the id of
    its row as its name.
    """

    generator: str = DEFAULT_GENERATOR
    """A shipped model's name, a folder or a hub id; or a generator of your own:
    package.module:make, an .onnx file or a TorchScript file."""
    encoder: str | None = None
    """The generator's encoder. The default is the shipped one."""
    classifier: Classifier = SPOKEN_CLASSIFIER
    """The classifier of spoken digits, which also guides gradients. none does without."""
    sounds: bool = False
    """Keep the sounds, in tar files."""
    settings: UntimedSettings = field(default_factory=UntimedSettings)
    own: OwnGenerator = field(default_factory=OwnGenerator)

    def _job(self) -> Job:
        from audiate.bulk import InvertJob

        return InvertJob(
            self.generator,
            **vars(self.own),
            search=self.settings,
            encoder=self.encoder,
            classifier=self.classifier,
            sounds=self.sounds,
        )


@dataclass(frozen=True)
class Status:
    """Show the state of bulk work: clips, hours, failures by reason, time left."""

    out: Positional[str]
    """Folder or URL of the output."""

    def run(self) -> int:
        """Print the lines, and return the exit status."""
        from audiate.bulk import status

        print("\n".join(status(self.out)))
        return 0


BULK = Group(
    """Process archives of clips, in one process or on a Ray cluster, with nothing lost.

    The source is a folder, a pattern, a list of names (.txt), tar shards or Parquet files, on disk
    or at any address that fsspec knows (s3://, gs://, https://). A row for each clip goes to
    OUT/rows, as Parquet. `audiate bulk encode --help` explains the rest.
    """,
    {
        "encode": Encode,
        "classify": Classify,
        "draw": BulkDraw,
        "invert": BulkInvert,
        "status": Status,
    },
)
