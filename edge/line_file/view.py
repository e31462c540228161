"""What a line file says of how frames are looked at: where, and in which tiles."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edge.line_file.section import Pixels, Place, Scale, Section

Point = Annotated[
    tuple[Place, Place],
    Field(strict=False, description="Column and row of the frame."),
]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, strict=False)]


OVERLAP_PX = 64  # of tiles where nothing says: the shipped networks see less far than half of it


class RegionSettings(Section):
    """Which part of a camera's frames shows what is to be inspected."""

    follow: Literal["rail"] | None = Field(
        default=None,
        description="`rail` finds the head of a rail in each frame by its brightness, and cuts the "
        "network's tiles down it wherever it sways; where it is not to be found, the frame is "
        "UNKNOWN.",
    )
    roi: Polygon | None = Field(
        default=None,
        description="Corners, [column, row], of what is inspected, in the frame as it is after any "
        "turn and calibration; the whole of it if left out.",
    )
    ignore: tuple[Polygon, ...] = Field(
        default=(), strict=False, description="Outlines of what is left out of it."
    )

    @model_validator(mode="after")
    def _stands_or_follows(self) -> RegionSettings:
        if self.follow is not None and (self.roi is not None or self.ignore):
            raise ValueError(
                "roi and ignore lie still, and the rail sways under them: leave them out, or follow"
            )
        return self


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
