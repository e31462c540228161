"""Pictures from memory, in place of what takes them: so that a line is measured, and no disk is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from edge.cameras.camera import Grab
from edge.cameras.track import Place
from edge.errors import CameraError
from edge.types import Frame, Image, Stretch

_KEPT = 4  # pictures, the newest among them, as V4L2's drivers commonly do


@dataclass(frozen=True, eq=False)
class Memory:
    """What a camera shows in turn, over and over, as it is after any turn and calibration."""

    images: Sequence[Image]  # of one size
    step_um: int  # of rail from one to the next
    period_s: float | None  # from one to the next; None: as soon as the one before was judged


class MemoryCamera:
    """Gives frames as fast as they are asked for."""

    def __init__(
        self, memory: Memory, *, along_um: float, across_um: float, clock_ns: Callable[[], int]
    ) -> None:
        self._memory = memory
        self._length_um = round(len(memory.images[0]) * along_um)
        self._across_um = across_um
        self._clock_ns = clock_ns
        self._closed = False

    def frames(self) -> Iterator[Frame]:
        images, step_um = self._memory.images, self._memory.step_um
        for index in count():
            if self._closed:
                return
            stretch = Stretch(index * step_um, index * step_um + self._length_um)
            image = images[index % len(images)]
            yield Frame(index, image, self._clock_ns(), stretch, self._across_um)

    def close(self) -> None:
        self._closed = True


class MemorySource:
    """Takes a picture each period by a clock of its own, as a camera that runs freely does; for who
    fetches them late a few are kept, as by a camera's driver.
    """

    def __init__(self, memory: Memory, where: Callable[[], Place]) -> None:
        if memory.period_s is None:
            raise CameraError("a camera that runs freely takes pictures at a rate: give a period")
        self._images, self._period_ns = memory.images, round(memory.period_s * 1e9)
        self._where = where
        self._start_ns = where().at_ns
        self._next = 1

    def grab(self) -> Grab:
        newest = (self._where().at_ns - self._start_ns) // self._period_ns
        number = max(self._next, newest + 1 - _KEPT)
        taken_ns = self._start_ns + number * self._period_ns
        while (early_ns := taken_ns - self._where().at_ns) > 0:
            time.sleep(early_ns / 1e9)
        self._next = number + 1
        return Grab(self._images[number % len(self._images)], taken_ns)

    def close(self) -> None:
        """There is nothing to give back."""
