"""Choose the device that a command or function computes on."""

from __future__ import annotations

import os
from functools import cache

import torch

from audiate.errors import InputError, check_range
from audiate.utils.progress import note

MPS_FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
"""Environment variable by which PyTorch computes on the CPU what MPS cannot. `import audiate` sets
it, and PyTorch reads it when it is imported."""


def resolve_device(device: str | torch.device) -> torch.device:
    """Resolve the name of a device; ``auto`` is a CUDA GPU where there is one, else the CPU.

    The GPU of a Mac, ``mps``, is used where it is asked for. What it cannot compute, such as some
    operations on complex numbers, runs on the CPU, and a note on standard error says so once.

    On a CUDA GPU, convolutions are computed in full float32 from then on, in the whole process: by
    default PyTorch rounds what they multiply to 10 bits (TF32), which moves WaveGAN's samples by
    5e-4. Where autocast asks for bf16, this has no effect.

    Raises:
        InputError: There is no such device here.

    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"`device` {device}: give auto, cpu, cuda or mps") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"`device` {device}: no CUDA device here; use cpu")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"`device` {device}: no GPU of a Mac here; use cpu")
    if resolved.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    if resolved.type == "mps":
        _report_fallback()
    return resolved


def use_threads(threads: int | None = None) -> None:
    """Compute with so many threads on the CPU; by default, with one for each idle core.

    Where other programs keep the cores busy, threads wait for those of them that do not run, and
    take longer than a single one. `OMP_NUM_THREADS` is heeded.

    Raises:
        InputError: The number is out of range.

    """
    if threads is not None:
        check_range("`threads`", threads, 1, 1024)
        torch.set_num_threads(threads)
    elif "OMP_NUM_THREADS" not in os.environ and hasattr(os, "getloadavg"):
        every = torch.get_num_threads()
        idle = max(1, (os.cpu_count() or 1) - round(os.getloadavg()[0]))
        if idle < every:
            torch.set_num_threads(idle)
            note(f"computing with {idle} of {every} threads, as cores are busy; or set `threads`")


@cache
def _report_fallback() -> None:
    """Report once what happens to operations that MPS does not have."""
    if os.environ.get(MPS_FALLBACK) == "1":
        note("what MPS cannot compute runs on the CPU")
    else:
        note(f"MPS cannot compute everything; set {MPS_FALLBACK}=1 to have the rest on the CPU")
