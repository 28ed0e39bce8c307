"""Options of a training that do not change what is learnt, except for rounding."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiate.errors import check_range

Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class RunOptions:
    """Options that say where and how to train."""

    out: Path | None = None
    """The run's folder, for the checkpoint, logs, pictures, and the finished model. Default:
    runs/RECIPE."""
    resume: bool = False
    """Go on with the run in that folder after an interruption."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on. auto: CUDA if there is a GPU. For several processes, start with
    torchrun: see docs/training.md."""
    precision: Precision | None = None
    """Precision to compute in. bf16 takes less time on processors and GPUs that have instructions
    for it, and many times as long on others. Default: float32, or that of the run that is resumed.
    """
    save_every: float = 60.0
    """Number of seconds between checkpoints."""
    strict: bool = False
    """Stop at the first file of a folder that cannot be read. By default such files are left out
    and listed."""

    def __post_init__(self) -> None:
        check_range("`save_every`", self.save_every, 0, 10**9)

    def folder(self, name: str) -> Path:
        """The folder of a run of the recipe called ``name``."""
        return self.out or Path("runs") / name
