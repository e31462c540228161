"""A live source whose pictures nobody lays on the rail: for a look at what the camera shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edge.cameras.camera import EndToEnd, Source
from edge.types import Frame, LostFrame

_SETTLING = 10  # pictures, over which a camera finds its exposure


class UnlaidCamera:
    """Shows the source's pictures as if they lay end to end, as fast as they come.

    The first ones are passed over.
    """

    def __init__(
        self, source: Source, *, along_um: float, across_um: float, clock_ns: Callable[[], int]
    ) -> None:
        self._source = source
        self._along_um = along_um
        self._across_um = across_um
        self._clock_ns = clock_ns
        self._closed = False

    def frames(self) -> Iterator[Frame | LostFrame]:
        layout: EndToEnd | None = None
        index = 0
        for _ in range(_SETTLING):
            self._source.grab()
        while not self._closed:
            image = self._source.grab().image
            if layout is None:
                layout = EndToEnd(image.shape, self._along_um, self._across_um)
            yield layout.frame(index, image, self._clock_ns())
            index += 1

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._source.close()
