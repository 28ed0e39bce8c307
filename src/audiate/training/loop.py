"""The one training loop: any number of optimisers and phases, on CPU, GPU or several processes."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.tensorboard.writer import SummaryWriter

from audiate import __version__
from audiate.errors import InputError, Interrupted
from audiate.models import Provenance
from audiate.training.progress import Progress
from audiate.training.run import Run
from audiate.training.seeds import seed_step
from audiate.training.task import Phase, Shard, Task, objective

Precision = Literal["auto", "float32", "bf16"]

_LOG_EVERY = 20  # steps
_ROUNDING = {"device", "processes", "threads", "torch"}  # of the environment, what rounds otherwise


@dataclass(frozen=True)
class LoopOptions:
    """Where and how to train; nothing here changes what is learnt, but for rounding."""

    out: Path
    resume: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "auto"
    save_every: float = 60.0
    """Seconds between checkpoints."""


def fit(
    name: str,
    recipe: Any,
    make_task: Callable[[torch.device, Shard], Task],
    options: LoopOptions,
    *,
    bf16_pays: bool,
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
        quiet: Show nothing.

    Returns:
        The folder of the finished model, ``RUN/model``.

    Raises:
        InputError: The folder holds another run, cannot be written, or training diverged.
        Interrupted: SIGINT or SIGTERM came; the state is saved.

    """
    run = Run(options.out)
    precision = _resolve_precision(options, bf16_pays, run.stored_environment().get("precision"))
    fabric = launch(options.device, precision)
    provenance = Provenance(name, asdict(recipe), _environment(fabric, precision))
    if fabric.is_global_zero:
        run.open(provenance, resume=options.resume)
    fabric.barrier()

    before = run.stored_environment()
    task = make_task(fabric.device, Shard(fabric.global_rank, fabric.world_size))
    done = run.restore(task)
    if fabric.is_global_zero:
        run.rewind_log(done)
    with (
        _stop_flag() as stop,
        Progress(name, task.steps, done=done, quiet=quiet or not fabric.is_global_zero) as progress,
        closing(_Journal(fabric, run, progress, done)) as journal,
    ):
        for what in _ROUNDING & before.keys():
            if done and before[what] != provenance.environment[what]:
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
    journal: _Journal,
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
                buffer.copy_(fabric.broadcast(buffer))


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


class _Journal:
    """Collects losses; writes their means to the bar, the JSON lines and TensorBoard."""

    def __init__(self, fabric: Fabric, run: Run, progress: Progress, done: int) -> None:
        self.progress = progress
        self._fabric, self._run = fabric, run
        self._since_write: list[dict[str, Tensor]] = []
        self._epoch: list[dict[str, float]] = []
        self._board = (
            SummaryWriter(str(run.folder / "tensorboard"), purge_step=done + 1)
            if fabric.is_global_zero
            else None
        )

    def add(self, losses: dict[str, Tensor]) -> None:
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
        """Keep a picture, and say so where something has gone wrong."""
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
        alarm = task.diagnose(losses)
        if alarm is not None:
            self._run.log(step, {"alarm": alarm})
            self.progress.say(f"[bold red]alarm[/] (step {step}): {alarm}")

    def _record(self, step: int, values: Mapping[str, float]) -> None:
        if self._board is None:
            return
        self._run.log(step, values)
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


def _means(entries: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    names = sorted({name for entry in entries for name in entry})
    return {name: torch.stack([e[name] for e in entries if name in e]).mean() for name in names}


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


def launch(device: str, precision: str) -> Fabric:
    """Start Fabric on this machine's devices, or join the processes that torchrun started."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: no CUDA device here; use --device cpu")
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))
    _keep_freed_memory()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets on every start
    fabric = Fabric(
        accelerator=device,
        strategy="ddp" if world_size > 1 else "auto",
        devices=local,
        num_nodes=max(world_size // local, 1),
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


def _keep_freed_memory() -> None:
    """Have glibc keep what a step frees for the next one; elsewhere, do nothing.

    By default it gives every large block back to the kernel, which clears its pages anew: for the
    VAE's 200 MB a step, a quarter of the time on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
        mallopt(m_mmap_threshold, 2**30)
        mallopt(m_trim_threshold, 2**31 - 1)


def _resolve_precision(options: LoopOptions, bf16_pays: bool, before: str | None) -> str:
    """Settle ``auto``: what the run began with; else bf16 where it is faster.

    That is on GPUs that have it, and on CPUs where a matrix product takes less time.
    """
    if before is not None:
        if options.precision not in ("auto", before):
            raise InputError(
                f"--precision {options.precision}: the run in {options.out} began with {before}; "
                f"leave the flag out, or name another folder with --out"
            )
        return before
    if options.precision != "auto":
        return options.precision
    if not bf16_pays:
        return "float32"
    if options.device != "cpu" and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"

    def seconds(dtype: torch.dtype) -> float:
        a = torch.ones(512, 512, dtype=dtype)
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            a @ a
            times.append(time.perf_counter() - begun)
        return min(times)

    return "bf16" if 1.5 * seconds(torch.bfloat16) < seconds(torch.float32) else "float32"


def _environment(fabric: Fabric, precision: str) -> dict[str, str]:
    return {
        "audiate": __version__,
        "torch": torch.__version__,
        "device": fabric.device.type,
        "precision": precision,
        "processes": str(fabric.world_size),
        "threads": str(torch.get_num_threads()),
    }
