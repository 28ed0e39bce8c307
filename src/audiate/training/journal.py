"""The records of a training: progress bar, log, TensorBoard, and previews."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from audiate.errors import InputError, with_flags
from audiate.training.progress import Progress
from audiate.training.run import Run
from audiate.training.task import Task

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class Journal:
    """Collects losses, and puts their means on the progress bar and into the logs.

    Args:
        run: The run's folder.
        progress: The progress bar.
        done: Number of steps that are done already.
        steps_per_epoch: Number of steps in an epoch.
        writes: Whether this process writes; of several processes, one does.

    """

    def __init__(
        self, run: Run, progress: Progress, done: int, steps_per_epoch: int, *, writes: bool
    ) -> None:
        self.progress = progress
        self._run = run
        self._since_write: list[dict[str, Tensor]] = []
        self._written = done - done % steps_per_epoch  # the last step whose losses are written
        self._epoch: list[tuple[int, dict[str, float]]] = []  # numbers of steps, mean losses
        self._board = _board(run, done) if writes else None
        if writes:  # a resumed run goes on with the losses of the epoch that it was in
            for step, means in run.logged_losses(self._written):
                self._add_to_epoch(step, means)

    def add(self, losses: dict[str, Tensor]) -> None:
        """Collect the losses of one update."""
        self._since_write.append(losses)

    def write(self, step: int) -> None:
        """Log the mean losses since the last call.

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
                f"step {step}; {kept}lower `learning_rate` or use `precision=float32`, in a new "
                f"folder"
            )
        self._add_to_epoch(step, means)
        self._record(step, means)
        self.progress.note(step, means)

    def end_epoch(self, step: int, task: Task) -> None:
        """Write previews; then raise an alarm if something has gone wrong, else keep the model."""
        losses = _mean_losses(self._epoch)
        self._epoch.clear()
        if self._board is None:
            return
        picture = task.preview()
        if picture is not None:
            self._run.save_preview(step, picture)
            self._board.add_image("preview", picture, step, dataformats="HW")
        sound = task.preview_sound()
        if sound is not None:
            self._run.save_sound(step, sound)
            mono = sound.waveform.mean(0)
            self._board.add_audio("preview", mono, step, sample_rate=sound.sample_rate)
        alarm = task.diagnose(losses)
        if alarm is None:
            task.model.save_pretrained(self._run.last_good)
        else:
            self._run.log(step, {"alarm": alarm})
            told = with_flags(alarm)
            self.progress.say(f"[bold red]alarm[/] (step {step}): {told}")

    def _record(self, step: int, values: Mapping[str, float]) -> None:
        if self._board is None:
            return
        self._run.log(step, values)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def _add_to_epoch(self, step: int, means: dict[str, float]) -> None:
        self._epoch.append((step - self._written, means))
        self._written = step

    def close(self) -> None:
        """Write out what TensorBoard's writer still holds."""
        if self._board is not None:
            self._board.close()


def _board(run: Run, done: int) -> SummaryWriter:
    """TensorBoard's writer, kept from loading TensorFlow where that is installed.

    Loading it takes seconds and prints many messages. TensorBoard has a substitute of its own,
    which it takes if it finds this module.
    """
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    from torch.utils.tensorboard.writer import SummaryWriter

    return SummaryWriter(str(run.folder / "tensorboard"), purge_step=done + 1)


def _means(entries: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    names = sorted({name for entry in entries for name in entry})
    return {name: torch.stack([e[name] for e in entries if name in e]).mean() for name in names}


def _mean_losses(parts: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Means over an epoch of the means over parts of it, weighted by their numbers of steps."""
    means: dict[str, float] = {}
    for name in sorted({name for _, losses in parts for name in losses}):
        known = [(steps, losses[name]) for steps, losses in parts if name in losses]
        means[name] = sum(steps * value for steps, value in known) / sum(s for s, _ in known)
    return means
