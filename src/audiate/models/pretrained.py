"""The base of our networks, which are saved to a folder and loaded by a name."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, Self, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from audiate import models
from audiate.errors import InputError
from audiate.models.hub import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME, find
from audiate.models.storage import (
    Provenance,
    Storage,
    check_fits,
    load_weights,
    one_line,
    pack,
    read_config,
)
from audiate.utils.devices import resolve_device
from audiate.utils.filesystem import replace_text, replacing
from audiate.utils.serialization import from_plain

M = TypeVar("M", bound="PretrainedModel")


class PretrainedModel(nn.Module):
    """A network that can be saved to a folder and loaded from one (or from the hub).

    A subclass names its `model_type` (unique; written to `config.json`) and its frozen
    `config_class`, and takes one such config as its only argument. Naming a `model_type` makes the
    class known to `audiate.load`.
    """

    model_type: ClassVar[str]
    config_class: ClassVar[type]
    known: ClassVar[dict[str, type[PretrainedModel]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register a class that names its `model_type`."""
        super().__init_subclass__(**kwargs)
        if "model_type" in cls.__dict__:
            PretrainedModel.known[cls.model_type] = cls

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.provenance = Provenance()

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    def num_parameters(self) -> int:
        """Number of entries of all parameters."""
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
        model = load(source, device=device)
        if not isinstance(model, cls):
            raise InputError(f"{source}: holds a {type(model).__name__}, not a {cls.__name__}")
        return model


def known_models() -> dict[str, type[PretrainedModel]]:
    """Return every model class by its `model_type`; each file in ``audiate/models`` is imported."""
    for module in iter_modules(models.__path__):
        import_module(f"{models.__name__}.{module.name}")
    return PretrainedModel.known


def load(source: str | Path, *, device: str | torch.device = "cpu") -> PretrainedModel:
    """Load a model, ready for use (in eval mode).

    Args:
        source: A shipped name such as ``"flow-digits"``, a folder that `save_pretrained` or
            ``audiate train`` wrote, or a Hugging Face hub id ``owner/name``.
        device: Device to put it on.

    Raises:
        InputError: There is nothing by that name, or it is damaged or not one of our models.

    """
    where = resolve_device(device)
    folder = find(source)
    stored = read_config(folder)
    known = known_models()
    if stored.model_type not in known:
        raise InputError(
            f"{folder / CONFIG_NAME}: unknown model type {stored.model_type!r}; "
            f"this version of audiate knows {', '.join(sorted(known))}"
        )
    cls = known[stored.model_type]
    try:
        config: Any = from_plain(cls.config_class, stored.fields)
    except (TypeError, InputError) as error:
        raise InputError(
            f"{folder / CONFIG_NAME}: does not describe a {cls.__name__} ({one_line(error)}); "
            f"fetch or save the model anew"
        ) from error
    with torch.device("meta"):
        check_fits(cls(config), folder / WEIGHTS_NAME)
    model = cls(config)
    load_weights(model, folder / WEIGHTS_NAME)
    model.provenance = stored.provenance
    return model.eval().to(where)


def load_as(
    source: str | Path, kind: type[M], otherwise: str, *, device: str | torch.device = "cpu"
) -> M:
    """Load a model of a certain kind.

    Args:
        source: As for `load`.
        kind: Its class, or one it derives from.
        otherwise: End of the error message for a model of another class, after "a VAE".
        device: Device to put it on.

    Raises:
        InputError: As for `load`, or it is of another class.

    """
    model = load(source, device=device)
    if not isinstance(model, kind):
        raise InputError(f"{source}: {in_words(model)} {otherwise}")
    return model


def in_words(model: PretrainedModel) -> str:
    """The kind of a model with an article, for messages: a latent flow, an autoencoder, a VAE."""
    name = type(model).__name__
    plain = model.model_type.replace("-", " ")
    words = plain if plain.title().replace(" ", "") == name else name  # VAE is not Vae
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def weights_digest(model: nn.Module) -> str:
    """Eight characters by which the weights of a model are known again."""
    found = blake2b(digest_size=4)
    for tensor in model.state_dict().values():
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
