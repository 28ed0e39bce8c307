"""The records of a training: progress bar, log, previews, and an event file for TensorBoard."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from audiate.errors import InputError, with_flags
from audiate.training.run import Run
from audiate.training.task import NotYet, Task
from audiate.utils.progress import TrainingProgress


class Journal:
    """Collects losses, and puts their means on the progress bar and into the logs.

    Of several processes, the first one writes.

    Args:
        run: The run's folder.
        progress: The progress bar.
        done: Number of steps that are done already.
        task: The training.

    """

    def __init__(self, run: Run, progress: TrainingProgress, done: int, task: Task) -> None:
        self.progress = progress
        self._run = run
        self._writes = task.shard.rank == 0
        self._since_write: list[dict[str, Tensor]] = []
        self._written = done - done % task.steps_per_epoch  # the last step with written losses
        self._epoch: list[tuple[int, dict[str, float]]] = []  # numbers of steps, mean losses
        self._board: EventFile | None = None
        if self._writes:
            with suppress(ImportError):  # TensorBoard is not installed
                self._board = EventFile(run.folder / "tensorboard", done)
            # A resumed run goes on with the losses of the epoch that it was in.
            for step, means in run.logged_losses(self._written):
                self._add_to_epoch(step, means)

    def add(self, losses: Iterable[dict[str, Tensor]]) -> None:
        """Collect the losses of the updates of one step."""
        self._since_write += losses

    def write(self, step: int) -> None:
        """Log the mean losses since the last call.

        Raises:
            InputError: One of them is not finite.

        """
        if not self._since_write:
            return
        entries, self._since_write = self._since_write, []
        means = {
            name: torch.stack([each[name] for each in entries if name in each]).mean().item()
            for name in sorted({name for each in entries for name in each})
        }
        broken = [name for name, value in means.items() if not abs(value) < float("inf")]
        if broken:
            kept = "the last checkpoint there is sound; " if self._run.checkpoint.exists() else ""
            raise InputError(
                f"{self._run.folder}: training diverged, {broken[0]} is {means[broken[0]]} at "
                f"step {step}; {kept}lower `learning_rate` or use `precision=float32`, in a new "
                f"folder"
            )
        self._add_to_epoch(step, means)
        if self._writes:
            self._run.log(step, means)
        if self._board is not None:
            self._board.add(step, [{"tag": n, "simple_value": v} for n, v in means.items()])
        self.progress.note(step, means)

    def end_epoch(self, step: int, task: Task) -> None:
        """Write previews; then raise an alarm if something has gone wrong, else keep the model."""
        losses = _mean_losses(self._epoch)
        self._epoch.clear()
        if not self._writes:
            return
        shown: list[dict[str, object]] = []
        picture = task.preview()
        if picture is not None:
            png = self._run.save_preview(step, picture).read_bytes()
            width, height = Image.open(BytesIO(png)).size
            size = {"width": width, "height": height}
            shown.append({"image": {**size, "colorspace": 3, "encoded_image_string": png}})
        sound = task.preview_sound()
        if sound is not None:
            wav = self._run.save_preview(step, sound).read_bytes()
            shown.append({"audio": {"encoded_audio_string": wav, "content_type": "audio/wav"}})
        if self._board is not None:
            self._board.add(step, [{"tag": "preview", **each} for each in shown])
        alarm = task.diagnose(losses)
        early = isinstance(alarm, NotYet) and 2 * step <= task.steps
        if alarm is None or early:
            task.model.save_pretrained(self._run.last_good)
        if alarm is not None and early:
            fact = alarm.split(". ")[0]  # what to do about it is of no use yet
            self.progress.say(f"not yet, as is usual early on (step {step}): {fact}")
        elif alarm is not None:
            self._run.log(step, {"alarm": alarm})
            self.progress.say(f"[bold red]alarm[/] (step {step}): {with_flags(alarm)}")

    def _add_to_epoch(self, step: int, means: dict[str, float]) -> None:
        self._epoch.append((step - self._written, means))
        self._written = step

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board is not None:
            self._board.file.close()


class EventFile:
    """A file that ``tensorboard --logdir`` reads.

    Records are made here, since PyTorch's own writer imports TensorFlow where that is installed.

    Args:
        folder: The file's folder, made where it is missing.
        done: Number of steps that are done; TensorBoard forgets what was written of later ones.

    Raises:
        ImportError: TensorBoard is not installed.

    """

    def __init__(self, folder: Path, done: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}").open("wb")
        self._event, self._records = Event, RecordWriter(self.file)
        self._write(file_version="brain.Event:2")
        self._write(step=done + 1, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int, values: list[dict[str, object]]) -> None:
        """Add values, each with the fields of TensorBoard's ``Summary.Value``."""
        self._write(step=step, summary={"value": values})
        self.file.flush()

    def _write(self, **fields: object) -> None:
        self._records.write(self._event(wall_time=time.time(), **fields).SerializeToString())


def _mean_losses(parts: list[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Means over an epoch of the means over parts of it, weighted by their numbers of steps."""
    means: dict[str, float] = {}
    for name in sorted({name for _, losses in parts for name in losses}):
        known = [(steps, losses[name]) for steps, losses in parts if name in losses]
        means[name] = sum(steps * value for steps, value in known) / sum(s for s, _ in known)
    return means
