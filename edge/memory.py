"""Memory that is free again, given back to the system."""

from __future__ import annotations

import ctypes


def give_back_memory() -> None:
    """What something big has left, which libc would otherwise keep; not every libc knows how."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
