"""A camera over the simulated line: frames appear as the rail moves under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge.simulation import SimulatedLine
from edge.types import Frame, Stretch


class SyntheticCamera:
    """Shows each stretch once, when its last row has passed.

    `wait_for` blocks until the rail has moved to a position and returns when that was, in
    monotonic nanoseconds; it is what ties the camera to the encoder of the same simulated line.
    """

    def __init__(
        self, line: SimulatedLine, *, height_px: int, frames: int, wait_for: Callable[[int], int]
    ) -> None:
        self._line = line
        self._height_px = height_px
        self._frames = frames
        self._wait_for = wait_for
        self._closed = False

    def frames(self) -> Iterator[Frame]:
        pitch_um = self._line.um_per_px
        for index in range(self._frames):
            if self._closed:
                return
            start_row = index * self._height_px
            # Rendered before the wait: a real sensor does not spend the line's time on drawing.
            image, _ = self._line.render(start_row, self._height_px)
            stretch = Stretch(start_row * pitch_um, (start_row + self._height_px) * pitch_um)
            yield Frame(index, image, self._wait_for(stretch.end_um), stretch, pitch_um)

    def close(self) -> None:
        self._closed = True
