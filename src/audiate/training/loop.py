"""The one training loop: any number of optimisers and stages, on CPU, GPU or several processes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from audiate.errors import Interrupted
from audiate.models.storage import Provenance
from audiate.training.batches import seed_step
from audiate.training.journal import Journal
from audiate.training.launch import (
    any_process,
    broadcast,
    environment,
    launch,
    resolve_precision,
    sum_over_processes,
)
from audiate.training.options import RunOptions
from audiate.training.progress import Progress
from audiate.training.recipes import Prepared, Recipe
from audiate.training.run import Run
from audiate.training.task import Shard, Stage, Task, weighted_sum

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_LOG_EVERY = 20  # steps
_ROUNDING = {"device", "processes", "threads", "torch"}  # parts of the environment that change bits


def fit(
    name: str,
    recipe: Recipe,
    prepared: Prepared,
    options: RunOptions,
    *,
    quiet: bool = False,
) -> Path:
    """Train, and write the finished model.

    Under ``torchrun`` every process takes its part of each batch, and gradients and losses are
    averaged over clips. The networks are not wrapped for that: gradient penalties and stages with
    several networks need no exceptions then, and a checkpoint holds the networks' own names.

    Args:
        name: The recipe's name, kept with the model.
        recipe: Plain values that determine the result; kept likewise.
        prepared: The task and its data, as from `Recipe.prepare`.
        options: Where and how to train.
        quiet: Show no progress.

    Returns:
        The folder of the finished model, ``RUN/model``.

    Raises:
        InputError: The folder holds another run or one on other data, or it cannot be written, or
            training diverged.
        Interrupted: SIGINT or SIGTERM came; the state is saved.

    """
    run = Run(options.folder(name))
    before = run.stored_environment()
    precision = resolve_precision(options, recipe.bf16_pays, before.get("precision"))
    fabric = launch(options.device, precision)
    kept = {**environment(fabric, precision), "data": prepared.data}
    provenance = Provenance(name, asdict(recipe), kept)
    if fabric.is_global_zero:
        run.open(provenance, resume=options.resume)
    fabric.barrier()

    task = prepared.make_task(fabric.device, Shard(fabric.global_rank, fabric.world_size))
    done = run.restore(task)
    if fabric.is_global_zero:
        run.rewind_log(done)
    with (
        _stop_flag() as stop,
        Progress(name, task.steps, done=done, quiet=quiet or not fabric.is_global_zero) as progress,
        closing(
            Journal(run, progress, done, task.steps_per_epoch, writes=fabric.is_global_zero)
        ) as journal,
    ):
        if 0 < done < task.steps:
            _warn_of_rounding(progress, before, kept)
        _train(fabric, task, run, journal, stop, done, options.save_every)
    task.model.provenance = provenance
    if fabric.is_global_zero:
        task.model.save_pretrained(run.model)
    fabric.barrier()
    return run.model


def _warn_of_rounding(
    progress: Progress, before: Mapping[str, str], now: Mapping[str, str]
) -> None:
    """Say in what a resumed run's environment differs from that in which it began."""
    for what in sorted(_ROUNDING & before.keys()):
        if before[what] != now[what]:
            progress.say(
                f"resumed with {what} {now[what]}, begun with {before[what]}: the last bits of the "
                f"weights will differ"
            )


def _train(
    fabric: Fabric,
    task: Task,
    run: Run,
    journal: Journal,
    stop: _Stop,
    done: int,
    save_every: float,
) -> None:
    saved_at = time.monotonic()
    for step in range(done, task.steps):
        for losses in train_step(fabric, task, step):
            journal.add(losses)

        finished = step + 1
        end_of_epoch = finished % task.steps_per_epoch == 0 or finished == task.steps
        if finished % _LOG_EVERY == 0 or end_of_epoch:
            journal.write(finished)
        if end_of_epoch:
            task.end_epoch()
            with _evaluating(task):
                journal.end_epoch(finished, task)
        journal.progress.advance(finished)

        stopping = any_process(fabric, stop.requested)
        due = time.monotonic() - saved_at > save_every
        if fabric.is_global_zero and (stopping or due or finished == task.steps):
            # Both raise rather than let a broken state replace a good one.
            journal.write(finished)
            run.save(task, finished)
            saved_at = time.monotonic()
        if stopping and finished < task.steps:
            fabric.barrier()
            raise Interrupted(f"stopped after step {finished} of {task.steps}")


def train_step(fabric: Fabric, task: Task, step: int) -> Sequence[dict[str, Tensor]]:
    """Do step ``step`` (from 0) of a training, and return the losses of each of its updates."""
    seed_step(task.seed, step, 0 if task.draws_whole_batches else task.shard.rank)
    for module in task.modules.values():
        module.train()
    task.begin_step(step)
    losses = [update(fabric, task, stage) for stage in task.stages(step)]
    task.end_step(step)
    # Each process has its own running statistics; those of the first one count.
    broadcast(fabric, [buffer for module in task.modules.values() for buffer in module.buffers()])
    return losses


def update(fabric: Fabric, task: Task, stage: Stage) -> dict[str, Tensor]:
    """Do one update of an optimiser, and return its losses for the whole batch, detached."""
    optimizer = task.optimizers[stage.optimizer]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    own = {id(p) for p in parameters}
    for module in task.modules.values():
        for parameter in module.parameters():
            parameter.requires_grad_(id(parameter) in own)
    optimizer.zero_grad(set_to_none=True)
    with fabric.autocast():
        losses = stage.losses()
        total = weighted_sum(losses, stage.weights)
    fabric.backward(total)
    logged = {name: loss.detach() for name, loss in losses.items()}
    if fabric.world_size > 1:
        logged = {name: loss.clone() for name, loss in logged.items()}
        gradients = [p.grad for p in parameters if p.grad is not None]
        share = task.shard.share(task.batch_size)
        sum_over_processes(fabric, [*gradients, *logged.values()], share)
    for group in optimizer.param_groups:
        group["lr"] = stage.learning_rate
    optimizer.step()
    return logged


@contextmanager
def _evaluating(task: Task) -> Iterator[None]:
    for module in task.modules.values():
        module.eval()
    with torch.inference_mode():
        yield


class _Stop:
    def __init__(self) -> None:
        self.requested = False

    def __call__(self, signum: int, _: FrameType | None) -> None:
        self.requested = True
        # A second Ctrl-C is for those who cannot wait for the step to end.
        signal.signal(signum, signal.default_int_handler)


@contextmanager
def _stop_flag() -> Iterator[_Stop]:
    """Turn SIGINT and SIGTERM into a flag that the loop reads between steps."""
    stop = _Stop()
    before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
