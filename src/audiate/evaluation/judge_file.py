"""Scores of generators by a classifier that a file holds: Fréchet distance, IS, mIS and AM."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from audiate.audio.config import check_sample_rate
from audiate.errors import InputError, check_range
from audiate.evaluation.clips import RealClips
from audiate.evaluation.generators import DEFAULT_COUNT, generate_sounds
from audiate.metrics.distribution import (
    InceptionScore,
    am_score,
    frechet_distance,
    inception_score,
    modified_inception_score,
)
from audiate.models.generator import Generator
from audiate.models.wrap import open_onnx
from audiate.utils.batching import in_batches
from audiate.utils.reports import Report, make_table, number

DEFAULT_RATE = 16_000
"""Sample rate at which a file's classifier takes waveforms by default, in Hz."""

_BATCH = 50


class FileJudge:
    """A classifier in a TorchScript file (.pt) or an ONNX file (.onnx).

    It maps waveforms (batch, samples) to logits (batch, classes), and may give features (batch,
    dim) as a second output. It is given clips of one second. An ONNX file is run by onnxruntime,
    which computes what the file says and nothing else. A TorchScript file is a program: it is read
    without pickle, but may call any operator of PyTorch, of which some read and write files. So
    take TorchScript only from those whom you trust.

    Args:
        path: The file.
        sample_rate: Sample rate of the waveforms that it takes, in Hz.

    Attributes:
        sample_rate: Likewise.
        num_samples: Number of samples of a clip.
        classes: Number of classes.

    Raises:
        InputError: The file cannot be read, or gives something else.

    """

    def __init__(self, path: Path, sample_rate: int = DEFAULT_RATE) -> None:
        check_sample_rate(sample_rate, "`judge_rate`")
        self.path, self.sample_rate, self.num_samples = path, sample_rate, sample_rate
        if not path.is_file():
            problem = "is a folder" if path.is_dir() else "no such file"
            raise InputError(f"{path}: {problem}; give a TorchScript or an ONNX file")
        match path.suffix:
            case ".pt":
                self._run = _torchscript(path)
            case ".onnx":
                self._run = _onnx(path)
            case _:
                raise InputError(f"{path}: give TorchScript (.pt) or ONNX (.onnx)")
        random = torch.Generator().manual_seed(0)
        noise = 0.1 * torch.randn(3, self.num_samples, generator=random)
        self.classes = self._outputs(noise)[0].shape[1]

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Logits (batch, classes) of waveforms (batch, num_samples)."""
        return self._outputs(waveforms)[0]

    def classify(self, waveforms: Tensor, what: str) -> tuple[Tensor, Tensor | None]:
        """Logits (count, classes), and features (count, dim) if there are any; float32."""
        both = in_batches(
            lambda part: torch.cat(self._outputs(part), 1), waveforms, _BATCH, f"judging {what}"
        )
        features = both[:, self.classes :]
        return both[:, : self.classes], features if features.shape[1] else None

    def _outputs(self, waveforms: Tensor) -> list[Tensor]:
        try:
            with torch.inference_mode():
                found = self._run(waveforms)
        except Exception as error:  # a program in a file may fail in any way
            shape = tuple(waveforms.shape)
            raise InputError(
                f"{self.path}: fails for waveforms {shape} ({_last_line(error)}); export one that "
                f"takes any batch of that length"
            ) from error
        outputs: list[Any] = list(found) if isinstance(found, list | tuple) else [found]
        right = 1 <= len(outputs) <= 2 and all(
            isinstance(each, Tensor) and each.dim() == 2 and len(each) == len(waveforms)
            for each in outputs
        )
        if not right or outputs[0].shape[1] < 2:
            shapes = ", ".join(str(tuple(getattr(each, "shape", ()))) for each in outputs)
            raise InputError(
                f"{self.path}: gave {shapes} for waveforms {tuple(waveforms.shape)}; give logits "
                f"(batch, classes), and features (batch, dim) if you like"
            )
        return [each.float() for each in outputs]


def _torchscript(path: Path) -> Callable[[Tensor], object]:
    try:
        module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as TorchScript; save it by torch.jit.save"
        ) from error
    module.eval()
    return module  # type: ignore[no-any-return]


def _onnx(path: Path) -> Callable[[Tensor], object]:
    session = open_onnx(path)
    name = session.get_inputs()[0].name
    return lambda waveforms: [
        torch.from_numpy(each) for each in session.run(None, {name: waveforms.numpy()})
    ]


def _last_line(error: Exception) -> str:
    """The last line of a message, in which PyTorch's interpreter says what went wrong."""
    return str(error).strip().rpartition("\n")[2] or type(error).__name__


@dataclass(frozen=True)
class JudgedSounds:
    """Scores of a set of clips, by the classifier of a file.

    Attributes:
        what: Name of the set.
        n: Number of distinct clips.
        frechet_distance: Fréchet distance (FID) to half of the train clips, in the file's features;
            None without features. For train clips, it is that of the other half.
        inception: Inception Score over splits.
        modified_inception_score: See `audiate.metrics.distribution.modified_inception_score`.
        am_score: AM score against the train clips, in nats; lower is better.

    """

    what: str
    n: int
    frechet_distance: float | None
    inception: InceptionScore
    modified_inception_score: float
    am_score: float


@dataclass(frozen=True)
class JudgeFileReport(Report):
    """Scores of generated and of real clips, by the classifier of a file.

    Attributes:
        model: Name of the generator.
        judge: The file.
        splits: Number of splits of the Inception Score.
        sets: Scores of the generated clips, of train clips and of validation clips.

    """

    model: str
    judge: str
    splits: int
    sets: Sequence[JudgedSounds]

    def parts(self) -> Iterator[Table | str]:
        """Return a table of the scores."""
        table = make_table(
            f"{self.model}, by {self.judge}", *("", "clips", "FID", "Inception Score", "mIS", "AM")
        )
        for each in self.sets:
            table.add_row(
                *(each.what, f"{each.n:,}", number(each.frechet_distance, ".2f")),
                f"{each.inception.mean:.2f} ± {each.inception.std:.2f}",
                *(f"{each.modified_inception_score:.1f}", f"{each.am_score:.3f}"),
            )
        yield table
        yield (
            f"FID is the Fréchet distance to half of the train clips, in the file's features; for "
            f"train clips, it is that of the other half. The Inception Score is the mean and "
            f"standard deviation over {self.splits} splits. mIS is the modified Inception Score. "
            f"AM is in nats, against the train clips; lower is better. Real clips are weighed "
            f"evenly by digit and data set."
        )


@torch.inference_mode()
def evaluate_by_file(
    name: str,
    generator: Generator,
    judge: FileJudge,
    root: Path,
    *,
    count: int = DEFAULT_COUNT,
    splits: int = 10,
) -> JudgeFileReport:
    """Generate clips, and score them and real ones by the classifier of a file.

    Arguments are those of `audiate.evaluation.generators.evaluate_generator`.

    Raises:
        InputError: The data is missing, or the classifier fails.

    """
    check_range("`count`", count, 10 * splits, 10**7)
    real = RealClips(root, judge.sample_rate, judge.num_samples, count)
    made = generate_sounds("generated", generator, judge, count).waveforms
    train, known = judge.classify(real.waveforms, "train clips")
    unheard, unheard_features = judge.classify(real.validation.waveforms, "validation clips")
    generated, features = judge.classify(made, "generated clips")
    rest = real.other_half
    others = None if known is None else known[rest]
    spoken = real.validation.labels
    sets = {
        "generated": (generated, features, None, count),
        "real, train": (train[real.drawn], others, real.strata[rest], len(rest)),
        "real, validation": (unheard[real.again], unheard_features, spoken, len(unheard)),
    }
    scores = []
    for what, (logits, found, strata, n) in sets.items():
        distance = None
        if known is not None and found is not None:
            half, own = known[real.half], real.strata[real.half]
            distance = frechet_distance(half, found, real_strata=own, fake_strata=strata)
        inception = inception_score(logits, splits=splits)
        modified, am = modified_inception_score(logits), am_score(train[real.first], logits)
        scores.append(JudgedSounds(what, n, distance, inception, modified, am))
    return JudgeFileReport(name, str(judge.path), splits, scores)
