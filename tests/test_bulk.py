"""Bulk work in one process: sources, one row a clip, and the results of single commands."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import socket
import tarfile
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import Command, write_tone
from s3_server import s3_server

from audiate.errors import InputError, Interrupted

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
import pyarrow.parquet as pq  # noqa: E402

from audiate.audio.files import load_audio  # noqa: E402
from audiate.bulk import BulkReport, ClassifyJob, DrawJob, EncodeJob, InvertJob, run_bulk, status  # noqa: E402
from audiate.bulk.addresses import Store  # noqa: E402
from audiate.bulk.archives import File, work_units  # noqa: E402
from audiate.bulk.bulk_run import Totals  # noqa: E402
from audiate.bulk.bulk_run import _Count as Count  # noqa: E402
from audiate.bulk.jobs import OpenJob  # noqa: E402
from audiate.bulk.reading import chunks_of  # noqa: E402
from audiate.bulk.rows import Written  # noqa: E402
from audiate.cli import main  # noqa: E402
from audiate.data.sounds import SUFFIXES  # noqa: E402
from audiate.folders.draw import draw_folder  # noqa: E402
from audiate.folders.invert import invert_folder  # noqa: E402
from audiate.inversion.settings import InversionSettings  # noqa: E402
from audiate.models.pretrained import load  # noqa: E402
from audiate.models.vae import VAE  # noqa: E402

CLIPS = 9


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of a quarter of a second, as flac, in two folders."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(CLIPS):
        path = folder / ("low" if number < 4 else "high") / f"{number}.flac"
        write_tone(path, hertz=200 + 150 * number, seconds=0.25, rate=16_000)
    return folder


@pytest.fixture
def job(small_models: Path, monkeypatch: pytest.MonkeyPatch) -> EncodeJob:
    """A small encoder, which is loaded once for all runs of a test, and chunks of four clips."""
    monkeypatch.setattr(EncodeJob, "open", lru_cache(EncodeJob.open))
    monkeypatch.setattr(OpenJob, "chunk_size", 4)
    return EncodeJob(str(small_models / "encoder"))


def rows_of(out: Path | str) -> dict[str, dict[str, Any]]:
    """Rows by the name of the clip; there is one for each."""
    table = pq.read_table(f"{out}/rows")
    rows = {f"{row['source']}@{row['begin']}": row for row in table.to_pylist()}
    assert len(rows) == len(table)
    return {key.rpartition("@")[0].rsplit("/", 1)[-1]: row for key, row in rows.items()}


def run(job: Any, source: Path | str, out: Path | str, **settings: Any) -> BulkReport:
    return run_bulk(job, [str(source)], str(out), device="cpu", **settings)


def write_tar(path: Path, clips: Path) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as tar:
        for clip in sorted(clips.rglob("*.flac")):
            tar.add(clip, clip.name)
            note = tarfile.TarInfo(f"{clip.stem}.json")
            tar.addfile(note, io.BytesIO())
    return path


def write_parquet(path: Path, clips: Path) -> Path:
    """As `datasets` writes sounds, in row groups of five."""
    sounds = [{"bytes": c.read_bytes(), "path": c.name} for c in sorted(clips.rglob("*.flac"))]
    table = pa.table({"audio": sounds, "label": list(range(len(sounds)))})
    pq.write_table(table, path, row_group_size=5)
    return path


def test_every_kind_of_source_gives_the_same_rows(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{clip}\n" for clip in clips.rglob("*.flac")))
    sources = {
        "folder": str(clips),
        "pattern": f"{clips}/*/*.flac",
        "list": str(names),
        "tar": str(write_tar(tmp_path / "shard-000.tar", clips)),
        "packed": str(write_tar(tmp_path / "shard-001.tgz", clips)),
        "braces": f"{tmp_path}/shard-{{000..000}}.tar",
        "parquet": str(write_parquet(tmp_path / "sounds.parquet", clips)),
    }
    found = {}
    for name, source in sources.items():
        report = run(job, source, tmp_path / "out" / name)
        assert (report.new, report.totals.clips, dict(report.totals.failures)) == (CLIPS, CLIPS, {})
        own = rows_of(tmp_path / "out" / name).values()
        found[name] = {row["sha256"]: (row["id"], row["latent"]) for row in own}
        assert run(job, source, tmp_path / "out" / name).new == 0  # all are done
    for name, rows in found.items():
        assert rows.keys() == found["folder"].keys()
        for key, (identity, latent) in rows.items():
            assert identity == found["folder"][key][0]
            np.testing.assert_allclose(latent, found["folder"][key][1], rtol=2e-3, atol=1e-4), name


def test_encode_is_the_encoder(job: EncodeJob, clips: Path, tmp_path: Path) -> None:
    run(job, clips, tmp_path / "out")
    encoder = load(job.model)
    for name, row in rows_of(tmp_path / "out").items():
        waveform, _ = load_audio(row["source"], 16_000, channels=1)
        waveform = waveform * (0.9 / waveform.abs().max())
        pad = 4096 - waveform.shape[1]
        padded = np.pad(waveform.numpy(), ((0, 0), (pad // 2, pad - pad // 2)))
        expected = encoder(waveform.new_tensor(padded)[None])[0].detach().numpy()
        np.testing.assert_allclose(row["latent"], expected, rtol=2e-3, atol=1e-4, err_msg=name)
        assert row["duration"] == 0.25


def test_draw_and_classify_equal_single_commands(
    small_models: Path, clips: Path, tmp_path: Path
) -> None:
    VAE().save_pretrained(tmp_path / "vae")
    draw = DrawJob(str(tmp_path / "vae"), samples=2, seed=3, pictures=True)
    run(draw, clips, tmp_path / "bulk")
    run(EncodeJob(str(tmp_path / "vae")), clips, tmp_path / "encoded")
    draw_folder(clips, tmp_path / "one", model=tmp_path / "vae", samples=2, seed=3)
    with np.load(tmp_path / "one" / "latents.npz") as stored:
        single = dict(zip(stored["names"].tolist(), stored["latents"], strict=True))
    pictures: dict[str, bytes] = {}
    for path in (tmp_path / "bulk" / "pictures").iterdir():
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                pictures[member.name] = content.read()
    encoded = rows_of(tmp_path / "encoded")
    for name, row in rows_of(tmp_path / "bulk").items():
        place = Path(row["source"]).relative_to(clips).with_suffix("")
        np.testing.assert_allclose(row["latent"], single[place.as_posix()], rtol=2e-3, atol=1e-3)
        assert row["latent"] == encoded[name]["latent"]
        assert len(row["digits"]) == 2
        assert pictures[f"{row['id']}.png"] == (tmp_path / "one" / f"{place}.png").read_bytes()
    classifier = str(small_models / "classifier")
    run(ClassifyJob(classifier), clips, tmp_path / "digits")
    for row in rows_of(tmp_path / "digits").values():
        assert row["digit"] == np.argmax(row["probabilities"])
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert "latent" not in row


@pytest.mark.parametrize("method", ["encoder", "hybrid"])
def test_invert_equals_the_single_command(
    method: Any, small_models: Path, clips: Path, tmp_path: Path
) -> None:
    iterations = 3 if method == "hybrid" else None
    search = InversionSettings(method, max_iterations=iterations)
    job = InvertJob(
        str(small_models / "gan"),
        search=search,
        encoder=str(small_models / "encoder"),
        classifier=None,
        sounds=True,
    )
    run(job, clips / "low", tmp_path / "bulk")
    single = invert_folder(
        clips / "low",
        tmp_path / "one",
        generator=str(small_models / "gan"),
        method=method,
        max_iterations=iterations,
        encoder=str(small_models / "encoder"),
        classifier=None,
    )
    (tar,) = (tmp_path / "bulk" / "sounds").iterdir()
    with tarfile.open(tar) as members:
        for name, row in rows_of(tmp_path / "bulk").items():
            result = single.results[Path(name).stem]
            for score in ("loss", "mse", "ssim", "evaluations"):
                assert row[score] == pytest.approx(getattr(result, score), rel=1e-3, abs=1e-5)
            latent = np.load(tmp_path / "one" / f"{Path(name).stem}.npy")
            np.testing.assert_allclose(row["latent"], latent, rtol=2e-3, atol=1e-3)
            sound = members.extractfile(f"{row['id']}.wav")
            assert sound is not None
            expected, _ = load_audio(tmp_path / "one" / f"{Path(name).stem}.wav")
            found, _ = soundfile.read(io.BytesIO(sound.read()), dtype="float32")
            np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)


def stop_after(monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    """Have Ctrl-C pressed once, after so many chunks were recorded."""
    from audiate.bulk import engines

    write, calls = vars(engines)["write_chunk"], 0

    def stopped(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == chunks + 1:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(engines, "write_chunk", stopped)


def test_no_thread_is_left_after_ctrl_c(
    job: EncodeJob, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that computes while Python ends makes it abort."""
    from audiate.bulk import reading

    decode = vars(reading)["_decode"]

    def slowly(*given: Any) -> Any:
        time.sleep(0.1)
        return decode(*given)

    monkeypatch.setattr(reading, "_decode", slowly)
    monkeypatch.setattr(OpenJob, "chunk_size", 1)
    stop_after(monkeypatch, 1)
    before = set(threading.enumerate())
    with pytest.raises(Interrupted):
        run(job, clips, tmp_path / "out")
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("kind", ["folder", "tar", "parquet"])
def test_it_goes_on_where_it_stopped(
    kind: str, job: EncodeJob, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {
        "folder": lambda: clips,
        "tar": lambda: write_tar(tmp_path / "a.tar", clips),
        "parquet": lambda: write_parquet(tmp_path / "a.parquet", clips),
    }[kind]()
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(Interrupted, match="stopped after 4 clips"):
            run(job, source, out)
    (first,) = (out / "rows").glob("*.parquet")
    before = first.read_bytes()
    half = f".{first.name}.1.part"  # as a killed process leaves it
    (out / "rows" / half).write_bytes(b"half")
    assert run(job, source, out).new == CLIPS - 4
    assert len(rows_of(out)) == CLIPS
    assert first.read_bytes() == before
    assert not list((out / "rows").glob(".*"))


def test_results_are_no_sources_and_sources_no_leftovers(
    small_models: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output may be the folder of the source, where folders may be called as ours are."""
    search = InversionSettings("encoder")
    models = str(small_models / "gan"), str(small_models / "encoder")
    job = InvertJob(models[0], search=search, encoder=models[1], classifier=None, sounds=True)
    source = tmp_path / "clips"
    shutil.copytree(clips / "low", source / "sounds")
    (source / "sounds" / ".DS_Store").touch()
    write_tone(source / "_a.wav", seconds=0.25, rate=16_000)
    link = tmp_path / "link"
    link.symlink_to(source)
    assert run(job, source, source).new == 5
    parts = [*source.glob("sounds/*.tar"), *source.glob("rows/*.parquet")]
    assert len(parts) == 2
    assert run(job, f"{source}/**", link).new == 0
    assert run(job, f"file://{source}", f"file://{source}/").new == 0
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{part}\n" for part in (*parts, source / "_a.wav")))
    assert run(job, names, source).new == 0
    assert len(list((source / "sounds").glob("*.flac"))) == 4
    assert (source / "sounds" / ".DS_Store").exists()
    monkeypatch.chdir(shutil.copytree(clips / "low", tmp_path / "other"))
    assert run(job, ".", "below/out").new == 4
    assert run(job, f"{tmp_path}/other/../other", f"local://{tmp_path}/other/below/out").new == 0


def test_a_second_row_of_a_clip_is_removed(job: EncodeJob, clips: Path, tmp_path: Path) -> None:
    run(job, clips, tmp_path / "out")
    part = min((tmp_path / "out" / "rows").iterdir())
    shutil.copy(part, part.with_name("z.parquet"))
    assert run(job, clips, tmp_path / "out").new == 0
    assert len(rows_of(tmp_path / "out")) == CLIPS


def damage(folder: Path, good: Path) -> dict[str, str]:
    """Damage a sound in ten ways; the reasons by the name of the file."""
    content, (samples, rate) = good.read_bytes(), soundfile.read(good)
    (folder / "empty.flac").write_bytes(b"")
    (folder / "head.flac").write_bytes(content[:30])
    (folder / "text.wav").write_text("no sound")
    (folder / "zeros.flac").write_bytes(bytes(2000))
    (folder / "middle.flac").write_bytes(content[:200] + bytes(800) + content[1000:])
    soundfile.write(folder / "short.wav", samples, rate)
    wav = (folder / "short.wav").read_bytes()
    (folder / "short.wav").write_bytes(wav[: len(wav) // 2])
    soundfile.write(folder / "silent.wav", np.zeros(4000), rate)
    soundfile.write(folder / "nan.wav", np.full(4000, np.nan), rate, "FLOAT")
    soundfile.write(folder / "nothing.wav", np.zeros(0), rate)
    (folder / "folder.wav").mkdir()
    (folder / "link.flac").symlink_to("nowhere.flac")
    return {
        "empty.flac": "empty",
        "head.flac": "cannot be read",
        "text.wav": "cannot be read",
        "zeros.flac": "cannot be read",
        "middle.flac": "",
        "short.wav": "truncated",
        "silent.wav": "silent",
        "nan.wav": "NaN",
        "nothing.wav": "no samples",
        "link.flac": "no such file",
    }


def test_bad_files_are_named_and_the_others_are_done(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    source, out = shutil.copytree(clips, tmp_path / "clips"), tmp_path / "out"
    reasons = damage(source, clips / "low" / "0.flac")
    report = run(job, source, out)
    rows = rows_of(out)
    bad = {name: row["error"] for name, row in rows.items() if row["error"]}
    assert bad.keys() == reasons.keys()
    assert all(reasons[name] in error and name in error for name, error in bad.items())
    assert sum(row["latent"] is not None for row in rows.values()) == CLIPS
    assert len(report.totals.failures) == len(reasons)
    assert run(job, source, out).new == 0
    shutil.copy(clips / "low" / "0.flac", source / "silent.wav")  # it is a flac, and mended
    assert run(job, source, out).new == 1  # as it was changed
    assert run(job, source, out, retry_failed=True).new == len(reasons) - 1
    rows = rows_of(out)
    assert len(rows) == CLIPS + len(reasons)
    assert rows["silent.wav"]["id"] == rows["0.flac"]["id"]  # the same content
    assert any("truncated" in line for line in status(str(out)))


def test_a_damaged_container_gives_what_it_holds(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    tar = write_tar(tmp_path / "cut.tar", clips)
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "labels.parquet")
    report = run(job, tmp_path, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    bad = {name for name, row in rows.items() if row["error"]}
    assert bad == {"cut.tar", "bad.parquet", "labels.parquet"}
    assert 0 < len(rows) - 3 < CLIPS
    assert len(report.totals.failures) == 3


def test_hidden_files_and_those_of_macos_are_passed_over(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    source = tmp_path / "clips"
    for name in (".cache/a", "__MACOSX/._a", "b/._a", "b/a"):
        write_tone(source / f"{name}.wav", seconds=0.25, rate=16_000)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(source, ".")
    for number, name in enumerate((str(source), f"{source}/**/*.wav", f"{tmp_path}/a.tar")):
        assert run(job, name, tmp_path / f"out{number}").new == 1
        assert rows_of(tmp_path / f"out{number}").keys() == {"a.wav"}
    assert run(job, f"{source}/.cache/*.wav", tmp_path / "out0").new == 1  # it is asked for


def test_members_of_one_name_are_told_apart(job: EncodeJob, clips: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "twice.tar", "w") as tar:
        for number in range(3):
            tar.add(clips / "low" / f"{number}.flac", "same.flac")
    for _ in range(2):
        run(job, tmp_path / "twice.tar", tmp_path / "out")
        rows = rows_of(tmp_path / "out")
        assert [source.rpartition("/")[2] for source in sorted(rows)] == [
            "same.flac", "same.flac#2", "same.flac#3",
        ]  # fmt: skip
        assert len({tuple(row["latent"]) for row in rows.values()}) == 3


def test_a_tar_file_that_is_damaged_in_the_middle_is_told_of(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    tar = write_tar(tmp_path / "clips.tar", clips)
    with tarfile.open(tar) as opened:
        third = opened.getmembers()[2].offset
    content = bytearray(tar.read_bytes())
    content[third : third + 100] = b"?" * 100
    tar.write_bytes(content)
    run(job, tar, tmp_path / "out")
    (reason,) = [row["error"] for row in rows_of(tmp_path / "out").values() if row["error"]]
    assert "recordings (bad checksum)" in reason


def test_links_in_a_tar_file_have_a_row_with_the_reason(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "linked.tar", "w") as tar:
        tar.add(clips / "low" / "0.flac", "0.flac")
        for name, kind in (("hard.flac", tarfile.LNKTYPE), ("soft.flac", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "0.flac"
            tar.addfile(member)
    assert run(job, tmp_path / "linked.tar", tmp_path / "out").new == 3
    errors = {name: row["error"] for name, row in rows_of(tmp_path / "out").items()}
    assert errors.pop("0.flac") is None
    assert all("is a link to 0.flac" in error for error in errors.values())
    assert len(errors) == 2


@pytest.mark.parametrize("ending", ["tar", "tgz"])
def test_tar_files_may_follow_one_another(
    job: EncodeJob, clips: Path, tmp_path: Path, ending: str
) -> None:
    parts = [
        write_tar(tmp_path / f"{each}.{ending}", clips / each).read_bytes()
        for each in ("low", "high")
    ]
    (both := tmp_path / f"both.{ending}").write_bytes(b"".join(parts))
    assert run(job, both, tmp_path / "out").totals.clips == CLIPS
    assert not any(row["error"] for row in rows_of(tmp_path / "out").values())


def test_what_zip_files_hold(
    job: EncodeJob, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.make_archive(str(tmp_path / "a"), "zip", clips)
    monkeypatch.chdir(tmp_path)
    for number, source in enumerate(("a.zip", "zip://**/*.flac::a.zip", "zip://low::a.zip")):
        found = 4 if "low" in source else CLIPS
        out = tmp_path / f"out{number}"
        totals = run(job, source, out).totals
        assert (totals.clips, dict(totals.failures)) == (found, {})
        assert run(job, source, out).new == 0
        sources = pq.read_table(f"{out}/rows")["source"].to_pylist()
        assert f"zip://low/0.flac::{tmp_path}/a.zip" in sources
    write_tar(tmp_path / "a.tar", clips)
    (tmp_path / "b.zip").write_text("no archive")
    refused = {"tar://*.flac::a.tar": "name the tar file itself", "b.zip": "not a zip file"}
    for source, reason in {**refused, "a.tar::b.tar": "name one file after the other"}.items():
        with pytest.raises(InputError, match=reason):
            run(job, source, tmp_path / "none")


def test_names_that_are_no_unicode_are_told_apart(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    for name in (b"a\xff.flac", b"a\\xff.flac", b"a\\x5cxff.flac"):
        shutil.copy(
            clips / "low" / "0.flac", os.fsdecode(os.fsencode(tmp_path / "clips") + b"/" + name)
        )
    assert run(job, tmp_path / "clips", tmp_path / "out").totals.clips == 3
    assert len(rows_of(tmp_path / "out")) == 3
    assert run(job, tmp_path / "clips", tmp_path / "out").new == 0


def test_the_column_of_sounds(job: EncodeJob, clips: Path, tmp_path: Path) -> None:
    sound, picture = (clips / "low" / "0.flac").read_bytes(), b"\x89PNG no sound"
    file, other = {"bytes": sound, "path": None}, {"bytes": picture, "path": None}
    shutil.copy(clips / "low" / "1.flac", tmp_path / "beside.flac")
    tables: dict[str, dict[str, Any]] = {
        "by its name": {"image": [other], "audio": [file]},
        "by what is in it": {"one": [other], "two": [file]},
        "a number as bytes": {"one": [{"bytes": 3}], "two": [sound]},
        "text as bytes": {"one": [{"bytes": "x"}], "two": [sound]},
        "a list as bytes": {"one": [{"bytes": [1]}], "two": [file]},
        "a path alone": {"audio": [{"bytes": None, "path": "beside.flac"}]},
        "a view": {"audio": pa.array([sound], pa.binary_view())},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
        report = run(job, tmp_path / f"{name}.parquet", tmp_path / "out" / name)
        assert (report.new, dict(report.totals.failures)) == (1, {}), name
    both = tmp_path / "by its name.parquet"
    run(job, both, tmp_path / "c", column="image")
    (row,) = rows_of(tmp_path / "c").values()
    assert "cannot be read as sound" in row["error"]
    pq.write_table(pa.table({"audio": [{"bytes": 3}]}), tmp_path / "none.parquet")
    pq.write_table(
        pa.table({"audio": [{"bytes": None, "path": "no.wav"}]}), tmp_path / "gone.parquet"
    )
    for name, reason in {"none": "struct<bytes: int64>", "gone": "no such file"}.items():
        (error,) = run(job, tmp_path / f"{name}.parquet", tmp_path / name).totals.failures.values()
        assert reason in error


def packed_zeros(folder: Path) -> Iterator[tuple[Path, str]]:
    """Small archives that hold much, and what is said of them."""
    size = 60 * 2**20
    with tarfile.open(folder / "sounds.tar.gz", "w:gz", compresslevel=1) as tar:
        for number in range(3):
            member = tarfile.TarInfo(f"{number}.wav")
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(size)))
    yield folder / "sounds.tar.gz", "cannot be read as sound"
    with gzip.open(folder / "name.tar.gz", "wb", compresslevel=1) as content:
        header = tarfile.TarInfo("name")
        header.type, header.size = tarfile.GNUTYPE_LONGNAME, 4 * size
        content.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(4):
            content.write(bytes(size))
    yield folder / "name.tar.gz", "a header of more than 1 MiB"
    for dictionary, reason in ((True, "cannot be read as sound"), (False, "as no sound can be")):
        path = folder / f"rows-{dictionary}.parquet"
        table = pa.table({"audio": [bytes(size)] * 5})
        pq.write_table(table, path, compression="zstd", use_dictionary=dictionary)
        yield path, reason


def test_archives_that_hold_much_take_little_memory(job: EncodeJob, tmp_path: Path) -> None:
    for path, reason in packed_zeros(tmp_path):
        assert path.stat().st_size < 2**21
        pa.default_memory_pool().release_unused()
        before = pa.total_allocated_bytes()
        tracemalloc.start()
        unit = next(work_units(iter([File(str(path))]), 1, lambda *_: frozenset()))
        most = 0
        for chunk in chunks_of(job.open("cpu"), unit, "refuse", threading.Event()):
            most = max(most, pa.total_allocated_bytes() - before)
            assert all(reason in (clip.error or "") for clip in chunk.clips), chunk
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most + peak < 2**28, path


def test_all_rows_of_what_was_changed_are_removed(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    for seconds in (3.0, 2.0):  # cut into 12 clips, more than a part, and then into 8
        write_tone(source / "long.wav", seconds=seconds, rate=16_000)
        run(job, source, out, long="cut")
        parts = pq.read_table(f"{out}/rows", columns=["cut_into"])["cut_into"].to_pylist()
        assert len(set(parts)) == 1
        assert len(parts) == parts[0] > 4
    sound = (clips / "low" / "0.flac").read_bytes()
    for groups in (3, 1):
        table = pa.table({"audio": pa.array([sound] * groups, pa.binary())})
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=1)
        run(job, tmp_path / "a.parquet", tmp_path / "other")
        assert pq.read_table(tmp_path / "other" / "rows").num_rows == groups


def test_files_that_were_added_or_changed_are_done(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    source, out = shutil.copytree(clips, tmp_path / "clips"), tmp_path / "out"
    tar = write_tar(source / "a.tar", clips)
    run(job, source, out)
    write_tone(source / "low" / "00.flac", hertz=999, seconds=0.25, rate=16_000)
    write_tone(source / "low" / "0.flac", hertz=888, seconds=0.3, rate=16_000)
    assert run(job, source, out).new == 2
    write_tar(tar, source / "low")
    assert run(job, source, out).new == 5
    rows = pq.read_table(out / "rows").to_pylist()
    assert sorted(row["source"].split("/clips/")[-1] for row in rows) == sorted(
        [f"low/{n}.flac" for n in ("00", 0, 1, 2, 3)]
        + [f"high/{n}.flac" for n in range(4, CLIPS)]
        + [f"a.tar/{n}.flac" for n in ("00", 0, 1, 2, 3)]
    )


def test_a_long_recording_is_cut_or_refused(
    small_models: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenJob, "chunk_size", 8)
    job, source = EncodeJob(str(small_models / "encoder")), tmp_path / "clips"
    time = np.arange(16_000 * 700) / 16_000  # over the ten minutes of a file
    source.mkdir()
    soundfile.write(source / "long.flac", 0.5 * np.sin(2 * np.pi * 440 * time), 16_000)
    shutil.copy(clips / "low" / "0.flac", source)
    refused = run(job, source, tmp_path / "refused")
    assert refused.totals.clips == 2
    (reason,) = refused.totals.failures.values()
    assert "lasts 12 min" in reason
    assert reason.endswith("or give `long=cut`, which makes clips of it")
    monkeypatch.setattr(  # a minute is enough to be cut
        "audiate.bulk.reading.spans_of", lambda *given: spans(*given)[:20]
    )
    from audiate.audio.files import spans_of as spans

    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Interrupted):
            run(job, source, tmp_path / "cut", long="cut")
    report = run(job, source, tmp_path / "cut", long="cut")
    assert (report.new, report.totals.clips, len(report.totals.failures)) == (5, 21, 0)
    rows = pq.read_table(tmp_path / "cut" / "rows").to_pylist()
    begins = sorted(row["begin"] for row in rows if row["begin"] is not None)
    assert begins == pytest.approx([4096 / 16_000 * n for n in range(20)])


def test_other_settings_and_foreign_folders_are_refused(
    job: EncodeJob, small_models: Path, clips: Path, tmp_path: Path
) -> None:
    run(job, clips, tmp_path / "out")
    with pytest.raises(InputError, match=r"was begun with `long` refuse \(now cut\); go on"):
        run(job, clips, tmp_path / "out", long="cut")
    with pytest.raises(InputError, match="holds the results of `audiate bulk encode`"):
        run(ClassifyJob(str(small_models / "classifier")), clips, tmp_path / "out")
    with pytest.raises(InputError, match="holds the results of `audiate bulk encode`"):
        draw_folder(clips, tmp_path / "out", samples=1)
    (tmp_path / "mine" / "rows").mkdir(parents=True)
    (tmp_path / "mine" / "rows" / "a.parquet").write_bytes(b"mine")
    with pytest.raises(InputError, match="has not written"):
        run(job, clips, tmp_path / "mine")
    with pytest.raises(InputError, match="holds no sound files"):
        run(job, small_models, tmp_path / "new")
    with pytest.raises(InputError, match="no such file or folder"):
        run(job, tmp_path / "nothing", tmp_path / "new")
    with pytest.raises(InputError, match="has one worker"):
        run(job, clips, tmp_path / "new", engine="local", workers=2)


def test_an_output_without_rows_is_begun_anew(
    job: EncodeJob, small_models: Path, clips: Path, tmp_path: Path
) -> None:
    """So a mistake in the source, or of the cluster, leaves nothing that is in the way."""
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no such file"):
        run(job, tmp_path / "nothing", out)
    assert not list(out.glob("*"))
    classify = ClassifyJob(str(small_models / "classifier"))
    with pytest.raises(InputError, match="no Ray cluster answers"):
        run(classify, clips, out, address="127.0.0.1:1")
    assert run(job, clips / "low", out, long="cut").new == 4
    report = json.loads((out / "report.json").read_text())
    assert (report["command"], report["settings"]["long"]) == ("bulk encode", "cut")
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "report.json").write_text('{"command": "draw", "settings": {}}')
    with pytest.raises(InputError, match="holds the results of `audiate draw`"):
        run(job, clips, tmp_path / "drawn")


def test_status_tells_who_works_there(
    job: EncodeJob, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audiate.bulk import bulk_run as running

    out, told = tmp_path / "out", [[""]]
    note = vars(running)["_note"]

    def note_and_look(*given: Any) -> None:
        told.append(status(str(out)))
        note(*given)
        told.append(status(str(out)))

    monkeypatch.setattr(running, "_note", note_and_look)
    monkeypatch.setattr(running, "_SECONDS_BETWEEN_NOTES", -1.0)
    run(job, clips, out)
    here = f"process {os.getpid()} on {socket.gethostname()}"
    assert told[1][-1] == "a command is starting there, and looks for what is to be done"
    assert told[2][-1] == f"0 of {CLIPS} clips 0 s ago; {here} works there"
    assert re.fullmatch(
        rf"8 of 9 clips 0 s ago, \S+ a second, 0.0 min left; {here} .*", told[6][-1]
    )
    assert here not in "".join(status(str(out)))
    state = {"done": 4, "total": 9, "rate": 1.0, "time": 0, "host": "here", "process": 7}
    (out / "progress.json").write_text(json.dumps(state))  # as a killed command leaves it
    assert status(str(out))[-1].startswith("process 7 on here was ended before all was done; run")
    with pytest.raises(
        InputError, match=r"holds no report.json of `audiate bulk`; name another folder$"
    ):
        status(str(tmp_path))
    with Store(str(tmp_path / "new")).alone():
        assert status(str(tmp_path / "new")) == [told[1][-1]]


@pytest.mark.parametrize("source", ["clips", "tar"])
def test_a_command_that_was_killed_at_its_very_end_is_complete(
    job: EncodeJob, clips: Path, tmp_path: Path, source: str
) -> None:
    given = clips if source == "clips" else write_tar(tmp_path / "all.tar", clips)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "remove", lambda *_: None)  # killed before the file was removed
        run(job, given, tmp_path / "out")
    assert (tmp_path / "out" / "progress.json").exists()
    complete = not any("run the same command" in line for line in status(str(tmp_path / "out")))
    assert complete == (source == "clips")  # nobody knows how much is in the tar file
    assert run(job, given, tmp_path / "out").new == 0
    assert not any("run the same command" in line for line in status(str(tmp_path / "out")))


def test_the_rate_leaves_the_start_out() -> None:
    """The first part comes after Ray's start, and after models were loaded by its workers."""
    totals = Totals(9, {}, 1.0)
    assert BulkReport("out", 0, 3.0, None, totals).summary()[0] == "nothing was left to do"
    count, begun = Count(before=0, known=90, uncounted=0), time.monotonic()
    for number in range(2):  # two workers, which end at the same time
        count.add(Written(45, seconds=2.0))
        assert (count.steady_rate is None) == (number == 0)
    assert count.steady_rate == pytest.approx(90 / (2 + time.monotonic() - begun), rel=0.1)
    first = BulkReport("out", 90, 30.0, 50.0, totals).summary()[0]
    assert first == "90 clips in 30 s, 50.0 a second once started"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bulk"], "no command is named"),
        (["bulk", "encod"], "bulk encod: no such command"),
        (
            ["bulk", "encode", "a", "--out", "b", "--outt"],
            "--outt: no such flag; did you mean --out?",
        ),
    ],
)
def test_mistakes_are_told_of_the_command(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["bulk", "encode", "--help"])
    assert "(default: )" not in capsys.readouterr().out


def test_one_command_at_a_time(job: EncodeJob, clips: Path, tmp_path: Path) -> None:
    with Store(str(tmp_path / "out")).alone(), pytest.raises(InputError, match="is writing there"):
        run(job, clips, tmp_path / "out")


def test_memory_is_bounded_by_the_chunk(
    job: EncodeJob, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that nobody takes chunks from does not go on reading."""
    from audiate.bulk.archives import WorkUnit, find_files
    from audiate.bulk.reading import THREADS

    opened, read = job.open("cpu"), 0

    def count(path: Any) -> Any:
        nonlocal read
        read += 1
        return opened.read(path)

    names = tmp_path / "names.txt"
    links = [tmp_path / f"{number}.flac" for number in range(200)]
    for link in links:
        link.symlink_to(clips / "low" / "0.flac")
    names.write_text("".join(f"{link}\n" for link in links))
    unit = WorkUnit("files", tuple(find_files([str(names)], "out")))
    monkeypatch.setattr(OpenJob, "chunk_size", 10)
    chunks = chunks_of(replace(opened, read=count), unit, "refuse", threading.Event())
    next(chunks)
    assert read <= 10 + 4 * THREADS + 2
    chunks.close()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    with s3_server() as (url, objects):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield url, objects


def test_object_stores(
    job: EncodeJob,
    clips: Path,
    tmp_path: Path,
    s3: tuple[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("audiate.bulk.addresses.time.sleep", lambda _: None)
    url, objects = s3
    for clip in clips.rglob("*.flac"):
        objects[f"archive/clips/{clip.parent.name}/{clip.name}"] = clip.read_bytes()
    objects["archive/a.tar"] = write_tar(tmp_path / "a.tar", clips).read_bytes()
    out = "s3://archive/results"
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(Interrupted):
            run(job, "s3://archive/clips", out)
    assert run(job, "s3://archive/clips", out).new == CLIPS - 4
    assert run(job, "s3://archive/clips/*/*.flac", out).new == 0
    assert run(job, "s3://archive/a.tar", out).new == CLIPS
    objects["archive/other/report.json"] = objects["archive/results/report.json"]
    objects["archive/other/rows/a.tar"] = objects["archive/a.tar"]
    assert run(job, "s3://archive", f"{out}/").new == 0  # results are no sources
    parts = [name for name in objects if name.startswith("archive/results/rows/")]
    rows = [row for name in parts for row in pq.read_table(io.BytesIO(objects[name])).to_pylist()]
    assert len({row["source"] for row in rows}) == len(rows) == 2 * CLIPS
    assert all(row["source"].startswith("s3://archive/") for row in rows)
    assert len({row["id"] for row in rows}) == CLIPS
    assert any(f"{2 * CLIPS} clips" in line for line in status(out))
    objects["archive/results/.audiate.lock"] = json.dumps({"holder": "x", "time": 9e12}).encode()
    with pytest.raises(InputError, match="is writing there"):
        run(job, "s3://archive/clips", out)
    objects["archive/results/.audiate.lock"] = json.dumps({"holder": "x", "time": 0}).encode()
    assert run(job, "s3://archive/clips", out).new == 0  # the lock of a dead command
    local = tmp_path / "over-http"
    assert run(job, f"{url}/archive/{{a}}.tar".replace("{a}", "a"), local).new == CLIPS


def test_large_files_give_the_same_rows_and_leave_no_copies(
    job: EncodeJob,
    clips: Path,
    tmp_path: Path,
    s3: tuple[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(job, clips, tmp_path / "small")
    on_disk = partial(replace, in_memory=10)
    monkeypatch.setattr("audiate.bulk.plan.replace", on_disk)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    (tmp_path / "copies").mkdir()
    url, objects = s3
    names = tmp_path / "names.txt"
    for clip in clips.rglob("*.flac"):
        objects[f"archive/{clip.name}"] = clip.read_bytes()
    names.write_text("".join(f"{url}/{name}\n" for name in objects))
    expected = {row["id"]: row["sha256"] for row in rows_of(tmp_path / "small").values()}
    tar = write_tar(tmp_path / "a.tar", clips)
    for name, source in (("disk", clips), ("server", names), ("tar", tar)):
        report = run(job, source, tmp_path / name)
        assert (report.new, report.totals.failures) == (CLIPS, {})
        rows = rows_of(tmp_path / name).values()
        assert {row["id"]: row["sha256"] for row in rows} == expected
    assert not list((tmp_path / "copies").iterdir())


NOBODY = "http://127.0.0.1:1"


def test_what_cannot_be_reached_is_tried_again(
    job: EncodeJob, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aiohttp
    from fsspec.implementations.http import HTTPFileSystem

    names, out, get = tmp_path / "names.txt", tmp_path / "out", HTTPFileSystem._cat_file
    down = True

    async def get_now_and_then(*given: Any, **settings: Any) -> bytes:
        if down:
            raise aiohttp.ServerDisconnectedError
        return bytes(await get(*given, **settings))

    monkeypatch.setattr(HTTPFileSystem, "_cat_file", get_now_and_then)
    HTTPFileSystem.clear_instance_cache()  # of those that know the usual one
    with s3_server() as (url, objects):
        objects["archive/0.flac"] = (clips / "low" / "0.flac").read_bytes()
        objects["archive/a.tar"] = write_tar(tmp_path / "a.tar", clips).read_bytes()
        there = ["archive/0.flac", "archive/a.tar"]
        named = [f"{url}/{name}" for name in (*there, "archive/none.wav")]
        named += [f"{NOBODY}/a.{kind}" for kind in ("wav", "tar", "parquet")]
        names.write_text("\n".join(named))
        report = run(job, names, out)
        told = {key: error.removeprefix(key) for key, error in report.totals.failures.items()}
        assert told.keys() == {named[0], *named[2:]}
        assert told.pop(named[2]) == ": no such file"
        for reason in told.values():
            assert reason.startswith(": cannot be reached (")
            assert reason.endswith("run the same command again")
        down = False
        names.write_text("\n".join(named[:2]))
        report = run(job, names, out)
    assert (report.new, report.totals.clips, report.totals.failures) == (1, CLIPS + 1, {})


@pytest.mark.parametrize("source", ["a.wav", "a.tar", "folder", "names.txt", "*.wav"])
def test_a_server_that_does_not_answer_is_told(
    source: str, job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"/[\w*.]+: cannot be reached \(Cannot connect"):
        run(job, f"{NOBODY}/{source}", tmp_path / "out")
    assert not (tmp_path / "out" / "rows").exists()


def test_google_servers_are_not_waited_for_for_ever(
    job: EncodeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audiate.bulk import addresses

    assert addresses._PATIENCE.total_seconds() <= 60
    monkeypatch.setattr(addresses, "_PATIENCE", timedelta(seconds=1))
    monkeypatch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", NOBODY)
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"gs://archive/a.wav: cannot be reached \(.*exhausted"):
        run(job, "gs://archive/a.wav", tmp_path / "out")
    assert time.monotonic() - begun < 30


def test_an_output_that_cannot_be_written_is_told(job: EncodeJob, clips: Path) -> None:
    with pytest.raises(InputError, match=f"`out` {NOBODY}/out: a web address cannot be written"):
        run(job, clips, f"{NOBODY}/out")
    with pytest.raises(InputError, match=r"out/report\.json: cannot be read"):
        status(f"{NOBODY}/out")


def test_failures_of_files_that_are_gone_are_forgotten(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(clips / "low", source)
    (source / "text.wav").write_text("no sound")
    with tarfile.open(source / "a.tar", "w") as tar:
        tar.add(source / "text.wav", "text.wav")
        tar.add(source / "0.flac", "0.flac")
    assert len(run(job, source, out).totals.failures) == 2
    assert len(run(job, clips / "high", out).totals.failures) == 2  # they are still there
    (source / "text.wav").unlink()
    (source / "a.tar").unlink()
    assert not run(job, clips / "high", out).totals.failures
    assert len(rows_of(out)) == CLIPS  # that of the tar file has the name of another


def test_sources_that_hold_nothing_are_told(
    job: EncodeJob, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    given = [str(tmp_path / "empty"), str(clips / "low"), str(clips / "low")]
    assert run_bulk(job, given, str(tmp_path / "out"), device="cpu").new == 4
    assert f"audiate: {tmp_path}/empty: holds no sound files" in capsys.readouterr().err
    with pytest.raises(InputError, match="no source holds any recording"):
        run_bulk(job, given[:1] * 2, str(tmp_path / "new"), device="cpu")
    with tarfile.open(tmp_path / "notes.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("note.json"))
    pq.write_table(pa.table({"audio": pa.array([], pa.binary())}), tmp_path / "none.parquet")
    for _ in range(2):
        failures = run(job, f"{tmp_path}/no*", tmp_path / "other").totals.failures
        assert [error.split(": ")[1].split(";")[0] for _, error in sorted(failures.items())] == [
            "holds no rows", f"holds no sound files ({', '.join(SUFFIXES)})",
        ]  # fmt: skip


def test_a_pattern_that_matches_nothing_names_one_that_looks_deeper(
    job: EncodeJob, clips: Path, tmp_path: Path
) -> None:
    shutil.make_archive(str(tmp_path / "a"), "zip", clips)
    below = f"zip://**/*.flac::{tmp_path}/a.zip"
    with pytest.raises(InputError, match=re.escape(f"; in folders below, too: {below}")):
        run(job, f"zip://*.flac::{tmp_path}/a.zip", tmp_path / "out")
    assert run(job, below, tmp_path / "out").new == CLIPS


def test_a_list_has_a_name_on_each_line(
    job: EncodeJob, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes(b"\xef\xbb\xbf# digits\r\n\r\n %b \r\n" % bytes(clips / "low" / "0.flac"))
    report = run(job, names, tmp_path / "out")
    assert (report.new, report.totals.failures) == (1, {})
    assert report.summary()[0].startswith("1 clip in ")
    assert f"{names}: is taken as a list, with the name of a file" in capsys.readouterr().err
    names.write_text(f'{clips}/low/0.flac\n"{clips}/low/1.flac"\n')
    with pytest.raises(InputError, match=r"names.txt: line 2 stands in quotes"):
        run(job, names, tmp_path / "out")


def test_the_command(audiate: Command, small_models: Path, clips: Path, tmp_path: Path) -> None:
    (clips / "low" / "bad.wav").write_text("no sound")
    try:
        done = audiate(
            *("bulk", "encode", clips, "--out", "latents"),
            *("--model", small_models / "encoder", "--device", "cpu"),
        )
    finally:
        (clips / "low" / "bad.wav").unlink()
    assert done.returncode == 2
    assert f"audiate: error: {clips}/low/bad.wav: cannot be read as sound" in done.stderr
    assert f"{CLIPS} clips, 0.0 minutes of sound; 1 could not be used" in done.stdout
    assert len(rows_of(tmp_path / "latents")) == CLIPS + 1
