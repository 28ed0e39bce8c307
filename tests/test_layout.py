"""Imports run one way, functions are short, and the quick things import nothing slow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import FrameType

import pytest
from conftest import write_tone

import audiate
from audiate.cli import main

PACKAGE = Path(audiate.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# A room may import from itself and from the rooms above it.
LAYERS = (
    "errors", "version", "utils", "audio", "data", "metrics", "models", "inversion", "training",
    "folders", "phonetics", "evaluation", "export", "bulk", "cli", "__init__", "__main__",
)  # fmt: skip
LEVEL = {name: level for level, name in enumerate(LAYERS)}

MOST_LINES = 60
"""Lines of a function, its docstring included."""


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def level_of(module: str) -> int:
    parts = module.split(".")
    return LEVEL[parts[1] if len(parts) > 1 else "__init__"]


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Modules of ours that a file imports: at once, lazily, or for its types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("audiate"):
            for name in node.names:
                within = f"{node.module}.{name.name}"
                yield within if within in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("audiate."))
        else:
            yield from imports_of(node)


MODULES = {module_of(path): path for path in FILES}


@cache
def imports() -> dict[str, set[str]]:
    """What each module of ours imports of the others."""
    return {
        module: set(imports_of(ast.parse(path.read_text(encoding="utf-8")))) - {module}
        for module, path in MODULES.items()
    }


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    upward = {other for other in imports()[module] if level_of(other) > level_of(module)}
    assert not upward, f"{module} must not import {upward}"


def test_recipes_are_plain_data() -> None:
    """They import no task, model or data set, not even for types."""
    plain = {"audio.config", "data.sources", "errors", "models.configs", "models.hub"}
    for module, others in imports().items():
        if module.startswith("audiate.training.recipes."):
            names = {name.removeprefix("audiate.") for name in others} - plain
            assert all(name.startswith("training.recipes") for name in names), module


def test_there_is_no_circle_of_imports() -> None:
    """Lazy imports count, and so do those for types alone."""
    # A package's __init__ is its face: whoever imports a module within does not mean it.
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def reached_from(module: str) -> set[str]:
    """All modules that a module imports, itself or through others."""
    found: set[str] = set()
    ahead = [module]
    while ahead:
        for other in imports()[ahead.pop()] - found:
            found.add(other)
            ahead.append(other)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_independent_judges_guide_nothing(module: str) -> None:
    """Nothing that trains, searches, makes or exports reaches them; evaluations and codes do."""
    room = module.split(".")[1] if "." in module else ""
    if room in {"models", "inversion", "training", "folders", "export", "bulk"}:
        assert "audiate.metrics.judges" not in reached_from(module)


@pytest.mark.parametrize("module", MODULES)
def test_functions_are_short(module: str) -> None:
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MOST_LINES, f"{module}.{node.name} has {lines} lines"


def is_declared_in(module: str, frame: FrameType) -> bool:
    """Whether a method implements one that a base class in ``module`` declares."""
    bases = type(frame.f_locals.get("self")).__mro__
    name = frame.f_code.co_name
    return any(base.__module__ == module and name in vars(base) for base in bases)


def test_a_clip_goes_down_through_the_layers(small_models: Path, tmp_path: Path) -> None:
    """From the command line to the result, no function of ours calls one of a higher layer.

    A method that a lower layer declares may be implemented in a higher one.
    """
    upward = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        caller = frame.f_back
        if event != "call" or caller is None or frame.f_code.co_name[0] in "<_":
            return
        if caller.f_code.co_name == "without_autocast" and caller.f_back is not None:
            caller = caller.f_back  # a decorator of `audiate.audio.stft` stands in between
        into, out_of = (each.f_globals.get("__name__", "") for each in (frame, caller))
        if not (into.startswith("audiate.") and out_of.startswith("audiate.")):
            return
        if level_of(into) > level_of(out_of) and not is_declared_in(out_of, frame):
            upward.add(f"{out_of} -> {into}.{frame.f_code.co_name}")

    command = [
        "invert", str(write_tone(tmp_path / "tone.wav")), "--out", str(tmp_path / "out"),
        "--generator", str(small_models / "gan"), "--encoder", str(small_models / "encoder"),
        "--classifier", "none", "--method", "encoder",
    ]  # fmt: skip
    sys.setprofile(watch)
    try:
        assert main(command) == 0
    finally:
        sys.setprofile(None)
    assert not upward


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    "statement",
    [
        "import audiate",
        "import audiate.cli",
        "import audiate.inversion.settings",
        "import audiate.training.recipes",
    ],
)
def test_no_torch_before_it_is_needed(statement: str) -> None:
    assert not loaded_by(statement) & {"torch", "numpy", "huggingface_hub"}


def test_models_are_loaded_without_the_compiler() -> None:
    """PyTorch takes seconds to import it, as for arithmetic on the device ``meta``."""
    names = ("flow-digits", "digits-resnet18", "speech-digits", "say-digits")
    code = f"import sys, audiate; [audiate.load(n) for n in {names}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch._dynamo" not in done.stdout.split()


def test_torch_comes_with_the_first_name_that_needs_it() -> None:
    assert "torch" in loaded_by("import audiate; audiate.LogMel")


def test_commands_do_not_collect_torchs_objects(tmp_path: Path) -> None:
    code = (
        "import gc, sys; from audiate.cli import main; main(['data', 'list']);"
        "assert not {'torch', 'numpy'} & set(sys.modules);"
        f"main(['export', 'lenet-mnist', {str(tmp_path)!r}]);"
        "assert gc.isenabled() and gc.get_freeze_count() > 100_000"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_public_names_are_all_there() -> None:
    for name in audiate.__all__:
        assert name == "__version__" or getattr(audiate, name).__module__.startswith("audiate.")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = audiate.nonsense
