"""What two processes of one machine see at once, without asking each other.

Pickled and sent to another process, each of these is the same memory there. Whoever made it must
still run when the other one unpickles it.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import overload

from firmware_bridge.types import Reading

WORD_BYTES = 8


class SharedWords:
    """So many signed 64-bit numbers. One process writes each of them."""

    def __init__(self, count: int, path: str | None = None) -> None:
        if path is None:
            made = os.memfd_create("trackside")  # freed when the last process has closed it
            os.ftruncate(made, count * WORD_BYTES)
            path = f"/proc/{os.getpid()}/fd/{made}"  # for as long as this object lives
            weakref.finalize(self, os.close, made)
        self._count = count
        self._path = path
        opened = os.open(path, os.O_RDWR)
        try:
            self._words = memoryview(mmap.mmap(opened, count * WORD_BYTES)).cast("q")
        finally:
            os.close(opened)

    def __reduce__(self) -> tuple[type[SharedWords], tuple[int, str]]:
        return SharedWords, (self._count, self._path)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> int:
        return self._words[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._words[index] = value


class SharedReading:
    """The newest reading of an encoder, for whoever asks."""

    def __init__(self) -> None:
        self._words = SharedWords(3)  # writes begun and ended, odd during one; position_um; at_ns

    def write(self, reading: Reading) -> None:
        words = self._words
        words[0] += 1
        words[1], words[2] = reading.position_um, reading.at_ns
        words[0] += 1

    def read(self) -> Reading:
        words = self._words
        while True:
            before = words[0]
            reading = Reading(words[1], words[2])
            if before == words[0] and before % 2 == 0:
                return reading


class SharedHistory(Sequence[tuple[int, bool]]):
    """The changes of an output's level, each with its time: (at_ns, active)."""

    def __init__(self, capacity: int = 1_000_000) -> None:  # takes memory only as it fills
        self._capacity = capacity
        self._words = SharedWords(1 + 2 * capacity)  # how many, then time and level of each

    def append(self, change: tuple[int, bool]) -> None:
        count = self._words[0]
        if count == self._capacity:
            raise OverflowError(f"the history holds {count} changes and is full: give it more room")
        self._words[1 + 2 * count], self._words[2 + 2 * count] = change
        self._words[0] = count + 1

    def __len__(self) -> int:
        return self._words[0]

    @overload
    def __getitem__(self, index: int) -> tuple[int, bool]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[int, bool]]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, bool] | list[tuple[int, bool]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        return self._words[1 + 2 * i], bool(self._words[2 + 2 * i])

    def __iter__(self) -> Iterator[tuple[int, bool]]:
        return (self[i] for i in range(len(self)))
