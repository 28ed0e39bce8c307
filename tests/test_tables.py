"""`make tables`: every command parses, tables are kept, and a run that failed goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiate.cli import parse
from benchmarks import tables


@pytest.mark.parametrize("name", [n for n, c in tables.COMMANDS.items() if not c.startswith("-m")])
def test_commands_are_understood(name: str, tmp_path: Path) -> None:
    parse(tables.words_of(tables.COMMANDS[name], tmp_path)[3:])


def test_an_interrupt_ends_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("subprocess.run", interrupted)
    with pytest.raises(SystemExit, match="`audiate evaluate lenet-mnist` was interrupted"):
        tables.make_table("lenet", tmp_path)


def test_tables_are_kept_and_a_run_that_failed_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = {"first": "-m platform", "second": "-m no_such_module"}
    monkeypatch.setattr(tables, "COMMANDS", commands)
    monkeypatch.setattr("sys.argv", ["tables", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="`python -m no_such_module` failed; run the same command"):
        tables.main()
    first = (tmp_path / "first.txt").read_text()
    assert first.startswith("$ python -m platform\n\n")
    assert first.endswith(" minutes\n")
    commands["second"] = "-m platform --terse"
    tables.main()
    assert (tmp_path / "first.txt").read_text() == first
    both = (tmp_path / "tables.md").read_text()
    assert both.index("$ python -m platform\n") < both.index("$ python -m platform --terse\n")
    assert capfd.readouterr().out.count("$ python -m platform\n") == 1
