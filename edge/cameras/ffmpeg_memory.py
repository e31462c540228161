"""How much memory a stream can make FFmpeg ask for at once.

An RTSP server says itself how long its answer is, and FFmpeg makes room for that: two gigabytes, if
a camera or whoever stands in for it likes. OpenCV has no setting for it; FFmpeg's own library has.
"""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from pathlib import Path

MOST_BYTES = 64 << 20  # a frame of 8K takes 50 MB

log = logging.getLogger("trackside")


@cache
def limit_ffmpeg() -> bool:
    """Have FFmpeg refuse to ask for more than `MOST_BYTES`; False where it cannot be told.

    OpenCV has to be loaded by then. Nothing else in the process is held to it.
    """
    mapped = {line.split(maxsplit=5)[-1] for line in _maps() if "libavutil" in line}
    for library in mapped:
        try:
            limit = ctypes.CDLL(library).av_max_alloc
        except (OSError, AttributeError):
            continue
        limit.argtypes, limit.restype = [ctypes.c_size_t], None
        limit(MOST_BYTES)
        return True
    log.warning(
        "this OpenCV keeps its FFmpeg to itself, so a hostile camera can fill the memory: take "
        "opencv-python-headless as it is on PyPI, or bound the service with MemoryMax="
    )
    return False


def _maps() -> list[str]:
    return Path("/proc/self/maps").read_text().splitlines()
