"""The base of our networks, which are saved to a folder and loaded by a name."""

import json
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self, TypeVar, overload

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from audiate import models
from audiate.errors import InputError
from audiate.models.hub import CARD_NAME, CONFIG_NAME, DEFAULT_GENERATOR, WEIGHTS_NAME, find
from audiate.models.storage import Provenance, Storage, one_line, pack, read_config, read_weights
from audiate.utils.devices import resolve_device
from audiate.utils.filesystem import replace_text, replacing
from audiate.utils.serialization import from_plain

M = TypeVar("M")


class PretrainedModel(nn.Module):
    """A network that can be saved to a folder and loaded from one (or from the hub).

    A subclass names its `model_type` (unique; written to `config.json`) and its frozen
    `config_class`, and takes one such config as its only argument. Naming a `model_type` makes the
    class known to `audiate.load`.
    """

    model_type: ClassVar[str]
    config_class: ClassVar[type]
    refusal: ClassVar[str] = "is of another kind; name another model"
    """End of the message about a model of another class, after "a VAE"."""
    pipeline_tag: ClassVar[str] = "other"
    """The task by which the Hugging Face hub lists the model."""
    known: ClassVar[dict[str, "type[PretrainedModel]"]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register a class that names its `model_type`."""
        super().__init_subclass__(**kwargs)
        if "model_type" in cls.__dict__:
            PretrainedModel.known[cls.model_type] = cls

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.config = config or self.config_class()
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

        Each file is replaced atomically, the weights first: a reader gets the old file or the new.

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
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str | torch.device = "cpu",
        revision: str | None = None,
    ) -> Self:
        """Load weights of this class; arguments and errors are those of `load`."""
        return load(source, cls, device=device, revision=revision)

    # Not by `huggingface_hub.PyTorchModelHubMixin`: it reads weights before it compares shapes,
    # builds a network of any size that a file asks for, and knows neither 8-bit weights nor
    # provenance.
    def push_to_hub(
        self,
        repo_id: str,
        *,
        storage: Storage = "float32",
        card: str | None = None,
        private: bool = False,
        revision: str | None = None,
    ) -> str:
        """Write the model to the Hugging Face hub.

        Args:
            repo_id: ``owner/name``, which is made where it is not there.
            storage: As for `save_pretrained`.
            card: The model card; by default, one that names kind, size and recipe.
            private: Whether a repository that is made is private.
            revision: The branch, which is made where it is not there; ``main`` by default.

        Returns:
            The address of the commit.

        Raises:
            InputError: The hub refuses it, or cannot be reached.

        """
        from huggingface_hub import HfApi

        api = HfApi()
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder, storage=storage, card=card or self.card(repo_id))
            try:
                api.create_repo(repo_id, private=private, exist_ok=True)
                if revision is not None:
                    api.create_branch(repo_id, branch=revision, exist_ok=True)
                commit = api.upload_folder(repo_id=repo_id, folder_path=folder, revision=revision)
            except Exception as error:  # its many error classes share no base but Exception
                raise InputError(
                    f"{repo_id}: cannot be written to the Hugging Face hub "
                    f"({one_line(error)[:200]}); log in with `hf auth login`, or name another"
                ) from error
        return str(commit)

    def card(self, name: str) -> str:
        """A short model card, with the head in YAML that the Hugging Face hub reads."""
        recipe, kind = self.provenance.recipe, in_words(self)
        trained = f" It was trained by `audiate train {recipe}`." if recipe else ""
        data = self.provenance.settings.get("data", ())
        listed = ", ".join(data) if isinstance(data, (list, tuple)) else str(data)
        return (
            f"---\nlicense: other\nlibrary_name: audiate\npipeline_tag: {self.pipeline_tag}\n"
            f"datasets: [{listed}]\ntags: [audiate, {self.model_type}]\n---\n"
            f"# {name.rpartition('/')[2]}\n\n{kind[0].upper()}{kind[1:]} of "
            f"{self.num_parameters():,} parameters.{trained} `config.json` has all settings.\n\n"
            f'```python\nimport audiate\n\nmodel = audiate.load("{name}")\n```\n'
        )

    def __repr__(self) -> str:
        """The class, the size, and what goes in and out, on one line."""
        count, shapes = self.num_parameters(), f", {self.shapes()}" if self.shapes() else ""
        size = f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count:,}"
        return f"{type(self).__name__}: {size} parameters{shapes}"

    def shapes(self) -> str:
        """Describe inputs and outputs in a few words, for `repr`."""
        return ""


def known_models() -> dict[str, type[PretrainedModel]]:
    """Every model class by its `model_type`; each file in ``audiate/models`` is imported."""
    for module in iter_modules(models.__path__):
        import_module(f"{models.__name__}.{module.name}")
    return PretrainedModel.known


def _class_of(model_type: str) -> type[PretrainedModel] | None:
    """The class of a `model_type`: that of the file of its name, or else of any file."""
    own = model_type.replace("-", "_")
    if model_type not in PretrainedModel.known and own in {
        m.name for m in iter_modules(models.__path__)
    }:
        import_module(f"{models.__name__}.{own}")
    return PretrainedModel.known.get(model_type) or known_models().get(model_type)


@overload
def load(
    source: str | Path, *, device: str | torch.device = "cpu", revision: str | None = None
) -> PretrainedModel: ...


@overload
def load(
    source: str | Path | M,
    kind: type[M],
    *,
    device: str | torch.device = "cpu",
    revision: str | None = None,
) -> M: ...


def load(
    source: Any,
    kind: type[Any] | None = None,
    *,
    device: str | torch.device = "cpu",
    revision: str | None = None,
) -> Any:
    """Load a model, ready for use: in eval mode, and with parameters that need no gradient.

    Outputs so have a gradient only where the input asks for one; `model.requires_grad_()` lets the
    parameters have theirs. Loading draws no random numbers.

    Args:
        source: A shipped name such as ``"flow-digits"``, a folder that `save_pretrained` or
            ``audiate train`` wrote, or a Hugging Face hub id ``owner/name`` or
            ``owner/name@revision``. An object of class ``kind`` is returned as it is.
        kind: Class that is needed, or one it derives from; any model by default.
        device: Device to put it on.
        revision: Branch, tag or commit of a hub id.

    Raises:
        InputError: There is nothing by that name, it is damaged or not one of our models, or it is
            of another class than ``kind``.

    """
    kind = kind or PretrainedModel
    names = "give a shipped name such as flow-digits, a folder, or a hub id"
    if source is None or source == "":
        raise InputError(f"no model is named; {names}")
    model = _loaded(source, device, revision) if isinstance(source, (str, Path)) else source
    if isinstance(model, kind):
        return model
    if isinstance(model, PretrainedModel):
        named = f"{source}: " if isinstance(source, (str, Path)) else ""
        # A protocol, which has no attributes, is that of generators.
        refusal = getattr(kind, "refusal", f"does not generate sound; {DEFAULT_GENERATOR} does")
        raise InputError(f"{named}{in_words(model)} {refusal}")
    if issubclass(kind, nn.Module):
        raise InputError(f"{type(model).__name__}: is no model of ours; {names}")
    raise InputError(
        f"{type(model).__name__}: is no {kind.__name__.lower()} yet; "
        f"give audiate.wrap(it, latent_dim=..., sample_rate=...)"
    )


def _loaded(
    source: str | Path, device: str | torch.device, revision: str | None
) -> PretrainedModel:
    where = resolve_device(device)
    folder = find(source, revision=revision)
    stored = read_config(folder)
    cls = _class_of(stored.model_type)
    if cls is None:
        raise InputError(
            f"{folder / CONFIG_NAME}: unknown model type {stored.model_type!r}; "
            f"this version of audiate knows {', '.join(sorted(PretrainedModel.known))}"
        )
    try:
        config: Any = from_plain(cls.config_class, stored.fields)
    except (TypeError, InputError) as error:
        raise InputError(
            f"{folder / CONFIG_NAME}: does not describe a {cls.__name__} ({one_line(error)}); "
            f"fetch or save the model anew"
        ) from error
    with torch.random.fork_rng(devices=[]):
        with torch.device("meta"):
            model = cls(config)
        weights = read_weights(model, folder / WEIGHTS_NAME)
        model.load_state_dict(weights, assign=True)
        if any(buffer.is_meta for buffer in model.buffers()):  # one that no file holds
            model = cls(config)
            model.load_state_dict(weights)
    model.provenance = stored.provenance
    return model.eval().requires_grad_(False).to(where)


def in_words(model: PretrainedModel) -> str:
    """The kind of a model with an article, for messages: a latent flow, an autoencoder, a VAE."""
    name = type(model).__name__
    plain = model.model_type.replace("-", " ")
    words = plain if plain.title().replace(" ", "") == name else name  # VAE is not Vae
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"
