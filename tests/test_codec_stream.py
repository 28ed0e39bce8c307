"""Sounds that are given back block by block."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import audiate
from audiate.cli.demo import CLIPS_FOLDER
from audiate.errors import InputError
from audiate.metrics.reconstruction import mel_distance
from audiate.models.codec import Codec
from audiate.models.codec_stream import CodecStream
from audiate.models.speech_flow import load_codec

RATE = 16_000


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("speech-digits")


@pytest.fixture(scope="module")
def speech() -> Tensor:
    """Several words, about four seconds, a whole number of latents."""
    names = ("two-female", "zero-slt", "six-awb", "one-kal")
    words = [audiate.load_audio(CLIPS_FOLDER / f"{name}.flac", RATE)[0] for name in names]
    whole = torch.cat(words)
    return whole[: len(whole) // 2048 * 2048]


def streamed(codec: Codec, sound: Tensor, block: int, context: float) -> tuple[Tensor, int]:
    """What a stream gives back of a sound, and by how many samples it is late."""
    stream = CodecStream(codec, context)
    parts = [stream(part) for part in torch.split(sound, block)]
    return torch.cat([*parts, stream.finish()]), stream.delay


@pytest.mark.parametrize("block", [2048, 512])
def test_with_all_that_the_networks_see_it_is_the_codecs_sound(
    codec: Codec, speech: Tensor, block: int
) -> None:
    given, delay = streamed(codec, speech, block, 1.6)
    assert len(given) == len(speech) + delay
    with torch.no_grad():
        whole = codec(speech.view(1, 1, -1)).clamp(-1, 1)[0, 0]
    assert not given[:delay].any()
    late = given[delay:]
    # Silence before the sound is heard where the codec's layers see zeros, so its pulses may begin
    # elsewhere, which nobody hears.
    inside = slice(8192, -8192)
    assert mel_distance(late[None, inside], whole[None, inside], RATE).item() < 0.5


def test_with_an_eighth_of_a_second_it_is_as_near_to_the_sound(
    codec: Codec, speech: Tensor
) -> None:
    given, delay = streamed(codec, speech, 512, 0.128)
    assert delay == 2048
    with torch.no_grad():
        whole = codec(speech.view(1, 1, -1)).clamp(-1, 1)[0, 0]
    by_blocks = mel_distance(given[None, delay:], speech[None], RATE).item()
    assert by_blocks < 1.05 * mel_distance(whole[None], speech[None], RATE).item()


def test_what_is_no_block(codec: Codec) -> None:
    stream = CodecStream(codec)
    for block in (torch.zeros(100), torch.zeros(0), torch.zeros(1, 512)):
        with pytest.raises(InputError, match="give a multiple of 512 samples"):
            stream(block)
    with pytest.raises(InputError, match="context 0"):
        CodecStream(codec, 0)
