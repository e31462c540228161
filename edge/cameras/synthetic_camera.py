"""A camera over the simulated line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge.simulation import SimulatedLine
from edge.types import Frame, Stretch


class SyntheticCamera:
    """Shows the simulated rail stretch by stretch, without end, as fast as it is asked."""

    def __init__(self, line: SimulatedLine, *, height_px: int, clock_ns: Callable[[], int]) -> None:
        self.line = line
        self._height_px = height_px
        self._clock_ns = clock_ns
        self._closed = False

    def frames(self) -> Iterator[Frame]:
        pitch_um, index = self.line.um_per_px, 0
        while not self._closed:
            start_row = index * self._height_px
            image, _ = self.line.render(start_row, self._height_px)
            stretch = Stretch(start_row * pitch_um, (start_row + self._height_px) * pitch_um)
            yield Frame(index, image, self._clock_ns(), stretch, pitch_um)
            index += 1

    def close(self) -> None:
        self._closed = True
