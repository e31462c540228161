"""What a line file says of how frames are looked at: where, and in which tiles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edge.line_file.quantities import Pixels, Place, Scale
from edge.line_file.section import Section

Point = Annotated[
    tuple[Place, Place],
    Field(strict=False, description="Column and row of the frame."),
]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, strict=False)]


class RegionSettings(Section):
    """Which part of a camera's frames shows what is to be inspected."""

    roi: Polygon | None = Field(
        default=None,
        description="Corners, [column, row], of what is inspected, in the frame as it is after any "
        "turn and calibration; the whole of it if left out.",
    )
    ignore: tuple[Polygon, ...] = Field(
        default=(), strict=False, description="Outlines of what is left out of it."
    )


class TileSettings(Section):
    """Frames are cut to tiles of the network's size, not stretched to it."""

    overlap_px: Pixels = Field(
        description="Pixels that neighbouring tiles share: twice as far as the network must see "
        "round a pixel to judge it.",
    )
    um_per_px: Scale | None = Field(
        default=None,
        description="Micrometres of rail that a pixel of a tile shows; left out, as many as the "
        "network was trained with.",
    )
