"""Which pixels of a frame show what is to be inspected: outside of them nothing is a defect."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.inspect.quality import grey
from edge.inspect.rail_head import HEAD_MM, STRIP_MM, head_in, head_strip
from edge.line_file import Polygon, RegionSettings
from edge.types import Image


def region_of(settings: RegionSettings) -> Region:
    """What a line file says of its camera's frames."""
    return Region(settings.roi, settings.ignore, follows_rail=settings.follow == "rail")


@dataclass
class Region:
    """A polygon less others, in pixels of the frame; without any it is the whole frame.

    One that follows the rail is the head, wherever in a frame it lies, and a little beside it.
    """

    roi: Polygon | None = None
    ignore: tuple[Polygon, ...] = ()
    follows_rail: bool = False
    _drawn: Image | None = field(default=None, init=False)

    def inside(self, image: Image, across_um: float) -> Image | None:
        """H,W of 255 inside and 0 outside; None for the whole frame.

        Raises `FrameError` where the rail is not to be found.
        """
        if self.follows_rail:
            head_px, strip_px = (round(mm * 1000 / across_um) for mm in (HEAD_MM, STRIP_MM))
            return head_strip(grey(image), head_px, strip_px)
        if self.roi is None and not self.ignore:
            return None
        if self._drawn is None or self._drawn.shape != image.shape[:2]:
            self._drawn = self._draw(image.shape[0], image.shape[1])
        return self._drawn

    def lit(self, inside: Image | None) -> Image | None:
        """Where what is inside shows how well it is lit: beside the head of a rail it is dark."""
        return head_in(inside) if self.follows_rail and inside is not None else inside

    def _draw(self, rows: int, columns: int) -> Image:
        inside = np.full((rows, columns), 255, np.uint8)
        if self.roi is not None:
            inside[:] = 0
            cv2.fillPoly(inside, [_corners("region.roi", self.roi, rows, columns)], 255)
        for polygon in self.ignore:
            cv2.fillPoly(inside, [_corners("region.ignore", polygon, rows, columns)], 0)
        if not inside.any():
            raise ConfigurationError(
                "region.ignore leaves nothing to be inspected: make its outlines smaller"
            )
        return inside


def _corners(key: str, polygon: Polygon, rows: int, columns: int) -> NDArray[np.int32]:
    for x, y in polygon:
        if x >= columns or y >= rows:
            raise ConfigurationError(
                f"{key}: the corner [{x}, {y}] is outside of the frame, which has {columns} columns"
                f" and {rows} rows, counted from 0: move it inside"
            )
    return np.array(polygon, np.int32)
