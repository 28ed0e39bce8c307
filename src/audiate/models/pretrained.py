"""How a model is kept on disk: `config.json`, `model.safetensors` and a model card.

Weights are stored as float32, float16, or as 8-bit integers with one float32 scale per channel
(symmetric, rounded to nearest), and are always restored to float32. Nothing is ever pickled.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from audiate.errors import InputError
from audiate.files import replace_text, replacing

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
FILES = (CONFIG_NAME, WEIGHTS_NAME, CARD_NAME)

Storage = Literal["float32", "float16", "int8"]

_SCALE_SUFFIX = "/scale"  # "/" never occurs in the name of a parameter of ours


@dataclass(frozen=True)
class Provenance:
    """Where a model's weights come from: enough to train it again and to know its test clips.

    Attributes:
        recipe: Name of the recipe, as in ``audiate train NAME``; empty if it was never trained.
        settings: Every hyperparameter of that recipe, the seed included, as plain JSON values.
        environment: Versions and precision the training ran with.

    """

    recipe: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


class PretrainedModel(nn.Module):
    """A network that can be saved to a folder and loaded from one (or from the hub).

    A subclass names its `model_type` (unique; written to `config.json`) and its frozen
    `config_class`, and takes one such config as its only argument.
    """

    model_type: ClassVar[str]
    config_class: ClassVar[type]

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.provenance = Provenance()

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def num_parameters(self) -> int:
        """Count of the scalars in all parameters."""
        return sum(p.numel() for p in self.parameters())

    def save_pretrained(
        self, folder: str | Path, *, storage: Storage = "float32", card: str | None = None
    ) -> Path:
        """Write config, weights and (where given) a model card into ``folder``.

        Each file is replaced atomically, the weights first: a reader sees the old file or the new.

        Raises:
            InputError: The folder cannot be written.

        """
        folder = Path(folder)
        config = {
            "model_type": self.model_type,
            "config": asdict(self.config),
            "provenance": asdict(self.provenance),
        }
        try:
            with replacing(folder / WEIGHTS_NAME) as partial:
                save_file(pack(self.state_dict(), storage), partial, metadata={"format": "pt"})
            replace_text(folder / CONFIG_NAME, json.dumps(config, indent=2) + "\n")
            if card is not None:
                replace_text(folder / CARD_NAME, card)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{folder}: cannot save the model there ({error}); choose another folder"
            ) from error
        return folder

    @classmethod
    def from_pretrained(cls, source: str | Path, *, device: str | torch.device = "cpu") -> Self:
        """Load weights of this class from a shipped name, a folder, or a hub id ``owner/name``.

        Raises:
            InputError: Nothing is there, or it holds another kind of model.

        """
        from audiate.hub import load  # the hub knows every class; a class knows only itself

        model = load(source, device=device)
        if not isinstance(model, cls):
            raise InputError(f"{source}: holds a {type(model).__name__}, not a {cls.__name__}")
        return model


def read_config(folder: Path) -> tuple[str, dict[str, Any], Provenance]:
    """Model type, its config's fields, and the provenance stored in ``folder``.

    Raises:
        InputError: `config.json` is missing, unreadable or not one of ours.

    """
    path = folder / CONFIG_NAME
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        model_type, fields = stored["model_type"], stored["config"]
        if not isinstance(model_type, str) or not isinstance(fields, dict):
            raise TypeError("model_type is to be a string and config an object")
        return model_type, fields, Provenance(**stored["provenance"])
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no {CONFIG_NAME} there; give a folder that save_pretrained or "
            f"`audiate train` wrote"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a model configuration of audiate ({_one_line(error)}); "
            f"save the model again or fetch a fresh copy"
        ) from error


def build(cls: type[PretrainedModel], folder: Path) -> PretrainedModel:
    """Make the model that ``folder`` describes and fill in its weights.

    Raises:
        InputError: The configuration or the weights do not fit the class, or are damaged.

    """
    _, fields, provenance = read_config(folder)
    try:
        model = cls(_dataclass_from(cls.config_class, fields))
    except (TypeError, InputError) as error:
        raise InputError(
            f"{folder / CONFIG_NAME}: does not describe a {cls.__name__} ({_one_line(error)}); "
            f"fetch or save the model anew"
        ) from error
    load_weights(model, folder / WEIGHTS_NAME)
    model.provenance = provenance
    return model.eval()


def load_weights(model: nn.Module, path: Path) -> None:
    """Copy the weights in a safetensors file into ``model``, whatever they are stored as.

    Raises:
        InputError: The file is missing, damaged, or belongs to another network.

    """
    try:
        with safe_open(path, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such weights file; fetch or save the model again") from None
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: not a safetensors file, or damaged ({_one_line(error)}); fetch a fresh copy"
        ) from error
    weights = unpack(stored)
    expected = model.state_dict()
    foreign = sorted(weights.keys() - expected.keys())
    missing = sorted(expected.keys() - weights.keys())
    unlike = sorted(
        name
        for name in weights.keys() & expected.keys()
        if weights[name].shape != expected[name].shape
        or weights[name].is_floating_point() != expected[name].is_floating_point()
    )
    if foreign or missing or unlike:
        trouble = "; ".join(
            f"{len(names)} {what}, such as {names[0]!r}"
            for what, names in (
                ("tensors unknown", foreign),
                ("missing", missing),
                ("of another shape or type", unlike),
            )
            if names
        )
        raise InputError(
            f"{path}: weights of another network than {CONFIG_NAME} beside it describes "
            f"({trouble}); fetch or save both anew"
        )
    unhealthy = sorted(name for name, w in weights.items() if not w.isfinite().all())
    if unhealthy:
        raise InputError(f"{path}: {unhealthy[0]!r} holds NaN or infinity; fetch a fresh copy")
    model.load_state_dict(weights)


def pack(state: dict[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """Tensors as they are stored.

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
            packed[name + _SCALE_SUFFIX] = scale
    return packed


def unpack(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `pack`, up to its rounding: every floating tensor as float32."""
    state: dict[str, Tensor] = {}
    for name, value in stored.items():
        if name.endswith(_SCALE_SUFFIX):
            continue
        scale = stored.get(name + _SCALE_SUFFIX)
        if value.dtype == torch.int8 and scale is not None and scale.shape == value.shape[:1]:
            state[name] = value.float() * _along_first(scale, value.ndim)
        else:
            state[name] = value.float() if value.is_floating_point() else value
    return state


def _along_first(scale: Tensor, ndim: int) -> Tensor:
    return scale.view(-1, *[1] * (ndim - 1))


def _dataclass_from(cls: type, fields: dict[str, Any]) -> Any:
    """Build a frozen config, nested ones included, from plain JSON values.

    Raises:
        TypeError: A field is unknown, or of another type than its default.

    """
    defaults = cls()
    values: dict[str, Any] = {}
    for name, value in fields.items():
        default = getattr(defaults, name, None)
        if is_dataclass(default) and isinstance(value, dict):
            values[name] = _dataclass_from(type(default), value)
        elif type(value) is type(default) or (type(default), type(value)) == (float, int):
            values[name] = value
        elif isinstance(default, tuple) and isinstance(value, list):  # JSON knows lists alone
            kind = get_args(get_type_hints(cls)[name])[0]
            if not all(type(item) is kind for item in value):
                raise TypeError(f"{name} cannot be {value!r}")
            values[name] = tuple(value)
        else:
            raise TypeError(f"{name} cannot be {value!r}")
    return cls(**values)


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
