"""Image files: read whole or not at all, written or said not to be."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import FrameError, UsageError
from edge.files.image_header import MAX_PIXELS, pixels
from edge.types import Image

# Our error says what is wrong with a file; libpng and libjpeg would print it besides.
if hasattr(cv2, "setLogLevel"):  # OpenCV before 4.13, which goes with NumPy 1
    cv2.setLogLevel(0)
else:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".tif", ".tiff", ".webp"})
_MAX_BYTES = 512 << 20
_START_OF_IMAGE, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
# A marker that is not part of the compressed pixels: there ff is followed by 0, or by d0 to d7,
# which are restarts.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_WITHOUT_LENGTH = frozenset({_START_OF_IMAGE, b"\xff\x01"})
_WRITTEN = IMAGE_SUFFIXES - {".pgm"}  # PGM has no colours, and an overlay has
# How a PNG's rows are told: by the one above. OpenCV left to itself tells pixels by those to their
# left; of rail and strip that is a tenth more bytes, and takes longer to read. Older releases have
# no word for it.
_BY_THE_ROW_ABOVE = (
    [
        *(cv2.IMWRITE_PNG_COMPRESSION, 1),
        *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
        *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    ]
    if hasattr(cv2, "IMWRITE_PNG_FILTER")
    else []
)


def read_image(path: Path, *, colour: bool) -> Image:
    """H,W grey or H,W,3 BGR, 8 bits, as they are stored: no note to turn them is followed.

    What a camera was held by says nothing of the rail, and boxes, masks and maps lie in the grid
    of the file. Raises `FrameError` for anything less than a whole image.
    """
    return decode_image(str(path), _read_whole(path), colour=colour)


def decode_image(name: str, data: bytes, *, colour: bool) -> Image:
    """What `read_image` makes of a file's bytes, wherever they come from."""
    count = pixels(data)
    if count is not None and count > MAX_PIXELS:
        raise FrameError(
            f"{name} says that it holds {count} pixels, more than {MAX_PIXELS}: cut it into parts"
        )
    image = None if count is None or _is_cut_jpeg(data) else _decode(data, colour)
    if image is None:
        raise FrameError(f"{name} is not a whole image: copy it again from its source")
    if image.dtype != np.uint8:
        raise FrameError(f"{name} holds {image.dtype} pixels: save it with 8 bits a channel")
    return np.asarray(image, np.uint8)


def _read_whole(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would never end
            raise FrameError(f"{path} is not a file: take it away from among the pictures")
        if status.st_size > _MAX_BYTES:
            raise FrameError(f"{path} is of {status.st_size} bytes, more than {_MAX_BYTES}: cut it")
        return path.read_bytes()
    except OSError as error:
        raise FrameError(f"{path} cannot be read: {error.strerror}") from error


def _decode(data: bytes, colour: bool) -> NDArray[Any] | None:
    # Pixels of more than 8 bits stay so, for the caller to refuse: OpenCV would squeeze 16 bits to
    # 8, and a picture of 12 bits kept in 16 would come out dark.
    flags = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    flags |= cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # an empty file, or a header that asks for an absurd size
        return None


def _is_cut_jpeg(data: bytes) -> bool:
    """True for a JPEG without its end, which some decoders fill up with grey.

    Its segments are walked: cameras write files in blocks, and what an earlier picture left in the
    last one, after the end, may hold any marker.
    """
    if not data.startswith(_START_OF_IMAGE):
        return False
    at = len(_START_OF_IMAGE)
    while found := _MARKER.search(data, at):
        if found[0] == _END_OF_IMAGE:
            return False
        at = found.end()
        if found[0] not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")
    return True


def check_suffix(path: Path) -> None:
    """Refuse a name that no picture can be written to; to be asked before long work for one."""
    if path.suffix.lower() not in _WRITTEN:
        raise UsageError(f"{path}: end the picture's name in {', '.join(sorted(_WRITTEN))}")


def encode_image(suffix: str, image: Image) -> bytes:
    """A file's bytes; cv2.error for what is no image."""
    return cv2.imencode(suffix, image, _options(suffix))[1].tobytes()


def write_image(path: Path, image: Image) -> None:
    """Encode by the suffix; OpenCV reports a full disk only through its return value."""
    check_suffix(path)
    if not cv2.imwrite(str(path), image, _options(path.suffix)):
        raise OSError(f"{path} could not be written: is the disk full or the folder read-only?")


def _options(suffix: str) -> list[int]:
    return _BY_THE_ROW_ABOVE if suffix.lower() == ".png" else []
