"""The native INT8 engine: C++ built beside this file at installation, called through ctypes.

It reads pixels, not tensors, because its first layer normalises them; several frames run side by
side, each on a network of its own, and calls give Python's lock back while they run. A picture of
another size than the network's own is read by a network of that size, opened when one first comes.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from ctypes import CDLL, POINTER, c_char_p, c_float, c_int, c_size_t, c_uint8, c_void_p
from ctypes import create_string_buffer as buffer
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Artefact, Bundle
from edge.engines.engine import Prepared, Run
from edge.errors import EngineUnavailable
from edge.line_file import NativeSettings

TAKES_PIXELS = TAKES_ANY_SIZE = True
LIBRARY = Path(__file__).with_name("libtrackside.so.1")
_TEXT = 512
_MOST_SIZES = 6  # of pictures, that a place keeps networks for: those of a line's cameras


def load(settings: NativeSettings, artefact: Artefact, bundle: Bundle) -> Run:
    data, spec = bundle.read(artefact.path), bundle.manifest.input
    if not settings.portable and bodies()[0] == "portable":
        raise EngineUnavailable(
            "this CPU has none of the instructions the native engine is fast with (AVX2, ARM's dot "
            "product): choose another engine"
        )
    free: SimpleQueue[_Place] = SimpleQueue()
    for _ in range(settings.threads):
        place = _Place(data, settings.bands)
        place.network(spec.height, spec.width)  # that cannot be opened is told at once
        free.put(place)

    def run(pixels: Prepared) -> list[NDArray[np.float32]]:
        place = free.get()  # where all are in use, waits without taking the processor
        try:
            return place.network(*pixels.shape[2:]).run(pixels[0, 0])
        finally:
            free.put(place)

    return run


class _Place:
    """Where one picture is inferred at a time: a network for each of its latest sizes."""

    def __init__(self, data: bytes, bands: int) -> None:
        self._data, self._bands = data, bands
        self._networks: OrderedDict[tuple[int, int], NativeNetwork] = OrderedDict()

    def network(self, height: int, width: int) -> NativeNetwork:
        size = height, width
        if size not in self._networks:
            if len(self._networks) == _MOST_SIZES:
                self._networks.popitem(last=False)
            self._networks[size] = NativeNetwork(self._data, *size, forced_body(), self._bands)
        self._networks.move_to_end(size)
        return self._networks[size]


class NativeNetwork:
    """One network in the library's memory, for one call at a time.

    With several threads, those sleep between calls, and share each picture that is large enough.
    """

    def __init__(
        self, data: bytes, height: int, width: int, body: str = "", threads: int = 1
    ) -> None:
        self._library = _library()
        error = buffer(_TEXT)
        self._handle = self._library.trackside_open(
            data, len(data), height, width, body.encode(), threads, error, _TEXT
        )
        if not self._handle:
            raise ValueError(error.value.decode())
        self._size = (height, width)
        shapes = (c_int * 6)()
        self._library.trackside_shapes(self._handle, shapes)
        self._shapes = [tuple(shapes[:3]), tuple(shapes[3:])]

    @property
    def body(self) -> str:
        """The instructions it runs on."""
        name: bytes = self._library.trackside_body(self._handle)
        return name.decode()

    def run(self, pixels: NDArray[Any]) -> list[NDArray[np.float32]]:
        """H,W bytes to 1,1,h,w logits, and to 1,C,h,w of classes if it names any."""
        if pixels.shape != self._size or pixels.dtype != np.uint8:
            raise ValueError(f"it takes uint8 {self._size}, not {pixels.dtype} {pixels.shape}")
        dense = np.ascontiguousarray(pixels)
        maps = [np.empty((1, *shape), np.float32) for shape in self._shapes]
        self._library.trackside_run(
            self._handle,
            dense.ctypes.data_as(POINTER(c_uint8)),
            *(each.ctypes.data_as(POINTER(c_float)) for each in maps),
        )
        return [each for each in maps if each.size]

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.trackside_close(self._handle)


def forced_body() -> str:
    """The body the environment asks for; none if it does not."""
    return os.environ.get("TRACKSIDE_ISA", "")


def bodies() -> list[str]:
    """What this CPU runs, the fastest first."""
    names = buffer(_TEXT)
    _library().trackside_bodies(names, _TEXT)
    return names.value.decode().split(",")


@lru_cache(maxsize=1)
def _library() -> CDLL:
    if not LIBRARY.exists():
        raise EngineUnavailable(
            "the native engine was not built: install a C++17 compiler (Debian: g++) and install "
            "trackside again, or choose another engine"
        )
    library = CDLL(str(LIBRARY))
    library.trackside_open.restype = c_void_p
    library.trackside_open.argtypes = [
        c_char_p,
        c_size_t,
        c_int,
        c_int,
        c_char_p,
        c_int,
        c_char_p,
        c_size_t,
    ]
    library.trackside_shapes.argtypes = [c_void_p, POINTER(c_int)]
    library.trackside_run.argtypes = [
        c_void_p,
        POINTER(c_uint8),
        POINTER(c_float),
        POINTER(c_float),
    ]
    library.trackside_body.restype = c_char_p
    for name in ("body", "close"):
        getattr(library, f"trackside_{name}").argtypes = [c_void_p]
    library.trackside_bodies.argtypes = [c_char_p, c_size_t]
    return library
