"""The settings of an inversion, whose defaults Python, shell and bulk work share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from audiate.cli import parse
from audiate.errors import InputError
from audiate.folders.invert import invert_folder
from audiate.inversion.build import inverter
from audiate.inversion.settings import InversionSettings

DEFAULTS = vars(InversionSettings())


@pytest.mark.parametrize("function", [inverter, invert_folder])
def test_functions_have_their_defaults(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in DEFAULTS} == DEFAULTS


def test_commands_have_their_defaults() -> None:
    assert vars(parse(["invert", "clip.wav"]).settings) == DEFAULTS
    command = parse(["bulk", "invert", "clips", "--out", "rows"])
    assert vars(command.settings) == DEFAULTS


def test_commands_set_each_of_them() -> None:
    words = [
        "--method",
        "search",
        "--restarts",
        "3",
        "--objective",
        "plain",
        "--max-iterations",
        "5",
        "--seed",
        "7",
    ]
    asked = InversionSettings("search", "auto", "plain", None, 3, 5, 7)
    for command in (["invert", "clip.wav"], ["bulk", "invert", "clips", "--out", "rows"]):
        assert vars(parse([*command, *words]).settings) == vars(asked)
    assert parse(["invert", "clip.wav", "--budget", "50ms"]).settings.budget == 0.05
    assert parse(["invert", "clip.wav", "--start", "both"]).settings.start == "both"


def test_bulk_work_takes_no_budget(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["bulk", "invert", "clips", "--out", "rows", "--budget", "1s"])
    assert "--budget" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse(["bulk", "invert", "--help"])
    assert "--budget" not in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("settings", "refines", "needs_gradients"),
    [
        (InversionSettings("encoder"), False, False),
        (InversionSettings("search"), False, False),
        (InversionSettings("search", max_iterations=1), True, True),
        (InversionSettings("gradient"), True, True),
        (InversionSettings("hybrid"), True, True),
        (InversionSettings("evolution"), True, False),
        (InversionSettings(budget=1.0), True, False),
    ],
)
def test_what_a_method_needs(
    settings: InversionSettings, refines: bool, needs_gradients: bool
) -> None:
    assert (settings.refines, settings.needs_gradients) == (refines, needs_gradients)


def test_they_are_checked_without_a_generator() -> None:
    wrong: Any = "middle"
    for given, complaint in (
        ({"start": wrong}, "`start` 'middle': give one of auto, exact"),
        ({"method": "search", "start": "both"}, "`start`: `method=search` has its own"),
        ({"seed": -1}, "seed -1: give 0 to"),
        ({"method": "search", "max_iterations": 2, "restarts": 3001}, "`restarts` 3001: give 1 to"),
    ):
        with pytest.raises(InputError, match=complaint):
            InversionSettings(**given)


def test_each_is_explained() -> None:
    source = inspect.getsource(InversionSettings)
    for field in fields(InversionSettings):
        explained = source.split(f"    {field.name}: ", 1)[1].splitlines()[1]
        assert explained.strip().startswith('"""')
