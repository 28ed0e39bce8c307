"""`audiate evaluate` and its subcommands, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from audiate.cli import main, parse
from audiate.cli.evaluate import EvaluateInversion, EvaluateModel, EvaluateTradeoff
from audiate.errors import InputError, Interrupted
from audiate.evaluation.digit_classifiers import evaluate_written_classifier
from audiate.models.lenet import LeNet
from audiate.utils.progress import tracked, working


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A classifier of written digits in a folder called inversion."""
    torch.manual_seed(0)
    return LeNet().save_pretrained(tmp_path / "inversion")


def read(arguments: str, capsys: pytest.CaptureFixture[str]) -> object:
    """The command that arguments name, or the help that they print."""
    try:
        return parse(["evaluate", *arguments.split()])
    except SystemExit:
        return capsys.readouterr().out


class TestSubcommands:
    @pytest.mark.parametrize(
        ("short", "full"),
        [
            ("flow-digits", "model flow-digits"),
            ("flow-digits --json", "model flow-digits --json"),
            ("--json flow-digits", "model --json flow-digits"),
            ("x --help", "model x --help"),
        ],
    )
    def test_model_may_be_left_out(
        self, short: str, full: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert read(short, capsys) == read(full, capsys)

    @pytest.mark.parametrize(
        ("arguments", "command"),
        [
            ("model inversion", EvaluateModel("inversion")),
            ("inversion --json", EvaluateInversion(json=True)),
            ("tradeoff", EvaluateTradeoff()),
        ],
    )
    def test_names_of_subcommands_come_first(
        self, arguments: str, command: object, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert read(arguments, capsys) == command

    @pytest.mark.parametrize("arguments", ["--help", "-h"])
    def test_help_is_about_all_of_them(
        self, arguments: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = str(read(arguments, capsys))
        for name in ("model", "inversion", "tradeoff", "roundtrip"):
            assert f"\n  {name} " in shown

    def test_a_folder_called_inversion(
        self, written: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.chdir(written.parent)
        rest = ["inversion", "--json", "--device", "cpu", "--data-dir", str(shared_data)]
        assert main(["evaluate", "model", *rest]) == 0
        values = json.loads(capsys.readouterr().out)
        model = LeNet.from_pretrained(written)
        expected = evaluate_written_classifier("inversion", model, shared_data)
        assert values == json.loads(expected.to_json())
        assert main(["evaluate", "./inversion", *rest[1:]]) == 0
        assert json.loads(capsys.readouterr().out)["accuracy"] == values["accuracy"]

    @pytest.mark.parametrize("subcommand", ["inversion", "tradeoff"])
    def test_flags_before_a_subcommand(
        self, subcommand: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", "--json", subcommand]) == 2
        assert f"`audiate evaluate {subcommand} --json`" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "flag"),
        [
            ("flow-digits --encoder x", "--encoder"),
            ("flow-digits --source real", "--source"),
            ("flow-digits --figure x.png", "--figure"),
            ("flow-digits --protocol default", "--protocol"),
            ("inversion --protocol voices", "--protocol"),
            ("inversion --seeds 2", "--seeds"),
            ("tradeoff --protocol voices", "--protocol"),
            ("tradeoff --max-iterations 9", "--max-iterations"),
            ("flow-digits --device tpu", "--device"),
            ("inversion --device tpu", "--device"),
            ("tradeoff --device tpu", "--device"),
        ],
    )
    def test_each_subcommand_has_its_own_flags(
        self, arguments: str, flag: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", *arguments.split()])
        assert stopped.value.code == 2
        assert flag in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ("flow-digits --protocol voices --seeds 2", "--seeds: not with --protocol voices"),
            ("flow-digits --seeds 0", "--seeds 0: give 1 to 100"),
            ("lenet-mnist --count 9", "lenet-mnist: --count is not for a LeNet; leave it out"),
            ("tradeoff --figure .", ".: is a folder; name another with --figure"),
            ("nothing", "nothing: no such model"),
        ],
    )
    def test_what_does_not_go_together(
        self, arguments: str, complaint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", *arguments.split()]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert complaint in line

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    @pytest.mark.parametrize("arguments", ["lenet-mnist", "inversion", "tradeoff"])
    def test_no_such_device(
        self, arguments: str, shared_data: Path, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.chdir(tmp_path)
        flags = ["--device", "cuda", "--data-dir", str(shared_data)]
        assert main(["evaluate", arguments, *flags]) == 2
        assert "--device cuda: no CUDA device here; use cpu" in capsys.readouterr().err

    def test_an_interrupted_evaluation_says_how_to_go_on(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def interrupted(*_: object, **__: object) -> None:
            raise Interrupted("stopped after step 3 of 9")

        monkeypatch.setattr("audiate.evaluation.model.evaluate_model", interrupted, raising=False)
        assert main(["evaluate", "vae-fsdd", "--protocol", "speakers"]) == 130
        assert "after step 3 of 9, and saved" in capsys.readouterr().err


class TestProgress:
    def test_on_a_terminal(self, small_models: Path, tmp_path: Path) -> None:
        pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
        terminal, end = pty.openpty()
        command = [
            sys.executable, "-m", "audiate", "evaluate", "inversion", "--device", "cpu", "--json",
            "--generator", str(small_models / "gan"), "--encoder", str(small_models / "encoder"),
            "--classifier", str(small_models / "classifier"), "--methods", "encoder",
            "--count", "4", "--judged", "0", "--figure", str(tmp_path / "figure.png"),
        ]  # fmt: skip
        shown = b""
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, text=True) as process:
            os.close(end)
            with suppress(OSError):  # the other end is closed
                while part := os.read(terminal, 10_000):
                    shown += part
            os.close(terminal)
            assert process.stdout is not None
            values = json.loads(process.stdout.read())
        assert process.returncode == 0
        assert list(values["methods"]) == ["clips", "silence", "encoder"]
        for what in ("generating clips", "inverting by encoder", "drawing clips"):
            assert what in shown.decode()
        assert "100%" in shown.decode()

    def test_a_line_every_now_and_then_elsewhere(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("audiate.utils.progress._SECONDS_BETWEEN_LINES", -1)
        assert list(tracked([1, 2, 3], "doing it", weights=[2, 1, 1])) == [1, 2, 3]
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(",")[0] for line in lines] == ["doing it: 2 of 4", "doing it: 3 of 4"]

    def test_quiet_where_it_is_quick(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert list(tracked(range(1000), "doing it")) == list(range(1000))
        with working("doing it"):
            pass
        assert capsys.readouterr().err == ""

    def test_errors_pass_through(self) -> None:
        with pytest.raises(InputError, match="broken"), working("doing it"):
            raise InputError("broken")
