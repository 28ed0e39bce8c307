"""The storage of weights and configurations, which are read without being trusted.

Weights are stored as float32, float16, or as 8-bit integers with one float32 scale per channel
(symmetric, rounded to nearest), and are always restored to float32. Nothing is ever pickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from audiate.errors import InputError
from audiate.models.hub import CONFIG_NAME

Storage = Literal["float32", "float16", "int8"]

MAX_PARAMETERS = 200_000_000
"""A model with more is refused before it is built: file and model would take more than 1.6 GB."""

_MAX_CONFIG_BYTES = 2**20
_MAX_HEADER_BYTES = 2**22  # a safetensors file begins with the names and shapes of its tensors
_PART = 2**24  # number of entries of a tensor that are read at a time
_SCALE_SUFFIX = "/scale"  # "/" never occurs in the name of a parameter of ours
_FLOATING = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Provenance:
    """The origin of a model's weights, by which it is trained again and its test clips are chosen.

    Attributes:
        recipe: Name of the recipe, as in ``audiate train NAME``; empty if it was never trained.
        settings: Every hyperparameter of that recipe, the seed included, as plain JSON values.
        environment: Versions of the libraries, and the precision, that the training ran with.

    """

    recipe: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


class StoredModel(NamedTuple):
    """The content of a `config.json`: the model's type, its config's fields, and its provenance."""

    model_type: str
    fields: dict[str, Any]
    provenance: Provenance


def read_config(folder: Path) -> StoredModel:
    """Read the `config.json` in ``folder``.

    Raises:
        InputError: It is missing, unreadable, too large or not one of ours.

    """
    path = folder / CONFIG_NAME
    try:
        if path.exists() and not path.is_file():
            raise ValueError("no regular file")
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise ValueError("larger than 1 MB")
        stored = json.loads(path.read_text(encoding="utf-8"))
        model_type, fields = stored["model_type"], stored["config"]
        if not isinstance(model_type, str) or not isinstance(fields, dict):
            raise TypeError("model_type is to be a string and config an object")
        provenance = Provenance(**stored["provenance"])
        if not isinstance(provenance.recipe, str) or not provenance.recipe.isprintable():
            raise TypeError("recipe is to be a string of printable characters")
        return StoredModel(model_type, fields, provenance)
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no {CONFIG_NAME} there; give a folder that save_pretrained or "
            f"`audiate train` wrote"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a model configuration of audiate ({one_line(error)}); "
            f"save the model again or fetch a fresh copy"
        ) from error


def read_weights(model: nn.Module, path: Path) -> dict[str, Tensor]:
    """Read the weights of a network, after their shapes were compared with the network's.

    They may be stored in any of the ways of `Storage`. Beside them, a part of one tensor at a time
    is in memory.

    Args:
        model: The network that the weights are for, on the device ``meta``.
        path: The safetensors file.

    Returns:
        The state for ``model.load_state_dict``, on the CPU.

    Raises:
        InputError: The file is missing or damaged, belongs to another network, or holds NaN or
            infinity; or the network has more than `MAX_PARAMETERS` parameters.

    """
    expected = model.state_dict()
    count = sum(tensor.numel() for tensor in expected.values())
    if count > MAX_PARAMETERS:
        raise InputError(
            f"{path.parent / CONFIG_NAME}: describes a network of {count:,} parameters, over the "
            f"{MAX_PARAMETERS:,} that are loaded; take a smaller model"
        )
    try:
        if path.exists() and not path.is_file():
            raise OSError("no regular file")
        with path.open("rb") as content:
            if int.from_bytes(content.read(8), "little") > _MAX_HEADER_BYTES:
                raise OSError("its header is too long, or it is none")
        with safe_open(path, framework="pt") as file:
            stored = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {
                name: (tuple(part.get_shape()), _is_floating(part, stored.get(_scale_of(name))))
                for name, part in stored.items()
                if not name.endswith(_SCALE_SUFFIX)
            }
            needed = {
                name: (tuple(tensor.shape), tensor.is_floating_point())
                for name, tensor in expected.items()
            }
            _check_same(path, shapes, needed)
            # Not `empty_like`, for which PyTorch imports its compiler on the device meta.
            weights = {
                name: torch.empty_strided(each.shape, each.stride(), dtype=each.dtype, device="cpu")
                for name, each in expected.items()
            }
            for name, target in weights.items():
                scale = file.get_tensor(_scale_of(name)) if _scale_of(name) in stored else None
                if not _copy(file, name, scale, target):
                    raise InputError(f"{path}: {name!r} holds NaN or infinity; fetch a fresh copy")
            return weights
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such weights file; fetch or save the model again") from error
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: not a safetensors file, or damaged ({one_line(error)}); fetch a fresh copy"
        ) from error


def _copy(file: Any, name: str, scale: Tensor | None, target: Tensor) -> bool:
    """Copy a stored tensor to ``target`` part by part; return whether all of it is finite."""
    if target.ndim == 0:
        target.copy_(file.get_tensor(name))
        return bool(target.isfinite())
    stored, rows = file.get_slice(name), max(_PART * len(target) // max(target.numel(), 1), 1)
    if stored.get_dtype() != "I8":
        scale = None
    if scale is not None:
        scale = _along_first(scale.float(), target.ndim)
        if not (128 * scale).isfinite().all():
            return False
    for begin in range(0, len(target), rows):
        part = slice(begin, begin + rows)
        if scale is not None:  # not `torch.mul`, which takes thirty times as long between types
            target[part].copy_(stored[part]).mul_(scale[part])
            continue
        weight = stored[part]
        if not weight.isfinite().all():
            return False
        target[part].copy_(weight)
    return True


def pack(state: Mapping[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """Convert tensors to the form in which they are stored.

    With ``int8``, every floating tensor of two or more dimensions becomes 8-bit integers and a
    scale for each index of its first dimension, ``max |w| / 127``; vectors stay float32.
    """
    if storage not in get_args(Storage):
        raise InputError(f"storage {storage!r}: give one of {', '.join(get_args(Storage))}")
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        value = tensor.detach().cpu().contiguous()
        if not value.is_floating_point() or storage == "float32":
            packed[name] = value
        elif storage == "float16":
            packed[name] = value.half()
        elif value.ndim < 2:
            packed[name] = value.float()
        else:
            scale = value.float().abs().flatten(1).amax(1).clamp_min(1e-12) / 127
            steps = value.float() / _along_first(scale, value.ndim)
            packed[name] = steps.round().to(torch.int8).contiguous()
            packed[_scale_of(name)] = scale
    return packed


def _along_first(scale: Tensor, ndim: int) -> Tensor:
    return scale.view(-1, *[1] * (ndim - 1))


def _scale_of(name: str) -> str:
    """The name of the tensor that holds the scale of a tensor in 8 bits."""
    return name + _SCALE_SUFFIX


def _is_floating(part: Any, scale: Any | None) -> bool:
    """Whether a stored tensor is restored to floats: by itself, or by a scale for each row."""
    if part.get_dtype() != "I8" or scale is None:
        return part.get_dtype() in _FLOATING
    return scale.get_dtype() in _FLOATING and scale.get_shape() == part.get_shape()[:1]


Shapes = Mapping[str, tuple[tuple[int, ...], bool]]
"""Shape of each tensor by its name, and whether it holds floats."""


def _check_same(path: Path, found: Shapes, needed: Shapes) -> None:
    """Make sure that tensors have the needed names, shapes and kinds."""
    shared = found.keys() & needed.keys()
    problems = (
        ("tensors unknown", sorted(found.keys() - needed.keys())),
        ("missing", sorted(needed.keys() - found.keys())),
        ("of another shape or type", sorted(n for n in shared if found[n] != needed[n])),
    )
    trouble = [f"{len(names)} {what}, such as {names[0]!r}" for what, names in problems if names]
    if trouble:
        raise InputError(
            f"{path}: weights of another network than {CONFIG_NAME} beside it describes "
            f"({'; '.join(trouble)}); fetch or save both anew"
        )


def one_line(error: BaseException) -> str:
    """An error's class and message on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
