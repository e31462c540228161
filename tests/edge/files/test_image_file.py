"""A picture is decoded once it is known to be of a size that there is room for, and as it lies."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import FrameError
from edge.files.image_file import IMAGE_SUFFIXES, read_image
from edge.files.image_header import pixels

ROWS, COLUMNS = 37, 91
GREY = np.random.default_rng(0).integers(0, 255, (ROWS, COLUMNS), np.uint8)
KINDS = [*sorted(IMAGE_SUFFIXES), ".ppm"]


def coded(suffix: str, *parameters: int) -> bytes:
    image = cv2.cvtColor(GREY, cv2.COLOR_GRAY2BGR) if suffix == ".ppm" else GREY
    return cv2.imencode(suffix, image, parameters)[1].tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, rows: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    parts = (header, *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(width: int, height: int, tile: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 322: tile, 323: tile, 324: 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("suffix", KINDS)
def test_what_a_header_says_is_what_is_decoded(suffix: str) -> None:
    assert pixels(coded(suffix)) == ROWS * COLUMNS


@pytest.mark.parametrize("quality", [101, 80])  # of which the first means without loss
def test_every_kind_of_webp_says_its_size(quality: int) -> None:
    assert pixels(coded(".webp", cv2.IMWRITE_WEBP_QUALITY, quality)) == ROWS * COLUMNS
    extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\0" + b"\x0f\x27\0"
    assert pixels(extended) == 65_536 * 10_000


def test_a_progressive_jpeg_with_a_thumbnail_says_its_own_size() -> None:
    progressive = coded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    thumbnail = b"Exif\0\0" + cv2.imencode(".jpg", GREY[:8, :8])[1].tobytes()
    within = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    assert pixels(progressive[:2] + within + progressive[2:]) == ROWS * COLUMNS


@pytest.mark.parametrize(
    "data",
    [
        png(32_000, 32_000, rows=bytes(1 << 20)),
        png(1 << 30, 1 << 30),
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 40_000, -40_000) + bytes(100),
        b"P5\n# by hand\n40000 40000\n255\n" + bytes(100),
        b"\xff\xd8\xff\xc2\0\x0b\x08" + struct.pack(">HH", 65_000, 65_000) + b"\x01\x01\x11\0",
        tiff(40_000, 40_000, 16),
        tiff(16, 16, 1 << 16),
    ],
    ids=["png", "endless png", "bmp", "pgm", "jpeg", "tiff", "tile of a tiff"],
)
def test_a_picture_that_would_fill_the_memory_is_refused_undecoded(
    data: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(FrameError, match=r"says that it holds \d+ pixels, more than 100000000"):
        read_image(path, colour=False)
    assert tracemalloc.get_traced_memory()[1] < 3 * len(data) + (1 << 16)
    tracemalloc.stop()


def test_other_formats_are_refused_under_a_pictures_name(tmp_path: Path) -> None:
    path = tmp_path / "other.png"
    for suffix in (".jp2", ".hdr"):  # OpenCV would decode them
        path.write_bytes(coded(suffix) if suffix == ".jp2" else b"#?RADIANCE\n")
        with pytest.raises(FrameError, match="is not a whole image"):
            read_image(path, colour=False)


def test_a_pipe_in_place_of_a_picture_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(FrameError, match="is not a file: take it away"):
        read_image(tmp_path / "pipe.png", colour=False)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_note_to_turn_a_picture_is_not_followed(suffix: str, tmp_path: Path) -> None:
    """Boxes and masks lie in the grid of the file; a viewer that turns it shows them elsewhere."""
    turned = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    path = tmp_path / f"turned{suffix}"
    if suffix == ".png":
        rows = b"".join(b"\0" + row.tobytes() for row in GREY)
        path.write_bytes(png(COLUMNS, ROWS, chunk(b"eXIf", turned), rows=rows))
    else:
        whole, note = coded(suffix), b"Exif\0\0" + turned
        within = b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note
        path.write_bytes(whole[:2] + within + whole[2:])
    followed = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert followed is not None and followed.shape == (COLUMNS, ROWS)
    for colour in (False, True):
        assert read_image(path, colour=colour).shape[:2] == (ROWS, COLUMNS)


@settings(max_examples=200)
@given(st.sampled_from(KINDS), st.integers(0, 80), st.binary(min_size=1, max_size=4))
def test_whatever_a_header_says_it_is_read_or_refused(suffix: str, at: int, junk: bytes) -> None:
    data = coded(suffix)
    for damaged in (data[:at] + junk + data[at + len(junk) :], data[:at]):
        found = pixels(damaged)
        assert found is None or found >= 0
