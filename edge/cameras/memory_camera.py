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
    """Gives a picture each period, wherever the rail is by then."""

    def __init__(self, memory: Memory, where: Callable[[], Place]) -> None:
        if memory.period_s is None:
            raise CameraError("a camera that runs freely takes pictures at a rate: give a period")
        self._images, self._period_s = memory.images, memory.period_s
        self._where = where
        self._due_s = time.monotonic()
        self._next = 0

    def grab(self) -> Grab:
        self._due_s = max(self._due_s + self._period_s, time.monotonic())
        time.sleep(max(0.0, self._due_s - time.monotonic()))
        image = self._images[self._next % len(self._images)]
        self._next += 1
        return Grab(image, self._where().at_ns)

    def close(self) -> None:
        """There is nothing to give back."""
