"""Mend headers of sound files that promise more or less than the file holds."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import BinaryIO, NamedTuple

from audiate.errors import InputError
from audiate.utils.progress import note

_NEARLY = 64  # bytes by which a size may be too large without the file being cut short
_PCM, _MP3, _EXTENSIBLE = 1, 0x55, 0xFFFE  # kinds of samples in a wav file
_STREAM_SIZE = 0x7FFFF000  # encoders that cannot seek back leave a size beyond this
_BIT_RATES = {  # kbit/s of MPEG layer 3, by whether it is version 1
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}
_HEADERS = 3  # packets of a Vorbis file before those of sound
_CONTINUED, _LAST = 1, 4  # bits in the header of an Ogg page
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SEARCHED = 2**20  # bytes after a damaged tag in which the first frame is looked for


def mended(content: BinaryIO, name: str) -> BinaryIO:
    """A sound file as libsndfile reads it whole: the file itself, or a copy with another header.

    - A wav file whose size of samples is 0, or too large, has it set to what is there.
    - An mp3 file of variable rate that does not say how long it is is given a header that does
      (Xing's), and a damaged tag before it is left out. An mp3 within a wav file is taken out.
    - An Ogg Vorbis file whose sound begins on the page of its header has it on a page of its own.

    Args:
        content: The file.
        name: Its name, for messages.

    Raises:
        InputError: It was cut short, says nothing of its length, or holds 24 bits in four bytes.

    """
    head = content.read(12)
    content.seek(0)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _mended_wav(content, name)
    if head[:3] == b"ID3" or _frame(head) is not None:
        return _mended_mp3(content)
    if head[:4] == b"OggS":
        return _mended_vorbis(content)
    if head[:4] == b"fLaC":
        start = content.read(26)
        content.seek(0)
        if len(start) == 26 and not start[21] & 0x0F and not any(start[22:26]):
            raise InputError(
                f"{name}: does not say how long it lasts, as it was written as a stream; "
                f"convert it to wav"
            )
    return content


def _mended_wav(content: BinaryIO, name: str) -> BinaryIO:
    """Set the size of the samples in a wav file right, or take out the mp3 file that it holds."""
    length = content.seek(0, io.SEEK_END)
    content.seek(4)
    (whole,) = struct.unpack("<I", content.read(4))
    kind = 0
    for at, mark, size in _chunks(content, length):
        if mark == b"fmt ":
            content.seek(at)
            kind = _checked_format(content.read(min(size, 40)), name)
        if mark != b"data":
            continue
        there = length - at
        if kind == _MP3:
            content.seek(at)
            return _mended_mp3(io.BytesIO(content.read(size)))
        closed = size > 0 or not there or _ends_in_chunks(content, at, length)
        if closed and (size <= there or size >= _STREAM_SIZE):
            break
        if size - there > _NEARLY and whole + 8 > length + _NEARLY:
            raise InputError(
                f"{name}: truncated, {there:,} of {size:,} bytes of samples are there; copy it "
                f"again"
            )
        _note_once(f"{name}: its header promises {size:,} bytes of samples, {there:,} are read")
        content.seek(0)
        copy = bytearray(content.read())
        struct.pack_into("<I", copy, at - 4, there)
        return io.BytesIO(copy)
    content.seek(0)
    return content


@cache
def _note_once(line: str) -> None:
    """Print a line that was not printed before, as a file may be opened several times."""
    note(line)


def _chunks(content: BinaryIO, length: int, begin: int = 12) -> Iterator[tuple[int, bytes, int]]:
    """Yield each chunk of a RIFF file: where its content begins, its mark, its size in bytes."""
    at = begin
    while at + 8 <= length:
        content.seek(at)
        mark, size = struct.unpack("<4sI", content.read(8))
        yield at + 8, mark, size
        at += 8 + size + size % 2


def _ends_in_chunks(content: BinaryIO, begin: int, length: int) -> bool:
    """Tell whether chunks follow one another up to the end of the file, and no samples."""
    end = begin
    for at, mark, size in _chunks(content, length, begin):
        if not mark.isascii() or at + size > length:
            return False
        end = at + size + size % 2
    return end >= length


def _checked_format(chunk: bytes, name: str) -> int:
    """The kind of samples that a format chunk names.

    Raises:
        InputError: Samples of 24 bits lie in four bytes, which programs read in two ways.

    """
    if len(chunk) < 16:
        return 0
    kind, channels, _, _, align, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind in (_PCM, _EXTENSIBLE) and bits == 24 and align == 4 * channels:
        raise InputError(
            f"{name}: holds 24 bits in four bytes, which programs read in two ways; export it with "
            f"24 or 32 bits"
        )
    return int(kind)


class _Frame(NamedTuple):
    """A frame of MPEG layer 3: its number of bytes, and where its side information ends."""

    size: int
    side: int


def _frame(head: bytes, at: int = 0) -> _Frame | None:
    """The frame whose header is at a place; None where there is none."""
    if len(head) < at + 4 or head[at] != 0xFF or head[at + 1] & 0xE6 != 0xE2:
        return None
    version, rate, pace = head[at + 1] >> 3 & 3, head[at + 2] >> 4, head[at + 2] >> 2 & 3
    if version == 1 or rate in (0, 15) or pace == 3:
        return None
    first, mono = version == 3, head[at + 3] >> 6 == 3
    bits = _BIT_RATES[first][rate] * 1000
    size = (144 if first else 72) * bits // _SAMPLE_RATES[version][pace] + (head[at + 2] >> 1 & 1)
    side = (17 if mono else 32) if first else (9 if mono else 17)
    return _Frame(size, 4 + side)


def _mended_mp3(content: BinaryIO) -> BinaryIO:
    """Take away a tag before an mp3 file, and add a number of frames where it has none."""
    data = content.read()
    content.seek(0)
    begin = 0
    if data[:3] == b"ID3" and len(data) > 10:
        size = sum((byte & 0x7F) << 7 * place for place, byte in zip((3, 2, 1, 0), data[6:10]))  # noqa: B905
        begin = 10 + size if _frame(data, 10 + size) else 10
    begin = _first_frame(data, begin)
    first = _frame(data, begin)
    if first is None:
        return content
    tags = data[begin + first.side : begin + first.side + 4], data[begin + 36 : begin + 40]
    if tags[0] in (b"Xing", b"Info") or tags[1] == b"VBRI":
        return content if data[:3] != b"ID3" else io.BytesIO(data[begin:])
    count, at = 0, begin
    while (frame := _frame(data, at)) is not None and frame.size:
        count, at = count + 1, at + frame.size
    return io.BytesIO(_xing(data[begin : begin + 4], first.side, count) + data[begin:])


def _first_frame(data: bytes, begin: int) -> int:
    """Find the first frame that another one follows."""
    for at in range(begin, min(len(data), begin + _SEARCHED)):
        if data[at] == 0xFF and (frame := _frame(data, at)) and _frame(data, at + frame.size):
            return at
    return begin


def _xing(header: bytes, side: int, count: int) -> bytes:
    """Make a frame without sound that says how many frames follow, for a given header."""
    # Without a checksum and padding, at 64 kbit/s or more, so that there is room.
    rate = header[2] & 0x0C | (5 if header[1] & 8 else 8) << 4
    head = bytes([0xFF, header[1] | 1, rate, header[3]])
    frame = _frame(head)
    assert frame is not None
    body = head + bytes(side - 4) + b"Xing" + struct.pack(">II", 1, count)
    return body.ljust(frame.size, b"\0")


class _Page(NamedTuple):
    """A page of an Ogg file: where it begins, its header, and the sizes of its segments."""

    at: int
    head: bytes
    sizes: bytes


def _pages(content: BinaryIO, at: int = 0) -> Iterator[_Page]:
    """Yield each page of an Ogg file (RFC 3533), without what it holds."""
    while True:
        content.seek(at)
        head = content.read(27)
        if len(head) < 27 or head[:4] != b"OggS":
            return
        page = _Page(at, head, content.read(head[26]))
        yield page
        at += len(head) + len(page.sizes) + sum(page.sizes)


def _mended_vorbis(content: BinaryIO) -> BinaryIO:
    """Divide the page on which a Vorbis header ends and sound begins, which libsndfile drops."""
    begin = content.read(35)
    content.seek(0)
    if begin[28:] != b"\x01vorbis":
        return content
    packets, cut, shared = 0, 0, None
    for page in _pages(content):
        ends = [number for number, size in enumerate(page.sizes, 1) if size < 255]
        if packets + len(ends) >= _HEADERS:
            cut, shared = ends[_HEADERS - packets - 1], page
            break
        packets += len(ends)
    if shared is None or cut == len(shared.sizes):
        content.seek(0)
        return content
    content.seek(0)
    data = content.read()
    parts = [data[: shared.at]]
    for at, head, sizes in _pages(content, shared.at):
        body = data[at + 27 + len(sizes) :][: sum(sizes)]
        if at == shared.at:
            header = sum(sizes[:cut])
            alone = head[:5] + bytes([head[5] & ~_LAST]) + bytes(8) + head[14:]  # at no time yet
            parts.append(_page(alone, sizes[:cut], body[:header], 0))
            head = head[:5] + bytes([head[5] & ~_CONTINUED]) + head[6:]
            sizes, body = sizes[cut:], body[header:]
        parts.append(_page(head, sizes, body, int(head[14:18] == shared.head[14:18])))
    return io.BytesIO(b"".join(parts))


def _page(head: bytes, sizes: bytes, body: bytes, later: int) -> bytes:
    """A page with the header of another one, but with a number that is larger by ``later``."""
    (number,) = struct.unpack_from("<I", head, 18)
    page = head[:18] + struct.pack("<II", number + later, 0) + bytes([len(sizes)]) + sizes + body
    # The checksum is that of zlib for mirrored bits, but that it begins with 0 and is not inverted.
    found = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[:22] + struct.pack("<I", int(f"{found:032b}"[::-1], 2)) + page[26:]
