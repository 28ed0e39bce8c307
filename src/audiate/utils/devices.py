"""The one rule by which every command and function chooses its device."""

from __future__ import annotations

import torch

from audiate.errors import InputError


def resolve_device(device: str | torch.device) -> torch.device:
    """Resolve the name of a device; ``auto`` is a CUDA GPU where there is one, else the CPU.

    On a GPU, convolutions are computed in full float32 from then on, in the whole process: by
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
        raise InputError(f"`device` {device}: give auto, cpu or cuda") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"`device` {device}: no CUDA device here; use cpu")
    if resolved.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    return resolved
