"""Write and read the folder of a run, which is complete if the process is killed at any moment."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiate.audio.files import save_wav
from audiate.errors import InputError
from audiate.models.storage import Provenance
from audiate.training.task import Sound, Task
from audiate.utils.filesystem import alone, remove_partials, replace_text, replacing, writing
from audiate.utils.plots import save_image

SETTINGS_NAME = "settings.json"
_LOCK_NAME = ".audiate.lock"

_MAY_GROW = ("epochs", "steps")  # settings that may be raised when a run is resumed
_FOLDERS = ("previews", "tensorboard", "last-good", "model")


class Run:
    """The folder of one training.

    ``settings.json`` holds recipe, seed, versions; ``checkpoint.safetensors`` the networks, the
    optimisers and the step; ``log.jsonl`` a line for each logged step; ``tensorboard/`` the same;
    ``previews/`` pictures and sounds; ``last-good/`` the model at the last epoch's end that gave no
    alarm; ``model/`` the finished model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / "checkpoint.safetensors"
        self._log = folder / "log.jsonl"
        self.model = folder / "model"
        self.last_good = folder / "last-good"

    def alone(self) -> AbstractContextManager[None]:
        """Keep other trainings out for as long as the block lasts.

        Raises:
            InputError: Another training writes there, or nothing can be written there.

        """
        taken = (
            f"{self.folder}: another training is writing there; wait for its end, or name another "
            f"folder with `out`"
        )
        return alone(self.folder / _LOCK_NAME, taken)

    def open(self, settings: Provenance, *, resume: bool) -> None:
        """Start the run, or make sure that it can be resumed with these settings.

        A run that is resumed may be given more epochs or steps. Its learning rate then follows the
        longer schedule.

        Raises:
            InputError: There is a run already and ``resume`` is off, or it has other settings or
                other data, or the folder holds files of another origin, or cannot be written.

        """
        path = self.folder / SETTINGS_NAME
        stored = self.stored()
        self._check_own(stored)
        remove_partials([self.folder, *(self.folder / name for name in _FOLDERS)], lambda _: True)
        begun = self.checkpoint.exists() or self._log.exists()
        if stored is not None and resume:
            self.check_settings(settings.recipe, settings.settings)
            self._check_data(stored, settings)
            settings = replace(stored, settings=settings.settings)
        if stored is None or resume or not begun:
            with writing(path, durable=True) as partial:
                partial.write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
        else:
            raise InputError(
                f"{self.folder}: holds a run already; add `resume` to go on with it, "
                f"or name another folder with `out`"
            )

    def _check_own(self, stored: Provenance | None) -> None:
        """Make sure that nothing is in the folder that no training has written."""
        if stored is None and (names := _visible(self.folder)):
            raise InputError(
                f"`out` {self.folder}: holds files ({names[0]}), but no {SETTINGS_NAME} of a "
                f"training, so nothing is written there; name another folder"
            )
        for name in _FOLDERS:
            if os.path.lexists(self.folder / name) and not (self.folder / name).is_dir():
                raise InputError(
                    f"`out` {self.folder}: the training writes a folder {name} there, but it is a "
                    f"file; move it, or name another folder"
                )

    def _check_data(self, begun: Provenance, settings: Provenance) -> None:
        data = settings.environment.get("data", "")
        if begun.environment.get("data", data) != data:
            raise InputError(
                f"{self.folder}: begun with other data ({begun.environment['data']}; now {data}); "
                f"restore that, or train anew in another folder with `out`"
            )

    def check_settings(self, recipe: str, settings: Mapping[str, Any]) -> None:
        """Make sure that a run, where there is one, can be resumed with these settings.

        Raises:
            InputError: It is one of another recipe, or has other settings, or there is no folder.

        """
        begun = self.stored()
        if not self.folder.exists():
            raise InputError(
                f"`resume`: there is no run in {self.folder}; leave it out to begin one, or name "
                f"the run's folder with `out`"
            )
        if begun is None:
            return
        if begun.recipe != recipe:
            raise InputError(
                f"{self.folder}: holds a run of the recipe {begun.recipe}, not {recipe}; name "
                f"another folder with `out`"
            )
        before, after = _flat(begun.settings), _flat(settings)
        changed = sorted(
            name
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name)
            and not (name in _MAY_GROW and before.get(name, 0) < after.get(name, 0))
        )
        if changed:
            changed.sort(key=lambda name: before.get(name) is None)
            flags = " ".join(_as_flag(name, before.get(name)) for name in changed)
            raise InputError(
                f"{self.folder}: was begun with other settings; to go on with it, give {flags}, or "
                f"name another folder with `out`"
            )

    def stored(self) -> Provenance | None:
        """The settings that the run began with; None where no training has written any."""
        path = self.folder / SETTINGS_NAME
        try:
            stored = Provenance(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None  # `open` says what is wrong with the file
        return stored if stored.recipe else None

    def save(self, task: Task, step: int) -> None:
        """Replace the checkpoint by the state after ``step`` steps, whole or not at all.

        Raises:
            InputError: The checkpoint cannot be written, or the state holds NaN or infinity.

        """
        state = _flatten(task)
        broken = [name for name, tensor in state.items() if not tensor.isfinite().all()]
        if broken:
            raise InputError(
                f"{self.folder}: training diverged, {broken[0]} is not finite after step {step}; "
                f"lower `learning_rate` or use `precision=float32`, in a new folder"
            )
        with _needing_space(self.checkpoint), replacing(self.checkpoint) as partial:
            save_file(state, partial, metadata={"step": str(step)})

    def restore(self, task: Task) -> int:
        """Put the checkpoint's state into ``task``, and return the number of steps that are done.

        Raises:
            InputError: The checkpoint is damaged or of another network.

        """
        if not self.checkpoint.exists():
            return 0
        try:
            with safe_open(self.checkpoint, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                step = int(file.metadata()["step"])
            _unflatten(task, tensors)
        except (SafetensorError, OSError, KeyError, RuntimeError, ValueError) as error:
            raise InputError(
                f"{self.checkpoint}: damaged, or of another network "
                f"({' '.join(str(error).split())[:200]}); delete it to start again"
            ) from error
        return step

    def log(self, step: int, values: Mapping[str, float | str]) -> None:
        """Add a line to the log.

        Raises:
            InputError: It cannot be written.

        """
        with _needing_space(self._log), self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def rewind_log(self, step: int) -> None:
        """Drop the lines of steps after ``step``, which will be done, and logged, again."""
        if self._log.exists():
            kept = [json.dumps(entry) + "\n" for entry in self._entries() if entry["step"] <= step]
            replace_text(self._log, "".join(kept))

    def logged_losses(self, after: int) -> list[tuple[int, dict[str, float]]]:
        """The steps after ``after`` that have a line in the log, each with the losses there."""
        found = [(entry.pop("step"), entry) for entry in self._entries()]
        return [(step, entry) for step, entry in found if step > after and "alarm" not in entry]

    def _entries(self) -> list[dict[str, Any]]:
        entries = []
        text = self._log.read_text(encoding="utf-8") if self._log.exists() else ""
        for line in text.splitlines():
            with suppress(ValueError):  # the line that was being written when the run was killed
                entries.append(json.loads(line))
        return entries

    def save_preview(self, step: int, preview: Tensor | Image.Image | Sound) -> Path:
        """Write a sound, or a picture as `save_image` takes it, and return its file."""
        path = self.folder / "previews" / f"{step:07d}"
        if isinstance(preview, Sound):
            path = path.with_suffix(".wav")
            save_wav(path, *preview)
        else:
            path = path.with_suffix(".png")
            save_image(preview, path)
        return path


def _visible(folder: Path) -> list[str]:
    """Names of what a folder holds, without hidden files; none where it cannot be read."""
    try:
        return sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return []


@contextmanager
def _needing_space(path: Path) -> Iterator[None]:
    """Say how to go on if ``path`` can no longer be written in the midst of a run."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: cannot be written ({reason}); free some space and go on with `resume`"
        ) from error


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain JSON values, those of the network beside the others, as the flags are."""
    flat: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(settings)).items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat


def _as_flag(name: str, value: Any) -> str:
    """A setting with its value, such that the command line shows what is to be typed."""
    if value is None:
        return f"without `{name}`"
    if isinstance(value, bool):
        return f"`{name}={value}`"
    return f"`{name}` {shlex.join(map(str, value if isinstance(value, list) else [value]))}"


def _flatten(task: Task) -> dict[str, Tensor]:
    """All state, named ``module/<m>/<tensor>`` and ``optimizer/<o>/<i>/<tensor>``."""
    state: dict[str, Tensor] = {}
    for name, module in task.modules.items():
        for key, tensor in module.state_dict().items():
            state[f"module/{name}/{key}"] = tensor
    for name, optimizer in task.optimizers.items():
        for index, slots in optimizer.state_dict()["state"].items():
            for slot, tensor in slots.items():
                state[f"optimizer/{name}/{index}/{slot}"] = tensor
    return {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}


def _unflatten(task: Task, state: Mapping[str, Tensor]) -> None:
    for name, module in task.modules.items():
        prefix = f"module/{name}/"
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        module.load_state_dict(own)
    for name, optimizer in task.optimizers.items():
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        slots: dict[int, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            kind, owner, *rest = key.split("/")
            if (kind, owner) == ("optimizer", name):
                parameter = parameters[int(rest[0])]
                slots.setdefault(int(rest[0]), {})[rest[1]] = _laid_out_like(parameter, tensor)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """Copy a moment with its parameter's strides, as fused optimisers walk both in memory order."""
    if tensor.shape != parameter.shape:
        return tensor  # a count of steps
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
