"""Tiles that follow the head of a rail: one below the other, each where the rail lies there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge.bundle import InputSpec
from edge.errors import ConfigurationError, FrameError
from edge.inspect.rail_head import HEAD_MM, beside_px
from edge.inspect.tiling import Grid, Shown, Size, Tile, TiledView, spans
from edge.types import Image

# What the head may jump by, from one frame to the next: a quarter of its width. A rail does not;
# what was taken for its head in one of them was none.
_MOST_JUMP_MM = HEAD_MM / 4


def lay_along(strip: Image, tile: tuple[int, int], overlap: int) -> Grid:
    """Tiles down a strip round the head, which is `rail_head.STRIP_MM` wide.

    A tile is centred on the head in its middle row. Where the head sways, it is moved so that all
    of the head in the rows that it answers for is seen; one tile beside another where that fails.
    """
    rows, columns = strip.shape
    strip_px = int(np.count_nonzero(strip[0]))
    beside = beside_px(strip)
    lefts = (strip != 0).argmax(axis=1)
    tiles = []
    for top, own in spans(rows, tile[0], overlap):
        first = int(lefts[own].min()) + beside
        last = min(columns, int(lefts[own].max()) + strip_px - beside)
        if last - first <= tile[1]:
            middle = int(lefts[min(top + tile[0] // 2, rows - 1)]) + strip_px // 2
            left = min(max(middle - tile[1] // 2, last - tile[1]), first)
            left = max(0, min(left, columns - tile[1]))
            tiles.append(Tile(top, left, (own, slice(left, min(columns, left + tile[1])))))
            continue
        for left, across in spans(last - first, tile[1], overlap):
            own_columns = slice(first + across.start, first + across.stop)
            tiles.append(Tile(top, first + left, (own, own_columns)))
    return Grid(rows, columns, tuple(tiles))


@dataclass(frozen=True)
class FollowingView(TiledView):
    """Each frame at one scale, in tiles down the head of a rail; its region follows the rail."""

    def check(self, spec: InputSpec) -> None:
        super().check(spec)
        across_mm = spec.width * self.um_per_px(spec) / 1000
        if across_mm < HEAD_MM:
            raise ConfigurationError(
                f"region.follow: a tile shows {across_mm:g} mm across, less than a rail's head of "
                f"{HEAD_MM:g}: give a larger tiles.um_per_px, or a bundle of a rail"
            )

    def widen(self, before: Shown | None, shown: Shown, spec: InputSpec) -> Shown:
        wider = super().widen(before, shown, spec)
        if wider.rows_before:
            _refuse_a_jump(wider)
        return wider

    def window(self, shown: Shown, spec: InputSpec, blocks_at_once: int) -> Size:
        """A rail sways too much for a block to be no wider than its head."""
        return spec.height, spec.width

    def _grid(self, shown: Shown, spec: InputSpec) -> Grid:
        size = self._scaled(shown.frame, spec)
        strip = shown.inside
        assert strip is not None, "a region that follows the rail says where it is"
        if strip.shape != size:
            scaled = cv2.resize(strip, size[::-1], interpolation=cv2.INTER_NEAREST)
            strip = np.asarray(scaled, np.uint8)
        return lay_along(strip, (spec.height, spec.width), self.settings.overlap_px)


def _refuse_a_jump(shown: Shown) -> None:
    assert shown.inside is not None
    before, after = (
        int((shown.inside[row] != 0).argmax()) for row in (shown.rows_before - 1, shown.rows_before)
    )
    jump_mm = abs(after - before) * shown.frame.across_um / 1000
    if jump_mm > _MOST_JUMP_MM:
        raise FrameError(
            f"the head of the rail jumps by {jump_mm:.0f} mm from one frame to the next, which no "
            "rail does: something else was as bright"
        )
