"""WaveGAN, ciwGAN and fiwGAN checkpoints of TensorFlow programs, as models of ours."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiate.errors import InputError
from audiate.models.configs import CodeConfig, CodeKind, WaveGANConfig
from audiate.models.storage import Provenance
from audiate.models.wavegan import WaveGAN
from audiate.utils.progress import note

Variables = Mapping[str, NDArray[np.float32]]

_KNOWN = re.compile(
    r"G/(z_project/dense|upconv_\d/conv2d_transpose)/(kernel|bias)"
    r"|D/(downconv_\d/conv1d|output/dense)/(kernel|bias)"
    r"|Q/(downconv_\d/conv1d|\w+/dense)/(kernel|bias)"
)
_TABLE_END = 0xDB4775248B80FB57.to_bytes(8, "little")  # of LevelDB's format, which TensorFlow uses
_SUFFIX = re.compile(r"\.(index|meta|data-\d+-of-\d+)$")


def read_checkpoint(checkpoint: Path) -> dict[str, NDArray[np.float32]]:
    """Read the variables of WaveGAN's networks in a checkpoint, by name.

    Args:
        checkpoint: The checkpoint's prefix (``model.ckpt-1000``), one of its files, or the folder
            of a training, of which the latest is taken.

    Raises:
        InputError: TensorFlow is not installed, no checkpoint is there, or it cannot be read.

    """
    prefix = _SUFFIX.sub("", str(checkpoint))
    if not checkpoint.is_dir():
        _check_is_there(prefix)  # before TensorFlow, which takes seconds to import
    try:
        with _no_messages():
            import tensorflow
    except ImportError as error:
        raise InputError(
            f"{checkpoint}: to read it takes TensorFlow; pip install tensorflow-cpu"
        ) from error
    if checkpoint.is_dir():
        with _no_messages():
            latest = tensorflow.train.latest_checkpoint(prefix)
        if latest is None:
            raise InputError(
                f"{checkpoint}: holds no checkpoint; name the prefix of one, as in "
                f"{checkpoint}/model.ckpt-1000"
            )
        prefix = latest
        _check_is_there(prefix)
    try:
        reader = tensorflow.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
        names = [name for name in shapes if name[:2] in ("G/", "D/", "Q/")]
        # What an optimiser keeps for a weight is named after it.
        slots = {name for name in names if any(name.startswith(f"{other}/") for other in names)}
        return {name: reader.get_tensor(name) for name in names if name not in slots}
    except Exception as error:  # TensorFlow's error classes are not exported in one place
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{prefix}: cannot be read as a checkpoint ({reason})") from error


def _check_is_there(prefix: str) -> None:
    if not Path(f"{prefix}.index").is_file() and not _is_table(Path(prefix)):  # formats 2 and 1
        raise InputError(
            f"{prefix}: no checkpoint there ({prefix}.index is missing); copy all files of it"
        )


def _is_table(file: Path) -> bool:
    """Whether a file ends with the mark of TensorFlow's tables, as checkpoints of format 1 do."""
    if not file.is_file() or file.stat().st_size < len(_TABLE_END):
        return False
    with file.open("rb") as stream:
        stream.seek(-len(_TABLE_END), os.SEEK_END)
        return stream.read() == _TABLE_END


@contextmanager
def _no_messages() -> Iterator[None]:
    """Keep messages of TensorFlow's native parts off standard error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def convert_wavegan(
    variables: Variables,
    name: str,
    *,
    num_samples: int | None = None,
    sample_rate: int = 16_000,
    code: CodeKind = "none",
) -> WaveGAN:
    """Make a WaveGAN with the weights of the published program's variables.

    Width, latent size, channels and length are read off the variables' shapes. Where there are no
    variables of the discriminator, the model has none.

    Args:
        variables: As `read_checkpoint` gives them.
        name: Name of the checkpoint, for messages.
        num_samples: Number of samples of a clip. Networks of six layers, which make 32,768 or
            65,536, need it.
        sample_rate: Sample rate of the sound, in Hz, which a checkpoint does not hold.
        code: The kind of code of a ciwGAN (one-hot) or fiwGAN (binary), which a checkpoint does not
            hold either. none leaves the Q-network out.

    Raises:
        InputError: They are no WaveGAN's, or of a variant with other layers; or there is a code,
            and no Q-network.

    """
    if code == "none" and any(key.startswith("Q/") for key in variables):
        note(
            f"{name}: its Q-network is left out, and the model has no codes; give `code` one-hot "
            f"for a ciwGAN and binary for a fiwGAN, which a checkpoint does not say"
        )
        variables = {key: value for key, value in variables.items() if not key.startswith("Q/")}
    layers = _count_layers(variables, name)
    length, own_code = _length_of(layers, name, num_samples), _code_of(variables, name, code)
    try:
        latent_dim, width = variables["G/z_project/dense/kernel"].shape
        channels = variables[f"G/upconv_{layers - 1}/conv2d_transpose/kernel"].shape[2]
        model = WaveGAN(
            WaveGANConfig(
                dim=max(width >> (layers + 3), 1),
                latent_dim=latent_dim,
                num_samples=length,
                channels=channels,
                sample_rate=sample_rate,
                discriminator=any(key.startswith("D/") for key in variables),
                code=own_code,
            )
        )
        weights = dict(_ours(key, value) for key, value in variables.items())
    except (InputError, ValueError, IndexError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{name}: its layers are not those of the published WaveGAN ({error}); only these are "
            f"known"
        ) from error
    _fill(model, weights, name)
    model.provenance = Provenance("import-wavegan", {"checkpoint": name})
    return model.eval()


def _count_layers(variables: Variables, name: str) -> int:
    """Count the generator's layers, and make sure that the variables are a published WaveGAN's."""
    other = sorted(key for key in variables if not _KNOWN.fullmatch(key))
    if other and any(key.startswith("G/z_project") for key in variables):
        raise InputError(
            f"{name}: has {other[0]}; only the published default is known, without batch norm and "
            f"filters, and with transposed convolutions"
        )
    layers = sum(
        re.fullmatch(r"G/upconv_\d/conv2d_transpose/kernel", key) is not None for key in variables
    )
    if layers not in (5, 6) or "G/z_project/dense/kernel" not in variables:
        raise InputError(
            f"{name}: no WaveGAN generator in it (G/z_project and five or six G/upconv_*); it "
            f"holds {', '.join(sorted(variables)[:3]) or 'none of its variables'}"
        )
    broken = sorted(key for key, value in variables.items() if not np.isfinite(value).all())
    if broken:
        raise InputError(f"{name}: {broken[0]} holds NaN or infinity; take an earlier checkpoint")
    return layers


def _code_of(variables: Variables, name: str, kind: CodeKind) -> CodeConfig:
    """The code whose size is that of the Q-network's output."""
    if kind == "none":
        return CodeConfig()
    heads = [key for key in variables if re.fullmatch(r"Q/\w+/dense/kernel", key)]
    if len(heads) != 1:
        raise InputError(f"{name}: no Q-network in it; leave out `code`")
    return CodeConfig(kind, variables[heads[0]].shape[1], "published")


def _length_of(layers: int, name: str, num_samples: int | None) -> int:
    """Number of samples that a generator of so many layers makes."""
    lengths = (16_384,) if layers == 5 else (32_768, 65_536)
    length = lengths[0] if num_samples is None and layers == 5 else num_samples
    if length is None or length not in lengths:
        known = " or ".join(map(str, lengths))
        raise InputError(f"{name}: has {layers} layers; give `num_samples` {known}")
    return length


def _fill(model: WaveGAN, weights: dict[str, Tensor], name: str) -> None:
    """Copy weights into a network, after their names and shapes have been compared."""
    expected = model.state_dict()
    for key, tensor in expected.items():
        if key not in weights or weights[key].shape != tensor.shape:
            found = tuple(weights[key].shape) if key in weights else "missing"
            raise InputError(
                f"{name}: {key} is {found}, but {tuple(tensor.shape)} was expected; only the "
                f"published layers are known"
            )
    model.load_state_dict({key: weights[key] for key in expected})


def _ours(name: str, value: NDArray[np.float32]) -> tuple[str, Tensor]:
    """Translate a variable of TensorFlow to its name and layout here."""
    scope, layer, _, kind = name.split("/")
    part = {"G": "generator", "D": "discriminator", "Q": "code_network"}[scope]
    ending = {"kernel": "weight", "bias": "bias"}[kind]
    module, _, number = layer.partition("_")
    modules = {
        "z": "project",
        "upconv": f"upsample.{number}",
        "downconv": f"downsample.{number}",
        "output": "score",
    }
    own = modules[module] if scope != "Q" or module == "downconv" else "head"
    if module == "upconv" and kind == "kernel":
        value = value[0]  # of (1, width, out, in)
    # TensorFlow has the dimensions of each layer in reverse order.
    return f"{part}.{own}.{ending}", torch.from_numpy(np.ascontiguousarray(value.T, np.float32))
