"""A codec as the vocoder of generators of spectrograms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import small_specgan

from audiate.audio.files import load_audio
from audiate.cli import main
from audiate.errors import InputError
from audiate.models.codec import Codec
from audiate.models.configs import CodecConfig, WaveGANConfig
from audiate.models.generator import Generator, generate
from audiate.models.vocoder import Vocoded
from audiate.models.wavegan import WaveGAN


def small_codec() -> Codec:
    torch.manual_seed(0)
    return Codec(CodecConfig(width=8, latent_channels=4)).eval()


@torch.no_grad()
def test_its_sounds_are_the_codecs_of_the_generators() -> None:
    gan, codec = small_specgan(), small_codec()
    both = Vocoded(gan, codec)
    assert isinstance(both, Generator)
    z = both.sample_latent(2, generator=torch.Generator().manual_seed(1))
    assert torch.equal(z, gan.sample_latent(2, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(generate(both, z), codec(gan(z)).clamp(-1, 1))


def test_generators_that_need_none() -> None:
    with pytest.raises(InputError, match="`vocoder`: is for generators of spectrograms"):
        Vocoded(WaveGAN(WaveGANConfig(dim=1)), small_codec())
    with pytest.raises(InputError, match="mono at 16,000 Hz"):
        Vocoded(small_specgan(channels=2), small_codec())


def test_the_command_passes_sounds_through_a_codec(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gan, codec = small_specgan(), small_codec()
    gan.save_pretrained(tmp_path / "gan")
    codec.save_pretrained(tmp_path / "codec")
    command = ["generate", str(tmp_path / "gan"), "--count", "2", "--out", str(tmp_path / "out")]
    assert main([*command, "--vocoder", str(tmp_path / "codec")]) == 0
    z = torch.stack([gan.sample_latent(1, generator=torch.Generator().manual_seed(0))[0]])
    with torch.no_grad():
        expected = codec(gan(z)).clamp(-1, 1)[0, 0]
    found, _ = load_audio(tmp_path / "out" / "000.wav")
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    settings = json.loads((tmp_path / "out" / "report.json").read_text())["settings"]
    assert settings["vocoder"] == str(tmp_path / "codec")
    assert main([*command, "--vocoder", str(tmp_path / "nowhere")]) == 2
    assert "--vocoder" in (told := capsys.readouterr().err)
    assert "nowhere" in told
    assert main([*command, "--vocoder", "lenet-mnist"]) == 2
    told = capsys.readouterr().err
    assert "--vocoder lenet-mnist: a LeNet is no codec; speech-digits holds one" in told
