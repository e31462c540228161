"""Where cameras that share a surface lie beside each other, and what of it each has for itself.

Where two of them overlap, each column of the surface belongs to the one in which it lies deeper:
the seam is in the middle of the overlap, as it is along the strip.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import ceil, floor

from edge.inspect.pieces import Across
from edge.line_file import LineSettings, width_of
from edge.types import Frame


class Neighbours:
    """The cameras of one line that look at one surface, from side to side. For any thread."""

    def __init__(self, places_um: Mapping[str, int], widths_um: Mapping[str, float]) -> None:
        """Where each one's first column lies, and how wide is what it shows, where it is known."""
        self.places_um = dict(sorted(places_um.items(), key=lambda item: item[1]))
        self._widths_um = dict(widths_um)
        names = list(self.places_um)
        self._left = {right: left for left, right in pairwise(names)}
        self._right = dict(pairwise(names))

    def beside(self, camera: str) -> tuple[str | None, str | None]:
        """The cameras at its left and its right."""
        return self._left.get(camera), self._right.get(camera)

    def across(self, camera: str, frame: Frame) -> Across | None:
        """Of a camera's frame; None where the camera shares no surface."""
        if camera not in self.places_um:
            return None
        columns = frame.image.shape[1]
        self._widths_um[camera] = columns * frame.across_um
        left_px = self._seen_by_left_px(camera, frame.across_um)
        right_px = self._seen_by_right_px(camera, frame.across_um)
        start, stop = 0, columns
        left, right = range(0), range(columns, columns)
        if left_px is not None and left_px >= 0:
            start = min(_nearest(left_px / 2), columns)
            left = range(min(max(1, ceil(left_px)), columns))
        if right_px is not None and right_px <= columns:
            stop = max(_nearest((right_px + columns) / 2), start)
            right = range(max(0, min(columns - 1, floor(right_px))), columns)
        return Across(range(start, stop), left, right)

    def _seen_by_left_px(self, camera: str, across_um: float) -> float | None:
        """Up to which column its neighbour at the left sees; None where nobody knows yet."""
        left = self._left.get(camera)
        width_um = None if left is None else self._widths_um.get(left)
        if left is None or width_um is None:
            return None
        return (self.places_um[left] + width_um - self.places_um[camera]) / across_um

    def _seen_by_right_px(self, camera: str, across_um: float) -> float | None:
        """From which column on its neighbour at the right sees."""
        right = self._right.get(camera)
        if right is None:
            return None
        return (self.places_um[right] - self.places_um[camera]) / across_um


def _nearest(column: float) -> int:
    """The same column of the surface, from whichever edge it is counted."""
    return floor(column + 0.5)


def neighbours_of(config: LineSettings) -> Neighbours:
    """As the line file places them; there may be none."""
    placed = {
        name: camera for name, camera in config.cameras.items() if camera.across_mm is not None
    }
    widths_mm = {name: width_of(camera) for name, camera in placed.items()}
    return Neighbours(
        {name: round((camera.across_mm or 0) * 1000) for name, camera in placed.items()},
        {name: width_mm * 1000 for name, width_mm in widths_mm.items() if width_mm is not None},
    )
