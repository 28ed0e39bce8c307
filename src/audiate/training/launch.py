"""Devices, processes and precision of a training."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import sys
import time
from typing import TYPE_CHECKING

import torch

from audiate.errors import InputError
from audiate.training.options import RunOptions
from audiate.utils.devices import resolve_device
from audiate.version import __version__

if TYPE_CHECKING:
    from lightning_fabric import Fabric
from collections.abc import Callable, Sequence
from itertools import groupby

from torch import Tensor


def launch(device: str, precision: str) -> Fabric:
    """Start Fabric on this machine's device, or join the processes that torchrun started.

    On a GPU, cuDNN tries its algorithms out, as the shapes in a training do not change.
    """
    from lightning_fabric import Fabric  # takes seconds, which a mistyped argument must not cost

    kind = resolve_device(device).type
    torch.backends.cudnn.benchmark = kind == "cuda"
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world_size))
    _keep_freed_memory()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets on every start
    fabric = Fabric(
        accelerator=kind,
        strategy="ddp" if world_size > 1 else "auto",
        devices=local,
        num_nodes=max(world_size // local, 1),
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )
    fabric.launch()
    if world_size > 1:
        # Else threads of the exchange may outlive the interpreter, which then aborts at its end.
        atexit.register(_leave)
    return fabric


def _leave() -> None:
    """End the exchange with other processes."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _keep_freed_memory() -> None:
    """Let glibc keep the memory that a step frees for the next one; elsewhere, do nothing.

    By default it gives every large block back to the kernel, which clears its pages anew: for the
    VAE's 200 MB a step, a quarter of the time on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
        mallopt(m_mmap_threshold, 2**30)
        mallopt(m_trim_threshold, 2**31 - 1)


def resolve_precision(options: RunOptions, bf16_pays: bool, before: str | None) -> str:
    """The precision of a run: the one it began with, or what the options say.

    ``auto`` is bf16 where it is faster: on GPUs that have it, and on CPUs where a matrix product
    takes less time in it.

    Args:
        options: Where and how to train.
        bf16_pays: Whether the networks are wide enough for bf16 to be faster.
        before: The precision that the run began with, if it did.

    Raises:
        InputError: The options ask for another precision than the run began with.

    """
    if before is not None:
        if options.precision not in ("auto", before):
            raise InputError(
                f"`precision` {options.precision}: the run began with {before}; leave it out, or "
                f"name another folder with `out`"
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


def environment(fabric: Fabric, precision: str) -> dict[str, str]:
    """The versions and the hardware that a run's last bits depend on, to be kept with it."""
    return {
        "audiate": __version__,
        "torch": torch.__version__,
        "device": fabric.device.type,
        "precision": precision,
        "processes": str(fabric.world_size),
        "threads": str(torch.get_num_threads()),
    }


def sum_over_processes(fabric: Fabric, tensors: Sequence[Tensor], share: float) -> None:
    """Replace each tensor by the sum over processes of ``share`` times it.

    Args:
        fabric: The processes.
        tensors: As many and of the same shapes in every process.
        share: This process's weight; the weights of all processes add up to 1.

    """

    def exchange(flat: Tensor) -> None:
        flat *= share
        torch.distributed.all_reduce(flat)

    _together(fabric, tensors, exchange)


def broadcast(fabric: Fabric, tensors: Sequence[Tensor]) -> None:
    """Give every process the first one's tensors."""
    _together(fabric, tensors, lambda flat: torch.distributed.broadcast(flat, src=0))


def any_process(fabric: Fabric, flag: bool) -> bool:
    """Whether the flag is set in one of the processes."""
    if fabric.world_size == 1:
        return flag
    count = fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum")
    assert isinstance(count, Tensor)
    return bool(count.item() > 0)


def _together(
    fabric: Fabric, tensors: Sequence[Tensor], exchange: Callable[[Tensor], object]
) -> None:
    """Exchange all tensors of one type in one call, since each call waits for all processes."""
    if fabric.world_size == 1:
        return
    by_type = sorted(tensors, key=lambda tensor: str(tensor.dtype))
    for _, group in groupby(by_type, key=lambda tensor: tensor.dtype):
        parts = list(group)
        flat = torch.cat([part.reshape(-1) for part in parts])
        exchange(flat)
        ends = torch.tensor([part.numel() for part in parts]).cumsum(0)
        for part, changed in zip(parts, torch.tensor_split(flat, ends[:-1]), strict=True):
            part.copy_(changed.view(part.shape))
