"""What a line file says of changing its bundle: `swap`."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from edge.section import LinePath, Section


class SwapSettings(Section):
    """Where a line's bundles are kept, and what a new one must show before it takes over."""

    folder: LinePath = Field(
        description="A folder of this line's own, which holds the bundle in force and the one "
        "before it; it is made where there is none."
    )
    shadow_frames: PositiveInt = Field(
        default=300, description="Frames that both bundles look at before the new one takes over."
    )
    min_agreement: float = Field(
        default=0.95, ge=0, le=1, description="Least share of them with the same verdict."
    )
    min_ng_agreement: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Least share of those that the old one rejects that the new one rejects too; "
        "the defect of the old one's golden pair must be among them, unless this is 0.",
    )
    min_overlap: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Least intersection over union of the two masks, over all of them together.",
    )
    max_slowdown: float = Field(
        default=1.5,
        gt=0,
        description="Greatest p99 of the new one's time a frame, as a multiple of the old one's; "
        "both are timed beside the line, in turn.",
    )
