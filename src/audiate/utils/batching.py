"""Run networks on many items, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from audiate.utils.progress import tracked


@torch.no_grad()
def in_batches(
    function: Callable[[Tensor], Tensor],
    items: Tensor,
    size: int,
    what: str,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Apply a function to items, a batch at a time, and show the progress.

    Args:
        function: From items (batch, ...) on ``device`` to a tensor (batch, ...).
        items: (count, ...).
        size: Largest number of items in a batch.
        what: The work, as for `audiate.utils.progress.tracked`.
        device: Device on which the function takes its argument.

    Returns:
        The results (count, ...), on the CPU.

    """
    parts = torch.split(items, size)
    weights = [len(part) for part in parts]
    tracker = tracked(parts, what, weights=weights)
    return torch.cat([function(part.to(device)).cpu() for part in tracker])
