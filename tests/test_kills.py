"""Commands that write a folder, killed at their file operations, and run again: nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import write_tone
from PIL import Image
from test_codec import small_flow
from test_images import seven

import audiate
from audiate.folders.imagine import write_imagined
from audiate.folders.match import match_folders
from audiate.folders.say import say_folder
from audiate.models.codec import Codec
from audiate.models.configs import CodecConfig, ImageToAudioConfig, LatentFlowConfig
from audiate.models.dual_encoder import DualEncoder
from audiate.models.fingerprint import weight_fingerprint
from audiate.models.generator import Generator
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_flow import LatentFlow
from audiate.models.pretrained import load
from audiate.models.vae import VAE
from audiate.phonetics.edit_folder import edit_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")

Work = Callable[[Path], object]


def is_write(event: str, args: tuple[Any, ...]) -> bool:
    """Whether an audit event changes files."""
    if event == "open":
        return bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir")


def place_of(event: str, args: tuple[Any, ...]) -> str:
    """The path that an audit event is about."""
    path = args[1] if event == "os.rename" else args[0]
    if event in ("os.remove", "os.rmdir") and args[1] > 0:  # below an open folder
        path = Path(f"/proc/self/fd/{args[1]}").readlink() / path
    return os.path.realpath(os.fsdecode(path)) if isinstance(path, (str, bytes, Path)) else ""


def in_child(work: Work, out: Path, kill_at: int | None = None) -> int:
    """Do some work in a process of its own, and count its changes of files below ``out``.

    Args:
        work: Writes to a folder.
        out: The folder.
        kill_at: The number of the change before which the process is killed.

    """
    count, report = 0, out.with_suffix(".count")

    def watch(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if is_write(event, args) and place_of(event, args).startswith(f"{out}"):
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        status = 1
        try:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(os.open(f"{report}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            os.dup2(nowhere, 1)
            torch.set_num_threads(1)  # those of the parent are not there
            sys.addaudithook(watch)
            work(out)
            done, count = count, -(10**9)  # what follows is not the command's
            report.write_text(str(done))
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    ended = os.waitpid(child, 0)[1]
    if kill_at is not None:
        assert ended == signal.SIGKILL, Path(f"{report}.log").read_text()
        return 0
    assert ended == 0, Path(f"{report}.log").read_text()
    return int(report.read_text())


def tree(folder: Path) -> dict[str, Any]:
    """The files of a folder by their path, and what is in them."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): content(path) for path in files}


def content(path: Path) -> Any:
    if path.suffix == ".png":
        return np.asarray(Image.open(path), np.float64)
    if path.suffix == ".npz":
        return dict(np.load(path))
    if path.name == "report.json":
        return plain(json.loads(path.read_text()))
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return [plain(row) for row in pq.read_table(path).to_pylist()]
    return path.read_bytes()


def plain(value: Any) -> Any:
    """A record without times and digests; a missing digest stays."""
    if not isinstance(value, dict):
        return value
    found = {name: plain(each) for name, each in value.items() if name != "seconds"}
    if "files" in found:
        found["files"] = {name: digest is None for name, digest in found["files"].items()}
    return found


def assert_same(found: Any, expected: Any, name: str = "") -> None:
    """Make sure that two contents are equal, but for rounding in pictures and numbers."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), name
        for key in expected:
            assert_same(found[key], expected[key], f"{name}/{key}")
    elif isinstance(expected, np.ndarray) and expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, atol=2 if expected.ndim > 2 else 1e-4)
    elif isinstance(expected, list) and expected and isinstance(expected[0], float):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, name)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4), name
    else:
        assert np.array_equal(found, expected), name


@pytest.fixture(scope="module")
def commands(small_models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Work]:
    """Each command that writes a folder, by small models that were never trained."""
    folder = tmp_path_factory.mktemp("sources")
    for number in range(2):
        write_tone(folder / "clips" / f"{number}.wav", hertz=300 + 50 * number, rate=16_000)
    (folder / "pictures").mkdir()
    for number in range(2):
        Image.fromarray(seven(64, pen=4 + number)).save(folder / "pictures" / f"{number}.png")
    torch.manual_seed(0)
    sizes, matcher = CodecConfig(width=8, latent_channels=4), DualEncoder().eval()
    codec = Codec(sizes)
    sayer = ImageToAudioModel(
        ImageToAudioConfig(
            "", sizes, weight_fingerprint(codec), num_samples=4096, width=64, blocks=1, steps=2
        )
    )
    sayer.use(codec)
    pairs = audiate.imagine(2, drawer=LatentFlow(LatentFlowConfig(steps=1)), sayer=sayer)
    gan = load(small_models / "gan", Generator)
    clips, pictures, flow = folder / "clips", folder / "pictures", small_flow()
    found: dict[str, Work] = {
        "draw": partial(audiate.draw_folder, clips, model=VAE().eval(), samples=2),
        "say": partial(say_folder, pictures, model=sayer.eval(), samples=2),
        "match": partial(match_folders, clips, pictures, model=matcher),
        "imagine": lambda out: write_imagined(pairs, out, {"seed": "0"}),
        "generate": lambda out: audiate.generate_folder(gan, out, count=2),
        "invert": partial(
            audiate.invert_folder, clips, generator=gan, method="encoder",
            encoder=small_models / "encoder", classifier=None,
        ),
        "edit": lambda out: edit_folder(
            clips, out, {"loudness": 3.0}, generator=flow, classifier=None
        ),
    }  # fmt: skip
    if find_spec("pyarrow") is not None:
        from audiate.bulk import EncodeJob

        job = EncodeJob(str(small_models / "encoder")).open("cpu")
        found["bulk"] = lambda out: bulk(clips, job, out)
    return found


def bulk(clips: Path, job: Any, out: Path) -> None:
    from audiate.bulk import EncodeJob, run_bulk
    from audiate.bulk.jobs import OpenJob

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EncodeJob, "open", lambda *_: job)
        patch.setattr(OpenJob, "chunk_size", 1)
        run_bulk(EncodeJob(), [str(clips)], str(out), device="cpu")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """One clip in a batch, so that there are several."""
    monkeypatch.setattr("audiate.folders.runner.BATCH_SIZE", 1)
    monkeypatch.setattr("audiate.folders.invert._LOOKED_UP", 1)


@pytest.mark.parametrize(
    "command", ["draw", "say", "match", "imagine", "generate", "invert", "edit", "bulk"]
)
def test_a_command_that_was_killed_is_finished_by_the_next(
    commands: dict[str, Work], command: str, place: Path, request: pytest.FixtureRequest
) -> None:
    if command not in commands:
        pytest.skip("pyarrow is not installed")
    if command == "edit":
        pytest.importorskip("parselmouth")
    work = commands[command]
    work(place / "whole")  # here, so that the processes find everything imported
    expected = tree(place / "whole")
    count = in_child(work, place / "counted")
    moments = range(1, count + 1)
    if not request.config.getoption("--runslow"):
        moments = [count // 2, count - 1, count]  # type: ignore[assignment]
    wrong = {}
    for moment in moments:
        out = place / f"killed-{moment}"
        in_child(work, out, moment)
        in_child(work, out)
        try:
            assert_same(tree(out), expected)
        except AssertionError as error:
            wrong[moment] = f"{error}"[:300]
    assert not wrong, f"{len(wrong)} of {len(moments)}: {wrong}"
