"""Progress on standard error, where there is no terminal, and in notebooks."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from audiate.utils import progress
from audiate.utils.progress import TrainingProgress, counting, downloading, note, tracked


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", -1)


@pytest.mark.usefixtures("_often")
def test_a_training_prints_its_losses_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress("vae", 10) as training:
        for step in range(1, 6):
            training.advance(step)
        training.note(5, {"kl": 0.25, "loss": 1234.5678})
        training.say("a line")
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("vae 5/10 kl 0.25 loss 1235 (0 ms a step, 0.0 min left")
    assert second == "a line"


@pytest.mark.usefixtures("_often")
def test_a_quiet_training_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress("vae", 10, quiet=True) as training:
        training.advance(1)
        training.note(1, {"loss": 1.0})
        training.say("a line")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_often")
def test_clips_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("encoding") as update:
        update(1500, None, None)
        update(1500, 3000, 50.0)
    assert capsys.readouterr().err.splitlines() == [
        "encoding: 1,500 clips",
        "encoding: 1,500 of 3,000 clips, 50.0 a second, 0.5 min left",
    ]


def test_a_line_for_each_quarter_of_a_download(capsys: pytest.CaptureFixture[str]) -> None:
    with downloading() as update:
        for done in range(0, 2001, 100):
            update("a.zip", done, 2000)
    assert capsys.readouterr().err.splitlines() == [
        f"a.zip: {shown} of 2.0 kB"
        for shown in ("0 bytes", "500 bytes", "1.0 kB", "1.5 kB", "2.0 kB")
    ]


def test_a_note_shows_arguments_as_flags_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    note("two\nlines: give `max_iterations` or `resume=False`")
    expected = "audiate: two\\nlines: give --max-iterations or --no-resume\n"
    assert capsys.readouterr().err == expected


class Widget:
    """Stands for `ipywidgets.Output`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def clear_output(self, *, wait: bool) -> None:
        pass

    def close(self) -> None:
        pass


def in_notebook(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Have rich believe that this is a notebook, and return what will be displayed."""
    shown: list[object] = []
    display = ModuleType("IPython.display")
    vars(display)["display"] = shown.append
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    return shown


def test_a_notebook_with_widgets_shows_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = in_notebook(monkeypatch)
    widgets = ModuleType("ipywidgets")
    vars(widgets).update(Output=Widget, __spec__=ModuleSpec("ipywidgets", None))
    monkeypatch.setitem(sys.modules, "ipywidgets", widgets)
    assert list(tracked([1, 2, 3], "doing it")) == [1, 2, 3]
    assert any(isinstance(each, Widget) for each in shown)
    assert any("doing it" in getattr(each, "text", "") for each in shown)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_often")
def test_the_first_item_which_waits_for_models_says_nothing_of_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for item in tracked([6000, 60, 60, 60], "doing it", weights=[2, 1, 1, 1]):
        now += item
    assert capsys.readouterr().err.splitlines() == [
        "doing it: 2 of 5",
        "doing it: 3 of 5, 2.0 min left",
        "doing it: 4 of 5, 1.0 min left",
    ]


@pytest.mark.usefixtures("_often")
def test_a_notebook_without_widgets_shows_a_line_that_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_notebook(monkeypatch)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    assert list(tracked([1, 2], "doing it")) == [1, 2]
    told = capsys.readouterr().err
    assert told.startswith("doing it: 1 of 2")
    assert told.endswith(" \r")  # the next line takes its place
