"""Open a generator by a name: a model of ours, an object of a Python module, or a file."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from audiate.errors import InputError
from audiate.models.generator import Generator, GeneratorModel
from audiate.models.pretrained import load
from audiate.models.storage import one_line
from audiate.models.wrap import naming, wrap, wrap_onnx, wrap_torchscript
from audiate.utils.devices import resolve_device

_PYTHON_NAME = re.compile(r"(?P<module>[^\W\d][\w.]*):(?P<attribute>[^\W\d][\w.]*)?")
_TORCHSCRIPT_ENDINGS = (".pt", ".ts", ".pth")


def open_generator(
    source: str,
    *,
    latent_dim: int | None = None,
    generator_rate: int | None = None,
    prior: Literal["uniform", "normal"] = "uniform",
    device: str | torch.device = "cpu",
) -> Generator:
    """Open the generator that a string names, as on the command line.

    Args:
        source: One of three. A shipped name, a folder or a hub id of a model of ours. Or
            ``package.module:make``, found from the current folder, too: a function without
            arguments that returns a `Generator`, a module or a function of latents; or such a
            module itself. Or a file: ``.onnx``, or TorchScript by any other name.
        latent_dim: Number of entries of a latent. Files, modules and functions need it.
        generator_rate: Sample rate of the sound, in Hz. Files, modules and functions need it.
        prior: Distribution that latents of files, modules and functions are drawn from.
        device: Device to put it on.

    Raises:
        InputError: There is no such generator, it cannot be made, or an argument is missing or
            contradicts a generator that has its own.

    """
    where = resolve_device(device)
    path, name = Path(source), _PYTHON_NAME.fullmatch(source)
    is_file = path.is_file() or path.suffix in (".onnx", *_TORCHSCRIPT_ENDINGS)
    if name and not name["attribute"]:
        raise InputError(
            f"{source}: name what the module has that makes the generator, as in {source}make"
        )
    if path.is_dir() or not (name or is_file):
        ours = load(source, GeneratorModel, device=where)
        _check_sizes(source, ours, latent_dim, generator_rate)
        return ours
    found: Any = source
    if name and not is_file:
        found = _made(source, name["module"], name["attribute"])
    if isinstance(found, Generator):
        _check_sizes(source, found, latent_dim, generator_rate)
        return found.to(where) if isinstance(found, nn.Module) else found
    if latent_dim is None or generator_rate is None:
        raise InputError(
            f"{source}: say what it takes and gives with `latent_dim`, the number of entries of a "
            f"latent, and `generator_rate`, the sample rate of its sound in Hz"
        )
    sizes: dict[str, Any] = {"latent_dim": latent_dim, "sample_rate": generator_rate}
    if is_file:
        open_file = wrap_onnx if path.suffix == ".onnx" else wrap_torchscript
        return open_file(path, prior=prior, **sizes).to(where)
    with naming(source):
        return wrap(
            found.to(where) if isinstance(found, nn.Module) else found, prior=prior, **sizes
        )


def _check_sizes(
    source: str, generator: Generator, latent_dim: int | None, generator_rate: int | None
) -> None:
    """Make sure that sizes that are given are those of a generator that has its own."""
    for name, given, own in (
        ("latent_dim", latent_dim, generator.latent_dim),
        ("generator_rate", generator_rate, generator.sample_rate),
    ):
        if given is not None and given != own:
            raise InputError(f"`{name}` {given}: {source} has {own}; leave `{name}` out")


def _made(source: str, module_name: str, attribute: str) -> Any:
    """Import what ``module:attribute`` names: a `Generator`, a module or a function of latents.

    Raises:
        InputError: There is nothing of that name, it fails, or it returns something else.

    """
    with _current_folder_importable():
        try:
            found: Any = import_module(module_name)
        except (Exception, SystemExit) as error:  # it is somebody else's, and may raise anything
            if isinstance(error, ModuleNotFoundError) and _is_part(error.name, module_name):
                raise InputError(
                    f"{source}: no module {error.name} in the current folder or installed"
                ) from error
            raise InputError(
                f"{source}: importing {module_name} fails ({one_line(error)[:200]})"
            ) from error
        for name in attribute.split("."):
            if not hasattr(found, name):
                raise InputError(f"{source}: {module_name} has no {attribute}; check its name")
            found = getattr(found, name)
        if isinstance(found, (nn.Module, Generator)) and not isinstance(found, type):
            return found
        if not callable(found):
            raise InputError(
                f"{source}: is of type {type(found).__name__}; name a function without arguments "
                f"that returns a generator, or a module"
            )
        try:
            made = found()
        except (Exception, SystemExit) as error:  # as above
            raise InputError(
                f"{source}: calling it without arguments fails ({one_line(error)[:200]})"
            ) from error
    if not callable(made):
        raise InputError(
            f"{source}: returns the type {type(made).__name__}; have it return a generator, a "
            f"module or a function of latents"
        )
    return made


def _is_part(missing: str | None, module_name: str) -> bool:
    """Whether it is the named module that is missing, rather than one that it imports."""
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Let modules be imported from the current folder, as ``python -m`` does."""
    here = str(Path.cwd())
    invalidate_caches()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
