"""What a training says while it goes: to the bar, the JSON lines, TensorBoard, and in pictures."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from statistics import fmean
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from audiate.errors import InputError
from audiate.training.progress import Progress
from audiate.training.run import Run
from audiate.training.task import Task

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class Journal:
    """Collects losses; the process that `writes` puts their means on the bar and in the logs."""

    def __init__(self, run: Run, progress: Progress, done: int, *, writes: bool) -> None:
        self.progress = progress
        self._run = run
        self._since_write: list[dict[str, Tensor]] = []
        self._epoch: list[dict[str, float]] = []
        self._board = _board(run, done) if writes else None

    def add(self, losses: dict[str, Tensor]) -> None:
        """Take in the losses of one update."""
        self._since_write.append(losses)

    def write(self, step: int) -> None:
        """Log the means since the last call.

        Raises:
            InputError: One of them is not finite.

        """
        if not self._since_write:
            return
        means = {name: value.item() for name, value in _means(self._since_write).items()}
        self._since_write.clear()
        broken = [name for name, value in means.items() if not abs(value) < float("inf")]
        if broken:
            kept = "the last checkpoint there is sound; " if self._run.checkpoint.exists() else ""
            raise InputError(
                f"{self._run.folder}: training diverged, {broken[0]} is {means[broken[0]]} at "
                f"step {step}; {kept}lower --learning-rate or use --precision float32, in a new "
                f"folder"
            )
        self._epoch.append(means)
        self._record(step, means)
        self.progress.note(step, means)

    def end_epoch(self, step: int, task: Task) -> None:
        """Keep pictures and sounds; where something has gone wrong, say so, else keep the model."""
        losses = {
            name: fmean(means[name] for means in self._epoch if name in means)
            for name in sorted({name for means in self._epoch for name in means})
        }
        self._epoch.clear()
        if self._board is None:
            return
        picture = task.preview()
        if picture is not None:
            self._run.save_preview(step, picture)
            self._board.add_image("preview", picture, step, dataformats="HW")
        heard = task.listen()
        if heard is not None:
            self._run.save_sound(step, heard)
            mono = heard.waveform.mean(0)
            self._board.add_audio("preview", mono, step, sample_rate=heard.sample_rate)
        alarm = task.diagnose(losses)
        if alarm is None:
            task.model.save_pretrained(self._run.last_good)
        else:
            self._run.log(step, {"alarm": alarm})
            self.progress.say(f"[bold red]alarm[/] (step {step}): {alarm}")

    def _record(self, step: int, values: Mapping[str, float]) -> None:
        if self._board is None:
            return
        self._run.log(step, values)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Write out what is still held back."""
        if self._board is not None:
            self._board.close()


def _board(run: Run, done: int) -> SummaryWriter:
    """TensorBoard's writer, which would else load TensorFlow where that is installed.

    It takes seconds and prints many messages. TensorBoard itself has a substitute, which it takes
    where it finds this module.
    """
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    from torch.utils.tensorboard.writer import SummaryWriter

    return SummaryWriter(str(run.folder / "tensorboard"), purge_step=done + 1)


def _means(entries: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    names = sorted({name for entry in entries for name in entry})
    return {name: torch.stack([e[name] for e in entries if name in e]).mean() for name in names}
