"""What a line file says of every camera, of whatever kind: its place, and how it is judged."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edge.line_file.rules import Quality, Rules
from edge.line_file.section import LinePath, Section
from edge.line_file.view import OVERLAP_PX, RegionSettings, TileSettings

_Offset = Annotated[float, Field(ge=-1_000_000, le=1_000_000)]  # mm, up to a kilometre


class EveryCamera(Section):
    """Where a camera looks, whom its verdicts order, and what they are made by."""

    across_mm: _Offset | None = Field(
        default=None,
        description="Where its first column lies across a surface that several cameras share; left "
        "out, it looks at a surface of its own, such as one of two rails.",
    )
    along_mm: _Offset = Field(
        default=0,
        description="How far downstream of the line's origin it looks: `offset_mm` of actuators "
        "counts from there.",
    )
    rejects: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        strict=False,
        description="Names of the actuators that its verdicts order, and that let nothing by "
        "without it; all if left out.",
    )
    region: RegionSettings = Field(
        default=RegionSettings(), description="What of a frame is inspected; all if left out."
    )
    tiles: TileSettings | None = Field(
        default=None,
        description="Cuts frames to tiles of the network's size; left out, they are stretched to "
        f"it, or, if the region follows the rail, cut to tiles that share {OVERLAP_PX} pixels.",
    )
    quality: Quality = Field(default=Quality(), description="When a frame is UNKNOWN.")
    rules: Rules | None = Field(
        default=None, description="When its frames are NG, in place of the line's own `rules`."
    )
    baseline: LinePath | None = Field(
        default=None,
        description="What `trackside commission` recorded of it; without it drift is not reported, "
        "and frames are held against fixed bounds alone.",
    )

    @model_validator(mode="after")
    def _know_what_is_familiar(self) -> EveryCamera:
        if self.quality.max_unfamiliar is not None and self.baseline is None:
            raise ValueError(
                "quality.max_unfamiliar: nothing is known to be familiar: name a `baseline:`, and "
                "run `trackside commission`"
            )
        return self

    @property
    def downstream_um(self) -> int:
        """Of the line's origin, where it looks."""
        return round(self.along_mm * 1000)

    @property
    def cut_to(self) -> TileSettings | None:
        """The tiles that frames are cut to; None where they are stretched."""
        if self.tiles is None and self.region.follow is not None:
            return TileSettings(overlap_px=OVERLAP_PX)
        return self.tiles
