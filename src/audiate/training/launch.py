"""Devices, processes and precision of a training, on `torch.distributed` and `torch.autocast`."""

import atexit
import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor, distributed

from audiate.errors import InputError
from audiate.training.options import Precision
from audiate.training.task import Shard
from audiate.utils.devices import resolve_device
from audiate.version import __version__


def launch(device: str) -> tuple[torch.device, Shard]:
    """Choose this process's device, and join the processes that torchrun started.

    On a GPU, cuDNN tries its algorithms out, as the shapes in a training do not change.

    Returns:
        The device, and the part of every batch that this process takes.

    Raises:
        InputError: There is no such device, or there are more processes than GPUs, or the
            environment names several processes, but not where they meet.

    """
    chosen = resolve_device(device)
    on_gpu = chosen.type == "cuda"
    torch.backends.cudnn.benchmark = on_gpu
    _keep_freed_memory()
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if on_gpu:
        local = int(os.environ.get("LOCAL_RANK", "0")) if world_size > 1 else 0
        if local >= torch.cuda.device_count():
            raise InputError(
                f"`device` cuda: process {local + 1} of this machine has no GPU of its own, as "
                f"there are {torch.cuda.device_count()}; start fewer with torchrun, or use cpu"
            )
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
    if world_size == 1:
        return chosen, Shard()
    if not distributed.is_initialized():
        try:
            distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
        except ValueError as error:  # a variable is missing
            raise InputError(
                f"WORLD_SIZE is {world_size}, but the processes find no other ({error}); start "
                f"them with torchrun, or unset WORLD_SIZE"
            ) from error
        # Else threads of the exchange may outlive the interpreter, which then aborts at its end.
        atexit.register(_leave)
    return chosen, Shard(distributed.get_rank(), distributed.get_world_size())


def _leave() -> None:
    """End the exchange with other processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


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


def environment(device: torch.device, shard: Shard, precision: Precision) -> dict[str, str]:
    """The versions and the hardware that a run's last bits depend on, to be kept with it."""
    return {
        "audiate": __version__,
        "torch": torch.__version__,
        "device": device.type,
        "precision": precision,
        "processes": str(shard.world_size),
        "threads": str(torch.get_num_threads()),
    }


def barrier() -> None:
    """Wait until every process has come here."""
    if distributed.is_initialized():
        distributed.barrier()


def any_process(flag: bool, device: torch.device) -> bool:
    """Return True in every process if the flag is set in one of them."""
    if not distributed.is_initialized():
        return flag
    count = torch.tensor(float(flag), device=device)
    distributed.all_reduce(count)
    return bool(count.item() > 0)


def sum_over_processes(tensors: Sequence[Tensor], share: float) -> None:
    """Replace each tensor by the sum over processes of ``share`` times it.

    Args:
        tensors: As many and of the same shapes in every process.
        share: This process's weight; the weights of all processes add up to 1.

    """

    def exchange(flat: Tensor) -> None:
        flat *= share
        distributed.all_reduce(flat)

    _together(tensors, exchange)


def broadcast(tensors: Sequence[Tensor]) -> None:
    """Give every process the first one's tensors."""
    _together(tensors, lambda flat: distributed.broadcast(flat, src=0))


def _together(tensors: Sequence[Tensor], exchange: Callable[[Tensor], object]) -> None:
    """Exchange all tensors of one type in one call, since each call waits for all processes."""
    if not distributed.is_initialized():
        return

    def kind(tensor: Tensor) -> tuple[str, str]:
        return str(tensor.dtype), str(tensor.device)

    for _, group in groupby(sorted(tensors, key=kind), key=kind):
        parts = list(group)
        flat = torch.cat([part.reshape(-1) for part in parts])
        exchange(flat)
        ends = torch.tensor([part.numel() for part in parts]).cumsum(0)
        for part, changed in zip(parts, torch.tensor_split(flat, ends[:-1]), strict=True):
            part.copy_(changed.view(part.shape))
