"""The published data sets: where they come from, and what a whole copy of each holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from audiate.errors import InputError

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The digits as the folders of Speech Commands are named, in their order."""

DIGIT_SETS = ("speech_commands", "fsdd")
"""The data sets of spoken digits."""

Speaker = Literal["jackson", "nicolas", "theo", "yweweler"]

SPEAKERS: tuple[Speaker, ...] = get_args(Speaker)
"""The four speakers of FSDD who had been recorded when the paper was written."""


@dataclass(frozen=True)
class Remote:
    """One file to download.

    Attributes:
        urls: Where to get it; the mirrors are tried in this order.
        filename: Its name on disk.
        sha256: Checksum of the file, or of its content where ``unpacked`` is set.
        size: Published size in bytes, for progress only; mirrors may pack differently.
        unpacked: The file is a gzip and ``sha256`` is that of what it holds, because the same
            content is packed in different gzips around the world.

    """

    urls: tuple[str, ...]
    filename: str
    sha256: str
    size: int
    unpacked: bool = False


@dataclass(frozen=True)
class Source:
    """A published data set: where it comes from, and what a whole copy of it holds.

    Attributes:
        name: What the command line calls it.
        title: What it is, in a few words.
        licence: Licence of the data.
        homepage: Page of its publishers.
        folder: Where it lies below the data folder, with forward slashes.
        remotes: The files to download.
        required: Pattern of the paths below ``folder`` (with forward slashes) that make a whole
            copy. Other files may lie beside them.
        count: How many paths of a whole copy match ``required``; one file in two formats counts
            once.
        noun: What those files are, in the plural.
        members: Set if the remotes are tar archives: the pattern of the members to install, whose
            group ``path`` is the path below ``folder``. It must not be able to match "..".
            Without it, the remotes themselves are installed.
        lists: Files below ``folder`` that a whole copy holds besides. Where there are any, a part
            of the data set is usable too: the first of them and at least one path that matches
            ``required``. Without them, only a whole copy is.

    """

    name: str
    title: str
    licence: str
    homepage: str
    folder: str
    remotes: tuple[Remote, ...]
    required: str
    count: int
    noun: str
    members: str | None = None
    lists: tuple[str, ...] = ()


def _mnist(filename: str, sha256: str, size: int) -> Remote:
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    return Remote(tuple(url + filename for url in mirrors), filename, sha256, size, unpacked=True)


SOURCES: dict[str, Source] = {
    "fsdd": Source(
        name="fsdd",
        title="Free Spoken Digit Dataset: spoken digits, 8 kHz",
        licence="CC BY-SA 4.0",
        homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
        folder="fsdd/recordings",
        remotes=(
            Remote(
                urls=(
                    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz",
                ),
                filename="free-spoken-digit-dataset-1.0.9.tar.gz",
                sha256="8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
                size=11_975_353,
            ),
        ),
        # The four speakers of the paper; the release has two more, which may be there as well.
        required=rf"[0-9]_({'|'.join(SPEAKERS)})_[1-4]?[0-9]\.wav",
        count=2000,
        noun="recordings",
        members=r"[^/]+/recordings/(?P<path>[0-9]_[a-z]+_[0-9]+\.wav)",
    ),
    "mnist": Source(
        name="mnist",
        title="MNIST: images of handwritten digits, 28 x 28",
        licence="CC BY-SA 3.0",
        homepage="http://yann.lecun.com/exdb/mnist/",
        folder="mnist",
        remotes=(
            _mnist(
                "train-images-idx3-ubyte.gz",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                9_912_422,
            ),
            _mnist(
                "train-labels-idx1-ubyte.gz",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                28_881,
            ),
            _mnist(
                "t10k-images-idx3-ubyte.gz",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                1_648_877,
            ),
            _mnist(
                "t10k-labels-idx1-ubyte.gz",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                4_542,
            ),
        ),
        required=r"(train|t10k)-(images-idx3|labels-idx1)-ubyte\.gz",
        count=4,
        noun="files",
    ),
    "speech_commands": Source(
        name="speech_commands",
        title="Speech Commands v0.02: the ten digits by many speakers, 16 kHz",
        licence="CC BY 4.0",
        homepage="https://arxiv.org/abs/1804.03209",
        folder="speech_commands",
        remotes=(
            Remote(
                urls=tuple(
                    f"{base}/data/speech_commands_v0.02.tar.gz"
                    for base in (
                        "http://download.tensorflow.org",
                        "https://storage.googleapis.com/download.tensorflow.org",
                    )
                ),
                filename="speech_commands_v0.02.tar.gz",
                sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
                size=2_428_923_189,
            ),
        ),
        # Published as wav; a smaller copy in flac, or of fewer words or clips, is as good.
        required=rf"({'|'.join(DIGIT_WORDS)})/[0-9a-f]+_nohash_[0-9]+\.(wav|flac)",
        count=38_908,
        noun="recordings",
        members=(
            rf"(\./)?(?P<path>({'|'.join(DIGIT_WORDS)})/[0-9a-f]+_nohash_[0-9]+\.wav"
            r"|(validation|testing)_list\.txt)"
        ),
        lists=("validation_list.txt", "testing_list.txt"),
    ),
}


def find_source(name: str) -> Source:
    """Look ``name`` up in `SOURCES`.

    Raises:
        InputError: There is no such data set.

    """
    if name not in SOURCES:
        raise InputError(f"{name}: no data set of this name; choose among {', '.join(SOURCES)}")
    return SOURCES[name]
