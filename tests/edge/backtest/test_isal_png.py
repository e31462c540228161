"""Pictures are decoded quickly to the very pixels, and what is wrong with one is said as ever."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("isal", reason="pip install 'trackside[backtest]'")
from edge.backtest import isal_png
from edge.backtest.isal_png import decode
from edge.errors import FrameError
from edge.files.image_file import decode_image
from edge.types import Image

FILTERS = (0, 1, 2, 3, 4)  # PNG's own numbers
images = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([(), (3,)])).flatmap(
    lambda of: arrays(np.uint8, (of[0], of[1], *of[2]))
)


def png(image: Image, rows: int = 2, **changes: bytes) -> bytes:
    """By this filter; what is changed takes a chunk's place."""
    colours = np.atleast_3d(image)[..., ::-1].astype(np.int64)
    height, width, channels = colours.shape
    left, above = np.zeros_like(colours), np.zeros_like(colours)
    left[:, 1:], above[1:] = colours[:, :-1], colours[:-1]
    corner = np.zeros_like(colours)
    corner[1:, 1:] = colours[:-1, :-1]
    guess = left + above - corner
    away = np.abs(np.stack([left, above, corner]) - guess)
    nearest = np.choose(away.argmin(axis=0), [left, above, corner])
    less = [0 * left, left, above, (left + above) // 2, nearest][rows]
    raw = ((colours - less) % 256).astype(np.uint8).reshape(height, -1)
    filtered = np.insert(raw, 0, rows, axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    chunks = {"IHDR": header, "IDAT": zlib.compress(filtered), "IEND": b""} | changes
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + (body := name.encode() + content)
        + struct.pack(">I", zlib.crc32(body))
        for name, content in chunks.items()
    )


@given(images, st.sampled_from(FILTERS), st.booleans())
def test_every_picture_is_what_opencv_makes_of_it(image: Image, rows: int, colour: bool) -> None:
    data = png(image, rows)
    assert np.array_equal(
        decode("it", data, colour=colour), decode_image("it", data, colour=colour)
    )
    if colour == (image.ndim == 3):
        assert np.array_equal(decode("it", data, colour=colour), image)


@pytest.mark.parametrize("shape", [(352, 352), (70, 90, 3)])
def test_what_this_opencv_writes_is_decoded_without_it(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    data = cv2.imencode(".png", image)[1].tobytes()

    def refuse(*_: object, **__: object) -> Image:
        raise AssertionError("OpenCV was asked")

    monkeypatch.setattr(isal_png, "decode_image", refuse)
    assert np.array_equal(decode("it", data, colour=image.ndim == 3), image)


IMAGE = np.arange(600, dtype=np.uint8).reshape(20, 30)
WHOLE = png(IMAGE)
DAMAGED = {
    "cut": WHOLE[: len(WHOLE) // 2],
    "without its end": WHOLE[:-12],
    "with a byte changed": WHOLE[:60] + bytes([WHOLE[60] ^ 1]) + WHOLE[61:],
    "empty": b"",
    "too short within": png(IMAGE, IDAT=zlib.compress(b"\2" * 100)),
    "too long within": png(IMAGE, IDAT=zlib.compress(b"\2" * 10_000_000)),
    "with a wrong sum": png(IMAGE, IDAT=zlib.compress(b"\2" * 620)[:-1] + b"\0"),
    "of no size": png(IMAGE, IHDR=struct.pack(">IIBBBBB", 0, 20, 8, 0, 0, 0, 0)),
    "of 16 bits": cv2.imencode(".png", IMAGE.astype(np.uint16))[1].tobytes(),
    "a JPEG": cv2.imencode(".jpg", IMAGE)[1].tobytes(),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_what_is_not_plain_or_not_whole_is_as_opencv_has_it(data: bytes) -> None:
    def outcome(by: object) -> tuple[str, bytes]:
        try:
            return "", by("it", data, colour=False).tobytes()  # type: ignore[operator]
        except FrameError as error:
            return str(error), b""

    assert outcome(decode) == outcome(decode_image)
