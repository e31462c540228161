"""Pictures as recorders and stores write them, in a third of the time that OpenCV takes for them.

Of a backtest on the native engine, decoding by OpenCV is a quarter: a PNG of grain is nearly all
Huffman codes and hardly any repeats, for which Intel's ISA-L has a quicker way. Only what is plain
and whole is decoded here: 8 bits, grey or colour, one filter all over, all checksums right. All
else is for OpenCV to read, and to say what is wrong with it.
"""

from __future__ import annotations

import struct
from importlib.util import find_spec

import cv2
import numpy as np

from edge.files.image_file import decode_image
from edge.types import Image

# Not in every extra, nor for every processor: the pixels are the same without it.
if find_spec("isal") is not None:
    from isal.isal_zlib import IsalError, crc32, decompressobj

    HAS_ISAL = True
else:
    HAS_ISAL = False

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3}  # by PNG's colour type: grey, RGB
_NONE, _SUB, _UP = 0, 1, 2  # PNG's filters: of a row its bytes, or what they differ by from others
_MOST_BYTES = 1 << 23  # whose sum 32 bits hold


def decode(name: str, data: bytes, *, colour: bool) -> Image:
    """As `decode_image`, to the pixel and to the error."""
    image = _plain(data, colour) if HAS_ISAL else None
    return decode_image(name, data, colour=colour) if image is None else image


def _plain(data: bytes, colour: bool) -> Image | None:
    """None for whatever is not as plain as that."""
    if (found := _chunks(data)) is None:
        return None
    height, width, channels, packed = found
    if channels != (3 if colour else 1):
        return None
    rows = _unpacked(packed, height, 1 + width * channels)
    if rows is None or (rows[:, 0] != rows[0, 0]).any():
        return None
    image = _unfiltered(rows[:, 1:].reshape(height, width, channels), int(rows[0, 0]))
    if image is None or not colour:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)


def _unpacked(packed: bytes, height: int, width: int) -> Image | None:
    """H,W of so many bytes, no more and no less."""
    if not 0 < height * width <= _MOST_BYTES:
        return None
    unpacking = decompressobj()
    try:
        raw = unpacking.decompress(packed, height * width + 1)
    except IsalError:  # type: ignore[misc]  # whose stub says that it is an object
        return None
    if len(raw) != height * width or not unpacking.eof or unpacking.unused_data:
        return None
    return np.frombuffer(raw, np.uint8).reshape(height, width)


def _chunks(data: bytes) -> tuple[int, int, int, bytes] | None:
    """Height, width, channels and what is packed; None where there is more to it."""
    if not data.startswith(_SIGNATURE):
        return None
    view, at, header, packed = memoryview(data), len(_SIGNATURE), b"", list[bytes]()
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if (
            end + 4 > len(data)
            or crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]
        ):
            return None
        content = bytes(view[at + 8 : end])
        at = end + 4
        if kind == b"IDAT":
            packed.append(content)
        elif kind == b"IHDR" and not header and length == 13:
            header = content
        else:
            if kind != b"IEND" or at != len(data) or not header:
                return None
            width, height, bits, colours, *others = struct.unpack(">IIBBBBB", header)
            if bits != 8 or colours not in _CHANNELS or any(others):
                return None
            return height, width, _CHANNELS[colours], b"".join(packed)
    return None


def _unfiltered(rows: Image, kind: int) -> Image | None:
    """H,W or H,W,3 of H,W,C; bytes are added up, along the row or down the columns."""
    if kind == _NONE:
        whole = rows.copy()
    elif kind == _UP:
        whole = np.add.accumulate(rows, axis=0, dtype=np.uint8)
    elif kind == _SUB:
        # OpenCV has nothing that sums up rows alone, and is three times as quick as NumPy.
        sums = cv2.integral(rows, sdepth=cv2.CV_32S)
        whole = (sums[1:, 1:] - sums[:-1, 1:]).astype(np.uint8)
    else:
        return None
    return whole.reshape(rows.shape[:2]) if rows.shape[2] == 1 else whole
