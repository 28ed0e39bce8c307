"""The folder that a command writes to, without any command."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audiate.data.folders import is_output_folder
from audiate.errors import InputError
from audiate.folders.record import ClipRecord, FolderRecord, modified, open_record
from audiate.folders.runner import replacing_outputs
from audiate.utils.filesystem import terminated_like_interrupted, uninterrupted


@dataclass(frozen=True)
class Result:
    score: float
    digit: int | None


def files_of(name: str) -> list[str]:
    return [f"{name}.txt", f"copies/{name}.txt"]


def fill(folder: Path, name: str = "a", source: Path | None = None) -> None:
    """Write the files of a clip as a command does."""
    with open_record(folder, "test", {"seed": "0"}, Result) as outputs:
        outputs.check([*files_of(name), "all.txt"])
        outputs.claim({name: ClipRecord(files=dict.fromkeys(files_of(name)))}, ["all.txt"])
        for file in (*files_of(name), "all.txt"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(f"{name} in {file}")
        made = None if source is None else modified(source)
        where = None if source is None else str(source)
        outputs.clips[name] = ClipRecord(
            where, made, outputs.written(files_of(name)), None, Result(0.5, None)
        )
        outputs.shared = outputs.written(["all.txt"])
        outputs.save()


def reopened(folder: Path, settings: dict[str, str] | None = None) -> FolderRecord[Result]:
    with open_record(folder, "test", settings or {"seed": "0"}, Result) as outputs:
        return outputs


class TestRecord:
    def test_what_was_saved_is_read_back(self, tmp_path: Path) -> None:
        fill(tmp_path)
        found = reopened(tmp_path)
        assert found.clips["a"].result == Result(0.5, None)
        assert found.clips["a"].files == found.written(files_of("a"))
        assert found.shared.keys() == {"all.txt"}
        assert is_output_folder(tmp_path)
        assert not is_output_folder(tmp_path / "copies")

    @pytest.mark.parametrize(
        "damage",
        [
            "{",
            "[]",
            '{"settings": {}, "clips": {}}',
            '{"command": "test", "settings": {}, "files": {}, "clips": {"a": {}}}',
            '{"command": "test", "settings": {}, "files": {"a": 3}, "clips": {}}',
            "[" * 100_000,
        ],
    )
    def test_a_record_that_is_none(self, tmp_path: Path, damage: str) -> None:
        (tmp_path / "report.json").write_text(damage)
        with pytest.raises(InputError, match=r"report\.json: is no record of this version"):
            reopened(tmp_path)
        assert (tmp_path / "report.json").read_text() == damage

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("score", "high"),
            ("digit", 2.5),
            ("source", 3),
            ("modified", "today"),
            ("files", {"../a.txt": None}),
        ],
    )
    def test_a_clip_of_the_wrong_kind(self, tmp_path: Path, name: str, value: object) -> None:
        fill(tmp_path)
        record = json.loads((tmp_path / "report.json").read_text())
        record["clips"]["a"][name] = value
        (tmp_path / "report.json").write_text(json.dumps(record))
        with pytest.raises(InputError, match="is no record of this version"):
            reopened(tmp_path)

    def test_a_record_that_is_a_pipe_is_refused_at_once(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "report.json")
        with pytest.raises(InputError, match="is no record of this version"):
            reopened(tmp_path)
        assert not is_output_folder(tmp_path)

    def test_other_commands_and_other_settings_need_another_folder(self, tmp_path: Path) -> None:
        fill(tmp_path)
        with (
            pytest.raises(InputError, match="holds the results of `audiate test`; name another"),
            open_record(tmp_path, "draw", {"seed": "0"}, Result),
        ):
            pass
        with pytest.raises(InputError, match="`audiate test` with another `seed`, `size`"):
            reopened(tmp_path, {"seed": "1", "size": "2"})
        with open_record(tmp_path, "test", {}, Result, same_settings=False) as outputs:
            assert outputs.clips.keys() == {"a"}

    def test_failures_alone_bind_no_other_settings(self, tmp_path: Path) -> None:
        with open_record(tmp_path, "test", {"seed": "0"}, Result) as outputs:
            outputs.clips["a"] = ClipRecord(error="it is silent")
            outputs.save()
        with open_record(tmp_path, "test", {"seed": "0"}, Result) as outputs:
            assert outputs.clips.keys() == {"a"}
        with open_record(tmp_path, "test", {"seed": "1"}, Result) as outputs:
            assert not outputs.clips

    def test_one_process_at_a_time(self, tmp_path: Path) -> None:
        with (
            open_record(tmp_path, "test", {}, Result),
            pytest.raises(InputError, match="another audiate command is writing there"),
            open_record(tmp_path, "test", {}, Result),
        ):
            pass
        assert list(tmp_path.iterdir()) == []


class TestJournal:
    """What a killed command leaves: a report that claims the files, and lines for what is done."""

    def leave(self, folder: Path, *, cut: int = 0) -> None:
        with open_record(folder, "test", {"seed": "0"}, Result) as record:
            record.claim({name: ClipRecord(f"/{name}.wav") for name in "abc"}, ["latents.npz"])
            for name in "ab":
                done = ClipRecord(f"/{name}.wav", 3, {}, None, Result(0.5, 7))
                record.append({name: done}, {name: np.full(2, 0.1, np.float32)})
            record.append({"c": ClipRecord("/c.wav", error="it is silent")}, {})
        journal = folder / ".audiate.jsonl"
        content = journal.read_bytes()
        journal.write_bytes(content[: len(content) - cut])

    def test_its_lines_count_more_than_the_report(self, tmp_path: Path) -> None:
        self.leave(tmp_path)
        record = reopened(tmp_path)
        assert [clip.modified for clip in record.clips.values()] == [3, 3, None]
        assert record.clips["a"].result == Result(0.5, 7)
        assert record.clips["c"].error == "it is silent"
        assert record.killed
        assert record.latents["b"].tolist() == np.full(2, 0.1, np.float32).tolist()
        record.save()
        assert {path.name for path in tmp_path.iterdir()} == {"report.json"}
        assert reopened(tmp_path).clips == record.clips

    @pytest.mark.parametrize("cut", [1, 30])
    def test_a_line_that_was_cut_short_is_left_out(self, tmp_path: Path, cut: int) -> None:
        self.leave(tmp_path, cut=cut)
        record = reopened(tmp_path)
        assert record.clips["c"] == ClipRecord("/c.wav")
        assert record.clips["b"].modified == 3

    def test_without_its_report_it_says_nothing(self, tmp_path: Path) -> None:
        self.leave(tmp_path)
        (tmp_path / "report.json").unlink()
        assert not reopened(tmp_path).clips


class TestOwnership:
    def test_what_was_not_written_is_not_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("mine")
        with pytest.raises(InputError, match=r"a\.txt is there already and was not written"):
            fill(tmp_path)
        (tmp_path / "a.txt").unlink()
        (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
        with pytest.raises(InputError, match=r"a\.txt is there already"):
            fill(tmp_path)
        (tmp_path / "a.txt").unlink()
        (tmp_path / "all.txt").mkdir()
        with pytest.raises(InputError, match=r"all\.txt is there already"):
            fill(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"all.txt"}

    def test_what_was_written_is_replaced_unless_it_was_changed(self, tmp_path: Path) -> None:
        fill(tmp_path)
        fill(tmp_path)
        content = (tmp_path / "copies" / "a.txt").read_text()
        (tmp_path / "copies" / "a.txt").write_text(content.upper())
        with pytest.raises(InputError, match=r"copies/a\.txt is there already and was changed"):
            fill(tmp_path)
        assert (tmp_path / "copies" / "a.txt").read_text() == content.upper()

    def test_a_file_that_was_being_written_when_the_command_was_killed_is_ours(
        self, tmp_path: Path
    ) -> None:
        with open_record(tmp_path, "test", {"seed": "0"}, Result) as outputs:
            outputs.claim({"a": ClipRecord(files=dict.fromkeys(files_of("a")))}, ["all.txt"])
            (tmp_path / "a.txt").write_text("half")
        fill(tmp_path)
        assert (tmp_path / "a.txt").read_text() == "a in a.txt"

    def test_sources_are_not_overwritten_whoever_wrote_them(self, tmp_path: Path) -> None:
        fill(tmp_path)
        with pytest.raises(InputError, match=r"a\.txt is one of the clips"):
            reopened(tmp_path).check(files_of("a"), [tmp_path / "a.txt"])


class TestNames:
    def test_taken_names_are_numbered_and_stay(self, tmp_path: Path) -> None:
        one, other = tmp_path / "one" / "a.wav", tmp_path / "two" / "A.flac"
        fill(tmp_path / "out", source=one)
        outputs = reopened(tmp_path / "out")

        def named(*wishes: tuple[str, Path]) -> dict[str, Path]:
            return outputs.names_of(wishes, files_of, ["all.txt"])

        assert named(("A", other), ("a", one)) == {"A-2": other, "a": one}
        assert named(("b", one)) == {"a": one}
        # "all" would be in the way of a file of all clips, "copies/x" in that of the copy of "x".
        paths = [tmp_path / f"{number}.wav" for number in range(3)]
        assert list(named(("all", paths[0]), ("x", paths[1]), ("copies/x", paths[2]))) == [
            "all-2",
            "x",
            "copies/x-2",
        ]

    def test_done_means_this_very_file_and_all_that_was_written(self, tmp_path: Path) -> None:
        source = tmp_path / "a.wav"
        source.write_text("sound")
        fill(tmp_path / "out", source=source)
        assert reopened(tmp_path / "out").is_done("a", source)
        (tmp_path / "out" / "a.txt").write_text("changed by somebody, whose it is now")
        assert reopened(tmp_path / "out").is_done("a", source)
        (tmp_path / "out" / "copies" / "a.txt").unlink()
        assert not reopened(tmp_path / "out").is_done("a", source)
        for left in (0, 50):  # what a crash may leave of a file
            fill(tmp_path / f"cut-{left}", "a" * 40, source=source)
            os.truncate(tmp_path / f"cut-{left}" / f"{'a' * 40}.txt", left)
            assert not reopened(tmp_path / f"cut-{left}").is_done("a" * 40, source)
            fill(tmp_path / f"cut-{left}", "a" * 40, source=source)  # it may be replaced
        fill(tmp_path / "more", source=source)
        os.utime(source, ns=(0, 0))
        assert not reopened(tmp_path / "more").is_done("a", source)


class TestStaged:
    def stage(self, folder: Path, names: str, *, stop: bool = False) -> None:
        files = {name: [f"{name}.txt"] for name in names}
        with replacing_outputs(folder, "test", {}, files, ["all.txt"]) as stage:
            stage.mkdir()
            for name in (*names, "all"):
                (stage / f"{name}.txt").write_text(names)
                if stop:
                    raise KeyboardInterrupt

    def content(self, folder: Path) -> dict[str, str]:
        return {path.stem: path.read_text() for path in folder.glob("*.txt")}

    def test_earlier_files_make_way_when_the_new_ones_are_complete(self, tmp_path: Path) -> None:
        self.stage(tmp_path, "abc")
        (tmp_path / "mine.txt").write_text("mine")
        before = self.content(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            self.stage(tmp_path, "bx", stop=True)
        assert self.content(tmp_path) == before
        self.stage(tmp_path, "bx")
        assert self.content(tmp_path) == {"b": "bx", "x": "bx", "all": "bx", "mine": "mine"}
        assert {path.suffix for path in tmp_path.iterdir()} == {".txt", ".json"}

    def test_surplus_that_was_changed_stays(self, tmp_path: Path) -> None:
        self.stage(tmp_path, "abc")
        (tmp_path / "c.txt").write_text("mine")
        self.stage(tmp_path, "a")
        assert self.content(tmp_path) == {"a": "a", "all": "a", "c": "mine"}
        with pytest.raises(InputError, match=r"c\.txt is there already and was not written"):
            self.stage(tmp_path, "c")


class TestInterrupts:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_waits_for_the_end_of_the_block(self, number: signal.Signals) -> None:
        done = []
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored

        def work() -> None:
            with terminated_like_interrupted():
                with uninterrupted():
                    os.kill(os.getpid(), number)
                    done.append("work")
                done.append("more")

        try:
            with pytest.raises(KeyboardInterrupt):
                work()
        finally:
            signal.signal(signal.SIGINT, before)
        assert done == ["work"]

    def test_handlers_are_put_back(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        with terminated_like_interrupted(), uninterrupted():
            pass
        assert signal.getsignal(signal.SIGTERM) is before

    def test_other_threads_are_left_alone(self) -> None:
        done = []

        def work() -> None:
            with terminated_like_interrupted(), uninterrupted():
                done.append("work")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert done == ["work"]
