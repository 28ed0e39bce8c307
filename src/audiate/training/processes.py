"""Exchange between the processes of a training; a single process exchanges nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lightning_fabric import Fabric


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
