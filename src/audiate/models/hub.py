"""Finds the folder that holds a model: shipped, on disk, or downloaded from the hub.

Nothing here imports torch.
"""

import re
from importlib.util import find_spec
from pathlib import Path

from audiate.errors import InputError

SHIPPED_FOLDER = Path(__file__).parents[1] / "weights"
"""The folder of the weights that come with `audiate`."""
PAPERS_PACKAGE = "audiate_papers"
"""The import name of the package `audiate-papers`, which holds a folder of further weights."""
PAPERS_MODELS = (
    "ciwgan-digits",
    "specgan-digits",
    "specgan-digits-encoder",
    "vae-fsdd",
    "vaegan-fsdd",
    "wavegan-digits",
)
"""The shipped models whose weights come with `audiate-papers`."""
PAPERS_COMMAND = 'pip install "audiate[papers]"'
"""The command that installs `audiate-papers`."""

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
MODEL_FILES = (CONFIG_NAME, WEIGHTS_NAME, CARD_NAME)

DEFAULT_AUDIO_TO_IMAGE = "flow-digits"
"""The shipped model that draws spoken digits."""
DEFAULT_GENERATOR = "speech-digits"
"""The shipped generator of spoken digits: a flow of sound, which holds a codec."""
ENCODED_GENERATOR = "specgan-digits"
"""The shipped generator for which an encoder is shipped, too."""
DEFAULT_IMAGE_TO_AUDIO = "say-digits"
"""The shipped model that says written digits."""
DEFAULT_DUAL_ENCODER = "match-digits"
"""The shipped dual encoder, which matches sounds with images."""
SPOKEN_CLASSIFIER = "digits-resnet18"
"""The shipped classifier of spoken digits."""
WRITTEN_CLASSIFIER = "lenet-mnist"
"""The shipped classifier of written digits."""

_HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


def weights_folders() -> list[Path]:
    """Folders of the weights that are installed, one for each package."""
    papers = find_spec(PAPERS_PACKAGE)  # which does not import it
    places = (papers.submodule_search_locations if papers else None) or ()
    return [*(Path(place) / "weights" for place in places), SHIPPED_FOLDER]


def shipped_models() -> list[str]:
    """Names of the shipped models whose weights are installed."""
    return sorted(_installed())


def _installed() -> dict[str, Path]:
    """Names and folders of the shipped models whose weights are installed."""
    configs = [path for place in weights_folders() for path in place.glob(f"*/{CONFIG_NAME}")]
    return {path.parent.name: path.parent for path in configs}


def find(source: str | Path, *, revision: str | None = None) -> Path:
    """Find the folder that holds the model called ``source``.

    Args:
        source: A shipped name such as ``"flow-digits"``, a folder that `save_pretrained` or
            ``audiate train`` wrote, or a Hugging Face hub id, ``owner/name`` or
            ``owner/name@revision``, which is downloaded.
        revision: Branch, tag or commit of a hub id.

    Raises:
        InputError: There is no such model, or it is a shipped one that is not installed.

    """
    name, folder = str(source), Path(source)
    hub_id = _HUB_ID.fullmatch(name if revision is None else f"{name}@{revision}")
    if revision is not None and (hub_id is None or folder.is_dir()):
        raise InputError(f"`revision` {revision}: {source} is no hub id; leave `revision` out")
    installed = _installed()
    if name in installed:
        return installed[name]
    if name in PAPERS_MODELS:
        raise InputError(
            f"{name}: its weights are not installed; install them: {PAPERS_COMMAND}, or from a "
            f"checkout: pip install ./packages/papers"
        )
    if folder.is_dir():
        return _model_in(folder)
    if folder.is_file():
        raise InputError(
            f"{name}: is a file, and models lie in folders; a generator in a file (.onnx or "
            f"TorchScript) is named with `generator`, `latent_dim` and `generator_rate`, or opened "
            f"in Python with audiate.wrap_onnx or audiate.wrap_torchscript"
        )
    if hub_id and not folder.parent.is_dir():
        return _download(hub_id["id"], hub_id["revision"])
    raise InputError(
        f"{name}: no such model; give a folder, a hub id (owner/name), or one of "
        f"{', '.join(sorted({*installed, *PAPERS_MODELS}))}"
    )


def _model_in(folder: Path) -> Path:
    """Return the folder itself, or the finished model of the run that it holds."""
    finished = folder / "model"
    if (finished / CONFIG_NAME).is_file():
        return finished
    if (folder / "settings.json").is_file() and not (folder / CONFIG_NAME).is_file():
        good = folder / "last-good"
        meanwhile = f"; or take its last good state, {good}" if good.is_dir() else ""
        raise InputError(
            f"{folder}: this training is not finished; go on with it: `audiate train` as before, "
            f"with `resume`{meanwhile}"
        )
    return folder


def _download(hub_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(hub_id, revision=revision, allow_patterns=list(MODEL_FILES))
        )
    except Exception as error:  # its many error classes share no base but Exception
        raise InputError(_why_not(error, hub_id, revision)) from error
    if not (folder / WEIGHTS_NAME).is_file():
        raise InputError(f"{hub_id}: that hub repository holds no {WEIGHTS_NAME}")
    return folder


def _why_not(error: Exception, hub_id: str, revision: str | None) -> str:
    """Say why a repository cannot be downloaded, and what to do."""
    from huggingface_hub import errors, get_token

    name = hub_id if revision is None else f"{hub_id}@{revision}"
    log_in = "log in with `hf auth login`"
    if isinstance(error, errors.GatedRepoError):
        return f"{name}: is gated; ask for access at https://huggingface.co/{hub_id}, and {log_in}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{name}: has no revision {revision}; give a branch, a tag or a commit of it"
    if isinstance(error, errors.RepositoryNotFoundError):
        if get_token() is None:  # the hub hides private ones from strangers
            return f"{name}: is private, or there is none; {log_in}, or check its spelling"
        return (
            f"{name}: there is none, or it is private and your account may not read it; check "
            f"its spelling, or ask its owner"
        )
    reason = str(error).strip().split("\n")[0]
    return f"{name}: neither a folder here nor to be had from the Hugging Face hub ({reason})"
