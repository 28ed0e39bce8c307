"""Progress on standard error, where there is no terminal."""

from __future__ import annotations

import pytest

from audiate.utils import progress
from audiate.utils.progress import TrainingProgress, counting, downloading, note


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
