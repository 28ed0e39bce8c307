"""The one training loop: any number of optimisers and phases, on CPU, GPU or several processes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from audiate.errors import InputError, Interrupted
from audiate.models import Provenance
from audiate.training.journal import Journal
from audiate.training.launch import LoopOptions, environment, launch, resolve_precision
from audiate.training.progress import Progress
from audiate.training.run import Run
from audiate.training.seeds import seed_step
from audiate.training.task import Phase, Shard, Task, objective

_LOG_EVERY = 20  # steps
_ROUNDING = {"device", "processes", "threads", "torch"}  # of the environment, what rounds otherwise


def fit(
    name: str,
    recipe: Any,
    make_task: Callable[[torch.device, Shard], Task],
    options: LoopOptions,
    *,
    bf16_pays: bool,
    data: str = "",
    quiet: bool = False,
) -> Path:
    """Train, and write the finished model.

    Under ``torchrun`` every process takes its share of each batch, and gradients are averaged.
    The networks are not wrapped for that: gradient penalties and phases with several networks
    need no exceptions then, and a checkpoint holds the networks' own names.

    Args:
        name: The recipe's name, kept with the model.
        recipe: A dataclass of plain values that determine the result; kept likewise.
        make_task: Builds the task on a device, for one process's share.
        options: Folder, device, precision.
        bf16_pays: The networks are wide enough for bf16 to be faster where the hardware has it.
        data: A few words that tell this training's data from other data, kept with the model.
        quiet: Show nothing.

    Returns:
        The folder of the finished model, ``RUN/model``.

    Raises:
        InputError: The folder holds another run or one on other data, cannot be written, or
            training diverged.
        Interrupted: SIGINT or SIGTERM came; the state is saved.

    """
    run = Run(options.out)
    precision = resolve_precision(options, bf16_pays, run.stored_environment().get("precision"))
    fabric = launch(options.device, precision)
    provenance = Provenance(name, asdict(recipe), {**environment(fabric, precision), "data": data})
    if fabric.is_global_zero:
        run.open(provenance, resume=options.resume)
    fabric.barrier()

    before = run.stored_environment()
    if before.get("data", data) != data:
        raise InputError(
            f"{options.out}: begun with other data ({before['data']}; now {data}); "
            f"restore that, or train anew in another folder with --out"
        )
    task = make_task(fabric.device, Shard(fabric.global_rank, fabric.world_size))
    done = run.restore(task)
    if fabric.is_global_zero:
        run.rewind_log(done)
    with (
        _stop_flag() as stop,
        Progress(name, task.steps, done=done, quiet=quiet or not fabric.is_global_zero) as progress,
        closing(Journal(run, progress, done, writes=fabric.is_global_zero)) as journal,
    ):
        for what in _ROUNDING & before.keys():
            if 0 < done < task.steps and before[what] != provenance.environment[what]:
                progress.say(
                    f"resumed with {what} {provenance.environment[what]}, begun with "
                    f"{before[what]}: the last bits of the weights will differ"
                )
        _train(fabric, task, run, journal, stop, done, options.save_every)
    task.model.provenance = provenance
    if fabric.is_global_zero:
        task.model.save_pretrained(run.model)
    fabric.barrier()
    return run.model


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
        seed_step(task.seed, step, task.shard.rank)
        for module in task.modules.values():
            module.train()
        for phase in task.phases(step):
            journal.add(update(fabric, task, phase))
        task.end_step(step)
        _share_buffers(fabric, task)

        finished = step + 1
        end_of_epoch = finished % task.steps_per_epoch == 0 or finished == task.steps
        if finished % _LOG_EVERY == 0 or end_of_epoch:
            journal.write(finished)
        if end_of_epoch:
            with _evaluating(task):
                journal.end_epoch(finished, task)
        journal.progress.advance(finished)

        stopping = _any_process(fabric, stop.requested)
        due = time.monotonic() - saved_at > save_every
        if fabric.is_global_zero and (stopping or due or finished == task.steps):
            # Both raise rather than let a broken state replace a good one.
            journal.write(finished)
            run.save(task, finished)
            saved_at = time.monotonic()
        if stopping and finished < task.steps:
            fabric.barrier()
            raise Interrupted(f"stopped after step {finished} of {task.steps}")


def update(fabric: Fabric, task: Task, phase: Phase) -> dict[str, Tensor]:
    """One optimiser's update; its losses, detached."""
    optimizer = task.optimizers[phase.optimizer]
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for module in task.modules.values():
        for parameter in module.parameters():
            parameter.requires_grad_(id(parameter) in own)
    optimizer.zero_grad(set_to_none=True)
    with fabric.autocast():
        losses = phase.losses()
        total = objective(losses, phase.weights)
    fabric.backward(total)
    for group in optimizer.param_groups:
        group["lr"] = phase.learning_rate
        if fabric.world_size > 1:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    fabric.all_reduce(parameter.grad, reduce_op="mean")
    optimizer.step()
    return {name: loss.detach() for name, loss in losses.items()}


def _share_buffers(fabric: Fabric, task: Task) -> None:
    """Give every process the first one's buffers (running statistics of batch norm)."""
    if fabric.world_size > 1:
        for module in task.modules.values():
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, src=0)


def _any_process(fabric: Fabric, flag: bool) -> bool:
    if fabric.world_size == 1:
        return flag
    count = fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum")
    assert isinstance(count, Tensor)
    return bool(count.item() > 0)


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
