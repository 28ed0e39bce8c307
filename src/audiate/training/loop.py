"""The training loop: any number of optimisers and stages, on a CPU, a GPU or several processes."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from audiate.data.sounds import STRICT
from audiate.errors import InputError, Interrupted
from audiate.models.storage import Provenance
from audiate.training.batches import mixed_seed
from audiate.training.journal import Journal
from audiate.training.launch import (
    any_process,
    barrier,
    broadcast,
    environment,
    launch,
    sum_over_processes,
)
from audiate.training.options import Precision, RunOptions
from audiate.training.recipes import ENTRIES
from audiate.training.recipes.base import Recipe
from audiate.training.run import Run
from audiate.training.task import Prepared, Stage, Task, weighted_sum
from audiate.utils.progress import TrainingProgress

_LOG_EVERY = 20  # steps
_ROUNDING = {"device", "processes", "threads", "torch"}  # parts of the environment that change bits


def run_recipe(
    name: str, recipe: Recipe, root: Path, options: RunOptions, *, quiet: bool = False
) -> Path:
    """Train by a recipe on the data in ``root``, and return the folder of the finished model.

    Args:
        name: Name of the recipe in `audiate.training.recipes.ENTRIES`, kept with the model.
        recipe: Settings.
        root: Data folder.
        options: Where and how to train.
        quiet: Show no progress.

    Raises:
        InputError: Data are missing or damaged, or as for `fit`.
        Interrupted: A signal stopped the training, after its state was saved.

    """
    if options.resume:  # before the data, which the settings name
        Run(options.folder(name)).check_settings(name, asdict(recipe))
    task = import_module(ENTRIES[name].task)
    before = STRICT.set(options.strict)
    try:
        return fit(name, recipe, task.prepare(recipe, root), options, quiet=quiet)
    finally:
        STRICT.reset(before)


def fit(
    name: str, recipe: Recipe, prepared: Prepared, options: RunOptions, *, quiet: bool = False
) -> Path:
    """Train, and write the finished model.

    Under ``torchrun`` every process takes its part of each batch, and gradients and losses are
    averaged over clips. The networks are not wrapped for that: gradient penalties and stages with
    several networks need no exceptions then, and a checkpoint holds the networks' own names.

    Args:
        name: The recipe's name, kept with the model.
        recipe: Plain values that determine the result; kept likewise.
        prepared: The data and the task, as ``prepare`` of the task's module gives them.
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
    stored = run.stored()
    before = stored.environment if stored is not None else {}
    precision = _precision(options, before)
    device, shard = launch(options.device)
    first = shard.rank == 0
    kept = {**environment(device, shard, precision), "data": prepared.data}
    provenance = Provenance(name, asdict(recipe), kept)
    with run.alone() if first else nullcontext():
        if first:
            run.open(provenance, resume=options.resume)
        barrier()
        task = prepared.make_task(device, shard)
        done = run.restore(task)
        if first:
            run.rewind_log(done)
        progress = TrainingProgress(name, task.steps, done=done, quiet=quiet or not first)
        with (
            _stop_signals() as stop,
            progress,
            closing(Journal(run, progress, done, task)) as journal,
        ):
            if done < task.steps:
                _explain(progress, precision, before if done else {}, kept)
            _train(task, precision, run, journal, stop, done, options.save_every)
        task.model.provenance = provenance
        if first:
            task.model.save_pretrained(run.model)
        barrier()
    return run.model


def _precision(options: RunOptions, before: dict[str, str]) -> Precision:
    """The precision that a run began with, else the one that is asked for, else float32.

    Raises:
        InputError: Another one is asked for than the run began with.

    """
    begun = before.get("precision")
    if begun is not None and options.precision not in (None, begun):
        raise InputError(
            f"`precision` {options.precision}: the run began with {begun}; leave it out, or name "
            f"another folder with `out`"
        )
    return "bf16" if (begun or options.precision) == "bf16" else "float32"


def _explain(
    progress: TrainingProgress, precision: Precision, before: dict[str, str], now: dict[str, str]
) -> None:
    """Say in which precision is computed, and how a resumed run differs from its beginning."""
    other, why = "bf16", "takes less time on hardware that has instructions for it"
    if precision == "bf16":
        other, why = "float32", "rounds less, and takes less time on hardware without bf16"
    say = "as the run began" if before else f"--precision {other} {why}"
    progress.say(f"computing in {precision}: {say}")
    for what in sorted(_ROUNDING & before.keys()):
        if before[what] != now[what]:
            progress.say(
                f"resumed with {what} {now[what]}, begun with {before[what]}: the last bits of the "
                f"weights will differ"
            )


def _train(
    task: Task,
    precision: Precision,
    run: Run,
    journal: Journal,
    stop: list[int],
    done: int,
    save_every: float,
) -> None:
    saved_at = time.monotonic()
    for step in range(done, task.steps):
        journal.add(train_step(task, step, precision))
        finished = step + 1
        end_of_epoch = finished % task.steps_per_epoch == 0 or finished == task.steps
        if finished % _LOG_EVERY == 0 or end_of_epoch:
            journal.write(finished)
        if end_of_epoch:
            task.end_epoch()
            for module in task.modules.values():
                module.eval()
            with torch.inference_mode():
                journal.end_epoch(finished, task)
        journal.progress.advance(finished)
        stopping = any_process(bool(stop), task.device)
        due = time.monotonic() - saved_at > save_every
        if task.shard.rank == 0 and (stopping or due or finished == task.steps):
            # Both raise rather than let a broken state replace a good one.
            journal.write(finished)
            run.save(task, finished)
            saved_at = time.monotonic()
        if stopping and finished < task.steps:
            barrier()
            raise Interrupted(f"stopped after step {finished} of {task.steps}")


def train_step(
    task: Task, step: int, precision: Precision = "float32"
) -> Sequence[dict[str, Tensor]]:
    """Do step ``step`` (from 0) of a training, and return the losses of each of its updates."""
    rank = 0 if task.draws_whole_batches else task.shard.rank
    torch.manual_seed(mixed_seed(task.seed, step, rank))
    for module in task.modules.values():
        module.train()
    task.begin_step(step)
    losses = [update(task, stage, precision) for stage in task.stages(step)]
    task.end_step(step)
    # Each process has its own running statistics; those of the first one count.
    broadcast([buffer for module in task.modules.values() for buffer in module.buffers()])
    return losses


def update(task: Task, stage: Stage, precision: Precision = "float32") -> dict[str, Tensor]:
    """Do one update of an optimiser, and return its losses for the whole batch, detached."""
    optimizer = task.optimizers[stage.optimizer]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    own = {id(p) for p in parameters}
    for module in task.modules.values():
        for parameter in module.parameters():
            parameter.requires_grad_(id(parameter) in own)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast(task.device.type, torch.bfloat16, enabled=precision == "bf16"):
        losses = stage.losses()
        total = weighted_sum(losses, stage.weights)
    total.backward()  # type: ignore[no-untyped-call]
    logged = {name: loss.detach() for name, loss in losses.items()}
    if task.shard.world_size > 1:
        logged = {name: loss.clone() for name, loss in logged.items()}
        gradients = [p.grad for p in parameters if p.grad is not None]
        share = task.shard.share(task.batch_size)
        sum_over_processes([*gradients, *logged.values()], share)
    for group in optimizer.param_groups:
        group["lr"] = stage.learning_rate
    optimizer.step()
    return logged


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list that the loop looks at between steps."""
    seen: list[int] = []

    def stop(signum: int, _: FrameType | None) -> None:
        seen.append(signum)
        # A second Ctrl-C is for those who cannot wait for the step to end.
        signal.signal(signum, signal.default_int_handler)

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
