"""From a name, a folder or a hub id to a model with its weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import torch

from audiate.errors import InputError
from audiate.models import MODELS, PretrainedModel
from audiate.models.pretrained import CONFIG_NAME, FILES, WEIGHTS_NAME, build, read_config

SHIPPED_FOLDER = Path(__file__).parent / "weights"

M = TypeVar("M", bound=PretrainedModel)

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def shipped_models() -> list[str]:
    """Names of the models whose weights come with the package."""
    return sorted(path.parent.name for path in SHIPPED_FOLDER.glob(f"*/{CONFIG_NAME}"))


def check_device(device: str | torch.device) -> None:
    """Raise `InputError` for a GPU where there is none."""
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device}: no CUDA device here; use cpu")


def load(source: str | Path, *, device: str | torch.device = "cpu") -> PretrainedModel:
    """Load a model, ready for use (in eval mode).

    Args:
        source: A shipped name such as ``"flow-digits"``, a folder that `save_pretrained` or
            ``audiate train`` wrote, or a Hugging Face hub id ``owner/name``.
        device: Where to put it.

    Raises:
        InputError: Nothing by that name, or what is there is damaged or not one of our models.

    """
    check_device(device)
    folder = find(source)
    model_type, _, _ = read_config(folder)
    if model_type not in MODELS:
        raise InputError(
            f"{folder / CONFIG_NAME}: unknown model type {model_type!r}; "
            f"this version of audiate knows {', '.join(sorted(MODELS))}"
        )
    return build(MODELS[model_type], folder).to(device)


def load_as(source: str | Path, kind: type[M], otherwise: str) -> M:
    """Load a model of a certain kind.

    Args:
        source: As of `load`.
        kind: Its class, or one it derives from.
        otherwise: What is said of a model of another class, after "a VAE", say.

    Raises:
        InputError: As `load`, or it is of another class.

    """
    model = load(source)
    if not isinstance(model, kind):
        raise InputError(f"{source}: a {type(model).__name__} {otherwise}")
    return model


def find(source: str | Path) -> Path:
    """The folder that holds the model called ``source``; downloads it if it is a hub id."""
    name = str(source)
    if name in shipped_models():
        return SHIPPED_FOLDER / name
    folder = Path(source)
    if folder.is_dir():
        # A run of `audiate train` keeps its model in a folder of its own.
        exported = folder / "model"
        if (exported / CONFIG_NAME).is_file():
            return exported
        if (folder / "settings.json").is_file() and not (folder / CONFIG_NAME).is_file():
            good = folder / "last-good"
            meanwhile = f"; or take its last good state, {good}" if good.is_dir() else ""
            raise InputError(
                f"{folder}: this training is not finished; go on with it: `audiate train` as "
                f"before, with --resume{meanwhile}"
            )
        return folder
    if folder.is_file():
        raise InputError(
            f"{name}: is a file; name a folder, or make a generator of it in Python with "
            f"audiate.wrap_onnx or audiate.wrap_torchscript"
        )
    if _HUB_ID.fullmatch(name) and not folder.parent.is_dir():
        return _download(name)
    raise InputError(
        f"{name}: no such model; give a folder, a hub id (owner/name), or one of "
        f"{', '.join(shipped_models())}"
    )


def _download(hub_id: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=list(FILES)))
    except Exception as error:  # its many error classes share no base but Exception
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{hub_id}: neither a folder here nor to be had from the Hugging Face hub ({reason})"
        ) from error
    if not (folder / WEIGHTS_NAME).is_file():
        raise InputError(f"{hub_id}: that hub repository holds no {WEIGHTS_NAME}")
    return folder
