"""How large a picture says it is, before a decoder makes room for it.

A megabyte of PNG unpacks to a gigabyte of pixels, and a decoder asks nobody. Only the formats that
are read here are decoded at all: any other content is refused, whatever the file is called.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

MAX_PIXELS = 100_000_000  # a camera beside a line has 15 million, the largest sensors 150
_LOOKED_AT = 4096  # bytes in which a PGM says its size
_BLANK = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NUMBERS = re.compile(rb"P[1-6]%b(\d{1,9})%b(\d{1,9})\s" % (_BLANK, _BLANK))
_NO_SIZE = {0xC4, 0xC8, 0xCC}  # of JPEG's markers C0 to CF these three hold no size
_ALONE = {0x01, *range(0xD0, 0xD9)}  # JPEG's markers that stand alone, without a length
_TIFF_SIZES = {256, 257, 322, 323}  # the tags of width and height, of a picture and of its tiles


def pixels(data: bytes) -> int | None:
    """Width times height; None where this is no picture of a kind that we decode, or is cut."""
    try:
        sizes = _sizes(data)
    except (struct.error, IndexError):  # cut short
        return None
    return None if sizes is None else sizes[0] * sizes[1]


def _sizes(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack_from(">II", data, 16) if data[12:16] == b"IHDR" else None
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"BM"):
        return _bmp(data)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _tiff(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    written = _NUMBERS.match(data[:_LOOKED_AT])
    return None if written is None else (int(written[1]), int(written[2]))


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
        elif marker in _ALONE:
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _bmp(data: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    return abs(width), abs(height)  # a height below 0 says that the first row is the top one


def _tiff(data: bytes) -> tuple[int, int] | None:
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    found = dict.fromkeys(_TIFF_SIZES, 0)
    for tag, value in _tiff_tags(data, order, at):
        if tag in found:
            found[tag] = max(found[tag], value)
    if not found[256] or not found[257]:
        return None
    return max(found[256], found[322]), max(found[257], found[323])


def _tiff_tags(data: bytes, order: str, at: int) -> Iterator[tuple[int, int]]:
    """Of the first picture, which alone is decoded."""
    (count,) = struct.unpack_from(f"{order}H", data, at)
    for each in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, each)
        (value,) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", data, each + 8)
        yield tag, value


def _webp(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8X":
            width, height = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
            return width + 1, height + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None
