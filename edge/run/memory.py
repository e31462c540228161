"""Memory that is free again, given back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
_ARENAS = 2


def share_memory() -> None:
    """Have the threads share what is free; by itself glibc gives nearly each a heap of its own,
    which only ever grows. Before there are threads; not every libc knows how.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)


def give_back_memory() -> None:
    """What something big has left, which libc would otherwise keep; not every libc knows how."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def giving_back_memory(every_s: float = 60) -> Iterator[None]:
    """Give it back now and then, so that what one moment took is not kept for months."""
    done = Event()

    def work() -> None:
        while not done.wait(every_s):
            give_back_memory()

    thread = Thread(target=work, name="memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
