"""Rendered or recorded frames, shown at the pace of the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from edge.cameras.camera import Camera
from edge.types import Frame, LostFrame


class PacedCamera:
    """Gives each frame when its last row has passed, and as many as are wanted.

    `wait_for` blocks until the rail has moved to a position, and returns when that was in monotonic
    nanoseconds; or None after a while, to be asked again, so that a rail that stands keeps nobody
    from closing. The frame is made ready before the wait, so drawing or decoding it costs the line
    nothing; a frame that is taken late keeps the time at which it was due.
    """

    def __init__(
        self, camera: Camera, wait_for: Callable[[int], int | None], *, limit: int | None = None
    ) -> None:
        self._camera = camera
        self._wait_for = wait_for
        self._limit = limit
        self._closed = False

    def frames(self) -> Iterator[Frame | LostFrame]:
        for count, seen in enumerate(self._camera.frames(), start=1):
            while (came_ns := self._wait_for(seen.stretch.end_um)) is None:
                if self._closed:
                    return
            yield replace(seen, captured_ns=came_ns)
            if count == self._limit:
                return

    def close(self) -> None:
        self._closed = True
        self._camera.close()
