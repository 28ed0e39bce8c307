"""A run's folder: settings, checkpoint, logs and pictures, safe against a kill at any moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audiate.audio import save_wav
from audiate.errors import InputError
from audiate.files import replace_text, replacing
from audiate.models import Provenance
from audiate.pictures import save_image
from audiate.training.task import Heard, Task

SETTINGS_NAME = "settings.json"
CHECKPOINT_NAME = "checkpoint.safetensors"
LOG_NAME = "log.jsonl"


class Run:
    """The folder of one training.

    ``settings.json`` holds recipe, seed, versions; ``checkpoint.safetensors`` the networks, the
    optimisers and the step; ``log.jsonl`` a line for each logged step; ``tensorboard/`` the same;
    ``previews/`` pictures and sounds; ``last-good/`` the model at the last epoch's end that gave no
    alarm; ``model/`` the finished model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / CHECKPOINT_NAME
        self.model = folder / "model"
        self.last_good = folder / "last-good"

    def open(self, settings: Provenance, *, resume: bool) -> None:
        """Start the run, or make sure that it can be resumed with these settings.

        Raises:
            InputError: A run is already there and ``resume`` is off, or it had other settings,
                or the folder cannot be written.

        """
        path = self.folder / SETTINGS_NAME
        begun = self.checkpoint.exists() or (self.folder / LOG_NAME).exists()
        if path.exists() and (begun or resume):
            if not resume:
                raise InputError(
                    f"{self.folder}: holds a run already; add --resume to go on with it, "
                    f"or name another folder with --out"
                )
            self._check_same(path, settings)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_text(path, json.dumps(asdict(settings), indent=2) + "\n")
        except OSError as error:
            raise InputError(
                f"{self.folder}: cannot write the run there "
                f"({error.strerror or error}); name another folder with --out"
            ) from error

    def _check_same(self, path: Path, settings: Provenance) -> None:
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            begun = Provenance(**stored)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{path}: unreadable ({error}); delete {self.folder} to start again"
            ) from error
        if begun.recipe != settings.recipe:
            raise InputError(
                f"{self.folder}: holds a run of the recipe {begun.recipe}, not {settings.recipe}; "
                f"name another folder with --out"
            )
        before, after = begun.settings, settings.settings
        changed = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
        if changed:
            listed = ", ".join(f"{k} was {before.get(k)!r}" for k in changed)
            raise InputError(
                f"{self.folder}: cannot resume with other settings ({listed}); "
                f"repeat the first command's flags, or name another folder with --out"
            )

    def stored_environment(self) -> dict[str, str]:
        """What the run began with (precision, threads, versions); empty before it has begun."""
        path = self.folder / SETTINGS_NAME
        try:
            return Provenance(**json.loads(path.read_text(encoding="utf-8"))).environment
        except (OSError, ValueError, TypeError):
            return {}  # `open` says what is wrong with the file

    def save(self, task: Task, step: int) -> None:
        """Replace the checkpoint by the state after ``step`` steps, whole or not at all.

        Raises:
            InputError: It cannot be written, or holds NaN or infinity.

        """
        state = _flatten(task)
        broken = [name for name, tensor in state.items() if not tensor.isfinite().all()]
        if broken:
            raise InputError(
                f"{self.folder}: training diverged, {broken[0]} is not finite after step {step}; "
                f"lower --learning-rate or use --precision float32, in a new folder"
            )
        try:
            with replacing(self.checkpoint) as partial:
                save_file(state, partial, metadata={"step": str(step)})
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{self.checkpoint}: cannot write the checkpoint ({error}); "
                f"free some space and go on with --resume"
            ) from error

    def restore(self, task: Task) -> int:
        """Put the checkpoint's state into ``task``; the number of steps that are done.

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
        """Add a line to the log."""
        with (self.folder / LOG_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def rewind_log(self, step: int) -> None:
        """Drop what was logged after ``step``: it will be done, and logged, again."""
        path = self.folder / LOG_NAME
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the line that was being written when the run was killed
            if entry["step"] <= step:
                kept.append(line)
        replace_text(path, "".join(line + "\n" for line in kept))

    def save_preview(self, step: int, picture: Tensor) -> None:
        """Keep a picture (height, width) in [0, 1]."""
        save_image(picture, self.folder / "previews" / f"{step:07d}.png")

    def save_sound(self, step: int, heard: Heard) -> None:
        """Keep a sound, as a wav."""
        save_wav(self.folder / "previews" / f"{step:07d}.wav", *heard)


def _flatten(task: Task) -> dict[str, Tensor]:
    """All state by flat names: ``module/<m>/<tensor>``, ``optimizer/<o>/<i>/<tensor>``."""
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
    """Fused optimisers walk parameter and moments in memory order: strides must be equal."""
    if tensor.shape != parameter.shape:
        return tensor  # a count of steps
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
