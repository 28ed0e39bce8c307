"""Pictures that are said, pairs that are imagined, sounds and pictures that find each other."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import interrupt_second_batch, write_tone
from PIL import Image
from test_images import alike, seven, zero
from torch import Tensor

import audiate
from audiate.cli import main
from audiate.data.latents import read_latents
from audiate.errors import InputError, Interrupted
from audiate.folders.match import match_folders
from audiate.folders.runner import FolderReport
from audiate.folders.say import SayingResult, SayingWork, say_folder
from audiate.models.codec import Codec
from audiate.models.configs import (
    CodecConfig,
    DualEncoderConfig,
    ImageToAudioConfig,
    LatentFlowConfig,
)
from audiate.models.dual_encoder import ChangedSounds, DualEncoder
from audiate.models.fingerprint import weight_fingerprint
from audiate.models.image_to_audio import ImageToAudioModel
from audiate.models.latent_flow import LatentFlow
from audiate.models.lenet import find_every_digit
from audiate.models.pretrained import load
from audiate.models.speech_flow import load_codec

SMALL = CodecConfig(width=8, latent_channels=4)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models that were never trained: codec/, say/ of that codec, match/, flow/."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(1)
    codec = Codec(SMALL)
    codec.save_pretrained(folder / "codec")
    config = ImageToAudioConfig(
        str(folder / "codec"), SMALL, weight_fingerprint(codec),
        num_samples=4096, width=64, blocks=1, steps=2,
    )  # fmt: skip
    sayer = ImageToAudioModel(config)
    torch.nn.init.normal_(sayer.velocity.last.weight)  # trained networks do not begin with rest
    sayer.save_pretrained(folder / "say")
    DualEncoder().save_pretrained(folder / "match")
    LatentFlow(LatentFlowConfig(steps=1)).save_pretrained(folder / "flow")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(seven()).save(folder / "seven.png")
    Image.fromarray(255 - seven(64, pen=5)).save(folder / "dark.jpg")
    return folder


class TestImageToAudioModel:
    def test_same_picture_and_seed_same_sounds(self, models: Path) -> None:
        model = audiate.load(models / "say")
        assert isinstance(model, ImageToAudioModel)
        first = model.say(seven(), seed=1)
        assert first.shape == (8, 1, 4096)
        assert first.abs().max() <= 1
        assert torch.equal(model.say(seven(), seed=1, samples=8), first)
        assert alike(model.preprocess_image(255 - seven()), model.preprocess_image(seven()))
        assert not torch.equal(model.say(seven(), seed=2), first)
        # More samples are more of the same.
        torch.testing.assert_close(model.say(seven(), seed=1, samples=11)[:8], first)

    def test_its_sounds_are_its_codecs(self, models: Path) -> None:
        model = load(models / "say", ImageToAudioModel)
        latents, sounds = model.say_batch(torch.rand(2, 28, 28), samples=3)
        assert latents.shape == (2, 3, 8 * 4)
        codec = load(models / "codec", Codec)
        expected = codec.decode(latents[1].view(3, 8, 4).transpose(1, 2)).clamp(-1, 1)
        torch.testing.assert_close(sounds[1], expected)

    def test_its_noise_decides_alone_where_the_image_does_not_count(self, models: Path) -> None:
        model = load(models / "say", ImageToAudioModel)
        images, noise = torch.rand(2, 28, 28), torch.randn(1, 1, 32).expand(2, -1, -1)
        guided = model.latents_from(images, noise, guidance=2.0)
        assert not torch.allclose(guided[0], guided[1])
        free = model.latents_from(images, noise, guidance=0.0)
        torch.testing.assert_close(free[0], free[1])

    def test_another_codec_is_refused(self, models: Path, tmp_path: Path) -> None:
        model = load(models / "say", ImageToAudioModel)
        other = load(models / "codec", Codec)
        with torch.no_grad():
            next(iter(other.parameters())).mul_(1.5)
        other.save_pretrained(tmp_path / "other")
        for name in (tmp_path / "other", models / "match", tmp_path / "missing"):
            with pytest.raises(InputError):
                model.use(load_codec(name))
        load(models / "codec", Codec).save_pretrained(tmp_path / "moved", storage="int8")
        model.config = replace(model.config, codec="gone")
        with pytest.raises(InputError, match="gone"):
            _ = model.codec
        model.use(load_codec(tmp_path / "moved"))  # the same, but for rounding


class TestClearScores:
    """By which images choose among sounds."""

    @pytest.fixture
    def matcher(self) -> DualEncoder:
        model = DualEncoder(DualEncoderConfig(references=2)).eval()
        model.references.copy_(torch.eye(2, 128))
        return model

    def test_a_sound_that_may_be_either_of_two_comes_after_a_clear_one(
        self, matcher: DualEncoder
    ) -> None:
        either, clear = torch.zeros(2, 128)
        either[:2] = 0.5**0.5
        clear[0], clear[2] = 0.7, 0.51**0.5
        images, sounds = torch.eye(1, 128), torch.stack([either, clear])
        assert matcher.scores(sounds, images).argmax() == 0
        changed = ChangedSounds(sounds[None], usual_of(matcher, sounds)[None])
        assert matcher.calibrated_scores(changed, images).argmax() == 1

    def test_density_ratios_have_a_mean_of_one(self, matcher: DualEncoder) -> None:
        with torch.no_grad():
            sounds = matcher.embed_changed(torch.rand(3, 48, 48))
            torch.testing.assert_close(sounds.usual[0], usual_of(matcher, sounds.vectors[0]))
            first = ChangedSounds(sounds.vectors[:1], sounds.usual[:1])
            ratios = matcher.calibrated_scores(first, matcher.references).exp()
            torch.testing.assert_close(ratios.mean(1), torch.ones(3))
            lowest = matcher.calibrated_scores(sounds, matcher.references).exp()
            assert (lowest <= ratios + 1e-6).all()

    def test_a_sound_and_six_slight_changes_are_heard(self, matcher: DualEncoder) -> None:
        spectrogram = torch.zeros(1, 48, 48)
        spectrogram[0, 20, 20] = 1
        heard: list[Tensor] = []
        matcher.embed_sounds = lambda each: heard.append(each) or torch.ones(1, 128)  # type: ignore
        matcher.embed_changed(spectrogram)
        peaks = [divmod(int(each.argmax()), 48) for each in heard]
        assert peaks == [(20, 20), (20, 23), (20, 22), (20, 18), (21, 20), (19, 20), (20, 20)]
        assert heard[-1].max() == pytest.approx(0.92)

    def test_one_without_references_takes_scores_as_they_are(self, tmp_path: Path) -> None:
        DualEncoder().save_pretrained(tmp_path)
        matcher = audiate.load(tmp_path)
        assert isinstance(matcher, DualEncoder)
        sounds = matcher.embed_changed(torch.rand(1, 48, 48))
        assert not sounds.usual.any()


def usual_of(matcher: DualEncoder, sounds: Tensor) -> Tensor:
    """The logarithm of each sound's mean density ratio with the references."""
    return matcher.scores(sounds, matcher.references).exp().mean(1).log()


class TestSayFolder:
    def test_as_a_user_does(
        self, models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        command = [
            "say", str(pictures), "--model", str(models / "say"), "--samples", "2",
            "--out", str(out),
        ]  # fmt: skip
        assert main(command) == 0
        told = capsys.readouterr().out
        assert f"2 pictures said: see {out / 'sheet.png'}" in told
        assert "seven.png: read: 7 (" in told
        names = {"dark-1.wav", "dark-2.wav", "seven-1.wav", "seven-2.wav", "sheet.png"}
        assert {p.name for p in out.iterdir()} == names | {"latents.npz", "report.json"}
        with Image.open(out / "sheet.png") as sheet:
            assert sheet.width > 2 * 84
        latents = torch.from_numpy(read_latents(out / "latents.npz", 32))
        assert latents.shape == (4, 32)
        voiced = load(models / "say", ImageToAudioModel).voice(latents)
        for said, row in (("dark-1", 0), ("seven-2", 3)):
            one, rate = soundfile.read(out / f"{said}.wav")
            assert rate == 16_000
            np.testing.assert_allclose(one, voiced[row, 0].detach(), atol=1e-3)
        assert main(command) == 0
        assert "0 pictures said (2 were there already)" in capsys.readouterr().out
        assert main([*command, "--seed", "3"]) == 2
        assert "with another --seed" in capsys.readouterr().err

    def test_several_digits_are_said_from_left_to_right(
        self, models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Image.fromarray(np.hstack([seven(), zero()])).save(pictures / "two.png")
        out = tmp_path / "out"
        command = [
            "say", str(pictures), "--model", str(models / "say"), "--samples", "2", "--all",
            "--out", str(out),
        ]  # fmt: skip
        assert main(command) == 0
        told = capsys.readouterr().out
        assert "two.png: read: 7 0 (" in told
        assert "seven.png: read: 7 (" in told
        record = json.loads((out / "report.json").read_text())["clips"]["two"]
        assert record["digits"] == [7, 0]
        assert all(0.5 < chance <= 1 for chance in record["probabilities"])
        assert set(record["files"]) == {"two-1.wav", "two-2.wav"}
        model = load(models / "say", ImageToAudioModel)
        for name, picture in (("two", np.hstack([seven(), zero()])), ("seven", seven())):
            images = find_every_digit(picture).images
            expected = model.say_batch(images, samples=2)[1][:, 1].flatten()
            said, _ = soundfile.read(out / f"{name}-2.wav")
            np.testing.assert_allclose(said, expected, atol=1e-3)
        assert len(soundfile.read(out / "two-1.wav")[0]) == 2 * 4096
        with np.load(out / "latents.npz") as stored:
            assert stored["names"].tolist() == ["dark"] * 2 + ["seven"] * 2 + ["two"] * 4
            voiced = model.voice(torch.from_numpy(stored["latents"][-2:])).flatten()
        np.testing.assert_allclose(soundfile.read(out / "two-2.wav")[0], voiced.detach(), atol=1e-3)
        (out / "two-2.wav").unlink()
        (out / "seven-1.wav").unlink()
        assert main(command) == 0
        assert "2 pictures said (1 was there already)" in capsys.readouterr().out
        names = ["dark"] * 2 + ["seven"] * 2 + ["two"] * 4
        with np.load(out / "latents.npz") as again:
            assert again["names"].tolist() == names

    def test_doubtful_readings_come_first_and_marks_are_told(
        self, models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An open zero, of which LeNet-5 is less than 90 % sure; and a seven with a minus."""
        signed = np.pad(seven(), ((0, 0), (60, 0)))
        signed[55:64, 30:60] = 255
        Image.fromarray(signed).save(pictures / "signed.png")
        Image.fromarray(np.where(np.arange(120) < 75, zero(), 0).astype(np.uint8)).save(
            pictures / "zero.png"
        )
        command = ["say", str(pictures), "--model", str(models / "say"), "--samples", "1"]
        assert main([*command, "--out", str(tmp_path / "out")]) == 0
        told = capsys.readouterr().out.splitlines()
        assert told[0].startswith("zero.png: doubtful, read: ")
        assert "signed.png: read: 7 (" in told[3]
        assert told[3].endswith("; left out: 1 mark, as no whole digit")
        assert "1 of these are doubtful: a digit is less than 90% sure" in told
        assert main([*command, "--out", str(tmp_path / "out")]) == 0
        again = capsys.readouterr().out.splitlines()
        assert again[:-1] == told[:-1]
        assert again[-1].startswith("0 pictures said (4 were there already)")

    def test_a_picture_that_cannot_be_used(
        self, models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Image.fromarray(np.full((40, 40), 255, np.uint8)).save(pictures / "blank.png")
        (pictures / "text.png").write_text("no picture")
        command = [
            "say", str(pictures), "--model", str(models / "say"), "--samples", "1",
            "--out", str(tmp_path / "out"),
        ]  # fmt: skip
        assert main(command) == 2
        told = capsys.readouterr()
        assert f"{pictures / 'blank.png'}: the picture is blank" in told.err
        assert f"{pictures / 'text.png'}: cannot be read as a picture" in told.err
        assert "2 pictures said, 2 could not be used: see" in told.out

    def test_interrupted_it_goes_on(
        self, models: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def say() -> FolderReport[SayingResult]:
            return say_folder(pictures, tmp_path / "out", model=models / "say", samples=1)

        monkeypatch.setattr("audiate.folders.runner.BATCH_SIZE", 1)
        with monkeypatch.context() as patch:
            interrupt_second_batch(patch, SayingWork)
            with pytest.raises(Interrupted):
                say()
        assert list(say().new) == ["seven"]
        with Image.open(tmp_path / "out" / "sheet.png") as sheet:
            assert sheet.height > 2 * 84  # both pictures

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            (([], {}), "no pictures given"),
            ((["EMPTY"], {}), "holds no picture file"),
            ((["EMPTY"], {"samples": 0}), "`samples` 0"),
            ((["PICTURES"], {"model": "lenet-mnist"}), "a LeNet says no pictures"),
        ],
    )
    def test_what_cannot_be_said(
        self,
        given: tuple[list[str], dict[str, object]],
        complaint: str,
        pictures: Path,
        tmp_path: Path,
    ) -> None:
        (tmp_path / "empty").mkdir()
        places = {"EMPTY": tmp_path / "empty", "PICTURES": pictures}
        with pytest.raises(InputError, match=complaint):
            say_folder([places[each] for each in given[0]], tmp_path / "out", **given[1])  # type: ignore[arg-type]


class TestImagine:
    def test_as_a_user_does(
        self, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def imagine(count: int, *more: str) -> int:
            command = [
                "imagine", "--count", str(count), "--sayer", str(models / "say"),
                "--drawer", str(models / "flow"), "--out", str(tmp_path / "out"), *more,
            ]  # fmt: skip
            return main(command)

        assert imagine(5) == 0
        first = (tmp_path / "out" / "001.png").read_bytes()
        assert imagine(3) == 0
        out = tmp_path / "out"
        pairs = {f"00{number}.{kind}" for number in range(3) for kind in ("wav", "png")}
        assert {p.name for p in out.iterdir()} == pairs | {
            "latents.npz",
            "report.json",
            "sheet.png",
        }
        assert (out / "001.png").read_bytes() == first  # the first ones stay
        assert read_latents(out / "latents.npz", 32).shape == (3, 32)
        (out / "000.png").write_bytes(b"mine")
        assert imagine(3) == 2
        assert (out / "000.png").read_bytes() == b"mine"
        assert imagine(3, "--sayer", str(models / "match")) == 2

    def test_images_are_those_of_what_is_said(self, models: Path) -> None:
        flow = audiate.load(models / "flow")
        assert isinstance(flow, LatentFlow)
        pairs = audiate.imagine(3, seed=4, drawer=flow, sayer=models / "say")
        noise = flow.latent_dim + pairs.latents.shape[1]
        random = torch.Generator().manual_seed(4)
        for image, waveform in zip(pairs.images, pairs.waveforms, strict=True):
            own = torch.randn(noise, generator=random)[: flow.latent_dim]
            heard = flow.preprocess(waveform, sample_rate=pairs.sample_rate)
            with torch.no_grad():
                expected = flow.images_from(heard[None], own.view(1, 1, -1))[0, 0]
            torch.testing.assert_close(image, expected)

    def test_a_model_that_draws_nothing_without_a_sound(self, models: Path) -> None:
        pytest.importorskip("audiate_papers")
        with pytest.raises(InputError, match="draws nothing without a sound"):
            audiate.imagine(1, drawer="vae-fsdd", sayer=models / "say")


class Loudness(DualEncoder):
    """Knows one sound from another by its middle band, and a picture by its brightness."""

    def embed_sounds(self, spectrograms: torch.Tensor) -> torch.Tensor:
        angle = spectrograms[:, :24].sum((1, 2)) / spectrograms.sum((1, 2)) * torch.pi / 2
        return torch.stack([angle.cos(), angle.sin()], 1)

    def embed_images(self, images: torch.Tensor) -> torch.Tensor:
        angle = images.mean((1, 2)) * torch.pi / 2
        return torch.stack([angle.cos(), angle.sin()], 1)


class TestMatch:
    def test_ranks_both_ways(self, tmp_path: Path) -> None:
        for name, hertz in (("low", 200.0), ("high", 3500.0)):
            write_tone(tmp_path / "sounds" / f"{name}.wav", hertz=hertz)
        model = Loudness()
        model.config = replace(model.config, pictures="whole")
        (tmp_path / "images").mkdir()
        for name, level in (("bright", 250), ("grey", 128), ("black", 0)):
            picture = Image.fromarray(np.full((40, 40), level, np.uint8))
            picture.save(tmp_path / "images" / f"{name}.png")
        matches = match_folders(
            tmp_path / "sounds", tmp_path / "images", tmp_path / "out", model=model, top=2
        )
        found = {
            Path(sound).stem: [Path(matches.images[i]).stem for i in matches.images_of(number, 3)]
            for number, sound in enumerate(matches.sounds)
        }
        assert found == {"low": ["bright", "grey", "black"], "high": ["black", "grey", "bright"]}
        with (tmp_path / "out" / "ranks.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2 * 2 + 3 * 2
        by_sound = [row for row in rows if row["given"] == "sound" and "low" in row["file"]]
        assert [Path(row["found"]).stem for row in by_sound] == ["bright", "grey"]
        assert float(by_sound[0]["score"]) > float(by_sound[1]["score"])
        black = [row for row in rows if row["given"] == "image" and "black" in row["file"]]
        assert [(row["rank"], Path(row["found"]).stem) for row in black] == [
            ("1", "high"),
            ("2", "low"),
        ]
        assert json.loads((tmp_path / "out" / "report.json").read_text())["command"] == "match"

    def test_as_a_user_does(
        self, models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        sound = write_tone(tmp_path / "sounds" / "tone.wav")
        soundfile.write(tmp_path / "sounds" / "silent.wav", np.zeros(4000), 8000)
        more = ["--model", str(models / "match"), "--out", str(tmp_path / "out")]

        def match(sounds: Path, images: Path) -> int:
            return main(["match", str(sounds), str(images), *more])

        assert match(tmp_path / "sounds", pictures) == 2
        told = capsys.readouterr()
        assert f"{tmp_path / 'sounds' / 'silent.wav'}: " in told.err
        assert "matched sounds: 1, pictures: 2" in told.out
        assert match(sound, pictures) == 0
        (pictures / "seven.png").rename(os.fsdecode(os.fsencode(pictures) + b"/a\xff.png"))
        assert match(sound, pictures) == 0
        assert "a\\xff.png" in (tmp_path / "out" / "ranks.csv").read_text()
        assert match(tmp_path / "sounds" / "silent.wav", pictures) == 2
        assert "--sounds: none of these files can be used" in capsys.readouterr().err
